/**
 * Sets. All integers, sorted in one block (intset.ts); other small ones, strings in one block
 * (packed.ts); large ones, a dictionary of the arena whose entries have no value. Which one it is
 * only this file knows.
 *
 * Named by the ref of a head block (head.ts); `head` below is that ref. Never empty for longer than
 * a command: whoever removes the last member removes the key.
 */

import type { Arena } from "../arena/arena.ts";
import { createDict, dictCount, dictFind, dictInsert } from "../arena/dict.ts";
import { createEntry } from "../arena/entry.ts";
import { type ByteRange, createByteRange } from "./byte-range.ts";
import {
  createHead,
  FORM_INTS,
  FORM_PACKED,
  FORM_TABLE,
  headBody,
  headCount,
  headForm,
  headWidth,
  setHead,
  setHeadCount,
} from "./head.ts";
import { INT64_TEXT_BYTES, type Int64, readInt64 } from "./int64.ts";
import { addInt, createInts, intsHave, removeInt, showInt } from "./intset.ts";
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

/** An empty set. */
export function createSet(arena: Arena): number {
  return createInts(arena);
}

/** Members held. */
export function setLength(arena: Arena, head: number): number {
  const isTable = headForm(arena, head) === FORM_TABLE;
  return isTable ? dictCount(arena, headBody(arena, head)) : headCount(arena, head);
}

/** The integer that the member asked for is. */
const asked: Int64 = { high: 0, low: 0 };

/** Whether `buf[from, to)` is a member. */
export function setHas(arena: Arena, head: number, buf: Buffer, from: number, to: number): boolean {
  const form = headForm(arena, head);
  if (form === FORM_INTS) {
    return readInt64(buf, from, to, asked) && intsHave(arena, head, asked);
  }
  if (form === FORM_PACKED) return findString(arena, head, 0, false, buf, from, to) >= 0;
  return dictFind(arena, headBody(arena, head), memberHash(buf, from, to), buf, from, to) !== 0;
}

/** Adds the member `buf[from, to)`, which must not lie in this set. Returns whether it is new. */
export function setAdd(arena: Arena, head: number, buf: Buffer, from: number, to: number): boolean {
  const form = headForm(arena, head);
  if (form === FORM_TABLE) return addToTable(arena, headBody(arena, head), buf, from, to);
  if (form === FORM_INTS) {
    if (readInt64(buf, from, to, asked)) return addToInts(arena, head);
    const last = headCount(arena, head) - 1;
    const longest = Math.max(to - from, intLength(arena, head, 0), intLength(arena, head, last));
    if (staysPacked(arena, head, longest)) intsToPacked(arena, head);
    else toTable(arena, head);
    return setAdd(arena, head, buf, from, to);
  }
  if (findString(arena, head, 0, false, buf, from, to) >= 0) return false;
  if (staysPacked(arena, head, to - from)) {
    appendPacked(arena, head, buf, from, to);
    return true;
  }
  toTable(arena, head);
  return addToTable(arena, headBody(arena, head), buf, from, to);
}

/** Adds the integer `asked`. */
function addToInts(arena: Arena, head: number): boolean {
  if (!addInt(arena, head, asked)) return false;
  const max = arena.limits["set-max-intset-entries"];
  if (headCount(arena, head) > max || packedUsed(arena, head) > PACKED_BYTES_MAX) {
    toTable(arena, head);
  }
  return true;
}

/** One member more leaves the set within the limits of its packed form. */
function staysPacked(arena: Arena, head: number, longest: number): boolean {
  const { limits } = arena;
  return (
    headCount(arena, head) < limits["set-max-listpack-entries"] &&
    longest <= limits["set-max-listpack-value"] &&
    packedUsed(arena, head) + stringBytes(longest) <= PACKED_BYTES_MAX
  );
}

function appendPacked(arena: Arena, head: number, buf: Buffer, from: number, to: number): void {
  const position = packedUsed(arena, head);
  splice(arena, head, position, 0, stringBytes(to - from));
  writeString(arena, head, position, buf, from, to);
  setHeadCount(arena, head, headCount(arena, head) + 1);
}

function addToTable(arena: Arena, dict: number, buf: Buffer, from: number, to: number): boolean {
  const hash = memberHash(buf, from, to);
  if (dictFind(arena, dict, hash, buf, from, to) !== 0) return false;
  dictInsert(arena, dict, createEntry(arena, hash, 0, buf, from, to, 0));
  return true;
}

// -- from one form to the next --------------------------------------------------------------------

const convertWalk = new PackedWalk();
const moving = createByteRange();
const movingText = Buffer.alloc(INT64_TEXT_BYTES);

/** Length of the text of the member of index `i` of a set of integers; 0 when there is none. */
function intLength(arena: Arena, head: number, i: number): number {
  if (i < 0 || i >= headCount(arena, head)) return 0;
  showInt(arena, head, i, movingText, moving);
  return moving.end;
}

function intsToPacked(arena: Arena, head: number): void {
  const packed = createHead(arena, FORM_PACKED, 0, 0, 0);
  for (let i = 0; i < headCount(arena, head); i++) {
    showInt(arena, head, i, movingText, moving);
    appendPacked(arena, packed, moving.bytes, moving.start, moving.end);
  }
  freeBlock(arena, head);
  const body = headBody(arena, packed);
  setHead(arena, head, FORM_PACKED, 0, body, packedUsed(arena, packed), headCount(arena, packed));
  arena.free(packed);
}

function toTable(arena: Arena, head: number): void {
  const dict = createDict(arena);
  if (headForm(arena, head) === FORM_INTS) {
    for (let i = 0; i < headCount(arena, head); i++) {
      showInt(arena, head, i, movingText, moving);
      addToTable(arena, dict, moving.bytes, moving.start, moving.end);
    }
  } else {
    convertWalk.begin(arena, head, 0);
    while (convertWalk.next(moving)) {
      addToTable(arena, dict, moving.bytes, moving.start, moving.end);
    }
  }
  freeBlock(arena, head);
  setHead(arena, head, FORM_TABLE, 0, dict, 0, 0);
}

// -------------------------------------------------------------------------------------------------

/** Removes the member `buf[from, to)`. Returns whether it was there. */
export function setRemove(
  arena: Arena,
  head: number,
  buf: Buffer,
  from: number,
  to: number,
): boolean {
  const form = headForm(arena, head);
  if (form === FORM_TABLE) return tableRemove(arena, headBody(arena, head), buf, from, to);
  if (form === FORM_INTS) {
    return readInt64(buf, from, to, asked) && removeInt(arena, head, asked);
  }
  const position = findString(arena, head, 0, false, buf, from, to);
  if (position < 0) return false;
  splice(arena, head, position, stringBytes(to - from), 0);
  setHeadCount(arena, head, headCount(arena, head) - 1);
  shrinkBlock(arena, head);
  return true;
}

const randomText = Buffer.alloc(INT64_TEXT_BYTES);

/**
 * A member at random into `member`, valid until the next call; `random` gives [0, 1). The set is
 * not empty.
 */
export function setRandom(
  arena: Arena,
  head: number,
  random: () => number,
  member: ByteRange,
): void {
  const form = headForm(arena, head);
  if (form === FORM_TABLE) {
    showName(arena, tableRandom(arena, headBody(arena, head), random), member);
    return;
  }
  const i = Math.floor(random() * headCount(arena, head));
  if (form === FORM_INTS) showInt(arena, head, i, randomText, member);
  else showString(arena, head, skipStrings(arena, head, 0, i), member);
}

/**
 * Goes through a set that does not change meanwhile, in no particular order:
 * `walk.begin(arena, head); while (walk.next()) use(walk.member)`. A member is shown until the
 * next one is.
 */
export class SetWalk {
  readonly member: ByteRange = createByteRange();
  readonly #table = new TableWalk();
  readonly #packed = new PackedWalk();
  readonly #text = Buffer.alloc(INT64_TEXT_BYTES);
  #arena: Arena | undefined;
  #head = 0;
  #form = 0;
  /** Of integers: index of the next member. */
  #index = 0;

  begin(arena: Arena, head: number): void {
    this.#arena = arena;
    this.#head = head;
    this.#form = headForm(arena, head);
    this.#index = 0;
    if (this.#form === FORM_TABLE) this.#table.begin(arena, headBody(arena, head));
    else if (this.#form === FORM_PACKED) this.#packed.begin(arena, head, 0);
  }

  /**
   * Instead of `begin`: goes through the members of one step of a scan. Small sets have one step.
   * @param cursor 0 to start, then what the last step answered
   * @returns the next cursor (u32); 0 when this step is the last
   */
  beginScan(arena: Arena, head: number, cursor: number): number {
    this.begin(arena, head);
    if (this.#form !== FORM_TABLE) return 0;
    return this.#table.beginScan(arena, headBody(arena, head), cursor);
  }

  /** Shows the next member; false after the last one. */
  next(): boolean {
    const arena = this.#arena!;
    if (this.#form === FORM_PACKED) return this.#packed.next(this.member);
    if (this.#form === FORM_INTS) {
      if (this.#index === headCount(arena, this.#head)) return false;
      showInt(arena, this.#head, this.#index++, this.#text, this.member);
      return true;
    }
    const entry = this.#table.next();
    if (entry === 0) return false;
    showName(arena, entry, this.member);
    return true;
  }
}

// -- for the key space ----------------------------------------------------------------------------

function freeSet(arena: Arena, head: number, budget: number): number {
  const isTable = headForm(arena, head) === FORM_TABLE;
  return isTable ? freeHeadAndTable(arena, head, budget) : freePacked(arena, head, budget);
}

/** A copy of a set; its ref. */
function copySet(arena: Arena, head: number): number {
  const form = headForm(arena, head);
  if (form !== FORM_TABLE) return copyPacked(arena, head, form, headWidth(arena, head));
  const copy = createSet(arena);
  toTable(arena, copy);
  const walk = new SetWalk();
  walk.begin(arena, head);
  while (walk.next()) {
    setAdd(arena, copy, walk.member.bytes, walk.member.start, walk.member.end);
  }
  return copy;
}

const ENCODINGS: Readonly<Record<number, string>> = {
  [FORM_TABLE]: "hashtable",
  [FORM_PACKED]: "listpack",
  [FORM_INTS]: "intset",
};

function setBytes(arena: Arena, head: number, samples: number): number {
  const isTable = headForm(arena, head) === FORM_TABLE;
  return isTable ? headAndTableBytes(arena, head, samples) : packedBytes(arena, head);
}

/** What the key space must know of sets. */
export const SET_TYPE: ValueType = {
  name: "set",
  release: freeSet,
  copy: copySet,
  encoding: (arena, head) => ENCODINGS[headForm(arena, head)]!,
  bytes: setBytes,
};
