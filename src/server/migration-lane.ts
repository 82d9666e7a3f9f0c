/**
 * The asynchronous moves of one database: one batch of keys at a time, over one link that is kept.
 *
 *   begin ──> choose, lock ──> link open? ──> send a little, ACKs, send more ──> all acknowledged
 *               ^ wait for a lock                │                                   │
 *               └──                              │ failure, timeout, cancel          v
 *                         unlock, tell who waits <──────────────────── remove, a part per turn
 *
 * The server goes on serving: what is sent and removed in one turn is bounded, and so is what waits
 * on the link. Keys of the batch are locked from the call to its end. A failed batch removes none;
 * what it has sent stays noted (sent-keys.ts), and the next one of the slot deletes it first.
 * Source: Codis extern/redis-3.2.11/src/slots_async.c.
 */

import type { ReplyWriter } from "../resp/encoder.ts";
import { AsyncLink, type AsyncLinkOwner } from "./async-link.ts";
import { BatchMessages, estimateMessages, messagesIn } from "./async-messages.ts";
import { type BatchSubject, KeyChooser } from "./batch-keys.ts";
import type { Client } from "./client.ts";
import type { Keyspace } from "./keyspace.ts";
import { ReplyError } from "./replies.ts";
import { TOO_MANY_SENT } from "./sent-keys.ts";
import type { ServerState } from "./state.ts";

/** A link nobody used for this long is closed. */
const LINK_IDLE_MS = 60_000;
/** How long a turn may be spent on sending, or on removing. */
const TURN_MS_MAX = 1;
/** The clock is read once for so many keys or messages, and for so many bytes of them. */
const CLOCK_STEPS = 16;
const CLOCK_BYTES = 64 * 1024;
/** Messages without an ACK. */
const WINDOW_MAX = 512;
/** Bytes that may wait for the kernel, whatever the caller allows. */
const BACKLOG_BYTES_MAX = 512 * 1024;
/** Keys removed in one turn, and named by one DEL. */
const REMOVED_PER_TURN = 1000;
/**
 * How long a removal waits for a snapshot at most. A value of 512 MiB takes it half a second when
 * nothing else is done; without waiting, that would be one turn.
 */
const SNAPSHOT_WAIT_MS_MAX = 10_000;

const DB_BUSY = "ERR the specified DB is being migrated";
const TIMED_OUT = "ERR interrupted: migration timeout";
const CANCELED = "ERR interrupted: canceled";
const KEY_LOST = "ERR interrupted: the time of a key was over while it was sent";

export interface BatchRequest {
  readonly host: string;
  readonly port: string;
  readonly timeoutMs: number;
  readonly maxBulks: number;
  /** Bytes that may wait on the link; a chunk is full with so many. */
  readonly maxBytes: number;
  readonly subject: BatchSubject;
}

/** A call under way. */
export interface Batch {
  readonly request: BatchRequest;
  /** Undefined while it waits for keys that are on their way. */
  messages: BatchMessages | undefined;
  locks: ReadonlySet<number>;
  /** About how many messages are sent for its keys. */
  estimate: number;
  /** Its keys are noted as sent. */
  isNoted: boolean;
  /** All is acknowledged: nothing can fail it any more. */
  isRemoving: boolean;
  /** Keys removed so far, of those sent. */
  removed: number;
  /** Monotonic: until then a removal waits for a snapshot that has not visited a long value. */
  waitsUntilMs: number;
}

export class MigrationLane implements AsyncLinkOwner {
  readonly #state: ServerState;
  readonly #db: Keyspace;
  readonly #random: () => number;
  #link: AsyncLink | undefined;
  #batch: Batch | undefined;
  /** Clients that get the batch's reply: its caller and those of FENCE. */
  #waiters: Client[] = [];
  /** Where the caller is answered while its handler runs. */
  #out: ReplyWriter | undefined;
  /** Monotonic: the last call or ACK, or when the kernel had taken all again. */
  #activeMs = 0;
  /** Unix time of the last call or ACK, and that call's timeout; for STATUS. */
  #usedAtMs = 0;
  #timeoutMs = 0;
  #isSendScheduled = false;

  constructor(state: ServerState, db: Keyspace, random: () => number) {
    this.#state = state;
    this.#db = db;
    this.#random = random;
  }

  get link(): AsyncLink | undefined {
    return this.#link;
  }

  get batch(): Batch | undefined {
    return this.#batch;
  }

  get waiters(): number {
    return this.#waiters.length;
  }

  get usedAtMs(): number {
    return this.#usedAtMs;
  }

  get timeoutMs(): number {
    return this.#timeoutMs;
  }

  /**
   * Begins a batch. `client` waits for its end, unless that is now: then the reply is in `out`.
   * @throws ReplyError when another one is under way
   */
  begin(client: Client, request: BatchRequest, out: ReplyWriter): void {
    if (this.#batch !== undefined) throw new ReplyError(DB_BUSY);
    this.#batch = {
      request,
      messages: undefined,
      locks: new Set(),
      estimate: 0,
      isNoted: false,
      isRemoving: false,
      removed: 0,
      waitsUntilMs: 0,
    };
    this.#timeoutMs = request.timeoutMs;
    this.#touch();
    this.#waiters.push(client);
    client.isWaiting = true;
    this.#out = out;
    this.#choose(this.#batch);
    this.#out = undefined;
  }

  /** FENCE: `client` gets the reply of the batch under way. @returns false when there is none */
  join(client: Client): boolean {
    if (this.#batch === undefined) return false;
    client.isWaiting = true;
    this.#waiters.push(client);
    return true;
  }

  /** Ends batch and link. @returns whether there was a link or a batch */
  cancel(): boolean {
    const isUsed = this.#link !== undefined || this.#batch !== undefined;
    this.#dropLink();
    this.#failBatch(CANCELED);
    return isUsed;
  }

  /** Called about once a second. */
  tick(): void {
    const now = this.#state.clock.monotonic();
    const idleMs = now - this.#activeMs;
    if (this.#batch === undefined) {
      if (idleMs > LINK_IDLE_MS) this.#dropLink();
    } else if (!this.#batch.isRemoving && idleMs > this.#timeoutMs) {
      this.#dropLink();
      this.#failBatch(TIMED_OUT);
    }
  }

  // -- AsyncLinkOwner ---------------------------------------------------------------------------

  opened(): void {
    if (this.#batch?.messages !== undefined) this.#send();
    this.#state.turnMeter?.lap();
  }

  acknowledged(): void {
    this.#touch();
    this.#goOn();
    this.#state.turnMeter?.lap();
  }

  drained(): void {
    // A large string has no ACK until all of it is there.
    this.#activeMs = this.#state.clock.monotonic();
    this.#goOn();
    this.#state.turnMeter?.lap();
  }

  failed(text: string): void {
    this.#link = undefined;
    this.#failBatch(text);
  }

  // ---------------------------------------------------------------------------------------------

  #touch(): void {
    this.#activeMs = this.#state.clock.monotonic();
    this.#usedAtMs = this.#state.clock.now();
  }

  /** Finds and locks the batch's keys, now or when a lock that is in its way has gone. */
  #choose(batch: Batch): void {
    if (batch !== this.#batch) return;
    const { request } = batch;
    // A link or a lock calls in no session's turn.
    this.#state.databases.nowMs = this.#state.clock.now();
    const { locks, sentKeys } = this.#state;
    const chooser = new KeyChooser(this.#db, locks, sentKeys, request);
    const chosen = chooser.choose(request.subject, this.#random);
    if (chosen === "locked") {
      this.#state.locks.wait(() => this.#choose(batch));
      return;
    }
    batch.messages = new BatchMessages(this.#db, chosen.keys, request, chosen.stale);
    if (!this.#state.sentKeys.mayNote(this.#db, chosen.keys)) {
      this.#failBatch(TOO_MANY_SENT);
      return;
    }
    batch.locks = chosen.locks;
    batch.estimate = chosen.messages;
    for (const lock of chosen.locks) this.#state.locks.lock(lock);
    if (batch.messages.isDone) this.#succeed(batch);
    else this.#open(request);
  }

  #open({ host, port, timeoutMs }: BatchRequest): void {
    const link = this.#link;
    if (link !== undefined && link.host === host && link.port === port) {
      // Nothing may fail while the caller's command is still being executed.
      if (link.isOpen) this.#scheduleSend(this.#batch!);
      return;
    }
    this.#dropLink();
    this.#link = new AsyncLink(this, this.#state, { host, port }, this.#db.index);
    this.#link.connect(timeoutMs);
  }

  #dropLink(): void {
    const link = this.#link;
    this.#link = undefined;
    link?.end();
  }

  /** An ACK has come, or there is room again. */
  #goOn(): void {
    const messages = this.#batch?.messages;
    if (messages === undefined || this.#batch!.isRemoving) return;
    if (messages.isDone && this.#link!.outstanding === 0) this.#complete(this.#batch!);
    else if (!this.#isSendScheduled) this.#send();
  }

  /** Sends messages until the window is full or the turn has been long enough. */
  #send(): void {
    const batch = this.#batch!;
    const link = this.#link!;
    const { maxBytes } = batch.request;
    const backlogMax = Math.min(maxBytes, BACKLOG_BYTES_MAX);
    if (!batch.isNoted) {
      const refusal = this.#state.sentKeys.note(this.#db, batch.messages!.keys);
      if (refusal !== undefined) {
        this.#failBatch(refusal);
        return;
      }
      batch.isNoted = true;
    }
    if (!link.isSelected) link.select(this.#db.index);
    this.#state.databases.nowMs = this.#state.clock.now();
    const endMs = this.#state.clock.monotonic() + TURN_MS_MAX;
    let steps = 0;
    let clockAtBytes = link.writtenBytes + CLOCK_BYTES;
    while (link.outstanding < WINDOW_MAX) {
      const written = batch.messages!.write(link.out, maxBytes);
      if (written === "end") return;
      if (written === "lost") {
        this.#dropLink();
        this.#failBatch(KEY_LOST);
        return;
      }
      if (written !== "part") link.added(messagesIn(written));
      // What the kernel does not take makes `drained` follow.
      if (link.backlogBytes() >= backlogMax && link.flush() > 0) return;
      // To offer bytes to a connection that is no more ends the batch.
      if (batch !== this.#batch) return;
      if (++steps % CLOCK_STEPS > 0 && link.writtenBytes < clockAtBytes) continue;
      clockAtBytes = link.writtenBytes + CLOCK_BYTES;
      if (this.#state.clock.monotonic() >= endMs) {
        this.#scheduleSend(batch);
        return;
      }
    }
  }

  #scheduleSend(batch: Batch): void {
    this.#isSendScheduled = true;
    setImmediate(() => {
      this.#isSendScheduled = false;
      if (batch === this.#batch && this.#link?.isOpen === true) this.#send();
      this.#state.turnMeter?.lap();
    });
  }

  /** The target has everything: the keys go here, unless that could not be kept. */
  #complete(batch: Batch): void {
    const { keys, stale } = batch.messages!;
    const { journal, sentKeys } = this.#state;
    const refusal = journal?.refusal ?? sentKeys.end(this.#db, keys, stale);
    if (refusal !== undefined) {
      this.#failBatch(`ERR interrupted: ${refusal}`);
      return;
    }
    batch.isRemoving = true;
    batch.waitsUntilMs = this.#state.clock.monotonic() + SNAPSHOT_WAIT_MS_MAX;
    this.#remove(batch);
  }

  #remove(batch: Batch): void {
    this.#state.databases.nowMs = this.#state.clock.now();
    const { keys } = batch.messages!;
    const gone: Buffer[] = [];
    const most = Math.min(keys.length, batch.removed + REMOVED_PER_TURN);
    const endMs = this.#state.clock.monotonic() + TURN_MS_MAX;
    while (batch.removed < most) {
      if (batch.removed % CLOCK_STEPS === 0 && this.#state.clock.monotonic() >= endMs) break;
      const key = keys[batch.removed]!;
      const found = this.#db.peek(key, 0, key.length);
      if (found !== 0 && !this.#mayRemove(batch, found)) break;
      batch.removed++;
      const entry = this.#db.lookupWrite(key, 0, key.length);
      if (entry === 0) continue;
      this.#db.remove(entry);
      gone.push(key);
    }
    if (gone.length > 0 && this.#state.journal !== undefined) {
      this.#state.journal.appendWords(this.#db.index, ["DEL", ...gone]);
    }
    if (batch.removed < keys.length) setImmediate(() => this.#remove(batch));
    else this.#succeed(batch);
  }

  /** A value of several chunks waits for a snapshot under way, which visits it a part per turn. */
  #mayRemove({ request, waitsUntilMs }: Batch, entry: number): boolean {
    if (estimateMessages(this.#db, entry, request) === 1) return true;
    if (this.#state.snapshot.isReleased(this.#db, entry)) return true;
    return this.#state.clock.monotonic() >= waitsUntilMs;
  }

  #succeed(batch: Batch): void {
    const { subject } = batch.request;
    const moved = batch.messages!.sentKeys;
    this.#end(batch, (out) => {
      if (subject.kind === "slot") {
        out.array(2);
        out.integer(moved);
        out.integer(this.#state.sentKeys.leftOf(this.#db, subject.slot));
      } else {
        out.integer(moved);
      }
    });
  }

  #failBatch(text: string): void {
    const batch = this.#batch;
    if (batch === undefined || batch.isRemoving) return;
    this.#end(batch, (out) => out.error(text));
  }

  /**
   * Who was held back goes on, then who waits is answered, and may begin another batch. In a turn
   * of its own, as this may be called from within a command; but who asks for nothing to be moved
   * is told at once.
   */
  #end(batch: Batch, write: (out: ReplyWriter) => void): void {
    const waiters = this.#waiters;
    this.#batch = undefined;
    this.#waiters = [];
    if (this.#out !== undefined) {
      write(this.#out);
      for (const client of waiters) client.isWaiting = false;
      return;
    }
    setImmediate(() => {
      if (batch.locks.size > 0) this.#state.locks.unlock(batch.locks);
      for (const client of waiters) client.port.answer(write);
    });
  }
}
