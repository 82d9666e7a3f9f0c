/**
 * Hashes: fields with values. Small ones are pairs of strings in one block (packed.ts), large ones
 * a dictionary of the arena whose entries hold the value's bytes. Which one it is only this file
 * knows.
 *
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
import {
  createHead,
  FORM_PACKED,
  FORM_TABLE,
  headBody,
  headCount,
  headForm,
  setHead,
  setHeadCount,
} from "./head.ts";
import {
  copyPacked,
  findString,
  freeBlock,
  freePacked,
  PACKED_BYTES_MAX,
  PackedWalk,
  packedBytes,
  packedUsed,
  showString,
  shrinkBlock,
  skipString,
  skipStrings,
  splice,
  stringBytes,
  writeString,
} from "./packed.ts";
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
  return createHead(arena, FORM_PACKED, 0, 0, 0);
}

function isTable(arena: Arena, head: number): boolean {
  return headForm(arena, head) === FORM_TABLE;
}

/** Fields held. */
export function hashLength(arena: Arena, head: number): number {
  return isTable(arena, head) ? dictCount(arena, headBody(arena, head)) : headCount(arena, head);
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
  if (isTable(arena, head)) {
    const hash = memberHash(buf, from, to);
    const entry = dictFind(arena, headBody(arena, head), hash, buf, from, to);
    if (entry !== 0) showValue(arena, entry, value);
    return entry !== 0;
  }
  const position = findString(arena, head, 0, true, buf, from, to);
  if (position < 0) return false;
  showString(arena, head, position + stringBytes(to - from), value);
  return true;
}

/**
 * Sets the field `buf[from, to)` to `source[start, end)`, neither of which may lie in this hash.
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
  if (!isTable(arena, head)) {
    if (staysPacked(arena, head, to - from, end - start)) {
      const isNew = setInPacked(arena, head, buf, from, to, source, start, end);
      // Counted after the change and at every one, as in Redis: the limit may have been lowered.
      if (headCount(arena, head) > arena.limits["hash-max-listpack-entries"]) toTable(arena, head);
      return isNew;
    }
    toTable(arena, head);
  }
  return setInTable(arena, headBody(arena, head), buf, from, to, source, start, end);
}

function staysPacked(arena: Arena, head: number, fieldBytes: number, valueBytes: number): boolean {
  const max = arena.limits["hash-max-listpack-value"];
  if (fieldBytes > max || valueBytes > max) return false;
  const added = stringBytes(fieldBytes) + stringBytes(valueBytes);
  return packedUsed(arena, head) + added <= PACKED_BYTES_MAX;
}

function setInPacked(
  arena: Arena,
  head: number,
  buf: Buffer,
  from: number,
  to: number,
  source: Buffer,
  start: number,
  end: number,
): boolean {
  const fieldBytes = stringBytes(to - from);
  const valueBytes = stringBytes(end - start);
  const position = findString(arena, head, 0, true, buf, from, to);
  if (position >= 0) {
    const valueAt = position + fieldBytes;
    splice(arena, head, valueAt, skipString(arena, head, valueAt) - valueAt, valueBytes);
    writeString(arena, head, valueAt, source, start, end);
    return false;
  }
  const last = packedUsed(arena, head);
  splice(arena, head, last, 0, fieldBytes + valueBytes);
  writeString(arena, head, last, buf, from, to);
  writeString(arena, head, last + fieldBytes, source, start, end);
  setHeadCount(arena, head, headCount(arena, head) + 1);
  return true;
}

function setInTable(
  arena: Arena,
  dict: number,
  buf: Buffer,
  from: number,
  to: number,
  source: Buffer,
  start: number,
  end: number,
): boolean {
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

const convertWalk = new PackedWalk();
const movingField = createByteRange();
const movingValue = createByteRange();

function toTable(arena: Arena, head: number): void {
  const dict = createDict(arena);
  convertWalk.begin(arena, head, 0);
  while (convertWalk.next(movingField) && convertWalk.next(movingValue)) {
    const { bytes, start, end } = movingValue;
    const { start: from, end: to } = movingField;
    setInTable(arena, dict, movingField.bytes, from, to, bytes, start, end);
  }
  freeBlock(arena, head);
  setHead(arena, head, FORM_TABLE, 0, dict, 0, 0);
}

/** Removes the field `buf[from, to)`. Returns whether it was there. */
export function hashRemove(
  arena: Arena,
  head: number,
  buf: Buffer,
  from: number,
  to: number,
): boolean {
  if (isTable(arena, head)) return tableRemove(arena, headBody(arena, head), buf, from, to);
  const position = findString(arena, head, 0, true, buf, from, to);
  if (position < 0) return false;
  splice(arena, head, position, skipStrings(arena, head, position, 2) - position, 0);
  setHeadCount(arena, head, headCount(arena, head) - 1);
  shrinkBlock(arena, head);
  return true;
}

/** A field at random into `field` and `value`; `random` gives [0, 1). The hash is not empty. */
export function hashRandom(
  arena: Arena,
  head: number,
  random: () => number,
  field: ByteRange,
  value: ByteRange,
): void {
  if (isTable(arena, head)) {
    const entry = tableRandom(arena, headBody(arena, head), random);
    showName(arena, entry, field);
    showValue(arena, entry, value);
    return;
  }
  const i = Math.floor(random() * headCount(arena, head));
  const position = skipStrings(arena, head, 0, 2 * i);
  showString(arena, head, position, field);
  showString(arena, head, skipString(arena, head, position), value);
}

/**
 * Goes through a hash that does not change meanwhile, in no particular order:
 * `walk.begin(arena, head); while (walk.next()) use(walk.field, walk.value)`.
 */
export class HashWalk {
  readonly field: ByteRange = createByteRange();
  readonly value: ByteRange = createByteRange();
  readonly #table = new TableWalk();
  readonly #packed = new PackedWalk();
  #arena: Arena | undefined;
  #isTable = false;

  begin(arena: Arena, head: number): void {
    this.#arena = arena;
    this.#isTable = isTable(arena, head);
    if (this.#isTable) this.#table.begin(arena, headBody(arena, head));
    else this.#packed.begin(arena, head, 0);
  }

  /**
   * Instead of `begin`: goes through the fields of one step of a scan. Small hashes have one step.
   * @param cursor 0 to start, then what the last step answered
   * @returns the next cursor (u32); 0 when this step is the last
   */
  beginScan(arena: Arena, head: number, cursor: number): number {
    this.begin(arena, head);
    return this.#isTable ? this.#table.beginScan(arena, headBody(arena, head), cursor) : 0;
  }

  /** Shows the next field; false after the last one. */
  next(): boolean {
    if (!this.#isTable) return this.#packed.next(this.field) && this.#packed.next(this.value);
    const arena = this.#arena!;
    const entry = this.#table.next();
    if (entry === 0) return false;
    showName(arena, entry, this.field);
    showValue(arena, entry, this.value);
    return true;
  }
}

function showValue(arena: Arena, entry: number, value: ByteRange): void {
  const start = entryValueOffset(arena, entry);
  value.bytes = entryMemory(arena, entry);
  value.start = start;
  value.end = start + entryValueLength(arena, entry);
}

// -- for the key space ----------------------------------------------------------------------------

function freeHash(arena: Arena, head: number, budget: number): number {
  if (!isTable(arena, head)) return freePacked(arena, head, budget);
  return freeHeadAndTable(arena, head, budget);
}

/** A copy of a hash; its ref. */
function copyHash(arena: Arena, head: number): number {
  if (!isTable(arena, head)) return copyPacked(arena, head, FORM_PACKED, 0);
  const dict = createDict(arena);
  const walk = new HashWalk();
  walk.begin(arena, head);
  while (walk.next()) {
    const { bytes, start, end } = walk.value;
    setInTable(arena, dict, walk.field.bytes, walk.field.start, walk.field.end, bytes, start, end);
  }
  return createHead(arena, FORM_TABLE, 0, dict, 0);
}

function hashBytes(arena: Arena, head: number, samples: number): number {
  if (!isTable(arena, head)) return packedBytes(arena, head);
  return headAndTableBytes(arena, head, samples);
}

/** What the key space must know of hashes. */
export const HASH_TYPE: ValueType = {
  name: "hash",
  release: freeHash,
  copy: copyHash,
  encoding: (arena, head) => (isTable(arena, head) ? "hashtable" : "listpack"),
  bytes: hashBytes,
};
