/**
 * Sorted sets: members with scores. Small ones lie in one block (packed-zset.ts). In large ones a
 * dictionary of the arena finds a member, a skiplist keeps the order; an entry of the dictionary
 * names its node, the node its entry and the score. Which one it is only this file knows.
 *
 *   head ──> block                                    FORM_PACKED
 *   head ──> dictionary ──> entry (member) ⇄ node (score)
 *        └─> skiplist ────────────────────────^       FORM_TABLE
 *
 * Named by the ref of a head block (head.ts); `head` below is that ref. Order is by score, then by
 * member bytes; ranks count from 0. Ranges of scores and of members are ranges of ranks: find the
 * ranks first (`countBelowScore`, `countBelowMember`). Scores are never NaN. Never empty for longer
 * than a command: whoever removes the last member removes the key.
 */

import type { Arena } from "../arena/arena.ts";
import {
  createDict,
  dictCount,
  dictDrain,
  dictFind,
  dictInsert,
  dictRemove,
} from "../arena/dict.ts";
import { createEntry, entryValueWord, kindFlags, setEntryValueWord } from "../arena/entry.ts";
import { type ByteRange, createByteRange } from "./byte-range.ts";
import {
  createHead,
  FORM_PACKED,
  FORM_TABLE,
  headBody,
  headCount,
  headForm,
  headSecond,
  headWidth,
  setHead,
} from "./head.ts";
import {
  copyPacked,
  freeBlock,
  freePacked,
  PACKED_BYTES_MAX,
  packedBytes,
  packedUsed,
  showString,
  stringBytes,
} from "./packed.ts";
import {
  changeScore,
  countMembersBelow,
  countScoresBelow,
  createPackedZset,
  insertMember,
  makeFit,
  memberPosition,
  PackedZsetWalk,
  packedRank,
  removeMembers,
  SCORE_BYTES_MAX,
  scoreAt,
} from "./packed-zset.ts";
import {
  countBelowMember,
  countBelowScore,
  createSkiplist,
  insertNode,
  moveNode,
  nodeAfter,
  nodeAtRank,
  nodeBefore,
  nodeEntry,
  nodeScore,
  rankOf,
  removeNext,
  removeNode,
  seekRank,
  skiplistBytes,
} from "./skiplist.ts";
import { memberHash, showName, TableWalk, tableBytes, tableRandom } from "./table.ts";
import type { ValueType } from "./value-type.ts";

/** Any kind but 0: the value word of an entry is its node. */
const NODE_FLAGS = kindFlags(1);

/** What `zsetSet` did. */
export const SCORE_SAME = 0;
export const SCORE_CHANGED = 1;
export const MEMBER_ADDED = 2;

/** An empty sorted set. */
export function createZset(arena: Arena): number {
  return createPackedZset(arena);
}

function isTable(arena: Arena, head: number): boolean {
  return headForm(arena, head) === FORM_TABLE;
}

/** Members held. */
export function zsetLength(arena: Arena, head: number): number {
  return isTable(arena, head) ? dictCount(arena, headBody(arena, head)) : headCount(arena, head);
}

function find(arena: Arena, head: number, buf: Buffer, from: number, to: number): number {
  return dictFind(arena, headBody(arena, head), memberHash(buf, from, to), buf, from, to);
}

function entryScore(arena: Arena, entry: number): number {
  return nodeScore(arena, entryValueWord(arena, entry));
}

/** The score of the member `buf[from, to)`; NaN when it is none. */
export function zsetScore(
  arena: Arena,
  head: number,
  buf: Buffer,
  from: number,
  to: number,
): number {
  if (!isTable(arena, head)) {
    const rank = packedRank(arena, head, buf, from, to);
    return rank < 0 ? Number.NaN : scoreAt(arena, head, rank);
  }
  const entry = find(arena, head, buf, from, to);
  return entry === 0 ? Number.NaN : entryScore(arena, entry);
}

/**
 * Gives the member `buf[from, to)`, new or not, the score `score`.
 * @returns MEMBER_ADDED, SCORE_CHANGED or SCORE_SAME
 */
export function zsetSet(
  arena: Arena,
  head: number,
  buf: Buffer,
  from: number,
  to: number,
  score: number,
): number {
  if (!isTable(arena, head)) {
    makeFit(arena, head, score);
    const rank = packedRank(arena, head, buf, from, to);
    if (rank >= 0) return changePacked(arena, head, rank, buf, from, to, score);
    if (staysPacked(arena, head, to - from)) {
      insertMember(arena, head, buf, from, to, score);
      return MEMBER_ADDED;
    }
    toTable(arena, head);
  }
  return setInTable(arena, headBody(arena, head), headSecond(arena, head), buf, from, to, score);
}

function changePacked(
  arena: Arena,
  head: number,
  rank: number,
  buf: Buffer,
  from: number,
  to: number,
  score: number,
): number {
  if (scoreAt(arena, head, rank) === score) return SCORE_SAME;
  changeScore(arena, head, rank, buf, from, to, score);
  return SCORE_CHANGED;
}

/** One member more leaves the set within the limits of its packed form. */
function staysPacked(arena: Arena, head: number, memberBytes: number): boolean {
  const { limits } = arena;
  return (
    headCount(arena, head) < limits["zset-max-listpack-entries"] &&
    memberBytes <= limits["zset-max-listpack-value"] &&
    packedUsed(arena, head) + stringBytes(memberBytes) + SCORE_BYTES_MAX <= PACKED_BYTES_MAX
  );
}

function setInTable(
  arena: Arena,
  dict: number,
  skiplist: number,
  buf: Buffer,
  from: number,
  to: number,
  score: number,
): number {
  const hash = memberHash(buf, from, to);
  const found = dictFind(arena, dict, hash, buf, from, to);
  if (found === 0) {
    const entry = createEntry(arena, hash, NODE_FLAGS, buf, from, to, 0);
    dictInsert(arena, dict, entry);
    const node = insertNode(arena, skiplist, entry, score, buf, from, to);
    setEntryValueWord(arena, entry, node);
    return MEMBER_ADDED;
  }
  const oldScore = entryScore(arena, found);
  if (oldScore === score) return SCORE_SAME;
  const moved = moveNode(arena, skiplist, oldScore, score, buf, from, to);
  setEntryValueWord(arena, found, moved);
  return SCORE_CHANGED;
}

const convertWalk = new PackedZsetWalk();

function toTable(arena: Arena, head: number): void {
  const dict = createDict(arena);
  const skiplist = createSkiplist(arena);
  convertWalk.begin(arena, head, 0, false);
  while (convertWalk.next()) {
    const { bytes, start, end } = convertWalk.member;
    setInTable(arena, dict, skiplist, bytes, start, end, convertWalk.score);
  }
  freeBlock(arena, head);
  setHead(arena, head, FORM_TABLE, 0, dict, skiplist, 0);
}

/** Removes the member `buf[from, to)`. Returns whether it was there. */
export function zsetRemove(
  arena: Arena,
  head: number,
  buf: Buffer,
  from: number,
  to: number,
): boolean {
  if (!isTable(arena, head)) {
    const rank = packedRank(arena, head, buf, from, to);
    if (rank >= 0) removeMembers(arena, head, rank, 1);
    return rank >= 0;
  }
  const entry = find(arena, head, buf, from, to);
  if (entry === 0) return false;
  const skiplist = headSecond(arena, head);
  removeNode(arena, skiplist, entryScore(arena, entry), buf, from, to);
  dictRemove(arena, headBody(arena, head), entry);
  arena.free(entry);
  return true;
}

/** The rank of the member `buf[from, to)`; -1 when it is none. */
export function zsetRank(
  arena: Arena,
  head: number,
  buf: Buffer,
  from: number,
  to: number,
): number {
  if (!isTable(arena, head)) return packedRank(arena, head, buf, from, to);
  const entry = find(arena, head, buf, from, to);
  if (entry === 0) return -1;
  return rankOf(arena, headSecond(arena, head), entryScore(arena, entry), buf, from, to);
}

/** How many members have a score below `score`, or `orEqual` to it: a rank to start or end at. */
export function zsetCountBelowScore(
  arena: Arena,
  head: number,
  score: number,
  orEqual: boolean,
): number {
  if (!isTable(arena, head)) return countScoresBelow(arena, head, score, orEqual);
  return countBelowScore(arena, headSecond(arena, head), score, orEqual);
}

/**
 * How many members come before `buf[from, to)`, or are `orEqual` to it, in a sorted set whose
 * scores are all the same; with other scores the answer means nothing.
 */
export function zsetCountBelowMember(
  arena: Arena,
  head: number,
  buf: Buffer,
  from: number,
  to: number,
  orEqual: boolean,
): number {
  if (!isTable(arena, head)) return countMembersBelow(arena, head, buf, from, to, orEqual);
  return countBelowMember(arena, headSecond(arena, head), buf, from, to, orEqual);
}

/** Removes the `count` members from `rank` on, which all exist. */
export function zsetRemoveRanks(arena: Arena, head: number, rank: number, count: number): void {
  if (count === 0) return;
  if (!isTable(arena, head)) {
    removeMembers(arena, head, rank, count);
    return;
  }
  const dict = headBody(arena, head);
  const skiplist = headSecond(arena, head);
  seekRank(arena, skiplist, rank);
  for (let i = 0; i < count; i++) {
    const entry = removeNext(arena, skiplist);
    dictRemove(arena, dict, entry);
    arena.free(entry);
  }
}

/**
 * A member at random into `member`; `random` gives [0, 1). Returns its score. Not for an empty one.
 */
export function zsetRandom(
  arena: Arena,
  head: number,
  random: () => number,
  member: ByteRange,
): number {
  if (!isTable(arena, head)) {
    const rank = Math.floor(random() * headCount(arena, head));
    showString(arena, head, memberPosition(arena, head, rank), member);
    return scoreAt(arena, head, rank);
  }
  const entry = tableRandom(arena, headBody(arena, head), random);
  showName(arena, entry, member);
  return entryScore(arena, entry);
}

/**
 * Goes through a sorted set that does not change meanwhile, in its order from any rank, or in none:
 * `walk.begin(arena, head, 0, false); while (walk.next()) use(walk.member, walk.score)`.
 */
export class ZsetWalk {
  readonly member: ByteRange = createByteRange();
  score = 0;
  readonly #table = new TableWalk();
  readonly #packed = new PackedZsetWalk(this.member);
  #arena: Arena | undefined;
  #isTable = false;
  #isScan = false;
  #isBackward = false;
  /** To be shown next; 0 after the last one. */
  #node = 0;

  /** @param rank of the first member shown; one that does not exist shows none */
  begin(arena: Arena, head: number, rank = 0, isBackward = false): void {
    this.#arena = arena;
    this.#isTable = isTable(arena, head);
    this.#isScan = false;
    this.#isBackward = isBackward;
    if (!this.#isTable) {
      this.#packed.begin(arena, head, rank, isBackward);
      return;
    }
    const exists = rank >= 0 && rank < zsetLength(arena, head);
    this.#node = exists ? nodeAtRank(arena, headSecond(arena, head), rank) : 0;
  }

  /**
   * Instead of `begin`: goes through the members of one step of a scan, in no particular order.
   * Small sorted sets have one step.
   * @param cursor 0 to start, then what the last step answered
   * @returns the next cursor (u32); 0 when this step is the last
   */
  beginScan(arena: Arena, head: number, cursor: number): number {
    if (!isTable(arena, head)) {
      this.begin(arena, head);
      return 0;
    }
    this.#arena = arena;
    this.#isTable = true;
    this.#isScan = true;
    return this.#table.beginScan(arena, headBody(arena, head), cursor);
  }

  /** Shows the next member and its score; false after the last one. */
  next(): boolean {
    if (!this.#isTable) {
      const isThere = this.#packed.next();
      this.score = this.#packed.score;
      return isThere;
    }
    const arena = this.#arena!;
    const node = this.#isScan ? this.#scanned() : this.#node;
    if (node === 0) return false;
    this.#node = this.#isBackward ? nodeBefore(arena, node) : nodeAfter(arena, node);
    this.score = nodeScore(arena, node);
    showName(arena, nodeEntry(arena, node), this.member);
    return true;
  }

  #scanned(): number {
    const entry = this.#table.next();
    return entry === 0 ? 0 : entryValueWord(this.#arena!, entry);
  }
}

// -- for the key space ----------------------------------------------------------------------------

/** Frees about `budget` members, then the sorted set. See ValueType.release. */
export function freeZset(arena: Arena, head: number, budget: number): number {
  if (!isTable(arena, head)) return freePacked(arena, head, budget);
  const left = dictDrain(arena, headBody(arena, head), budget, (entry) => {
    arena.free(entryValueWord(arena, entry));
    arena.free(entry);
  });
  if (left < 0) return left;
  arena.free(headSecond(arena, head));
  arena.free(head);
  return left;
}

/** A copy of a sorted set; its ref. */
export function copyZset(arena: Arena, head: number): number {
  if (!isTable(arena, head)) return copyPacked(arena, head, FORM_PACKED, headWidth(arena, head));
  const dict = createDict(arena);
  const skiplist = createSkiplist(arena);
  const walk = new ZsetWalk();
  walk.begin(arena, head, 0, false);
  while (walk.next()) {
    const { bytes, start, end } = walk.member;
    setInTable(arena, dict, skiplist, bytes, start, end, walk.score);
  }
  return createHead(arena, FORM_TABLE, 0, dict, skiplist);
}

function zsetBytes(arena: Arena, head: number, samples: number): number {
  if (!isTable(arena, head)) return packedBytes(arena, head);
  const table = tableBytes(arena, headBody(arena, head), samples);
  return arena.capacity(head) + table + skiplistBytes(arena, headSecond(arena, head), samples);
}

/** What the key space must know of sorted sets. */
export const ZSET_TYPE: ValueType = {
  name: "zset",
  release: freeZset,
  copy: copyZset,
  encoding: (arena, head) => (isTable(arena, head) ? "skiplist" : "listpack"),
  bytes: zsetBytes,
};
