/**
 * The semi-asynchronous executor: takes the keys of a slot out of one database of its owner by
 * SLOTSMGRTTAGSLOT-ASYNC, a batch per call, until a reply says that none is left. Source: Codis
 * pkg/topom/topom_slots.go `newSlotActionExecutor`.
 *
 * A server works on one batch per database, while here several slots of an owner move at once: a
 * call that comes in between waits at a fence, then is made again. So does one whose target is busy
 * giving away keys itself, after a pause that differs from slot to slot.
 */

import { parseAddress } from "../base/address.ts";
import { isUnknownCommand } from "../commands/family.ts";
import { ErrorReply } from "../resp/reply.ts";
import {
  type MoveConnection,
  type MovePort,
  mayGoOn,
  type Route,
  readCounts,
} from "./migrate-runner.ts";

/** Longest silence of a target that a source is told to bear, milliseconds. */
const TARGET_SILENCE_MS_MAX = 5000;
const BUSY_WAIT_MS = 10;
const BUSY_SPREAD_MS = 50;

const BUSY = "the specified DB is being migrated";

/** Of one batch: keys `migration_async_*` of the configuration. */
export interface AsyncLimits {
  readonly maxBulks: number;
  readonly maxBytes: number;
  readonly numKeys: number;
}

/**
 * @returns whether the database is empty of the slot, false when the permit changed meanwhile;
 * "unknown" when owner or target does not know the asynchronous commands
 * @throws CodisError when a server cannot be reached or answers an error
 */
export async function drainAsync(
  port: MovePort,
  connection: MoveConnection,
  slotId: number,
  db: number,
  permit: Route,
): Promise<boolean | "unknown"> {
  const { host, port: targetPort } = parseAddress(permit.to);
  const { maxBulks, maxBytes, numKeys } = port.asyncLimits!;
  const timeoutMs = Math.ceil(Math.min(TARGET_SILENCE_MS_MAX, port.timeoutMs));
  const limits = [timeoutMs, maxBulks, maxBytes] as const;
  const request = ["SLOTSMGRTTAGSLOT-ASYNC", host, targetPort, ...limits, slotId, numKeys] as const;
  while (mayGoOn(port, slotId, permit)) {
    const reply = await connection.call(...request);
    if (reply instanceof ErrorReply) {
      if (knowsNoAsync(reply.text)) return "unknown";
      if (await waitedForOthers(port, connection, slotId, reply.text)) continue;
    }
    const { moved, left } = readCounts(reply);
    port.progress(slotId, db, moved, left);
    if (left === 0) return true;
    await port.pause();
  }
  return false;
}

/** The owner does not, or says that its target does not. */
function knowsNoAsync(text: string): boolean {
  return isUnknownCommand(text) || /target answered: ERR unknown command\b/i.test(text);
}

/** @returns whether the error only says that others are being served, who now may be done */
async function waitedForOthers(
  port: MovePort,
  connection: MoveConnection,
  slotId: number,
  text: string,
): Promise<boolean> {
  if (!text.endsWith(BUSY)) return false;
  if (text.includes("target answered")) {
    await port.wait(BUSY_WAIT_MS + (slotId % BUSY_SPREAD_MS));
  } else {
    // Answers as the batch under way does, which is another call's business.
    await connection.call("SLOTSMGRT-ASYNC-FENCE");
  }
  return true;
}
