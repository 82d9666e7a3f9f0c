/**
 * Pure: lengths and strings as RDB writes them, read from `bytes[at, end)`.
 *
 *   00pppppp            6-bit length          10000000 + u32 BE    10000001 + u64 BE
 *   01pppppp pppppppp   14-bit length         11tttttt             special: 0 int8, 1 int16 LE,
 *                                                                  2 int32 LE, 3 LZF
 * Source: Redis 7.0 src/rdb.c (`rdbLoadLenByRef`, `rdbGenericLoadStringObject`).
 */

import { decompressLzf } from "./lzf.ts";
import { demand, type ElementReader, type Slice } from "./slice.ts";

const SPECIAL_INT8 = 0;
const SPECIAL_INT16 = 1;
const SPECIAL_INT32 = 2;
const SPECIAL_LZF = 3;

export class StringReader {
  readonly bytes: Buffer;
  readonly end: number;
  at: number;

  constructor(bytes: Buffer, start: number, end: number) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  /** Moves over `count` bytes and gives where they began. */
  take(count: number): number {
    const at = this.at;
    demand(count <= this.end - at, "body cut");
    this.at = at + count;
    return at;
  }

  /** A count or length; a special encoding in its place is malformed, as is one above 2^53. */
  length(): number {
    const first = this.bytes[this.take(1)]!;
    demand(first < 0xc0, "special encoding where a length belongs");
    return this.#length(first);
  }

  #length(first: number): number {
    const { bytes } = this;
    if (first < 0x40) return first;
    if (first < 0x80) return ((first & 63) << 8) | bytes[this.take(1)]!;
    if (first === 0x80) return bytes.readUInt32BE(this.take(4));
    demand(first === 0x81, "length encoding");
    const wide = Number(bytes.readBigUInt64BE(this.take(8)));
    demand(Number.isSafeInteger(wide), "length too large");
    return wide;
  }

  string(into: Slice): void {
    const { bytes } = this;
    const first = bytes[this.take(1)]!;
    if (first < 0xc0) {
      const length = this.#length(first);
      const at = this.take(length);
      into.set(bytes, at, at + length);
      return;
    }
    const special = first & 63;
    if (special === SPECIAL_INT8) into.setInteger(bytes.readInt8(this.take(1)));
    else if (special === SPECIAL_INT16) into.setInteger(bytes.readInt16LE(this.take(2)));
    else if (special === SPECIAL_INT32) into.setInteger(bytes.readInt32LE(this.take(4)));
    else {
      demand(special === SPECIAL_LZF, "string encoding");
      const compressed = this.length();
      const length = this.length();
      const at = this.take(compressed);
      into.set(decompressLzf(bytes, at, at + compressed, length), 0, length);
    }
  }
}

/** `count` plain RDB strings, as elements. */
export class PlainReader implements ElementReader {
  readonly #source: StringReader;
  #left: number;

  constructor(source: StringReader, count: number) {
    this.#source = source;
    this.#left = count;
  }

  next(into: Slice): boolean {
    if (this.#left === 0) return false;
    this.#left--;
    this.#source.string(into);
    return true;
  }
}
