/**
 * Pure: joins what an incomplete request or reply left over with the chunk that follows it.
 *
 *   held:  | handled | left over | room |        chunk: | ........ |
 *          0        from         to   length
 *
 * Bytes once in a buffer never change, so whoever keeps a reference to one keeps what it saw. A chunk
 * from a socket fills its buffer exactly; only buffers made here have room, so room is ours to fill.
 */

import { copyBytes } from "../base/bytes.ts";

/**
 * Puts `chunk` behind held[from, to).
 * @returns `held` itself when it had room (offsets stay valid), else a new buffer in which the left
 *   over bytes start at 0. Capacity at least doubles what was left over, so a request that arrives
 *   in many chunks is copied a constant number of times; a buffer whose handled part outweighs the
 *   rest is left behind, so a big request's memory goes with it.
 * @param expected how many bytes the incomplete request is known to need, from `from`; 0 when not
 *   known. Room beyond it is not allocated.
 */
export function joinChunk(
  held: Buffer,
  from: number,
  to: number,
  chunk: Buffer,
  expected: number,
): Buffer {
  const leftOver = to - from;
  const needed = leftOver + chunk.length;
  if (held.length - to >= chunk.length && from <= needed) {
    copyBytes(chunk, 0, chunk.length, held, to);
    return held;
  }
  let capacity = leftOver * 2;
  if (expected > 0 && expected < capacity) capacity = expected;
  if (capacity < needed) capacity = needed;
  const joined = Buffer.allocUnsafeSlow(capacity);
  copyBytes(held, from, to, joined, 0);
  copyBytes(chunk, 0, chunk.length, joined, leftOver);
  return joined;
}
