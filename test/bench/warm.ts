/**
 * What looking at the keys of a pipeline ahead buys (src/server/warm.ts): lookups in windows of
 * WARM_WINDOW requests over 1,000,000 keys, with something else's memory in the cache before each
 * window, as the network's is in a server.
 *
 * `bun run test/bench/warm.ts` prints nanoseconds of CPU time per lookup, the best of five rounds.
 */

import { encodeRequest } from "../../src/resp/encoder.ts";
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

/** Looks a window of keys up, after as much other memory as a turn of the network touches. */
function lookUpWindow(isWarm: boolean): void {
  const buf = windows[next++ % WINDOWS]!;
  const start = (next * LINE_BYTES * 512) % OTHER_BYTES;
  for (let i = 0; i < 512; i++) sink += other[(start + i * LINE_BYTES) % OTHER_BYTES]!;
  findKeysAhead(plain, buf, 0, buf.length);
  if (isWarm) {
    findKeysAhead(ahead, buf, 0, buf.length);
    db.warm(ahead);
  }
  for (let i = 0; i < plain.count; i++) sink += db.lookupRead(buf, plain.from[i]!, plain.to[i]!);
}

/** Nanoseconds of this thread's CPU time per lookup. */
function measure(isWarm: boolean): number {
  const before = process.threadCpuUsage();
  for (let i = 0; i < WINDOWS; i++) lookUpWindow(isWarm);
  const after = process.threadCpuUsage();
  const micros = after.user + after.system - before.user - before.system;
  return (micros * 1000) / (WINDOWS * WARM_WINDOW);
}

let plainBest = Number.POSITIVE_INFINITY;
let warmBest = Number.POSITIVE_INFINITY;
for (let round = 0; round < ROUNDS; round++) {
  plainBest = Math.min(plainBest, measure(false));
  warmBest = Math.min(warmBest, measure(true));
}
process.stdout.write(`one after the other ${plainBest.toFixed(0)} ns per lookup\n`);
process.stdout.write(`looked at ahead     ${warmBest.toFixed(0)} ns per lookup\n`);
// Printed when it cannot be, so that nothing is optimised away.
if (sink === 0.5) process.stdout.write("impossible");
