/**
 * Calls that move keys to another server and wait until they are there. How: server/migrate.ts.
 * Source: Codis extern/redis-3.2.11/src/slots.c.
 */

import { argBytes, argText, type Call, type Handler } from "../call.ts";
import type { Subject, Target } from "../migrate.ts";
import { ReplyError } from "../replies.ts";
import { argInt32, argSlot } from "./slots.ts";

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

function moveFromSlot(call: Call, withTag: boolean): void {
  const target = readTarget(call);
  move(call, target, { kind: "slot", slot: argSlot(call, 4), withTag });
}

export const MIGRATION_HANDLERS = {
  SLOTSMGRTONE: (call) => moveKey(call, false),
  SLOTSMGRTSLOT: (call) => moveFromSlot(call, false),
  SLOTSMGRTTAGONE: (call) => moveKey(call, true),
  SLOTSMGRTTAGSLOT: (call) => moveFromSlot(call, true),
} as const satisfies Record<string, Handler>;
