/**
 * Ways a stream may be cut into chunks. Decoder tests run each input through all of them: what
 * comes out must not depend on the cut.
 */

import type { Prng } from "./prng.ts";

/** The input whole, byte by byte, and cut at random places. Every chunk is a buffer of its own. */
export function cutsOf(input: Buffer, prng: Prng): readonly (readonly Buffer[])[] {
  return [[Buffer.from(input)], cutEvery(input, 1), cutRandomly(input, prng)];
}

function cutEvery(input: Buffer, bytes: number): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < input.length; at += bytes) {
    chunks.push(Buffer.from(input.subarray(at, at + bytes)));
  }
  return chunks;
}

function cutRandomly(input: Buffer, prng: Prng): Buffer[] {
  const longest = prng.pick([3, 20, 200]);
  const chunks: Buffer[] = [];
  for (let at = 0; at < input.length; ) {
    const end = at + 1 + prng.int(longest);
    chunks.push(Buffer.from(input.subarray(at, end)));
    at = end;
  }
  return chunks;
}
