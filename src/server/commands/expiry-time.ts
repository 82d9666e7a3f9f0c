/**
 * Times of expiry in arguments: seconds or milliseconds, from now or since 1970.
 * Source: Redis 7.0 src/expire.c `expireGenericCommand`, src/t_string.c
 * `getExpireMillisecondsOrReply`.
 */

import { INT64_MAX, INT64_MIN } from "../../base/bytes.ts";
import { argInt64, type Call } from "../call.ts";
import { invalidExpire, ReplyError } from "../replies.ts";

export interface ExpiryUnit {
  /** 1000 for seconds, 1 for milliseconds. */
  readonly perUnitMs: 1 | 1000;
  /** Since 1970 instead of from now. */
  readonly isAbsolute: boolean;
}

/**
 * The latest a key expires, unix ms: the year 287,396. Later times, which Redis keeps up to 2^63,
 * become this one, because the text of a larger double would not read back from a log or payload.
 */
export const EXPIRY_MS_MAX = Number.MAX_SAFE_INTEGER;

/**
 * Argument `i` as unix ms, whether past or future, at most EXPIRY_MS_MAX.
 * @throws ReplyError when it is no integer, or "invalid expire time" when it is out of range
 */
export function readAnyExpiry(call: Call, i: number, unit: ExpiryUnit): number {
  const value = argInt64(call, i);
  const ms = value * BigInt(unit.perUnitMs);
  const at = unit.isAbsolute ? ms : ms + BigInt(call.nowMs);
  if (ms > INT64_MAX || ms < INT64_MIN || at > INT64_MAX) {
    throw new ReplyError(invalidExpire(call.command.name));
  }
  return Math.min(Number(at), EXPIRY_MS_MAX);
}

/** The same, for commands that refuse 0 and less. */
export function readExpiry(call: Call, i: number, unit: ExpiryUnit): number {
  const value = argInt64(call, i);
  if (value <= 0n) throw new ReplyError(invalidExpire(call.command.name));
  return readAnyExpiry(call, i, unit);
}
