/**
 * All types of values seen as one: elements one after the other, for what writes values down (DUMP,
 * migration, the append-only file).
 *
 *   string, list, set   first = the string, item, member
 *   hash                first = field, second = value
 *   sorted set          first = member, score
 *
 * The value must not change while it is walked.
 */

import type { Arena } from "../arena/arena.ts";
import {
  entryKind,
  entryMemory,
  entryValueLength,
  entryValueOffset,
  entryValueWord,
} from "../arena/entry.ts";
import { type ByteRange, createByteRange } from "../types/byte-range.ts";
import { HashWalk, hashLength } from "../types/hash.ts";
import { ListWalk, listLength } from "../types/list.ts";
import { SetWalk, setLength } from "../types/set.ts";
import { HASH, LIST, SET, STRING } from "../types/value-type.ts";
import { ZsetWalk, zsetLength } from "../types/zset.ts";

export class ValueWalk {
  /** LIST, SET, ... of value-type.ts. */
  type = STRING;
  /** How many elements there are in all; 1 for a string. */
  count = 0;
  /** What `next` shows; valid until the value changes. */
  first: ByteRange = createByteRange();
  second: ByteRange = createByteRange();
  score = 0;

  readonly #string = createByteRange();
  #stringLeft = false;
  readonly #list = new ListWalk();
  readonly #set = new SetWalk();
  readonly #hash = new HashWalk();
  readonly #zset = new ZsetWalk();

  /**
   * Starts before the first element of the value of the key in `entry`.
   * @param descends sorted sets are walked from their last member to the first
   */
  begin(arena: Arena, entry: number, descends = false): void {
    this.type = entryKind(arena, entry);
    const ref = entryValueWord(arena, entry);
    switch (this.type) {
      case STRING: {
        const range = this.#string;
        range.bytes = entryMemory(arena, entry);
        range.start = entryValueOffset(arena, entry);
        range.end = range.start + entryValueLength(arena, entry);
        this.first = range;
        this.#stringLeft = true;
        this.count = 1;
        break;
      }
      case LIST:
        this.#list.begin(arena, ref, 0, false);
        this.first = this.#list.element;
        this.count = listLength(arena, ref);
        break;
      case SET:
        this.#set.begin(arena, ref);
        this.first = this.#set.member;
        this.count = setLength(arena, ref);
        break;
      case HASH:
        this.#hash.begin(arena, ref);
        this.first = this.#hash.field;
        this.second = this.#hash.value;
        this.count = hashLength(arena, ref);
        break;
      default:
        this.count = zsetLength(arena, ref);
        this.#zset.begin(arena, ref, descends ? this.count - 1 : 0, descends);
        this.first = this.#zset.member;
    }
  }

  /** Shows the next element; false after the last one. */
  next(): boolean {
    switch (this.type) {
      case STRING: {
        const left = this.#stringLeft;
        this.#stringLeft = false;
        return left;
      }
      case LIST:
        return this.#list.next();
      case SET:
        return this.#set.next();
      case HASH:
        return this.#hash.next();
      default: {
        const found = this.#zset.next();
        this.score = this.#zset.score;
        return found;
      }
    }
  }
}
