/**
 * What the twists of the collection types buy, in nanoseconds of CPU per call, the best of five
 * runs:
 *
 *   search of a skiplist  with the arena's views at hand and recording its path (`seek`) against
 *                         small helpers and no path (`countBelowScore`), on 200,000 scores
 *   hash of a member      our loop against Bun's native one; decides LOOP_BYTES_MAX in table.ts
 *
 * `bun run test/bench/collections.ts`
 */

import { Arena } from "../../src/server/arena/arena.ts";
import { createEntry } from "../../src/server/arena/entry.ts";
import {
  countBelowScore,
  createSkiplist,
  insertNode,
  rankOf,
} from "../../src/server/types/skiplist.ts";
import { memberHash } from "../../src/server/types/table.ts";

const RUNS = 5;
const NODES = 200_000;
const HASHES = 1_000_000;
const LENGTHS = [8, 16, 32, 48, 64, 96, 128];

/** Nanoseconds of CPU that one of `calls` calls takes. `call` is given its number. */
function measure(calls: number, call: (i: number) => number): number {
  let best = Number.POSITIVE_INFINITY;
  let sink = 0;
  for (let run = 0; run < RUNS; run++) {
    const begin = process.cpuUsage().user;
    for (let i = 0; i < calls; i++) sink += call(i);
    best = Math.min(best, ((process.cpuUsage().user - begin) * 1000) / calls);
  }
  // Printed when it cannot be, so that nothing is optimised away.
  if (Number.isNaN(sink)) process.stdout.write("impossible");
  return best;
}

function benchSearch(): void {
  const arena = new Arena();
  const list = createSkiplist(arena);
  const member = Buffer.from("member");
  const scores = Float64Array.from({ length: NODES }, () => Math.random());
  for (const score of scores) {
    const entry = createEntry(arena, 0, 0, member, 0, member.length, 0);
    insertNode(arena, list, entry, score, member, 0, member.length);
  }
  const views = measure(NODES, (i) => rankOf(arena, list, scores[i]!, member, 0, member.length));
  const helpers = measure(NODES, (i) => countBelowScore(arena, list, scores[i]!, false));
  process.stdout.write(`search   views ${views.toFixed(0)}   helpers ${helpers.toFixed(0)}\n`);
}

function benchHash(): void {
  const buf = Buffer.from(Array.from({ length: 1024 }, (_, i) => (i * 7919) % 251));
  process.stdout.write("hash\nbytes   ours  native\n");
  for (const length of LENGTHS) {
    const ours = measure(HASHES, (i) => memberHash(buf, i & 511, (i & 511) + length));
    const native = measure(HASHES, (i) =>
      Bun.hash.xxHash32(buf.subarray(i & 511, (i & 511) + length), 7),
    );
    const cells = [String(length).padStart(5), ours.toFixed(1).padStart(6), native.toFixed(1)];
    process.stdout.write(`${cells.join(" ")}\n`);
  }
}

benchSearch();
benchHash();
