/**
 * What the key space must know of a type of value that is more than a string: one row per type.
 * A string lies in its key's entry; any other value is a structure in the arena, named by a ref.
 */

import type { Arena } from "../arena/arena.ts";
import { entryKind } from "../arena/entry.ts";
import { HASH_TYPE } from "./hash.ts";
import { LIST_TYPE } from "./list.ts";
import { SET_TYPE } from "./set.ts";
import { ZSET_TYPE } from "./zset.ts";

/** Type numbers, as in Codis' SLOTSRESTORE-ASYNC and as an entry's kind. */
export const STRING = 0;
export const LIST = 1;
export const SET = 2;
export const ZSET = 3;
export const HASH = 4;

/** The key of this entry holds a string. */
export function isString(arena: Arena, entry: number): boolean {
  return entryKind(arena, entry) === STRING;
}

export interface ValueType {
  /** As TYPE answers. */
  readonly name: string;
  /**
   * Frees about `budget` elements of the structure, then the structure itself.
   * @returns what is left of the budget, at least 0, when all is freed; -1 when there is more to do
   */
  release(arena: Arena, ref: number, budget: number): number;
  /** A copy of the structure; its ref. */
  copy(arena: Arena, ref: number): number;
  /** As OBJECT ENCODING answers. */
  encoding(arena: Arena, ref: number): string;
  /**
   * Bytes the structure takes in the arena.
   * @param samples how many elements to look at and scale up from; 0 means all
   */
  bytes(arena: Arena, ref: number, samples: number): number;
}

/** Rows of the types above STRING, by type number. */
export const VALUE_TYPES: ReadonlyMap<number, ValueType> = new Map([
  [LIST, LIST_TYPE],
  [SET, SET_TYPE],
  [ZSET, ZSET_TYPE],
  [HASH, HASH_TYPE],
]);
