/**
 * SORT and SORT_RO: the elements of a list, set or sorted set, in order of themselves or of what
 * other keys hold, replied or stored as a list.
 *
 *   key ──> elements ──BY──> weights ──> order ──LIMIT──> GET ──> reply | list
 *
 * Elements and weights stay where they lie, but for members of sets, which a walk shows one at a
 * time; what is ordered are indexes. Source of texts and details: Redis 7.0 src/sort.c. Where Redis
 * compares by the locale (ALPHA), we compare bytes.
 */

import { compareBytes, EMPTY_BYTES } from "../../base/bytes.ts";
import {
  entryKind,
  entryMemory,
  entryValueLength,
  entryValueOffset,
  entryValueWord,
} from "../arena/entry.ts";
import {
  argEnd,
  argInteger,
  argIs,
  argStart,
  type Call,
  failSyntax,
  type Handler,
  lookupRead,
} from "../call.ts";
import { parseDouble } from "../double.ts";
import { ReplyError, WRONG_TYPE_ERROR } from "../replies.ts";
import { type ByteRange, createByteRange } from "../types/byte-range.ts";
import { hashGet } from "../types/hash.ts";
import { createList, ListWalk, listLength, pushLast } from "../types/list.ts";
import { SetWalk } from "../types/set.ts";
import { HASH, isString, LIST, SET, ZSET } from "../types/value-type.ts";
import { ZsetWalk, zsetLength } from "../types/zset.ts";
import { checkKeyLength, replyRange, storeHead } from "./collections.ts";

const STAR = 0x2a;
const HASH_SIGN = 0x23;
const DASH = 0x2d;
const GREATER = 0x3e;

interface SortOptions {
  isDescending: boolean;
  isAlphabetic: boolean;
  /** BY's pattern; 0 for none. */
  by: number;
  /** BY a pattern without `*`: no order. */
  isUnordered: boolean;
  /** GET's patterns. */
  gets: number[];
  offset: number;
  /** -1 for all. */
  limit: number;
  /** STORE's key; 0 for none. */
  target: number;
}

function readOptions(call: Call, isReadOnly: boolean): SortOptions {
  const options: SortOptions = {
    isDescending: false,
    isAlphabetic: false,
    by: 0,
    isUnordered: false,
    gets: [],
    offset: 0,
    limit: -1,
    target: 0,
  };
  for (let i = 2; i < call.argc; i++) {
    const left = call.argc - i - 1;
    if (argIs(call, i, "asc")) options.isDescending = false;
    else if (argIs(call, i, "desc")) options.isDescending = true;
    else if (argIs(call, i, "alpha")) options.isAlphabetic = true;
    else if (left >= 2 && argIs(call, i, "limit")) {
      options.offset = argInteger(call, ++i);
      options.limit = argInteger(call, ++i);
    } else if (!isReadOnly && left >= 1 && argIs(call, i, "store")) options.target = ++i;
    else if (left >= 1 && argIs(call, i, "by")) {
      options.by = ++i;
      if (starOf(call, i) < 0) options.isUnordered = true;
    } else if (left >= 1 && argIs(call, i, "get")) options.gets.push(++i);
    else failSyntax();
  }
  return options;
}

/** Where the first `*` of argument `i` is, or -1. */
function starOf(call: Call, i: number): number {
  for (let at = argStart(call, i); at < argEnd(call, i); at++) {
    if (call.buf[at] === STAR) return at;
  }
  return -1;
}

/** Copies are kept in buffers of this size, or in one of their own. */
const COPIES_BYTES = 64 * 1024;

/** Byte ranges by number; -1 as a start means there is none. */
class Ranges {
  readonly #bytes: (Buffer | undefined)[] = [];
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  /** Holds `#copied` bytes of copies. */
  #copies = EMPTY_BYTES;
  #copied = 0;

  get length(): number {
    return this.#starts.length;
  }

  add({ bytes, start, end }: ByteRange): void {
    this.#bytes.push(bytes);
    this.#starts.push(start);
    this.#ends.push(end);
  }

  /** Adds the bytes themselves: of what is shown only until the next one is. */
  addCopy({ bytes, start, end }: ByteRange): void {
    const length = end - start;
    if (this.#copied + length > this.#copies.length) {
      this.#copies = Buffer.allocUnsafeSlow(Math.max(length, COPIES_BYTES));
      this.#copied = 0;
    }
    bytes.copy(this.#copies, this.#copied, start, end);
    this.#bytes.push(this.#copies);
    this.#starts.push(this.#copied);
    this.#copied += length;
    this.#ends.push(this.#copied);
  }

  addNone(): void {
    this.#bytes.push(undefined);
    this.#starts.push(-1);
    this.#ends.push(-1);
  }

  /** Shows range `i`; false when there is none. */
  show(i: number, into: ByteRange): boolean {
    const bytes = this.#bytes[i];
    if (bytes === undefined) return false;
    into.bytes = bytes;
    into.start = this.#starts[i]!;
    into.end = this.#ends[i]!;
    return true;
  }

  /** As memcmp; a missing one comes first. */
  compare(a: number, b: number): number {
    const first = this.#bytes[a];
    const second = this.#bytes[b];
    if (first === undefined || second === undefined) {
      return (first === undefined ? 0 : 1) - (second === undefined ? 0 : 1);
    }
    const starts = this.#starts;
    const ends = this.#ends;
    return compareBytes(first, starts[a]!, ends[a]!, second, starts[b]!, ends[b]!);
  }
}

const listWalk = new ListWalk();
const setWalk = new SetWalk();
const zsetWalk = new ZsetWalk();
const element = createByteRange();
const found = createByteRange();

/** All elements of the key; those of a sequence from its end when they shall not be ordered. */
function readElements(call: Call, entry: number, isBackward: boolean): Ranges {
  const elements = new Ranges();
  if (entry === 0) return elements;
  const { arena } = call;
  const head = entryValueWord(arena, entry);
  switch (entryKind(arena, entry)) {
    case LIST:
      listWalk.begin(arena, head, isBackward ? listLength(arena, head) - 1 : 0, isBackward);
      while (listWalk.next()) elements.add(listWalk.element);
      break;
    case SET:
      setWalk.begin(arena, head);
      while (setWalk.next()) elements.addCopy(setWalk.member);
      break;
    default:
      zsetWalk.begin(arena, head, isBackward ? zsetLength(arena, head) - 1 : 0, isBackward);
      while (zsetWalk.next()) elements.add(zsetWalk.member);
  }
  return elements;
}

let keyBuffer = Buffer.alloc(256);

/**
 * What the pattern in argument `i` names for `element`: `#` the element itself, else the string (or
 * with `->field` the hash's field) at the key that the pattern becomes with the element for its
 * `*`. Shown in `found`; false when there is nothing.
 */
function lookupByPattern(call: Call, i: number): boolean {
  const { buf, arena } = call;
  const from = argStart(call, i);
  const to = argEnd(call, i);
  if (to - from === 1 && buf[from] === HASH_SIGN) {
    Object.assign(found, element);
    return true;
  }
  const star = starOf(call, i);
  if (star < 0) return false;
  const field = fieldOf(buf, star + 1, to);
  const suffixEnd = field < 0 ? to : field - 2;
  const length = makeKey(buf, from, star, suffixEnd);
  const entry = call.db.lookupRead(keyBuffer, 0, length);
  if (entry === 0) return false;
  if (field >= 0) {
    if (entryKind(arena, entry) !== HASH) return false;
    return hashGet(arena, entryValueWord(arena, entry), buf, field, to, found);
  }
  if (!isString(arena, entry)) return false;
  found.bytes = entryMemory(arena, entry);
  found.start = entryValueOffset(arena, entry);
  found.end = found.start + entryValueLength(arena, entry);
  return true;
}

/** Where the field behind the first `->` in buf[from, to) starts; -1 when there is none. */
function fieldOf(buf: Buffer, from: number, to: number): number {
  for (let at = from; at + 2 < to; at++) {
    if (buf[at] === DASH && buf[at + 1] === GREATER) return at + 2;
  }
  return -1;
}

/**
 * Writes the pattern buf[from, to) with `element` for its star to `keyBuffer`; returns its length.
 */
function makeKey(buf: Buffer, from: number, star: number, to: number): number {
  const { bytes, start, end } = element;
  const length = to - from - 1 + end - start;
  if (length > keyBuffer.length) keyBuffer = Buffer.alloc(2 * length);
  let at = buf.copy(keyBuffer, 0, from, star);
  at += bytes.copy(keyBuffer, at, start, end);
  buf.copy(keyBuffer, at, star + 1, to);
  return length;
}

const NOT_A_SCORE_ERROR = new ReplyError("ERR One or more scores can't be converted into double");

/** The number in `range` as strtod reads it: blanks in front are skipped, nothing is 0. */
function scoreOf(range: ByteRange): number {
  let { start } = range;
  if (start === range.end) return 0;
  while (start < range.end && isBlank(range.bytes[start]!)) start++;
  const score = parseDouble(range.bytes, start, range.end);
  if (Number.isNaN(score)) throw NOT_A_SCORE_ERROR;
  return score;
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

/** Indexes of the elements in the order asked for. */
function orderOf(call: Call, elements: Ranges, options: SortOptions): Uint32Array {
  const order = Uint32Array.from({ length: elements.length }, (_, i) => i);
  if (options.isUnordered) return order;
  const sign = options.isDescending ? -1 : 1;
  if (options.isAlphabetic) {
    const keys = options.by === 0 ? elements : weightsOf(call, elements, options.by);
    return order.sort((a, b) => sign * keys.compare(a, b));
  }
  const scores = scoresOf(call, elements, options.by);
  return order.sort((a, b) => {
    const difference = scores[a]! - scores[b]!;
    // Infinities of one sign are equal, though their difference is no number.
    if (difference < 0 || difference > 0) return sign * difference;
    return sign * elements.compare(a, b);
  });
}

/** What BY names for each element. */
function weightsOf(call: Call, elements: Ranges, by: number): Ranges {
  const weights = new Ranges();
  for (let i = 0; i < elements.length; i++) {
    elements.show(i, element);
    if (lookupByPattern(call, by)) weights.add(found);
    else weights.addNone();
  }
  return weights;
}

/** The number of each element, or of what BY names for it; 0 where that is nothing. */
function scoresOf(call: Call, elements: Ranges, by: number): Float64Array {
  const scores = new Float64Array(elements.length);
  for (let i = 0; i < elements.length; i++) {
    elements.show(i, element);
    if (by === 0) scores[i] = scoreOf(element);
    else if (lookupByPattern(call, by)) scores[i] = scoreOf(found);
  }
  return scores;
}

function sort(call: Call, isReadOnly: boolean): void {
  const options = readOptions(call, isReadOnly);
  const entry = lookupRead(call, 1);
  const kind = entry === 0 ? LIST : entryKind(call.arena, entry);
  if (kind !== LIST && kind !== SET && kind !== ZSET) throw WRONG_TYPE_ERROR;
  if (options.target !== 0) checkKeyLength(call, options.target);
  if (options.isUnordered && kind === SET && options.target !== 0) {
    // What is stored must not depend on how a set happens to lie.
    options.isUnordered = false;
    options.isAlphabetic = true;
    options.by = 0;
  }
  const elements = readElements(call, entry, options.isUnordered && options.isDescending);
  const order = orderOf(call, elements, options);
  const first = Math.min(Math.max(0, options.offset), order.length);
  const last = options.limit < 0 ? order.length : first + options.limit;
  const chosen = order.subarray(first, last);
  if (options.target === 0) replyResult(call, elements, chosen, options.gets);
  else storeResult(call, elements, chosen, options);
}

function replyResult(
  call: Call,
  elements: Ranges,
  chosen: Uint32Array,
  gets: readonly number[],
): void {
  call.out.array(chosen.length * Math.max(1, gets.length));
  for (const i of chosen) {
    elements.show(i, element);
    if (gets.length === 0) replyRange(call, element);
    for (const get of gets) {
      if (lookupByPattern(call, get)) replyRange(call, found);
      else call.out.nil();
    }
  }
}

function storeResult(
  call: Call,
  elements: Ranges,
  chosen: Uint32Array,
  options: SortOptions,
): void {
  const { arena } = call;
  const result = createList(arena);
  for (const i of chosen) {
    elements.show(i, element);
    if (options.gets.length === 0)
      pushLast(arena, result, element.bytes, element.start, element.end);
    for (const get of options.gets) {
      // What is missing becomes an empty element.
      if (lookupByPattern(call, get)) pushLast(arena, result, found.bytes, found.start, found.end);
      else pushLast(arena, result, element.bytes, 0, 0);
    }
  }
  const length = listLength(arena, result);
  if (storeHead(call, options.target, LIST, result, length)) call.dirty += Math.max(1, length);
  call.out.integer(length);
}

export const SORT_HANDLERS = {
  SORT: (call) => sort(call, false),
  SORT_RO: (call) => sort(call, true),
} as const satisfies Record<string, Handler>;
