/**
 * More keys of a slot for a synchronous call that may take several: small ones without a hash tag,
 * that are on no way already. A call's keys arrive and go in one turn each, so all of them together
 * stay as small as a value that nobody feels. Where none suits, the call moves what it has.
 */

import { hashTag } from "../slots/hash.ts";
import {
  entryKeyLength,
  entryKeyOffset,
  entryKind,
  entryMemory,
  entryValueLength,
  entryValueWord,
} from "./arena/entry.ts";
import { type KeyLocks, lockOf } from "./key-locks.ts";
import type { Keyspace } from "./keyspace.ts";
import { STRING, VALUE_TYPES } from "./types/value-type.ts";

/** With so many bytes a call takes no more keys. */
export const CALL_BYTES_MAX = 64 * 1024;
/** A larger value goes alone. */
const VALUE_BYTES_MAX = 16 * 1024;
/** What a key counts beside its bytes and those of its value. */
const KEY_EXTRA_BYTES = 32;
/** Keys looked at for each that may be taken. */
export const LOOKS_PER_KEY = 4;
/** Elements looked at to tell how large a value is. */
const SAMPLES = 4;
const CURSOR_COUNT = 2 ** 32;

/** What a call has chosen. */
export interface PickedKeys {
  readonly keys: Buffer[];
  readonly locks: Set<number>;
}

/**
 * Adds to `picked`, until it has `keysMax` keys, CALL_BYTES_MAX bytes, or enough was looked at.
 * @param random gives [0, 1): where in the slot to begin
 */
export function pickMore(
  db: Keyspace,
  busy: KeyLocks,
  slot: number,
  keysMax: number,
  picked: PickedKeys,
  random: () => number,
): void {
  const found: number[] = [];
  let cursor = Math.floor(random() * CURSOR_COUNT);
  let looks = LOOKS_PER_KEY * keysMax;
  let room = CALL_BYTES_MAX;
  for (const key of picked.keys) room -= bytesOf(db, db.peek(key, 0, key.length));
  let isWrapped = false;
  while (looks > 0) {
    found.length = 0;
    cursor = db.scanSlot(slot, cursor, found);
    for (const entry of found) {
      if (picked.keys.length >= keysMax || room <= 0) return;
      looks--;
      room -= take(db, busy, entry, picked);
    }
    if (cursor !== 0) continue;
    if (isWrapped) return;
    isWrapped = true;
  }
}

/** @returns the bytes that were taken, 0 for a key that does not suit */
function take(db: Keyspace, busy: KeyLocks, entry: number, picked: PickedKeys): number {
  const memory = entryMemory(db.arena, entry);
  const at = entryKeyOffset(db.arena, entry);
  const end = at + entryKeyLength(db.arena, entry);
  if (hashTag(memory, at, end)) return 0;
  const lock = lockOf(memory, at, end);
  if (picked.locks.has(lock) || busy.has(lock) || db.isExpired(entry)) return 0;
  const bytes = bytesOf(db, entry);
  if (bytes > VALUE_BYTES_MAX) return 0;
  picked.locks.add(lock);
  picked.keys.push(Buffer.from(memory.subarray(at, end)));
  return bytes;
}

/** About what a key takes in a message. */
function bytesOf(db: Keyspace, entry: number): number {
  if (entry === 0) return 0;
  const { arena } = db;
  const type = entryKind(arena, entry);
  const value =
    type === STRING
      ? entryValueLength(arena, entry)
      : VALUE_TYPES.get(type)!.bytes(arena, entryValueWord(arena, entry), SAMPLES);
  return KEY_EXTRA_BYTES + entryKeyLength(arena, entry) + value;
}
