/**
 * What looking at the keys of a pipeline ahead buys (src/server/warm.ts): lookups in windows of
 * WARM_WINDOW requests over 1,000,000 keys, with something else's memory in the cache before each
 * window, as the network's is in a server. Then the same while uses of keys are noted, with and
 * without their notes (src/server/accesses.ts) being looked at ahead too.
 *
 * `bun run test/bench/warm.ts` prints nanoseconds of CPU time per lookup, the best of five rounds.
 */

import { defaultConfig } from "../../src/base/config.ts";
import { encodeRequest } from "../../src/resp/encoder.ts";
import { Accesses, type AccessKind } from "../../src/server/accesses.ts";
import { SERVER_CONFIG } from "../../src/server/config.ts";
import { Databases } from "../../src/server/databases.ts";
import { createWarmKeys, findKeysAhead, WARM_WINDOW } from "../../src/server/warm.ts";

const KEYS = 1_000_000;
const WINDOWS = 20_000;
const ROUNDS = 5;
const OTHER_BYTES = 4 * 1024 * 1024;
const LINE_BYTES = 64;

const databases = new Databases(1, Date.now());
const db = databases.all[0]!;

function keyName(i: number): string {
  return `key:${String(i).padStart(12, "0")}`;
}

const value = Buffer.alloc(32, "x");
for (let i = 0; i < KEYS; i++) {
  const key = Buffer.from(keyName(i));
  db.setString(key, 0, key.length, value, 0, value.length, Number.NaN);
}

const windows = Array.from({ length: WINDOWS }, () =>
  Buffer.concat(
    Array.from({ length: WARM_WINDOW }, () =>
      encodeRequest(["GET", keyName(Math.floor(Math.random() * KEYS))]),
    ),
  ),
);
const other = Buffer.alloc(OTHER_BYTES);
const ahead = createWarmKeys();
const plain = createWarmKeys();
let next = 0;
let sink = 0;

interface Way {
  readonly name: string;
  readonly isWarm: boolean;
  /** What is noted of a use. */
  readonly notes?: AccessKind;
  readonly areNotesWarm?: boolean;
}

const WAYS: readonly Way[] = [
  { name: "one after the other", isWarm: false },
  { name: "looked at ahead", isWarm: true },
  { name: "LRU, notes not ahead", isWarm: true, notes: "lru" },
  { name: "LRU", isWarm: true, notes: "lru", areNotesWarm: true },
  { name: "LFU, notes not ahead", isWarm: true, notes: "lfu" },
  { name: "LFU", isWarm: true, notes: "lfu", areNotesWarm: true },
];

/** Looks a window of keys up, after as much other memory as a turn of the network touches. */
function lookUpWindow({ isWarm, areNotesWarm }: Way, accesses: Accesses | undefined): void {
  const buf = windows[next++ % WINDOWS]!;
  const start = (next * LINE_BYTES * 512) % OTHER_BYTES;
  for (let i = 0; i < 512; i++) sink += other[(start + i * LINE_BYTES) % OTHER_BYTES]!;
  findKeysAhead(plain, buf, 0, buf.length);
  if (isWarm) {
    databases.accesses = areNotesWarm ? accesses : undefined;
    findKeysAhead(ahead, buf, 0, buf.length);
    db.warm(ahead);
  }
  databases.accesses = accesses;
  for (let i = 0; i < plain.count; i++) sink += db.lookupRead(buf, plain.from[i]!, plain.to[i]!);
}

/** Nanoseconds of this thread's CPU time per lookup. */
function measure(way: Way): number {
  const config = defaultConfig(SERVER_CONFIG);
  const accesses = way.notes && new Accesses(databases.arena, way.notes, config, 0);
  const before = process.threadCpuUsage();
  for (let i = 0; i < WINDOWS; i++) lookUpWindow(way, accesses);
  const after = process.threadCpuUsage();
  accesses?.end();
  const micros = after.user + after.system - before.user - before.system;
  return (micros * 1000) / (WINDOWS * WARM_WINDOW);
}

const best = new Map<Way, number>();
for (let round = 0; round < ROUNDS; round++) {
  for (const way of WAYS)
    best.set(way, Math.min(best.get(way) ?? Number.POSITIVE_INFINITY, measure(way)));
}
for (const [way, nanoseconds] of best) {
  process.stdout.write(`${way.name.padEnd(22)} ${nanoseconds.toFixed(0)} ns per lookup\n`);
}
// Printed when it cannot be, so that nothing is optimised away.
if (sink === 0.5) process.stdout.write("impossible");
