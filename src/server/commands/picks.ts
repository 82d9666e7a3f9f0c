/**
 * HRANDFIELD, SRANDMEMBER and ZRANDMEMBER: elements picked at random, with or without repeats.
 * Source of texts and of what is looked at first: Redis 7.0 src/t_hash.c, t_set.c, t_zset.c.
 */

import { argInteger, argIs, argText, type Call, failSyntax } from "../call.ts";
import { OUT_OF_RANGE, ReplyError } from "../replies.ts";
import { createSet, SET_TYPE, setAdd, setLength } from "../types/set.ts";
import { ALL_ELEMENTS, readHead } from "./collections.ts";
import { Elements, type ElementsKind } from "./elements.ts";

const LONG_RANGE_ERROR = new ReplyError(
  "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
);
const OUT_OF_RANGE_ERROR = new ReplyError(OUT_OF_RANGE);
/**
 * Repeated picks, unlike different ones, are bounded by nothing that is stored: a short request may
 * ask for gigabytes, while everybody else waits. So many picks take 1.5 s, so many bytes 0.7 s.
 */
export const REPEATED_PICKS_MAX = 2 ** 22;
export const REPEATED_PICKS_BYTES_MAX = 64 * 1024 * 1024;
const TOO_MANY_PICKS = new ReplyError(
  `ERR value is out of range, at most ${REPEATED_PICKS_MAX} repeated picks are made at once`,
);
const PICKS_TOO_LARGE = new ReplyError(
  `ERR repeated picks must not take more than ${REPEATED_PICKS_BYTES_MAX} bytes together, ask for fewer`,
);
/**
 * With values a reply has twice as many elements as picks, a number that Redis must be able to
 * count.
 */
const PAIRS_MAX = 2 ** 62;
const INT64_MIN_TEXT = "-9223372036854775808";

/**
 * Argument `i`: how many elements to pick at random; that many different ones, or when negative the
 * same ones again if it happens.
 * @throws ReplyError
 */
function argPicks(call: Call, i: number): number {
  const picks = argInteger(call, i);
  if (argText(call, i) === INT64_MIN_TEXT) throw LONG_RANGE_ERROR;
  if (picks < -PAIRS_MAX) throw OUT_OF_RANGE_ERROR;
  if (picks < -REPEATED_PICKS_MAX) throw TOO_MANY_PICKS;
  return picks;
}

/**
 * Answers `key [count [word]]`.
 * @param word that asks for values or scores, lower case; "" for SRANDMEMBER, which has none
 */
export function pickRandom(call: Call, kind: ElementsKind, word: string): void {
  if (word === "" && call.argc > 3) failSyntax();
  if (call.argc === 2) {
    pickOne(call, readHead(call, 1, kind.type), kind);
    return;
  }
  const picks = argPicks(call, 2);
  const isWide = call.argc > 3;
  if (call.argc > 4 || (isWide && !argIs(call, 3, word))) failSyntax();
  if (isWide && picks >= PAIRS_MAX) throw OUT_OF_RANGE_ERROR;
  const head = readHead(call, 1, kind.type);
  if (head === 0 || picks === 0) {
    call.out.emptyArray();
    return;
  }
  const elements = new Elements(call, head, kind, isWide);
  const count = picks < 0 ? -picks : Math.min(picks, elements.length);
  call.out.array(count * elements.width);
  if (picks < 0) pickRepeatedly(call, elements, count);
  else if (count * 3 > elements.length) pickByChance(elements, count);
  else pickDifferent(call, elements, count);
}

function pickOne(call: Call, head: number, kind: ElementsKind): void {
  if (head === 0) {
    call.out.nil();
    return;
  }
  const elements = new Elements(call, head, kind, false);
  elements.random();
  elements.reply();
}

function pickRepeatedly({ out }: Call, elements: Elements, count: number): void {
  const bytesMax = out.pendingBytes + REPEATED_PICKS_BYTES_MAX;
  const isOne = elements.length === 1;
  elements.random();
  for (let i = 0; i < count; i++) {
    if (!isOne) elements.random();
    elements.reply();
    if (out.pendingBytes > bytesMax) throw PICKS_TOO_LARGE;
  }
}

/** Looks at every element and takes it with the chance that is left for it: many of few. */
function pickByChance(elements: Elements, count: number): void {
  let wanted = count;
  let left = elements.length;
  elements.begin();
  while (wanted > 0 && elements.next()) {
    if (Math.random() * left < wanted) {
      elements.reply();
      wanted--;
    }
    left--;
  }
}

/** Picks until there are enough different ones: few of many. */
function pickDifferent(call: Call, elements: Elements, count: number): void {
  const { arena } = call;
  const picked = createSet(arena);
  while (setLength(arena, picked) < count) {
    elements.random();
    const { bytes, start, end } = elements.shown;
    if (setAdd(arena, picked, bytes, start, end)) elements.reply();
  }
  SET_TYPE.release(arena, picked, ALL_ELEMENTS);
}
