/**
 * SLOTSMGRT-EXEC-WRAPPER hashkey command ...: what a proxy sends the old owner of a slot on the
 * move. Answers [code, reply]:
 *
 *   -1  no such command, wrong number of arguments, or one that has no place in it
 *    0  not here (any more): ask the new owner       1  on its way: ask again
 *    2  executed here, the reply is the command's (execute.ts runs it)
 *
 * The original looks at `hashkey` alone. Here all keys of the command that are in the same slot
 * count: when some are here and others not, neither owner has all of them, and the answer is 1
 * until the rest has left. A key that was sent, went here, and may still be seen at the target, or
 * half of it, is on its way too (sent-keys.ts).
 * Source: Codis extern/redis-3.2.11/src/slots_async.c.
 */

import { arityFits, type Command, lookupCommand } from "../../commands/lookup.ts";
import { ADMIN, BLOCKING, PUBSUB, READ } from "../../commands/spec.ts";
import { slotOfRange } from "../../slots/hash.ts";
import { argEnd, argStart, argText, type Call, type Handler } from "../call.ts";
import { lockOf } from "../key-locks.ts";

const HASH_KEY = 1;
/** Where the inner command begins. */
export const INNER = 2;

const CODE_REFUSED = -1;
const CODE_GONE = 0;
const CODE_ON_ITS_WAY = 1;
const CODE_EXECUTED = 2;

const GONE = "ERR the specified key doesn't exist";
const ON_ITS_WAY = "ERR the specified key is being migrated";

/** About the connection or the process: no client's request for a key. */
const OUT_OF_PLACE: ReadonlySet<string> = new Set([
  ...["AUTH", "CLIENT", "CONFIG", "DEBUG", "HELLO", "QUIT", "RESET", "SELECT", "SHUTDOWN"],
  ...["DISCARD", "EXEC", "MULTI", "UNWATCH", "WATCH", "SLOTSMGRT-EXEC-WRAPPER"],
]);

function hasPlace(inner: Command): boolean {
  if ((inner.flags & (ADMIN | BLOCKING | PUBSUB)) !== 0) return false;
  if (inner.proxy === "everywhere" || OUT_OF_PLACE.has(inner.name)) return false;
  return !/^SLOTS(MGRT|RESTORE-ASYNC|DEL)/.test(inner.name);
}

function answer(call: Call, code: number, text: string): void {
  call.out.array(2);
  call.out.integer(code);
  call.out.error(text);
}

function execWrapper(call: Call): void {
  const inner = lookupCommand(call.buf, argStart(call, INNER), argEnd(call, INNER));
  if (inner === undefined || !inner.server) {
    refuse(call, "ERR invalid command specified");
  } else if (!arityFits(inner, call.argc - INNER)) {
    refuse(call, "ERR wrong number of arguments for command");
  } else if (!hasPlace(inner)) {
    refuse(call, "ERR command not allowed in SLOTSMGRT-EXEC-WRAPPER, send it by itself");
  } else {
    const code = judge(call, inner);
    if (code === CODE_GONE) {
      answer(call, CODE_GONE, GONE);
    } else if (code === CODE_ON_ITS_WAY) {
      answer(call, CODE_ON_ITS_WAY, ON_ITS_WAY);
    } else {
      call.out.array(2);
      call.out.integer(CODE_EXECUTED);
      call.inner = inner;
    }
  }
}

function refuse(call: Call, text: string): void {
  answer(call, CODE_REFUSED, `${text} (${argText(call, INNER)})`);
}

/** What is known of the keys looked at. */
const seen = { here: false, gone: false, locked: false, isThere: false };

function judge(call: Call, inner: Command): number {
  seen.here = false;
  seen.gone = false;
  seen.locked = false;
  seen.isThere = false;
  look(call, HASH_KEY);
  if (inner.first !== 0 && inner.last === inner.first) look(call, INNER + inner.first);
  else lookAtAll(call, inner);
  const isWrite = (inner.flags & READ) === 0;
  if (seen.isThere || (seen.here && seen.gone)) return CODE_ON_ITS_WAY;
  if (!seen.here) return CODE_GONE;
  return seen.locked && isWrite ? CODE_ON_ITS_WAY : CODE_EXECUTED;
}

/** The keys of the inner command that are in the slot of `hashkey`. */
function lookAtAll(call: Call, inner: Command): void {
  const { locks } = call.server;
  const view = { buf: call.buf, args: call.args.subarray(2 * INNER), argc: call.argc - INNER };
  const count = locks.findKeys(inner, view);
  for (let i = 0; i < count; i++) look(call, INNER + locks.keyPosition(i));
}

function look(call: Call, i: number): void {
  const { buf, db, server } = call;
  const [from, to] = [argStart(call, i), argEnd(call, i)];
  if (i !== HASH_KEY) {
    const slot = slotOfRange(buf, argStart(call, HASH_KEY), argEnd(call, HASH_KEY));
    if (slotOfRange(buf, from, to) !== slot) return;
  }
  if (server.locks.isBusy && server.locks.has(lockOf(buf, from, to))) seen.locked = true;
  if (db.peek(buf, from, to) !== 0) {
    seen.here = true;
  } else {
    seen.gone = true;
    if (server.sentKeys.size > 0 && server.sentKeys.has(db.index, buf, from, to)) {
      seen.isThere = true;
    }
  }
}

export const EXEC_WRAPPER_HANDLERS = {
  "SLOTSMGRT-EXEC-WRAPPER": execWrapper,
} as const satisfies Record<string, Handler>;
