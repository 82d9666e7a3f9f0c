/**
 * The block that names a collection, and whose ref is the value of its key. It never moves while
 * the collection lives, whatever becomes of what is behind it:
 *
 *   word 0  form: how the elements are kept (each type says which forms it has)
 *        1  body: ref of the first structure (a dictionary)
 *        2  second structure, where the type has one (the skiplist of a sorted set)
 *        3  unused
 *
 * Lists have a larger head of their own, whose word 0 is the form too.
 */

import { type Arena, CHUNK_SHIFT, GRANULE_MASK } from "../arena/arena.ts";

const HEAD_BYTES = 16;

/** Fields or members in a dictionary (arena/dict.ts). */
export const FORM_TABLE = 1;
/** Elements in linked nodes (list.ts). */
export const FORM_NODES = 2;

export function createHead(arena: Arena, form: number, body: number, second: number): number {
  const head = arena.alloc(HEAD_BYTES);
  const words = arena.words[head >>> CHUNK_SHIFT]!;
  const at = (head & GRANULE_MASK) << 2;
  words[at] = form;
  words[at + 1] = body;
  words[at + 2] = second;
  words[at + 3] = 0;
  return head;
}

export function headBody(arena: Arena, head: number): number {
  return arena.words[head >>> CHUNK_SHIFT]![((head & GRANULE_MASK) << 2) + 1]!;
}

export function headSecond(arena: Arena, head: number): number {
  return arena.words[head >>> CHUNK_SHIFT]![((head & GRANULE_MASK) << 2) + 2]!;
}
