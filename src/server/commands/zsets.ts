/**
 * Sorted sets: members and their scores. Ranges are in zset-ranges.ts, several sorted sets at a
 * time in zset-algebra.ts. Source of texts and details, also of which argument is looked at first:
 * Redis 7.0 src/t_zset.c.
 */

import { entryValueWord } from "../arena/entry.ts";
import {
  argBytes,
  argDouble,
  argEnd,
  argIs,
  argStart,
  type Call,
  failSyntax,
  type Handler,
  writeTyped,
} from "../call.ts";
import { formatDouble } from "../double.ts";
import { NUMKEYS_ERROR, POP_COUNT_ERROR, ReplyError } from "../replies.ts";
import { ZSET } from "../types/value-type.ts";
import {
  MEMBER_ADDED,
  SCORE_SAME,
  ZsetWalk,
  zsetLength,
  zsetRandom,
  zsetRank,
  zsetRemove,
  zsetRemoveRanks,
  zsetScore,
  zsetSet,
} from "../types/zset.ts";
import {
  argAtLeastOne,
  argCount,
  checkMemberLengths,
  headToGrow,
  readHead,
  removeNamed,
  replyRange,
} from "./collections.ts";
import type { ElementsKind } from "./elements.ts";
import { pickRandom } from "./picks.ts";
import { scanCollection } from "./scan.ts";

const PLUS = 0x2b;
const NINE = 0x39;

const walk = new ZsetWalk();

/** Replies a score, as a bulk. */
export function replyScore(call: Call, score: number): void {
  if (Number.isSafeInteger(score) && score !== 0) call.out.bulkInteger(score);
  else call.out.bulkText(formatDouble(score));
}

interface AddOptions {
  ifMissing: boolean;
  ifPresent: boolean;
  ifGreater: boolean;
  ifLess: boolean;
  countsChanged: boolean;
  increments: boolean;
  /** Argument of the first score. */
  first: number;
}

function readAddOptions(call: Call): AddOptions {
  const options: AddOptions = {
    ifMissing: false,
    ifPresent: false,
    ifGreater: false,
    ifLess: false,
    countsChanged: false,
    increments: false,
    first: 2,
  };
  for (; options.first < call.argc; options.first++) {
    const i = options.first;
    if (argIs(call, i, "nx")) options.ifMissing = true;
    else if (argIs(call, i, "xx")) options.ifPresent = true;
    else if (argIs(call, i, "gt")) options.ifGreater = true;
    else if (argIs(call, i, "lt")) options.ifLess = true;
    else if (argIs(call, i, "ch")) options.countsChanged = true;
    else if (argIs(call, i, "incr")) options.increments = true;
    else break;
  }
  return options;
}

function checkAddOptions(call: Call, options: AddOptions): void {
  const words = call.argc - options.first;
  if (words === 0 || words % 2 === 1) failSyntax();
  const { ifMissing, ifPresent, ifGreater, ifLess } = options;
  if (ifMissing && ifPresent) {
    throw new ReplyError("ERR XX and NX options at the same time are not compatible");
  }
  if ((ifGreater && ifMissing) || (ifLess && ifMissing) || (ifGreater && ifLess)) {
    throw new ReplyError("ERR GT, LT, and/or NX options at the same time are not compatible");
  }
  if (options.increments && words > 2) {
    throw new ReplyError("ERR INCR option supports a single increment-element pair");
  }
}

const NOT_A_NUMBER_ERROR = new ReplyError("ERR resulting score is not a number (NaN)");

/** The score the member in argument `i` is to get; NaN when it shall stay as it is. */
function nextScore(call: Call, head: number, i: number, options: AddOptions): number {
  const { buf, arena } = call;
  const change = argDouble(call, i - 1);
  const old = head === 0 ? NaN : zsetScore(arena, head, buf, argStart(call, i), argEnd(call, i));
  if (Number.isNaN(old)) return options.ifPresent ? NaN : change;
  if (options.ifMissing) return NaN;
  const score = options.increments ? old + change : change;
  if (Number.isNaN(score)) throw NOT_A_NUMBER_ERROR;
  if ((options.ifGreater && score <= old) || (options.ifLess && score >= old)) return NaN;
  return score;
}

/** Argument `i` begins with a digit, a sign or a point, as no option does. */
function beginsScore(call: Call, i: number): boolean {
  const byte = call.buf[argStart(call, i)]!;
  return byte >= PLUS && byte <= NINE;
}

/** ZADD without options of a score and a member: nearly every one, and nothing is allocated. */
function addOne(call: Call): void {
  const score = argDouble(call, 2);
  checkMemberLengths(call, 3, 2);
  const head = headToGrow(call, 1, ZSET, writeTyped(call, 1, ZSET));
  const { arena, buf } = call;
  const done = zsetSet(arena, head, buf, argStart(call, 3), argEnd(call, 3), score + 0);
  if (done !== SCORE_SAME) call.dirty++;
  call.out.integer(done === MEMBER_ADDED ? 1 : 0);
}

function add(call: Call): void {
  if (call.argc === 4 && beginsScore(call, 2)) addOne(call);
  else addWith(call, readAddOptions(call));
}

function addWith(call: Call, options: AddOptions): void {
  checkAddOptions(call, options);
  for (let i = options.first; i < call.argc; i += 2) argDouble(call, i);
  checkMemberLengths(call, options.first + 1, 2);
  const entry = writeTyped(call, 1, ZSET);
  if (options.increments) {
    incrementOne(call, entry, options);
    return;
  }
  if (entry === 0 && options.ifPresent) {
    call.out.integer(0);
    return;
  }
  const head = headToGrow(call, 1, ZSET, entry);
  const before = zsetLength(call.arena, head);
  let changed = 0;
  for (let i = options.first + 1; i < call.argc; i += 2) {
    const score = nextScore(call, head, i, options);
    if (Number.isNaN(score)) continue;
    if (setScore(call, head, i, score)) changed++;
  }
  call.dirty += changed;
  call.out.integer(options.countsChanged ? changed : zsetLength(call.arena, head) - before);
}

function incrementOne(call: Call, entry: number, options: AddOptions): void {
  const i = options.first + 1;
  const score = nextScore(call, entry === 0 ? 0 : entryValueWord(call.arena, entry), i, options);
  if (Number.isNaN(score)) {
    call.out.nil();
    return;
  }
  const head = headToGrow(call, 1, ZSET, entry);
  if (setScore(call, head, i, score)) call.dirty++;
  replyScore(call, score);
}

/**
 * Gives the member in argument `i` a score, 0 for -0 as Redis' small form does. Returns: changed.
 */
function setScore(call: Call, head: number, i: number, score: number): boolean {
  const { arena, buf } = call;
  return zsetSet(arena, head, buf, argStart(call, i), argEnd(call, i), score + 0) !== SCORE_SAME;
}

const INCREMENT: AddOptions = {
  ifMissing: false,
  ifPresent: false,
  ifGreater: false,
  ifLess: false,
  countsChanged: false,
  increments: true,
  first: 2,
};

/** Replies the score of the member in argument `i`, or nil; `head` may be 0. */
function replyScoreOf(call: Call, head: number, i: number): void {
  const { arena, buf } = call;
  const score = head === 0 ? NaN : zsetScore(arena, head, buf, argStart(call, i), argEnd(call, i));
  if (Number.isNaN(score)) call.out.nil();
  else replyScore(call, score);
}

function scores(call: Call): void {
  const head = readHead(call, 1, ZSET);
  call.out.array(call.argc - 2);
  for (let i = 2; i < call.argc; i++) replyScoreOf(call, head, i);
}

function length(call: Call): void {
  const head = readHead(call, 1, ZSET);
  call.out.integer(head === 0 ? 0 : zsetLength(call.arena, head));
}

/** ZRANK and ZREVRANK. */
function rank(call: Call, fromHighest: boolean): void {
  const withScore = call.argc > 3;
  if (withScore && (call.argc > 4 || !argIs(call, 3, "withscore"))) failSyntax();
  const head = readHead(call, 1, ZSET);
  const { arena, buf } = call;
  const found = head === 0 ? -1 : zsetRank(arena, head, buf, argStart(call, 2), argEnd(call, 2));
  if (found < 0) {
    if (withScore) call.out.nilArray();
    else call.out.nil();
    return;
  }
  if (withScore) call.out.array(2);
  call.out.integer(fromHighest ? zsetLength(arena, head) - 1 - found : found);
  if (withScore) replyScoreOf(call, head, 2);
}

/** Removes members by rank, and the key when none is left. */
export function dropRanks(
  call: Call,
  entry: number,
  head: number,
  first: number,
  count: number,
): void {
  call.dirty += count;
  if (count === zsetLength(call.arena, head)) call.db.remove(entry);
  else zsetRemoveRanks(call.arena, head, first, count);
}

/** Replies and removes `count` members with the highest or lowest scores. */
function popMembers(
  call: Call,
  entry: number,
  count: number,
  highest: boolean,
  nested: boolean,
): void {
  const head = entryValueWord(call.arena, entry);
  const held = zsetLength(call.arena, head);
  walk.begin(call.arena, head, highest ? held - 1 : 0, highest);
  for (let i = 0; i < count; i++) {
    walk.next();
    if (nested) call.out.array(2);
    replyRange(call, walk.member);
    replyScore(call, walk.score);
  }
  dropRanks(call, entry, head, highest ? held - count : 0, count);
}

function pop(call: Call, highest: boolean): void {
  if (call.argc > 3) failSyntax();
  const wanted = call.argc === 3 ? argCount(call, 2) : 1;
  const entry = writeTyped(call, 1, ZSET);
  if (entry === 0 || wanted === 0) {
    call.out.emptyArray();
    return;
  }
  const held = zsetLength(call.arena, entryValueWord(call.arena, entry));
  const count = Math.min(wanted, held);
  call.out.array(2 * count);
  popMembers(call, entry, count, highest, false);
}

function popFromFirstOf(call: Call): void {
  const numkeys = argAtLeastOne(call, 1, NUMKEYS_ERROR);
  const side = numkeys + 2;
  if (side >= call.argc) failSyntax();
  const highest = argIs(call, side, "max");
  if (!highest && !argIs(call, side, "min")) failSyntax();
  let wanted = -1;
  for (let i = side + 1; i < call.argc; i += 2) {
    if (wanted >= 0 || !argIs(call, i, "count") || i + 1 === call.argc) failSyntax();
    wanted = argAtLeastOne(call, i + 1, POP_COUNT_ERROR);
  }
  for (let i = 2; i < side; i++) {
    const entry = writeTyped(call, i, ZSET);
    if (entry === 0) continue;
    const held = zsetLength(call.arena, entryValueWord(call.arena, entry));
    const count = Math.min(Math.max(wanted, 1), held);
    call.propagateAs = [[highest ? "ZPOPMAX" : "ZPOPMIN", argBytes(call, i), count]];
    call.out.array(2);
    call.out.bulk(call.buf, argStart(call, i), argEnd(call, i));
    call.out.array(count);
    popMembers(call, entry, count, highest, true);
    return;
  }
  call.out.nilArray();
}

const MEMBERS: ElementsKind = {
  type: ZSET,
  walk,
  shown: walk.member,
  length: zsetLength,
  random: (arena, head) => {
    walk.score = zsetRandom(arena, head, Math.random, walk.member);
  },
  replyValue: (call) => replyScore(call, walk.score),
};

export const ZSET_HANDLERS = {
  ZADD: add,
  ZCARD: length,
  ZINCRBY: (call) => addWith(call, INCREMENT),
  ZMPOP: popFromFirstOf,
  ZMSCORE: scores,
  ZPOPMAX: (call) => pop(call, true),
  ZPOPMIN: (call) => pop(call, false),
  ZRANDMEMBER: (call) => pickRandom(call, MEMBERS, "withscores"),
  ZRANK: (call) => rank(call, false),
  ZREM: (call) => removeNamed(call, ZSET, zsetRemove, zsetLength),
  ZREVRANK: (call) => rank(call, true),
  ZSCAN: (call) => scanCollection(call, MEMBERS),
  ZSCORE: (call) => replyScoreOf(call, readHead(call, 1, ZSET), 2),
} as const satisfies Record<string, Handler>;
