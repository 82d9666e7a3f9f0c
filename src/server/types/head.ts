/**
 * The block that names a collection, and whose ref is the value of its key. It never moves while
 * the collection lives, whatever becomes of what is behind it:
 *
 *   word 0  form, and in its second byte the width of numbers, where the form has such
 *        1  body: ref of the first structure (a dictionary, a packed block)
 *        2  second structure (the skiplist of a sorted set); with a packed block: bytes used of it
 *        3  elements, with a packed block
 *
 * A collection begins compact: its elements in one packed block. It becomes a table when it grows
 * beyond the limits of arena/compact-limits.ts, and stays one:
 *
 *   hash         FORM_PACKED ──────────────> FORM_TABLE
 *   set          FORM_INTS ─> FORM_PACKED ─> FORM_TABLE     (FORM_INTS ─> FORM_TABLE, too)
 *   sorted set   FORM_PACKED ──────────────> FORM_TABLE with a skiplist
 *
 * Lists have a larger head of their own, whose word 0 is the form too.
 */

import { type Arena, CHUNK_SHIFT, GRANULE_MASK } from "../arena/arena.ts";

const HEAD_BYTES = 16;
const FORM_MASK = 255;
const WIDTH_SHIFT = 8;

/** Fields or members in a dictionary (arena/dict.ts). */
export const FORM_TABLE = 1;
/** Elements in linked nodes (list.ts). */
export const FORM_NODES = 2;
/** Strings one behind the other in one block (packed.ts). */
export const FORM_PACKED = 3;
/** Sorted integers in one block (intset.ts). */
export const FORM_INTS = 4;

/** Where the words lie in `arena.words[head >>> CHUNK_SHIFT]`, behind the head's first one. */
export const HEAD_BODY = 1;
export const HEAD_USED = 2;
export const HEAD_COUNT = 3;

/** @param width of numbers in bytes, 0 for a form without */
export function createHead(
  arena: Arena,
  form: number,
  width: number,
  body: number,
  second: number,
): number {
  const head = arena.alloc(HEAD_BYTES);
  setHead(arena, head, form, width, body, second, 0);
  return head;
}

/** Gives a collection another form. */
export function setHead(
  arena: Arena,
  head: number,
  form: number,
  width: number,
  body: number,
  second: number,
  count: number,
): void {
  const words = arena.words[head >>> CHUNK_SHIFT]!;
  const at = (head & GRANULE_MASK) << 2;
  words[at] = form | (width << WIDTH_SHIFT);
  words[at + HEAD_BODY] = body;
  words[at + HEAD_USED] = second;
  words[at + HEAD_COUNT] = count;
}

export function headForm(arena: Arena, head: number): number {
  return arena.words[head >>> CHUNK_SHIFT]![(head & GRANULE_MASK) << 2]! & FORM_MASK;
}

/** Bytes of each number. */
export function headWidth(arena: Arena, head: number): number {
  return arena.words[head >>> CHUNK_SHIFT]![(head & GRANULE_MASK) << 2]! >>> WIDTH_SHIFT;
}

export function headBody(arena: Arena, head: number): number {
  return arena.words[head >>> CHUNK_SHIFT]![((head & GRANULE_MASK) << 2) + HEAD_BODY]!;
}

export function headSecond(arena: Arena, head: number): number {
  return arena.words[head >>> CHUNK_SHIFT]![((head & GRANULE_MASK) << 2) + HEAD_USED]!;
}

/** Elements of a collection that is no table. */
export function headCount(arena: Arena, head: number): number {
  return arena.words[head >>> CHUNK_SHIFT]![((head & GRANULE_MASK) << 2) + HEAD_COUNT]!;
}

export function setHeadCount(arena: Arena, head: number, count: number): void {
  arena.words[head >>> CHUNK_SHIFT]![((head & GRANULE_MASK) << 2) + HEAD_COUNT] = count;
}
