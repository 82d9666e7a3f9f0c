/**
 * A small sorted set in one block (packed.ts), its scores in front so that a score, a rank or a
 * range of scores is found by halving, without looking at members:
 *
 *   | score 0 | score 1 | ... | member 0 | member 1 | ... | room |
 *
 * in their order: by score, then by member bytes. Scores are 4 bytes (int32) as long as all are
 * such integers, which most scores in use are, and 8 (f64) from the first other one on; the width
 * stands in the head (head.ts). A set never gets narrower again. How many members it may have is
 * zset.ts' business.
 */

import { compareBytes } from "../../base/bytes.ts";
import { type Arena, CHUNK_SHIFT, GRANULE_MASK } from "../arena/arena.ts";
import { type ByteRange, createByteRange } from "./byte-range.ts";
import {
  createHead,
  FORM_PACKED,
  headBody,
  headCount,
  headWidth,
  setHead,
  setHeadCount,
} from "./head.ts";
import {
  findString,
  foundIndex,
  packedUsed,
  reserve,
  showString,
  shrinkBlock,
  skipString,
  skipStrings,
  splice,
  stringBytes,
  writeString,
} from "./packed.ts";

const NARROW = 4;
const WIDE = 8;
export const SCORE_BYTES_MAX = WIDE;

/** An empty sorted set in this form. */
export function createPackedZset(arena: Arena): number {
  return createHead(arena, FORM_PACKED, NARROW, 0, 0);
}

/** Position of member 0: behind all scores. */
export function firstMember(arena: Arena, head: number): number {
  return headCount(arena, head) * headWidth(arena, head);
}

/** The score of rank `rank`, 0 .. length - 1. */
export function scoreAt(arena: Arena, head: number, rank: number): number {
  const block = headBody(arena, head);
  const chunk = block >>> CHUNK_SHIFT;
  const granule = block & GRANULE_MASK;
  if (headWidth(arena, head) === NARROW) return arena.words[chunk]![(granule << 2) + rank]!;
  return arena.doubles[chunk]![(granule << 1) + rank]!;
}

function setScoreAt(arena: Arena, head: number, rank: number, score: number): void {
  const block = headBody(arena, head);
  const chunk = block >>> CHUNK_SHIFT;
  const granule = block & GRANULE_MASK;
  if (headWidth(arena, head) === NARROW) arena.words[chunk]![(granule << 2) + rank] = score;
  else arena.doubles[chunk]![(granule << 1) + rank] = score;
}

/** Position of the member of rank `rank`, 0 .. length. */
export function memberPosition(arena: Arena, head: number, rank: number): number {
  return skipStrings(arena, head, firstMember(arena, head), rank);
}

/** The rank of the member `buf[from, to)`; -1 when it is none. */
export function packedRank(
  arena: Arena,
  head: number,
  buf: Buffer,
  from: number,
  to: number,
): number {
  const found = findString(arena, head, firstMember(arena, head), false, buf, from, to);
  return found < 0 ? -1 : foundIndex;
}

/** How many scores are below `score`, or `orEqual` to it. */
export function countScoresBelow(
  arena: Arena,
  head: number,
  score: number,
  orEqual: boolean,
): number {
  let first = 0;
  let end = headCount(arena, head);
  while (first < end) {
    const rank = (first + end) >>> 1;
    const other = scoreAt(arena, head, rank);
    if (other < score || (orEqual && other === score)) first = rank + 1;
    else end = rank;
  }
  return first;
}

const shown: ByteRange = createByteRange();

/** As memcmp: the member at `position` before, equal to or behind `buf[from, to)`. */
function compareMember(
  arena: Arena,
  head: number,
  position: number,
  buf: Buffer,
  from: number,
  to: number,
): number {
  showString(arena, head, position, shown);
  return compareBytes(shown.bytes, shown.start, shown.end, buf, from, to);
}

/** How many members are below `buf[from, to)`, or `orEqual` to it; all scores are the same. */
export function countMembersBelow(
  arena: Arena,
  head: number,
  buf: Buffer,
  from: number,
  to: number,
  orEqual: boolean,
): number {
  const count = headCount(arena, head);
  let position = firstMember(arena, head);
  for (let rank = 0; rank < count; rank++) {
    const order = compareMember(arena, head, position, buf, from, to);
    if (order > 0 || (order === 0 && !orEqual)) return rank;
    position = shown.end - ((headBody(arena, head) & GRANULE_MASK) << 4);
  }
  return count;
}

/** Adds a member that is not there yet. `makeFit` was called for its score. */
export function insertMember(
  arena: Arena,
  head: number,
  buf: Buffer,
  from: number,
  to: number,
  score: number,
): void {
  const size = stringBytes(to - from);
  const width = headWidth(arena, head);
  // What follows must not fail halfway.
  reserve(arena, head, size + width);
  const count = headCount(arena, head);
  let rank = countScoresBelow(arena, head, score, false);
  let position = memberPosition(arena, head, rank);
  while (rank < count && scoreAt(arena, head, rank) === score) {
    if (compareMember(arena, head, position, buf, from, to) > 0) break;
    position = skipString(arena, head, position);
    rank++;
  }
  splice(arena, head, position, 0, size);
  writeString(arena, head, position, buf, from, to);
  splice(arena, head, rank * width, 0, width);
  setScoreAt(arena, head, rank, score);
  setHeadCount(arena, head, count + 1);
}

/** Removes `removed` members from rank `rank` on, which all exist. */
export function removeMembers(arena: Arena, head: number, rank: number, removed: number): void {
  const width = headWidth(arena, head);
  const position = memberPosition(arena, head, rank);
  const end = skipStrings(arena, head, position, removed);
  const count = headCount(arena, head);
  splice(arena, head, position, end - position, 0);
  splice(arena, head, rank * width, removed * width, 0);
  setHeadCount(arena, head, count - removed);
  shrinkBlock(arena, head);
}

/** Gives the member of rank `rank`, which is `buf[from, to)`, another score, after `makeFit`. */
export function changeScore(
  arena: Arena,
  head: number,
  rank: number,
  buf: Buffer,
  from: number,
  to: number,
  score: number,
): void {
  const count = headCount(arena, head);
  const fitsBefore = rank === 0 || scoreAt(arena, head, rank - 1) < score;
  if (fitsBefore && (rank === count - 1 || score < scoreAt(arena, head, rank + 1))) {
    setScoreAt(arena, head, rank, score);
    return;
  }
  removeMembers(arena, head, rank, 1);
  insertMember(arena, head, buf, from, to, score);
}

/** Sees to it that a score like `score` can be held, before positions are asked for. */
export function makeFit(arena: Arena, head: number, score: number): void {
  const isNarrow = score === (score | 0) && !Object.is(score, -0);
  if (isNarrow || headWidth(arena, head) === WIDE) return;
  const count = headCount(arena, head);
  splice(arena, head, count * NARROW, 0, count * (WIDE - NARROW));
  const block = headBody(arena, head);
  setHead(arena, head, FORM_PACKED, WIDE, block, packedUsed(arena, head), count);
  const words = arena.words[block >>> CHUNK_SHIFT]!;
  const first = (block & GRANULE_MASK) << 2;
  // From the last one: none is overwritten before it is read.
  for (let rank = count - 1; rank >= 0; rank--) {
    setScoreAt(arena, head, rank, words[first + rank]!);
  }
}

/** Goes through the members of one that does not change meanwhile, in order, either way. */
export class PackedZsetWalk {
  readonly member: ByteRange;
  score = 0;
  #arena: Arena | undefined;
  #head = 0;
  /** Of the member shown next; none when there is no such rank. */
  #rank = 0;
  #position = 0;
  #isBackward = false;
  /** For going backward: where the members up to the first one shown begin. */
  #positions = new Int32Array(0);

  /** @param member what members are shown in */
  constructor(member = createByteRange()) {
    this.member = member;
  }

  /** @param rank of the first member shown; one that does not exist shows none */
  begin(arena: Arena, head: number, rank: number, isBackward: boolean): void {
    this.#arena = arena;
    this.#head = head;
    this.#isBackward = isBackward;
    const count = headCount(arena, head);
    this.#rank = rank >= 0 && rank < count ? rank : count;
    if (this.#rank === count) return;
    if (isBackward) this.#findPositions();
    else this.#position = memberPosition(arena, head, rank);
  }

  #findPositions(): void {
    const arena = this.#arena!;
    if (this.#positions.length <= this.#rank) this.#positions = new Int32Array(2 * this.#rank + 2);
    let position = firstMember(arena, this.#head);
    for (let rank = 0; rank <= this.#rank; rank++) {
      this.#positions[rank] = position;
      position = skipString(arena, this.#head, position);
    }
  }

  /** Shows the next member and its score; false after the last one. */
  next(): boolean {
    const arena = this.#arena!;
    const head = this.#head;
    const rank = this.#rank;
    if (rank < 0 || rank >= headCount(arena, head)) return false;
    if (this.#isBackward) this.#position = this.#positions[rank]!;
    this.score = scoreAt(arena, head, rank);
    showString(arena, head, this.#position, this.member);
    if (!this.#isBackward) this.#position = skipString(arena, head, this.#position);
    this.#rank = this.#isBackward ? rank - 1 : rank + 1;
    return true;
  }
}
