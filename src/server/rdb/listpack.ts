/**
 * Pure: listpack, the compact list of Redis 7 (RDB types 16, 17, 20 and inside 18).
 * Layout: u32 LE total bytes, u16 LE count (65535: unknown), entries, 0xff. An entry: encoding and
 * data, then the length of both, 7 bits a byte, 1 to 5 bytes, to be read backwards.
 * Source: Redis listpack.c (`lpValidateNext`, `lpEncodeBacklen`).
 */

import { demand, type ElementReader, type Slice } from "./slice.ts";

const HEADER_BYTES = 6;
const END = 0xff;
const COUNT_UNKNOWN = 65535;

/** How many bytes `lpEncodeBacklen` needs: its limits are one short of the powers of two. */
function backLengthBytes(length: number): number {
  if (length <= 127) return 1;
  if (length < 16383) return 2;
  if (length < 2097151) return 3;
  return length < 268435455 ? 4 : 5;
}

export class ListpackReader implements ElementReader {
  readonly #bytes: Buffer;
  /** Index of the closing 0xff. */
  readonly #end: number;
  readonly #count: number;
  #at: number;
  #seen = 0;

  /** @param bytes the listpack is `bytes[start, end)`, all of it */
  constructor(bytes: Buffer, start: number, end: number) {
    demand(end - start > HEADER_BYTES, "listpack header cut");
    demand(bytes.readUInt32LE(start) === end - start, "listpack length");
    demand(bytes[end - 1] === END, "listpack end");
    this.#bytes = bytes;
    this.#end = end - 1;
    this.#at = start + HEADER_BYTES;
    this.#count = bytes.readUInt16LE(start + 4);
  }

  next(into: Slice): boolean {
    if (this.#at === this.#end) {
      demand(this.#count === COUNT_UNKNOWN || this.#count === this.#seen, "listpack count");
      return false;
    }
    const entry = this.#at;
    this.#read(into);
    this.#checkBackLength(this.#at - entry);
    this.#seen++;
    return true;
  }

  /** Moves over `count` bytes and gives where they began. */
  #take(count: number): number {
    const at = this.#at;
    demand(at + count <= this.#end, "listpack entry cut");
    this.#at = at + count;
    return at;
  }

  #read(into: Slice): void {
    const bytes = this.#bytes;
    const first = bytes[this.#take(1)]!;
    if (first < 0x80) into.setInteger(first);
    else if (first < 0xc0) this.#string(into, first & 63);
    else if (first < 0xe0) {
      const raw = ((first & 31) << 8) | bytes[this.#take(1)]!;
      into.setInteger(raw < 4096 ? raw : raw - 8192);
    } else if (first < 0xf0) this.#string(into, ((first & 15) << 8) | bytes[this.#take(1)]!);
    else if (first === 0xf0) this.#string(into, bytes.readUInt32LE(this.#take(4)));
    else if (first === 0xf1) into.setInteger(bytes.readInt16LE(this.#take(2)));
    else if (first === 0xf2) into.setInteger(bytes.readIntLE(this.#take(3), 3));
    else if (first === 0xf3) into.setInteger(bytes.readInt32LE(this.#take(4)));
    else {
      demand(first === 0xf4, "listpack encoding");
      into.setInteger(bytes.readBigInt64LE(this.#take(8)));
    }
  }

  #string(into: Slice, length: number): void {
    const at = this.#take(length);
    into.set(this.#bytes, at, at + length);
  }

  #checkBackLength(length: number): void {
    const size = backLengthBytes(length);
    const at = this.#take(size);
    let rest = length;
    for (let i = size - 1; i >= 0; i--) {
      const expected = (rest & 127) | (i === 0 ? 0 : 128);
      demand(this.#bytes[at + i] === expected, "listpack back length");
      rest = Math.floor(rest / 128);
    }
  }
}
