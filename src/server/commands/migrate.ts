/**
 * Calls that move keys to another server and wait until they are there. How: server/migrate.ts.
 * Source: Codis extern/redis-3.2.11/src/slots.c.
 */

import { argBytes, argText, type Call, type Handler } from "../call.ts";
import type { Subject, Target } from "../migrate.ts";
import { ReplyError, wrongArity } from "../replies.ts";
import { argInt32, argSlot } from "./slots.ts";

/** Most keys that one call may be asked to take of a slot. */
const KEYS_MAX = 1000;

function readTarget(call: Call): Target {
  const timeoutMs = argInt32(call, 3);
  if (timeoutMs < 0) throw new ReplyError(`ERR invalid timeout = ${timeoutMs}`);
  return { host: argText(call, 1), port: argText(call, 2), timeoutMs };
}

function move(call: Call, target: Target, subject: Subject): void {
  call.server.migrations.begin(call.client, call.db, target, subject, call.out);
}

function moveKey(call: Call, withTag: boolean): void {
  move(call, readTarget(call), { kind: "key", key: argBytes(call, 4), withTag });
}

/** The number of keys is ours: the original moves one key, or one tag group, and takes no more. */
function moveFromSlot(call: Call, withTag: boolean): void {
  if (call.argc > 6) throw new ReplyError(wrongArity(call.command.name));
  const target = readTarget(call);
  const slot = argSlot(call, 4);
  const keysMax = call.argc === 6 ? argInt32(call, 5) : 1;
  if (keysMax < 1 || keysMax > KEYS_MAX) {
    throw new ReplyError(`ERR invalid number of keys = ${keysMax}, must be 1 to ${KEYS_MAX}`);
  }
  move(call, target, { kind: "slot", slot, withTag, keysMax });
}

export const MIGRATION_HANDLERS = {
  SLOTSMGRTONE: (call) => moveKey(call, false),
  SLOTSMGRTSLOT: (call) => moveFromSlot(call, false),
  SLOTSMGRTTAGONE: (call) => moveKey(call, true),
  SLOTSMGRTTAGSLOT: (call) => moveFromSlot(call, true),
} as const satisfies Record<string, Handler>;
