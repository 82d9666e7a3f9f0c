/**
 * Commands about slots, of the original server: what is in them, removing it, and taking keys in
 * from another server. Moving keys away is in migrate.ts. Source: Codis
 * extern/redis-3.2.11/src/slots.c; texts to the letter.
 */

import { SLOT_COUNT, slotOfRange } from "../../slots/hash.ts";
import { entryKeyLength, entryKeyOffset, entryMemory } from "../arena/entry.ts";
import {
  argEnd,
  argInteger,
  argIs,
  argStart,
  argText,
  type Call,
  failSyntax,
  type Handler,
} from "../call.ts";
import { type BuiltValue, buildValue, discardValue, storeValue } from "../rdb/build.ts";
import { INVALID_CURSOR, OUT_OF_RANGE, ReplyError, wrongArity } from "../replies.ts";
import { checkKeyLength } from "./collections.ts";
import { expiryAt, restoreWords } from "./dump.ts";

const INT32_MAX = 0x7fffffff;
const SCAN_COUNT_DEFAULT = 10;
/** Keys of one DEL in the log. */
const DEL_KEYS_MAX = 1000;
/** Cursors are 64-bit; longer digits are out of range. */
const CURSOR = /^\s*([+-]?)(\d{1,20})$/;
const UINT32_MAX = 2n ** 32n - 1n;
const UINT64_MAX = 2n ** 64n - 1n;

const BAD_TTL = "ERR invalid ttl value, must be >= 0";
const BAD_FOOTER = "ERR dump payload version or checksum are wrong";
const BAD_BODY = "ERR bad data format";

/** Argument `i`, a 32-bit integer. @throws ReplyError */
export function argInt32(call: Call, i: number): number {
  const value = argInteger(call, i);
  if (value > INT32_MAX || value < -INT32_MAX - 1) throw new ReplyError(OUT_OF_RANGE);
  return value;
}

/** Argument `i`, the number of a slot. @throws ReplyError */
export function argSlot(call: Call, i: number): number {
  const slot = argInt32(call, i);
  if (slot < 0 || slot >= SLOT_COUNT) throw new ReplyError(`ERR invalid slot number = ${slot}`);
  return slot;
}

function slotsInfo(call: Call): void {
  if (call.argc > 3) throw new ReplyError(wrongArity("SLOTSINFO"));
  const start = call.argc > 1 ? argSlot(call, 1) : 0;
  const count = call.argc > 2 ? argInt32(call, 2) : SLOT_COUNT;
  if (count < 0) throw new ReplyError(`ERR invalid slot count = ${count}`);
  const end = Math.min(SLOT_COUNT, start + count);
  const { db, out } = call;
  let filled = 0;
  for (let slot = start; slot < end; slot++) if (db.slotSize(slot) > 0) filled++;
  out.array(filled);
  for (let slot = start; slot < end; slot++) {
    const size = db.slotSize(slot);
    if (size === 0) continue;
    out.array(2);
    out.integer(slot);
    out.integer(size);
  }
}

/**
 * A cursor as strtoul takes it: a sign is allowed.
 * @returns a u32; undefined for a number no scan of ours has answered
 */
function argCursor(call: Call, i: number): number | undefined {
  const match = CURSOR.exec(argText(call, i));
  if (match === null) throw new ReplyError(INVALID_CURSOR);
  const size = BigInt(match[2]!);
  if (size > UINT64_MAX) throw new ReplyError(INVALID_CURSOR);
  const isOurs = size <= UINT32_MAX && (match[1] !== "-" || size === 0n);
  return isOurs ? Number(size) : undefined;
}

function slotsScan(call: Call): void {
  const slot = argSlot(call, 1);
  const start = argCursor(call, 2);
  if (call.argc !== 3 && call.argc !== 5) throw new ReplyError(wrongArity("SLOTSSCAN"));
  let count = SCAN_COUNT_DEFAULT;
  if (call.argc === 5) {
    if (!argIs(call, 3, "count")) failSyntax();
    count = argInt32(call, 4);
    if (count < 1) failSyntax();
  }
  const { arena, db, out } = call;
  const found: number[] = [];
  let cursor = start ?? 0;
  while (start !== undefined) {
    cursor = db.scanSlot(slot, cursor, found);
    if (cursor === 0 || found.length >= count) break;
  }
  out.array(2);
  out.bulkText(String(cursor));
  out.array(found.length);
  for (const entry of found) {
    const at = entryKeyOffset(arena, entry);
    out.bulk(entryMemory(arena, entry), at, at + entryKeyLength(arena, entry));
  }
}

function slotsHashKey(call: Call): void {
  call.out.array(call.argc - 1);
  for (let i = 1; i < call.argc; i++) {
    call.out.integer(slotOfRange(call.buf, argStart(call, i), argEnd(call, i)));
  }
}

function slotsDel(call: Call): void {
  const slots: number[] = [];
  for (let i = 1; i < call.argc; i++) slots.push(argSlot(call, i));
  const removed: Buffer[] = [];
  for (const slot of slots) removeSlot(call, slot, removed);
  call.dirty += removed.length;
  // As DEL, which stock servers know too; it is one change, so all of it or nothing is replayed.
  call.propagateAs = [];
  for (let i = 0; i < removed.length; i += DEL_KEYS_MAX) {
    call.propagateAs.push(["DEL", ...removed.slice(i, i + DEL_KEYS_MAX)]);
  }
  call.out.array(slots.length);
  for (const slot of slots) {
    call.out.array(2);
    call.out.integer(slot);
    call.out.integer(call.db.slotSize(slot));
  }
}

/** Removes all keys of a slot, and adds them to `removed`. */
function removeSlot(call: Call, slot: number, removed: Buffer[]): void {
  const { db } = call;
  const found: number[] = [];
  let cursor = 0;
  // Places of the dictionary merge while keys go: what a scan missed, the next one finds.
  while (db.slotSize(slot) > 0) {
    found.length = 0;
    cursor = db.scanSlot(slot, cursor, found);
    for (const entry of found) removeKeyOf(call, entry, removed);
  }
}

/** Looks the key up as a command would, so that a snapshot sees it go. */
function removeKeyOf(call: Call, entry: number, removed: Buffer[]): void {
  const at = entryKeyOffset(call.arena, entry);
  const end = at + entryKeyLength(call.arena, entry);
  const key = Buffer.from(entryMemory(call.arena, entry).subarray(at, end));
  const found = call.db.lookupWrite(key, 0, key.length);
  if (found === 0) return;
  call.db.remove(found);
  removed.push(key);
}

/**
 * The slot's dictionary is the index, so no key can miss in it; what can be checked is that all
 * keys are counted. Expired keys are no error here; the original removes one and then misses it.
 */
function slotsCheck(call: Call): void {
  let indexed = 0;
  for (let slot = 0; slot < SLOT_COUNT; slot++) indexed += call.db.slotSize(slot);
  if (indexed === call.db.size) call.out.ok();
  else call.out.error(`ERR step 2, ${call.db.size} keys, ${indexed} indexed`);
}

/** One key of SLOTSRESTORE, checked and not stored yet. */
interface Restored {
  /** Index of the argument that is the key. */
  readonly key: number;
  readonly atMs: number;
  readonly value: BuiltValue;
}

/** All triples, or nothing: the first one that is wrong is the answer. */
function readTriples(call: Call): Restored[] {
  const { databases } = call.server;
  const restored: Restored[] = [];
  try {
    for (let key = 1; key < call.argc; key += 3) {
      const ttl = argInteger(call, key + 1);
      if (ttl < 0) throw new ReplyError(BAD_TTL);
      checkKeyLength(call, key);
      const value = buildValue(databases, call.buf, argStart(call, key + 2), argEnd(call, key + 2));
      if (value === "footer") throw new ReplyError(BAD_FOOTER);
      if (value === "body") throw new ReplyError(BAD_BODY);
      restored.push({ key, atMs: expiryAt(ttl, call.nowMs), value });
    }
  } catch (error) {
    for (const { value } of restored) discardValue(databases, value);
    throw error;
  }
  return restored;
}

function slotsRestore(call: Call): void {
  if (call.argc % 3 !== 1) throw new ReplyError(wrongArity("SLOTSRESTORE"));
  const words = [];
  for (const { key, atMs, value } of readTriples(call)) {
    storeValue(call.db, call.buf, argStart(call, key), argEnd(call, key), value, atMs);
    call.dirty++;
    words.push(restoreWords(call, key, key + 2, atMs));
  }
  call.propagateAs = words;
  call.out.ok();
}

export const SLOT_HANDLERS = {
  SLOTSCHECK: slotsCheck,
  SLOTSDEL: slotsDel,
  SLOTSHASHKEY: slotsHashKey,
  SLOTSINFO: slotsInfo,
  SLOTSRESTORE: slotsRestore,
  SLOTSSCAN: slotsScan,
} as const satisfies Record<string, Handler>;
