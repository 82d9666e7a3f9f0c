/**
 * Strings: SET and its family, GET and its family, ranges. The bytes lie in the key's entry.
 * Source of texts and details: Redis 7.0 src/t_string.c.
 */

import { CHUNK_SHIFT } from "../arena/arena.ts";
import { entryMemory, entryValueLength, entryValueOffset } from "../arena/entry.ts";
import {
  argEnd,
  argInteger,
  argIs,
  argLength,
  argStart,
  argView,
  type Call,
  failSyntax,
  type Handler,
  insertKey,
  lookupRead,
  lookupWrite,
  readTyped,
  warmKeys,
  writeTyped,
} from "../call.ts";
import { ReplyError, STRING_TOO_LONG, wrongArity } from "../replies.ts";
import { isString, STRING } from "../types/value-type.ts";
import { checkKeyLength } from "./collections.ts";
import { type ExpiryUnit, readExpiry } from "./expiry-time.ts";

/** Replies with the whole value of a string's entry. */
function replyString(call: Call, entry: number): void {
  const at = entryValueOffset(call.arena, entry);
  call.out.bulk(entryMemory(call.arena, entry), at, at + entryValueLength(call.arena, entry));
}

/** @throws ReplyError when a string of `bytes` would be longer than allowed */
export function checkStringLength(call: Call, bytes: number): void {
  if (bytes > call.server.config["proto-max-bulk-len"]) throw new ReplyError(STRING_TOO_LONG);
}

/** Key and value of SET are arguments `key` and `value`. */
function setFromArgs(call: Call, key: number, value: number, expiryMs: number): number {
  const { args } = call;
  const entry = call.db.setString(
    call.buf,
    args[2 * key]!,
    args[2 * key + 1]!,
    call.buf,
    args[2 * value]!,
    args[2 * value + 1]!,
    expiryMs,
  );
  call.dirty++;
  return entry;
}

interface SetOptions {
  ifMissing: boolean;
  ifPresent: boolean;
  returnsOld: boolean;
  keepsTtl: boolean;
  /** Unix ms, NaN for none. */
  expiryMs: number;
}

const EXPIRY_WORDS: readonly (readonly [word: string, unit: ExpiryUnit])[] = [
  ["ex", { perUnitMs: 1000, isAbsolute: false }],
  ["px", { perUnitMs: 1, isAbsolute: false }],
  ["exat", { perUnitMs: 1000, isAbsolute: true }],
  ["pxat", { perUnitMs: 1, isAbsolute: true }],
];

/** EX, PX, EXAT or PXAT at argument `i`: unix ms; or NaN when it is none of them. */
function expiryOption(call: Call, i: number): number {
  for (const [word, unit] of EXPIRY_WORDS) {
    if (!argIs(call, i, word)) continue;
    if (i + 1 >= call.argc) failSyntax();
    return readExpiry(call, i + 1, unit);
  }
  return Number.NaN;
}

function readSetOptions(call: Call): SetOptions {
  const options: SetOptions = {
    ifMissing: false,
    ifPresent: false,
    returnsOld: false,
    keepsTtl: false,
    expiryMs: Number.NaN,
  };
  // Redis reads all words before any number: `SET k v EX x BAD` is a syntax error.
  let expiryAt = 0;
  for (let i = 3; i < call.argc; i++) {
    if (argIs(call, i, "nx") && !options.ifPresent) options.ifMissing = true;
    else if (argIs(call, i, "xx") && !options.ifMissing) options.ifPresent = true;
    else if (argIs(call, i, "get")) options.returnsOld = true;
    else if (argIs(call, i, "keepttl") && expiryAt === 0) options.keepsTtl = true;
    else if (isExpiryWord(call, i) && !options.keepsTtl && expiryAt === 0 && i + 1 < call.argc) {
      expiryAt = i++;
    } else failSyntax();
  }
  if (expiryAt > 0) options.expiryMs = expiryOption(call, expiryAt);
  return options;
}

function isExpiryWord(call: Call, i: number): boolean {
  return EXPIRY_WORDS.some(([word]) => argIs(call, i, word));
}

function set(call: Call): void {
  if (call.argc > 3) {
    setWithOptions(call, readSetOptions(call));
    return;
  }
  setFromArgs(call, 1, 2, Number.NaN);
  call.out.ok();
}

function setWithOptions(call: Call, options: SetOptions): void {
  const entry = lookupWrite(call, 1);
  if (options.returnsOld) {
    // Checked before anything changes: SET k v GET of a list is an error and sets nothing.
    const old = readTyped(call, 1, STRING);
    if (old === 0) call.out.nil();
    else replyString(call, old);
  }
  if (options.ifMissing ? entry !== 0 : options.ifPresent && entry === 0) {
    if (!options.returnsOld) call.out.nil();
    return;
  }
  let { expiryMs } = options;
  if (options.keepsTtl && entry !== 0) expiryMs = call.db.expiryOf(entry);
  setFromArgs(call, 1, 2, expiryMs);
  if (!options.returnsOld) call.out.ok();
  if (!Number.isNaN(options.expiryMs)) propagateSet(call, 2, options.expiryMs);
}

/** What a SET with a relative expiry is to those who follow; its value is argument `i`. */
function propagateSet(call: Call, i: number, expiryMs: number): void {
  if (call.server.journal === undefined) return;
  call.propagateAs = [["SET", argView(call, 1), argView(call, i), "PXAT", expiryMs]];
}

function setWithExpiry(call: Call, unit: ExpiryUnit): void {
  const expiryMs = readExpiry(call, 2, unit);
  setFromArgs(call, 1, 3, expiryMs);
  call.out.ok();
  propagateSet(call, 3, expiryMs);
}

function setIfMissing(call: Call): void {
  if (lookupWrite(call, 1) !== 0) {
    call.out.integer(0);
    return;
  }
  setFromArgs(call, 1, 2, Number.NaN);
  call.out.integer(1);
}

function get(call: Call): void {
  const entry = readTyped(call, 1, STRING);
  if (entry === 0) call.out.nil();
  else replyString(call, entry);
}

function getAndSet(call: Call): void {
  get(call);
  setFromArgs(call, 1, 2, Number.NaN);
  call.propagateAs = [["SET", argView(call, 1), argView(call, 2)]];
}

function getAndDelete(call: Call): void {
  get(call);
  const entry = lookupWrite(call, 1);
  if (entry === 0) return;
  call.db.remove(entry);
  call.dirty++;
  call.propagateAs = [["DEL", argView(call, 1)]];
}

function getAndExpire(call: Call): void {
  let expiryMs = Number.NaN;
  const persists = call.argc === 3 && argIs(call, 2, "persist");
  if (call.argc > 2 && !persists) {
    if (call.argc !== 4 || !isExpiryWord(call, 2)) failSyntax();
  }
  const found = readTyped(call, 1, STRING);
  if (found === 0) {
    call.out.nil();
    return;
  }
  if (call.argc === 4) expiryMs = expiryOption(call, 2);
  replyString(call, found);
  if (call.argc === 2) return;
  const entry = lookupWrite(call, 1);
  const old = call.db.expiryOf(entry);
  if (persists) {
    if (Number.isNaN(old)) return;
    call.db.persist(entry);
    call.propagateAs = [["PERSIST", argView(call, 1)]];
  } else if (expiryMs <= call.nowMs) {
    call.db.remove(entry);
    call.propagateAs = [["DEL", argView(call, 1)]];
  } else {
    call.db.setExpiry(entry, expiryMs);
    call.propagateAs = [["PEXPIREAT", argView(call, 1), expiryMs]];
  }
  call.dirty++;
}

function getMany(call: Call): void {
  call.out.array(call.argc - 1);
  for (let i = 1, warm = 0; i < call.argc; i++) {
    if (warm-- === 0) warm = warmKeys(call, i, 1) - 1;
    const entry = lookupRead(call, i);
    if (entry === 0 || !isString(call.arena, entry)) call.out.nil();
    else replyString(call, entry);
  }
}

/** The keys are checked before the first is set: after that nothing may be thrown. */
function checkPairs(call: Call): void {
  if (call.argc % 2 === 0) throw new ReplyError(wrongArity(call.command.name));
  for (let i = 1; i < call.argc; i += 2) checkKeyLength(call, i);
}

function setMany(call: Call): void {
  checkPairs(call);
  for (let i = 1, warm = 0; i < call.argc; i += 2) {
    if (warm-- === 0) warm = warmKeys(call, i, 2) - 1;
    setFromArgs(call, i, i + 1, Number.NaN);
  }
  call.out.ok();
}

function setManyIfMissing(call: Call): void {
  checkPairs(call);
  for (let i = 1; i < call.argc; i += 2) {
    if (lookupWrite(call, i) === 0) continue;
    call.out.integer(0);
    return;
  }
  for (let i = 1; i < call.argc; i += 2) setFromArgs(call, i, i + 1, Number.NaN);
  call.out.integer(1);
}

function strlen(call: Call): void {
  const entry = readTyped(call, 1, STRING);
  call.out.integer(entry === 0 ? 0 : entryValueLength(call.arena, entry));
}

function append(call: Call): void {
  const entry = writeTyped(call, 1, STRING);
  const added = argLength(call, 2);
  if (entry === 0) {
    setFromArgs(call, 1, 2, Number.NaN);
    call.out.integer(added);
    return;
  }
  const length = entryValueLength(call.arena, entry);
  checkStringLength(call, length + added);
  call.dirty++;
  const grown = call.db.overwrite(entry, STRING, length + added, true);
  const at = entryValueOffset(call.arena, grown) + length;
  call.buf.copy(entryMemory(call.arena, grown), at, argStart(call, 2), argEnd(call, 2));
  call.out.integer(length + added);
}

/**
 * A string made at least `length` bytes long, zeros added, created when `entry` is 0.
 * @param key argument that names the key
 * @returns its entry; counts no change
 */
export function growString(call: Call, key: number, entry: number, length: number): number {
  const old = entry === 0 ? 0 : entryValueLength(call.arena, entry);
  if (entry !== 0 && old >= length) return entry;
  const grown =
    entry === 0
      ? insertKey(call, key, STRING, length)
      : call.db.overwrite(entry, STRING, length, true);
  const at = entryValueOffset(call.arena, grown);
  call.arena.bytes[grown >>> CHUNK_SHIFT]!.fill(0, at + old, at + length);
  return grown;
}

function setRange(call: Call): void {
  const offset = argInteger(call, 2);
  if (offset < 0) throw new ReplyError("ERR offset is out of range");
  const bytes = argLength(call, 3);
  const entry = writeTyped(call, 1, STRING);
  if (bytes === 0) {
    call.out.integer(entry === 0 ? 0 : entryValueLength(call.arena, entry));
    return;
  }
  checkStringLength(call, offset + bytes);
  const grown = growString(call, 1, entry, offset + bytes);
  const at = entryValueOffset(call.arena, grown) + offset;
  call.buf.copy(entryMemory(call.arena, grown), at, argStart(call, 3), argEnd(call, 3));
  call.dirty++;
  call.out.integer(entryValueLength(call.arena, grown));
}

function getRange(call: Call): void {
  let start = argInteger(call, 2);
  let end = argInteger(call, 3);
  const entry = readTyped(call, 1, STRING);
  const length = entry === 0 ? 0 : entryValueLength(call.arena, entry);
  if (start < 0 && end < 0 && start > end) {
    call.out.bulkText("");
    return;
  }
  if (start < 0) start = Math.max(0, length + start);
  if (end < 0) end = Math.max(0, length + end);
  if (end >= length) end = length - 1;
  if (start > end || length === 0) {
    call.out.bulkText("");
    return;
  }
  const at = entryValueOffset(call.arena, entry);
  call.out.bulk(entryMemory(call.arena, entry), at + start, at + end + 1);
}

const SECONDS: ExpiryUnit = { perUnitMs: 1000, isAbsolute: false };
const MILLISECONDS: ExpiryUnit = { perUnitMs: 1, isAbsolute: false };

export const STRING_HANDLERS = {
  APPEND: append,
  GET: get,
  GETDEL: getAndDelete,
  GETEX: getAndExpire,
  GETRANGE: getRange,
  GETSET: getAndSet,
  MGET: getMany,
  MSET: setMany,
  MSETNX: setManyIfMissing,
  PSETEX: (call) => setWithExpiry(call, MILLISECONDS),
  SET: set,
  SETEX: (call) => setWithExpiry(call, SECONDS),
  SETNX: setIfMissing,
  SETRANGE: setRange,
  STRLEN: strlen,
  SUBSTR: getRange,
} as const satisfies Record<string, Handler>;
