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
 * With an append-only file the notes are kept beside it (aof/sent-log.ts), for a source that is
 * killed; without one its keys are gone with it, and no copy is older than what is here.
 */

import { SLOT_COUNT, slotOfCrc } from "../slots/hash.ts";
import { lockOf } from "./key-locks.ts";
import type { Keyspace } from "./keyspace.ts";

/** With so many keys noted no other is sent: what failed has to be moved first. */
export const SENT_KEYS_MAX = 65_536;
export const TOO_MANY_SENT =
  `ERR no more keys may be sent: ${SENT_KEYS_MAX} keys of failed moves may have copies at their ` +
  "targets. Move the slots of these to the end first";

/** What has happened to keys: sent; moved; copies deleted. */
export type NoteMark = "+" | "=" | "-";

/** Where notes are kept. */
export interface SentKeysLog {
  /** @returns undefined when it is kept, else the error for who waits, without `-` */
  write(mark: NoteMark, dbIndex: number, keys: readonly Buffer[]): string | undefined;
  /** The server ends, and what keys left behind is on the disk. */
  close(): void;
}

/**
 * By lock (key-locks.ts): the one key that has it, or the keys of a group by their bytes as latin1
 * text. Most locks are of one key, and batches note thousands: a Map for each cost more than to
 * send it.
 */
type NotedKeys = Map<number, Buffer | Map<string, Buffer>>;

export class SentKeys {
  /** Keys noted, in all slots of all databases. */
  size = 0;
  /** By database and slot, then by lock. */
  readonly #slots = new Map<number, NotedKeys>();
  #log: SentKeysLog | undefined;

  keepIn(log: SentKeysLog): void {
    this.#log = log;
  }

  close(): void {
    this.#log?.close();
  }

  /** Whether these keys may be sent: there is room for them, or they are noted already. */
  mayNote(db: Keyspace, keys: readonly Buffer[]): boolean {
    if (this.size < SENT_KEYS_MAX) return true;
    return keys.every((key) => this.has(db.index, key, 0, key.length));
  }

  /** Keys are about to be sent. @returns the error when that cannot be kept: they may not be */
  note(db: Keyspace, keys: readonly Buffer[]): string | undefined {
    const refusal = this.#write("+", db, keys);
    if (refusal !== undefined) return refusal;
    for (const key of keys) this.#add(db.index, key);
    return undefined;
  }

  /**
   * Their target has all of `moved`, which may be removed here now, and has deleted `deleted`.
   * @returns the error when that cannot be kept: then all of them stay noted, and here
   */
  end(db: Keyspace, moved: readonly Buffer[], deleted: readonly Buffer[]): string | undefined {
    const refusal = this.#write("-", db, deleted) ?? this.#write("=", db, moved);
    if (refusal !== undefined) return refusal;
    for (const key of moved) this.#take(db.index, key);
    for (const key of deleted) this.#take(db.index, key);
    return undefined;
  }

  #write(mark: NoteMark, db: Keyspace, keys: readonly Buffer[]): string | undefined {
    return keys.length === 0 ? undefined : this.#log?.write(mark, db.index, keys);
  }

  /** All notes, as a log that has nothing but them. */
  lines(): string {
    let text = "";
    for (const [place, locks] of this.#slots) {
      const dbIndex = Math.floor(place / SLOT_COUNT);
      for (const noted of locks.values()) text += lineOf("+", dbIndex, listOf(noted));
    }
    return text;
  }

  #add(dbIndex: number, key: Buffer): void {
    const lock = lockOf(key, 0, key.length);
    const place = placeOf(dbIndex, slotOfCrc(lock));
    let locks = this.#slots.get(place);
    if (locks === undefined) {
      locks = new Map();
      this.#slots.set(place, locks);
    }
    const noted = locks.get(lock);
    if (noted === undefined) {
      locks.set(lock, key);
      this.size++;
      return;
    }
    const group = noted instanceof Map ? noted : new Map([[nameOf(noted), noted]]);
    const { size } = group;
    group.set(nameOf(key), key);
    locks.set(lock, group);
    this.size += group.size - size;
  }

  #take(dbIndex: number, key: Buffer): void {
    const lock = lockOf(key, 0, key.length);
    const place = placeOf(dbIndex, slotOfCrc(lock));
    const locks = this.#slots.get(place);
    const noted = locks?.get(lock);
    if (locks === undefined || noted === undefined) return;
    const isNoted = noted instanceof Map ? noted.delete(nameOf(key)) : noted.equals(key);
    if (!isNoted) return;
    this.size--;
    if (!(noted instanceof Map) || noted.size === 0) locks.delete(lock);
    if (locks.size === 0) this.#slots.delete(place);
  }

  /** Whether the key `buf[from, to)` is noted. */
  has(dbIndex: number, buf: Buffer, from: number, to: number): boolean {
    const lock = lockOf(buf, from, to);
    const noted = this.#slots.get(placeOf(dbIndex, slotOfCrc(lock)))?.get(lock);
    if (noted === undefined) return false;
    if (noted instanceof Map) return noted.has(buf.toString("latin1", from, to));
    return noted.compare(buf, from, to) === 0;
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
      for (const key of listOf(noted)) keys.push(key);
    }
    return keys;
  }

  /** Noted keys of a slot that are not here any more. */
  absentOfSlot(db: Keyspace, slot: number): Buffer[] {
    return this.ofSlot(db, slot).filter((key) => db.peek(key, 0, key.length) === 0);
  }

  /** Noted keys with this lock that are not here any more. */
  absentOfLock(db: Keyspace, lock: number): Buffer[] {
    const noted = this.#slots.get(placeOf(db.index, slotOfCrc(lock)))?.get(lock);
    if (noted === undefined) return [];
    return listOf(noted).filter((key) => db.peek(key, 0, key.length) === 0);
  }

  /** What a slot still has to give: its keys, and those that are only noted. */
  leftOf(db: Keyspace, slot: number): number {
    return db.slotSize(slot) + this.absentOfSlot(db, slot).length;
  }
}

/** One event of a log. */
export function lineOf(mark: NoteMark, dbIndex: number, keys: readonly Buffer[]): string {
  return `${mark} ${dbIndex} ${keys.map((key) => key.toString("hex")).join(" ")}\n`;
}

function placeOf(dbIndex: number, slot: number): number {
  return dbIndex * SLOT_COUNT + slot;
}

function listOf(noted: Buffer | Map<string, Buffer>): Buffer[] {
  return noted instanceof Map ? [...noted.values()] : [noted];
}

function nameOf(key: Buffer): string {
  return key.toString("latin1");
}
