/**
 * The chain of a list's nodes: linking, and finding or making room at the ends of a node.
 *
 *   head block: word 0 form   1 first node   2 last node   3 elements   4 nodes
 *
 * Nodes are 64 bytes to 8 KiB; what is larger holds one element only. A node whose block is
 * replaced keeps its place and its elements, but not its ref.
 */

import { type Arena, CHUNK_SHIFT, GRANULE_MASK } from "../arena/arena.ts";
import {
  copyElements,
  createNode,
  NODE_BYTES_MAX,
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
  if (node === 0) return 0;
  const capacity = arena.capacity(node);
  if (nodeEnd(arena, node) + bytes <= capacity) return node;
  return makeRoom(arena, head, node, bytes, capacity, false);
}

/** The same before its elements. */
export function roomBefore(arena: Arena, head: number, node: number, bytes: number): number {
  if (node === 0) return 0;
  if (nodeStart(arena, node) - bytes >= NODE_HEADER_BYTES) return node;
  return makeRoom(arena, head, node, bytes, arena.capacity(node), true);
}

/**
 * Room at one side of a node: by moving its elements to the other when at least half of it is free
 * (so that a list used as a queue does not move them at every push), else by doubling it.
 */
function makeRoom(
  arena: Arena,
  head: number,
  node: number,
  bytes: number,
  capacity: number,
  before: boolean,
): number {
  const used = nodeUsed(arena, node);
  const needed = NODE_HEADER_BYTES + used + bytes;
  if (needed > NODE_BYTES_MAX) return 0;
  if (needed <= capacity && used <= capacity >>> 1) {
    slideElements(arena, node, before);
    return node;
  }
  if (capacity >= NODE_BYTES_MAX) return 0;
  const size = Math.min(NODE_BYTES_MAX, Math.max(needed, 2 * capacity));
  const moved = moveNode(arena, head, node, size);
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
