/**
 * What hashes, sets and sorted sets share about their dictionaries: how fields and members are
 * hashed, shown and removed, how all are visited or one is picked, what a dictionary weighs, and
 * how it is freed.
 *
 * The hash is not the CRC of keys: that one is public, so a client could choose a million members
 * that share a bucket. This one starts from a number nobody outside knows.
 */

import type { Arena } from "../arena/arena.ts";
import {
  dictBucket,
  dictBuckets,
  dictCount,
  dictDrain,
  dictFind,
  dictRemove,
  dictScan,
  dictTableBytes,
} from "../arena/dict.ts";
import {
  entryBlockBytes,
  entryKeyLength,
  entryKeyOffset,
  entryMemory,
  entryNext,
} from "../arena/entry.ts";
import type { ByteRange } from "./byte-range.ts";
import { headBody } from "./head.ts";

/** Above this many bytes one call into the runtime is quicker than a loop (both about 40 ns). */
const LOOP_BYTES_MAX = 64;

const SEED = Math.floor(Math.random() * 2 ** 32) | 0;

/**
 * The hash of the field or member `buf[from, to)`: FNV-1a from a secret start, its bits mixed at
 * the end so that the low ones can name a bucket.
 * @returns int32
 */
export function memberHash(buf: Buffer, from: number, to: number): number {
  if (to - from > LOOP_BYTES_MAX) return Bun.hash.xxHash32(buf.subarray(from, to), SEED) | 0;
  let hash = SEED;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ buf[i]!, 0x01000193);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}

/** Shows the field or member that `entry` is about in `range`. */
export function showName(arena: Arena, entry: number, range: ByteRange): void {
  const start = entryKeyOffset(arena, entry);
  range.bytes = entryMemory(arena, entry);
  range.start = start;
  range.end = start + entryKeyLength(arena, entry);
}

/** Removes the entry of the field or member `buf[from, to)`. Returns whether it was there. */
export function tableRemove(
  arena: Arena,
  dict: number,
  buf: Buffer,
  from: number,
  to: number,
): boolean {
  const entry = dictFind(arena, dict, memberHash(buf, from, to), buf, from, to);
  if (entry === 0) return false;
  dictRemove(arena, dict, entry);
  arena.free(entry);
  return true;
}

/** Bytes of a dictionary with its entries, judged by about `samples` entries; 0 weighs all. */
export function tableBytes(arena: Arena, dict: number, samples: number): number {
  let bytes = 0;
  let seen = 0;
  for (let i = dictBuckets(arena, dict) - 1; i >= 0; i--) {
    for (let entry = dictBucket(arena, dict, i); entry !== 0; entry = entryNext(arena, entry)) {
      bytes += entryBlockBytes(arena, entry);
      seen++;
    }
    if (samples > 0 && seen >= samples) break;
  }
  const average = seen === 0 ? 0 : bytes / seen;
  return dictTableBytes(arena, dict) + Math.round(average * dictCount(arena, dict));
}

/** Frees about `budget` entries of a collection that has only a head and a table, then both. */
export function freeHeadAndTable(arena: Arena, head: number, budget: number): number {
  const left = dictDrain(arena, headBody(arena, head), budget, (entry) => arena.free(entry));
  if (left >= 0) arena.free(head);
  return left;
}

/** Bytes of such a collection, judged by about `samples` entries; 0 weighs all. */
export function headAndTableBytes(arena: Arena, head: number, samples: number): number {
  return arena.capacity(head) + tableBytes(arena, headBody(arena, head), samples);
}

/** Places of a bucket that are drawn from, while there are more entries than half the buckets. */
const PLACES_DENSE = 5;
/** And when there are fewer: after removals a table keeps up to four buckets per entry. */
const PLACES_SPARSE = 3;

/**
 * An entry at random: a bucket and a place in its chain are drawn until there is one. All have the
 * same chance but for those in chains longer than the places, which share the last place: less
 * than one in a hundred. The dictionary is not empty.
 * @param random gives [0, 1)
 */
export function tableRandom(arena: Arena, dict: number, random: () => number): number {
  const buckets = dictBuckets(arena, dict);
  const places = dictCount(arena, dict) * 2 > buckets ? PLACES_DENSE : PLACES_SPARSE;
  for (;;) {
    const drawn = Math.floor(random() * buckets * places);
    const bucket = Math.floor(drawn / places);
    const place = drawn - bucket * places;
    let entry = dictBucket(arena, dict, bucket);
    for (let i = 0; i < place && entry !== 0; i++) entry = entryNext(arena, entry);
    if (entry === 0) continue;
    return place < places - 1 ? entry : randomOfRest(arena, entry, random);
  }
}

/** `entry` or one of those behind it in its chain. */
function randomOfRest(arena: Arena, first: number, random: () => number): number {
  let length = 0;
  for (let entry = first; entry !== 0; entry = entryNext(arena, entry)) length++;
  let entry = first;
  if (length === 1) return entry;
  for (let skip = Math.floor(random() * length); skip > 0; skip--) entry = entryNext(arena, entry);
  return entry;
}

/**
 * Goes through the entries of a dictionary that does not change meanwhile, in no particular order.
 */
export class TableWalk {
  #arena: Arena | undefined;
  #dict = 0;
  /** Buckets below this one are still to be visited. */
  #bucket = 0;
  #entry = 0;
  /** Entries of a scan's step, still to be visited. */
  readonly #found: number[] = [];

  begin(arena: Arena, dict: number): void {
    this.#arena = arena;
    this.#dict = dict;
    this.#bucket = dictBuckets(arena, dict);
    this.#entry = 0;
    this.#found.length = 0;
  }

  /**
   * Instead of `begin`: goes through the entries of one step of a scan.
   * @param cursor 0 to start, then what the last step answered
   * @returns the next cursor (u32); 0 when this step is the last
   */
  beginScan(arena: Arena, dict: number, cursor: number): number {
    this.#arena = arena;
    this.#bucket = 0;
    this.#entry = 0;
    this.#found.length = 0;
    return dictScan(arena, dict, cursor, this.#found);
  }

  /** The next entry; 0 after the last one. */
  next(): number {
    const arena = this.#arena!;
    let entry = this.#entry === 0 ? 0 : entryNext(arena, this.#entry);
    while (entry === 0 && this.#bucket > 0) entry = dictBucket(arena, this.#dict, --this.#bucket);
    this.#entry = entry;
    return entry === 0 ? (this.#found.pop() ?? 0) : entry;
  }
}
