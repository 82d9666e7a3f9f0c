/**
 * Pure: zipmap, how Redis before 2.6 kept small hashes (RDB type 9, read only).
 * Layout: count (254 and more: unknown), then length, key, length, free byte, value, as many unused
 * bytes as the free byte says, ..., 0xff. A length of 254 stands for the u32 LE after it.
 * Source: Redis zipmap.c (`zipmapValidateIntegrity`). Gives key, value, key, value, ...
 */

import { demand, type ElementReader, type Slice } from "./slice.ts";

const END = 0xff;
const LONG_LENGTH = 254;

export class ZipmapReader implements ElementReader {
  readonly #bytes: Buffer;
  /** Index of the closing 0xff. */
  readonly #end: number;
  readonly #count: number;
  #at: number;
  #seen = 0;
  #valueNext = false;

  /** @param bytes the zipmap is `bytes[start, end)`, all of it */
  constructor(bytes: Buffer, start: number, end: number) {
    demand(end - start >= 2, "zipmap cut");
    demand(bytes[end - 1] === END, "zipmap end");
    this.#bytes = bytes;
    this.#end = end - 1;
    this.#count = bytes[start]!;
    this.#at = start + 1;
  }

  next(into: Slice): boolean {
    if (this.#at === this.#end) {
      demand(!this.#valueNext, "zipmap key without value");
      demand(this.#count >= LONG_LENGTH || this.#count === this.#seen, "zipmap count");
      return false;
    }
    const length = this.#length();
    const free = this.#valueNext ? this.#bytes[this.#take(1)]! : 0;
    const at = this.#take(length);
    this.#take(free);
    into.set(this.#bytes, at, at + length);
    if (this.#valueNext) this.#seen++;
    this.#valueNext = !this.#valueNext;
    return true;
  }

  /** Moves over `count` bytes and gives where they began. */
  #take(count: number): number {
    const at = this.#at;
    demand(at + count <= this.#end, "zipmap entry cut");
    this.#at = at + count;
    return at;
  }

  #length(): number {
    const first = this.#bytes[this.#take(1)]!;
    demand(first !== END, "zipmap ends early");
    return first === LONG_LENGTH ? this.#bytes.readUInt32LE(this.#take(4)) : first;
  }
}
