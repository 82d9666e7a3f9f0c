/**
 * Keys whatever they hold: removing, renaming, copying, listing, asking about them. Their expiry is
 * in expiry.ts. Source of texts and details: Redis 7.0 src/db.c.
 */

import { copyBytes } from "../../base/bytes.ts";
import { SLOT_COUNT } from "../../slots/hash.ts";
import {
  entryKeyLength,
  entryKeyOffset,
  entryKind,
  entryMemory,
  entryValueLength,
  entryValueOffset,
  entryValueWord,
} from "../arena/entry.ts";
import {
  argEnd,
  argInteger,
  argIs,
  argStart,
  type Call,
  failSyntax,
  type Handler,
  lookupRead,
  lookupWrite,
} from "../call.ts";
import { matchGlob } from "../glob.ts";
import type { Keyspace } from "../keyspace.ts";
import { DB_OUT_OF_RANGE, NO_SUCH_KEY, ReplyError, SAME_OBJECT } from "../replies.ts";
import { type ByteRange, createByteRange } from "../types/byte-range.ts";
import { STRING, VALUE_TYPES } from "../types/value-type.ts";
import { checkKeyLength, prependArray } from "./collections.ts";
import { argCursor, matchesScan, readScanOptions, replyScan, type ScanOptions } from "./scan.ts";

/** TYPE's word for what the entry holds. */
function typeName(call: Call, entry: number): string {
  const type = entryKind(call.arena, entry);
  return type === STRING ? "string" : VALUE_TYPES.get(type)!.name;
}

// -- removing, touching, asking -------------------------------------------------------------------

function remove(call: Call): void {
  for (let i = 1; i < call.argc; i++) {
    const entry = lookupWrite(call, i);
    if (entry === 0) continue;
    call.db.remove(entry);
    call.dirty++;
  }
  call.out.integer(call.dirty);
}

function countExisting(call: Call): void {
  let count = 0;
  for (let i = 1; i < call.argc; i++) {
    if (call.db.has(call.buf, argStart(call, i), argEnd(call, i))) count++;
  }
  call.out.integer(count);
}

function touch(call: Call): void {
  let count = 0;
  for (let i = 1; i < call.argc; i++) {
    if (lookupRead(call, i) !== 0) count++;
  }
  call.out.integer(count);
}

function type(call: Call): void {
  const entry = call.db.peek(call.buf, argStart(call, 1), argEnd(call, 1));
  call.out.simple(entry === 0 ? "none" : typeName(call, entry));
}

// -- moving and copying ---------------------------------------------------------------------------

/** Where a key's value goes: a database, and the argument that is the new name. */
interface Target {
  readonly db: Keyspace;
  readonly key: number;
}

/** A new key with the bytes of the string in `entry`, expiry not yet set. */
function insertString(call: Call, entry: number, { db, key }: Target): number {
  const length = entryValueLength(call.arena, entry);
  const to = db.insert(call.buf, argStart(call, key), argEnd(call, key), STRING, length);
  const from = entryValueOffset(call.arena, entry);
  const memory = entryMemory(call.arena, entry);
  copyBytes(
    memory,
    from,
    from + length,
    entryMemory(call.arena, to),
    entryValueOffset(call.arena, to),
  );
  return to;
}

/** Makes the value of `entry` that of the target, which does not exist, and removes `entry`. */
function moveValue(call: Call, entry: number, target: Target): void {
  const { db, key } = target;
  const { accesses } = call.server.databases;
  const type = entryKind(call.arena, entry);
  const expiryMs = call.db.expiryOf(entry);
  const note = accesses?.noteOf(entry);
  let moved: number;
  if (type === STRING) {
    moved = insertString(call, entry, target);
    call.db.remove(entry);
  } else {
    const ref = entryValueWord(call.arena, entry);
    call.db.removeKeepingValue(entry);
    moved = db.insert(call.buf, argStart(call, key), argEnd(call, key), type, ref);
  }
  if (!Number.isNaN(expiryMs)) moved = db.setExpiry(moved, expiryMs);
  if (note !== undefined) accesses!.carry(note, moved);
}

/** Makes a copy of the value of `entry` that of the target, which does not exist. */
function copyValue(call: Call, entry: number, target: Target): void {
  const { db, key } = target;
  const type = entryKind(call.arena, entry);
  const expiryMs = call.db.expiryOf(entry);
  let copied: number;
  if (type === STRING) {
    copied = insertString(call, entry, target);
  } else {
    const ref = VALUE_TYPES.get(type)!.copy(call.arena, entryValueWord(call.arena, entry));
    copied = db.insert(call.buf, argStart(call, key), argEnd(call, key), type, ref);
  }
  if (!Number.isNaN(expiryMs)) db.setExpiry(copied, expiryMs);
}

function isSameKey(call: Call): boolean {
  const { buf } = call;
  const from = argStart(call, 2);
  return buf.compare(buf, from, argEnd(call, 2), argStart(call, 1), argEnd(call, 1)) === 0;
}

/** @returns whether it was renamed */
function renameKey(call: Call, replaces: boolean): boolean {
  checkKeyLength(call, 2);
  const source = lookupWrite(call, 1);
  if (source === 0) throw new ReplyError(NO_SUCH_KEY);
  if (isSameKey(call)) return false;
  const old = lookupWrite(call, 2);
  if (old !== 0 && !replaces) return false;
  if (old !== 0) call.db.remove(old);
  moveValue(call, source, { db: call.db, key: 2 });
  call.dirty++;
  return true;
}

function rename(call: Call): void {
  renameKey(call, true);
  call.out.ok();
}

function renameIfMissing(call: Call): void {
  call.out.integer(renameKey(call, false) ? 1 : 0);
}

function move(call: Call): void {
  const index = argInteger(call, 2);
  const target = call.server.databases.all[index];
  if (target === undefined) throw new ReplyError(DB_OUT_OF_RANGE);
  if (target === call.db) throw new ReplyError(SAME_OBJECT);
  const entry = lookupWrite(call, 1);
  const taken = target.lookupWrite(call.buf, argStart(call, 1), argEnd(call, 1)) !== 0;
  if (entry === 0 || taken) {
    call.out.integer(0);
    return;
  }
  moveValue(call, entry, { db: target, key: 1 });
  call.dirty++;
  call.out.integer(1);
}

function copy(call: Call): void {
  let target = call.db;
  let replaces = false;
  for (let i = 3; i < call.argc; i++) {
    if (argIs(call, i, "replace")) {
      replaces = true;
    } else if (argIs(call, i, "db") && i + 1 < call.argc) {
      const db = call.server.databases.all[argInteger(call, ++i)];
      if (db === undefined) throw new ReplyError(DB_OUT_OF_RANGE);
      target = db;
    } else failSyntax();
  }
  if (target === call.db && isSameKey(call)) throw new ReplyError(SAME_OBJECT);
  checkKeyLength(call, 2);
  const entry = lookupRead(call, 1);
  const old = target.lookupWrite(call.buf, argStart(call, 2), argEnd(call, 2));
  if (entry === 0 || (old !== 0 && !replaces)) {
    call.out.integer(0);
    return;
  }
  if (old !== 0) target.remove(old);
  copyValue(call, entry, { db: target, key: 2 });
  call.dirty++;
  call.out.integer(1);
}

// -- listing --------------------------------------------------------------------------------------

const shownKey = createByteRange();

/** The key of `entry`, in an object that is filled again and again. */
function showKey(call: Call, entry: number): ByteRange {
  shownKey.bytes = entryMemory(call.arena, entry);
  shownKey.start = entryKeyOffset(call.arena, entry);
  shownKey.end = shownKey.start + entryKeyLength(call.arena, entry);
  return shownKey;
}

function keys(call: Call): void {
  const from = argStart(call, 1);
  const to = argEnd(call, 1);
  const isAll = to - from === 1 && call.buf[from] === 0x2a;
  const mark = call.out.length;
  const found: number[] = [];
  let count = 0;
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    let cursor = 0;
    do {
      found.length = 0;
      cursor = call.db.scanSlot(slot, cursor, found);
      for (const entry of found) {
        const { bytes, start, end } = showKey(call, entry);
        if (!isAll && !matchGlob(call.buf, from, to, bytes, start, end)) continue;
        if (call.db.isExpired(entry)) continue;
        call.out.bulk(bytes, start, end);
        count++;
      }
    } while (cursor !== 0);
  }
  prependArray(call, mark, count);
}

/** Bits of a SCAN cursor: ten for the slot below those of the slot's own cursor. */
const SCAN_CURSOR_BITS = 42;

/** Scans slot by slot. Cursor: place in the slot's table * SLOT_COUNT + slot. */
class KeyScan {
  found = 0;
  written = 0;
  readonly #call: Call;
  readonly #options: ScanOptions;
  readonly #entries: number[] = [];

  constructor(call: Call, options: ScanOptions) {
    this.#call = call;
    this.#options = options;
  }

  step(cursor: number): number {
    const { db, out } = this.#call;
    // Empty slots cost a look each, and are no step of their own.
    let slot = cursor % SLOT_COUNT;
    let place = Math.floor(cursor / SLOT_COUNT);
    while (db.slotSize(slot) === 0) {
      place = 0;
      if (++slot === SLOT_COUNT) return 0;
    }
    this.#entries.length = 0;
    const next = db.scanSlot(slot, place, this.#entries);
    for (const entry of this.#entries) {
      this.found++;
      if (db.isExpired(entry)) {
        db.expire(entry);
        continue;
      }
      const key = showKey(this.#call, entry);
      if (!matchesScan(this.#call, this.#options, key) || !this.#isOfType(entry)) continue;
      out.bulk(key.bytes, key.start, key.end);
      this.written++;
    }
    if (next !== 0) return next * SLOT_COUNT + slot;
    return slot + 1 === SLOT_COUNT ? 0 : slot + 1;
  }

  #isOfType(entry: number): boolean {
    const { type } = this.#options;
    return type === 0 || argIs(this.#call, type, typeName(this.#call, entry));
  }
}

function scan(call: Call): void {
  const cursor = argCursor(call, 1, SCAN_CURSOR_BITS);
  const options = readScanOptions(call, 2, true);
  replyScan(call, cursor, options, new KeyScan(call, options));
}

/** Tries until a key is found that has not expired, in a database where nearly all may have. */
const RANDOM_TRIES_MAX = 100;

function randomKey(call: Call): void {
  let entry = 0;
  for (let tries = 0; tries < RANDOM_TRIES_MAX; tries++) {
    entry = call.db.random(Math.random);
    if (entry === 0 || !call.db.isExpired(entry)) break;
    call.db.expire(entry);
    entry = 0;
  }
  if (entry === 0) {
    call.out.nil();
    return;
  }
  const key = showKey(call, entry);
  call.out.bulk(key.bytes, key.start, key.end);
}

export const KEY_HANDLERS = {
  COPY: copy,
  DEL: remove,
  EXISTS: countExisting,
  KEYS: keys,
  MOVE: move,
  RANDOMKEY: randomKey,
  RENAME: rename,
  RENAMENX: renameIfMissing,
  SCAN: scan,
  TOUCH: touch,
  TYPE: type,
  UNLINK: remove,
} as const satisfies Record<string, Handler>;
