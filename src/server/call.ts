/**
 * What a command handler gets, and the ways to read its arguments. A handler reads all arguments
 * and checks the types of its keys, then changes keys, counts changes in `call.dirty`, and writes
 * exactly one reply to `call.out`. It throws ReplyError only before the first change.
 *
 *   execute.ts ──Call──> handler(call) ──> call.out (reply), call.dirty, call.propagateAs
 *
 * One Call object serves all requests of a server, one after the other: keep none of it.
 */

import { equalFold, parseInt64, parseSafeInteger } from "../base/bytes.ts";
import type { Command } from "../commands/lookup.ts";
import type { ReplyWriter, RequestArgs } from "../resp/encoder.ts";
import type { Arena } from "./arena/arena.ts";
import { entryKind } from "./arena/entry.ts";
import type { Client } from "./client.ts";
import { parseDouble } from "./double.ts";
import type { Keyspace } from "./keyspace.ts";
import { NOT_FLOAT_ERROR, NOT_INTEGER_ERROR, SYNTAX_ERROR, WRONG_TYPE_ERROR } from "./replies.ts";
import type { ServerState } from "./state.ts";
import { createWarmKeys, takeKeysOf } from "./warm.ts";

/** A command as words, for the append-only file and replicas. */
export type PropagatedCommand = RequestArgs;

export interface Call {
  readonly server: ServerState;
  readonly arena: Arena;
  command: Command;
  client: Client;
  /** The client's selected database. */
  db: Keyspace;
  /** Holds the request; valid during the call only. */
  buf: Buffer;
  /** args[2 * i] and args[2 * i + 1]: where argument i starts and ends in `buf`. 0 is the name. */
  args: Int32Array;
  argc: number;
  out: ReplyWriter;
  /** Unix ms, one reading per turn. */
  nowMs: number;
  /** Changes made; more than 0 has the command propagated. */
  dirty: number;
  /**
   * What to propagate instead of the request as it came; an empty list propagates nothing. Not
   * looked at without a journal. Its buffers need not outlive the call.
   */
  propagateAs: PropagatedCommand[] | undefined;
  /** Set by SLOTSMGRT-EXEC-WRAPPER: the command in it, which is to run next. */
  inner: Command | undefined;
}

export type Handler = (call: Call) => void;

/** Where argument `i` starts in `call.buf`. */
export function argStart(call: Call, i: number): number {
  return call.args[2 * i]!;
}

/** Where argument `i` ends in `call.buf`. */
export function argEnd(call: Call, i: number): number {
  return call.args[2 * i + 1]!;
}

/** Bytes of argument `i`. */
export function argLength(call: Call, i: number): number {
  return call.args[2 * i + 1]! - call.args[2 * i]!;
}

/** Argument `i` as text, a char per byte. Not for keys and values on the hot path. */
export function argText(call: Call, i: number): string {
  return call.buf.toString("latin1", call.args[2 * i]!, call.args[2 * i + 1]!);
}

/** Argument `i` in bytes of its own, which may be kept. */
export function argBytes(call: Call, i: number): Buffer {
  return Buffer.from(call.buf.subarray(call.args[2 * i]!, call.args[2 * i + 1]!));
}

/** The bytes of argument `i` where they lie, valid during the call: for `propagateAs`. */
export function argView(call: Call, i: number): Buffer {
  return call.buf.subarray(call.args[2 * i]!, call.args[2 * i + 1]!);
}

/** Argument `i` is this word; case does not matter. @param word lower case ASCII */
export function argIs(call: Call, i: number, word: string): boolean {
  return equalFold(call.buf, call.args[2 * i]!, call.args[2 * i + 1]!, word);
}

/**
 * Argument `i`, a 64-bit decimal; beyond 2^53 the nearest double, which is enough for positions and
 * counts.
 * @throws ReplyError "value is not an integer or out of range", or `error`
 */
export function argInteger(call: Call, i: number, error = NOT_INTEGER_ERROR): number {
  const from = call.args[2 * i]!;
  const to = call.args[2 * i + 1]!;
  const value = parseSafeInteger(call.buf, from, to);
  if (!Number.isNaN(value)) return value;
  const exact = parseInt64(call.buf, from, to);
  if (exact === undefined) throw error;
  return Number(exact);
}

/** Argument `i`, a 64-bit decimal. @throws ReplyError as argInteger */
export function argInt64(call: Call, i: number, error = NOT_INTEGER_ERROR): bigint {
  const value = parseInt64(call.buf, call.args[2 * i]!, call.args[2 * i + 1]!);
  if (value === undefined) throw error;
  return value;
}

/** Argument `i`, a double. @throws ReplyError "value is not a valid float" */
export function argDouble(call: Call, i: number): number {
  const value = parseDouble(call.buf, call.args[2 * i]!, call.args[2 * i + 1]!);
  if (Number.isNaN(value)) throw NOT_FLOAT_ERROR;
  return value;
}

/** The key in argument `i` for reading: its entry, or 0. */
export function lookupRead(call: Call, i: number): number {
  return call.db.lookupRead(call.buf, call.args[2 * i]!, call.args[2 * i + 1]!);
}

/** The key in argument `i` for writing: its entry, or 0. */
export function lookupWrite(call: Call, i: number): number {
  return call.db.lookupWrite(call.buf, call.args[2 * i]!, call.args[2 * i + 1]!);
}

const severalKeys = createWarmKeys();

/**
 * Before the keys in arguments `first`, `first + step`, ... are looked up in this order: see
 * warm.ts.
 * @returns for how many of them that holds, at least 1
 */
export function warmKeys(call: Call, first: number, step: number): number {
  const count = takeKeysOf(severalKeys, call.buf, call.args, call.argc, first, step);
  if (count > 1) call.db.warm(severalKeys);
  return count;
}

/** As lookupRead. @throws ReplyError WRONGTYPE when the key holds another type */
export function readTyped(call: Call, i: number, type: number): number {
  const entry = lookupRead(call, i);
  if (entry !== 0 && entryKind(call.arena, entry) !== type) throw WRONG_TYPE_ERROR;
  return entry;
}

/** As lookupWrite. @throws ReplyError WRONGTYPE when the key holds another type */
export function writeTyped(call: Call, i: number, type: number): number {
  const entry = lookupWrite(call, i);
  if (entry !== 0 && entryKind(call.arena, entry) !== type) throw WRONG_TYPE_ERROR;
  return entry;
}

/** A new key named by argument `i`, which does not exist. See Keyspace.insert. */
export function insertKey(call: Call, i: number, type: number, valueWord: number): number {
  return call.db.insert(call.buf, call.args[2 * i]!, call.args[2 * i + 1]!, type, valueWord);
}

/** @throws ReplyError "syntax error" */
export function failSyntax(): never {
  throw SYNTAX_ERROR;
}
