/**
 * Hashes: fields with values, in a dictionary of the arena whose entries hold the value's bytes.
 * Named by the ref of a head block (head.ts); `head` below is that ref. Never empty for longer than
 * a command: whoever removes the last field removes the key.
 */

import { copyBytes } from "../../base/bytes.ts";
import type { Arena } from "../arena/arena.ts";
import { createDict, dictCount, dictFind, dictInsert, dictReplace } from "../arena/dict.ts";
import {
  createEntry,
  entryMemory,
  entryValueLength,
  entryValueOffset,
  resizeEntry,
} from "../arena/entry.ts";
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

/** An empty hash. */
export function createHash(arena: Arena): number {
  return createHead(arena, FORM_TABLE, createDict(arena), 0);
}

/** Fields held. */
export function hashLength(arena: Arena, head: number): number {
  return dictCount(arena, headBody(arena, head));
}

/**
 * Looks up the field `buf[from, to)` and shows its value in `value`.
 * @returns whether it is there; when not, `value` is as it was
 */
export function hashGet(
  arena: Arena,
  head: number,
  buf: Buffer,
  from: number,
  to: number,
  value: ByteRange,
): boolean {
  const entry = dictFind(arena, headBody(arena, head), memberHash(buf, from, to), buf, from, to);
  if (entry === 0) return false;
  showValue(arena, entry, value);
  return true;
}

/**
 * Sets the field `buf[from, to)` to `source[start, end)`, which must not lie in this hash.
 * @returns whether the field is new
 */
export function hashSet(
  arena: Arena,
  head: number,
  buf: Buffer,
  from: number,
  to: number,
  source: Buffer,
  start: number,
  end: number,
): boolean {
  const dict = headBody(arena, head);
  const hash = memberHash(buf, from, to);
  const found = dictFind(arena, dict, hash, buf, from, to);
  const isNew = found === 0;
  let entry = found;
  if (isNew) {
    entry = createEntry(arena, hash, 0, buf, from, to, end - start);
    dictInsert(arena, dict, entry);
  } else if (entryValueLength(arena, entry) !== end - start) {
    entry = resizeEntry(arena, found, 0, end - start, 0);
    if (entry !== found) dictReplace(arena, dict, found, entry);
  }
  copyBytes(source, start, end, entryMemory(arena, entry), entryValueOffset(arena, entry));
  return isNew;
}

/** Removes the field `buf[from, to)`. Returns whether it was there. */
export function hashRemove(
  arena: Arena,
  head: number,
  buf: Buffer,
  from: number,
  to: number,
): boolean {
  return tableRemove(arena, headBody(arena, head), buf, from, to);
}

/** A field at random into `field` and `value`; `random` gives [0, 1). The hash is not empty. */
export function hashRandom(
  arena: Arena,
  head: number,
  random: () => number,
  field: ByteRange,
  value: ByteRange,
): void {
  const entry = tableRandom(arena, headBody(arena, head), random);
  showName(arena, entry, field);
  showValue(arena, entry, value);
}

/**
 * Goes through a hash that does not change meanwhile, in no particular order:
 * `walk.begin(arena, head); while (walk.next()) use(walk.field, walk.value)`.
 */
export class HashWalk {
  readonly field: ByteRange = createByteRange();
  readonly value: ByteRange = createByteRange();
  readonly #table = new TableWalk();
  #arena: Arena | undefined;

  begin(arena: Arena, head: number): void {
    this.#arena = arena;
    this.#table.begin(arena, headBody(arena, head));
  }

  /**
   * Instead of `begin`: goes through the fields of one step of a scan.
   * @param cursor 0 to start, then what the last step answered
   * @returns the next cursor (u32); 0 when this step is the last
   */
  beginScan(arena: Arena, head: number, cursor: number): number {
    this.#arena = arena;
    return this.#table.beginScan(arena, headBody(arena, head), cursor);
  }

  /** Shows the next field; false after the last one. */
  next(): boolean {
    const arena = this.#arena!;
    const entry = this.#table.next();
    if (entry === 0) return false;
    showName(arena, entry, this.field);
    showValue(arena, entry, this.value);
    return true;
  }
}

/** A copy of a hash; its ref. */
function copyHash(arena: Arena, head: number): number {
  const copy = createHash(arena);
  const walk = new HashWalk();
  walk.begin(arena, head);
  while (walk.next()) {
    const { field, value } = walk;
    hashSet(arena, copy, field.bytes, field.start, field.end, value.bytes, value.start, value.end);
  }
  return copy;
}

/** What the key space must know of hashes. */
export const HASH_TYPE: ValueType = {
  name: "hash",
  release: freeHeadAndTable,
  copy: copyHash,
  encoding: () => "hashtable",
  bytes: headAndTableBytes,
};

function showValue(arena: Arena, entry: number, value: ByteRange): void {
  const start = entryValueOffset(arena, entry);
  value.bytes = entryMemory(arena, entry);
  value.start = start;
  value.end = start + entryValueLength(arena, entry);
}
