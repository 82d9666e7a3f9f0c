/**
 * Pure: ziplist, the compact list of Redis up to 6 (RDB types 10, 12, 13 and inside 14).
 * Layout: u32 LE total bytes, u32 LE offset of the last entry, u16 LE count (65535: unknown),
 * entries, 0xff. An entry: length of the previous one (1 byte, or 0xfe and u32 LE), encoding, data.
 * Source: Redis ziplist.c (`zipEntry`, `ziplistValidateIntegrity` in its deep form).
 */

import { demand, type ElementReader, type Slice } from "./slice.ts";

const HEADER_BYTES = 10;
const END = 0xff;
const COUNT_UNKNOWN = 65535;
const LONG_PREVIOUS = 0xfe;

export class ZiplistReader implements ElementReader {
  readonly #bytes: Buffer;
  /** Index of the closing 0xff. */
  readonly #end: number;
  readonly #tail: number;
  readonly #count: number;
  #at: number;
  #entry = 0;
  #previousBytes = 0;
  #seen = 0;

  /** @param bytes the ziplist is `bytes[start, end)`, all of it */
  constructor(bytes: Buffer, start: number, end: number) {
    demand(end - start > HEADER_BYTES, "ziplist header cut");
    demand(bytes.readUInt32LE(start) === end - start, "ziplist length");
    demand(bytes[end - 1] === END, "ziplist end");
    this.#bytes = bytes;
    this.#end = end - 1;
    this.#at = start + HEADER_BYTES;
    this.#entry = this.#at;
    this.#tail = start + bytes.readUInt32LE(start + 4);
    this.#count = bytes.readUInt16LE(start + 8);
  }

  next(into: Slice): boolean {
    if (this.#at === this.#end) {
      demand(this.#count === COUNT_UNKNOWN || this.#count === this.#seen, "ziplist count");
      demand(this.#tail === this.#entry, "ziplist tail offset");
      return false;
    }
    this.#entry = this.#at;
    demand(this.#previous() === this.#previousBytes, "ziplist previous length");
    this.#read(into);
    this.#previousBytes = this.#at - this.#entry;
    this.#seen++;
    return true;
  }

  /** Moves over `count` bytes and gives where they began. */
  #take(count: number): number {
    const at = this.#at;
    demand(at + count <= this.#end, "ziplist entry cut");
    this.#at = at + count;
    return at;
  }

  #previous(): number {
    const first = this.#bytes[this.#take(1)]!;
    demand(first !== END, "ziplist ends early");
    return first === LONG_PREVIOUS ? this.#bytes.readUInt32LE(this.#take(4)) : first;
  }

  #read(into: Slice): void {
    const bytes = this.#bytes;
    const encoding = bytes[this.#take(1)]!;
    if (encoding < 0xc0) {
      const length = this.#stringLength(encoding);
      const at = this.#take(length);
      into.set(bytes, at, at + length);
    } else if (encoding === 0xc0) into.setInteger(bytes.readInt16LE(this.#take(2)));
    else if (encoding === 0xd0) into.setInteger(bytes.readInt32LE(this.#take(4)));
    else if (encoding === 0xe0) into.setInteger(bytes.readBigInt64LE(this.#take(8)));
    else if (encoding === 0xf0) into.setInteger(bytes.readIntLE(this.#take(3), 3));
    else if (encoding === 0xfe) into.setInteger(bytes.readInt8(this.#take(1)));
    else {
      demand(encoding >= 0xf1 && encoding <= 0xfd, "ziplist encoding");
      into.setInteger((encoding & 15) - 1);
    }
  }

  #stringLength(encoding: number): number {
    if (encoding < 0x40) return encoding;
    if (encoding < 0x80) return ((encoding & 63) << 8) | this.#bytes[this.#take(1)]!;
    demand(encoding === 0x80, "ziplist encoding");
    return this.#bytes.readUInt32BE(this.#take(4));
  }
}
