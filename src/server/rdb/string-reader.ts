/**
 * Pure: lengths and strings as RDB writes them, read from `bytes[at, end)`: a whole payload, or a
 * window on a file that is moved on when it is used up (file-bytes.ts).
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

/** Where more bytes come from when a reader has used up its own. */
export interface ByteFeed {
  /**
   * Gives `reader` at least `count` bytes from `reader.at` on, in another buffer. The one before
   * stays as it was until the next call but one: a field is still there when its value was read.
   * @throws MalformedPayload when there are not so many
   */
  feed(reader: StringReader, count: number): void;
}

export class StringReader {
  /** Replaced by a feed: read the field again after every call. */
  bytes: Buffer;
  end: number;
  at: number;
  readonly #feed: ByteFeed | undefined;

  constructor(bytes: Buffer, start: number, end: number, feed?: ByteFeed) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    this.#feed = feed;
  }

  /** Moves over `count` bytes and gives where they began in `bytes`. */
  take(count: number): number {
    if (count > this.end - this.at) this.#needMore(count);
    const at = this.at;
    this.at = at + count;
    return at;
  }

  #needMore(count: number): void {
    demand(this.#feed !== undefined, "body cut");
    this.#feed.feed(this, count);
  }

  byte(): number {
    const at = this.take(1);
    return this.bytes[at]!;
  }

  double(): number {
    const at = this.take(8);
    return this.bytes.readDoubleLE(at);
  }

  /** A count or length; a special encoding in its place is malformed, as is one above 2^53. */
  length(): number {
    const first = this.byte();
    demand(first < 0xc0, "special encoding where a length belongs");
    return this.#length(first);
  }

  #length(first: number): number {
    if (first < 0x40) return first;
    if (first < 0x80) return ((first & 63) << 8) | this.byte();
    if (first === 0x80) {
      const at = this.take(4);
      return this.bytes.readUInt32BE(at);
    }
    demand(first === 0x81, "length encoding");
    const at = this.take(8);
    const wide = Number(this.bytes.readBigUInt64BE(at));
    demand(Number.isSafeInteger(wide), "length too large");
    return wide;
  }

  string(into: Slice): void {
    const first = this.byte();
    if (first < 0xc0) {
      const length = this.#length(first);
      const at = this.take(length);
      into.set(this.bytes, at, at + length);
      return;
    }
    this.#special(first & 63, into);
  }

  #special(special: number, into: Slice): void {
    if (special === SPECIAL_INT8) {
      const at = this.take(1);
      into.setInteger(this.bytes.readInt8(at));
    } else if (special === SPECIAL_INT16) {
      const at = this.take(2);
      into.setInteger(this.bytes.readInt16LE(at));
    } else if (special === SPECIAL_INT32) {
      const at = this.take(4);
      into.setInteger(this.bytes.readInt32LE(at));
    } else {
      demand(special === SPECIAL_LZF, "string encoding");
      const compressed = this.length();
      const length = this.length();
      const at = this.take(compressed);
      into.set(decompressLzf(this.bytes, at, at + compressed, length), 0, length);
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
