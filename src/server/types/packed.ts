/**
 * A small collection as one sequence of bytes: no pointers, no hashes, found by looking through.
 *
 *   head   form | block | bytes used | elements            (head.ts; no block while it is empty)
 *   block  | numbers | string string string ... | room |
 *   string = length, bytes;   length = one byte below 255; else 255 and 4 bytes (little endian)
 *
 * What they mean is each type's: a hash has fields and values in turn, a set has members, a sorted
 * set has its scores as numbers in front and members in the same order (packed-zset.ts), a set of
 * integers has numbers alone (intset.ts). Strings are in the order in which they came, but for
 * sorted sets.
 *
 * Positions are bytes from the start of the block, so they live on when it moves. A block is as
 * large as it must be, rounded up by the arena: growing it moves it, an eighth more at a time.
 */

import { copyBytes } from "../../base/bytes.ts";
import { type Arena, CHUNK_SHIFT, GRANULE_MASK } from "../arena/arena.ts";
import type { ByteRange } from "./byte-range.ts";
import {
  createHead,
  HEAD_BODY,
  HEAD_USED,
  headBody,
  headCount,
  headSecond,
  setHeadCount,
} from "./head.ts";

/**
 * No block is larger, whatever the configured limits are (Redis' own bound is 1 GiB): a change
 * moves what is behind it, and a conversion is done at once.
 */
export const PACKED_BYTES_MAX = 256 * 1024;

const SHORT_MAX = 254;
const LONG_MARK = 255;
/** A smaller block is not worth moving for what it has too much. */
const SHRINK_BYTES_MIN = 128;
/** Below this a loop is quicker than a call into the runtime. */
const MOVE_LOOP_BYTES = 16;

/** What a string of `length` bytes takes. */
export function stringBytes(length: number): number {
  return length + (length <= SHORT_MAX ? 1 : 5);
}

/** Bytes used of the block. */
export function packedUsed(arena: Arena, head: number): number {
  return headSecond(arena, head);
}

/** Position behind the string at `position`. */
export function skipString(arena: Arena, head: number, position: number): number {
  const block = headBody(arena, head);
  const base = (block & GRANULE_MASK) << 4;
  return skipAt(arena.bytes[block >>> CHUNK_SHIFT]!, base + position) - base;
}

/** The same for `count` strings, one after the other. */
export function skipStrings(arena: Arena, head: number, position: number, count: number): number {
  const block = headBody(arena, head);
  const bytes = arena.bytes[block >>> CHUNK_SHIFT]!;
  const base = (block & GRANULE_MASK) << 4;
  let at = base + position;
  for (let i = 0; i < count; i++) at = skipAt(bytes, at);
  return at - base;
}

function skipAt(bytes: Buffer, at: number): number {
  const short = bytes[at]!;
  return short <= SHORT_MAX ? at + 1 + short : at + 5 + bytes.readInt32LE(at + 1);
}

/** Shows the string at `position`. */
export function showString(arena: Arena, head: number, position: number, range: ByteRange): void {
  const block = headBody(arena, head);
  showAt(arena.bytes[block >>> CHUNK_SHIFT]!, ((block & GRANULE_MASK) << 4) + position, range);
}

function showAt(bytes: Buffer, at: number, range: ByteRange): void {
  const short = bytes[at]!;
  range.bytes = bytes;
  range.start = short <= SHORT_MAX ? at + 1 : at + 5;
  range.end = range.start + (short <= SHORT_MAX ? short : bytes.readInt32LE(at + 1));
}

/** How many strings (or pairs) the last `findString` passed before the one it found. */
export let foundIndex = 0;

/**
 * Looks for the string `buf[from, to)` from the one at `position` on.
 * @param inPairs look at every other string only: at fields, not at values
 * @returns its position; -1 when it is not there
 */
export function findString(
  arena: Arena,
  head: number,
  position: number,
  inPairs: boolean,
  buf: Buffer,
  from: number,
  to: number,
): number {
  const block = headBody(arena, head);
  if (block === 0) return -1;
  const bytes = arena.bytes[block >>> CHUNK_SHIFT]!;
  const base = (block & GRANULE_MASK) << 4;
  const end = base + packedUsed(arena, head);
  const size = stringBytes(to - from);
  let index = 0;
  for (let at = base + position; at < end; index++) {
    const next = skipAt(bytes, at);
    if (next - at === size && endsWith(bytes, next, buf, from, to)) {
      foundIndex = index;
      return at - base;
    }
    at = inPairs ? skipAt(bytes, next) : next;
  }
  return -1;
}

/** Compared from the end: names in one collection tend to begin alike. */
function endsWith(bytes: Buffer, end: number, buf: Buffer, from: number, to: number): boolean {
  for (let i = to - 1, k = end - 1; i >= from; i--, k--) {
    if (bytes[k] !== buf[i]) return false;
  }
  return true;
}

/** Writes the string `buf[from, to)` at `position`, where there is a gap for it. */
export function writeString(
  arena: Arena,
  head: number,
  position: number,
  buf: Buffer,
  from: number,
  to: number,
): void {
  const block = headBody(arena, head);
  const bytes = arena.bytes[block >>> CHUNK_SHIFT]!;
  const at = ((block & GRANULE_MASK) << 4) + position;
  const length = to - from;
  if (length <= SHORT_MAX) {
    bytes[at] = length;
    copyBytes(buf, from, to, bytes, at + 1);
  } else {
    bytes[at] = LONG_MARK;
    bytes.writeInt32LE(length, at + 1);
    copyBytes(buf, from, to, bytes, at + 5);
  }
}

/** Sees to it that the block has room for `added` more bytes: no `splice` up to that moves it. */
export function reserve(arena: Arena, head: number, added: number): void {
  const block = headBody(arena, head);
  const needed = packedUsed(arena, head) + added;
  if (block === 0 || needed > arena.capacity(block)) {
    moveBlock(arena, head, block === 0 ? needed : needed + (needed >>> 3));
  }
}

/**
 * Puts a gap of `added` bytes, not written yet, in the place of the `removed` bytes from `position`
 * on. What is behind them moves.
 */
export function splice(
  arena: Arena,
  head: number,
  position: number,
  removed: number,
  added: number,
): void {
  if (added > removed) reserve(arena, head, added - removed);
  const block = headBody(arena, head);
  const base = (block & GRANULE_MASK) << 4;
  const used = packedUsed(arena, head);
  const bytes = arena.bytes[block >>> CHUNK_SHIFT]!;
  const tail = base + position + removed;
  if (added !== removed) moveWithin(bytes, tail, base + used, base + position + added);
  const words = arena.words[head >>> CHUNK_SHIFT]!;
  words[((head & GRANULE_MASK) << 2) + HEAD_USED] = used - removed + added;
}

/** After a removal: a collection does not keep a block of which it uses less than half. */
export function shrinkBlock(arena: Arena, head: number): void {
  const used = packedUsed(arena, head);
  if (used === 0) return;
  const capacity = arena.capacity(headBody(arena, head));
  if (capacity > SHRINK_BYTES_MIN && used * 2 < capacity) moveBlock(arena, head, used);
}

/** Moves bytes[from, to) to `target`; the ranges may overlap. */
function moveWithin(bytes: Buffer, from: number, to: number, target: number): void {
  const length = to - from;
  if (length >= MOVE_LOOP_BYTES) {
    bytes.copyWithin(target, from, to);
  } else if (target < from) {
    for (let i = 0; i < length; i++) bytes[target + i] = bytes[from + i]!;
  } else {
    for (let i = length - 1; i >= 0; i--) bytes[target + i] = bytes[from + i]!;
  }
}

/** Gives the collection a block of `size` bytes, with what the old one held. */
function moveBlock(arena: Arena, head: number, size: number): void {
  const block = headBody(arena, head);
  const moved = arena.alloc(size);
  if (block !== 0) {
    copyBlock(arena, block, packedUsed(arena, head), moved);
    arena.free(block);
  }
  arena.words[head >>> CHUNK_SHIFT]![((head & GRANULE_MASK) << 2) + HEAD_BODY] = moved;
}

function copyBlock(arena: Arena, block: number, used: number, into: number): void {
  const at = (block & GRANULE_MASK) << 4;
  const target = arena.bytes[into >>> CHUNK_SHIFT]!;
  const bytes = arena.bytes[block >>> CHUNK_SHIFT]!;
  copyBytes(bytes, at, at + used, target, (into & GRANULE_MASK) << 4);
}

/** Frees the block; the head is given another form next, or freed. */
export function freeBlock(arena: Arena, head: number): void {
  const block = headBody(arena, head);
  if (block !== 0) arena.free(block);
}

/** Frees a collection whose elements lie in one block. See ValueType.release. */
export function freePacked(arena: Arena, head: number, budget: number): number {
  freeBlock(arena, head);
  arena.free(head);
  return Math.max(0, budget - 1);
}

/** A copy of such a collection, in the same form. */
export function copyPacked(arena: Arena, head: number, form: number, width: number): number {
  const block = headBody(arena, head);
  const used = packedUsed(arena, head);
  const copied = block === 0 ? 0 : arena.alloc(used);
  if (block !== 0) copyBlock(arena, block, used, copied);
  const copy = createHead(arena, form, width, copied, used);
  setHeadCount(arena, copy, headCount(arena, head));
  return copy;
}

/** Bytes of such a collection. */
export function packedBytes(arena: Arena, head: number): number {
  const block = headBody(arena, head);
  return arena.capacity(head) + (block === 0 ? 0 : arena.capacity(block));
}

/** Goes through the strings of a collection that does not change meanwhile. */
export class PackedWalk {
  #bytes: Buffer | undefined;
  /** Index of the next string in `#bytes`. */
  #at = 0;
  #end = 0;

  /** @param position of the first string shown */
  begin(arena: Arena, head: number, position: number): void {
    const block = headBody(arena, head);
    const base = (block & GRANULE_MASK) << 4;
    this.#bytes = arena.bytes[block >>> CHUNK_SHIFT]!;
    this.#at = base + position;
    this.#end = block === 0 ? 0 : base + packedUsed(arena, head);
  }

  /** Shows the next string in `range`; false after the last one. */
  next(range: ByteRange): boolean {
    if (this.#at >= this.#end) return false;
    showAt(this.#bytes!, this.#at, range);
    this.#at = range.end;
    return true;
  }
}
