/**
 * One client's socket: requests in, replies out.
 *
 *   socket ── chunk ──> decoder ── request ──> execute ── reply ──> connection.out ──> socket
 *
 * Replies of everything a chunk holds leave in one write. A client that does not take its replies
 * is not read from until it does; a chunk that holds more work than a turn may take is gone on with
 * in the next one. Both ways the rest waits in the decoder; the socket is paused, in the second
 * case only if the rest is much. When replies that wait and requests that have come in part are
 * more than maxmemory-clients, over all clients, who holds most is closed.
 */

import { CodisError } from "../base/errors.ts";
import { type BudgetHolder, type ClientBudget, NOTICE_BYTES } from "../net/client-budget.ts";
import type { Connection, ConnectionOwner } from "../net/connection.ts";
import {
  REQUEST_ERROR,
  REQUEST_INCOMPLETE,
  REQUEST_READY,
  RequestDecoder,
} from "../resp/decoder.ts";
import type { ReplyWriter } from "../resp/encoder.ts";
import type { Call } from "./call.ts";
import { Client, type ClientPort } from "./client.ts";
import { endReply, execute } from "./execute.ts";
import type { Garbage } from "./garbage.ts";
import type { ServerState } from "./state.ts";
import type { Turn } from "./turn.ts";
import { findKeysAhead, WARM_BYTES_MIN, WARM_WINDOW, type WarmKeys } from "./warm.ts";

/**
 * After a chunk like this the clock is looked at, though it may hold no whole request: the socket
 * would hand over up to eleven of 512 KiB in one turn, each in new memory, which take 15 ms.
 */
const LARGE_CHUNK_BYTES = 64 * 1024;
/** Of requests and replies: so long ones count for what a turn has room for. */
const LARGE_BYTES = 256 * 1024;
/** A session that waits for the next turn is not read from when it has more than this. */
const DEFERRED_BYTES_MAX = 16 * 1024;
/** Replies are offered to the socket whenever this many bytes of them have come together. */
const FLUSH_BYTES = 64 * 1024;
/** With more replies than this not taken, a client is not read from. */
export const CLIENT_BACKLOG_BYTES_MAX = 256 * 1024;

/** What sessions of one server share. */
export interface SessionContext {
  readonly server: ServerState;
  readonly call: Call;
  readonly turn: Turn;
  readonly keysAhead: WarmKeys;
  readonly garbage: Garbage;
  readonly budget: ClientBudget;
  /** The session ended; it is in no list any more. */
  ended(session: Session): void;
}

export class Session implements ConnectionOwner, ClientPort, BudgetHolder {
  readonly client: Client;
  readonly #context: SessionContext;
  readonly #connection: Connection;
  readonly #decoder: RequestDecoder;
  #hasPeerEnded = false;
  /** Waits for the client to take its replies. */
  #isHeldBack = false;
  /** Waits for the next turn. */
  #isDeferred = false;
  /** The decoder's request was held back, and is to be executed again. */
  #hasHeldRequest = false;
  /** What was last added to the server's sums. */
  #countedBacklog = 0;
  #countedInput = 0;
  #countedSent = 0;
  /** The budget counts this session. */
  #isReported = false;

  constructor(context: SessionContext, connection: Connection, id: number) {
    const { server } = context;
    this.#context = context;
    this.#connection = connection;
    this.#decoder = new RequestDecoder("server", {
      bulkBytes: server.config["proto-max-bulk-len"],
      requestBytes: server.config["client-query-buffer-limit"],
    });
    const owesPassword = server.config.requirepass !== "";
    this.#decoder.setUnauthenticated(owesPassword);
    const addresses = { address: connection.remoteAddress, localAddress: connection.localAddress };
    this.client = new Client(id, this, addresses, !owesPassword, server.databases.nowMs);
  }

  // -- ClientPort -------------------------------------------------------------------------------

  close(): void {
    this.client.closeAfterReply();
    if (!this.#isSafeToSend(this.#context.turn.commit())) return;
    this.#connection.close();
    this.#countOutput();
  }

  abort(reason: string): void {
    this.client.closeAfterReply();
    this.#connection.destroy(new CodisError("denied", reason));
  }

  backlogBytes(): number {
    return this.#connection.backlogBytes;
  }

  pendingBytes(): number {
    return this.#decoder.pendingBytes;
  }

  authenticated(): void {
    this.#decoder.setUnauthenticated(false);
  }

  answer(write: (out: ReplyWriter) => void): void {
    if (!this.#connection.isOpen) return;
    this.#context.turn.begin();
    const { client } = this;
    const { out } = this.#connection;
    const mark = out.length;
    write(out);
    endReply(client, out, mark);
    client.hasUnsafeChanges = true;
    client.isWaiting = false;
    this.#goOnUnlessHeld();
  }

  executeAgain(): void {
    if (!this.#connection.isOpen) return;
    this.#context.turn.begin();
    this.client.isWaiting = false;
    this.#goOnUnlessHeld();
  }

  #goOnUnlessHeld(): void {
    if (!this.#isHeldBack && !this.#isDeferred) this.#continue();
  }

  // -- ConnectionOwner --------------------------------------------------------------------------

  onData(chunk: Buffer): void {
    const { server, turn, garbage } = this.#context;
    turn.beginChunk();
    server.stats.inputBytes += chunk.length;
    this.client.lastActiveMs = server.databases.nowMs;
    this.#decoder.feed(chunk);
    if (chunk.length >= LARGE_CHUNK_BYTES) turn.received(chunk.length);
    if (!this.#mustWait) this.#processIfTime();
    else if (this.#isDeferred) this.#pauseIfMuch();
    garbage.add(chunk, !this.#mustWait && this.#decoder.pendingBytes === 0);
    const isLarge = chunk.length >= LARGE_CHUNK_BYTES && !this.client.isClosing;
    if (isLarge && !this.#mustWait && turn.isOverAfter(0, chunk.length)) this.#defer();
    this.#reportHeld();
  }

  onEnd(): void {
    this.#hasPeerEnded = true;
    if (!this.#mustWait) this.close();
  }

  /** Replies of this turn may be among what leaves now, before its end. */
  beforeDrain(): void {
    this.#isSafeToSend(this.#context.turn.commit());
  }

  onDrain(): void {
    this.#countOutput();
    if (!this.#isHeldBack) return;
    this.#isHeldBack = false;
    this.#context.turn.begin();
    if (this.#context.turn.isOver) this.#defer();
    else this.#continue();
  }

  onClose(error: Error | undefined): void {
    // Any other error is the peer's, that went away.
    if (error instanceof CodisError) {
      const { address: client, lastCommand } = this.client;
      this.#context.server.log.warn("closed a client", {
        client,
        lastCommand,
        error: error.message,
      });
    }
    this.client.closeAfterReply();
    this.#decoder.drop();
    this.#countOutput();
    this.#context.ended(this);
  }

  // ---------------------------------------------------------------------------------------------

  /** The next turn has come, for a session that was deferred. */
  goOn(): void {
    this.#isDeferred = false;
    if (this.#connection.isOpen) this.#continue();
  }

  /** The end of a turn: what was promised is safe, replies may leave. */
  flush(isSafe: boolean): void {
    if (!this.#isSafeToSend(isSafe)) return;
    this.#connection.flush();
    this.#countOutput();
  }

  /** Without a journal that keeps its changes, the client must not read that they were made. */
  #isSafeToSend(isSafe: boolean): boolean {
    const { client } = this;
    if (isSafe) client.hasUnsafeChanges = false;
    if (!client.hasUnsafeChanges) return true;
    const why = this.#context.server.journal?.refusal ?? "the append-only file cannot be written";
    this.#connection.destroy(new CodisError("unavailable", why));
    return false;
  }

  /** Something else must happen before more of this client is executed. */
  get #mustWait(): boolean {
    return this.#isHeldBack || this.#isDeferred || this.client.isWaiting;
  }

  #processIfTime(): void {
    if (this.#context.turn.isOver) this.#defer();
    else this.#process();
  }

  #continue(): void {
    if (!this.client.isWaiting) this.#process();
    if (!this.#mustWait) this.#connection.resume();
  }

  /** Executes what has arrived, until it is done or must wait. */
  #process(): void {
    const { call, turn } = this.#context;
    const decoder = this.#decoder;
    const { out } = this.#connection;
    const { client } = this;
    /** Requests until the next window of keys is looked at. */
    let isWarmFor = 0;
    while (!client.isClosing) {
      const status = this.#hasHeldRequest ? REQUEST_READY : decoder.next();
      if (status === REQUEST_INCOMPLETE) break;
      if (status === REQUEST_ERROR) {
        out.error(`ERR Protocol error: ${decoder.error}`);
        client.closeAfterReply();
        break;
      }
      const bytes = decoder.end - decoder.start;
      if (bytes >= LARGE_BYTES && !turn.hasRoom(bytes)) {
        this.#hasHeldRequest = true;
        this.#defer();
        break;
      }
      if (isWarmFor-- === 0) {
        isWarmFor = WARM_WINDOW - 1;
        if (decoder.pendingBytes >= WARM_BYTES_MIN) this.#warm();
      }
      const mark = out.length;
      this.#hasHeldRequest = !execute(call, client, decoder, out);
      if (client.isWaiting) {
        this.#connection.pause();
        break;
      }
      const replyBytes = out.length - mark;
      if (replyBytes >= LARGE_BYTES) turn.received(replyBytes);
      const isOver = turn.isOverAfter(decoder.argc, bytes + replyBytes);
      if (out.pendingBytes > FLUSH_BYTES && this.#mustHoldBack()) return;
      if (isOver) {
        this.#defer();
        break;
      }
    }
    if (client.isClosing || (this.#hasPeerEnded && !this.#mustWait)) this.close();
    else if (out.pendingBytes > 0) turn.flush(this);
  }

  /** The turn has been long enough: the rest in the next one. */
  #defer(): void {
    this.#isDeferred = true;
    this.#pauseIfMuch();
    this.#context.turn.defer(this);
  }

  /** To pause and to resume costs two system calls, as much as it takes to execute two requests. */
  #pauseIfMuch(): void {
    if (this.#decoder.pendingBytes > DEFERRED_BYTES_MAX) this.#connection.pause();
  }

  /** The decoder has a request, and more behind it. */
  #warm(): void {
    const { server, keysAhead } = this.#context;
    const { buf, start, end, pendingBytes } = this.#decoder;
    findKeysAhead(keysAhead, buf, start, Math.min(end + pendingBytes, buf.length));
    server.databases.all[this.client.dbIndex]!.warm(keysAhead);
  }

  #mustHoldBack(): boolean {
    this.flush(this.#context.turn.commit());
    if (this.#connection.backlogBytes <= CLIENT_BACKLOG_BYTES_MAX) return false;
    this.#isHeldBack = true;
    this.#connection.pause();
    return true;
  }

  /** Also sees what the socket took by itself since the last time. */
  #countOutput(): void {
    const { stats } = this.#context.server;
    const { sentBytes, backlogBytes } = this.#connection;
    stats.outputBytes += sentBytes - this.#countedSent;
    this.#countedSent = sentBytes;
    stats.outputBacklog += backlogBytes - this.#countedBacklog;
    this.#countedBacklog = backlogBytes;
    this.#reportHeld();
  }

  /** May close this session, or another. */
  #reportHeld(): void {
    const inputBytes = this.#decoder.heldBytes;
    this.#context.server.stats.inputBacklog += inputBytes - this.#countedInput;
    this.#countedInput = inputBytes;
    const bytes = this.#connection.backlogBytes + inputBytes;
    if (bytes <= NOTICE_BYTES && !this.#isReported) return;
    const { budget, server } = this.#context;
    budget.maxBytes = server.config["maxmemory-clients"] || Number.POSITIVE_INFINITY;
    this.#isReported = bytes > NOTICE_BYTES;
    budget.report(this, this.#isReported ? bytes : 0);
  }

  // -- BudgetHolder -----------------------------------------------------------------------------

  get heldBytes(): number {
    return this.#connection.backlogBytes + this.#decoder.heldBytes;
  }

  closeFor(limit: string): void {
    this.#context.server.stats.evictedClients++;
    const held = `its replies and unfinished request hold ${this.heldBytes} bytes`;
    this.#connection.destroy(new CodisError("limit", `limit reached: ${limit}: ${held}`));
  }
}
