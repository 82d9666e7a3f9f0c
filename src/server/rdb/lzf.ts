/**
 * Pure: LZF, the compression inside RDB strings (Marc Lehmann's liblzf; Redis 7.0 src/lzf_d.c).
 * Only the way back: what we write is never compressed, so that every receiver can read it.
 *
 *   control c < 32:  c + 1 literal bytes follow
 *   else:            length (c >> 5) + 2, a further length byte when c >> 5 is 7;
 *                    distance ((c & 31) << 8 | next byte) + 1 back in the output; may overlap
 */

import { demand } from "./slice.ts";

/** A back reference of 3 bytes yields at most this many: bounds what a short stream can claim. */
const MAX_YIELD = 264;
/** The longest string of the server: a stream that yields more is refused, however long it is. */
const STRING_BYTES_MAX = 512 * 1024 * 1024;

/**
 * Decompresses `src[from, to)` into a new buffer of exactly `length` bytes. Throws
 * `MalformedPayload` when the stream ends early, points before its start or yields another length;
 * a claimed length that no stream of that size, or no string, can reach is refused before anything
 * is allocated.
 */
export function decompressLzf(src: Buffer, from: number, to: number, length: number): Buffer {
  const lengthMax = Math.min((to - from) * MAX_YIELD, STRING_BYTES_MAX);
  demand(length > 0 && length <= lengthMax, "lzf length impossible");
  const out = Buffer.allocUnsafeSlow(length);
  let at = 0;
  let i = from;
  while (i < to) {
    const control = src[i++]!;
    if (control < 32) {
      const run = control + 1;
      demand(i + run <= to && at + run <= length, "lzf literal run too long");
      src.copy(out, at, i, i + run);
      i += run;
      at += run;
      continue;
    }
    let run = (control >> 5) + 2;
    if (run === 9) {
      demand(i < to, "lzf cut");
      run += src[i++]!;
    }
    demand(i < to, "lzf cut");
    let back = at - (((control & 31) << 8) | src[i++]!) - 1;
    demand(back >= 0 && at + run <= length, "lzf reference out of bounds");
    for (const end = at + run; at < end; ) out[at++] = out[back++]!;
  }
  demand(at === length, "lzf length wrong");
  return out;
}
