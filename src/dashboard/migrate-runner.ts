/**
 * Moves the keys of one slot from its owner to its target, database by database. Source:
 * Codis pkg/topom/topom_slots.go `newSlotActionExecutor`.
 *
 *   permit? ──> SELECT db ──> SLOTSMGRTTAGSLOT ... until 0 keys are left ──> INFO keyspace
 *      ^                         └─ unknown command: a sweep (sweep.ts) ─┘          │
 *      └────────────────────────────── next db that has keys ◄──────────────────────┘
 *
 * With semi-async it is SLOTSMGRTTAGSLOT-ASYNC (migrate-async.ts), and sync only for servers that
 * do not know it. With sync one call moves one key and all that share its hash tag, from a server
 * of ours with them up to KEYS_PER_CALL small ones, so a slot takes many. Several are kept in
 * flight on the connection: the server answers them one after the other, and only the way there and
 * back is saved. To leave the server free for its clients between our calls, no more are in flight
 * than it answers within QUEUE_BUDGET_MS. A reply of 0 keys left ends a database; calls still in
 * flight then find nothing and move nothing. Which family a server is of shows by its first answer,
 * each time: nothing is kept that could be wrong later.
 */

import { parseAddress } from "../base/address.ts";
import { CodisError } from "../base/errors.ts";
import { Fifo } from "../base/fifo.ts";
import { isUnknownCommand } from "../commands/family.ts";
import { ErrorReply, type Reply } from "../resp/reply.ts";
import { type AsyncLimits, drainAsync } from "./migrate-async.ts";
import type { Sweeps } from "./sweep.ts";

/** Most calls in flight for one slot. */
export const CALLS_IN_FLIGHT_MAX = 32;
/** Most keys of one call, where the owner can move several. */
export const KEYS_PER_CALL = 100;
/** Work queued at the server by the calls in flight, as far as the last replies tell. */
const QUEUE_BUDGET_MS = 4;

const WRONG_ARITY = /^ERR wrong number of arguments\b/;

/** A connection to a server, used by one slot at a time. */
export interface MoveConnection {
  call(...args: (string | number | Buffer)[]): Promise<Reply>;
  select(db: number): Promise<void>;
}

/** Addresses to move between. */
export interface Route {
  readonly from: string;
  readonly to: string;
}

/** "pause" while an operator or a promotion wants it; "done" if no keys exist. */
export type MovePermit = Route | "pause" | "done";

export interface MovePort {
  /** Asked before every call. Throws CodisError when the slot is not to be moved any more. */
  permit(slotId: number): MovePermit;
  /** Lends a connection to `addr`; a connection on which `work` failed is thrown away. */
  withServer<T>(addr: string, work: (connection: MoveConnection) => Promise<T>): Promise<T>;
  /** Waits until a pause is worth another look. */
  waitPaused(): Promise<void>;
  /** The operator's pause between calls, milliseconds; 0 for none. */
  readonly intervalMs: number;
  /** Takes that pause, on average over many calls. */
  pause(): Promise<void>;
  wait(ms: number): Promise<void>;
  /** Told after every call. */
  progress(slotId: number, db: number, keysMoved: number, keysLeft: number): void;
  monotonic(): number;
  /** Argument of the migration command. */
  readonly timeoutMs: number;
  /** What a batch of a semi-asynchronous move may hold; undefined: keys move with sync. */
  readonly asyncLimits: AsyncLimits | undefined;
  /** The password of the targets, "" for none. */
  readonly auth: string;
  /** For owners that know no slots; the same one for all slots. */
  readonly sweeps: Sweeps;
}

/**
 * Returns when no database of the owner holds a key of the slot.
 * @throws CodisError when a server cannot be reached or answers an error; what has moved stays
 * moved
 */
export async function moveSlot(port: MovePort, slotId: number): Promise<void> {
  let db = 0;
  while (true) {
    const permit = port.permit(slotId);
    if (permit === "done") return;
    if (permit === "pause") {
      await port.waitPaused();
      continue;
    }
    const next = await port.withServer(permit.from, async (connection) => {
      await connection.select(db);
      const drained = await drain(port, connection, slotId, db, permit);
      return drained ? await nextDatabase(connection, db) : db;
    });
    if (next === undefined) return;
    db = next;
  }
}

/** In the way that was asked for, or else in the one that both servers know. */
async function drain(
  port: MovePort,
  connection: MoveConnection,
  slotId: number,
  db: number,
  permit: Route,
): Promise<boolean> {
  if (port.asyncLimits !== undefined) {
    const drained = await drainAsync(port, connection, slotId, db, permit);
    if (drained !== "unknown") return drained;
  }
  return await drainDatabase(port, connection, slotId, db, permit);
}

/** @returns whether the database is empty of the slot; false when the permit changed meanwhile */
async function drainDatabase(
  port: MovePort,
  connection: MoveConnection,
  slotId: number,
  db: number,
  permit: Route,
): Promise<boolean> {
  const { host, port: targetPort } = parseAddress(permit.to);
  const timeoutMs = Math.ceil(port.timeoutMs);
  const requestOfOne = ["SLOTSMGRTTAGSLOT", host, targetPort, timeoutMs, slotId];
  let request = [...requestOfOne, KEYS_PER_CALL];
  const inFlight = new Fifo<Promise<Reply>>();
  let allowed = 1;
  let drained = false;
  let repliedAtMs = port.monotonic();
  while (true) {
    while (!drained && inFlight.length < allowed && mayGoOn(port, slotId, permit)) {
      const reply = connection.call(...request);
      // Awaited below, in order; one that fails while an earlier is awaited must not count as
      // unhandled.
      reply.catch(() => undefined);
      inFlight.push(reply);
    }
    const oldest = inFlight.shift();
    if (oldest === undefined) return drained;
    const counts = await oldest;
    if (counts instanceof ErrorReply && isUnknownCommand(counts.text)) {
      return await port.sweeps.drain(port, slotId, db, permit);
    }
    if (counts instanceof ErrorReply && WRONG_ARITY.test(counts.text)) {
      // The original moves one key a call. It is the first call, so no other is in flight.
      if (request === requestOfOne) throw new CodisError("unavailable", counts.text);
      request = requestOfOne;
      continue;
    }
    const { moved, left } = readCounts(counts);
    const nowMs = port.monotonic();
    allowed = callsAllowed(nowMs - repliedAtMs, left, port.intervalMs);
    repliedAtMs = nowMs;
    drained ||= left === 0;
    port.progress(slotId, db, moved, left);
    if (!drained) await port.pause();
  }
}

/** The slot may still be moved, between the same servers. */
export function mayGoOn(port: MovePort, slotId: number, given: Route): boolean {
  const permit = port.permit(slotId);
  return typeof permit === "object" && permit.from === given.from && permit.to === given.to;
}

/** How many calls may be in flight: as many as fit the budget at the pace of the last reply. */
export function callsAllowed(replyMs: number, keysLeft: number, intervalMs: number): number {
  if (intervalMs > 0) return 1;
  const fitting = Math.floor(QUEUE_BUDGET_MS / Math.max(replyMs, 0.001));
  return Math.max(1, Math.min(CALLS_IN_FLIGHT_MAX, fitting, keysLeft));
}

/** The reply is [keys moved, keys left]. */
export function readCounts(reply: Reply): { moved: number; left: number } {
  if (reply instanceof ErrorReply) throw new CodisError("unavailable", reply.text);
  if (Array.isArray(reply) && reply.length === 2) {
    const [moved, left] = reply;
    if (typeof moved === "number" && typeof left === "number") return { moved, left };
  }
  throw new CodisError("unavailable", `invalid response = ${JSON.stringify(reply)}`);
}

/** The smallest database above `db` that has keys. */
async function nextDatabase(connection: MoveConnection, db: number): Promise<number | undefined> {
  const info = await connection.call("INFO", "keyspace");
  if (info instanceof ErrorReply) throw new CodisError("unavailable", info.text);
  const numbers = [...String(info).matchAll(/^db(\d+):/gm)].map((match) => Number(match[1]));
  const above = numbers.filter((number) => number > db);
  return above.length === 0 ? undefined : Math.min(...above);
}
