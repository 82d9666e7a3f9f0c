/**
 * The receiving end of a migration link: SLOTSRESTORE-ASYNC and what opens the link. Every answer
 * is an ACK (ack.ts); an error ends the connection.
 *
 *   delete k ──> string | object k ttl value              a value in one message
 *           └──> list | hash | dict | zset k ttl hint ... ──> expire k ttl
 *
 * A value in several messages has a time to live from the first on, so that half of it dies when
 * its source does. Checks are in the original's order. What is logged are standard commands with
 * absolute times, so that a log cut anywhere has what the link had brought.
 * Source: Codis extern/redis-3.2.11/src/slots_async.c; texts to the letter.
 */

import { parseInt64, parseSafeInteger } from "../../base/bytes.ts";
import { ACK_DONE, ACK_FAILED, writeAck, writeDone } from "../ack.ts";
import type { Arena } from "../arena/arena.ts";
import { entryKind } from "../arena/entry.ts";
import {
  argBytes,
  argEnd,
  argIs,
  argLength,
  argStart,
  argText,
  argView,
  type Call,
  type Handler,
  lookupWrite,
  type PropagatedCommand,
} from "../call.ts";
import { formatDouble } from "../double.ts";
import { lockOf } from "../key-locks.ts";
import { buildValue, storeValue } from "../rdb/build.ts";
import { payloadHeader } from "../rdb/read.ts";
import { hashLength, hashSet } from "../types/hash.ts";
import { listLength, pushLast } from "../types/list.ts";
import { setAdd, setLength } from "../types/set.ts";
import { HASH, LIST, SET, ZSET } from "../types/value-type.ts";
import { zsetLength, zsetSet } from "../types/zset.ts";
import { checkKeyLength, checkMemberLengths, headToGrow } from "./collections.ts";
import { authenticatePassword } from "./connection.ts";
import { expiryAt, restoreWords } from "./dump.ts";
import { encodingOf } from "./object.ts";

/** Arguments: 1 what to do, 2 key, 3 ttl, 4 value or hint, 5 and on elements. */
const KEY = 2;
const TTL = 3;
const VALUE = 4;
const FIRST_ELEMENT = 5;
/** The last version of the original's own payloads. */
const RDB_VERSION_MAX = 7;
const SCORE_BYTES = 8;
/** Of a key or word in an error text. */
const SHOWN_CHARS_MAX = 512;

/** Numbers of encodings in the texts. */
const ENCODING_NUMBERS: Readonly<Record<string, number>> = {
  raw: 0,
  int: 1,
  hashtable: 2,
  listpack: 5,
  intset: 6,
  skiplist: 7,
  embstr: 8,
  quicklist: 9,
};

/** What an ACK says after success; undefined when the request was refused, which is answered. */
type Outcome = number | undefined;

function refuse(call: Call, text: string): undefined {
  writeAck(call.out, ACK_FAILED, text);
  call.client.closeAfterReply();
  return undefined;
}

function shown(call: Call, i: number): string {
  return argText(call, i).slice(0, SHOWN_CHARS_MAX);
}

function refuseCount(call: Call): undefined {
  const text = `wrong number of arguments (argc=${call.argc},cmd=${shown(call, 1)})`;
  return refuse(call, text);
}

function refuseAbsent(call: Call): undefined {
  return refuse(call, `the specified key doesn't exist (${shown(call, KEY)})`);
}

/** Argument `i` as an integer that is not negative; undefined when it is none. */
function naturalAt(call: Call, i: number): number | undefined {
  const small = parseSafeInteger(call.buf, argStart(call, i), argEnd(call, i));
  if (small >= 0) return small;
  const value = parseInt64(call.buf, argStart(call, i), argEnd(call, i));
  return value === undefined || value < 0n ? undefined : Number(value);
}

/** Kinds of chunks: what they hold, and how an element of `step` arguments is added. */
interface ChunkKind {
  readonly type: number;
  readonly encoding: string;
  readonly step: 1 | 2;
  /** The command that does the same, for the log. */
  readonly command: string;
  add(arena: Arena, head: number, call: Call, i: number): void;
  length(arena: Arena, head: number): number;
}

const CHUNKS: Readonly<Record<string, ChunkKind>> = {
  list: {
    type: LIST,
    encoding: "quicklist",
    step: 1,
    command: "RPUSH",
    add: (arena, head, call, i) =>
      pushLast(arena, head, call.buf, argStart(call, i), argEnd(call, i)),
    length: listLength,
  },
  hash: {
    type: HASH,
    encoding: "hashtable",
    step: 2,
    command: "HSET",
    add: (arena, head, call, i) => {
      const { buf } = call;
      const [start, end] = [argStart(call, i + 1), argEnd(call, i + 1)];
      hashSet(arena, head, buf, argStart(call, i), argEnd(call, i), buf, start, end);
    },
    length: hashLength,
  },
  dict: {
    type: SET,
    encoding: "hashtable",
    step: 1,
    command: "SADD",
    add: (arena, head, call, i) =>
      setAdd(arena, head, call.buf, argStart(call, i), argEnd(call, i)),
    length: setLength,
  },
  zset: {
    type: ZSET,
    encoding: "skiplist",
    step: 2,
    command: "ZADD",
    add: (arena, head, call, i) =>
      zsetSet(arena, head, call.buf, argStart(call, i), argEnd(call, i), scoreAt(call, i + 1)),
    length: zsetLength,
  },
};

function restoreAsync(call: Call): void {
  const outcome = restorePart(call);
  if (outcome !== undefined) writeDone(call.out, outcome);
}

function restorePart(call: Call): Outcome {
  const { argc } = call;
  // Two servers that move keys to each other both fail.
  if (call.server.asyncMigrations.batchOf(call.db.index) !== undefined) {
    return refuse(call, "the specified DB is being migrated");
  }
  if (argc < 3) return refuseCount(call);
  if (isOnItsWay(call)) {
    return refuse(call, `the specified key is being migrated (${shown(call, KEY)})`);
  }
  if (argIs(call, 1, "delete")) return argc === 3 ? deleteKey(call) : refuseCount(call);
  if (argc < 4) return refuseCount(call);
  const ttl = naturalAt(call, TTL);
  if (ttl === undefined) return refuse(call, `invalid TTL value (TTL=${shown(call, TTL)})`);
  const atMs = expiryAt(ttl, call.nowMs);
  if (argIs(call, 1, "string")) return argc === 5 ? restoreString(call, atMs) : refuseCount(call);
  if (argIs(call, 1, "object")) return argc === 5 ? restoreObject(call, atMs) : refuseCount(call);
  if (argIs(call, 1, "expire")) return argc === 4 ? expireKey(call, atMs) : refuseCount(call);
  if (argc < 5) return refuseCount(call);
  if (naturalAt(call, VALUE) === undefined) {
    return refuse(call, `invalid Hint value (Hint=${shown(call, VALUE)})`);
  }
  const kind = CHUNKS[argText(call, 1).toLowerCase()];
  if (kind === undefined) {
    return refuse(call, `unknown command (argc=${argc},cmd=${shown(call, 1)})`);
  }
  return restoreChunk(call, kind, atMs);
}

/** The key is leaving, by a synchronous move or from another database. */
function isOnItsWay(call: Call): boolean {
  const { locks } = call.server;
  return locks.isBusy && locks.has(lockOf(call.buf, argStart(call, KEY), argEnd(call, KEY)));
}

function deleteKey(call: Call): Outcome {
  const entry = lookupWrite(call, KEY);
  if (entry === 0) return 0;
  call.db.remove(entry);
  call.dirty++;
  call.propagateAs = [["DEL", argView(call, KEY)]];
  return 1;
}

function expireKey(call: Call, atMs: number): Outcome {
  const entry = lookupWrite(call, KEY);
  if (entry === 0) return refuseAbsent(call);
  const words = setExpiry(call, entry, atMs);
  call.propagateAs = words === undefined ? [] : [words];
  call.dirty++;
  return 1;
}

/** @param atMs NaN for none @returns what to log, undefined when nothing changed */
function setExpiry(call: Call, entry: number, atMs: number): PropagatedCommand | undefined {
  if (!Number.isNaN(atMs)) {
    call.db.setExpiry(entry, atMs);
    return ["PEXPIREAT", argView(call, KEY), atMs];
  }
  if (Number.isNaN(call.db.expiryOf(entry))) return undefined;
  call.db.persist(entry);
  return ["PERSIST", argView(call, KEY)];
}

function refuseTaken(call: Call): undefined {
  return refuse(call, `the specified key already exists (${shown(call, KEY)})`);
}

function restoreString(call: Call, atMs: number): Outcome {
  if (lookupWrite(call, KEY) !== 0) return refuseTaken(call);
  checkKeyLength(call, KEY);
  const { buf } = call;
  const [from, to] = [argStart(call, KEY), argEnd(call, KEY)];
  call.db.setString(buf, from, to, buf, argStart(call, VALUE), argEnd(call, VALUE), atMs);
  call.dirty++;
  if (call.server.journal === undefined) return 1;
  const time = Number.isNaN(atMs) ? [] : ["PXAT", atMs];
  call.propagateAs = [["SET", argView(call, KEY), argView(call, VALUE), ...time]];
  return 1;
}

function restoreObject(call: Call, atMs: number): Outcome {
  if (lookupWrite(call, KEY) !== 0) return refuseTaken(call);
  checkKeyLength(call, KEY);
  const { buf } = call;
  const [start, end] = [argStart(call, VALUE), argEnd(call, VALUE)];
  const header = payloadHeader(buf, start, end);
  if (header === undefined || header.version > RDB_VERSION_MAX) {
    return refuse(call, "invalid payload checksum");
  }
  if (!header.isKnownType) return refuse(call, "invalid payload type");
  const value = buildValue(call.server.databases, buf, start, end);
  if (value === "footer") return refuse(call, "invalid payload checksum");
  if (value === "body") return refuse(call, "invalid payload body");
  storeValue(call.db, buf, argStart(call, KEY), argEnd(call, KEY), value, atMs);
  call.dirty++;
  if (call.server.journal !== undefined) {
    call.propagateAs = [restoreWords(call, KEY, VALUE, atMs)];
  }
  return 1;
}

function restoreChunk(call: Call, kind: ChunkKind, atMs: number): Outcome {
  const { arena, argc } = call;
  if ((argc - FIRST_ELEMENT) % kind.step !== 0) return refuseCount(call);
  const found = lookupWrite(call, KEY);
  if (found === 0 && argc === FIRST_ELEMENT) return refuseAbsent(call);
  if (found !== 0 && entryKind(arena, found) !== kind.type) return refuseType(call, kind, found);
  if (kind.type === ZSET && !checkScores(call)) return undefined;
  checkKeyLength(call, KEY);
  if (kind.type !== LIST && argc > FIRST_ELEMENT) {
    checkMemberLengths(call, FIRST_ELEMENT, kind.step);
  }
  const head = headToGrow(call, KEY, kind.type, found);
  for (let i = FIRST_ELEMENT; i < argc; i += kind.step) kind.add(arena, head, call, i);
  call.dirty++;
  call.server.chunkReceivedMs = call.nowMs;
  const length = kind.length(arena, head);
  const time = setExpiry(call, lookupWrite(call, KEY), atMs);
  if (call.server.journal !== undefined) call.propagateAs = chunkWords(call, kind, time);
  return length;
}

/** As the original, which names its own encodings: a value of another one is taken all the same. */
function refuseType(call: Call, kind: ChunkKind, found: number): undefined {
  const expected = `${kind.type}/${ENCODING_NUMBERS[kind.encoding]}`;
  const got = `${entryKind(call.arena, found)}/${ENCODING_NUMBERS[encodingOf(call, found)]}`;
  return refuse(call, `wrong type (expect=${expected},got=${got})`);
}

/** The score in argument `i`: a double, little endian. */
function scoreAt(call: Call, i: number): number {
  return call.buf.readDoubleLE(argStart(call, i));
}

/** @returns false when one of them is none, which is answered */
function checkScores(call: Call): boolean {
  for (let i = FIRST_ELEMENT + 1; i < call.argc; i += 2) {
    const named = `invalid zset score ([${(i - FIRST_ELEMENT - 1) / 2}])`;
    if (argLength(call, i) !== SCORE_BYTES) {
      refuse(call, `${named}, bad raw bits`);
      return false;
    }
    if (Number.isNaN(scoreAt(call, i))) {
      refuse(call, `${named}, not a number`);
      return false;
    }
  }
  return true;
}

function chunkWords(
  call: Call,
  kind: ChunkKind,
  time: PropagatedCommand | undefined,
): PropagatedCommand[] {
  const words: (string | Buffer)[] = [kind.command, argView(call, KEY)];
  for (let i = FIRST_ELEMENT; i < call.argc; i += kind.step) {
    if (kind.type === ZSET) words.push(formatDouble(scoreAt(call, i + 1)), argView(call, i));
    else words.push(argView(call, i));
    if (kind.type === HASH) words.push(argView(call, i + 1));
  }
  const commands: PropagatedCommand[] = call.argc === FIRST_ELEMENT ? [] : [words];
  if (time !== undefined) commands.push(time);
  return commands;
}

function authLink(call: Call): void {
  if (call.server.config.requirepass === "") {
    refuse(call, "Client sent AUTH, but no password is set");
    return;
  }
  call.client.isAuthenticated = authenticatePassword(call, argBytes(call, 1));
  if (call.client.isAuthenticated) writeAck(call.out, ACK_DONE, "OK");
  else refuse(call, "invalid password");
}

function selectOnLink(call: Call): void {
  const index = naturalAt(call, 1);
  if (index === undefined || index >= call.server.config.databases) {
    refuse(call, `invalid DB index (${shown(call, 1)})`);
    return;
  }
  call.client.dbIndex = index;
  writeAck(call.out, ACK_DONE, "OK");
}

/** An ACK belongs on a link that this server opened: those are no sessions (async-link.ts). */
function refuseAck(call: Call): void {
  call.out.error("ERR invalid client, permission denied");
  call.client.closeAfterReply();
}

export const RESTORE_ASYNC_HANDLERS = {
  "SLOTSRESTORE-ASYNC": restoreAsync,
  "SLOTSRESTORE-ASYNC-ACK": refuseAck,
  "SLOTSRESTORE-ASYNC-AUTH": authLink,
  "SLOTSRESTORE-ASYNC-SELECT": selectOnLink,
} as const satisfies Record<string, Handler>;
