/**
 * Numbers in strings: INCR and its family. Most numbers are read and printed where they lie,
 * without an object; those beyond 2^53 go through bigint. Source: Redis 7.0 src/t_string.c.
 */

import {
  digitCount,
  INT64_MAX,
  INT64_MIN,
  parseInt64,
  parseSafeInteger,
  writeInteger,
} from "../../base/bytes.ts";
import { entryMemory, entryValueLength, entryValueOffset } from "../arena/entry.ts";
import {
  argBytes,
  argEnd,
  argInt64,
  argStart,
  type Call,
  type Handler,
  insertKey,
  writeTyped,
} from "../call.ts";
import { addLongDoubles, formatLongDouble, isInfinite, parseLongDouble } from "../long-double.ts";
import {
  NAN_OR_INFINITY,
  NOT_FLOAT_ERROR,
  NOT_INTEGER_ERROR,
  OVERFLOW,
  ReplyError,
} from "../replies.ts";
import { STRING } from "../types/value-type.ts";

function addSmall(call: Call, change: number): void {
  const entry = writeTyped(call, 1, STRING);
  if (entry === 0) {
    storeNumber(call, insertKey(call, 1, STRING, digitCount(change)), change);
    return;
  }
  const at = entryValueOffset(call.arena, entry);
  const length = entryValueLength(call.arena, entry);
  const old = parseSafeInteger(entryMemory(call.arena, entry), at, at + length);
  const sum = old + change;
  if (!Number.isSafeInteger(sum)) {
    addLarge(call, entry, BigInt(change));
    return;
  }
  const digits = digitCount(sum);
  const kept = digits === length ? entry : call.db.overwrite(entry, STRING, digits, true, 0);
  storeNumber(call, kept, sum);
}

/** Writes a number into the value of `entry`, which has the right length, and replies it. */
function storeNumber(call: Call, entry: number, value: number): void {
  writeInteger(value, entryMemory(call.arena, entry), entryValueOffset(call.arena, entry));
  call.dirty++;
  call.out.integer(value);
}

function addLarge(call: Call, entry: number, change: bigint): void {
  let old = 0n;
  if (entry !== 0) {
    const at = entryValueOffset(call.arena, entry);
    const end = at + entryValueLength(call.arena, entry);
    const parsed = parseInt64(entryMemory(call.arena, entry), at, end);
    if (parsed === undefined) throw NOT_INTEGER_ERROR;
    old = parsed;
  }
  const sum = old + change;
  if (sum < INT64_MIN || sum > INT64_MAX) throw new ReplyError(OVERFLOW);
  storeText(call, entry, sum.toString());
  call.out.bigInteger(sum);
}

/** Sets argument 1's string, whose entry is `entry` or 0, keeping its expiry. */
function storeText(call: Call, entry: number, text: string): void {
  const kept =
    entry === 0
      ? insertKey(call, 1, STRING, text.length)
      : call.db.overwrite(entry, STRING, text.length, true, 0);
  const memory = entryMemory(call.arena, kept);
  memory.write(text, entryValueOffset(call.arena, kept), "latin1");
  call.dirty++;
}

function addArgument(call: Call, sign: 1 | -1): void {
  const change = parseSafeInteger(call.buf, argStart(call, 2), argEnd(call, 2));
  if (!Number.isNaN(change)) {
    addSmall(call, sign * change || 0);
    return;
  }
  const exact = argInt64(call, 2);
  if (sign < 0 && exact === INT64_MIN) throw new ReplyError("ERR decrement would overflow");
  addLarge(call, writeTyped(call, 1, STRING), exact * BigInt(sign));
}

function addFloat(call: Call): void {
  const entry = writeTyped(call, 1, STRING);
  const change = parseLongDouble(call.buf, argStart(call, 2), argEnd(call, 2));
  let old = change;
  if (entry !== 0) {
    const at = entryValueOffset(call.arena, entry);
    const end = at + entryValueLength(call.arena, entry);
    old = parseLongDouble(entryMemory(call.arena, entry), at, end);
  }
  if (change === undefined || old === undefined) throw NOT_FLOAT_ERROR;
  const sum = entry === 0 ? change : addLongDoubles(old, change);
  if (sum === undefined || isInfinite(sum)) throw new ReplyError(NAN_OR_INFINITY);
  const text = formatLongDouble(sum);
  storeText(call, entry, text);
  call.out.bulkText(text);
  // As a SET: who replays it must not depend on how this machine adds.
  call.propagateAs = [["SET", argBytes(call, 1), text, "KEEPTTL"]];
}

export const COUNTER_HANDLERS = {
  DECR: (call) => addSmall(call, -1),
  DECRBY: (call) => addArgument(call, -1),
  INCR: (call) => addSmall(call, 1),
  INCRBY: (call) => addArgument(call, 1),
  INCRBYFLOAT: addFloat,
} as const satisfies Record<string, Handler>;
