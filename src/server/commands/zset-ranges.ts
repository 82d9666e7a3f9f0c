/**
 * Ranges of sorted sets: by rank, by score, by member. Each bound becomes a rank first; what is
 * then left is to walk, count or remove from one rank to another.
 *
 *   bounds ──> [first, end) of ranks ──LIMIT, direction──> reply | store | count | remove
 *
 * Source of texts and details, also of which argument is looked at first: Redis 7.0 src/t_zset.c
 * (`zrangeGenericCommand`).
 */

import { entryValueWord } from "../arena/entry.ts";
import {
  argEnd,
  argInteger,
  argIs,
  argStart,
  type Call,
  failSyntax,
  type Handler,
  writeTyped,
} from "../call.ts";
import { parseBound } from "../double.ts";
import { ReplyError } from "../replies.ts";
import { ZSET } from "../types/value-type.ts";
import {
  createZset,
  ZsetWalk,
  zsetCountBelowMember,
  zsetCountBelowScore,
  zsetLength,
  zsetSet,
} from "../types/zset.ts";
import { ALL_ELEMENTS, checkKeyLength, readHead, replyRange, storeHead } from "./collections.ts";
import { dropRanks, replyScore } from "./zsets.ts";

const walk = new ZsetWalk();

const PLUS = 0x2b;
const MINUS = 0x2d;
const EXCLUSIVE = 0x28;
const INCLUSIVE = 0x5b;

const BOUND_ERROR = new ReplyError("ERR min or max is not a float");
const MEMBER_BOUND_ERROR = new ReplyError("ERR min or max not valid string range item");

type RangeKind = "rank" | "score" | "member";

/** Throws ReplyError when argument `i` is no bound of this kind. */
function checkBound(call: Call, i: number, kind: RangeKind): void {
  if (kind === "rank") argInteger(call, i);
  else if (kind === "score") scoreBound(call, i);
  else checkMemberBound(call, i);
}

function isExclusive(call: Call, i: number): boolean {
  return argStart(call, i) < argEnd(call, i) && call.buf[argStart(call, i)] === EXCLUSIVE;
}

function scoreBound(call: Call, i: number): number {
  const from = argStart(call, i) + (isExclusive(call, i) ? 1 : 0);
  const score = parseBound(call.buf, from, argEnd(call, i));
  if (Number.isNaN(score)) throw BOUND_ERROR;
  return score;
}

function checkMemberBound(call: Call, i: number): void {
  const from = argStart(call, i);
  const length = argEnd(call, i) - from;
  const first = call.buf[from]!;
  const isEnd = length === 1 && (first === PLUS || first === MINUS);
  const isMember = length >= 1 && (first === EXCLUSIVE || first === INCLUSIVE);
  if (!isEnd && !isMember) throw MEMBER_BOUND_ERROR;
}

/**
 * The rank where a range begins (`isMax` false) or which it ends before (`isMax` true).
 * @param i argument that is the bound, checked before; not for ranks
 */
function rankOfBound(call: Call, head: number, i: number, kind: RangeKind, isMax: boolean): number {
  // Equal ones lie before the place we look for: in front of an exclusive start, inside an
  // inclusive end.
  const passesEqual = isExclusive(call, i) !== isMax;
  if (kind === "score") {
    return zsetCountBelowScore(call.arena, head, scoreBound(call, i), passesEqual);
  }
  const from = argStart(call, i);
  if (call.buf[from] === MINUS) return 0;
  if (call.buf[from] === PLUS) return zsetLength(call.arena, head);
  const to = argEnd(call, i);
  return zsetCountBelowMember(call.arena, head, call.buf, from + 1, to, passesEqual);
}

/** Ranks from `rangeFirst` to before `rangeEnd`; set by `findRanks`. */
let rangeFirst = 0;
let rangeEnd = 0;

/** Finds the ranks of the range whose bounds are the arguments `min` and `max`. */
function findRanks(call: Call, head: number, min: number, max: number, kind: RangeKind): void {
  if (kind !== "rank") {
    rangeFirst = rankOfBound(call, head, min, kind, false);
    rangeEnd = Math.max(rangeFirst, rankOfBound(call, head, max, kind, true));
    return;
  }
  const held = zsetLength(call.arena, head);
  const first = argInteger(call, min);
  const last = argInteger(call, max);
  rangeFirst = Math.min(held, first < 0 ? Math.max(0, first + held) : first);
  rangeEnd = Math.max(rangeFirst, Math.min(held, (last < 0 ? last + held : last) + 1));
}

interface RangeOptions {
  kind: RangeKind;
  isReverse: boolean;
  withScores: boolean;
  offset: number;
  /** Members at most; -1 for all. */
  limit: number;
}

const LIMIT_ERROR = new ReplyError(
  "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
);
const SCORES_ERROR = new ReplyError(
  "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
);

/**
 * Words of the ZRANGE family from argument `from` on. What the command's name already says
 * (`kind`, `isReverse`), its words cannot; undefined leaves it to them.
 */
function readRangeOptions(
  call: Call,
  from: number,
  isStore: boolean,
  kind: RangeKind | undefined,
  isReverse: boolean | undefined,
): RangeOptions {
  const options = { withScores: false, offset: 0, limit: -1 };
  let chosen = kind;
  let reverse = isReverse;
  for (let i = from; i < call.argc; i++) {
    if (!isStore && argIs(call, i, "withscores")) options.withScores = true;
    else if (argIs(call, i, "limit") && i + 2 < call.argc) {
      options.offset = argInteger(call, i + 1);
      options.limit = argInteger(call, i + 2);
      i += 2;
    } else if (isReverse === undefined && argIs(call, i, "rev")) reverse = true;
    else if (kind === undefined && argIs(call, i, "bylex")) chosen = "member";
    else if (kind === undefined && argIs(call, i, "byscore")) chosen = "score";
    else failSyntax();
  }
  chosen ??= "rank";
  if (options.limit !== -1 && chosen === "rank") throw LIMIT_ERROR;
  if (options.withScores && chosen === "member") throw SCORES_ERROR;
  return { ...options, kind: chosen, isReverse: reverse ?? false };
}

/**
 * Finds the ranks the options ask for, LIMIT included.
 * @param min argument that is the bound given first
 */
function findOptionRanks(call: Call, head: number, min: number, options: RangeOptions): void {
  const { kind, isReverse, offset, limit } = options;
  if (kind === "rank") {
    findRanks(call, head, min, min + 1, kind);
    if (!isReverse) return;
    // Ranks are counted from the highest then.
    const held = zsetLength(call.arena, head);
    [rangeFirst, rangeEnd] = [held - rangeEnd, held - rangeFirst];
    return;
  }
  // From the highest the greater bound is given first.
  findRanks(call, head, isReverse ? min + 1 : min, isReverse ? min : min + 1, kind);
  const skipped = offset < 0 ? ALL_ELEMENTS : offset;
  const wanted = limit < 0 ? ALL_ELEMENTS : limit;
  if (isReverse) {
    rangeEnd = Math.max(rangeFirst, rangeEnd - skipped);
    rangeFirst = Math.max(rangeFirst, rangeEnd - wanted);
  } else {
    rangeFirst = Math.min(rangeEnd, rangeFirst + skipped);
    rangeEnd = Math.min(rangeEnd, rangeFirst + wanted);
  }
}

function range(call: Call, kind: RangeKind | undefined, isReverse: boolean | undefined): void {
  const options = readRangeOptions(call, 4, false, kind, isReverse);
  checkBounds(call, 2, options);
  const head = readHead(call, 1, ZSET);
  if (head === 0) {
    call.out.emptyArray();
    return;
  }
  findOptionRanks(call, head, 2, options);
  const count = rangeEnd - rangeFirst;
  call.out.array(options.withScores ? 2 * count : count);
  walk.begin(call.arena, head, options.isReverse ? rangeEnd - 1 : rangeFirst, options.isReverse);
  for (let i = 0; i < count; i++) {
    walk.next();
    replyRange(call, walk.member);
    if (options.withScores) replyScore(call, walk.score);
  }
}

/** Throws ReplyError when one of the two bounds from argument `min` on is none. */
function checkBounds(call: Call, min: number, options: RangeOptions): void {
  checkBound(call, min, options.kind);
  checkBound(call, min + 1, options.kind);
}

function storeRange(call: Call): void {
  const options = readRangeOptions(call, 5, true, undefined, undefined);
  checkBounds(call, 3, options);
  const head = readHead(call, 2, ZSET);
  checkKeyLength(call, 1);
  const result = createZset(call.arena);
  let count = 0;
  if (head !== 0) {
    findOptionRanks(call, head, 3, options);
    count = rangeEnd - rangeFirst;
    walk.begin(call.arena, head, rangeFirst, false);
    for (let i = 0; i < count; i++) {
      walk.next();
      const { bytes, start, end } = walk.member;
      zsetSet(call.arena, result, bytes, start, end, walk.score);
    }
  }
  if (storeHead(call, 1, ZSET, result, count)) call.dirty++;
  call.out.integer(count);
}

/** ZCOUNT, ZLEXCOUNT. */
function count(call: Call, kind: RangeKind): void {
  checkBound(call, 2, kind);
  checkBound(call, 3, kind);
  const head = readHead(call, 1, ZSET);
  if (head === 0) {
    call.out.integer(0);
    return;
  }
  findRanks(call, head, 2, 3, kind);
  call.out.integer(rangeEnd - rangeFirst);
}

function removeRange(call: Call, kind: RangeKind): void {
  checkBound(call, 2, kind);
  checkBound(call, 3, kind);
  const entry = writeTyped(call, 1, ZSET);
  if (entry === 0) {
    call.out.integer(0);
    return;
  }
  const head = entryValueWord(call.arena, entry);
  findRanks(call, head, 2, 3, kind);
  const removed = rangeEnd - rangeFirst;
  call.out.integer(removed);
  if (removed > 0) dropRanks(call, entry, head, rangeFirst, removed);
}

export const ZSET_RANGE_HANDLERS = {
  ZCOUNT: (call) => count(call, "score"),
  ZLEXCOUNT: (call) => count(call, "member"),
  ZRANGE: (call) => range(call, undefined, undefined),
  ZRANGEBYLEX: (call) => range(call, "member", false),
  ZRANGEBYSCORE: (call) => range(call, "score", false),
  ZRANGESTORE: storeRange,
  ZREMRANGEBYLEX: (call) => removeRange(call, "member"),
  ZREMRANGEBYRANK: (call) => removeRange(call, "rank"),
  ZREMRANGEBYSCORE: (call) => removeRange(call, "score"),
  ZREVRANGE: (call) => range(call, "rank", true),
  ZREVRANGEBYLEX: (call) => range(call, "member", true),
  ZREVRANGEBYSCORE: (call) => range(call, "score", true),
} as const satisfies Record<string, Handler>;
