/**
 * A hash table in the arena, named by the ref of its head block: the key space (one per slot), and
 * hashes, sets and sorted sets above their small forms. Linear hashing (Litwin 1980): the table
 * grows by one bucket per insert and shrinks by a few per removal, so no operation rehashes it all.
 *
 *   head ──> segment of up to 256 buckets                     while that is enough (a power of two)
 *        └─> directory ──> segment, segment, ... of 256       afterwards, one bucket at a time
 *   bucket = first entry of a chain (entry.ts)
 *
 * With 2^k <= buckets < 2^(k+1), an entry is in bucket hash mod 2^(k+1), or when there is none yet,
 * hash mod 2^k. Two words of the head are the owner's. The functions never look at an entry beyond
 * next, hash and key. Cursors are those of Redis' SCAN: reverse binary, so that an entry which is
 * there all the time is seen whatever the table does between two calls.
 */

import { assert } from "../../base/assert.ts";
import { type Arena, blockBytes, CHUNK_SHIFT, GRANULE_MASK } from "./arena.ts";
import { entryHash, entryKeyEquals, entryNext, setEntryNext } from "./entry.ts";

/** Words of the head. */
const COUNT = 0;
const BUCKETS = 1;
/** 2^k - 1, see above. */
const MASK = 2;
/** The only segment, or the directory of segments. */
const TABLE = 3;
/** Segments the directory has room for; 0 while there is none. */
const ROOM = 4;
/** First of the owner's words. */
const OWNER = 5;
const HEAD_BYTES = 32;

const SEGMENT_BITS = 8;
const SEGMENT_BUCKETS = 1 << SEGMENT_BITS;
const SEGMENT_MASK = SEGMENT_BUCKETS - 1;
const BUCKETS_MIN = 4;
/** The table shrinks while it has more than this many buckets per entry. */
const SPARSE_FACTOR = 4;
/** Buckets merged per removal at most. */
const MERGES_MAX = 4;

function wordsAt(arena: Arena, ref: number): Int32Array {
  return arena.words[ref >>> CHUNK_SHIFT]!;
}

function wordIndex(ref: number): number {
  return (ref & GRANULE_MASK) << 2;
}

/** An empty dictionary; its owner's words are 0. */
export function createDict(arena: Arena): number {
  const head = arena.alloc(HEAD_BYTES);
  const words = wordsAt(arena, head);
  const at = wordIndex(head);
  words.fill(0, at, at + HEAD_BYTES / 4);
  words[at + TABLE] = createSegment(arena, BUCKETS_MIN);
  wordsAt(arena, head)[at + BUCKETS] = BUCKETS_MIN;
  wordsAt(arena, head)[at + MASK] = BUCKETS_MIN - 1;
  return head;
}

function createSegment(arena: Arena, buckets: number): number {
  const segment = arena.alloc(buckets * 4);
  const at = wordIndex(segment);
  wordsAt(arena, segment).fill(0, at, at + buckets);
  return segment;
}

/** Entries held. */
export function dictCount(arena: Arena, head: number): number {
  return wordsAt(arena, head)[wordIndex(head) + COUNT]!;
}

/** How many buckets `dictBucket` knows, for going through all of them. */
export function dictBuckets(arena: Arena, head: number): number {
  return wordsAt(arena, head)[wordIndex(head) + BUCKETS]!;
}

/** Owner's word `which`: 0, 1 or 2. */
export function dictOwnerWord(arena: Arena, head: number, which: number): number {
  return wordsAt(arena, head)[wordIndex(head) + OWNER + which]!;
}

export function setDictOwnerWord(arena: Arena, head: number, which: number, value: number): void {
  wordsAt(arena, head)[wordIndex(head) + OWNER + which] = value;
}

/** The first entry of bucket `i` (0 .. dictBuckets - 1), or 0; the rest by `entryNext`. */
export function dictBucket(arena: Arena, head: number, i: number): number {
  const segment = segmentOf(wordsAt(arena, head), wordIndex(head), arena, i);
  return wordsAt(arena, segment)[wordIndex(segment) + (i & SEGMENT_MASK)]!;
}

function setBucket(arena: Arena, head: number, i: number, entry: number): void {
  const segment = segmentOf(wordsAt(arena, head), wordIndex(head), arena, i);
  wordsAt(arena, segment)[wordIndex(segment) + (i & SEGMENT_MASK)] = entry;
}

function segmentOf(words: Int32Array, at: number, arena: Arena, i: number): number {
  const table = words[at + TABLE]!;
  if (words[at + ROOM] === 0) return table;
  return wordsAt(arena, table)[wordIndex(table) + (i >>> SEGMENT_BITS)]!;
}

function bucketOf(arena: Arena, head: number, hash: number): number {
  const words = wordsAt(arena, head);
  const at = wordIndex(head);
  const mask = words[at + MASK]!;
  const i = hash & ((mask << 1) | 1);
  return i < words[at + BUCKETS]! ? i : hash & mask;
}

/**
 * @param hash int32, the same function of the key bytes for all of one dictionary
 * @param key the bytes [from, to)
 * @returns the entry, or 0
 */
export function dictFind(
  arena: Arena,
  head: number,
  hash: number,
  key: Buffer,
  from: number,
  to: number,
): number {
  let entry = dictBucket(arena, head, bucketOf(arena, head, hash));
  while (entry !== 0) {
    const words = wordsAt(arena, entry);
    const at = wordIndex(entry);
    if (words[at + 1] === hash && entryKeyEquals(arena, entry, key, from, to)) return entry;
    entry = words[at]!;
  }
  return 0;
}

/** The first entry of the bucket of `hash`, or 0: touches the table's memory, no entry's. */
export function dictFirstCandidate(arena: Arena, head: number, hash: number): number {
  return dictBucket(arena, head, bucketOf(arena, head, hash));
}

/** `entry` when it is 0 or has this hash, else the next of its chain: touches one entry. */
export function nextCandidate(arena: Arena, entry: number, hash: number): number {
  if (entry === 0) return 0;
  const words = wordsAt(arena, entry);
  const at = wordIndex(entry);
  return words[at + 1] === hash ? entry : words[at]!;
}

/** Puts an entry in whose key is not there yet. */
export function dictInsert(arena: Arena, head: number, entry: number): void {
  const i = bucketOf(arena, head, entryHash(arena, entry));
  setEntryNext(arena, entry, dictBucket(arena, head, i));
  setBucket(arena, head, i, entry);
  const words = wordsAt(arena, head);
  const at = wordIndex(head);
  const count = words[at + COUNT]! + 1;
  words[at + COUNT] = count;
  if (count > words[at + BUCKETS]!) grow(arena, head);
}

/** Takes an entry out that is in. Its block stays the caller's to free. */
export function dictRemove(arena: Arena, head: number, entry: number): void {
  relink(arena, head, entry, entryNext(arena, entry));
  const words = wordsAt(arena, head);
  const at = wordIndex(head);
  words[at + COUNT] = words[at + COUNT]! - 1;
  shrink(arena, head);
}

/**
 * Puts `moved` where `entry` was, after `resizeEntry` moved it. `entry` may be freed already: only
 * its ref is looked at.
 */
export function dictReplace(arena: Arena, head: number, entry: number, moved: number): void {
  const i = bucketOf(arena, head, entryHash(arena, moved));
  let previous = 0;
  let at = dictBucket(arena, head, i);
  while (at !== entry) {
    previous = at;
    at = entryNext(arena, at);
  }
  if (previous === 0) setBucket(arena, head, i, moved);
  else setEntryNext(arena, previous, moved);
}

/** Makes what pointed to `entry` point to `to`. */
function relink(arena: Arena, head: number, entry: number, to: number): void {
  const i = bucketOf(arena, head, entryHash(arena, entry));
  let previous = 0;
  let at = dictBucket(arena, head, i);
  while (at !== entry) {
    previous = at;
    at = entryNext(arena, at);
  }
  if (previous === 0) setBucket(arena, head, i, to);
  else setEntryNext(arena, previous, to);
}

function grow(arena: Arena, head: number): void {
  const at = wordIndex(head);
  const buckets = wordsAt(arena, head)[at + BUCKETS]!;
  if (buckets < SEGMENT_BUCKETS) {
    resizeSegment(arena, head, buckets * 2);
    return;
  }
  if ((buckets & SEGMENT_MASK) === 0) addSegment(arena, head, buckets >>> SEGMENT_BITS);
  const words = wordsAt(arena, head);
  const mask = words[at + MASK]!;
  const source = buckets - (mask + 1);
  words[at + BUCKETS] = buckets + 1;
  if (buckets === mask * 2 + 1) words[at + MASK] = buckets;
  splitBucket(arena, head, source, buckets, mask + 1);
}

/** Moves the entries of bucket `source` whose hash has `bit` to bucket `target`, which is empty. */
function splitBucket(
  arena: Arena,
  head: number,
  source: number,
  target: number,
  bit: number,
): void {
  let stay = 0;
  let go = 0;
  let entry = dictBucket(arena, head, source);
  while (entry !== 0) {
    const next = entryNext(arena, entry);
    if (entryHash(arena, entry) & bit) {
      setEntryNext(arena, entry, go);
      go = entry;
    } else {
      setEntryNext(arena, entry, stay);
      stay = entry;
    }
    entry = next;
  }
  setBucket(arena, head, source, stay);
  setBucket(arena, head, target, go);
}

/** Gives a table of at most one segment another number of buckets, a power of two. */
function resizeSegment(arena: Arena, head: number, buckets: number): void {
  const at = wordIndex(head);
  const old = wordsAt(arena, head)[at + TABLE]!;
  const oldBuckets = wordsAt(arena, head)[at + BUCKETS]!;
  const segment = createSegment(arena, buckets);
  const target = wordsAt(arena, segment);
  const targetAt = wordIndex(segment);
  for (let i = 0; i < oldBuckets; i++) {
    let entry = wordsAt(arena, old)[wordIndex(old) + i]!;
    while (entry !== 0) {
      const next = entryNext(arena, entry);
      const slot = targetAt + (entryHash(arena, entry) & (buckets - 1));
      setEntryNext(arena, entry, target[slot]!);
      target[slot] = entry;
      entry = next;
    }
  }
  arena.free(old);
  const words = wordsAt(arena, head);
  words[at + TABLE] = segment;
  words[at + BUCKETS] = buckets;
  words[at + MASK] = buckets - 1;
}

/** Makes room for segment `index`: the first one more turns the only segment into a directory's. */
function addSegment(arena: Arena, head: number, index: number): void {
  const at = wordIndex(head);
  const room = wordsAt(arena, head)[at + ROOM]!;
  if (index >= room) growDirectory(arena, head, index, room);
  const segment = createSegment(arena, SEGMENT_BUCKETS);
  const directory = wordsAt(arena, head)[at + TABLE]!;
  wordsAt(arena, directory)[wordIndex(directory) + index] = segment;
}

function growDirectory(arena: Arena, head: number, used: number, room: number): void {
  const at = wordIndex(head);
  const old = wordsAt(arena, head)[at + TABLE]!;
  const newRoom = Math.max(4, room * 2);
  const directory = arena.alloc(newRoom * 4);
  const target = wordsAt(arena, directory);
  const targetAt = wordIndex(directory);
  if (room === 0) {
    target[targetAt] = old;
  } else {
    const oldAt = wordIndex(old);
    target.set(wordsAt(arena, old).subarray(oldAt, oldAt + used), targetAt);
    arena.free(old);
  }
  const words = wordsAt(arena, head);
  words[at + TABLE] = directory;
  words[at + ROOM] = newRoom;
}

function shrink(arena: Arena, head: number): void {
  const words = wordsAt(arena, head);
  const at = wordIndex(head);
  for (let merges = 0; merges < MERGES_MAX; merges++) {
    const buckets = words[at + BUCKETS]!;
    if (buckets <= BUCKETS_MIN || buckets <= words[at + COUNT]! * SPARSE_FACTOR) return;
    if (buckets <= SEGMENT_BUCKETS) {
      resizeSegment(arena, head, buckets / 2);
      return;
    }
    mergeLastBucket(arena, head, buckets - 1);
  }
}

function mergeLastBucket(arena: Arena, head: number, last: number): void {
  const words = wordsAt(arena, head);
  const at = wordIndex(head);
  const mask = words[at + MASK]!;
  const smaller = last === mask ? mask >>> 1 : mask;
  const into = last & smaller;
  const entry = dictBucket(arena, head, last);
  if (entry !== 0) {
    let tail = entry;
    for (let next = entryNext(arena, tail); next !== 0; next = entryNext(arena, tail)) tail = next;
    setEntryNext(arena, tail, dictBucket(arena, head, into));
    setBucket(arena, head, into, entry);
  }
  words[at + BUCKETS] = last;
  words[at + MASK] = smaller;
  if ((last & SEGMENT_MASK) === 0) dropLastSegment(arena, head, last >>> SEGMENT_BITS);
}

function dropLastSegment(arena: Arena, head: number, index: number): void {
  const words = wordsAt(arena, head);
  const at = wordIndex(head);
  const directory = words[at + TABLE]!;
  const first = wordIndex(directory);
  arena.free(wordsAt(arena, directory)[first + index]!);
  if (index > 1) return;
  words[at + TABLE] = wordsAt(arena, directory)[first]!;
  words[at + ROOM] = 0;
  arena.free(directory);
}

/**
 * One step of a scan: adds the entries of one place of the table to `found`.
 * @param cursor 0 to start, then what the last step answered
 * @returns the next cursor (u32), 0 when everything has been seen
 */
export function dictScan(arena: Arena, head: number, cursor: number, found: number[]): number {
  const mask = wordsAt(arena, head)[wordIndex(head) + MASK]!;
  const low = cursor & mask;
  addChain(arena, dictBucket(arena, head, low), found);
  // A bucket that was split stands for one place together with its other half.
  const high = low + mask + 1;
  if (high < dictBuckets(arena, head)) addChain(arena, dictBucket(arena, head, high), found);
  return reverseBits((reverseBits(cursor | ~mask) + 1) | 0) >>> 0;
}

function addChain(arena: Arena, first: number, found: number[]): void {
  for (let entry = first; entry !== 0; entry = entryNext(arena, entry)) found.push(entry);
}

function reverseBits(value: number): number {
  let v = value;
  v = ((v >>> 1) & 0x55555555) | ((v & 0x55555555) << 1);
  v = ((v >>> 2) & 0x33333333) | ((v & 0x33333333) << 2);
  v = ((v >>> 4) & 0x0f0f0f0f) | ((v & 0x0f0f0f0f) << 4);
  v = ((v >>> 8) & 0x00ff00ff) | ((v & 0x00ff00ff) << 8);
  return (v >>> 16) | (v << 16);
}

/**
 * An entry at random, by bucket: those that share one are a little less likely. The dictionary is
 * not empty.
 * @param random function giving [0, 1)
 */
export function dictRandom(arena: Arena, head: number, random: () => number): number {
  const buckets = dictBuckets(arena, head);
  let entry = 0;
  while (entry === 0) entry = dictBucket(arena, head, Math.floor(random() * buckets));
  let length = 1;
  for (let e = entryNext(arena, entry); e !== 0; e = entryNext(arena, e)) length++;
  for (let skip = Math.floor(random() * length); skip > 0; skip--) entry = entryNext(arena, entry);
  return entry;
}

/**
 * Takes a dictionary apart, a part at a time, from its last bucket. Between the parts no other
 * function but this one may be used on it.
 * @param budget about how many entries to take
 * @param drop frees an entry and what it names; it is no longer in the dictionary
 * @returns what is left of the budget, at least 0, when the dictionary and its head are gone; -1
 * when there is more to do
 */
export function dictDrain(
  arena: Arena,
  head: number,
  budget: number,
  drop: (entry: number) => void,
): number {
  const words = wordsAt(arena, head);
  const at = wordIndex(head);
  let left = budget;
  for (let i = words[at + BUCKETS]! - 1; i >= 0; i--) {
    if (left <= 0) return -1;
    left--;
    for (let entry = dictBucket(arena, head, i); entry !== 0; ) {
      const next = entryNext(arena, entry);
      drop(entry);
      left--;
      entry = next;
    }
    setBucket(arena, head, i, 0);
    words[at + BUCKETS] = i;
    if (words[at + ROOM] !== 0 && (i & SEGMENT_MASK) === 0 && i > 0) {
      dropLastSegment(arena, head, i >>> SEGMENT_BITS);
    }
  }
  arena.free(words[at + TABLE]!);
  arena.free(head);
  return Math.max(0, left);
}

function expectNoEntry(): void {
  assert(false, "the dictionary is empty");
}

/** Gives back a dictionary that has no entries. */
export function freeDict(arena: Arena, head: number): void {
  dictDrain(arena, head, Number.POSITIVE_INFINITY, expectNoEntry);
}

/** Bytes of the head, directory and segments, without the entries. */
export function dictTableBytes(arena: Arena, head: number): number {
  const words = wordsAt(arena, head);
  const at = wordIndex(head);
  const buckets = words[at + BUCKETS]!;
  if (words[at + ROOM] === 0) return HEAD_BYTES + blockBytes(buckets * 4);
  const segments = Math.ceil(buckets / SEGMENT_BUCKETS);
  return (
    HEAD_BYTES + blockBytes(words[at + ROOM]! * 4) + segments * blockBytes(SEGMENT_BUCKETS * 4)
  );
}
