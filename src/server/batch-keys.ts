/**
 * Which keys one call of the asynchronous family moves: the keys it names, or some of a slot, each
 * with its tag group when asked. Keys that are on their way already are left out of a slot's choice;
 * a call that names one waits.
 *
 * Keys that failed moves may have left at the target (sent-keys.ts) come before: of a slot that has
 * such keys, a call takes no other, and only has them deleted. So they do not become more while a
 * target fails again and again.
 * Source: Codis extern/redis-3.2.11/src/slots_async.c.
 */

import { hashTag, slotOf } from "../slots/hash.ts";
import { entryKeyLength, entryKeyOffset, entryMemory } from "./arena/entry.ts";
import { estimateMessages, type MessageLimits } from "./async-messages.ts";
import { type KeyLocks, lockOf } from "./key-locks.ts";
import type { Keyspace } from "./keyspace.ts";
import { groupOf, keyOf } from "./migrate.ts";
import type { SentKeys } from "./sent-keys.ts";

/** Most keys or messages that one call takes of a slot, but for groups, which stay whole. */
const NUM_KEYS_MAX = 1000;
/** Keys of a slot passed over as too large, before a batch does with what it has. */
const SKIPPED_MAX = 64;
const CURSOR_COUNT = 2 ** 32;

/** What a call is to move. */
export type BatchSubject =
  | { readonly kind: "keys"; readonly keys: readonly Buffer[]; readonly withTag: boolean }
  | {
      readonly kind: "slot";
      readonly slot: number;
      readonly numKeys: number;
      readonly withTag: boolean;
    };

/** Keys in the order in which they are sent, all of which exist, and their locks. */
export interface ChosenKeys {
  readonly keys: Buffer[];
  /** Keys that are only to be deleted at the target, before. */
  readonly stale: Buffer[];
  /** Of both. */
  readonly locks: Set<number>;
  /** About how many messages they need. */
  messages: number;
}

export class KeyChooser {
  readonly #db: Keyspace;
  readonly #locks: KeyLocks;
  readonly #sent: SentKeys;
  readonly #limits: MessageLimits;
  readonly #chosen: ChosenKeys = {
    keys: [],
    stale: [],
    locks: new Set(),
    messages: 0,
  };
  /** Keys chosen, as latin1 text; of a slot with its groups the locks say it (`#addOfSlot`). */
  readonly #names = new Set<string>();
  /** Something was left out because it is on its way. */
  #sawLocked = false;
  #skipped = 0;

  constructor(db: Keyspace, locks: KeyLocks, sent: SentKeys, limits: MessageLimits) {
    this.#db = db;
    this.#locks = locks;
    this.#sent = sent;
    this.#limits = limits;
  }

  /**
   * @param random gives [0, 1)
   * @returns "locked" when what there is must wait for another move
   */
  choose(subject: BatchSubject, random: () => number): ChosenKeys | "locked" {
    if (!this.#locks.mayBegin) return "locked";
    if (subject.kind === "slot") {
      if (this.#sent.ofSlot(this.#db, subject.slot).length > 0)
        return this.#addStale([subject.slot]);
      this.#chooseOfSlot(subject.slot, Math.min(subject.numKeys, NUM_KEYS_MAX), subject, random);
      return this.#sawLocked && this.#chosen.keys.length === 0 ? "locked" : this.#chosen;
    }
    for (const key of subject.keys) {
      const lock = lockOf(key, 0, key.length);
      if (this.#locks.has(lock)) return "locked";
      this.#addNamed(key, lock);
      if (!subject.withTag || !hashTag(key, 0, key.length)) continue;
      for (const member of groupOf(this.#db, lock)) this.#addNamed(member, lock);
    }
    return this.#addStale(subject.keys.map(slotOf));
  }

  /** Their locks too, so that no other move brings one meanwhile. */
  #addStale(slots: readonly number[]): ChosenKeys | "locked" {
    const chosen = this.#chosen;
    for (const slot of new Set(slots)) {
      for (const key of this.#sent.ofSlot(this.#db, slot)) {
        if (this.#names.has(nameOf(key))) continue;
        const lock = lockOf(key, 0, key.length);
        if (this.#locks.has(lock)) return "locked";
        chosen.stale.push(key);
        chosen.locks.add(lock);
        chosen.messages++;
      }
    }
    return chosen;
  }

  /** Looks from two random places on, then at the whole slot. */
  #chooseOfSlot(
    slot: number,
    most: number,
    { withTag }: { readonly withTag: boolean },
    random: () => number,
  ): void {
    const chosen = this.#chosen;
    const found: number[] = [];
    for (const start of [random(), random(), 0]) {
      let cursor = Math.floor(start * CURSOR_COUNT);
      do {
        found.length = 0;
        cursor = this.#db.scanSlot(slot, cursor, found);
        // Looking at one may remove it, its time being over; the others stay where they are.
        for (const entry of found) {
          if (chosen.messages >= most || chosen.keys.length >= most) return;
          if (this.#skipped > SKIPPED_MAX && chosen.keys.length > 0) return;
          this.#addOfSlot(entry, most, withTag);
        }
      } while (cursor !== 0);
    }
  }

  /** A key whose lock is chosen was chosen itself, or with its group; or a later call takes it. */
  #addOfSlot(entry: number, most: number, withTag: boolean): void {
    const { arena } = this.#db;
    const at = entryKeyOffset(arena, entry);
    const lock = lockOf(entryMemory(arena, entry), at, at + entryKeyLength(arena, entry));
    if (withTag && this.#chosen.locks.has(lock)) return;
    if (this.#locks.has(lock)) {
      this.#sawLocked = true;
      return;
    }
    const key = keyOf(this.#db, entry);
    if (!withTag && this.#names.has(nameOf(key))) return;
    if (this.#db.isExpired(entry)) {
      this.#db.expire(entry);
      return;
    }
    const messages = estimateMessages(this.#db, entry, this.#limits);
    if (this.#chosen.messages + messages > 2 * most && this.#chosen.keys.length > 0) {
      this.#skipped++;
      return;
    }
    if (!withTag) this.#names.add(nameOf(key));
    this.#add(key, lock, messages);
    if (withTag && hashTag(key, 0, key.length)) this.#addGroup(key, lock);
  }

  /** The other keys of the tag, in byte order. */
  #addGroup(key: Buffer, lock: number): void {
    for (const member of groupOf(this.#db, lock)) {
      if (member.equals(key)) continue;
      const entry = this.#db.peek(member, 0, member.length);
      if (entry !== 0) this.#add(member, lock, estimateMessages(this.#db, entry, this.#limits));
    }
  }

  #addNamed(key: Buffer, lock: number): void {
    const entry = this.#db.peek(key, 0, key.length);
    const name = nameOf(key);
    if (entry === 0 || this.#names.has(name)) return;
    this.#names.add(name);
    this.#add(key, lock, estimateMessages(this.#db, entry, this.#limits));
  }

  #add(key: Buffer, lock: number, messages: number): void {
    this.#chosen.keys.push(key);
    this.#chosen.locks.add(lock);
    this.#chosen.messages += messages;
  }
}

function nameOf(key: Buffer): string {
  return key.toString("latin1");
}
