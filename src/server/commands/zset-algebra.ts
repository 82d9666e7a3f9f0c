/**
 * Union, intersection and difference of sorted sets, replied, stored or counted. A source may be a
 * plain set, whose members have score 1. Results are built as sorted sets in the arena. Source of
 * texts, of the order in which scores are added up and of details: Redis 7.0 src/t_zset.c
 * (`zunionInterDiffGenericCommand`).
 */

import { entryKind, entryValueWord } from "../arena/entry.ts";
import { argInteger, argIs, type Call, failSyntax, type Handler, lookupRead } from "../call.ts";
import { parseDouble } from "../double.ts";
import { LIMIT_ERROR, ReplyError, WRONG_TYPE_ERROR } from "../replies.ts";
import { SetWalk, setHas, setLength } from "../types/set.ts";
import { SET, ZSET } from "../types/value-type.ts";
import { createZset, freeZset, ZsetWalk, zsetLength, zsetScore, zsetSet } from "../types/zset.ts";
import { ALL_ELEMENTS, argCount, checkKeyLength, replyRange, storeHead } from "./collections.ts";
import { replyScore } from "./zsets.ts";

/** One input: a sorted set, a set, or (head 0) nothing. */
interface Source {
  readonly head: number;
  readonly isSet: boolean;
  weight: number;
}

type Aggregate = "sum" | "min" | "max";
type Operation = "union" | "intersection" | "difference";

interface Combination {
  readonly sources: Source[];
  aggregate: Aggregate;
  withScores: boolean;
  readonly isStored: boolean;
  /** For a count: no more than this; 0 for all. */
  limit: number;
}

const WEIGHT_ERROR = new ReplyError("ERR weight value is not a float");

/** What the words behind the keys may be. */
type Words = "reply" | "store" | "count";

/** Reads `numkeys key ... options`; argument `at` is numkeys. @throws ReplyError */
function readCombination(call: Call, at: number, operation: Operation, words: Words): Combination {
  const numkeys = argInteger(call, at);
  if (numkeys < 1) {
    const name = call.command.lower;
    throw new ReplyError(`ERR at least 1 input key is needed for '${name}' command`);
  }
  if (numkeys > call.argc - at - 1) failSyntax();
  const sources: Source[] = [];
  for (let i = at + 1; i <= at + numkeys; i++) sources.push(readSource(call, i));
  const combination: Combination = {
    sources,
    aggregate: "sum",
    withScores: false,
    isStored: words === "store",
    limit: 0,
  };
  const hasScores = operation !== "difference" && words !== "count";
  for (let i = at + 1 + numkeys; i < call.argc; i++) {
    const left = call.argc - i;
    if (hasScores && left > numkeys && argIs(call, i, "weights")) {
      for (const source of sources) source.weight = argWeight(call, ++i);
    } else if (hasScores && left >= 2 && argIs(call, i, "aggregate")) {
      combination.aggregate = argAggregate(call, ++i);
    } else if (words === "reply" && argIs(call, i, "withscores")) {
      combination.withScores = true;
    } else if (words === "count" && left >= 2 && argIs(call, i, "limit")) {
      combination.limit = argCount(call, ++i, LIMIT_ERROR);
    } else failSyntax();
  }
  return combination;
}

function readSource(call: Call, i: number): Source {
  const entry = lookupRead(call, i);
  if (entry === 0) return { head: 0, isSet: false, weight: 1 };
  const kind = entryKind(call.arena, entry);
  if (kind !== ZSET && kind !== SET) throw WRONG_TYPE_ERROR;
  return { head: entryValueWord(call.arena, entry), isSet: kind === SET, weight: 1 };
}

function argWeight(call: Call, i: number): number {
  const weight = parseDouble(call.buf, call.args[2 * i]!, call.args[2 * i + 1]!);
  if (Number.isNaN(weight)) throw WEIGHT_ERROR;
  return weight;
}

function argAggregate(call: Call, i: number): Aggregate {
  if (argIs(call, i, "sum")) return "sum";
  if (argIs(call, i, "min")) return "min";
  return argIs(call, i, "max") ? "max" : failSyntax();
}

function sourceLength(call: Call, source: Source): number {
  if (source.head === 0) return 0;
  return source.isSet ? setLength(call.arena, source.head) : zsetLength(call.arena, source.head);
}

/** The member's score in a source, without weight; NaN when it is not there. */
function scoreIn(call: Call, source: Source, bytes: Buffer, start: number, end: number): number {
  if (source.head === 0) return NaN;
  if (!source.isSet) return zsetScore(call.arena, source.head, bytes, start, end);
  return setHas(call.arena, source.head, bytes, start, end) ? 1 : NaN;
}

const setWalk = new SetWalk();
const zsetWalk = new ZsetWalk();

/** What a walk through a source shows: the member of `setWalk` or `zsetWalk`, and its score. */
let shown = zsetWalk.member;
let shownScore = 0;

function beginSource(call: Call, source: Source): void {
  if (source.isSet) setWalk.begin(call.arena, source.head);
  else zsetWalk.begin(call.arena, source.head, 0, false);
  shown = source.isSet ? setWalk.member : zsetWalk.member;
}

function nextInSource(source: Source): boolean {
  if (source.isSet) {
    shownScore = 1;
    return setWalk.next();
  }
  const isThere = zsetWalk.next();
  shownScore = zsetWalk.score;
  return isThere;
}

/** Infinity times zero counts as nothing. */
function weighted(source: Source, score: number): number {
  const product = source.weight * score;
  return Number.isNaN(product) ? 0 : product;
}

function aggregated(aggregate: Aggregate, a: number, b: number): number {
  if (aggregate === "sum") {
    const sum = a + b;
    return Number.isNaN(sum) ? 0 : sum;
  }
  const takesB = aggregate === "min" ? b < a : b > a;
  return takesB ? b : a;
}

/** The fewest members first: the order in which scores are added up, too. */
function bySize(call: Call, sources: readonly Source[]): Source[] {
  return sources.toSorted((a, b) => sourceLength(call, a) - sourceLength(call, b));
}

/** Adds the member shown to the result; stored, -0 becomes 0 as in Redis' small form. */
function put(call: Call, combination: Combination, result: number, score: number): void {
  const { bytes, start, end } = shown;
  zsetSet(call.arena, result, bytes, start, end, combination.isStored ? score + 0 : score);
}

function unite(call: Call, combination: Combination, result: number): void {
  const { sources, aggregate } = combination;
  const sorted = bySize(call, sources);
  for (const [i, source] of sorted.entries()) {
    if (source.head === 0) continue;
    beginSource(call, source);
    while (nextInSource(source)) {
      const { bytes, start, end } = shown;
      // Those of the sources before were complete when they were added.
      if (!Number.isNaN(zsetScore(call.arena, result, bytes, start, end))) continue;
      let score = weighted(source, shownScore);
      for (let k = i + 1; k < sorted.length; k++) {
        const other = scoreIn(call, sorted[k]!, bytes, start, end);
        if (!Number.isNaN(other)) score = aggregated(aggregate, score, weighted(sorted[k]!, other));
      }
      put(call, combination, result, score);
    }
  }
}

/** The score of the member shown in the intersection, NaN when a source lacks it. */
function commonScore(call: Call, sorted: readonly Source[], aggregate: Aggregate): number {
  const { bytes, start, end } = shown;
  let score = weighted(sorted[0]!, shownScore);
  for (let k = 1; k < sorted.length; k++) {
    const other = scoreIn(call, sorted[k]!, bytes, start, end);
    if (Number.isNaN(other)) return NaN;
    score = aggregated(aggregate, score, weighted(sorted[k]!, other));
  }
  return score;
}

function intersect(call: Call, combination: Combination, result: number): void {
  const { sources, aggregate } = combination;
  const sorted = bySize(call, sources);
  if (sorted[0]!.head === 0) return;
  beginSource(call, sorted[0]!);
  while (nextInSource(sorted[0]!)) {
    const score = commonScore(call, sorted, aggregate);
    if (!Number.isNaN(score)) put(call, combination, result, score);
  }
}

function subtract(call: Call, { sources }: Combination, result: number): void {
  const first = sources[0]!;
  if (first.head === 0) return;
  beginSource(call, first);
  while (nextInSource(first)) {
    const { bytes, start, end } = shown;
    let isElsewhere = false;
    for (let k = 1; !isElsewhere && k < sources.length; k++) {
      isElsewhere = !Number.isNaN(scoreIn(call, sources[k]!, bytes, start, end));
    }
    if (!isElsewhere) zsetSet(call.arena, result, bytes, start, end, shownScore);
  }
}

const COMBINE: Readonly<Record<Operation, typeof unite>> = {
  union: unite,
  intersection: intersect,
  difference: subtract,
};

function reply(call: Call, operation: Operation): void {
  const combination = readCombination(call, 1, operation, "reply");
  const result = createZset(call.arena);
  COMBINE[operation](call, combination, result);
  const length = zsetLength(call.arena, result);
  call.out.array(combination.withScores ? 2 * length : length);
  zsetWalk.begin(call.arena, result, 0, false);
  while (zsetWalk.next()) {
    replyRange(call, zsetWalk.member);
    if (combination.withScores) replyScore(call, zsetWalk.score);
  }
  freeZset(call.arena, result, ALL_ELEMENTS);
}

function store(call: Call, operation: Operation): void {
  const combination = readCombination(call, 2, operation, "store");
  checkKeyLength(call, 1);
  const result = createZset(call.arena);
  COMBINE[operation](call, combination, result);
  const length = zsetLength(call.arena, result);
  if (storeHead(call, 1, ZSET, result, length)) call.dirty++;
  call.out.integer(length);
}

function countIntersection(call: Call): void {
  const { sources, limit } = readCombination(call, 1, "intersection", "count");
  const sorted = bySize(call, sources);
  let found = 0;
  if (sorted[0]!.head !== 0) {
    beginSource(call, sorted[0]!);
    while ((limit === 0 || found < limit) && nextInSource(sorted[0]!)) {
      if (!Number.isNaN(commonScore(call, sorted, "sum"))) found++;
    }
  }
  call.out.integer(found);
}

export const ZSET_ALGEBRA_HANDLERS = {
  ZDIFF: (call) => reply(call, "difference"),
  ZDIFFSTORE: (call) => store(call, "difference"),
  ZINTER: (call) => reply(call, "intersection"),
  ZINTERCARD: countIntersection,
  ZINTERSTORE: (call) => store(call, "intersection"),
  ZUNION: (call) => reply(call, "union"),
  ZUNIONSTORE: (call) => store(call, "union"),
} as const satisfies Record<string, Handler>;
