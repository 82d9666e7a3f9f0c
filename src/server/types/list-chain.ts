/**
 * The chain of a list's nodes: linking, and finding or making room at the ends of a node.
 *
 *   head block: word 0 form   1 first node   2 last node   3 elements   4 nodes
 *
 * Nodes are 64 bytes to 8 KiB, or what the limit `list-max-listpack-size` says (compact-limits.ts);
 * what is larger holds one element only. A node grows by a quarter of itself, and one that is made
 * is small while the list is, so that a list of any length takes little more than its elements. A
 * node whose block is replaced keeps its place and its elements, but not its ref.
 */

import { type Arena, CHUNK_SHIFT, GRANULE_MASK } from "../arena/arena.ts";
import {
  copyElements,
  createNode,
  NODE_HEADER_BYTES,
  nodeCount,
  nodeEnd,
  nodeNext,
  nodePrevious,
  nodeStart,
  nodeUsed,
  setNodeNext,
  setNodePrevious,
  slideElements,
} from "./list-node.ts";

export const FIRST = 1;
export const LAST = 2;
export const COUNT = 3;
export const NODES = 4;

/** The only node of a list is made smaller when less than a quarter of such a block is used. */
const SHRINK_BYTES_MIN = 256;

/** A limit of this many elements, not of bytes, bounds a node's bytes, too; Redis' value. */
const COUNTED_NODE_BYTES_MAX = 8192;
/** What limit -1 means; each one below doubles it, down to -5. */
const LEAST_NODE_BYTES_MAX = 4096;
const LIMIT_LEAST = -5;
/** The share of a block that a slide must free, or by which growing enlarges it. */
const ROOM_DIVISOR = 4;
/** A list of so many nodes begins another with all the room it may have. */
const NODES_SMALL_MAX = 16;

/** Bytes that nodes with more than one element are not made larger than. */
export function nodeBytesMax(arena: Arena): number {
  const limit = arena.limits["list-max-listpack-size"];
  return limit >= 0
    ? COUNTED_NODE_BYTES_MAX
    : LEAST_NODE_BYTES_MAX << (-1 - Math.max(LIMIT_LEAST, limit));
}

/** Elements that a node may have. */
export function nodeCountMax(arena: Arena): number {
  const limit = arena.limits["list-max-listpack-size"];
  return limit < 0 ? Number.POSITIVE_INFINITY : Math.max(1, limit);
}

/** Bytes of elements to begin a node with, whose first one takes `bytes`. */
export function newNodeBytes(arena: Arena, head: number, bytes: number): number {
  if (arena.limits["list-max-listpack-size"] >= 0) return bytes;
  const max = nodeBytesMax(arena);
  const share = Math.floor((max * listWord(arena, head, NODES)) / NODES_SMALL_MAX);
  return Math.max(bytes, Math.min(max, share) - NODE_HEADER_BYTES);
}

/** Word `which` of a list's head. */
export function listWord(arena: Arena, head: number, which: number): number {
  return arena.words[head >>> CHUNK_SHIFT]![((head & GRANULE_MASK) << 2) + which]!;
}

export function setListWord(arena: Arena, head: number, which: number, value: number): void {
  arena.words[head >>> CHUNK_SHIFT]![((head & GRANULE_MASK) << 2) + which] = value;
}

export function addToListWord(arena: Arena, head: number, which: number, change: number): void {
  setListWord(arena, head, which, listWord(arena, head, which) + change);
}

/**
 * `node`, perhaps moved, with `bytes` of room behind its elements; 0 when it shall have no more.
 */
export function roomBehind(arena: Arena, head: number, node: number, bytes: number): number {
  if (node === 0 || nodeCount(arena, node) >= nodeCountMax(arena)) return 0;
  const capacity = arena.capacity(node);
  if (nodeEnd(arena, node) + bytes <= capacity) return node;
  return makeRoom(arena, head, node, bytes, capacity, false);
}

/** The same before its elements. */
export function roomBefore(arena: Arena, head: number, node: number, bytes: number): number {
  if (node === 0 || nodeCount(arena, node) >= nodeCountMax(arena)) return 0;
  if (nodeStart(arena, node) - bytes >= NODE_HEADER_BYTES) return node;
  return makeRoom(arena, head, node, bytes, arena.capacity(node), true);
}

/**
 * Room at one side of a node: by moving its elements to the other when that frees enough (so that a
 * list used as a queue does not move them at every push), else in a larger block.
 */
function makeRoom(
  arena: Arena,
  head: number,
  node: number,
  bytes: number,
  capacity: number,
  before: boolean,
): number {
  const max = nodeBytesMax(arena);
  const needed = NODE_HEADER_BYTES + nodeUsed(arena, node) + bytes;
  if (needed > max) return 0;
  const step = Math.floor(capacity / ROOM_DIVISOR);
  if (needed + step <= capacity) {
    slideElements(arena, node, before);
    return node;
  }
  if (capacity >= max) return 0;
  const moved = moveNode(arena, head, node, Math.min(max, Math.max(needed, capacity + step)));
  if (before) slideElements(arena, moved, true);
  return moved;
}

/** Puts a block of `size` bytes in the place of a node; its room is behind the elements. */
function moveNode(arena: Arena, head: number, node: number, size: number): number {
  const moved = createNode(arena, size - NODE_HEADER_BYTES, false);
  const count = nodeCount(arena, node);
  copyElements(arena, node, nodeStart(arena, node), nodeEnd(arena, node), count, moved);
  const previous = nodePrevious(arena, node);
  unlinkNode(arena, head, node);
  linkNode(arena, head, previous, moved);
  return moved;
}

/** Puts `node` behind `previous`, or first when that is 0. */
export function linkNode(arena: Arena, head: number, previous: number, node: number): void {
  const next = previous === 0 ? listWord(arena, head, FIRST) : nodeNext(arena, previous);
  setNodePrevious(arena, node, previous);
  setNodeNext(arena, node, next);
  if (previous === 0) setListWord(arena, head, FIRST, node);
  else setNodeNext(arena, previous, node);
  if (next === 0) setListWord(arena, head, LAST, node);
  else setNodePrevious(arena, next, node);
  addToListWord(arena, head, NODES, 1);
}

/** Takes `node` out of the chain and frees it. */
export function unlinkNode(arena: Arena, head: number, node: number): void {
  const previous = nodePrevious(arena, node);
  const next = nodeNext(arena, node);
  if (previous === 0) setListWord(arena, head, FIRST, next);
  else setNodeNext(arena, previous, next);
  if (next === 0) setListWord(arena, head, LAST, previous);
  else setNodePrevious(arena, next, previous);
  addToListWord(arena, head, NODES, -1);
  arena.free(node);
}

/** A list that was long shall not keep a large block for its last few elements. */
export function shrinkOnly(arena: Arena, head: number): void {
  if (listWord(arena, head, NODES) !== 1) return;
  const node = listWord(arena, head, FIRST);
  const capacity = arena.capacity(node);
  const needed = NODE_HEADER_BYTES + nodeUsed(arena, node);
  if (capacity < SHRINK_BYTES_MIN || needed * 4 > capacity) return;
  moveNode(arena, head, node, needed * 2);
}
