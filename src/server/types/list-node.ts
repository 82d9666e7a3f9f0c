/**
 * One node of a list: a block of the arena with elements packed one behind the other, and room at
 * either end.
 *
 *   word 0 previous node   1 next node   2 elements   3 start   4 end (bytes from the start)
 *   | words | room | element element element ... | room |
 *                  start                         end
 *   element = length, bytes, length again (so that it can be read from either side)
 *   length  = one byte below 255; else 255 and 4 bytes (little endian), behind the bytes 4 and 255
 *
 * Positions are bytes from the start of the block, so they live on when a node moves as a whole.
 */

import { copyBytes } from "../../base/bytes.ts";
import { type Arena, CHUNK_SHIFT, GRANULE_MASK } from "../arena/arena.ts";
import type { ByteRange } from "./byte-range.ts";

export const NODE_HEADER_BYTES = 20;
const NODE_BYTES_MIN = 64;

const PREVIOUS = 0;
const NEXT = 1;
const COUNT = 2;
const START = 3;
const END = 4;

const SHORT_MAX = 254;
const LONG_MARK = 255;

function word(arena: Arena, node: number, which: number): number {
  return arena.words[node >>> CHUNK_SHIFT]![((node & GRANULE_MASK) << 2) + which]!;
}

function setWord(arena: Arena, node: number, which: number, value: number): void {
  arena.words[node >>> CHUNK_SHIFT]![((node & GRANULE_MASK) << 2) + which] = value;
}

/** The memory a node lies in. */
function memoryOf(arena: Arena, node: number): Buffer {
  return arena.bytes[node >>> CHUNK_SHIFT]!;
}

/** Where the block starts in its memory. */
function baseOf(node: number): number {
  return (node & GRANULE_MASK) << 4;
}

export function nodePrevious(arena: Arena, node: number): number {
  return word(arena, node, PREVIOUS);
}

export function nodeNext(arena: Arena, node: number): number {
  return word(arena, node, NEXT);
}

export function setNodePrevious(arena: Arena, node: number, previous: number): void {
  setWord(arena, node, PREVIOUS, previous);
}

export function setNodeNext(arena: Arena, node: number, next: number): void {
  setWord(arena, node, NEXT, next);
}

/** Elements in the node. */
export function nodeCount(arena: Arena, node: number): number {
  return word(arena, node, COUNT);
}

/** Position of the first element. */
export function nodeStart(arena: Arena, node: number): number {
  return word(arena, node, START);
}

/** Position behind the last element. */
export function nodeEnd(arena: Arena, node: number): number {
  return word(arena, node, END);
}

/** Bytes of elements. */
export function nodeUsed(arena: Arena, node: number): number {
  return word(arena, node, END) - word(arena, node, START);
}

/** What an element of `length` bytes takes in a node. */
export function elementBytes(length: number): number {
  return length + (length <= SHORT_MAX ? 2 : 10);
}

/**
 * An empty node between no others.
 * @param bytes of elements it must hold
 * @param atEnd its room is in front (to be filled backwards) instead of behind
 */
export function createNode(arena: Arena, bytes: number, atEnd: boolean): number {
  const node = arena.alloc(Math.max(NODE_BYTES_MIN, NODE_HEADER_BYTES + bytes));
  const edge = atEnd ? arena.capacity(node) : NODE_HEADER_BYTES;
  setWord(arena, node, PREVIOUS, 0);
  setWord(arena, node, NEXT, 0);
  setWord(arena, node, COUNT, 0);
  setWord(arena, node, START, edge);
  setWord(arena, node, END, edge);
  return node;
}

/** Bytes of the element at `position`. */
export function sizeAt(arena: Arena, node: number, position: number): number {
  const memory = memoryOf(arena, node);
  const at = baseOf(node) + position;
  const short = memory[at]!;
  return elementBytes(short <= SHORT_MAX ? short : memory.readInt32LE(at + 1));
}

/** Bytes of the element that ends at `position`. */
export function sizeBefore(arena: Arena, node: number, position: number): number {
  const memory = memoryOf(arena, node);
  const at = baseOf(node) + position - 1;
  const short = memory[at]!;
  return elementBytes(short <= SHORT_MAX ? short : memory.readInt32LE(at - 4));
}

/** Shows the element at `position`. */
export function showElement(
  arena: Arena,
  node: number,
  position: number,
  element: ByteRange,
): void {
  const memory = memoryOf(arena, node);
  const at = baseOf(node) + position;
  const short = memory[at]!;
  element.bytes = memory;
  if (short <= SHORT_MAX) {
    element.start = at + 1;
    element.end = at + 1 + short;
  } else {
    element.start = at + 5;
    element.end = at + 5 + memory.readInt32LE(at + 1);
  }
}

function writeElement(
  arena: Arena,
  node: number,
  position: number,
  buf: Buffer,
  from: number,
  to: number,
): void {
  const memory = memoryOf(arena, node);
  const at = baseOf(node) + position;
  const length = to - from;
  if (length <= SHORT_MAX) {
    memory[at] = length;
    copyBytes(buf, from, to, memory, at + 1);
    memory[at + 1 + length] = length;
  } else {
    memory[at] = LONG_MARK;
    memory.writeInt32LE(length, at + 1);
    copyBytes(buf, from, to, memory, at + 5);
    memory.writeInt32LE(length, at + 5 + length);
    memory[at + 9 + length] = LONG_MARK;
  }
}

/** Writes an element behind the last one; there is room. */
export function appendElement(
  arena: Arena,
  node: number,
  buf: Buffer,
  from: number,
  to: number,
): void {
  const end = word(arena, node, END);
  writeElement(arena, node, end, buf, from, to);
  setWord(arena, node, END, end + elementBytes(to - from));
  setWord(arena, node, COUNT, word(arena, node, COUNT) + 1);
}

/** Writes an element before the first one; there is room. */
export function prependElement(
  arena: Arena,
  node: number,
  buf: Buffer,
  from: number,
  to: number,
): void {
  const start = word(arena, node, START) - elementBytes(to - from);
  writeElement(arena, node, start, buf, from, to);
  setWord(arena, node, START, start);
  setWord(arena, node, COUNT, word(arena, node, COUNT) + 1);
}

/**
 * Writes an element at `position`, moving those behind it towards the end, where there is room.
 */
export function insertElement(
  arena: Arena,
  node: number,
  position: number,
  buf: Buffer,
  from: number,
  to: number,
): void {
  const bytes = elementBytes(to - from);
  const base = baseOf(node);
  const end = word(arena, node, END);
  memoryOf(arena, node).copyWithin(base + position + bytes, base + position, base + end);
  writeElement(arena, node, position, buf, from, to);
  setWord(arena, node, END, end + bytes);
  setWord(arena, node, COUNT, word(arena, node, COUNT) + 1);
}

/** Writes over the element at `position` one of the same length. */
export function overwriteElement(
  arena: Arena,
  node: number,
  position: number,
  buf: Buffer,
  from: number,
  to: number,
): void {
  writeElement(arena, node, position, buf, from, to);
}

/**
 * Takes the element at `position` out; those behind it move up, so the next one is at `position`.
 */
export function removeElement(arena: Arena, node: number, position: number): void {
  const bytes = sizeAt(arena, node, position);
  const base = baseOf(node);
  const end = word(arena, node, END);
  memoryOf(arena, node).copyWithin(base + position, base + position + bytes, base + end);
  setWord(arena, node, END, end - bytes);
  setWord(arena, node, COUNT, word(arena, node, COUNT) - 1);
}

/** Forgets the first `count` elements, fewer than there are. */
export function dropFirst(arena: Arena, node: number, count: number): void {
  let start = word(arena, node, START);
  for (let i = 0; i < count; i++) start += sizeAt(arena, node, start);
  setWord(arena, node, START, start);
  setWord(arena, node, COUNT, word(arena, node, COUNT) - count);
}

/** Forgets the last `count` elements, fewer than there are. */
export function dropLast(arena: Arena, node: number, count: number): void {
  let end = word(arena, node, END);
  for (let i = 0; i < count; i++) end -= sizeBefore(arena, node, end);
  setWord(arena, node, END, end);
  setWord(arena, node, COUNT, word(arena, node, COUNT) - count);
}

/** Position of element `index` (0 .. count - 1), found from the nearer side. */
export function positionOf(arena: Arena, node: number, index: number): number {
  const count = word(arena, node, COUNT);
  if (index <= count >>> 1) {
    let position = word(arena, node, START);
    for (let i = 0; i < index; i++) position += sizeAt(arena, node, position);
    return position;
  }
  let position = word(arena, node, END);
  for (let i = count; i > index; i--) position -= sizeBefore(arena, node, position);
  return position;
}

/** Moves the elements to one side of their block, so that all room is at the other. */
export function slideElements(arena: Arena, node: number, toEnd: boolean): void {
  const start = word(arena, node, START);
  const end = word(arena, node, END);
  const target = toEnd ? arena.capacity(node) - (end - start) : NODE_HEADER_BYTES;
  const base = baseOf(node);
  memoryOf(arena, node).copyWithin(base + target, base + start, base + end);
  setWord(arena, node, START, target);
  setWord(arena, node, END, target + end - start);
}

/** Copies `count` elements, which are the bytes [start, end) of `node`, behind those of `into`. */
export function copyElements(
  arena: Arena,
  node: number,
  start: number,
  end: number,
  count: number,
  into: number,
): void {
  const base = baseOf(node);
  const intoEnd = word(arena, into, END);
  const target = memoryOf(arena, into);
  memoryOf(arena, node).copy(target, baseOf(into) + intoEnd, base + start, base + end);
  setWord(arena, into, END, intoEnd + end - start);
  setWord(arena, into, COUNT, word(arena, into, COUNT) + count);
}
