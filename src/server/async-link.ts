/**
 * The connection over which one database's keys leave for one target, asynchronously: requests of
 * SLOTSRESTORE-ASYNC* go out, an ACK for each comes back, in order.
 *
 *   dial ──> AUTH ──> introduction ──> open: SELECT, messages ...
 *     └───────┴────────────┴── failure: the owner hears why └──> idle ──> close
 *
 * The introduction (link-introduction.ts) has the target close what is left of earlier links of
 * this database, so that no old copy of a key arrives late. Anything but an ACK of success is a
 * failure: the link closes at once, and nothing the target sends is ever executed. To clients the
 * link shows as one of them: it is listed, counted and can be killed.
 * Source: Codis extern/redis-3.2.11/src/slots_async.c.
 */

import { CodisError } from "../base/errors.ts";
import { withoutArguments } from "../commands/family.ts";
import type { Connection, ConnectionOwner } from "../net/connection.ts";
import { dial } from "../net/dial.ts";
import type { ReplyWriter } from "../resp/encoder.ts";
import { ErrorReply, type Reply } from "../resp/reply.ts";
import { ReplyDecoder } from "../resp/reply-decoder.ts";
import { ACK, skipDone } from "./ack.ts";
import { Client, type ClientPort } from "./client.ts";
import { LinkIntroduction } from "./link-introduction.ts";
import { NOT_AUTHENTICATED } from "./replies.ts";
import type { ServerState } from "./state.ts";

/** How long a target may take to accept, and the call's timeout when that is less. */
const CONNECT_MS_MAX = 1000;
/** No answer is longer; a peer that sends more is no server. */
const ANSWER_BYTES_MAX = 64 * 1024;
/** Of an error of the target in ours. */
const SHOWN_CHARS_MAX = 256;

const CLOSED = "ERR interrupted: connection closed";

/** Whom the link tells. */
export interface AsyncLinkOwner {
  opened(): void;
  /** Once for all ACKs that came together. */
  acknowledged(): void;
  /** The kernel takes more. */
  drained(): void;
  /** The link is of no use any more. @param text of the error for who waits, without `-` */
  failed(text: string): void;
}

export class AsyncLink implements ConnectionOwner, ClientPort {
  readonly host: string;
  /** As the caller wrote it. */
  readonly port: string;
  isOpen = false;
  /** SELECT was sent. */
  isSelected = false;
  /** Requests without an answer yet. */
  outstanding = 0;

  readonly #owner: AsyncLinkOwner;
  readonly #state: ServerState;
  readonly #failed: string[];
  readonly #introduction: LinkIntroduction;
  #isIntroducing = false;
  readonly #decoder = new ReplyDecoder();
  #connection: Connection | undefined;
  #client: Client | undefined;
  #isClosed = false;

  /** @param dbIndex the database whose keys it takes: each has one link at a time */
  constructor(
    owner: AsyncLinkOwner,
    state: ServerState,
    target: { readonly host: string; readonly port: string },
    dbIndex: number,
  ) {
    const { host, port } = target;
    const address = `${host}:${port}`;
    this.#owner = owner;
    this.#state = state;
    this.host = host;
    this.port = port;
    this.#failed = state.failedLinks.of(address);
    const name = state.linkNames.next(`async ${dbIndex} ${address}`);
    const { log } = state;
    this.#introduction = new LinkIntroduction({ target: address, name, failed: this.#failed, log });
  }

  /** Starts to connect; ends in `opened` or `failed` of the owner. */
  connect(timeoutMs: number): void {
    const { host, port } = this;
    const limitMs = Math.min(CONNECT_MS_MAX, timeoutMs);
    dial(host, Number(port), { timeoutMs: limitMs }, (connection) => {
      this.#connection = connection;
      return this;
    }).then(
      () => this.#introduce(),
      () => this.#fail(`ERR create client to ${host}:${port} failed`),
    );
  }

  #introduce(): void {
    const connection = this.#connection!;
    if (this.#isClosed) {
      connection.close();
      return;
    }
    const { remoteAddress: address, localAddress } = connection;
    const { databases, config } = this.#state;
    const id = this.#state.takeClientId();
    this.#client = new Client(id, this, { address, localAddress }, true, databases.nowMs);
    this.#client.lastCommand = ACK.toLowerCase();
    this.#state.clients.set(id, this.#client);
    if (config.requirepass === "") this.#beginIntroduction();
    else this.#request(["SLOTSRESTORE-ASYNC-AUTH", config.requirepass]);
    connection.markDirty();
  }

  #beginIntroduction(): void {
    this.#isIntroducing = true;
    this.#introduction.begin(this.#connection!.out);
    this.#connection!.markDirty();
  }

  #request(words: readonly string[]): void {
    this.outstanding++;
    const { out } = this.#connection!;
    out.array(words.length);
    for (const word of words) out.bulk(Buffer.from(word), 0, Buffer.byteLength(word));
  }

  /** Once, before the first key. The link is open. */
  select(dbIndex: number): void {
    this.isSelected = true;
    this.#request(["SLOTSRESTORE-ASYNC-SELECT", String(dbIndex)]);
    this.#connection!.markDirty();
  }

  /** Where messages go, while the link is open; they are then `added`. */
  get out(): ReplyWriter {
    return this.#connection!.out;
  }

  /** Bytes that were ever written to `out`. */
  get writtenBytes(): number {
    return this.#connection!.sentBytes + this.#connection!.backlogBytes;
  }

  /** So many whole messages more are in `out`. */
  added(messages: number): void {
    this.outstanding += messages;
    this.#connection!.markDirty();
  }

  /** Offers what is in `out` to the kernel. @returns bytes that it did not take */
  flush(): number {
    this.#connection!.flush();
    return this.#connection!.backlogBytes;
  }

  /** Ends a link nobody waits for, or whose owner has had enough; the owner is not told. */
  end(): void {
    if (this.#isClosed) return;
    if (this.outstanding > 0) this.#abandon();
    else this.#finish(() => this.#connection?.close());
  }

  // -- ClientPort -------------------------------------------------------------------------------

  /** CLIENT KILL. */
  close(): void {
    this.#fail(CLOSED);
  }

  backlogBytes(): number {
    return this.#connection?.backlogBytes ?? 0;
  }

  pendingBytes(): number {
    return this.#decoder.pendingBytes;
  }

  abort(reason: string): void {
    this.#fail(`ERR interrupted: ${reason}`);
  }

  authenticated(): void {}
  answer(): void {}
  executeAgain(): void {}

  // -- ConnectionOwner --------------------------------------------------------------------------

  onData(chunk: Buffer): void {
    if (this.#isIntroducing) this.#introduced(chunk);
    else this.#acknowledged(chunk);
  }

  #introduced(chunk: Buffer): void {
    const connection = this.#connection!;
    const progress = this.#introduction.receive(chunk, connection.out);
    if (connection.backlogBytes > 0) connection.markDirty();
    if (progress === "noauth") this.#refused(NOT_AUTHENTICATED);
    else if (progress === "broken") this.#refused("what is no answer");
    if (progress !== "open") return;
    this.#isIntroducing = false;
    this.isOpen = true;
    this.#owner.opened();
  }

  #acknowledged(chunk: Buffer): void {
    const { outstanding } = this;
    // Else the chunk begins in the middle of an answer, and may say anything.
    const from = this.#decoder.pendingBytes === 0 ? this.#skipSuccesses(chunk) : 0;
    if (from < chunk.length) this.#readAnswers(chunk.subarray(from));
    if (this.isOpen && this.outstanding < outstanding) this.#owner.acknowledged();
    if (this.#decoder.pendingBytes > ANSWER_BYTES_MAX) this.#refused("an answer of too many bytes");
  }

  /** ACKs of success, two for each small key, are only counted. @returns where others begin */
  #skipSuccesses(chunk: Buffer): number {
    if (!this.isOpen) return 0;
    let from = 0;
    while (this.outstanding > 0) {
      const end = skipDone(chunk, from, chunk.length);
      if (end < 0) break;
      this.outstanding--;
      from = end;
    }
    return from;
  }

  #readAnswers(chunk: Buffer): void {
    this.#decoder.feed(chunk);
    while (!this.#isClosed) {
      const reply = this.#nextReply();
      if (reply === undefined) break;
      this.#answered(reply);
    }
  }

  onDrain(): void {
    if (!this.#isClosed) this.#owner.drained();
  }

  onEnd(): void {
    this.#fail(CLOSED);
  }

  onClose(): void {
    this.#fail(CLOSED);
  }

  // ---------------------------------------------------------------------------------------------

  /** @returns undefined when it has not come whole, or is no reply at all, which ends the link */
  #nextReply(): Reply | undefined {
    try {
      return this.#decoder.next();
    } catch (error) {
      if (!(error instanceof CodisError)) throw error;
      this.#refused("what is no answer");
      return undefined;
    }
  }

  #answered(reply: Reply): void {
    this.outstanding--;
    if (this.outstanding < 0) {
      this.#refused("more than it was asked");
      return;
    }
    if (this.#isSuccess(reply) && !this.isOpen) this.#beginIntroduction();
  }

  /** @returns false when it is not, which ends the link */
  #isSuccess(reply: Reply): boolean {
    if (reply instanceof ErrorReply) {
      this.#refused(withoutArguments(reply.text));
      return false;
    }
    const words = Array.isArray(reply) && reply.length === 3 ? reply.map(String) : [];
    if (words[0] !== ACK) {
      this.#refused("what is no ACK");
      return false;
    }
    if (words[1] === "0") return true;
    this.#refused(words[2]!);
    return false;
  }

  #refused(what: string): void {
    this.#fail(`ERR interrupted: target answered: ${what.slice(0, SHOWN_CHARS_MAX)}`);
  }

  #fail(text: string): void {
    if (this.#isClosed) return;
    this.#state.log.warn("a link for moving keys has failed", {
      target: `${this.host}:${this.port}`,
      error: text,
    });
    this.#abandon();
    this.#owner.failed(text);
  }

  /** Ends a link on which something may be unread at the target. */
  #abandon(): void {
    const connection = this.#connection;
    if (this.isOpen && this.outstanding > 0) {
      this.#failed.push(this.#introduction.seenAs ?? connection!.localAddress);
    }
    this.#finish(() => connection?.destroy());
  }

  #finish(close: () => void): void {
    this.#isClosed = true;
    this.isOpen = false;
    if (this.#client !== undefined) {
      this.#client.closeAfterReply();
      this.#state.clients.delete(this.#client.id);
    }
    close();
  }
}
