/**
 * Moves keys to another server, one key or one tag group at a time, or with them some small keys
 * of the slot (pick-more.ts), as many as asked: the synchronous SLOTSMGRT* calls.
 *
 *   call ──> link open? ──> choose keys ──> locked? ──> lock, send ──> answered ──> remove, log it,
 *              wait for it                   wait for it                            reply, unlock
 *                                                         └──> failed ──> keep all, say why, unlock
 *
 * The original stands still during a move. Here only the caller waits, and clients whose command
 * would change a key that is on its way (key-locks.ts). Reading goes on; a read sees the value
 * until the caller is told that it has gone.
 *
 * Source: Codis extern/redis-3.2.11/src/slots.c; replies and texts to the letter.
 */

import { ReplyWriter } from "../resp/encoder.ts";
import { crc32, hashTag, tagEnd, tagStart } from "../slots/hash.ts";
import { entryKeyLength, entryKeyOffset, entryMemory } from "./arena/entry.ts";
import type { Client } from "./client.ts";
import { type KeyLocks, lockOf } from "./key-locks.ts";
import type { Keyspace } from "./keyspace.ts";
import { LinkIntroduction } from "./link-introduction.ts";
import { type LinkOwner, MigrationLink, type Sending, WRITE_FAILED } from "./migrate-link.ts";
import { pickMore } from "./pick-more.ts";
import { PAYLOAD_BYTES_MAX, writePayload } from "./rdb/write.ts";
import { TOO_MANY_SENT } from "./sent-keys.ts";
import type { ServerState } from "./state.ts";

/** A link nobody used for this long is closed. */
const LINK_IDLE_MS = 15_000;
/** A timeout of 0 stands for this. */
const TIMEOUT_MS_DEFAULT = 100;
/** A target takes at least so many bytes in a millisecond, even a busy one: large keys get longer. */
const SLOWEST_BYTES_PER_MS = 2048;
/** Keys of a slot tried at random until one is found that is not on its way already. */
const PICK_TRIES_MAX = 16;
/** A group whose payloads are larger in all is not moved. */
const GROUP_BYTES_MAX = 1024 * 1024 * 1024;

const GROUP_TOO_LARGE = `ERR keys of one hash tag must be smaller than ${GROUP_BYTES_MAX} bytes together`;

/** What one call is to move. */
export type Subject =
  | { readonly kind: "key"; readonly key: Buffer; readonly withTag: boolean }
  | {
      readonly kind: "slot";
      readonly slot: number;
      readonly withTag: boolean;
      /** Most keys of one call; a tag group stays whole. */
      readonly keysMax: number;
    };

export interface Target {
  readonly host: string;
  /** As the caller wrote it; what is no port cannot be connected to. */
  readonly port: string;
  /** For connecting, and for each reply. */
  readonly timeoutMs: number;
}

/** One call on its way. */
interface Move {
  readonly client: Client;
  readonly db: Keyspace;
  readonly target: Target;
  readonly subject: Subject;
  link: MigrationLink<Move> | undefined;
  /** Keys sent, in their order. */
  keys: Buffer[];
  /** Keys that failed moves may have left at the target: to be deleted there (sent-keys.ts). */
  stale: Buffer[];
  /** What is chosen for it, and locked from when it is sent. */
  locks: Set<number>;
  isLocked: boolean;
  /** Where to answer while the call's handler runs. */
  out: ReplyWriter | undefined;
}

export class Migrations implements LinkOwner<Move> {
  readonly #state: ServerState;
  readonly #random: () => number;
  readonly #links = new Map<string, MigrationLink<Move>>();
  readonly #locks: KeyLocks;
  readonly #request = new ReplyWriter();
  readonly #payload = new ReplyWriter(PAYLOAD_BYTES_MAX);

  constructor(state: ServerState, random: () => number = Math.random) {
    this.#state = state;
    this.#locks = state.locks;
    this.#random = random;
  }

  /**
   * Begins a move for `client`, whose reply goes to `out` if it can be given at once. Else the
   * client waits (`isWaiting`) until it is answered through its port.
   */
  begin(client: Client, db: Keyspace, target: Target, subject: Subject, out: ReplyWriter): void {
    const timeoutMs = target.timeoutMs === 0 ? TIMEOUT_MS_DEFAULT : target.timeoutMs;
    const move: Move = {
      client,
      db,
      target: { ...target, timeoutMs },
      subject,
      link: undefined,
      keys: [],
      stale: [],
      locks: new Set(),
      isLocked: false,
      out,
    };
    client.isWaiting = true;
    if (this.#needsNoTarget(move)) this.#succeed(move);
    else this.#connect(move);
    move.out = undefined;
  }

  /** Called about once a second: closes links nobody used. */
  tick(): void {
    const now = this.#state.clock.monotonic();
    for (const link of this.#links.values()) {
      if (!link.isIdle || now - link.lastUsedMs < LINK_IDLE_MS) continue;
      this.#links.delete(link.address);
      link.close();
    }
  }

  /** Closes all links; moves under way fail. */
  close(): void {
    for (const link of [...this.#links.values()]) link.destroy();
  }

  // -- LinkOwner --------------------------------------------------------------------------------

  opened(link: MigrationLink<Move>): void {
    this.#readClock();
    for (const move of link.waiting.splice(0)) this.#choose(move);
  }

  restored(move: Move): void {
    this.#readClock();
    const { journal, sentKeys } = this.#state;
    // A DEL that is not kept would bring the keys back at the next start, older than at the target.
    const refusal = journal?.refusal ?? sentKeys.end(move.db, move.keys, move.stale);
    if (refusal !== undefined) {
      this.failed(move, refusal);
      return;
    }
    const removed: Buffer[] = [];
    for (const key of move.keys) {
      const entry = move.db.lookupWrite(key, 0, key.length);
      if (entry === 0) continue;
      move.db.remove(entry);
      removed.push(key);
    }
    if (removed.length > 0 && journal !== undefined) {
      journal.appendWords(move.db.index, ["DEL", ...removed]);
    }
    this.#succeed(move);
  }

  unknown(move: Move): void {
    this.#readClock();
    // They are locked, but the time of some may be over.
    move.keys = move.keys.filter((key) => move.db.peek(key, 0, key.length) !== 0);
    if (move.keys.length + move.stale.length === 0) this.#succeed(move);
    else this.#transmit(move, move.link!);
  }

  closed(link: MigrationLink<Move>): void {
    if (this.#links.get(link.address) === link) this.#links.delete(link.address);
  }

  failed(move: Move, text: string): void {
    this.#readClock();
    move.keys = [];
    this.#answer(move, (out) => out.error(text));
  }

  // ---------------------------------------------------------------------------------------------

  /** What a link tells comes in no session's turn, and may set other moves going. */
  #readClock(): void {
    this.#state.databases.nowMs = this.#state.clock.now();
  }

  /** Who hears that a slot is empty may let clients write at the target: nothing may be on its way. */
  #needsNoTarget({ subject, db, target }: Move): boolean {
    if (subject.kind !== "slot" || this.#leftOf(db, subject.slot) > 0) return false;
    return this.#state.failedLinks.of(addressOf(target)).length === 0;
  }

  #connect(move: Move): void {
    const { host, port, timeoutMs } = move.target;
    const address = addressOf(move.target);
    let link = this.#links.get(address);
    if (link === undefined) {
      const number = /^\d{1,5}$/.test(port) ? Number(port) : 0;
      if (number < 1 || number > 65535) {
        this.failed(move, WRITE_FAILED);
        return;
      }
      link = this.#createLink(address);
      this.#links.set(address, link);
      link.connect(host, number, this.#state.config.requirepass, timeoutMs);
    }
    move.link = link;
    if (link.isOpen) this.#choose(move);
    else link.waiting.push(move);
  }

  #createLink(address: string): MigrationLink<Move> {
    const { linkNames, failedLinks, log } = this.#state;
    const failed = failedLinks.of(address);
    const name = linkNames.next(address);
    const introduction = new LinkIntroduction({ target: address, name, failed, log });
    return new MigrationLink<Move>(this, address, introduction, failed);
  }

  /** The link is open: finds the keys, and sends them unless they are on their way already. */
  #choose(move: Move): void {
    const { subject } = move;
    if (subject.kind === "key") {
      this.#chooseByKey(move, subject.key, subject.withTag);
    } else {
      const key = this.#pick(move.db, subject.slot);
      if (key === "empty") this.#succeed(move);
      else if (key === "locked") this.#locks.wait(() => this.#choose(move));
      else this.#chooseByKey(move, key, subject.withTag);
    }
  }

  #chooseByKey(move: Move, key: Buffer, withTag: boolean): void {
    const isTagged = hashTag(key, 0, key.length);
    const crc = crc32(key, tagStart, tagEnd);
    if (!this.#locks.isFree(crc)) {
      this.#locks.wait(() => this.#choose(move));
      return;
    }
    move.keys = withTag && isTagged ? groupOf(move.db, crc) : existing(move.db, key);
    move.stale = this.#state.sentKeys.absentOfLock(move.db, crc);
    move.locks = new Set([crc]);
    if (move.keys.length === 0 && move.stale.length === 0) this.#succeed(move);
    else this.#send(move);
  }

  #leftOf(db: Keyspace, slot: number): number {
    return this.#state.sentKeys.leftOf(db, slot);
  }

  /** A key of the slot that is not on its way; one to be deleted at the target before others. */
  #pick(db: Keyspace, slot: number): Buffer | "empty" | "locked" {
    const found: number[] = [];
    let cursor = Math.floor(this.#random() * 2 ** 32);
    let tries = 0;
    const stale = this.#state.sentKeys.absentOfSlot(db, slot);
    const free = stale.find((key) => !this.#locks.has(lockOf(key, 0, key.length)));
    if (free !== undefined) return free;
    while (db.slotSize(slot) > 0) {
      cursor = db.scanSlot(slot, cursor, found);
      while (found.length > 0) {
        const key = keyOf(db, found.pop()!);
        // Looked up as any command would: a key whose time is over goes now.
        if (db.peek(key, 0, key.length) === 0) break;
        if (!this.#locks.has(lockOf(key, 0, key.length))) return key;
        if (++tries >= PICK_TRIES_MAX) return "locked";
      }
      found.length = 0;
    }
    return stale.length > 0 ? "locked" : "empty";
  }

  #send(move: Move): void {
    const link = move.link!;
    if (!link.isOpen) {
      // It closed while the move waited for a lock.
      this.#connect(move);
      return;
    }
    const { subject, db } = move;
    if (subject.kind === "slot" && subject.keysMax > 1 && move.stale.length === 0) {
      pickMore(db, this.#locks, subject.slot, subject.keysMax, move, this.#random);
    }
    move.isLocked = true;
    for (const lock of move.locks) this.#locks.lock(lock);
    this.#transmit(move, link);
  }

  #transmit(move: Move, link: MigrationLink<Move>): void {
    const request = this.#request;
    request.clear();
    const { sentKeys } = this.#state;
    const refusal =
      this.#writeRequest(move, request, link.knowsSlots) ?? sentKeys.note(move.db, move.keys);
    if (refusal !== undefined) {
      this.failed(move, refusal);
    } else {
      link.lastUsedMs = this.#state.clock.monotonic();
      link.send(move, {
        dbIndex: move.db.index,
        timeoutMs: move.target.timeoutMs + Math.floor(request.pendingBytes / SLOWEST_BYTES_PER_MS),
        request,
        steps: this.#stepsOf(move, link.knowsSlots),
      });
    }
    request.clear();
  }

  /** Requests for `#stepsOf`. @returns the error when the move may not be */
  #writeRequest(move: Move, request: ReplyWriter, knowsSlots: boolean): string | undefined {
    if (!this.#state.sentKeys.mayNote(move.db, move.keys)) return TOO_MANY_SENT;
    if (move.stale.length > 0) request.request(["DEL", ...move.stale]);
    if (this.#writeRestore(move, request, knowsSlots)) return undefined;
    this.#payload.clear();
    return GROUP_TOO_LARGE;
  }

  #stepsOf({ keys, stale }: Move, knowsSlots: boolean): Sending["steps"] {
    const restores = knowsSlots ? Math.min(1, keys.length) : keys.length;
    const restore = knowsSlots ? ("slotsrestore" as const) : ("restore" as const);
    const before = stale.length > 0 ? ["del" as const] : [];
    return [...before, ...Array.from({ length: restores }, () => restore)];
  }

  /**
   * SLOTSRESTORE of all keys, or RESTORE of each for a target that does not know it.
   * @returns whether all of them together are not too large
   */
  #writeRestore(move: Move, request: ReplyWriter, asOne: boolean): boolean {
    const { db, keys } = move;
    const { nowMs } = this.#state.databases;
    const payload = this.#payload;
    if (asOne && keys.length > 0) {
      request.array(1 + 3 * keys.length);
      request.bulkText("SLOTSRESTORE");
    }
    for (const key of keys) {
      const entry = db.peek(key, 0, key.length);
      const expiryMs = db.expiryOf(entry);
      if (!asOne) {
        request.array(5);
        request.bulkText("RESTORE");
      }
      request.bulk(key, 0, key.length);
      request.bulkInteger(Number.isNaN(expiryMs) ? 0 : Math.max(1, Math.round(expiryMs - nowMs)));
      payload.clear();
      writePayload(db.arena, entry, payload);
      if (payload.isOverfull || request.length + payload.length > GROUP_BYTES_MAX) return false;
      request.bulk(payload.buf, 0, payload.length);
      if (!asOne) request.bulkText("REPLACE");
    }
    payload.clear();
    return true;
  }

  #succeed(move: Move): void {
    const { subject, keys, db } = move;
    this.#answer(move, (out) => {
      if (subject.kind === "slot") {
        out.array(2);
        out.integer(keys.length);
        out.integer(this.#leftOf(db, subject.slot));
      } else {
        out.integer(keys.length);
      }
    });
  }

  #answer(move: Move, write: (out: ReplyWriter) => void): void {
    const { client } = move;
    if (move.out !== undefined) {
      write(move.out);
      client.isWaiting = false;
    } else {
      client.port.answer(write);
    }
    if (move.isLocked) this.#locks.unlock(move.locks);
  }
}

function addressOf({ host, port }: Target): string {
  return `${host}:${port}`;
}

export function keyOf(db: Keyspace, entry: number): Buffer {
  const at = entryKeyOffset(db.arena, entry);
  const end = at + entryKeyLength(db.arena, entry);
  return Buffer.from(entryMemory(db.arena, entry).subarray(at, end));
}

function existing(db: Keyspace, key: Buffer): Buffer[] {
  return db.peek(key, 0, key.length) === 0 ? [] : [key];
}

/** The keys of a tag group whose time is not over, in byte order. */
export function groupOf(db: Keyspace, crc: number): Buffer[] {
  const keys: Buffer[] = [];
  for (let entry = db.firstOfTag(crc | 0); entry !== 0; entry = db.nextOfTag(entry)) {
    if (!db.isExpired(entry)) keys.push(keyOf(db, entry));
  }
  return keys.sort(Buffer.compare);
}
