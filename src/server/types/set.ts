/**
 * Sets: members in a dictionary of the arena whose entries have no value. Named by the ref of a
 * head block (head.ts); `head` below is that ref. Never empty for longer than a command: whoever
 * removes the last member removes the key.
 */

import type { Arena } from "../arena/arena.ts";
import { createDict, dictCount, dictFind, dictInsert } from "../arena/dict.ts";
import { createEntry } from "../arena/entry.ts";
import { type ByteRange, createByteRange } from "./byte-range.ts";
import { createHead, FORM_TABLE, headBody } from "./head.ts";
import {
  freeHeadAndTable,
  headAndTableBytes,
  memberHash,
  showName,
  TableWalk,
  tableRandom,
  tableRemove,
} from "./table.ts";
import type { ValueType } from "./value-type.ts";

/** An empty set. */
export function createSet(arena: Arena): number {
  return createHead(arena, FORM_TABLE, createDict(arena), 0);
}

/** Members held. */
export function setLength(arena: Arena, head: number): number {
  return dictCount(arena, headBody(arena, head));
}

/** Whether `buf[from, to)` is a member. */
export function setHas(arena: Arena, head: number, buf: Buffer, from: number, to: number): boolean {
  return dictFind(arena, headBody(arena, head), memberHash(buf, from, to), buf, from, to) !== 0;
}

/** Adds the member `buf[from, to)`. Returns whether it is new. */
export function setAdd(arena: Arena, head: number, buf: Buffer, from: number, to: number): boolean {
  const dict = headBody(arena, head);
  const hash = memberHash(buf, from, to);
  if (dictFind(arena, dict, hash, buf, from, to) !== 0) return false;
  dictInsert(arena, dict, createEntry(arena, hash, 0, buf, from, to, 0));
  return true;
}

/** Removes the member `buf[from, to)`. Returns whether it was there. */
export function setRemove(
  arena: Arena,
  head: number,
  buf: Buffer,
  from: number,
  to: number,
): boolean {
  return tableRemove(arena, headBody(arena, head), buf, from, to);
}

/** A member at random into `member`; `random` gives [0, 1). The set is not empty. */
export function setRandom(
  arena: Arena,
  head: number,
  random: () => number,
  member: ByteRange,
): void {
  showName(arena, tableRandom(arena, headBody(arena, head), random), member);
}

/**
 * Goes through a set that does not change meanwhile, in no particular order:
 * `walk.begin(arena, head); while (walk.next()) use(walk.member)`.
 */
export class SetWalk {
  readonly member: ByteRange = createByteRange();
  readonly #table = new TableWalk();
  #arena: Arena | undefined;

  begin(arena: Arena, head: number): void {
    this.#arena = arena;
    this.#table.begin(arena, headBody(arena, head));
  }

  /**
   * Instead of `begin`: goes through the members of one step of a scan.
   * @param cursor 0 to start, then what the last step answered
   * @returns the next cursor (u32); 0 when this step is the last
   */
  beginScan(arena: Arena, head: number, cursor: number): number {
    this.#arena = arena;
    return this.#table.beginScan(arena, headBody(arena, head), cursor);
  }

  /** Shows the next member; false after the last one. */
  next(): boolean {
    const arena = this.#arena!;
    const entry = this.#table.next();
    if (entry === 0) return false;
    showName(arena, entry, this.member);
    return true;
  }
}

/** A copy of a set; its ref. */
function copySet(arena: Arena, head: number): number {
  const copy = createSet(arena);
  const walk = new SetWalk();
  walk.begin(arena, head);
  while (walk.next()) {
    setAdd(arena, copy, walk.member.bytes, walk.member.start, walk.member.end);
  }
  return copy;
}

/** What the key space must know of sets. */
export const SET_TYPE: ValueType = {
  name: "set",
  release: freeHeadAndTable,
  copy: copySet,
  encoding: () => "hashtable",
  bytes: headAndTableBytes,
};
