/**
 * Sets, one at a time; those over several sets are in set-algebra.ts. Source of texts and details,
 * also of which argument is looked at first: Redis 7.0 src/t_set.c.
 */

import { entryValueWord } from "../arena/entry.ts";
import {
  argBytes,
  argEnd,
  argStart,
  argView,
  type Call,
  failSyntax,
  type Handler,
  type PropagatedCommand,
  writeTyped,
} from "../call.ts";
import { createByteRange } from "../types/byte-range.ts";
import { SetWalk, setAdd, setHas, setLength, setRandom, setRemove } from "../types/set.ts";
import { SET } from "../types/value-type.ts";
import {
  argCount,
  checkKeyLength,
  checkMemberLengths,
  headToGrow,
  readHead,
  removeNamed,
  replyRange,
} from "./collections.ts";
import type { ElementsKind } from "./elements.ts";
import { pickRandom } from "./picks.ts";
import { scanCollection } from "./scan.ts";

const walk = new SetWalk();
const member = createByteRange();

function add(call: Call): void {
  checkMemberLengths(call, 2, 1);
  const head = headToGrow(call, 1, SET, writeTyped(call, 1, SET));
  let added = 0;
  for (let i = 2; i < call.argc; i++) {
    if (setAdd(call.arena, head, call.buf, argStart(call, i), argEnd(call, i))) added++;
  }
  call.dirty += added;
  call.out.integer(added);
}

/** Whether argument `i` is a member; `head` may be 0. */
function has(call: Call, head: number, i: number): boolean {
  return head !== 0 && setHas(call.arena, head, call.buf, argStart(call, i), argEnd(call, i));
}

function isMember(call: Call): void {
  call.out.integer(has(call, readHead(call, 1, SET), 2) ? 1 : 0);
}

function areMembers(call: Call): void {
  const head = readHead(call, 1, SET);
  call.out.array(call.argc - 2);
  for (let i = 2; i < call.argc; i++) call.out.integer(has(call, head, i) ? 1 : 0);
}

function length(call: Call): void {
  const head = readHead(call, 1, SET);
  call.out.integer(head === 0 ? 0 : setLength(call.arena, head));
}

/** Replies with all members. */
export function replyMembers(call: Call, head: number): void {
  if (head === 0) {
    call.out.emptyArray();
    return;
  }
  call.out.array(setLength(call.arena, head));
  walk.begin(call.arena, head);
  while (walk.next()) replyRange(call, walk.member);
}

function move(call: Call): void {
  const sourceEntry = writeTyped(call, 1, SET);
  if (sourceEntry === 0) {
    call.out.integer(0);
    return;
  }
  const targetEntry = writeTyped(call, 2, SET);
  const source = entryValueWord(call.arena, sourceEntry);
  const isThere = has(call, source, 3);
  if (!isThere || sourceEntry === targetEntry) {
    call.out.integer(isThere ? 1 : 0);
    return;
  }
  checkKeyLength(call, 2);
  const from = argStart(call, 3);
  const to = argEnd(call, 3);
  const target = headToGrow(call, 2, SET, targetEntry);
  setAdd(call.arena, target, call.buf, from, to);
  setRemove(call.arena, source, call.buf, from, to);
  if (setLength(call.arena, source) === 0) call.db.remove(sourceEntry);
  call.dirty++;
  call.out.integer(1);
}

/** Behind a bulk. */
const CRLF_BYTES = 2;
/** Members in one propagated SREM. */
const REMOVED_MAX = 1024;

function pop(call: Call): void {
  if (call.argc > 3) failSyntax();
  const wanted = call.argc === 3 ? argCount(call, 2) : -1;
  const entry = writeTyped(call, 1, SET);
  if (entry === 0 || wanted === 0) {
    if (wanted < 0) call.out.nil();
    else call.out.emptyArray();
    return;
  }
  const head = entryValueWord(call.arena, entry);
  if (wanted < 0) popOne(call, entry, head);
  else if (wanted >= setLength(call.arena, head)) popAll(call, entry, head);
  else popSome(call, head, wanted);
}

function popAll(call: Call, entry: number, head: number): void {
  call.dirty += setLength(call.arena, head);
  replyMembers(call, head);
  call.db.remove(entry);
  call.propagateAs = [["DEL", argBytes(call, 1)]];
}

/** Pops one member, be it the last. */
function popOne(call: Call, entry: number, head: number): void {
  const { arena, out } = call;
  setRandom(arena, head, Math.random, member);
  out.bulk(member.bytes, member.start, member.end);
  // Its name in the set ends with it; what the reply has of it stays.
  const end = out.length - CRLF_BYTES;
  const start = end - (member.end - member.start);
  setRemove(arena, head, out.buf, start, end);
  if (call.server.journal !== undefined) {
    call.propagateAs = [["SREM", argView(call, 1), out.buf.subarray(start, end)]];
  }
  if (setLength(arena, head) === 0) call.db.remove(entry);
  call.dirty++;
}

/** Pops `count` members, fewer than there are, at least one. */
function popSome(call: Call, head: number, count: number): void {
  call.out.array(count);
  const commands: PropagatedCommand[] = [];
  const key = argBytes(call, 1);
  let removed: Buffer[] = [];
  for (let i = 0; i < count; i++) {
    setRandom(call.arena, head, Math.random, member);
    const popped = Buffer.from(member.bytes.subarray(member.start, member.end));
    call.out.bulk(popped, 0, popped.length);
    setRemove(call.arena, head, popped, 0, popped.length);
    removed.push(popped);
    if (removed.length < REMOVED_MAX && i + 1 < count) continue;
    commands.push(["SREM", key, ...removed]);
    removed = [];
  }
  call.dirty += count;
  // Who replays it must remove the same members.
  call.propagateAs = commands;
}

const MEMBERS: ElementsKind = {
  type: SET,
  walk,
  shown: walk.member,
  length: setLength,
  random: (arena, head) => setRandom(arena, head, Math.random, walk.member),
};

export const SET_HANDLERS = {
  SADD: add,
  SCARD: length,
  SISMEMBER: isMember,
  SMEMBERS: (call) => replyMembers(call, readHead(call, 1, SET)),
  SMISMEMBER: areMembers,
  SMOVE: move,
  SPOP: pop,
  SRANDMEMBER: (call) => pickRandom(call, MEMBERS, ""),
  SREM: (call) => removeNamed(call, SET, setRemove, setLength),
  SSCAN: (call) => scanCollection(call, MEMBERS),
} as const satisfies Record<string, Handler>;
