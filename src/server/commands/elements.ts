/**
 * The fields or members of one collection as scans and random picks go through them, whatever its
 * type: a hash, a set or a sorted set says in an `ElementsKind` how it is walked and what it shows.
 */

import type { Arena } from "../arena/arena.ts";
import type { Call } from "../call.ts";
import type { ByteRange } from "../types/byte-range.ts";
import { replyRange } from "./collections.ts";

/** What is to be known of a type of collections. */
export interface ElementsKind {
  /** As in value-type.ts. */
  readonly type: number;
  /** Shared by all commands of the type: one goes through its elements at a time. */
  readonly walk: {
    begin(arena: Arena, head: number): void;
    beginScan(arena: Arena, head: number, cursor: number): number;
    next(): boolean;
  };
  /** Name of the element that `walk` or `random` showed last. */
  readonly shown: ByteRange;
  length(arena: Arena, head: number): number;
  /** Shows an element at random; there is one. */
  random(arena: Arena, head: number): void;
  /** Replies the value or score of the element shown last; absent where elements have none. */
  replyValue?(call: Call): void;
}

export class Elements {
  /** Replies that one element gives: 2 with its value or score. */
  readonly width: number;
  readonly shown: ByteRange;
  readonly #call: Call;
  readonly #head: number;
  readonly #kind: ElementsKind;

  /** @param isWide values or scores are wanted, where there are any */
  constructor(call: Call, head: number, kind: ElementsKind, isWide: boolean) {
    this.#call = call;
    this.#head = head;
    this.#kind = kind;
    this.shown = kind.shown;
    this.width = isWide && kind.replyValue !== undefined ? 2 : 1;
  }

  get length(): number {
    return this.#kind.length(this.#call.arena, this.#head);
  }

  /** Begins to show all elements, by `next`. */
  begin(): void {
    this.#kind.walk.begin(this.#call.arena, this.#head);
  }

  /** Begins to show those of one step of a scan. Returns the next cursor, 0 after the last step. */
  beginScan(cursor: number): number {
    return this.#kind.walk.beginScan(this.#call.arena, this.#head, cursor);
  }

  /** Shows the next element; false after the last one. */
  next(): boolean {
    return this.#kind.walk.next();
  }

  /** Shows an element at random; there is one. */
  random(): void {
    this.#kind.random(this.#call.arena, this.#head);
  }

  /** Replies the element shown last. */
  reply(): void {
    replyRange(this.#call, this.shown);
    if (this.width === 2) this.#kind.replyValue!(this.#call);
  }
}
