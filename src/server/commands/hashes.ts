/**
 * Hashes. Source of texts and details, also of which argument is looked at first: Redis 7.0
 * src/t_hash.c.
 */

import {
  INT64_MAX,
  INT64_MIN,
  parseInt64,
  parseSafeInteger,
  writeInteger,
} from "../../base/bytes.ts";
import { entryValueWord } from "../arena/entry.ts";
import {
  argBytes,
  argEnd,
  argInt64,
  argStart,
  type Call,
  type Handler,
  writeTyped,
} from "../call.ts";
import {
  addLongDoubles,
  formatLongDouble,
  isInfinite,
  type LongDouble,
  parseLongDouble,
} from "../long-double.ts";
import { NAN_OR_INFINITY, NOT_FLOAT_ERROR, OVERFLOW, ReplyError, wrongArity } from "../replies.ts";
import { createByteRange } from "../types/byte-range.ts";
import { HashWalk, hashGet, hashLength, hashRandom, hashRemove, hashSet } from "../types/hash.ts";
import { HASH } from "../types/value-type.ts";
import {
  checkMemberLengths,
  headToGrow,
  readHead,
  removeNamed,
  replyRange,
} from "./collections.ts";
import type { ElementsKind } from "./elements.ts";
import { pickRandom } from "./picks.ts";
import { scanCollection } from "./scan.ts";

const walk = new HashWalk();
const value = createByteRange();

function setFields(call: Call): number {
  if (call.argc % 2 === 1) throw new ReplyError(wrongArity(call.command.name));
  checkMemberLengths(call, 2, 2);
  const head = headToGrow(call, 1, HASH, writeTyped(call, 1, HASH));
  let added = 0;
  for (let i = 2; i < call.argc; i += 2) if (setField(call, head, i)) added++;
  call.dirty += (call.argc - 2) / 2;
  return added;
}

/** Sets the field in argument `i` to the argument behind it. Returns whether it is new. */
function setField(call: Call, head: number, i: number): boolean {
  const { buf, args } = call;
  const from = args[2 * i]!;
  const to = args[2 * i + 1]!;
  return hashSet(call.arena, head, buf, from, to, buf, args[2 * i + 2]!, args[2 * i + 3]!);
}

function setMany(call: Call): void {
  setFields(call);
  call.out.ok();
}

/** Shows the field in argument `i` in `value`. Returns whether it is there; `head` may be 0. */
function getField(call: Call, head: number, i: number): boolean {
  if (head === 0) return false;
  return hashGet(call.arena, head, call.buf, argStart(call, i), argEnd(call, i), value);
}

function setIfMissing(call: Call): void {
  checkMemberLengths(call, 2, 2);
  const entry = writeTyped(call, 1, HASH);
  if (entry !== 0 && getField(call, entryValueWord(call.arena, entry), 2)) {
    call.out.integer(0);
    return;
  }
  setField(call, headToGrow(call, 1, HASH, entry), 2);
  call.dirty++;
  call.out.integer(1);
}

function get(call: Call): void {
  if (getField(call, readHead(call, 1, HASH), 2)) replyRange(call, value);
  else call.out.nil();
}

function getMany(call: Call): void {
  const head = readHead(call, 1, HASH);
  call.out.array(call.argc - 2);
  for (let i = 2; i < call.argc; i++) {
    if (getField(call, head, i)) replyRange(call, value);
    else call.out.nil();
  }
}

function exists(call: Call): void {
  call.out.integer(getField(call, readHead(call, 1, HASH), 2) ? 1 : 0);
}

function valueLength(call: Call): void {
  const isThere = getField(call, readHead(call, 1, HASH), 2);
  call.out.integer(isThere ? value.end - value.start : 0);
}

function length(call: Call): void {
  const head = readHead(call, 1, HASH);
  call.out.integer(head === 0 ? 0 : hashLength(call.arena, head));
}

function replyAll(call: Call, withFields: boolean, withValues: boolean): void {
  const head = readHead(call, 1, HASH);
  if (head === 0) {
    call.out.emptyArray();
    return;
  }
  const perField = withFields && withValues ? 2 : 1;
  call.out.array(hashLength(call.arena, head) * perField);
  walk.begin(call.arena, head);
  while (walk.next()) {
    if (withFields) replyRange(call, walk.field);
    if (withValues) replyRange(call, walk.value);
  }
}

/** Digits of any int64, or a float's text. */
const numberText = Buffer.alloc(32);

/** Sets the field in argument 2 to bytes [0, length) of `text`; the key's entry is `entry` or 0. */
function setText(call: Call, entry: number, text: Buffer, length: number): void {
  const head = headToGrow(call, 1, HASH, entry);
  hashSet(call.arena, head, call.buf, argStart(call, 2), argEnd(call, 2), text, 0, length);
  call.dirty++;
}

const NOT_INTEGER_ERROR = new ReplyError("ERR hash value is not an integer");
const NOT_FINITE_ERROR = new ReplyError("ERR value is NaN or Infinity");
const NOT_FLOAT_VALUE_ERROR = new ReplyError("ERR hash value is not a float");

function increment(call: Call): void {
  const change = parseSafeInteger(call.buf, argStart(call, 3), argEnd(call, 3));
  const exactChange = Number.isNaN(change) ? argInt64(call, 3) : 0n;
  checkMemberLengths(call, 2, 1);
  const entry = writeTyped(call, 1, HASH);
  const isThere = entry !== 0 && getField(call, entryValueWord(call.arena, entry), 2);
  const old = isThere ? parseSafeInteger(value.bytes, value.start, value.end) : 0;
  const sum = old + change;
  if (Number.isSafeInteger(sum)) {
    setText(call, entry, numberText, writeInteger(sum, numberText, 0));
    call.out.integer(sum);
    return;
  }
  const first = isThere ? parseInt64(value.bytes, value.start, value.end) : 0n;
  if (first === undefined) throw NOT_INTEGER_ERROR;
  const exact = first + (Number.isNaN(change) ? exactChange : BigInt(change));
  if (exact < INT64_MIN || exact > INT64_MAX) throw new ReplyError(OVERFLOW);
  setText(call, entry, numberText, numberText.write(exact.toString(), "latin1"));
  call.out.bigInteger(exact);
}

function incrementFloat(call: Call): void {
  const change = parseLongDouble(call.buf, argStart(call, 3), argEnd(call, 3));
  if (change === undefined) throw NOT_FLOAT_ERROR;
  if (isInfinite(change)) throw NOT_FINITE_ERROR;
  checkMemberLengths(call, 2, 1);
  const entry = writeTyped(call, 1, HASH);
  let sum: LongDouble | undefined = change;
  if (entry !== 0 && getField(call, entryValueWord(call.arena, entry), 2)) {
    const old = parseLongDouble(value.bytes, value.start, value.end);
    if (old === undefined) throw NOT_FLOAT_VALUE_ERROR;
    sum = addLongDoubles(old, change);
  }
  if (sum === undefined || isInfinite(sum)) throw new ReplyError(NAN_OR_INFINITY);
  const text = formatLongDouble(sum);
  const bytes = Buffer.from(text, "latin1");
  setText(call, entry, bytes, bytes.length);
  call.out.bulkText(text);
  // As a HSET: who replays it must not depend on how this machine adds.
  call.propagateAs = [["HSET", argBytes(call, 1), argBytes(call, 2), text]];
}

const FIELDS: ElementsKind = {
  type: HASH,
  walk,
  shown: walk.field,
  length: hashLength,
  random: (arena, head) => hashRandom(arena, head, Math.random, walk.field, walk.value),
  replyValue: (call) => replyRange(call, walk.value),
};

export const HASH_HANDLERS = {
  HDEL: (call) => removeNamed(call, HASH, hashRemove, hashLength),
  HEXISTS: exists,
  HGET: get,
  HGETALL: (call) => replyAll(call, true, true),
  HINCRBY: increment,
  HINCRBYFLOAT: incrementFloat,
  HKEYS: (call) => replyAll(call, true, false),
  HLEN: length,
  HMGET: getMany,
  HMSET: setMany,
  HRANDFIELD: (call) => pickRandom(call, FIELDS, "withvalues"),
  HSCAN: (call) => scanCollection(call, FIELDS),
  HSET: (call) => call.out.integer(setFields(call)),
  HSETNX: setIfMissing,
  HSTRLEN: valueLength,
  HVALS: (call) => replyAll(call, false, true),
} as const satisfies Record<string, Handler>;
