/**
 * Pure: key bytes in, slot number out. Proxy and server use the same functions on the bytes of
 * their receive buffers, so nothing here copies, slices or allocates.
 *
 *   key "x{user:42}:name"  ->  tag "user:42"  ->  CRC32  ->  modulo 1024  ->  slot
 *
 * The tag is what lies between the first `{` and the next `}` behind it, even when that is nothing
 * (so `{}x` is in slot 0, unlike Redis Cluster); a key without both braces is its own tag.
 * CRC32 is the IEEE one of zlib.
 * Source: Codis pkg/proxy/mapper.go `Hash`, extern/redis-3.2.11/src/slots.c.
 */

/** Slots of a product; slot numbers are 0..1023. A power of two: the low bits of the CRC. */
export const SLOT_COUNT = 1024;

const SLOT_MASK = SLOT_COUNT - 1;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/**
 * Up to this many bytes our loop is faster than `Bun.hash.crc32`, which needs a view of the range
 * and a call out of JavaScript: 21 against 39 ns for 16 bytes, 36 against 41 for 48
 * (test/bench/crc32.ts).
 */
const LOOP_BYTES_MAX = 48;

/** Four tables of 256: the CRC of one byte, then of one byte with 1, 2 and 3 zeros behind it. */
const CRC_TABLES = makeCrcTables();

function makeCrcTables(): Int32Array {
  const tables = new Int32Array(4 * 256);
  for (let i = 0; i < 256; i++) {
    let crc = i;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    tables[i] = crc;
  }
  for (let i = 256; i < tables.length; i++) {
    const shorter = tables[i - 256]!;
    tables[i] = (shorter >>> 8) ^ tables[shorter & 0xff]!;
  }
  return tables;
}

/** CRC32 as a signed 32-bit number: what bit operations need, without the step to unsigned. */
function crc32Signed(buf: Uint8Array, from: number, to: number): number {
  if (to - from > LOOP_BYTES_MAX) return Bun.hash.crc32(buf.subarray(from, to)) | 0;
  let crc = -1;
  let i = from;
  // Four bytes a step ("slicing by 4"): half the time of a byte a step from 24 bytes on.
  for (const end = to - 3; i < end; i += 4) {
    crc ^= buf[i]! | (buf[i + 1]! << 8) | (buf[i + 2]! << 16) | (buf[i + 3]! << 24);
    crc =
      CRC_TABLES[768 + (crc & 0xff)]! ^
      CRC_TABLES[512 + ((crc >>> 8) & 0xff)]! ^
      CRC_TABLES[256 + ((crc >>> 16) & 0xff)]! ^
      CRC_TABLES[crc >>> 24]!;
  }
  for (; i < to; i++) crc = (crc >>> 8) ^ CRC_TABLES[(crc ^ buf[i]!) & 0xff]!;
  return ~crc;
}

/**
 * CRC32 (IEEE, as zlib) of `buf[from, to)`; of no bytes it is 0.
 * @returns 0..2^32-1
 */
export function crc32(buf: Uint8Array, from: number, to: number): number {
  return crc32Signed(buf, from, to) >>> 0;
}

/** Where the bytes to hash begin, and end, after `hashTag`: valid until its next call. */
export let tagStart = 0;
export let tagEnd = 0;

/**
 * Finds the bytes of the key `buf[from, to)` that decide its slot and leaves their range in
 * `tagStart` and `tagEnd`.
 * @returns whether the key has a tag, which may be empty; without one the range is the whole key
 */
export function hashTag(buf: Uint8Array, from: number, to: number): boolean {
  tagStart = from;
  tagEnd = to;
  for (let open = from; open < to; open++) {
    if (buf[open] !== OPEN_BRACE) continue;
    for (let close = open + 1; close < to; close++) {
      if (buf[close] !== CLOSE_BRACE) continue;
      tagStart = open + 1;
      tagEnd = close;
      return true;
    }
    return false;
  }
  return false;
}

/** The slot of the key `buf[from, to)`: 0..1023. */
export function slotOfRange(buf: Uint8Array, from: number, to: number): number {
  hashTag(buf, from, to);
  return crc32Signed(buf, tagStart, tagEnd) & SLOT_MASK;
}

/** The slot of a key that has bytes of its own: 0..1023. */
export function slotOf(key: Uint8Array): number {
  return slotOfRange(key, 0, key.length);
}

/** The slot of everything whose tag has this CRC32, signed or not: 0..1023. */
export function slotOfCrc(crc: number): number {
  return crc & SLOT_MASK;
}
