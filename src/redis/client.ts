/**
 * A connection to a Redis server as its client: pipelined calls, replies as values.
 *
 *   call ──> request bytes ──> [waiting: resolvers in order] ──> reply ──> the oldest waiter
 *
 * Error replies are values (ErrorReply), for the caller to judge. What fails every waiting call and
 * ends the client: a lost connection, a protocol error, silence of `timeoutMs` while replies are
 * awaited, and a limit passed. Texts of connection errors are upstream's (Go's net package), which
 * operators know.
 */

import { parseAddress } from "../base/address.ts";
import { CodisError, errorText } from "../base/errors.ts";
import { Fifo } from "../base/fifo.ts";
import { withoutArguments } from "../commands/family.ts";
import type { Connection, ConnectionOwner } from "../net/connection.ts";
import { dial } from "../net/dial.ts";
import { encodeRequest } from "../resp/encoder.ts";
import { ErrorReply, type Reply } from "../resp/reply.ts";
import { ReplyDecoder } from "../resp/reply-decoder.ts";

/** Calls that may wait for replies on one connection. */
const CALLS_WAITING_MAX = 1024;

export interface RedisClientOptions {
  /** Sent with AUTH when not empty. */
  readonly auth?: string;
  readonly dialTimeoutMs: number;
  /** Longest silence of the server while a reply is awaited. */
  readonly timeoutMs: number;
  /** From a call to the end of its reply; unlimited when absent, for what may take long. */
  readonly callTimeoutMs?: number;
  /** Of one reply; what the decoder takes at most when absent. */
  readonly replyBytesMax?: number;
}

interface Waiter {
  readonly calledMs: number;
  resolve(reply: Reply): void;
  reject(error: CodisError): void;
}

/** What a server says to whom it does not let in, asked or not, before it ends the connection. */
const REFUSAL = /^(DENIED|ERR max number of clients)/;

export class RedisClient implements ConnectionOwner {
  /** host:port */
  readonly addr: string;
  readonly #connection: Connection;
  readonly #decoder: ReplyDecoder;
  readonly #waiting = new Fifo<Waiter>();
  readonly #timeoutMs: number;
  readonly #callTimeoutMs: number;
  #db = 0;
  #lastHeardMs = 0;
  #timer: Timer | undefined;
  #failure: CodisError | undefined;
  /** Why the server is about to end the connection. */
  #refusal: string | undefined;

  /**
   * @throws CodisError "usage" for a bad address, "unavailable" or "timeout" when it cannot be
   *   reached, "denied" with the server's words when it refuses the password
   */
  static async connect(addr: string, options: RedisClientOptions): Promise<RedisClient> {
    const { host, port } = parseDialAddress(addr);
    let client: RedisClient | undefined;
    try {
      await dial(host, port, { timeoutMs: options.dialTimeoutMs }, (connection) => {
        client = new RedisClient(addr, connection, options);
        return client;
      });
    } catch (error) {
      if (!(error instanceof CodisError)) throw error;
      const late = error.code === "timeout";
      const reason = late ? "i/o timeout" : `connect: ${errorText(error.cause)}`;
      throw new CodisError(error.code, `dial tcp ${addr}: ${reason}`, error);
    }
    const { auth = "" } = options;
    if (auth !== "") {
      const reply = await client!.call("AUTH", auth);
      if (reply instanceof ErrorReply) {
        client!.close();
        throw new CodisError("denied", withoutArguments(reply.text));
      }
    }
    return client!;
  }

  private constructor(addr: string, connection: Connection, options: RedisClientOptions) {
    this.addr = addr;
    this.#connection = connection;
    this.#decoder = new ReplyDecoder(options.replyBytesMax);
    this.#timeoutMs = options.timeoutMs;
    this.#callTimeoutMs = options.callTimeoutMs ?? Number.POSITIVE_INFINITY;
  }

  /** False once closed or lost. */
  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  /** When the server was last heard of, by performance.now(). */
  get lastHeardMs(): number {
    return this.#lastHeardMs;
  }

  /** Sends one request; requests of one turn leave together. Rejects with CodisError when lost. */
  call(...args: readonly (string | Buffer | number)[]): Promise<Reply> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#waiting.length >= CALLS_WAITING_MAX) {
      const text = `more than ${CALLS_WAITING_MAX} calls wait for replies of ${this.addr}`;
      return Promise.reject(new CodisError("limit", text));
    }
    this.#connection.out.raw(encodeRequest(args));
    this.#connection.markDirty();
    return new Promise((resolve, reject) => {
      const now = performance.now();
      if (this.#waiting.length === 0) this.#watch(now);
      this.#waiting.push({ calledMs: now, resolve, reject });
    });
  }

  /** Chooses the database of later calls; sends nothing when it is chosen already. */
  async select(db: number): Promise<void> {
    if (db === this.#db) return;
    const reply = await this.call("SELECT", db);
    if (reply instanceof ErrorReply) throw new CodisError("unavailable", reply.text);
    this.#db = db;
  }

  /** Ends the connection; calls that wait fail. Idempotent. */
  close(): void {
    this.#fail(new CodisError("closed", "use of closed connection"));
  }

  // -- events of the connection ------------------------------------------------------------------

  onData(chunk: Buffer): void {
    this.#lastHeardMs = performance.now();
    try {
      this.#decoder.feed(chunk);
      for (let reply = this.#decoder.next(); reply !== undefined; reply = this.#decoder.next()) {
        const waiter = this.#waiting.shift();
        const error = reply instanceof ErrorReply ? reply.text : "";
        this.#refusal = REFUSAL.test(error) ? error : undefined;
        if (waiter === undefined) {
          this.#fail(new CodisError("unavailable", this.#refusal ?? "a reply nobody asked for"));
          return;
        }
        waiter.resolve(reply);
      }
    } catch (error) {
      if (!(error instanceof CodisError)) throw error;
      this.#fail(error);
    }
  }

  onEnd(): void {
    this.#fail(new CodisError("unavailable", this.#refusal ?? "EOF"));
  }

  onClose(error: Error | undefined): void {
    this.#fail(new CodisError("unavailable", this.#refusal ?? "EOF", error));
  }

  #watch(now: number): void {
    this.#lastHeardMs = now;
    const afterMs = Math.min(this.#timeoutMs, this.#callTimeoutMs);
    this.#timer ??= setTimeout(() => this.#checkTime(), afterMs);
  }

  #checkTime(): void {
    this.#timer = undefined;
    const head = this.#waiting.peek();
    if (head === undefined) return;
    const now = performance.now();
    const leftMs = Math.min(
      this.#lastHeardMs + this.#timeoutMs - now,
      head.calledMs + this.#callTimeoutMs - now,
    );
    // A timer may come a fraction of a millisecond early.
    if (leftMs <= 1) this.#fail(new CodisError("timeout", `read tcp ${this.addr}: i/o timeout`));
    else this.#timer = setTimeout(() => this.#checkTime(), leftMs);
  }

  #fail(error: CodisError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    clearTimeout(this.#timer);
    this.#connection.destroy();
    for (let waiter = this.#waiting.shift(); waiter !== undefined; waiter = this.#waiting.shift()) {
      waiter.reject(error);
    }
  }
}

function parseDialAddress(addr: string): { host: string; port: number } {
  try {
    return parseAddress(addr);
  } catch (error) {
    throw new CodisError("usage", `dial tcp: ${errorText(error)}`);
  }
}
