/**
 * Keys that were sent to other servers and whose move has not ended well, so that a target may hold
 * a copy: those of a move under way, and what moves left behind that failed.
 *
 *   note ── before a key's first byte leaves ──> noted ── the target has acknowledged ──> forget
 *                                                  ^ the move fails: it stays so
 *
 * As long as such a key is here, its copy does no harm: requests come here first, and the next move
 * of the key begins by deleting it there. But a key may go here in many ways, by DEL, its last
 * element, RENAME, its time, FLUSHALL, through a wrapper or not. To say then that it is not here
 * would send its readers to the copy, and a deleted key would be back. So, however it went: for a
 * noted key that is absent the wrapper answers "on its way", the slot counts it as left, and the
 * slot's next move, of either family, first has the target delete it. No client of a proxy reaches
 * the target with that key before, so what is deleted is never a newer value.
 *
 * Keys are noted, not what happens to them: no command has to ask whether it removes something.
 * Nothing is held back meanwhile: who finds a key absent could go nowhere but to that target.
 */

import { SLOT_COUNT, slotOfCrc } from "../slots/hash.ts";
import { lockOf } from "./key-locks.ts";
import type { Keyspace } from "./keyspace.ts";

/** With so many keys noted no other is sent: what failed has to be moved first. */
export const SENT_KEYS_MAX = 65_536;
export const TOO_MANY_SENT =
  `ERR no more keys may be sent: ${SENT_KEYS_MAX} keys of failed moves may have copies at their ` +
  "targets. Move the slots of these to the end first";

/** Keys of one lock (key-locks.ts) by their bytes as latin1 text. */
type NotedKeys = Map<string, Buffer>;

export class SentKeys {
  /** Keys noted, in all slots of all databases. */
  size = 0;
  /** By database and slot, then by lock. */
  readonly #slots = new Map<number, Map<number, NotedKeys>>();

  /** Whether these keys may be sent: there is room for them, or they are noted already. */
  mayNote(db: Keyspace, keys: readonly Buffer[]): boolean {
    if (this.size < SENT_KEYS_MAX) return true;
    return keys.every((key) => this.has(db.index, key, 0, key.length));
  }

  note(db: Keyspace, keys: readonly Buffer[]): void {
    for (const key of keys) this.#add(db.index, key);
  }

  /** For keys that have gone to their target, or were deleted there. */
  forget(db: Keyspace, keys: readonly Buffer[]): void {
    for (const key of keys) this.#take(db.index, key);
  }

  #add(dbIndex: number, key: Buffer): void {
    const lock = lockOf(key, 0, key.length);
    const place = placeOf(dbIndex, slotOfCrc(lock));
    const locks = this.#slots.get(place) ?? new Map<number, NotedKeys>();
    const keys = locks.get(lock) ?? new Map<string, Buffer>();
    this.size += keys.has(nameOf(key)) ? 0 : 1;
    keys.set(nameOf(key), key);
    locks.set(lock, keys);
    this.#slots.set(place, locks);
  }

  #take(dbIndex: number, key: Buffer): void {
    const lock = lockOf(key, 0, key.length);
    const place = placeOf(dbIndex, slotOfCrc(lock));
    const locks = this.#slots.get(place);
    const keys = locks?.get(lock);
    if (locks === undefined || keys === undefined || !keys.delete(nameOf(key))) return;
    this.size--;
    if (keys.size === 0) locks.delete(lock);
    if (locks.size === 0) this.#slots.delete(place);
  }

  /** Whether the key `buf[from, to)` is noted. Makes no string where its lock has no keys. */
  has(dbIndex: number, buf: Buffer, from: number, to: number): boolean {
    const lock = lockOf(buf, from, to);
    const keys = this.#slots.get(placeOf(dbIndex, slotOfCrc(lock)))?.get(lock);
    return keys?.has(buf.toString("latin1", from, to)) ?? false;
  }

  /** Whether any key of the database is noted. */
  hasAny(dbIndex: number): boolean {
    for (const place of this.#slots.keys()) {
      if (Math.floor(place / SLOT_COUNT) === dbIndex) return true;
    }
    return false;
  }

  /** Noted keys of a slot. */
  ofSlot(db: Keyspace, slot: number): Buffer[] {
    const keys: Buffer[] = [];
    for (const noted of this.#slots.get(placeOf(db.index, slot))?.values() ?? []) {
      for (const key of noted.values()) keys.push(key);
    }
    return keys;
  }

  /** Noted keys of a slot that are not here any more. */
  absentOfSlot(db: Keyspace, slot: number): Buffer[] {
    return this.ofSlot(db, slot).filter((key) => db.peek(key, 0, key.length) === 0);
  }

  /** Noted keys with this lock that are not here any more. */
  absentOfLock(db: Keyspace, lock: number): Buffer[] {
    const keys = this.#slots.get(placeOf(db.index, slotOfCrc(lock)))?.get(lock);
    return [...(keys?.values() ?? [])].filter((key) => db.peek(key, 0, key.length) === 0);
  }

  /** What a slot still has to give: its keys, and those that are only noted. */
  leftOf(db: Keyspace, slot: number): number {
    return db.slotSize(slot) + this.absentOfSlot(db, slot).length;
  }
}

function placeOf(dbIndex: number, slot: number): number {
  return dbIndex * SLOT_COUNT + slot;
}

function nameOf(key: Buffer): string {
  return key.toString("latin1");
}
