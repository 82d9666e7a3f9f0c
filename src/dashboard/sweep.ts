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
 * A server that has to MIGRATE serves nobody until the target took the keys. So batches, which may
 * hold keys of several slots, are bounded in keys and in bytes, and one is under way at a time. If
 * the target does not take a value, the keys of the batch go one at a time, so that its slot fails
 * alone, and with the key's name.
 * What MIGRATE leaves behind when it is cut off, and why it is sent without REPLACE first:
 * commands/family.ts.
 */

import { parseAddress } from "../base/address.ts";
import { CodisError } from "../base/errors.ts";
import { isBusyKey, isRefusedValue, migrateRequest, withoutArguments } from "../commands/family.ts";
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
/** Characters of a key's name in an error. */
const KEY_SHOWN_MAX = 100;

/** A slot in a sweep. */
interface Member {
  readonly port: MovePort;
  readonly slotId: number;
  readonly route: Route;
  /** Keys found and not moved yet. */
  left: number;
  /** @param drained false when the permit changed meanwhile */
  resolve(drained: boolean): void;
  reject(error: unknown): void;
}

/** The slots in a sweep that are still to be moved. */
type Members = Map<number, Member>;

/** A key to move. */
export interface Found {
  readonly key: Buffer;
  readonly slotId: number;
}

interface Batch {
  readonly found: Found[];
  bytes: number;
}

export class Sweeps {
  /** Who waits for the next sweep, by server and database; an entry stands while one is under way. */
  readonly #waiting = new Map<string, Member[]>();
  readonly #swept = new Set<string>();

  /** Whether the server had to be swept before: no promise for the next time. */
  hasSwept(addr: string): boolean {
    return this.#swept.has(addr);
  }

  /**
   * Resolves with true when the database of the owner holds no key of the slot any more, with false
   * when the permit changed meanwhile.
   * @throws CodisError when a server cannot be reached or answers an error; what has moved stays
   * moved
   */
  drain(port: MovePort, slotId: number, db: number, route: Route): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const member = { port, slotId, route, left: 0, resolve, reject };
      this.#swept.add(route.from);
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
  const members: Members = new Map(joined.map((member) => [member.slotId, member]));
  try {
    await port.withServer(route.from, (connection) => scan(connection, db, members));
    for (const { resolve } of members.values()) resolve(true);
  } catch (error) {
    for (const { reject } of members.values()) reject(error);
  }
}

async function scan(connection: MoveConnection, db: number, members: Members): Promise<void> {
  await connection.select(db);
  /** By target, until there are enough for a batch. */
  const found = new Map<string, Found[]>();
  let cursor = "0";
  do {
    const page = readPage(await connection.call("SCAN", cursor, "COUNT", SCAN_COUNT));
    cursor = page.cursor;
    for (const key of page.keys) {
      const slotId = slotOf(key);
      const member = members.get(slotId);
      if (member === undefined) continue;
      member.left++;
      const target = member.route.to;
      const list = found.get(target);
      if (list === undefined) found.set(target, [{ key, slotId }]);
      else list.push({ key, slotId });
    }
    const isLast = cursor === "0";
    for (const list of found.values()) {
      if (isLast || list.length >= BATCH_KEYS_MAX) {
        await moveKeys(connection, db, members, list.splice(0));
      }
    }
    for (const member of members.values()) stays(members, member);
  } while (cursor !== "0" && members.size > 0);
}

/** Whether the member is still to be moved; else it leaves the sweep. */
function stays(members: Members, member: Member): boolean {
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

/** Moves keys that all go to one target; those of members that have left stay. */
async function moveKeys(
  connection: MoveConnection,
  db: number,
  members: Members,
  found: readonly Found[],
): Promise<void> {
  for (let from = 0; from < found.length; from += SIZES_ASKED_MAX) {
    const some = found.slice(from, from + SIZES_ASKED_MAX);
    const sizes = await Promise.all(some.map(({ key }) => connection.call("MEMORY", "USAGE", key)));
    for (const batch of packBatches(some, sizes)) await moveBatch(connection, db, members, batch);
  }
}

async function moveBatch(
  connection: MoveConnection,
  db: number,
  members: Members,
  { found, bytes }: Batch,
): Promise<void> {
  const counts = new Map<Member, number>();
  const going: Found[] = [];
  for (const item of found) {
    const member = members.get(item.slotId);
    if (member === undefined || !(counts.has(member) || stays(members, member))) continue;
    counts.set(member, (counts.get(member) ?? 0) + 1);
    going.push(item);
  }
  const first = [...counts.keys()][0];
  if (first === undefined) return;
  const { port } = first;
  const keys = going.map(({ key }) => key);
  const failure = await migrate(connection, db, first, keys, bytes);
  const isOneRefused = isRefusedValue(failure);
  if (isOneRefused) await moveOneByOne(connection, db, members, { found: going, bytes });
  for (const [member, count] of counts) {
    if (failure === "" || (isOneRefused && members.has(member.slotId))) {
      member.left -= count;
      port.progress(member.slotId, db, count, member.left);
    } else if (!isOneRefused) {
      fails(members, member, failure);
    }
  }
  await port.pause();
}

function fails(members: Members, member: Member, text: string): void {
  members.delete(member.slotId);
  member.reject(new CodisError("unavailable", text));
}

/** After the target refused a value of the batch: the slots of such values leave the sweep. */
async function moveOneByOne(
  connection: MoveConnection,
  db: number,
  members: Members,
  { found, bytes }: Batch,
): Promise<void> {
  for (const { key, slotId } of found) {
    const member = members.get(slotId);
    if (member === undefined || !stays(members, member)) continue;
    // One that the batch moved is not there any more: MIGRATE says NOKEY, which is no error.
    const failure = await migrate(connection, db, member, [key], bytes);
    if (failure === "") continue;
    const type = isRefusedValue(failure) ? await connection.call("TYPE", key) : undefined;
    const text = type === undefined ? failure : refusedText(key, type, db, member.route, failure);
    fails(members, member, text);
  }
}

/** What cannot be moved, and what the operator can do. */
function refusedText(
  key: Buffer,
  type: Reply,
  db: number,
  { from, to }: Route,
  failure: string,
): string {
  const name = key.toString();
  const shown = JSON.stringify(name.slice(0, KEY_SHOWN_MAX));
  const word = type instanceof ErrorReply ? "unknown" : String(type);
  return (
    `key ${shown}${name.length > KEY_SHOWN_MAX ? "..." : ""} is of type ${word}, and the server ` +
    `${to} cannot hold it (${failure}): remove it at ${from}, database ${db}, or copy it ` +
    "elsewhere first; the move goes on by itself then"
  );
}

/** @returns the error of the source, "" for none */
async function migrate(
  connection: MoveConnection,
  database: number,
  { port: { auth, timeoutMs }, route }: Member,
  keys: readonly Buffer[],
  bytes: number,
): Promise<string> {
  const patienceMs = TARGET_SILENCE_MS + bytes / TARGET_BYTES_PER_MS;
  const target = {
    ...parseAddress(route.to),
    database,
    timeoutMs: Math.ceil(Math.min(timeoutMs, patienceMs)),
    auth,
  };
  let failure = "";
  for (const replace of [false, true]) {
    const reply = await connection.call(...migrateRequest({ ...target, replace }, keys));
    failure = reply instanceof ErrorReply ? withoutArguments(reply.text) : "";
    if (!isBusyKey(failure)) break;
  }
  return failure;
}

/**
 * Keys in batches within the limits. A size is what MEMORY USAGE answered; a key of unknown size
 * (the server does not know the command) counts as large, and one that is gone as nothing.
 */
export function packBatches(found: readonly Found[], sizes: readonly Reply[]): Batch[] {
  const batches: Batch[] = [];
  let last: Batch | undefined;
  for (const [i, item] of found.entries()) {
    const size = sizes[i];
    if (size === null) continue;
    const bytes = typeof size === "number" ? size : BATCH_BYTES_MAX;
    const fits =
      last !== undefined &&
      last.found.length < BATCH_KEYS_MAX &&
      last.bytes + bytes <= BATCH_BYTES_MAX;
    if (!fits) {
      last = { found: [], bytes: 0 };
      batches.push(last);
    }
    last!.found.push(item);
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
