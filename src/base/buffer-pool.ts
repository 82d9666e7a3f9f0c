/**
 * Output buffers between uses. A writer takes one when it has something to say and gives it back
 * when that is sent, so idle connections own none and busy ones do not allocate.
 *
 * Capacities are powers of two, 4 KiB to 2 MiB, each kept up to 2 MiB in all; a larger buffer is
 * made for its use and left to the collector. One pool per thread.
 */

import { assert } from "./assert.ts";

const SMALLEST_BITS = 12;
const LARGEST_BITS = 21;
const KEPT_BYTES_PER_CLASS = 2 * 1024 * 1024;
/** No buffer is larger. Socket and file calls count bytes in an int32, and copies must end some day. */
export const BUFFER_BYTES_MAX = 2 ** 31;

const free: Buffer[][] = Array.from({ length: LARGEST_BITS - SMALLEST_BITS + 1 }, () => []);

/** @returns a buffer of at least `bytes`, filled with anything; its capacity is a power of two */
export function takeBuffer(bytes: number): Buffer {
  const size = bytes <= 1 << SMALLEST_BITS ? 0 : 32 - Math.clz32(bytes - 1) - SMALLEST_BITS;
  if (size < free.length) {
    return free[size]!.pop() ?? Buffer.allocUnsafeSlow(1 << (size + SMALLEST_BITS));
  }
  assert(bytes <= BUFFER_BYTES_MAX, "a buffer is at most 2 GiB");
  return Buffer.allocUnsafeSlow(2 ** (size + SMALLEST_BITS));
}

/** Gives back what `takeBuffer` gave; the caller must not touch it again. */
export function giveBuffer(buffer: Buffer): void {
  const size = 31 - Math.clz32(buffer.length) - SMALLEST_BITS;
  if (size >= free.length) return;
  assert(size >= 0, "a buffer given back has a capacity of the pool");
  const kept = free[size]!;
  if (kept.length < KEPT_BYTES_PER_CLASS >> (size + SMALLEST_BITS)) kept.push(buffer);
}
