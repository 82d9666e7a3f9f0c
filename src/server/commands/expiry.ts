/**
 * How long keys live: EXPIRE and its family, TTL and its family, PERSIST. What is logged is always
 * the absolute time. Source: Redis 7.0 src/expire.c.
 */

import {
  argBytes,
  argEnd,
  argIs,
  argStart,
  argText,
  type Call,
  type Handler,
  lookupWrite,
} from "../call.ts";
import { ReplyError } from "../replies.ts";
import { type ExpiryUnit, readAnyExpiry } from "./expiry-time.ts";

const NX_AND_OTHERS = "ERR NX and XX, GT or LT options at the same time are not compatible";
const GT_AND_LT = "ERR GT and LT options at the same time are not compatible";

interface Conditions {
  /** Only without an expiry. */
  nx: boolean;
  /** Only with one. */
  xx: boolean;
  /** Only to a later one; a key that lives for ever has the latest. */
  gt: boolean;
  /** Only to an earlier one. */
  lt: boolean;
}

function readConditions(call: Call): Conditions {
  const conditions: Conditions = { nx: false, xx: false, gt: false, lt: false };
  for (let i = 3; i < call.argc; i++) {
    if (argIs(call, i, "nx")) conditions.nx = true;
    else if (argIs(call, i, "xx")) conditions.xx = true;
    else if (argIs(call, i, "gt")) conditions.gt = true;
    else if (argIs(call, i, "lt")) conditions.lt = true;
    else throw new ReplyError(`ERR Unsupported option ${argText(call, i)}`);
  }
  const { nx, xx, gt, lt } = conditions;
  if (nx && (xx || gt || lt)) throw new ReplyError(NX_AND_OTHERS);
  if (gt && lt) throw new ReplyError(GT_AND_LT);
  return conditions;
}

/** @param old the expiry now, NaN for none */
function allows({ nx, xx, gt, lt }: Conditions, old: number, atMs: number): boolean {
  const isVolatile = !Number.isNaN(old);
  if (nx && isVolatile) return false;
  if (xx && !isVolatile) return false;
  if (gt && (!isVolatile || atMs <= old)) return false;
  return !(lt && isVolatile && atMs >= old);
}

function expire(call: Call, unit: ExpiryUnit): void {
  const conditions = readConditions(call);
  const atMs = readAnyExpiry(call, 2, unit);
  const entry = lookupWrite(call, 1);
  if (entry === 0 || !allows(conditions, call.db.expiryOf(entry), atMs)) {
    call.out.integer(0);
    return;
  }
  if (atMs <= call.nowMs && !call.server.isLoading) {
    call.db.remove(entry);
    call.propagateAs = [["DEL", argBytes(call, 1)]];
  } else {
    call.db.setExpiry(entry, atMs);
    call.propagateAs = [["PEXPIREAT", argBytes(call, 1), atMs]];
  }
  call.dirty++;
  call.out.integer(1);
}

function persist(call: Call): void {
  const entry = lookupWrite(call, 1);
  if (entry === 0 || Number.isNaN(call.db.expiryOf(entry))) {
    call.out.integer(0);
    return;
  }
  call.db.persist(entry);
  call.dirty++;
  call.out.integer(1);
}

const NO_KEY = -2;
const NO_EXPIRY = -1;

/** Replies when the key expires. `read` makes the answer of unix ms. */
function replyExpiry(call: Call, read: (atMs: number) => number): void {
  const entry = call.db.peek(call.buf, argStart(call, 1), argEnd(call, 1));
  if (entry === 0) {
    call.out.integer(NO_KEY);
    return;
  }
  const atMs = call.db.expiryOf(entry);
  call.out.integer(Number.isNaN(atMs) ? NO_EXPIRY : read(atMs));
}

function roundSeconds(ms: number): number {
  return Math.floor((ms + 500) / 1000);
}

const IN_SECONDS: ExpiryUnit = { perUnitMs: 1000, isAbsolute: false };
const IN_MS: ExpiryUnit = { perUnitMs: 1, isAbsolute: false };
const AT_SECOND: ExpiryUnit = { perUnitMs: 1000, isAbsolute: true };
const AT_MS: ExpiryUnit = { perUnitMs: 1, isAbsolute: true };

export const EXPIRY_HANDLERS = {
  EXPIRE: (call) => expire(call, IN_SECONDS),
  EXPIREAT: (call) => expire(call, AT_SECOND),
  EXPIRETIME: (call) => replyExpiry(call, roundSeconds),
  PERSIST: persist,
  PEXPIRE: (call) => expire(call, IN_MS),
  PEXPIREAT: (call) => expire(call, AT_MS),
  PEXPIRETIME: (call) => replyExpiry(call, (atMs) => atMs),
  PTTL: (call) => replyExpiry(call, (atMs) => Math.max(0, atMs - call.nowMs)),
  TTL: (call) => replyExpiry(call, (atMs) => roundSeconds(Math.max(0, atMs - call.nowMs))),
} as const satisfies Record<string, Handler>;
