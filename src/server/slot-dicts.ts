/**
 * The keys of one database, by slot: a dictionary per slot that has any, and within it the groups
 * of keys that share a hash tag (tags.ts). Knows entries; their values, expiry and everything a
 * command means by them are keyspace.ts.
 *
 *   heads[slot] ──> dictionary ──> entry
 *                       └─ owner's words: keys with an expiry, tag groups
 */

import { crc32, hashTag, SLOT_COUNT, slotOfCrc, tagEnd, tagStart } from "../slots/hash.ts";
import type { Accesses } from "./accesses.ts";
import type { Arena } from "./arena/arena.ts";
import {
  createDict,
  dictCount,
  dictFind,
  dictFirstCandidate,
  dictInsert,
  dictOwnerWord,
  dictRandom,
  dictRemove,
  dictReplace,
  dictScan,
  dictTableBytes,
  freeDict,
  nextCandidate,
  setDictOwnerWord,
} from "./arena/dict.ts";
import {
  ENTRY_LINKS,
  entryFlags,
  entryHash,
  entryKeyLength,
  entryKeyOffset,
  entryLastKeyWord,
  entryMemory,
  entryNext,
} from "./arena/entry.ts";
import { type Locator, slotOfHash } from "./locator.ts";
import { addToTagGroup, firstOfTagGroup, moveInTagGroup, removeFromTagGroup } from "./tags.ts";
import { WARM_WINDOW, type WarmKeys } from "./warm.ts";

/** Owner's words of a slot's dictionary. */
const VOLATILE = 0;
const TAG_GROUPS = 1;

/** Entries that `warm` looks at. Filled so that no load can be left out as useless. */
const warmEntries = new Int32Array(WARM_WINDOW);

export class SlotDicts {
  readonly #arena: Arena;
  /** 0 for a slot without keys. */
  readonly #heads = new Int32Array(SLOT_COUNT);

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** The entry of the key that was located, or 0. */
  find({ slot, hash }: Locator, key: Buffer, from: number, to: number): number {
    const head = this.#heads[slot]!;
    return head === 0 ? 0 : dictFind(this.#arena, head, hash, key, from, to);
  }

  /** The first entry that a lookup of this hash would come by, or 0. */
  firstCandidate(slot: number, hash: number): number {
    const head = this.#heads[slot]!;
    return head === 0 ? 0 : dictFirstCandidate(this.#arena, head, hash);
  }

  /**
   * Has the memory that lookups of these keys will touch on its way before they begin. Every loop
   * but the first is short and its rounds independent, so that their waits for memory overlap.
   */
  warm(located: Locator, keys: WarmKeys, accesses: Accesses | undefined): void {
    const arena = this.#arena;
    const { count } = keys;
    located.locateAll(keys);
    for (let i = 0; i < count; i++) {
      warmEntries[i] = this.firstCandidate(located.slotAhead(i), located.hashAhead(i));
    }
    // The first entry of a bucket, then the one behind it where the first is another key's.
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < count; i++) {
        warmEntries[i] = nextCandidate(arena, warmEntries[i]!, located.hashAhead(i));
      }
    }
    // A key that begins in one line of the cache ends in the next one, half the time.
    for (let i = 0; i < count; i++) {
      const entry = warmEntries[i]!;
      if (entry === 0) continue;
      warmEntries[i] = entryLastKeyWord(arena, entry);
      // Its note is in a line of its own: LFU without this takes 17 % longer (test/bench/warm.ts).
      if (accesses !== undefined) warmEntries[i]! += accesses.noteOf(entry);
    }
  }

  /**
   * `entry` is one of the slot's. @param entry it may be freed already @param hash that it had
   */
  holds(slot: number, hash: number, entry: number): boolean {
    let next = this.firstCandidate(slot, hash);
    while (next !== 0 && next !== entry) next = entryNext(this.#arena, next);
    return next === entry && entryHash(this.#arena, next) === hash;
  }

  /** Puts in the entry of the key that was located, which is not there yet. */
  add({ slot, tagCrc, isTagged }: Locator, entry: number): void {
    const arena = this.#arena;
    let head = this.#heads[slot]!;
    if (head === 0) {
      head = createDict(arena);
      this.#heads[slot] = head;
    }
    dictInsert(arena, head, entry);
    if (!isTagged) return;
    const groups = dictOwnerWord(arena, head, TAG_GROUPS);
    const now = addToTagGroup(arena, groups, tagCrc, entry);
    if (now !== groups) setDictOwnerWord(arena, head, TAG_GROUPS, now);
  }

  /** Takes an entry out; its block stays the caller's. @returns whether the slot is empty now */
  remove(slot: number, entry: number): boolean {
    const arena = this.#arena;
    const head = this.#heads[slot]!;
    if (entryFlags(arena, entry) & ENTRY_LINKS) {
      const groups = dictOwnerWord(arena, head, TAG_GROUPS);
      const now = removeFromTagGroup(arena, groups, this.#tagCrcOf(entry), entry);
      if (now !== groups) setDictOwnerWord(arena, head, TAG_GROUPS, now);
    }
    dictRemove(arena, head, entry);
    if (dictCount(arena, head) > 0) return false;
    freeDict(arena, head);
    this.#heads[slot] = 0;
    return true;
  }

  /** Puts `moved` where `entry` was, after `resizeEntry` moved it. */
  replace(entry: number, moved: number): void {
    const arena = this.#arena;
    const head = this.#heads[this.slotOf(moved)]!;
    dictReplace(arena, head, entry, moved);
    if ((entryFlags(arena, moved) & ENTRY_LINKS) === 0) return;
    moveInTagGroup(arena, dictOwnerWord(arena, head, TAG_GROUPS), this.#tagCrcOf(moved), moved);
  }

  #tagCrcOf(entry: number): number {
    const at = entryKeyOffset(this.#arena, entry);
    const memory = entryMemory(this.#arena, entry);
    hashTag(memory, at, at + entryKeyLength(this.#arena, entry));
    return crc32(memory, tagStart, tagEnd) | 0;
  }

  /** The slot of a key that exists. */
  slotOf(entry: number): number {
    if (entryFlags(this.#arena, entry) & ENTRY_LINKS) return slotOfCrc(this.#tagCrcOf(entry));
    return slotOfHash(entryHash(this.#arena, entry));
  }

  count(slot: number): number {
    const head = this.#heads[slot]!;
    return head === 0 ? 0 : dictCount(this.#arena, head);
  }

  volatileCount(slot: number): number {
    const head = this.#heads[slot]!;
    return head === 0 ? 0 : dictOwnerWord(this.#arena, head, VOLATILE);
  }

  /** One more, or one less, of the slot's keys has an expiry. */
  countVolatile(slot: number, change: 1 | -1): void {
    const head = this.#heads[slot]!;
    const count = dictOwnerWord(this.#arena, head, VOLATILE);
    setDictOwnerWord(this.#arena, head, VOLATILE, count + change);
  }

  /** What finding keys takes: the tables of all slots and of their tag groups. */
  tableBytes(): number {
    const arena = this.#arena;
    let bytes = 0;
    for (const head of this.#heads) {
      if (head === 0) continue;
      bytes += dictTableBytes(arena, head);
      const groups = dictOwnerWord(arena, head, TAG_GROUPS);
      if (groups !== 0) bytes += dictTableBytes(arena, groups);
    }
    return bytes;
  }

  /** See dictScan. */
  scan(slot: number, cursor: number, found: number[]): number {
    const head = this.#heads[slot]!;
    return head === 0 ? 0 : dictScan(this.#arena, head, cursor, found);
  }

  /** An entry of a slot that has some. */
  random(slot: number, random: () => number): number {
    return dictRandom(this.#arena, this.#heads[slot]!, random);
  }

  /** The first entry whose tag has this CRC32 (int32), or 0. */
  firstOfTag(crc: number): number {
    const head = this.#heads[slotOfCrc(crc)]!;
    if (head === 0) return 0;
    return firstOfTagGroup(this.#arena, dictOwnerWord(this.#arena, head, TAG_GROUPS), crc);
  }

  /**
   * Forgets all keys without freeing anything.
   * @param give gets what was forgotten: each slot's dictionary and its tag groups or 0
   */
  forget(give: (head: number, groups: number) => void): void {
    for (const head of this.#heads) {
      if (head !== 0) give(head, dictOwnerWord(this.#arena, head, TAG_GROUPS));
    }
    this.#heads.fill(0);
  }
}
