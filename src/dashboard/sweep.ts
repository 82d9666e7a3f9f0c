/**
 * Moves slots out of servers of the `redis` family, which cannot tell the keys of a slot: a sweep
 * scans one database once and moves the keys of all slots that had joined when it began.
 *
 *   drain ──> [joined] ──> SCAN ──> keys of these slots ──> MEMORY USAGE ──> MIGRATE, in batches
 *                           ^                                                      │
 *                           └──────────── until the cursor is 0 again ◄────────────┘
 *
 * While a slot migrates, proxies write at its source no more. So one scan that begins after that
 * meets every key that is left: SCAN promises those that are there from its beginning to its end. A
 * slot that comes in the middle waits for the next sweep.
 *
 * A server that has to MIGRATE serves nobody until the target took the keys. So batches are bounded
 * in keys and in bytes, and one is under way at a time. What MIGRATE leaves behind when it is cut
 * off, and why it is sent without REPLACE first: commands/family.ts.
 */

import { parseAddress } from "../base/address.ts";
import { CodisError } from "../base/errors.ts";
import { isBusyKey, migrateRequest } from "../commands/family.ts";
import { ErrorReply, type Reply } from "../resp/reply.ts";
import { slotOf } from "../slots/hash.ts";
import { type MoveConnection, type MovePort, mayGoOn, type Route } from "./migrate-runner.ts";

/** Keys looked at by one SCAN: some hundred microseconds of the server's time. */
const SCAN_COUNT = 1000;
/** Keys whose sizes are asked for at once. */
const SIZES_ASKED_MAX = 256;
/** Keys and bytes in one MIGRATE; a larger key goes alone. */
export const BATCH_KEYS_MAX = 32;
export const BATCH_BYTES_MAX = 64 * 1024;
/** Silence of the target that fails a MIGRATE: so much, and time to take in a large key. */
const TARGET_SILENCE_MS = 3_000;
const TARGET_BYTES_PER_MS = 20_000;

/** A slot in a sweep. */
interface Member {
  readonly port: MovePort;
  readonly slotId: number;
  readonly route: Route;
  /** @param drained false when the permit changed meanwhile */
  resolve(drained: boolean): void;
  reject(error: unknown): void;
}

interface Batch {
  readonly keys: Buffer[];
  bytes: number;
}

export class Sweeps {
  /** Who waits for the next sweep, by server and database; an entry stands while one is under way. */
  readonly #waiting = new Map<string, Member[]>();

  /**
   * Resolves with true when the database of the owner holds no key of the slot any more, with false
   * when the permit changed meanwhile.
   * @throws CodisError when a server cannot be reached or answers an error; what has moved stays
   * moved
   */
  drain(port: MovePort, slotId: number, db: number, route: Route): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const member = { port, slotId, route, resolve, reject };
      const place = `${db} ${route.from}`;
      const waiting = this.#waiting.get(place);
      if (waiting !== undefined) {
        waiting.push(member);
      } else {
        this.#waiting.set(place, [member]);
        void this.#run(place, db);
      }
    });
  }

  /** Sweeps until nobody waits. Failures belong to the members. */
  async #run(place: string, db: number): Promise<void> {
    const waiting = this.#waiting.get(place)!;
    while (waiting.length > 0) await sweep(db, waiting.splice(0));
    this.#waiting.delete(place);
  }
}

async function sweep(db: number, joined: readonly Member[]): Promise<void> {
  const { port, route } = joined[0]!;
  const members = new Map(joined.map((member) => [member.slotId, member]));
  try {
    await port.withServer(route.from, async (connection) => {
      await connection.select(db);
      let cursor = "0";
      do {
        const page = readPage(await connection.call("SCAN", cursor, "COUNT", SCAN_COUNT));
        cursor = page.cursor;
        for (const [slotId, keys] of keysBySlot(page.keys, members)) {
          await moveKeys(connection, db, members, members.get(slotId)!, keys);
        }
        for (const member of members.values()) stays(members, member);
      } while (cursor !== "0" && members.size > 0);
    });
    for (const { resolve } of members.values()) resolve(true);
  } catch (error) {
    for (const { reject } of members.values()) reject(error);
  }
}

/** Whether the member is still to be moved; else it leaves the sweep. */
function stays(members: Map<number, Member>, member: Member): boolean {
  const { port, slotId, route } = member;
  try {
    if (mayGoOn(port, slotId, route)) return true;
    member.resolve(false);
  } catch (error) {
    member.reject(error);
  }
  members.delete(slotId);
  return false;
}

function keysBySlot(
  keys: readonly Buffer[],
  members: ReadonlyMap<number, Member>,
): Map<number, Buffer[]> {
  const found = new Map<number, Buffer[]>();
  for (const key of keys) {
    const slotId = slotOf(key);
    if (!members.has(slotId)) continue;
    const list = found.get(slotId);
    if (list === undefined) found.set(slotId, [key]);
    else list.push(key);
  }
  return found;
}

/** Moves these keys of a member, unless it leaves the sweep before. */
async function moveKeys(
  connection: MoveConnection,
  db: number,
  members: Map<number, Member>,
  member: Member,
  keys: readonly Buffer[],
): Promise<void> {
  const { port, slotId, route } = member;
  let left = keys.length;
  for (let from = 0; from < keys.length; from += SIZES_ASKED_MAX) {
    const some = keys.slice(from, from + SIZES_ASKED_MAX);
    const sizes = await Promise.all(some.map((key) => connection.call("MEMORY", "USAGE", key)));
    for (const batch of packBatches(some, sizes)) {
      if (!stays(members, member)) return;
      const failure = await migrate(connection, port, db, route, batch);
      if (failure !== "") {
        members.delete(slotId);
        member.reject(new CodisError("unavailable", failure));
        return;
      }
      left -= batch.keys.length;
      port.progress(slotId, db, batch.keys.length, left);
      if (port.intervalMs > 0) await port.wait(port.intervalMs);
    }
  }
}

/** @returns the error of the source, "" for none */
async function migrate(
  connection: MoveConnection,
  { auth, timeoutMs }: MovePort,
  database: number,
  { to }: Route,
  { keys, bytes }: Batch,
): Promise<string> {
  const patienceMs = TARGET_SILENCE_MS + bytes / TARGET_BYTES_PER_MS;
  const target = {
    ...parseAddress(to),
    database,
    timeoutMs: Math.ceil(Math.min(timeoutMs, patienceMs)),
    auth,
  };
  let failure = "";
  for (const replace of [false, true]) {
    const reply = await connection.call(...migrateRequest({ ...target, replace }, keys));
    failure = reply instanceof ErrorReply ? reply.text : "";
    if (!isBusyKey(failure)) break;
  }
  return failure;
}

/**
 * Keys in batches within the limits. A size is what MEMORY USAGE answered; a key of unknown size
 * (the server does not know the command) counts as large, and one that is gone as nothing.
 */
export function packBatches(keys: readonly Buffer[], sizes: readonly Reply[]): Batch[] {
  const batches: Batch[] = [];
  let last: Batch | undefined;
  for (const [i, key] of keys.entries()) {
    const size = sizes[i];
    if (size === null) continue;
    const bytes = typeof size === "number" ? size : BATCH_BYTES_MAX;
    const fits =
      last !== undefined &&
      last.keys.length < BATCH_KEYS_MAX &&
      last.bytes + bytes <= BATCH_BYTES_MAX;
    if (!fits) {
      last = { keys: [], bytes: 0 };
      batches.push(last);
    }
    last!.keys.push(key);
    last!.bytes += bytes;
  }
  return batches;
}

/** The reply to SCAN is [next cursor, keys]. */
function readPage(reply: Reply): { cursor: string; keys: Buffer[] } {
  if (reply instanceof ErrorReply) throw new CodisError("unavailable", reply.text);
  if (Array.isArray(reply) && reply.length === 2 && Array.isArray(reply[1])) {
    return { cursor: String(reply[0]), keys: reply[1].filter((key) => Buffer.isBuffer(key)) };
  }
  throw new CodisError("unavailable", `invalid response = ${JSON.stringify(reply)}`);
}
