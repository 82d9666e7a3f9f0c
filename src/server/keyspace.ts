/**
 * One database: keys in the arena, in one dictionary per slot. All access of commands to keys goes
 * through here, because here happen: the slot and tag index, lazy expiry, hit and miss counts, the
 * notes of use, the snapshot's copy of what is about to change.
 *
 *   key bytes ──> CRC32 ──> slot's dictionary ──> entry (ref)
 *
 * An entry ref is valid until the key is removed or a function here returns another ref for it:
 * every function that may move an entry returns where it is now. Offsets of value bytes are valid
 * until anything is allocated for that key. A string's bytes lie in its entry (arena/entry.ts: kind
 * is the type, number the expiry in unix ms); other types keep the ref of their structure in the
 * value word.
 *
 * Keys are ranges [from, to) of a buffer that may be the arena's own.
 */

import { copyBytes } from "../base/bytes.ts";
import { SLOT_COUNT } from "../slots/hash.ts";
import type { Arena } from "./arena/arena.ts";
import {
  createEntry,
  ENTRY_KEY_BYTES_MAX,
  ENTRY_LINKS,
  ENTRY_MARK,
  ENTRY_NUMBER,
  entryFlags,
  entryKeyLength,
  entryKeyOffset,
  entryKind,
  entryMemory,
  entryNumber,
  entryValueOffset,
  entryValueWord,
  kindFlags,
  resizeEntry,
  reuseEntry,
  setEntryNumber,
} from "./arena/entry.ts";
import type { DatabaseHooks, Databases } from "./databases.ts";
import type { Locator } from "./locator.ts";
import { KEY_TOO_LONG, ReplyError } from "./replies.ts";
import { SlotDicts } from "./slot-dicts.ts";
import { nextOfTagGroup } from "./tags.ts";
import { STRING } from "./types/value-type.ts";
import type { WarmKeys } from "./warm.ts";

/** Flags that an entry keeps whatever its value becomes. */
const FLAGS_KEPT = ENTRY_LINKS | ENTRY_MARK;

export class Keyspace {
  readonly databases: Databases;
  readonly arena: Arena;
  readonly index: number;
  /** Keys, those that expired and were not noticed yet included. */
  size = 0;
  /** Keys with an expiry. */
  volatileCount = 0;
  #slots: SlotDicts;
  /** No key of the slot expires before this (unix ms); may be early, never late. */
  #slotExpiry = new Float64Array(SLOT_COUNT).fill(Number.POSITIVE_INFINITY);

  /** What is known about the key that was looked up last; one for all databases. */
  readonly #located: Locator;

  constructor(databases: Databases, index: number) {
    this.databases = databases;
    this.arena = databases.arena;
    this.#located = databases.locator;
    this.#slots = new SlotDicts(databases.arena);
    this.index = index;
  }

  /** The key's entry, or 0 (also when it has just expired). Counts a hit or a miss. */
  lookupRead(key: Buffer, from: number, to: number): number {
    const entry = this.#find(key, from, to);
    const { databases } = this;
    if (entry === 0) {
      databases.misses++;
      return 0;
    }
    databases.hits++;
    if (databases.accesses !== undefined) databases.accesses.touch(entry);
    return entry;
  }

  /** Whether the key exists. Counts a hit or a miss, but no use of the key. */
  has(key: Buffer, from: number, to: number): boolean {
    const entry = this.#find(key, from, to);
    if (entry !== 0) this.databases.hits++;
    else this.databases.misses++;
    return entry !== 0;
  }

  /** The key's entry, or 0, for a command that only asks about the key: counts nothing. */
  peek(key: Buffer, from: number, to: number): number {
    return this.#find(key, from, to);
  }

  /** The key's entry, or 0, for a command that may change or remove it. */
  lookupWrite(key: Buffer, from: number, to: number): number {
    const entry = this.#find(key, from, to);
    if (entry === 0) return 0;
    const { databases } = this;
    if (databases.accesses !== undefined) databases.accesses.touch(entry);
    if (databases.snapshotRuns) this.#tellSnapshot(entry);
    return entry;
  }

  #find(key: Buffer, from: number, to: number): number {
    const located = this.#located;
    located.locate(key, from, to);
    const entry = this.#slots.find(located, key, from, to);
    if (entry === 0 || this.volatileCount === 0 || !this.isExpired(entry)) return entry;
    this.expire(entry);
    return 0;
  }

  /** Has the memory that lookups of these keys will touch on its way before they begin. */
  warm(keys: WarmKeys): void {
    this.#slots.warm(this.#located, keys, this.databases.accesses);
  }

  #tellSnapshot(entry: number): void {
    if (!this.isVisited(entry)) this.databases.hooks.beforeChange?.(this, entry);
  }

  /** The running snapshot has this entry, or does not need it (it is newer). */
  isVisited(entry: number): boolean {
    return (entryFlags(this.arena, entry) & ENTRY_MARK) === this.databases.epoch;
  }

  /**
   * A new key, which must not exist (look it up first).
   * @param valueWord for STRING the length of the value, whose bytes the caller then writes at
   * `entryValueOffset`; for other types the ref of the structure
   * @returns its entry
   * @throws ReplyError when the key is longer than an entry can hold
   */
  insert(key: Buffer, from: number, to: number, type: number, valueWord: number): number {
    if (to - from > ENTRY_KEY_BYTES_MAX) throw new ReplyError(KEY_TOO_LONG);
    this.#located.locate(key, from, to);
    return this.#insertLocated(key, from, to, type, valueWord, 0);
  }

  /** @param number ENTRY_NUMBER for a key that will expire (the caller sets when), else 0 */
  #insertLocated(
    key: Buffer,
    from: number,
    to: number,
    type: number,
    valueWord: number,
    number: number,
  ): number {
    const { arena } = this;
    const located = this.#located;
    const links = located.isTagged ? ENTRY_LINKS : 0;
    const flags = kindFlags(type) | links | this.databases.epoch | number;
    const entry = createEntry(arena, located.hash, flags, key, from, to, valueWord);
    this.#slots.add(located, entry);
    this.databases.accesses?.begin(entry);
    this.size++;
    if (number !== 0) {
      setEntryNumber(arena, entry, Number.POSITIVE_INFINITY);
      this.#countVolatile(entry, 1);
    }
    return entry;
  }

  /**
   * Sets a key to a string, whatever it was; SET's path.
   * @param value the bytes [valueFrom, valueTo), not in the arena
   * @param expiryMs unix ms when it expires, NaN for never: an old expiry is dropped
   * @returns its entry
   */
  setString(
    key: Buffer,
    from: number,
    to: number,
    value: Buffer,
    valueFrom: number,
    valueTo: number,
    expiryMs: number,
  ): number {
    const length = valueTo - valueFrom;
    const expires = !Number.isNaN(expiryMs);
    let entry = this.lookupWrite(key, from, to);
    if (entry === 0) {
      if (to - from > ENTRY_KEY_BYTES_MAX) throw new ReplyError(KEY_TOO_LONG);
      entry = this.#insertLocated(key, from, to, STRING, length, expires ? ENTRY_NUMBER : 0);
    } else if (!expires) {
      const at = reuseEntry(this.arena, entry, length);
      if (at >= 0) {
        copyBytes(value, valueFrom, valueTo, entryMemory(this.arena, entry), at);
        return entry;
      }
      entry = this.overwrite(entry, STRING, length, false, 0);
    } else {
      entry = this.overwrite(entry, STRING, length, true, 0);
    }
    if (expires) entry = this.setExpiry(entry, expiryMs);
    const memory = entryMemory(this.arena, entry);
    copyBytes(value, valueFrom, valueTo, memory, entryValueOffset(this.arena, entry));
    return entry;
  }

  /**
   * Gives an existing key another value; the old one is freed. For a STRING that stays a STRING, as
   * many bytes as both have (and `keptBytes` says) are kept: this is how a string grows and
   * shrinks.
   * @param entry from lookupWrite
   * @param valueWord as in insert
   * @returns its entry
   */
  overwrite(
    entry: number,
    type: number,
    valueWord: number,
    keepExpiry: boolean,
    keptBytes = Number.POSITIVE_INFINITY,
  ): number {
    const arena = this.arena;
    const flags = entryFlags(arena, entry);
    const oldType = entryKind(arena, entry);
    const oldWord = entryValueWord(arena, entry);
    const kept = keepExpiry ? FLAGS_KEPT | ENTRY_NUMBER : FLAGS_KEPT;
    const dropsExpiry = (flags & ENTRY_NUMBER) !== 0 && !keepExpiry;
    const moved = this.#resize(entry, (flags & kept) | kindFlags(type), valueWord, keptBytes);
    if (oldType !== STRING) this.databases.release(oldType, oldWord);
    if (dropsExpiry) this.#countVolatile(moved, -1);
    return moved;
  }

  /** As resizeEntry, for an entry that is in its slot's dictionary. */
  #resize(entry: number, flags: number, valueWord: number, keptBytes: number): number {
    const { accesses } = this.databases;
    const note = accesses === undefined ? 0 : accesses.noteOf(entry);
    const moved = resizeEntry(this.arena, entry, flags, valueWord, keptBytes);
    if (moved === entry) return entry;
    this.#slots.replace(entry, moved);
    if (accesses !== undefined) accesses.carry(note, moved);
    return moved;
  }

  /** Removes a key and frees its value. `entry` is from lookupWrite. */
  remove(entry: number): void {
    const type = entryKind(this.arena, entry);
    const word = entryValueWord(this.arena, entry);
    this.#takeOut(entry);
    if (type !== STRING) this.databases.release(type, word);
  }

  /** Removes a key whose structure (type other than STRING) goes on living under another key. */
  removeKeepingValue(entry: number): void {
    this.#takeOut(entry);
  }

  #takeOut(entry: number): void {
    const slot = this.slotOf(entry);
    if (entryFlags(this.arena, entry) & ENTRY_NUMBER) this.#countVolatile(entry, -1);
    if (this.#slots.remove(slot, entry)) this.#slotExpiry[slot] = Number.POSITIVE_INFINITY;
    this.arena.free(entry);
    this.size--;
  }

  /** The slot of a key that exists. */
  slotOf(entry: number): number {
    return this.#slots.slotOf(entry);
  }

  /** When the key expires, unix ms; NaN when never. */
  expiryOf(entry: number): number {
    if ((entryFlags(this.arena, entry) & ENTRY_NUMBER) === 0) return Number.NaN;
    return entryNumber(this.arena, entry);
  }

  /** @param entry from lookupWrite @param atMs unix ms @returns its entry */
  setExpiry(entry: number, atMs: number): number {
    const flags = entryFlags(this.arena, entry);
    let moved = entry;
    if ((flags & ENTRY_NUMBER) === 0) {
      const word = entryValueWord(this.arena, entry);
      moved = this.#resize(entry, flags | ENTRY_NUMBER, word, word);
      this.#countVolatile(moved, 1);
    }
    setEntryNumber(this.arena, moved, atMs);
    const slot = this.slotOf(moved);
    if (atMs < this.#slotExpiry[slot]!) this.#slotExpiry[slot] = atMs;
    return moved;
  }

  /** The key lives for ever. @param entry from lookupWrite @returns its entry */
  persist(entry: number): number {
    const flags = entryFlags(this.arena, entry);
    if ((flags & ENTRY_NUMBER) === 0) return entry;
    const word = entryValueWord(this.arena, entry);
    const moved = this.#resize(entry, flags & ~ENTRY_NUMBER, word, word);
    this.#countVolatile(moved, -1);
    return moved;
  }

  #countVolatile(entry: number, change: 1 | -1): void {
    this.#slots.countVolatile(this.slotOf(entry), change);
    this.volatileCount += change;
  }

  /** The key's time is over at the turn's clock. */
  isExpired(entry: number): boolean {
    if ((entryFlags(this.arena, entry) & ENTRY_NUMBER) === 0) return false;
    const { nowMs, keepsExpired } = this.databases;
    return entryNumber(this.arena, entry) <= nowMs && !keepsExpired;
  }

  /** Removes a key whose time is over, and tells what follows this server. */
  expire(entry: number): void {
    this.databases.expiredKeys++;
    this.#removeByItself(entry, this.databases.hooks.expired);
  }

  /** Removes a key because memory is full, and tells what follows this server. */
  evict(entry: number): void {
    this.databases.evictedKeys++;
    this.#removeByItself(entry, this.databases.hooks.evicted);
  }

  #removeByItself(entry: number, tell: DatabaseHooks["expired"]): void {
    if (this.databases.snapshotRuns) this.#tellSnapshot(entry);
    const at = entryKeyOffset(this.arena, entry);
    const length = entryKeyLength(this.arena, entry);
    tell?.(this, entryMemory(this.arena, entry), at, at + length);
    const { usedBytes } = this.arena;
    this.remove(entry);
    this.databases.goneBytes += usedBytes - this.arena.usedBytes;
  }

  /** Bytes that finding keys takes, beside the keys. */
  get tableBytes(): number {
    return this.#slots.tableBytes();
  }

  /** Keys of a slot, those that expired and were not noticed yet included. */
  slotSize(slot: number): number {
    return this.#slots.count(slot);
  }

  /** Keys of a slot that have an expiry. */
  slotVolatile(slot: number): number {
    return this.#slots.volatileCount(slot);
  }

  /** No key of the slot expires before this (unix ms). */
  slotExpiry(slot: number): number {
    return this.#slotExpiry[slot]!;
  }

  /** For who has just looked at all keys of the slot. */
  setSlotExpiry(slot: number, atMs: number): void {
    this.#slotExpiry[slot] = atMs;
  }

  /**
   * One step of a scan of a slot: adds entries to `found`, expired ones included.
   * @param cursor 0 to start @returns the next cursor (u32), 0 at the end
   */
  scanSlot(slot: number, cursor: number, found: number[]): number {
    return this.#slots.scan(slot, cursor, found);
  }

  /** The first entry whose tag has this CRC32 (signed), or 0; only tagged keys are in a group. */
  firstOfTag(crc: number): number {
    return this.#slots.firstOfTag(crc);
  }

  /** The entry after `entry` of the same tag group, or 0; in no order. */
  nextOfTag(entry: number): number {
    return nextOfTagGroup(this.arena, entry);
  }

  /** The slot still has the key whose entry was found there, with this hash. */
  holds(slot: number, hash: number, entry: number): boolean {
    return this.#slots.holds(slot, hash, entry);
  }

  /** A key at random (expired ones included), or 0 when there is none. */
  random(random: () => number): number {
    let skip = Math.floor(random() * this.size);
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      const size = this.slotSize(slot);
      if (skip < size) return this.#slots.random(slot, random);
      skip -= size;
    }
    return 0;
  }

  /** Removes all keys; their memory comes back in later turns. */
  flush(): void {
    this.databases.hooks.beforeFlush?.(this);
    this.#slots.forget((head, groups) => {
      if (groups !== 0) this.databases.releaseGroups(groups);
      this.databases.releaseSlot(head);
    });
    this.#forgetCounts();
  }

  /** For Databases.flushAll, which gives the memory back itself. */
  forget(): void {
    this.#slots.forget(() => {});
    this.#forgetCounts();
  }

  #forgetCounts(): void {
    this.#slotExpiry.fill(Number.POSITIVE_INFINITY);
    this.size = 0;
    this.volatileCount = 0;
  }

  /** Exchanges all keys with `other`. */
  swap(other: Keyspace): void {
    this.databases.hooks.beforeSwap?.(this, other);
    [this.#slots, other.#slots] = [other.#slots, this.#slots];
    // An expiry cycle may be in the middle of a slot: let it begin anew with all of them.
    this.#slotExpiry.fill(0);
    other.#slotExpiry.fill(0);
    [this.size, other.size] = [other.size, this.size];
    [this.volatileCount, other.volatileCount] = [other.volatileCount, this.volatileCount];
  }
}
