/**
 * Lists: a chain of nodes in the arena, each with up to 8 KiB of packed elements (list-node.ts); an
 * element that is larger has a node of its own. Push and pop at both ends are O(1), an index is
 * found by skipping nodes from the nearer end.
 *
 * Named by the ref of the head block; `head` below is that ref. A list never stays empty: whoever
 * removes the last element removes the key. No node is ever empty.
 */

import type { Arena } from "../arena/arena.ts";
import { type ByteRange, createByteRange } from "./byte-range.ts";
import { FORM_NODES } from "./head.ts";
import {
  addToListWord,
  COUNT,
  FIRST,
  LAST,
  linkNode,
  listWord,
  NODES,
  newNodeBytes,
  nodeBytesMax,
  nodeCountMax,
  roomBefore,
  roomBehind,
  setListWord,
  shrinkOnly,
  unlinkNode,
} from "./list-chain.ts";
import {
  appendElement,
  copyElements,
  createNode,
  dropFirst,
  dropLast,
  elementBytes,
  insertElement,
  NODE_HEADER_BYTES,
  nodeCount,
  nodeEnd,
  nodeNext,
  nodePrevious,
  nodeStart,
  nodeUsed,
  overwriteElement,
  positionOf,
  prependElement,
  removeElement,
  showElement,
  sizeAt,
  sizeBefore,
} from "./list-node.ts";
import type { ValueType } from "./value-type.ts";

const HEAD_BYTES = 32;
/** An empty list. */
export function createList(arena: Arena): number {
  const head = arena.alloc(HEAD_BYTES);
  setListWord(arena, head, 0, FORM_NODES);
  for (const which of [FIRST, LAST, COUNT, NODES]) setListWord(arena, head, which, 0);
  return head;
}

/** Elements held. */
export function listLength(arena: Arena, head: number): number {
  return listWord(arena, head, COUNT);
}

/** Adds `buf[from, to)`, which must not lie in this list, as the last element. */
export function pushLast(arena: Arena, head: number, buf: Buffer, from: number, to: number): void {
  const bytes = elementBytes(to - from);
  let node = roomBehind(arena, head, listWord(arena, head, LAST), bytes);
  if (node === 0) {
    node = createNode(arena, newNodeBytes(arena, head, bytes), false);
    linkNode(arena, head, listWord(arena, head, LAST), node);
  }
  appendElement(arena, node, buf, from, to);
  addToListWord(arena, head, COUNT, 1);
}

/** Adds `buf[from, to)`, which must not lie in this list, as the first element. */
export function pushFirst(arena: Arena, head: number, buf: Buffer, from: number, to: number): void {
  const bytes = elementBytes(to - from);
  let node = roomBefore(arena, head, listWord(arena, head, FIRST), bytes);
  if (node === 0) {
    node = createNode(arena, newNodeBytes(arena, head, bytes), true);
    linkNode(arena, head, 0, node);
  }
  prependElement(arena, node, buf, from, to);
  addToListWord(arena, head, COUNT, 1);
}

/** Removes the first `count` elements, at most all. */
export function removeFirst(arena: Arena, head: number, count: number): void {
  let left = count;
  while (left > 0) {
    const node = listWord(arena, head, FIRST);
    const held = nodeCount(arena, node);
    if (held <= left) unlinkNode(arena, head, node);
    else dropFirst(arena, node, left);
    left -= held;
  }
  addToListWord(arena, head, COUNT, -count);
  shrinkOnly(arena, head);
}

/** Removes the last `count` elements, at most all. */
export function removeLast(arena: Arena, head: number, count: number): void {
  let left = count;
  while (left > 0) {
    const node = listWord(arena, head, LAST);
    const held = nodeCount(arena, node);
    if (held <= left) unlinkNode(arena, head, node);
    else dropLast(arena, node, left);
    left -= held;
  }
  addToListWord(arena, head, COUNT, -count);
  shrinkOnly(arena, head);
}

/**
 * Goes through a list from any index, in either direction, and is the place where an edit happens:
 * `walk.begin(arena, head, 0, false); while (walk.next()) use(walk.element)`. Between two steps the
 * list may be changed only by the functions below that take the walk.
 */
export class ListWalk {
  readonly element: ByteRange = createByteRange();
  /** Where the element shown last lies. */
  node = 0;
  position = 0;
  isBackward = false;
  /** Where the next element starts, or ends when going backward. */
  edge = 0;
  #arena: Arena | undefined;

  /** @param index 0 .. length; of the first element shown, or length to show none */
  begin(arena: Arena, head: number, index: number, isBackward: boolean): void {
    this.#arena = arena;
    this.isBackward = isBackward;
    this.node = 0;
    const length = listWord(arena, head, COUNT);
    if (index < 0 || index >= length) return;
    const node = index < length / 2 ? this.#fromFirst(head, index) : this.#fromLast(head, index);
    this.node = node;
    this.edge = positionOf(arena, node, this.position);
    if (isBackward) this.edge += sizeAt(arena, node, this.edge);
  }

  /** The node of element `index`; its index in there is left in `position`. */
  #fromFirst(head: number, index: number): number {
    const arena = this.#arena!;
    let left = index;
    let node = listWord(arena, head, FIRST);
    for (let held = nodeCount(arena, node); left >= held; held = nodeCount(arena, node)) {
      left -= held;
      node = nodeNext(arena, node);
    }
    this.position = left;
    return node;
  }

  #fromLast(head: number, index: number): number {
    const arena = this.#arena!;
    let behind = listWord(arena, head, COUNT) - index;
    let node = listWord(arena, head, LAST);
    for (let held = nodeCount(arena, node); behind > held; held = nodeCount(arena, node)) {
      behind -= held;
      node = nodePrevious(arena, node);
    }
    this.position = nodeCount(arena, node) - behind;
    return node;
  }

  /** Shows the next element; false after the last one. */
  next(): boolean {
    const arena = this.#arena!;
    if (this.node === 0) return false;
    if (this.isBackward) {
      if (this.edge === nodeStart(arena, this.node) && !this.goOn()) return false;
      this.edge -= sizeBefore(arena, this.node, this.edge);
      this.position = this.edge;
    } else {
      if (this.edge === nodeEnd(arena, this.node) && !this.goOn()) return false;
      this.position = this.edge;
      this.edge += sizeAt(arena, this.node, this.edge);
    }
    showElement(arena, this.node, this.position, this.element);
    return true;
  }

  /** To the edge of the next node in the direction of the walk; false when there is none. */
  goOn(): boolean {
    const arena = this.#arena!;
    this.node = this.isBackward ? nodePrevious(arena, this.node) : nodeNext(arena, this.node);
    if (this.node === 0) return false;
    this.edge = this.isBackward ? nodeEnd(arena, this.node) : nodeStart(arena, this.node);
    return true;
  }
}

/** Removes the element the walk has just shown; the walk goes on behind it. */
export function removeShown(arena: Arena, head: number, walk: ListWalk): void {
  const node = walk.node;
  addToListWord(arena, head, COUNT, -1);
  if (nodeCount(arena, node) === 1) {
    walk.goOn();
    unlinkNode(arena, head, node);
    return;
  }
  removeElement(arena, node, walk.position);
  walk.edge = walk.position;
}

/** Where `insertAt` put its element. */
let placedNode = 0;
let placedAt = 0;

/** Puts `buf[from, to)` before or behind the element the walk has just shown, and ends the walk. */
export function insertAtShown(
  arena: Arena,
  head: number,
  walk: ListWalk,
  isBefore: boolean,
  buf: Buffer,
  from: number,
  to: number,
): void {
  const { node, position } = walk;
  const at = isBefore ? position : position + sizeAt(arena, node, position);
  insertAt(arena, head, node, at, buf, from, to);
  walk.node = 0;
}

/** Puts `buf[from, to)` in the place of the element the walk has just shown, and ends the walk. */
export function replaceShown(
  arena: Arena,
  head: number,
  walk: ListWalk,
  buf: Buffer,
  from: number,
  to: number,
): void {
  const { node, position } = walk;
  walk.node = 0;
  if (walk.element.end - walk.element.start === to - from) {
    overwriteElement(arena, node, position, buf, from, to);
    return;
  }
  insertAt(arena, head, node, position, buf, from, to);
  // The old one is now right behind, perhaps first in the next node.
  walk.node = placedNode;
  walk.position = placedAt + sizeAt(arena, placedNode, placedAt);
  if (walk.position === nodeEnd(arena, placedNode)) {
    walk.node = nodeNext(arena, placedNode);
    walk.position = nodeStart(arena, walk.node);
  }
  removeShown(arena, head, walk);
  walk.node = 0;
}

/** Puts `buf[from, to)` at `position` of `node`, splitting it when it is full. */
function insertAt(
  arena: Arena,
  head: number,
  node: number,
  position: number,
  buf: Buffer,
  from: number,
  to: number,
): void {
  const bytes = elementBytes(to - from);
  const offset = position - nodeStart(arena, node);
  addToListWord(arena, head, COUNT, 1);
  placedNode = roomBehind(arena, head, node, bytes);
  if (placedNode !== 0) {
    placedAt = nodeStart(arena, placedNode) + offset;
    insertElement(arena, placedNode, placedAt, buf, from, to);
    return;
  }
  // Now it belongs between two nodes: last in the first one, or alone.
  let before = nodePrevious(arena, node);
  if (offset > 0) before = splitNode(arena, head, node, position);
  placedNode = roomBehind(arena, head, before, bytes);
  if (placedNode === 0) {
    placedNode = createNode(arena, bytes, false);
    linkNode(arena, head, before, placedNode);
  }
  placedAt = nodeEnd(arena, placedNode);
  appendElement(arena, placedNode, buf, from, to);
}

/** Moves the elements from `position` on to a new node behind. Returns `node`. */
function splitNode(arena: Arena, head: number, node: number, position: number): number {
  const end = nodeEnd(arena, node);
  if (position === end) return node;
  let moving = 0;
  for (let at = position; at < end; at += sizeAt(arena, node, at)) moving++;
  const behind = createNode(arena, end - position, false);
  copyElements(arena, node, position, end, moving, behind);
  linkNode(arena, head, node, behind);
  dropLast(arena, node, moving);
  return node;
}

/** Two neighbours become one when their elements fit in half a node. */
function fitTogether(arena: Arena, a: number, b: number): boolean {
  const bytes = nodeUsed(arena, a) + nodeUsed(arena, b) + NODE_HEADER_BYTES;
  const count = nodeCount(arena, a) + nodeCount(arena, b);
  return bytes <= nodeBytesMax(arena) / 2 && count <= nodeCountMax(arena) / 2;
}

/** Puts the elements of two neighbours in one node, which is returned. */
function mergeNodes(arena: Arena, head: number, a: number, b: number): number {
  const bytes = nodeUsed(arena, a) + nodeUsed(arena, b);
  const merged = createNode(arena, bytes, false);
  for (const node of [a, b]) {
    const count = nodeCount(arena, node);
    copyElements(arena, node, nodeStart(arena, node), nodeEnd(arena, node), count, merged);
  }
  const previous = nodePrevious(arena, a);
  unlinkNode(arena, head, a);
  unlinkNode(arena, head, b);
  linkNode(arena, head, previous, merged);
  return merged;
}

/** Joins neighbours that have become small: after elements were removed from within. */
export function compactList(arena: Arena, head: number): void {
  let node = listWord(arena, head, FIRST);
  while (node !== 0) {
    const next = nodeNext(arena, node);
    if (next !== 0 && fitTogether(arena, node, next)) node = mergeNodes(arena, head, node, next);
    else node = next;
  }
  shrinkOnly(arena, head);
}

/** Frees about `budget` nodes, then the list. See ValueType.release. */
export function freeList(arena: Arena, head: number, budget: number): number {
  let left = budget;
  for (let node = listWord(arena, head, FIRST); node !== 0; ) {
    if (left <= 0) {
      setListWord(arena, head, FIRST, node);
      return -1;
    }
    const next = nodeNext(arena, node);
    arena.free(node);
    left--;
    node = next;
  }
  arena.free(head);
  return left;
}

/** A copy of a list; its ref. */
export function copyList(arena: Arena, head: number): number {
  const copy = createList(arena);
  for (let node = listWord(arena, head, FIRST); node !== 0; node = nodeNext(arena, node)) {
    const count = nodeCount(arena, node);
    const copied = createNode(arena, nodeUsed(arena, node), false);
    copyElements(arena, node, nodeStart(arena, node), nodeEnd(arena, node), count, copied);
    linkNode(arena, copy, listWord(arena, copy, LAST), copied);
  }
  setListWord(arena, copy, COUNT, listWord(arena, head, COUNT));
  return copy;
}

function listBytes(arena: Arena, head: number, samples: number): number {
  let bytes = 0;
  let seen = 0;
  for (let node = listWord(arena, head, FIRST); node !== 0; node = nodeNext(arena, node)) {
    bytes += arena.capacity(node);
    if (++seen === samples) break;
  }
  const average = seen === 0 ? 0 : bytes / seen;
  return arena.capacity(head) + Math.round(average * listWord(arena, head, NODES));
}

/** What the key space must know of lists. */
export const LIST_TYPE: ValueType = {
  name: "list",
  release: freeList,
  copy: copyList,
  encoding: () => "quicklist",
  bytes: listBytes,
};
