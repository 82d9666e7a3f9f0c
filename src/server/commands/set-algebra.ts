/**
 * Intersection, union and difference of sets, replied or stored. Results that are stored, and those
 * that need to know what they have already, are built as sets in the arena; the others are replied
 * as they are found. Source of texts and details: Redis 7.0 src/t_set.c.
 */

import { argIs, type Call, failSyntax, type Handler } from "../call.ts";
import { LIMIT_ERROR, NUMKEYS_ERROR, ReplyError } from "../replies.ts";
import {
  createSet,
  SET_TYPE,
  SetWalk,
  setAdd,
  setHas,
  setLength,
  setRemove,
} from "../types/set.ts";
import { SET } from "../types/value-type.ts";
import {
  ALL_ELEMENTS,
  argAtLeastOne,
  argCount,
  checkKeyLength,
  prependArray,
  readHead,
  replyRange,
  storeHead,
} from "./collections.ts";
import { replyMembers } from "./sets.ts";

const walk = new SetWalk();

/** The sets of the keys in arguments [from, to), 0 for a key that is not there. */
function readSets(call: Call, from: number, to: number): number[] {
  const heads: number[] = [];
  for (let i = from; i < to; i++) heads.push(readHead(call, i, SET));
  return heads;
}

/** Gives `result`, a new set, to the key in argument 1 and replies its length. */
function store(call: Call, result: number): void {
  const length = setLength(call.arena, result);
  if (storeHead(call, 1, SET, result, length)) call.dirty++;
  call.out.integer(length);
}

function replyAndFree(call: Call, result: number): void {
  replyMembers(call, result);
  SET_TYPE.release(call.arena, result, ALL_ELEMENTS);
}

/**
 * Goes to the next member of `walk` that all of `others` have.
 * @param others sets, the first of them the walked one itself
 */
function nextCommon(call: Call, others: readonly number[]): boolean {
  while (walk.next()) {
    const { bytes, start, end } = walk.member;
    let isCommon = true;
    for (let i = 1; isCommon && i < others.length; i++) {
      isCommon = setHas(call.arena, others[i]!, bytes, start, end);
    }
    if (isCommon) return true;
  }
  return false;
}

/** Begins to walk the intersection: the sets, smallest first; or none when one of them is empty. */
function beginIntersection(call: Call, heads: readonly number[]): readonly number[] {
  if (heads.includes(0)) return [];
  const { arena } = call;
  const sorted = heads.toSorted((a, b) => setLength(arena, a) - setLength(arena, b));
  walk.begin(arena, sorted[0]!);
  return sorted;
}

function intersect(call: Call): void {
  const sets = beginIntersection(call, readSets(call, 1, call.argc));
  const mark = call.out.length;
  let found = 0;
  if (sets.length > 0) {
    for (; nextCommon(call, sets); found++) replyRange(call, walk.member);
  }
  prependArray(call, mark, found);
}

function storeIntersection(call: Call): void {
  const heads = readSets(call, 2, call.argc);
  checkKeyLength(call, 1);
  const sets = beginIntersection(call, heads);
  const result = createSet(call.arena);
  if (sets.length > 0) {
    while (nextCommon(call, sets)) {
      setAdd(call.arena, result, walk.member.bytes, walk.member.start, walk.member.end);
    }
  }
  store(call, result);
}

const TOO_MANY_KEYS_ERROR = new ReplyError(
  "ERR Number of keys can't be greater than number of args",
);

/**
 * Reads `numkeys key ... [LIMIT limit]` from argument 1 on.
 * @param after index behind the last key
 * @returns the limit, 0 for none
 * @throws ReplyError
 */
function readLimit(call: Call, after: number): number {
  let limit = 0;
  for (let i = after; i < call.argc; i += 2) {
    if (!argIs(call, i, "limit") || i + 1 === call.argc) failSyntax();
    limit = argCount(call, i + 1, LIMIT_ERROR);
  }
  return limit;
}

/** Argument 1 of SINTERCARD and ZINTERCARD. @throws ReplyError */
function argNumkeys(call: Call): number {
  const numkeys = argAtLeastOne(call, 1, NUMKEYS_ERROR);
  if (numkeys > call.argc - 2) throw TOO_MANY_KEYS_ERROR;
  return numkeys;
}

function countIntersection(call: Call): void {
  const after = 2 + argNumkeys(call);
  const limit = readLimit(call, after);
  const sets = beginIntersection(call, readSets(call, 2, after));
  let found = 0;
  if (sets.length > 0) {
    while ((limit === 0 || found < limit) && nextCommon(call, sets)) found++;
  }
  call.out.integer(found);
}

function makeUnion(call: Call, heads: readonly number[]): number {
  const result = createSet(call.arena);
  for (const head of heads) {
    if (head !== 0) addAll(call, head, result);
  }
  return result;
}

function addAll(call: Call, head: number, result: number): void {
  walk.begin(call.arena, head);
  while (walk.next()) {
    setAdd(call.arena, result, walk.member.bytes, walk.member.start, walk.member.end);
  }
}

/**
 * What the first set has and no other: by looking up each of its members in the others, or by
 * removing the members of the others from a copy, whichever looks at fewer.
 */
function makeDifference(call: Call, heads: readonly number[]): number {
  const { arena } = call;
  const first = heads[0]!;
  const result = createSet(arena);
  if (first === 0) return result;
  const others = heads.slice(1).filter((head) => head !== 0);
  if (others.includes(first)) return result;
  const lookups = setLength(arena, first) * (others.length + 1);
  const removals = others.reduce(
    (sum, head) => sum + setLength(arena, head),
    setLength(arena, first),
  );
  // Half of it, since a lookup ends at the first set that has the member.
  if (lookups / 2 <= removals) {
    addMissing(call, first, others, result);
    return result;
  }
  addAll(call, first, result);
  for (const head of others) {
    walk.begin(arena, head);
    while (walk.next()) {
      setRemove(arena, result, walk.member.bytes, walk.member.start, walk.member.end);
    }
  }
  return result;
}

/** Adds to `result` the members of `first` that none of `others` has. */
function addMissing(call: Call, first: number, others: readonly number[], result: number): void {
  walk.begin(call.arena, first);
  while (walk.next()) {
    const { bytes, start, end } = walk.member;
    let isMissing = true;
    for (let i = 0; isMissing && i < others.length; i++) {
      isMissing = !setHas(call.arena, others[i]!, bytes, start, end);
    }
    if (isMissing) setAdd(call.arena, result, bytes, start, end);
  }
}

type Combine = (call: Call, heads: readonly number[]) => number;

function replyCombined(call: Call, combine: Combine): void {
  replyAndFree(call, combine(call, readSets(call, 1, call.argc)));
}

function storeCombined(call: Call, combine: Combine): void {
  const heads = readSets(call, 2, call.argc);
  checkKeyLength(call, 1);
  store(call, combine(call, heads));
}

export const SET_ALGEBRA_HANDLERS = {
  SDIFF: (call) => replyCombined(call, makeDifference),
  SDIFFSTORE: (call) => storeCombined(call, makeDifference),
  SINTER: intersect,
  SINTERCARD: countIntersection,
  SINTERSTORE: storeIntersection,
  SUNION: (call) => replyCombined(call, makeUnion),
  SUNIONSTORE: (call) => storeCombined(call, makeUnion),
} as const satisfies Record<string, Handler>;
