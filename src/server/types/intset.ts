/**
 * A small set whose members are all integers: they lie sorted in one block, each in 2, 4 or 8
 * bytes, all as wide as the widest needs, and are found by halving. The form of a set that has had
 * no other member yet; what to do when it grows is set.ts' business.
 *
 *   head   FORM_INTS, width | block | bytes used | members          (head.ts)
 *   block  | int int int ... | room |       little endian; of 8 bytes the low word comes first
 *
 * A set never gets narrower again. Where the text of a member is "1", " 1" or "01" is no integer:
 * what goes in is what comes out.
 */

import { type Arena, CHUNK_SHIFT, GRANULE_MASK } from "../arena/arena.ts";
import type { ByteRange } from "./byte-range.ts";
import {
  createHead,
  FORM_INTS,
  headBody,
  headCount,
  headWidth,
  setHead,
  setHeadCount,
} from "./head.ts";
import { type Int64, writeInt64 } from "./int64.ts";
import { shrinkBlock, splice } from "./packed.ts";

const WIDTH_MIN = 2;

/** An empty set of integers. */
export function createInts(arena: Arena): number {
  return createHead(arena, FORM_INTS, WIDTH_MIN, 0, 0);
}

/** Bytes that `value` needs. */
function widthOf({ high, low }: Int64): number {
  if (high !== low >> 31) return 8;
  return low === (low << 16) >> 16 ? 2 : 4;
}

/** The member of index `i`, which exists, into `value`. */
export function intAt(arena: Arena, head: number, i: number, value: Int64): void {
  const block = headBody(arena, head);
  const width = headWidth(arena, head);
  const words = arena.words[block >>> CHUNK_SHIFT]!;
  const first = (block & GRANULE_MASK) << 2;
  if (width === 8) {
    value.low = words[first + 2 * i]!;
    value.high = words[first + 2 * i + 1]!;
    return;
  }
  // Two of 2 bytes share a word.
  const word = words[first + (width === 4 ? i : i >>> 1)]!;
  if (width === 4) value.low = word;
  else value.low = (i & 1) === 0 ? (word << 16) >> 16 : word >> 16;
  value.high = value.low >> 31;
}

const middle: Int64 = { high: 0, low: 0 };

/** The index of `value`; when it is no member, -1 minus the index where it would be. */
function search(arena: Arena, head: number, value: Int64): number {
  let first = 0;
  let last = headCount(arena, head) - 1;
  while (first <= last) {
    const i = (first + last) >>> 1;
    intAt(arena, head, i, middle);
    const order = middle.high - value.high || (middle.low >>> 0) - (value.low >>> 0);
    if (order === 0) return i;
    if (order < 0) first = i + 1;
    else last = i - 1;
  }
  return -1 - first;
}

/** Whether `value` is a member. */
export function intsHave(arena: Arena, head: number, value: Int64): boolean {
  return search(arena, head, value) >= 0;
}

/** Adds `value`. Returns whether it is new. */
export function addInt(arena: Arena, head: number, value: Int64): boolean {
  const found = search(arena, head, value);
  if (found >= 0) return false;
  const i = -1 - found;
  if (widthOf(value) > headWidth(arena, head)) widen(arena, head, widthOf(value));
  const width = headWidth(arena, head);
  splice(arena, head, i * width, 0, width);
  setHeadCount(arena, head, headCount(arena, head) + 1);
  writeInt(arena, headBody(arena, head), width, i, value);
  return true;
}

function writeInt(arena: Arena, block: number, width: number, i: number, value: Int64): void {
  if (width === 2) {
    const bytes = arena.bytes[block >>> CHUNK_SHIFT]!;
    const at = ((block & GRANULE_MASK) << 4) + 2 * i;
    bytes[at] = value.low;
    bytes[at + 1] = value.low >> 8;
    return;
  }
  const words = arena.words[block >>> CHUNK_SHIFT]!;
  const at = ((block & GRANULE_MASK) << 2) + (width === 4 ? i : 2 * i);
  words[at] = value.low;
  if (width === 8) words[at + 1] = value.high;
}

/** Gives each member `width` bytes, more than it has; and room for one more. */
function widen(arena: Arena, head: number, width: number): void {
  const count = headCount(arena, head);
  const block = headBody(arena, head);
  const wider = arena.alloc((count + 1) * width);
  for (let i = 0; i < count; i++) {
    intAt(arena, head, i, middle);
    writeInt(arena, wider, width, i, middle);
  }
  if (block !== 0) arena.free(block);
  setHead(arena, head, FORM_INTS, width, wider, count * width, count);
}

/** Removes `value`. Returns whether it was there. */
export function removeInt(arena: Arena, head: number, value: Int64): boolean {
  const i = search(arena, head, value);
  if (i < 0) return false;
  const width = headWidth(arena, head);
  splice(arena, head, i * width, width, 0);
  setHeadCount(arena, head, headCount(arena, head) - 1);
  shrinkBlock(arena, head);
  return true;
}

/**
 * Shows the text of the member of index `i`, which exists.
 * @param text the caller's, of INT64_TEXT_BYTES: what `range` shows lies there
 */
export function showInt(
  arena: Arena,
  head: number,
  i: number,
  text: Buffer,
  range: ByteRange,
): void {
  intAt(arena, head, i, middle);
  range.bytes = text;
  range.start = 0;
  range.end = writeInt64(middle, text, 0);
}
