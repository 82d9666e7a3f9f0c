/**
 * Lists. Source of texts and details, also of which argument is looked at first: Redis 7.0
 * src/t_list.c. Commands that wait for an element are not served yet.
 */

import { entryValueWord } from "../arena/entry.ts";
import {
  argBytes,
  argEnd,
  argInteger,
  argIs,
  argStart,
  type Call,
  failSyntax,
  type Handler,
  writeTyped,
} from "../call.ts";
import {
  INDEX_OUT_OF_RANGE,
  NO_SUCH_KEY,
  NUMKEYS_ERROR,
  POP_COUNT_ERROR,
  ReplyError,
  wrongArity,
} from "../replies.ts";
import {
  compactList,
  insertAtShown,
  ListWalk,
  listLength,
  pushFirst,
  pushLast,
  removeFirst,
  removeLast,
  removeShown,
  replaceShown,
} from "../types/list.ts";
import { LIST } from "../types/value-type.ts";
import {
  ALL_ELEMENTS,
  argAtLeastOne,
  argCount,
  argEqualsRange,
  checkKeyLength,
  headToGrow,
  readHead,
  replyRange,
} from "./collections.ts";

const walk = new ListWalk();

/** Adds the arguments from 2 on, one by one. */
function push(call: Call, atFirst: boolean, onlyExisting: boolean): void {
  const entry = writeTyped(call, 1, LIST);
  if (entry === 0 && onlyExisting) {
    call.out.integer(0);
    return;
  }
  const head = headToGrow(call, 1, LIST, entry);
  for (let i = 2; i < call.argc; i++) {
    if (atFirst) pushFirst(call.arena, head, call.buf, argStart(call, i), argEnd(call, i));
    else pushLast(call.arena, head, call.buf, argStart(call, i), argEnd(call, i));
  }
  call.dirty += call.argc - 2;
  call.out.integer(listLength(call.arena, head));
}

/** Removes elements from one side, and the key when none is left. */
function drop(call: Call, entry: number, head: number, count: number, atFirst: boolean): void {
  call.dirty += count;
  if (count === listLength(call.arena, head)) {
    call.db.remove(entry);
    return;
  }
  if (atFirst) removeFirst(call.arena, head, count);
  else removeLast(call.arena, head, count);
}

/** Replies up to `count` elements from index `from` on, in either direction, without a header. */
function replyElements(
  call: Call,
  head: number,
  from: number,
  count: number,
  isBackward: boolean,
): void {
  walk.begin(call.arena, head, from, isBackward);
  for (let i = 0; i < count && walk.next(); i++) replyRange(call, walk.element);
}

function pop(call: Call, atFirst: boolean): void {
  if (call.argc > 3) throw new ReplyError(wrongArity(call.command.name));
  const wanted = call.argc === 3 ? argCount(call, 2) : -1;
  const entry = writeTyped(call, 1, LIST);
  if (entry === 0) {
    if (wanted < 0) call.out.nil();
    else call.out.nilArray();
    return;
  }
  const head = entryValueWord(call.arena, entry);
  if (wanted >= 0) {
    popMany(call, entry, head, wanted, atFirst);
    return;
  }
  replyElements(call, head, atFirst ? 0 : listLength(call.arena, head) - 1, 1, !atFirst);
  drop(call, entry, head, 1, atFirst);
}

/** Replies and removes up to `wanted` elements from one side. */
function popMany(call: Call, entry: number, head: number, wanted: number, atFirst: boolean): void {
  const length = listLength(call.arena, head);
  const count = Math.min(wanted, length);
  call.out.array(count);
  if (count === 0) return;
  replyElements(call, head, atFirst ? 0 : length - 1, count, !atFirst);
  drop(call, entry, head, count, atFirst);
}

/** LEFT or RIGHT at argument `i`: whether it is the first element that is meant. */
function argIsLeft(call: Call, i: number): boolean {
  if (argIs(call, i, "left")) return true;
  return argIs(call, i, "right") ? false : failSyntax();
}

function popFromFirstOf(call: Call): void {
  const numkeys = argAtLeastOne(call, 1, NUMKEYS_ERROR);
  const side = numkeys + 2;
  if (side >= call.argc) failSyntax();
  const atFirst = argIsLeft(call, side);
  let wanted = -1;
  for (let i = side + 1; i < call.argc; i += 2) {
    if (wanted >= 0 || !argIs(call, i, "count") || i + 1 === call.argc) failSyntax();
    wanted = argAtLeastOne(call, i + 1, POP_COUNT_ERROR);
  }
  if (wanted < 0) wanted = 1;
  for (let i = 2; i < side; i++) {
    const entry = writeTyped(call, i, LIST);
    if (entry === 0) continue;
    const head = entryValueWord(call.arena, entry);
    const count = Math.min(wanted, listLength(call.arena, head));
    call.propagateAs = [[atFirst ? "LPOP" : "RPOP", argBytes(call, i), count]];
    call.out.array(2);
    call.out.bulk(call.buf, argStart(call, i), argEnd(call, i));
    popMany(call, entry, head, count, atFirst);
    return;
  }
  call.out.nilArray();
}

function length(call: Call): void {
  const head = readHead(call, 1, LIST);
  call.out.integer(head === 0 ? 0 : listLength(call.arena, head));
}

function index(call: Call): void {
  const head = readHead(call, 1, LIST);
  if (head === 0) {
    call.out.nil();
    return;
  }
  let at = argInteger(call, 2);
  if (at < 0) at += listLength(call.arena, head);
  walk.begin(call.arena, head, at, false);
  if (walk.next()) replyRange(call, walk.element);
  else call.out.nil();
}

function setAtIndex(call: Call): void {
  const entry = writeTyped(call, 1, LIST);
  if (entry === 0) throw new ReplyError(NO_SUCH_KEY);
  const head = entryValueWord(call.arena, entry);
  let at = argInteger(call, 2);
  if (at < 0) at += listLength(call.arena, head);
  walk.begin(call.arena, head, at, false);
  if (!walk.next()) throw new ReplyError(INDEX_OUT_OF_RANGE);
  replaceShown(call.arena, head, walk, call.buf, argStart(call, 3), argEnd(call, 3));
  call.dirty++;
  call.out.ok();
}

/** First index of a range that was asked for as `start`, negative from the end. */
function firstIndex(start: number, count: number): number {
  return start < 0 ? Math.max(0, start + count) : start;
}

/** Last index of a range that was asked for as `end`; -1 when it ends before the first. */
function lastIndex(end: number, count: number): number {
  return Math.min(end < 0 ? end + count : end, count - 1);
}

function range(call: Call): void {
  const start = argInteger(call, 2);
  const end = argInteger(call, 3);
  const head = readHead(call, 1, LIST);
  const held = head === 0 ? 0 : listLength(call.arena, head);
  const first = firstIndex(start, held);
  const last = lastIndex(end, held);
  if (first > last) {
    call.out.emptyArray();
    return;
  }
  call.out.array(last - first + 1);
  replyElements(call, head, first, last - first + 1, false);
}

function trim(call: Call): void {
  const start = argInteger(call, 2);
  const end = argInteger(call, 3);
  const entry = writeTyped(call, 1, LIST);
  call.out.ok();
  if (entry === 0) return;
  const head = entryValueWord(call.arena, entry);
  const held = listLength(call.arena, head);
  const first = firstIndex(start, held);
  const last = lastIndex(end, held);
  call.dirty += first > last ? held : held - (last - first + 1);
  if (first > last) {
    call.db.remove(entry);
    return;
  }
  removeLast(call.arena, head, held - 1 - last);
  removeFirst(call.arena, head, first);
}

function removeEqual(call: Call): void {
  const wanted = argInteger(call, 2);
  const entry = writeTyped(call, 1, LIST);
  if (entry === 0) {
    call.out.integer(0);
    return;
  }
  const head = entryValueWord(call.arena, entry);
  const limit = wanted === 0 ? ALL_ELEMENTS : Math.abs(wanted);
  let removed = 0;
  walk.begin(call.arena, head, wanted < 0 ? listLength(call.arena, head) - 1 : 0, wanted < 0);
  while (removed < limit && walk.next()) {
    if (!argEqualsRange(call, 3, walk.element)) continue;
    removeShown(call.arena, head, walk);
    removed++;
  }
  call.dirty += removed;
  if (removed > 0 && listLength(call.arena, head) > 0) compactList(call.arena, head);
  else if (removed > 0) call.db.remove(entry);
  call.out.integer(removed);
}

function insert(call: Call): void {
  const isBefore = argIs(call, 2, "before");
  if (!isBefore && !argIs(call, 2, "after")) failSyntax();
  const entry = writeTyped(call, 1, LIST);
  if (entry === 0) {
    call.out.integer(0);
    return;
  }
  const head = entryValueWord(call.arena, entry);
  walk.begin(call.arena, head, 0, false);
  while (walk.next()) {
    if (!argEqualsRange(call, 3, walk.element)) continue;
    insertAtShown(call.arena, head, walk, isBefore, call.buf, argStart(call, 4), argEnd(call, 4));
    call.dirty++;
    call.out.integer(listLength(call.arena, head));
    return;
  }
  call.out.integer(-1);
}

/** Elements up to this size are moved through one buffer that is kept. */
const MOVE_BUFFER_BYTES = 16 * 1024;
const moveBuffer = Buffer.alloc(MOVE_BUFFER_BYTES);

/** Moves one element from the list in argument 1 to the one in argument 2, perhaps the same. */
function move(call: Call, fromFirst: boolean, toFirst: boolean): void {
  const entry = writeTyped(call, 1, LIST);
  if (entry === 0) {
    call.out.nil();
    return;
  }
  const target = writeTyped(call, 2, LIST);
  checkKeyLength(call, 2);
  const source = entryValueWord(call.arena, entry);
  const at = fromFirst ? 0 : listLength(call.arena, source) - 1;
  walk.begin(call.arena, source, at, !fromFirst);
  walk.next();
  const { bytes, start, end } = walk.element;
  const size = end - start;
  // Out of the arena first: adding to the same list may move what lies in it.
  const element = size <= MOVE_BUFFER_BYTES ? moveBuffer : Buffer.allocUnsafeSlow(size);
  bytes.copy(element, 0, start, end);
  call.out.bulk(element, 0, size);
  const head = headToGrow(call, 2, LIST, target);
  if (toFirst) pushFirst(call.arena, head, element, 0, size);
  else pushLast(call.arena, head, element, 0, size);
  drop(call, entry, source, 1, fromFirst);
}

function moveBetween(call: Call): void {
  const fromFirst = argIsLeft(call, 3);
  move(call, fromFirst, argIsLeft(call, 4));
}

const RANK_ERROR = new ReplyError(
  "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... " +
    "or use negative to start from the end of the list",
);
const POSITION_COUNT_ERROR = new ReplyError("ERR COUNT can't be negative");
const MAXLEN_ERROR = new ReplyError("ERR MAXLEN can't be negative");

interface PositionOptions {
  /** From the end when negative. */
  rank: number;
  /** -1 when not given, 0 for all. */
  count: number;
  /** Elements to look at, 0 for all. */
  maxlen: number;
}

function readPositionOptions(call: Call): PositionOptions {
  const options: PositionOptions = { rank: 1, count: -1, maxlen: 0 };
  for (let i = 3; i < call.argc; i += 2) {
    const hasValue = i + 1 < call.argc;
    if (hasValue && argIs(call, i, "rank")) {
      options.rank = argInteger(call, i + 1);
      if (options.rank === 0) throw RANK_ERROR;
    } else if (hasValue && argIs(call, i, "count")) {
      options.count = argCount(call, i + 1, POSITION_COUNT_ERROR);
    } else if (hasValue && argIs(call, i, "maxlen")) {
      options.maxlen = argCount(call, i + 1, MAXLEN_ERROR);
    } else failSyntax();
  }
  return options;
}

function position(call: Call): void {
  const { rank, count, maxlen } = readPositionOptions(call);
  const head = readHead(call, 1, LIST);
  if (head === 0) {
    if (count < 0) call.out.nil();
    else call.out.emptyArray();
    return;
  }
  const held = listLength(call.arena, head);
  const limit = maxlen === 0 ? held : Math.min(held, maxlen);
  const wanted = count < 0 ? 1 : count === 0 ? held : count;
  const found: number[] = [];
  let toSkip = Math.abs(rank) - 1;
  walk.begin(call.arena, head, rank < 0 ? held - 1 : 0, rank < 0);
  for (let i = 0; i < limit && found.length < wanted && walk.next(); i++) {
    if (!argEqualsRange(call, 2, walk.element)) continue;
    if (toSkip > 0) toSkip--;
    else found.push(rank < 0 ? held - 1 - i : i);
  }
  if (count < 0) {
    if (found.length === 0) call.out.nil();
    else call.out.integer(found[0]!);
    return;
  }
  call.out.array(found.length);
  for (const at of found) call.out.integer(at);
}

export const LIST_HANDLERS = {
  LINDEX: index,
  LINSERT: insert,
  LLEN: length,
  LMOVE: moveBetween,
  LMPOP: popFromFirstOf,
  LPOP: (call) => pop(call, true),
  LPOS: position,
  LPUSH: (call) => push(call, true, false),
  LPUSHX: (call) => push(call, true, true),
  LRANGE: range,
  LREM: removeEqual,
  LSET: setAtIndex,
  LTRIM: trim,
  RPOP: (call) => pop(call, false),
  RPOPLPUSH: (call) => move(call, false, true),
  RPUSH: (call) => push(call, false, false),
  RPUSHX: (call) => push(call, false, true),
} as const satisfies Record<string, Handler>;
