/**
 * What a dictionary holds: one block per entry, with its key and a small value in it.
 *
 *   byte 0   next entry of the bucket (ref)
 *        4   hash (int32)
 *        8   key length << 6 | flags
 *        12  value word: length of the value bytes below, or whatever the owner keeps (a ref)
 *        16  number (f64), with ENTRY_NUMBER: when a key expires, the score of a member
 *        ..  two links (refs), with ENTRY_LINKS: the group of a tag
 *        ..  key bytes, then value bytes
 *
 * Flags: number, links, one bit for the owner (the snapshot's epoch), and three for the owner's
 * kind (the type of a key). A kind other than 0 has no value bytes: its value word is the owner's.
 */

import { copyBytes } from "../../base/bytes.ts";
import { type Arena, CHUNK_SHIFT, GRANULE_MASK, SHARED_BLOCK_BYTES_MAX } from "./arena.ts";

export const ENTRY_NUMBER = 1;
export const ENTRY_LINKS = 2;
export const ENTRY_MARK = 4;
const KIND_SHIFT = 3;
const KIND_MASK = 7 << KIND_SHIFT;
const FLAG_BITS = 6;
const FLAG_MASK = (1 << FLAG_BITS) - 1;
const HEADER_BYTES = 16;

/** Keys, fields and members are shorter than this; values are bounded by 2^30. */
export const ENTRY_KEY_BYTES_MAX = (1 << 26) - 1;

/** Above this, one native comparison is quicker than the loop. */
const COMPARE_LOOP_BYTES_MAX = 48;

/** Kind 0 keeps its value bytes in the entry; all other kinds keep a ref in the value word. */
export function kindFlags(kind: number): number {
  return kind << KIND_SHIFT;
}

function extraBytes(flags: number): number {
  return ((flags & ENTRY_NUMBER) + ((flags & ENTRY_LINKS) >>> 1)) << 3;
}

/** Bytes of an entry's block, before rounding. `valueBytes` is 0 for a kind other than 0. */
function entryBytes(flags: number, keyBytes: number, valueBytes: number): number {
  return HEADER_BYTES + extraBytes(flags) + keyBytes + valueBytes;
}

/**
 * A new entry in no dictionary yet. Number, links and value bytes are the caller's to write.
 * @param key bytes [from, to) become the entry's key
 * @param valueWord the value's length for kind 0, else any int32
 */
export function createEntry(
  arena: Arena,
  hash: number,
  flags: number,
  key: Buffer,
  from: number,
  to: number,
  valueWord: number,
): number {
  const keyBytes = to - from;
  const valueBytes = (flags & KIND_MASK) === 0 ? valueWord : 0;
  const entry = arena.alloc(entryBytes(flags, keyBytes, valueBytes));
  const words = arena.words[entry >>> CHUNK_SHIFT]!;
  const at = (entry & GRANULE_MASK) << 2;
  words[at] = 0;
  words[at + 1] = hash;
  words[at + 2] = (keyBytes << FLAG_BITS) | flags;
  words[at + 3] = valueWord;
  const bytes = arena.bytes[entry >>> CHUNK_SHIFT]!;
  copyBytes(key, from, to, bytes, (at << 2) + HEADER_BYTES + extraBytes(flags));
  return entry;
}

/** The memory an entry lies in; all offsets of this entry are indexes into it. */
export function entryMemory(arena: Arena, entry: number): Buffer {
  return arena.bytes[entry >>> CHUNK_SHIFT]!;
}

function metaOf(arena: Arena, entry: number): number {
  return arena.words[entry >>> CHUNK_SHIFT]![((entry & GRANULE_MASK) << 2) + 2]!;
}

export function entryNext(arena: Arena, entry: number): number {
  return arena.words[entry >>> CHUNK_SHIFT]![(entry & GRANULE_MASK) << 2]!;
}

export function setEntryNext(arena: Arena, entry: number, next: number): void {
  arena.words[entry >>> CHUNK_SHIFT]![(entry & GRANULE_MASK) << 2] = next;
}

export function entryHash(arena: Arena, entry: number): number {
  return arena.words[entry >>> CHUNK_SHIFT]![((entry & GRANULE_MASK) << 2) + 1]!;
}

/** ENTRY_NUMBER | ENTRY_LINKS | ENTRY_MARK and the kind, as createEntry got them. */
export function entryFlags(arena: Arena, entry: number): number {
  return metaOf(arena, entry) & FLAG_MASK;
}

/** 0..7 */
export function entryKind(arena: Arena, entry: number): number {
  return (metaOf(arena, entry) & KIND_MASK) >>> KIND_SHIFT;
}

export function setEntryMark(arena: Arena, entry: number, mark: boolean): void {
  const words = arena.words[entry >>> CHUNK_SHIFT]!;
  const at = ((entry & GRANULE_MASK) << 2) + 2;
  words[at] = mark ? words[at]! | ENTRY_MARK : words[at]! & ~ENTRY_MARK;
}

export function entryKeyOffset(arena: Arena, entry: number): number {
  return ((entry & GRANULE_MASK) << 4) + HEADER_BYTES + extraBytes(metaOf(arena, entry));
}

export function entryKeyLength(arena: Arena, entry: number): number {
  return metaOf(arena, entry) >>> FLAG_BITS;
}

/** Where the value bytes start, for kind 0. */
export function entryValueOffset(arena: Arena, entry: number): number {
  const meta = metaOf(arena, entry);
  return ((entry & GRANULE_MASK) << 4) + HEADER_BYTES + extraBytes(meta) + (meta >>> FLAG_BITS);
}

/**
 * How many value bytes there are, for kind 0; for other kinds it is entryValueWord that means
 * something.
 */
export function entryValueLength(arena: Arena, entry: number): number {
  return entryValueWord(arena, entry);
}

export function entryValueWord(arena: Arena, entry: number): number {
  return arena.words[entry >>> CHUNK_SHIFT]![((entry & GRANULE_MASK) << 2) + 3]!;
}

/** For kinds other than 0: keeps `word` (a ref) as the value. */
export function setEntryValueWord(arena: Arena, entry: number, word: number): void {
  arena.words[entry >>> CHUNK_SHIFT]![((entry & GRANULE_MASK) << 2) + 3] = word;
}

/** Needs ENTRY_NUMBER. */
export function entryNumber(arena: Arena, entry: number): number {
  return arena.doubles[entry >>> CHUNK_SHIFT]![((entry & GRANULE_MASK) << 1) + 2]!;
}

/** Needs ENTRY_NUMBER. */
export function setEntryNumber(arena: Arena, entry: number, value: number): void {
  arena.doubles[entry >>> CHUNK_SHIFT]![((entry & GRANULE_MASK) << 1) + 2] = value;
}

function linksIndex(entry: number, meta: number): number {
  return ((entry & GRANULE_MASK) << 2) + 4 + ((meta & ENTRY_NUMBER) << 1);
}

/** Needs ENTRY_LINKS. `which` is 0 or 1. */
export function entryLink(arena: Arena, entry: number, which: 0 | 1): number {
  const words = arena.words[entry >>> CHUNK_SHIFT]!;
  return words[linksIndex(entry, metaOf(arena, entry)) + which]!;
}

/** Needs ENTRY_LINKS. `which` is 0 or 1. */
export function setEntryLink(arena: Arena, entry: number, which: 0 | 1, ref: number): void {
  const words = arena.words[entry >>> CHUNK_SHIFT]!;
  words[linksIndex(entry, metaOf(arena, entry)) + which] = ref;
}

/** The word in which the key ends. */
export function entryLastKeyWord(arena: Arena, entry: number): number {
  const meta = metaOf(arena, entry);
  const end = HEADER_BYTES + extraBytes(meta) + (meta >>> FLAG_BITS);
  return arena.words[entry >>> CHUNK_SHIFT]![((entry & GRANULE_MASK) << 2) + ((end - 1) >>> 2)]!;
}

/** The key equals `key` [from, to). */
export function entryKeyEquals(
  arena: Arena,
  entry: number,
  key: Buffer,
  from: number,
  to: number,
): boolean {
  const meta = metaOf(arena, entry);
  const length = to - from;
  if (meta >>> FLAG_BITS !== length) return false;
  const bytes = arena.bytes[entry >>> CHUNK_SHIFT]!;
  const at = ((entry & GRANULE_MASK) << 4) + HEADER_BYTES + extraBytes(meta);
  if (length > COMPARE_LOOP_BYTES_MAX) return bytes.compare(key, from, to, at, at + length) === 0;
  for (let i = 0; i < length; i++) {
    if (bytes[at + i] !== key[from + i]) return false;
  }
  return true;
}

/**
 * Changes an entry's flags and its value word, with the length of a value of kind 0, keeping key,
 * number, links and up to `keptBytes` of the value. Works in the same block when that one is the
 * right size, else the bytes move to a new block and the old one is freed. The caller puts a moved
 * entry in its predecessor's place (`dictReplace`).
 * @param valueWord as in createEntry
 * @param keptBytes how much of the value is worth keeping
 * @returns the entry's ref, a new one if it moved
 */
export function resizeEntry(
  arena: Arena,
  entry: number,
  flags: number,
  valueWord: number,
  keptBytes: number,
): number {
  const words = arena.words[entry >>> CHUNK_SHIFT]!;
  const at = (entry & GRANULE_MASK) << 2;
  const meta = words[at + 2]!;
  const oldFlags = meta & FLAG_MASK;
  const keyBytes = meta >>> FLAG_BITS;
  const oldValueBytes = (meta & KIND_MASK) === 0 ? words[at + 3]! : 0;
  const valueBytes = (flags & KIND_MASK) === 0 ? valueWord : 0;
  const tail = keyBytes + Math.min(oldValueBytes, valueBytes, keptBytes);
  const needed = entryBytes(flags, keyBytes, valueBytes);
  if (arena.fits(entry, needed)) {
    if ((flags ^ oldFlags) & (ENTRY_NUMBER | ENTRY_LINKS)) {
      moveBytes(arena, entry, entry, oldFlags, flags, tail);
    }
    words[at + 2] = (keyBytes << FLAG_BITS) | flags;
    words[at + 3] = valueWord;
    return entry;
  }
  // A block of its own chunk has room to grow: appending to it in small steps stays cheap.
  const isGrowing = valueBytes > oldValueBytes && keptBytes > 0;
  const spare = isGrowing && needed > SHARED_BLOCK_BYTES_MAX ? needed >>> 3 : 0;
  const moved = arena.alloc(needed + spare);
  const to = arena.words[moved >>> CHUNK_SHIFT]!;
  const toAt = (moved & GRANULE_MASK) << 2;
  to[toAt] = words[at]!;
  to[toAt + 1] = words[at + 1]!;
  to[toAt + 2] = (keyBytes << FLAG_BITS) | flags;
  to[toAt + 3] = valueWord;
  moveBytes(arena, entry, moved, oldFlags, flags, tail);
  arena.free(entry);
  return moved;
}

/**
 * SET's quick case: gives an entry of kind 0 without a number another length of value, if its block
 * is right for that. What the value bytes were is lost.
 * @returns where the value bytes start, or -1 when this is not the case
 */
export function reuseEntry(arena: Arena, entry: number, valueBytes: number): number {
  const words = arena.words[entry >>> CHUNK_SHIFT]!;
  const at = (entry & GRANULE_MASK) << 2;
  const meta = words[at + 2]!;
  if ((meta & (KIND_MASK | ENTRY_NUMBER)) !== 0) return -1;
  const offset = HEADER_BYTES + extraBytes(meta) + (meta >>> FLAG_BITS);
  if (words[at + 3] !== valueBytes) {
    if (!arena.fits(entry, offset + valueBytes)) return -1;
    words[at + 3] = valueBytes;
  }
  return (at << 2) + offset;
}

/** Carries number, links and `tail` bytes behind them from one entry's layout to another's. */
function moveBytes(
  arena: Arena,
  from: number,
  to: number,
  oldFlags: number,
  flags: number,
  tail: number,
): void {
  const source = arena.words[from >>> CHUNK_SHIFT]!;
  const target = arena.words[to >>> CHUNK_SHIFT]!;
  const sourceLinks = linksIndex(from, oldFlags);
  const first = oldFlags & ENTRY_LINKS ? source[sourceLinks]! : 0;
  const second = oldFlags & ENTRY_LINKS ? source[sourceLinks + 1]! : 0;
  const number = oldFlags & ENTRY_NUMBER ? entryNumber(arena, from) : 0;
  const sourceTail = ((from & GRANULE_MASK) << 4) + HEADER_BYTES + extraBytes(oldFlags);
  const targetTail = ((to & GRANULE_MASK) << 4) + HEADER_BYTES + extraBytes(flags);
  const bytes = arena.bytes[from >>> CHUNK_SHIFT]!;
  bytes.copy(arena.bytes[to >>> CHUNK_SHIFT]!, targetTail, sourceTail, sourceTail + tail);
  if (flags & ENTRY_NUMBER) setEntryNumber(arena, to, number);
  if (flags & ENTRY_LINKS) {
    const targetLinks = linksIndex(to, flags);
    target[targetLinks] = first;
    target[targetLinks + 1] = second;
  }
}

/** Bytes the entry's block takes. */
export function entryBlockBytes(arena: Arena, entry: number): number {
  return arena.capacity(entry);
}
