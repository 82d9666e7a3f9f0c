/**
 * The order of a sorted set: a skiplist in the arena (W. Pugh, 1990) whose links know how many
 * nodes they pass, so that a rank is found, and found out, in O(log n). Ordered by score, then by
 * member bytes. A node names the dictionary entry of its member; neither owns the other.
 *
 *   header    level 2 ────────────────────> c ──────────> nothing
 *             level 0 ──> a ──> b ──> c ──> d
 *   node      word 0 entry   1 node before   2-3 score (f64)   4 next on level 0
 *             then for each level above: next, nodes passed by that link
 *   header    word 0 last node   1 levels in use   2 nodes   4.. as in a node
 *
 * Ranks count from 0 here. Searches leave their path in `path` and `pathRank`, for the change that
 * follows. Source of the spans: redis src/t_zset.c.
 */

import { compareBytes } from "../../base/bytes.ts";
import { type Arena, CHUNK_SHIFT, GRANULE_MASK } from "../arena/arena.ts";
import { entryKeyLength, entryKeyOffset, entryMemory } from "../arena/entry.ts";

/** With one node in four on the next level: enough for 4^16 nodes. */
const LEVELS_MAX = 16;

const ENTRY = 0;
const BEFORE = 1;
const NEXT = 4;

const LAST = 0;
const LEVELS = 1;
const COUNT = 2;

/** Node in front of the place that a search found, on each level; and that node's rank plus 1. */
const path = new Int32Array(LEVELS_MAX);
const pathRank = new Int32Array(LEVELS_MAX);

function wordsAt(arena: Arena, node: number): Int32Array {
  return arena.words[node >>> CHUNK_SHIFT]!;
}

function wordIndex(node: number): number {
  return (node & GRANULE_MASK) << 2;
}

function blockBytes(levels: number): number {
  return (NEXT + 1 + 2 * (levels - 1)) * 4;
}

/** Word of the link of `level`. */
function linkIndex(node: number, level: number): number {
  return wordIndex(node) + (level === 0 ? NEXT : NEXT - 1 + 2 * level);
}

function nextOn(arena: Arena, node: number, level: number): number {
  return wordsAt(arena, node)[linkIndex(node, level)]!;
}

function setNextOn(arena: Arena, node: number, level: number, next: number): void {
  wordsAt(arena, node)[linkIndex(node, level)] = next;
}

/** Nodes that the link of `level` passes, the one it leads to included. */
function spanOn(arena: Arena, node: number, level: number): number {
  return level === 0 ? 1 : wordsAt(arena, node)[linkIndex(node, level) + 1]!;
}

function setSpanOn(arena: Arena, node: number, level: number, span: number): void {
  if (level > 0) wordsAt(arena, node)[linkIndex(node, level) + 1] = span;
}

/** An empty skiplist: the ref of its header. */
export function createSkiplist(arena: Arena): number {
  const header = arena.alloc(blockBytes(LEVELS_MAX));
  const at = wordIndex(header);
  wordsAt(arena, header).fill(0, at, at + blockBytes(LEVELS_MAX) / 4);
  wordsAt(arena, header)[at + LEVELS] = 1;
  return header;
}

/** The dictionary entry of a node's member. */
export function nodeEntry(arena: Arena, node: number): number {
  return wordsAt(arena, node)[wordIndex(node) + ENTRY]!;
}

export function nodeScore(arena: Arena, node: number): number {
  return arena.doubles[node >>> CHUNK_SHIFT]![((node & GRANULE_MASK) << 1) + 1]!;
}

/** The node behind `node` (or the header), 0 at the end. */
export function nodeAfter(arena: Arena, node: number): number {
  return wordsAt(arena, node)[wordIndex(node) + NEXT]!;
}

/** The node before `node`, 0 at the start. */
export function nodeBefore(arena: Arena, node: number): number {
  return wordsAt(arena, node)[wordIndex(node) + BEFORE]!;
}

function levelsOf(arena: Arena, header: number): number {
  return wordsAt(arena, header)[wordIndex(header) + LEVELS]!;
}

function countOf(arena: Arena, header: number): number {
  return wordsAt(arena, header)[wordIndex(header) + COUNT]!;
}

/** Compares a node's member with `buf[from, to)`: negative, 0 or positive. */
function compareMember(arena: Arena, node: number, buf: Buffer, from: number, to: number): number {
  const entry = nodeEntry(arena, node);
  const start = entryKeyOffset(arena, entry);
  const end = start + entryKeyLength(arena, entry);
  return compareBytes(entryMemory(arena, entry), start, end, buf, from, to);
}

/** Finds the path to the place of (`score`, member): behind all nodes that are less. */
function seek(
  arena: Arena,
  header: number,
  score: number,
  buf: Buffer,
  from: number,
  to: number,
): void {
  // With the arena's views at hand recording the path costs nothing (test/bench/collections.ts).
  const { words, doubles } = arena;
  let node = header;
  let nodeWords = wordsAt(arena, header);
  let at = wordIndex(header);
  let rank = 0;
  // A node that is not less stops the search on every level below, too.
  let stop = 0;
  for (let level = levelsOf(arena, header) - 1; level >= 0; level--) {
    const link = level === 0 ? NEXT : NEXT - 1 + 2 * level;
    for (;;) {
      const next = nodeWords[at + link]!;
      if (next === 0 || next === stop) break;
      const nextScore = doubles[next >>> CHUNK_SHIFT]![((next & GRANULE_MASK) << 1) + 1]!;
      if (
        nextScore > score ||
        (nextScore === score && compareMember(arena, next, buf, from, to) >= 0)
      ) {
        stop = next;
        break;
      }
      rank += level === 0 ? 1 : nodeWords[at + link + 1]!;
      node = next;
      nodeWords = words[next >>> CHUNK_SHIFT]!;
      at = (next & GRANULE_MASK) << 2;
    }
    path[level] = node;
    pathRank[level] = rank;
  }
}

function randomLevels(): number {
  let levels = 1;
  // Two random bits per level: one node in four is also on the next.
  for (
    let bits = (Math.random() * 2 ** 30) | 0;
    (bits & 3) === 0 && levels < LEVELS_MAX;
    bits >>>= 2
  )
    levels++;
  return levels;
}

/**
 * Adds a node for `entry`, whose member is `buf[from, to)` and is not in the skiplist yet.
 * @returns the node
 */
export function insertNode(
  arena: Arena,
  header: number,
  entry: number,
  score: number,
  buf: Buffer,
  from: number,
  to: number,
): number {
  seek(arena, header, score, buf, from, to);
  const levels = randomLevels();
  const count = countOf(arena, header);
  for (let level = levelsOf(arena, header); level < levels; level++) {
    path[level] = header;
    pathRank[level] = 0;
    setSpanOn(arena, header, level, count);
    wordsAt(arena, header)[wordIndex(header) + LEVELS] = level + 1;
  }
  const node = arena.alloc(blockBytes(levels));
  wordsAt(arena, node)[wordIndex(node) + ENTRY] = entry;
  arena.doubles[node >>> CHUNK_SHIFT]![((node & GRANULE_MASK) << 1) + 1] = score;
  for (let level = 0; level < levels; level++) {
    const previous = path[level]!;
    const passed = pathRank[0]! - pathRank[level]!;
    setNextOn(arena, node, level, nextOn(arena, previous, level));
    setNextOn(arena, previous, level, node);
    setSpanOn(arena, node, level, spanOn(arena, previous, level) - passed);
    setSpanOn(arena, previous, level, passed + 1);
  }
  for (let level = levels; level < levelsOf(arena, header); level++) {
    setSpanOn(arena, path[level]!, level, spanOn(arena, path[level]!, level) + 1);
  }
  linkBack(arena, header, path[0]!, node);
  wordsAt(arena, header)[wordIndex(header) + COUNT] = count + 1;
  return node;
}

/** Sets the links that lead back: from `node` and from what follows it. */
function linkBack(arena: Arena, header: number, previous: number, node: number): void {
  const next = nodeAfter(arena, node);
  wordsAt(arena, node)[wordIndex(node) + BEFORE] = previous === header ? 0 : previous;
  if (next === 0) wordsAt(arena, header)[wordIndex(header) + LAST] = node;
  else wordsAt(arena, next)[wordIndex(next) + BEFORE] = node;
}

/** Removes the node of (`score`, `buf[from, to)`), which is there, and frees it. */
export function removeNode(
  arena: Arena,
  header: number,
  score: number,
  buf: Buffer,
  from: number,
  to: number,
): void {
  seek(arena, header, score, buf, from, to);
  removeAfterPath(arena, header);
}

/** Takes out and frees the node behind `path`, which stays the path to what follows it. */
function removeAfterPath(arena: Arena, header: number): void {
  const node = nodeAfter(arena, path[0]!);
  const levels = levelsOf(arena, header);
  for (let level = 0; level < levels; level++) {
    const previous = path[level]!;
    const span = spanOn(arena, previous, level) - 1;
    if (nextOn(arena, previous, level) === node) {
      setNextOn(arena, previous, level, nextOn(arena, node, level));
      setSpanOn(arena, previous, level, span + spanOn(arena, node, level));
    } else {
      setSpanOn(arena, previous, level, span);
    }
  }
  const next = nodeAfter(arena, path[0]!);
  const before = nodeBefore(arena, node);
  const words = wordsAt(arena, header);
  const at = wordIndex(header);
  if (next === 0) words[at + LAST] = before;
  else wordsAt(arena, next)[wordIndex(next) + BEFORE] = before;
  while (words[at + LEVELS]! > 1 && nextOn(arena, header, words[at + LEVELS]! - 1) === 0) {
    words[at + LEVELS] = words[at + LEVELS]! - 1;
  }
  words[at + COUNT] = words[at + COUNT]! - 1;
  arena.free(node);
}

/**
 * Gives the node of (`oldScore`, `buf[from, to)`) another score, in its place when that stays
 * right.
 * @returns the node, a new one if it moved
 */
export function moveNode(
  arena: Arena,
  header: number,
  oldScore: number,
  score: number,
  buf: Buffer,
  from: number,
  to: number,
): number {
  seek(arena, header, oldScore, buf, from, to);
  const node = nodeAfter(arena, path[0]!);
  const before = nodeBefore(arena, node);
  const after = nodeAfter(arena, node);
  const fitsBefore = before === 0 || nodeScore(arena, before) < score;
  if (fitsBefore && (after === 0 || score < nodeScore(arena, after))) {
    arena.doubles[node >>> CHUNK_SHIFT]![((node & GRANULE_MASK) << 1) + 1] = score;
    return node;
  }
  const entry = nodeEntry(arena, node);
  removeAfterPath(arena, header);
  return insertNode(arena, header, entry, score, buf, from, to);
}

/** How many nodes are less than (`score`, `buf[from, to)`): the rank of that one if it is there. */
export function rankOf(
  arena: Arena,
  header: number,
  score: number,
  buf: Buffer,
  from: number,
  to: number,
): number {
  seek(arena, header, score, buf, from, to);
  return pathRank[0]!;
}

/** How many nodes have a score below `score`, or `orEqual` to it. */
export function countBelowScore(
  arena: Arena,
  header: number,
  score: number,
  orEqual: boolean,
): number {
  let node = header;
  let rank = 0;
  for (let level = levelsOf(arena, header) - 1; level >= 0; level--) {
    for (let next = nextOn(arena, node, level); next !== 0; next = nextOn(arena, node, level)) {
      const nextScore = nodeScore(arena, next);
      if (orEqual ? nextScore > score : nextScore >= score) break;
      rank += spanOn(arena, node, level);
      node = next;
    }
  }
  return rank;
}

/**
 * How many nodes have a member below `buf[from, to)`, or `orEqual` to it; all scores are the same.
 */
export function countBelowMember(
  arena: Arena,
  header: number,
  buf: Buffer,
  from: number,
  to: number,
  orEqual: boolean,
): number {
  let node = header;
  let rank = 0;
  for (let level = levelsOf(arena, header) - 1; level >= 0; level--) {
    for (let next = nextOn(arena, node, level); next !== 0; next = nextOn(arena, node, level)) {
      const order = compareMember(arena, next, buf, from, to);
      if (orEqual ? order > 0 : order >= 0) break;
      rank += spanOn(arena, node, level);
      node = next;
    }
  }
  return rank;
}

/** Finds the path to the node of `rank`, 0 .. count - 1. */
export function seekRank(arena: Arena, header: number, rank: number): void {
  let node = header;
  let passed = 0;
  for (let level = levelsOf(arena, header) - 1; level >= 0; level--) {
    for (let next = nextOn(arena, node, level); next !== 0; next = nextOn(arena, node, level)) {
      const span = spanOn(arena, node, level);
      if (passed + span > rank) break;
      passed += span;
      node = next;
    }
    path[level] = node;
    pathRank[level] = passed;
  }
}

/** The node of `rank`, 0 .. count - 1. */
export function nodeAtRank(arena: Arena, header: number, rank: number): number {
  if (rank === 0) return nodeAfter(arena, header);
  if (rank === countOf(arena, header) - 1) return wordsAt(arena, header)[wordIndex(header) + LAST]!;
  seekRank(arena, header, rank);
  return nodeAfter(arena, path[0]!);
}

/**
 * Removes and frees the node that `seekRank` found; after it the one behind it is found.
 * @returns its entry
 */
export function removeNext(arena: Arena, header: number): number {
  const entry = nodeEntry(arena, nodeAfter(arena, path[0]!));
  removeAfterPath(arena, header);
  return entry;
}

/** Bytes of the header and, judged by the first `samples` nodes (0: all), of the nodes. */
export function skiplistBytes(arena: Arena, header: number, samples: number): number {
  let bytes = 0;
  let seen = 0;
  for (let node = nodeAfter(arena, header); node !== 0; node = nodeAfter(arena, node)) {
    bytes += arena.capacity(node);
    if (++seen === samples) break;
  }
  const average = seen === 0 ? 0 : bytes / seen;
  return arena.capacity(header) + Math.round(average * countOf(arena, header));
}
