/**
 * Pure: intset, how Redis keeps small sets of integers (RDB type 11).
 * Layout: u32 LE width (2, 4 or 8), u32 LE count, then the integers, LE, ascending without repeats.
 * Source: Redis intset.c.
 */

import { demand, type ElementReader, type Slice } from "./slice.ts";

const HEADER_BYTES = 8;

export class IntsetReader implements ElementReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  readonly #width: number;
  #at: number;
  #last: bigint | undefined;

  /** @param bytes the intset is `bytes[start, end)`, all of it */
  constructor(bytes: Buffer, start: number, end: number) {
    demand(end - start >= HEADER_BYTES, "intset header cut");
    this.#bytes = bytes;
    this.#end = end;
    this.#at = start + HEADER_BYTES;
    this.#width = bytes.readUInt32LE(start);
    demand(this.#width === 2 || this.#width === 4 || this.#width === 8, "intset width");
    const count = bytes.readUInt32LE(start + 4);
    demand(end - this.#at === count * this.#width, "intset length");
  }

  next(into: Slice): boolean {
    if (this.#at === this.#end) return false;
    const value = this.#read();
    demand(this.#last === undefined || value > this.#last, "intset order");
    this.#last = value;
    this.#at += this.#width;
    into.setInteger(value);
    return true;
  }

  #read(): bigint {
    if (this.#width === 8) return this.#bytes.readBigInt64LE(this.#at);
    if (this.#width === 4) return BigInt(this.#bytes.readInt32LE(this.#at));
    return BigInt(this.#bytes.readInt16LE(this.#at));
  }
}
