/**
 * What the CRC32 of slots costs by length of the key: our loop over the bytes in place against
 * Bun's native one over a view of them. Decides `LOOP_BYTES_MAX` in src/slots/hash.ts.
 *
 * `bun run test/bench/crc32.ts` prints nanoseconds per key, the best of five runs.
 */

import { crc32 } from "../../src/slots/hash.ts";

const KEYS = 256;
const CALLS = 2_000_000;
const LENGTHS = [6, 12, 16, 24, 32, 48, 64, 96, 128];

/** Nanoseconds per call of `hash`, each on another one of many keys that lie in one buffer. */
function measure(length: number, hash: (buf: Buffer, from: number, to: number) => number): number {
  const buf = Buffer.from(Array.from({ length: KEYS * length }, (_, i) => 97 + ((i * 7919) % 26)));
  let best = Number.POSITIVE_INFINITY;
  let sink = 0;
  for (let run = 0; run < 5; run++) {
    const begin = Bun.nanoseconds();
    for (let i = 0; i < CALLS; i++) {
      const from = (i % KEYS) * length;
      sink ^= hash(buf, from, from + length);
    }
    best = Math.min(best, (Bun.nanoseconds() - begin) / CALLS);
  }
  // Printed when it cannot be, so that nothing is optimised away.
  if (sink === 0.5) process.stdout.write("impossible");
  return best;
}

process.stdout.write("bytes   ours  native\n");
for (const length of LENGTHS) {
  const ours = measure(length, crc32).toFixed(1);
  const native = measure(length, (buf, from, to) => Bun.hash.crc32(buf.subarray(from, to)));
  process.stdout.write(`${String(length).padStart(5)} ${ours.padStart(6)} ${native.toFixed(1)}\n`);
}
