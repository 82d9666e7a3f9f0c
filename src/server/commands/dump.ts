/**
 * DUMP and RESTORE. Payloads are written in the form every server reads, and read in every form up
 * to Redis 8 (rdb/). Source of texts and options: Redis 7.0 src/cluster.c `restoreCommand`.
 */

import { ReplyWriter } from "../../resp/encoder.ts";
import {
  argEnd,
  argInteger,
  argIs,
  argStart,
  argView,
  type Call,
  failSyntax,
  type Handler,
  lookupRead,
  lookupWrite,
  type PropagatedCommand,
} from "../call.ts";
import { COUNTER_MAX } from "../lfu-count.ts";
import { buildValue, discardValue, storeValue } from "../rdb/build.ts";
import { PAYLOAD_BYTES_MAX, writePayload } from "../rdb/write.ts";
import { ReplyError } from "../replies.ts";
import { checkKeyLength } from "./collections.ts";
import { EXPIRY_MS_MAX } from "./expiry-time.ts";

const BUSY_KEY = "BUSYKEY Target key name already exists.";
const BAD_FOOTER = "ERR DUMP payload version or checksum are wrong";
const BAD_BODY = "ERR Bad data format";
const NEGATIVE_TTL = "ERR Invalid TTL value, must be >= 0";
const NEGATIVE_IDLE = "ERR Invalid IDLETIME value, must be >= 0";
const BAD_FREQUENCY = "ERR Invalid FREQ value, must be >= 0 and <= 255";

const PAYLOAD_TOO_LARGE = `ERR a payload must be smaller than ${PAYLOAD_BYTES_MAX} bytes`;

/** The payload of a key before it becomes a reply. */
const payload = new ReplyWriter(PAYLOAD_BYTES_MAX);

function dump(call: Call): void {
  const entry = lookupRead(call, 1);
  if (entry === 0) {
    call.out.nil();
    return;
  }
  payload.clear();
  writePayload(call.arena, entry, payload);
  if (payload.isOverfull) {
    payload.clear();
    throw new ReplyError(PAYLOAD_TOO_LARGE);
  }
  call.out.bulk(payload.buf, 0, payload.length);
  payload.clear();
}

interface RestoreOptions {
  replace: boolean;
  isAbsolute: boolean;
  idleSeconds: number | undefined;
  frequency: number | undefined;
}

function readOptions(call: Call): RestoreOptions {
  const options: RestoreOptions = {
    replace: false,
    isAbsolute: false,
    idleSeconds: undefined,
    frequency: undefined,
  };
  for (let i = 4; i < call.argc; i++) {
    const hasValue = i + 1 < call.argc;
    if (argIs(call, i, "replace")) {
      options.replace = true;
    } else if (argIs(call, i, "absttl")) {
      options.isAbsolute = true;
    } else if (argIs(call, i, "idletime") && hasValue && options.frequency === undefined) {
      const seconds = argInteger(call, ++i);
      if (seconds < 0) throw new ReplyError(NEGATIVE_IDLE);
      options.idleSeconds = seconds;
    } else if (argIs(call, i, "freq") && hasValue && options.idleSeconds === undefined) {
      const frequency = argInteger(call, ++i);
      if (frequency < 0 || frequency > COUNTER_MAX) throw new ReplyError(BAD_FREQUENCY);
      options.frequency = frequency;
    } else {
      failSyntax();
    }
  }
  return options;
}

function restore(call: Call): void {
  const options = readOptions(call);
  const { replace, isAbsolute } = options;
  const old = lookupWrite(call, 1);
  if (old !== 0 && !replace) throw new ReplyError(BUSY_KEY);
  const ttl = argInteger(call, 2);
  if (ttl < 0) throw new ReplyError(NEGATIVE_TTL);
  checkKeyLength(call, 1);
  const { databases } = call.server;
  const value = buildValue(databases, call.buf, argStart(call, 3), argEnd(call, 3));
  if (value === "footer") throw new ReplyError(BAD_FOOTER);
  if (value === "body") throw new ReplyError(BAD_BODY);
  const atMs = expiryAt(ttl, isAbsolute ? 0 : call.nowMs);
  // While a log is read in, all keys live: what came later in it may still need this one.
  if (atMs <= call.nowMs && !call.server.isLoading) {
    discardValue(databases, value);
    removeExpired(call, old);
  } else {
    const key = argStart(call, 1);
    const entry = storeValue(call.db, call.buf, key, argEnd(call, 1), value, atMs);
    noteAccess(call, entry, options);
    call.dirty++;
    call.propagateAs = [restoreWords(call, 1, 3, atMs)];
  }
  call.out.ok();
}

/** IDLETIME under an LRU policy, FREQ under an LFU one; else there is nobody to tell. */
function noteAccess(call: Call, entry: number, { idleSeconds, frequency }: RestoreOptions): void {
  const { accesses } = call.server.databases;
  if (accesses?.kind === "lru" && idleSeconds !== undefined) accesses.setIdle(entry, idleSeconds);
  if (accesses?.kind === "lfu" && frequency !== undefined) accesses.setFrequency(entry, frequency);
}

/** The value's time is over already: all that is left to do is to remove what it replaces. */
function removeExpired(call: Call, old: number): void {
  if (old === 0) return;
  call.db.remove(old);
  call.dirty++;
  call.propagateAs = [["DEL", argView(call, 1)]];
}

/** @param ttl ms, 0 for none @returns unix ms; NaN for none */
export function expiryAt(ttl: number, startMs: number): number {
  return ttl === 0 ? Number.NaN : Math.min(startMs + ttl, EXPIRY_MS_MAX);
}

/** RESTORE with an absolute time, so that a replay does not start the time anew. */
export function restoreWords(
  call: Call,
  key: number,
  body: number,
  atMs: number,
): PropagatedCommand {
  const at = Number.isNaN(atMs) ? 0 : atMs;
  return ["RESTORE", argView(call, key), at, argView(call, body), "ABSTTL", "REPLACE"];
}

export const DUMP_HANDLERS = {
  DUMP: dump,
  RESTORE: restore,
} as const satisfies Record<string, Handler>;
