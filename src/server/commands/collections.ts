/**
 * What the commands of lists, hashes, sets and sorted sets share: finding the structure of a key,
 * making one, dropping it when empty, and small readers of arguments.
 *
 * `head` is the ref of a collection's head block, which its key keeps as its value word.
 */

import { equalBytes } from "../../base/bytes.ts";
import type { Arena } from "../arena/arena.ts";
import { ENTRY_KEY_BYTES_MAX, entryValueWord } from "../arena/entry.ts";
import {
  argEnd,
  argInteger,
  argLength,
  argStart,
  type Call,
  insertKey,
  readTyped,
  writeTyped,
} from "../call.ts";
import { KEY_TOO_LONG, NOT_POSITIVE, ReplyError } from "../replies.ts";
import type { ByteRange } from "../types/byte-range.ts";
import { createHash } from "../types/hash.ts";
import { createList } from "../types/list.ts";
import { createSet } from "../types/set.ts";
import { HASH, LIST, SET, ZSET } from "../types/value-type.ts";
import { createZset } from "../types/zset.ts";

const TOO_LONG_ERROR = new ReplyError(KEY_TOO_LONG);
const NOT_POSITIVE_ERROR = new ReplyError(NOT_POSITIVE);

const CREATE = new Map([
  [LIST, createList],
  [SET, createSet],
  [ZSET, createZset],
  [HASH, createHash],
]);

/** The collection of the key in argument `i`, for reading; 0 when there is no such key. */
export function readHead(call: Call, i: number, type: number): number {
  const entry = readTyped(call, i, type);
  return entry === 0 ? 0 : entryValueWord(call.arena, entry);
}

/**
 * The collection of the key in argument `i`, for adding to it, made when there is none. Nothing may
 * be thrown afterwards, and something must be added.
 * @param entry of the key, from `writeTyped`; or 0
 */
export function headToGrow(call: Call, i: number, type: number, entry: number): number {
  if (entry !== 0) return entryValueWord(call.arena, entry);
  // Before the structure exists, which nobody would free.
  if (argLength(call, i) > ENTRY_KEY_BYTES_MAX) throw TOO_LONG_ERROR;
  const head = CREATE.get(type)!(call.arena);
  insertKey(call, i, type, head);
  return head;
}

/**
 * Makes `head`, whose collection no key names yet, the value of the key in argument `i`, whatever
 * that was before; its expiry goes. An empty collection (`length` 0) is freed and the key removed.
 * @returns whether anything changed
 */
export function storeHead(
  call: Call,
  i: number,
  type: number,
  head: number,
  length: number,
): boolean {
  const entry = call.db.lookupWrite(call.buf, argStart(call, i), argEnd(call, i));
  if (length === 0) {
    call.server.databases.release(type, head);
    if (entry === 0) return false;
    call.db.remove(entry);
    return true;
  }
  if (entry === 0) insertKey(call, i, type, head);
  else call.db.overwrite(entry, type, head, false);
  return true;
}

/** Removes what is called `buf[from, to)` from a collection. Returns whether it was there. */
type RemoveByName = (arena: Arena, head: number, buf: Buffer, from: number, to: number) => boolean;

/** HDEL, SREM, ZREM: `key name ...`. The key goes with the last of them. */
export function removeNamed(
  call: Call,
  type: number,
  remove: RemoveByName,
  length: (arena: Arena, head: number) => number,
): void {
  const { arena, buf } = call;
  const entry = writeTyped(call, 1, type);
  if (entry === 0) {
    call.out.integer(0);
    return;
  }
  const head = entryValueWord(arena, entry);
  let removed = 0;
  for (let i = 2; i < call.argc; i++) {
    if (remove(arena, head, buf, argStart(call, i), argEnd(call, i))) removed++;
  }
  if (length(arena, head) === 0) call.db.remove(entry);
  call.dirty += removed;
  call.out.integer(removed);
}

/** Throws ReplyError when argument `i`, a key to be made, is longer than a key can be. */
export function checkKeyLength(call: Call, i: number): void {
  if (argLength(call, i) > ENTRY_KEY_BYTES_MAX) throw TOO_LONG_ERROR;
}

/**
 * Throws ReplyError when one of the arguments `from`, `from + step`, ... is too long for a member.
 */
export function checkMemberLengths(call: Call, from: number, step: number): void {
  const last = call.argc - 1;
  if (call.args[2 * last + 1]! - call.args[2 * from]! <= ENTRY_KEY_BYTES_MAX) return;
  for (let i = from; i <= last; i += step) {
    if (argLength(call, i) > ENTRY_KEY_BYTES_MAX) throw TOO_LONG_ERROR;
  }
}

/**
 * Argument `i`, 0 or more. @throws ReplyError `value is out of range, must be positive` or `text`
 */
export function argCount(call: Call, i: number, error = NOT_POSITIVE_ERROR): number {
  const value = argInteger(call, i, error);
  if (value < 0) throw error;
  return value;
}

/** Argument `i`, 1 or more. @throws ReplyError with `error` */
export function argAtLeastOne(call: Call, i: number, error: ReplyError): number {
  const value = argInteger(call, i, error);
  if (value < 1) throw error;
  return value;
}

/** The argument `i` equals the bytes of `range`. */
export function argEqualsRange(call: Call, i: number, range: ByteRange): boolean {
  const { bytes, start, end } = range;
  return equalBytes(bytes, start, end, call.buf, argStart(call, i), argEnd(call, i));
}

/** Replies the bytes of `range`. */
export function replyRange(call: Call, range: ByteRange): void {
  call.out.bulk(range.bytes, range.start, range.end);
}

/** A count that no collection reaches: all of them. */
export const ALL_ELEMENTS = Number.MAX_SAFE_INTEGER;

/** Longest head that `prependReply` is given. */
const REPLY_HEAD_BYTES_MAX = 64;

/**
 * Puts `head` (ASCII) before what was written since the writer's length was `mark`: for a reply
 * whose number of elements is known only at its end.
 */
export function prependReply(call: Call, mark: number, head: string): void {
  const { out } = call;
  const end = out.length;
  out.reserve(REPLY_HEAD_BYTES_MAX);
  out.buf.copyWithin(mark + head.length, mark, end);
  out.buf.write(head, mark, "latin1");
  out.length = end + head.length;
}

/** Puts the header of an array of `count` elements before them, see `prependReply`. */
export function prependArray(call: Call, mark: number, count: number): void {
  prependReply(call, mark, `*${count}\r\n`);
}
