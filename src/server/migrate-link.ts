/**
 * The connection over which keys leave for one target (`host:port` as the caller wrote it).
 * Requests of several moves are pipelined; replies are single lines, in order.
 *
 *   dial ──> AUTH ──> introduction ──> open: SELECT, SLOTSRESTORE ...
 *     └───────┴────────────┴──────────── failure: every move that waits  └──> idle ──> close
 *                                        hears why, no key is removed here
 *
 * The introduction (link-introduction.ts) has the target close what is left of earlier links, so
 * that no old copy of a key arrives late over a newer value.
 *
 * A target of the redis family knows no SLOTSRESTORE: it gets a RESTORE per key instead, and the
 * first move over a link is sent twice.
 *
 * Source: Codis extern/redis-3.2.11/src/slots.c (messages, time limits, texts).
 */

import { CodisError } from "../base/errors.ts";
import { Fifo } from "../base/fifo.ts";
import { isUnknownCommand } from "../commands/family.ts";
import type { Connection, ConnectionOwner } from "../net/connection.ts";
import { dial } from "../net/dial.ts";
import type { ReplyWriter } from "../resp/encoder.ts";
import type { LinkIntroduction } from "./link-introduction.ts";

const CONNECT_FAILED = "IOERR error or timeout connecting to the client";
export const WRITE_FAILED = "IOERR error or timeout writing to target";
const STEP_FAILED = "ERR error on slotsrestore";
const READ_FAILED = "IOERR error or timeout reading from target";

/** No reply line of ours is longer; a peer that sends more is no server. */
const LINE_BYTES_MAX = 64 * 1024;

const LF = 0x0a;
const PLUS = 0x2b;
const MINUS = 0x2d;
const COLON = 0x3a;

/** What a reply answers. */
export type Step = "auth" | "select" | "del" | "slotsrestore" | "restore";

/** Whom the link tells. `Move` is whatever the owner puts in. */
export interface LinkOwner<Move> {
  opened(link: MigrationLink<Move>): void;
  /** All that was sent for the move is answered, and not by an error. */
  restored(move: Move): void;
  /** The target knows no SLOTSRESTORE: the move is to be sent again, as RESTORE per key. */
  unknown(move: Move): void;
  /** The link is of no use any more. `failed` follows for every move that was given to it. */
  closed(link: MigrationLink<Move>): void;
  /** @param text of the error to answer, without `-` */
  failed(move: Move, text: string): void;
}

export interface Sending {
  readonly dbIndex: number;
  readonly timeoutMs: number;
  /** Holds a request for each of `steps`. */
  readonly request: ReplyWriter;
  readonly steps: readonly ("del" | "slotsrestore" | "restore")[];
}

interface Expected<Move> {
  readonly step: Step;
  /** Nothing more of the move follows. */
  readonly isLast: boolean;
  /** Undefined for AUTH. */
  readonly move: Move | undefined;
  readonly timeoutMs: number;
}

export class MigrationLink<Move> implements ConnectionOwner {
  readonly address: string;
  isOpen = false;
  /** False once the target said that it does not know SLOTSRESTORE. */
  knowsSlots = true;
  /** Moves that wait for the link to open. */
  readonly waiting: Move[] = [];
  /** By the owner's clock; for closing idle links. */
  lastUsedMs = 0;

  readonly #owner: LinkOwner<Move>;
  readonly #expected = new Fifo<Expected<Move>>();
  readonly #introduction: LinkIntroduction;
  /** Addresses of links that failed with requests unanswered. */
  readonly #failedLinks: string[];
  #connection: Connection | undefined;
  #isClosed = false;
  #isIntroducing = false;
  #timeoutMs = 0;
  #dbIndex = -1;
  #line: Buffer[] = [];
  #lineBytes = 0;
  #timer: Timer | undefined;
  #backlog = 0;

  /**
   * @param introduction of this link alone
   * @param failedLinks shared by all links to this target; the introduction takes from it
   */
  constructor(
    owner: LinkOwner<Move>,
    address: string,
    introduction: LinkIntroduction,
    failedLinks: string[],
  ) {
    this.#owner = owner;
    this.address = address;
    this.#introduction = introduction;
    this.#failedLinks = failedLinks;
  }

  get isIdle(): boolean {
    return this.#expected.length === 0 && this.waiting.length === 0;
  }

  /**
   * Starts to connect; ends in `opened` or `failed` of the owner.
   * @param password of this server, "" for none; the target's must be the same
   */
  connect(host: string, port: number, password: string, timeoutMs: number): void {
    this.#timeoutMs = timeoutMs;
    dial(host, port, { timeoutMs }, (connection) => {
      this.#connection = connection;
      return this;
    }).then(
      () => {
        if (this.#isClosed) return;
        if (password === "") this.#introduce();
        else this.#authenticate(password);
      },
      (error: unknown) => this.#fail(connectFailure(error)),
    );
  }

  #authenticate(password: string): void {
    this.#request(["AUTH", password], "auth", undefined, this.#timeoutMs);
    this.#connection!.markDirty();
    this.#armTimer();
  }

  #introduce(): void {
    this.#isIntroducing = true;
    this.#introduction.begin(this.#connection!.out);
    this.#connection!.markDirty();
    this.#setTimer(this.#timeoutMs);
  }

  /** Sends a move's keys. The link is open. */
  send(move: Move, sending: Sending): void {
    const { dbIndex, timeoutMs, request, steps } = sending;
    const { out } = this.#connection!;
    const wasIdle = this.#expected.length === 0;
    if (dbIndex !== this.#dbIndex) {
      this.#dbIndex = dbIndex;
      this.#request(["SELECT", String(dbIndex)], "select", move, timeoutMs);
    }
    out.append(request.buf, request.head, request.length);
    for (const [i, step] of steps.entries()) {
      this.#expected.push({ step, isLast: i === steps.length - 1, move, timeoutMs });
    }
    this.#connection!.markDirty();
    if (wasIdle) this.#armTimer();
  }

  #request(words: readonly string[], step: Step, move: Move | undefined, timeoutMs: number): void {
    const { out } = this.#connection!;
    out.array(words.length);
    for (const word of words) out.bulkText(word);
    this.#expected.push({ step, isLast: false, move, timeoutMs });
  }

  /** Closes a link nobody waits for. */
  close(): void {
    this.#isClosed = true;
    this.isOpen = false;
    clearTimeout(this.#timer);
    this.#connection?.close();
  }

  /** Ends now; moves that were given to it fail. */
  destroy(): void {
    this.#fail(READ_FAILED);
  }

  // -- ConnectionOwner --------------------------------------------------------------------------

  onData(chunk: Buffer): void {
    if (this.#isIntroducing) {
      this.#introduced(chunk);
      return;
    }
    let from = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, from)) {
      const first = this.#line[0]?.[0] ?? chunk[from]!;
      const line = Buffer.concat([...this.#line, chunk.subarray(from, end)]).toString("latin1");
      this.#line = [];
      this.#lineBytes = 0;
      from = end + 1;
      this.#replied(first, line.trimEnd());
      if (this.#isClosed) return;
    }
    if (from === chunk.length) return;
    this.#line.push(chunk.subarray(from));
    this.#lineBytes += chunk.length - from;
    if (this.#lineBytes > LINE_BYTES_MAX) this.#fail(READ_FAILED);
  }

  onEnd(): void {
    this.#fail(READ_FAILED);
  }

  onClose(): void {
    this.#fail(READ_FAILED);
  }

  // ---------------------------------------------------------------------------------------------

  #replied(firstByte: number, line: string): void {
    const expected = this.#expected.peek();
    const isLine = firstByte === PLUS || firstByte === MINUS || firstByte === COLON;
    if (expected === undefined || !isLine) {
      this.#fail(READ_FAILED);
      return;
    }
    this.#expected.shift();
    const { step, isLast, move } = expected;
    if (move === undefined) {
      if (firstByte === PLUS) this.#introduce();
      else this.#fail(`${STEP_FAILED}, auth failed`);
      return;
    }
    const isRestore = step === "slotsrestore" || step === "restore";
    if (step === "slotsrestore" && isUnknownCommand(line.slice(1))) {
      this.knowsSlots = false;
      this.#armTimer();
      this.#owner.unknown(move);
      return;
    }
    const isFailed = isRestore || step === "del" ? firstByte === MINUS : firstByte !== PLUS;
    if (isFailed) {
      this.#end(move, `${STEP_FAILED}, ${isRestore ? "migration" : step} failed`);
      return;
    }
    this.#armTimer();
    if (isLast) this.#owner.restored(move);
  }

  #introduced(chunk: Buffer): void {
    const connection = this.#connection!;
    const progress = this.#introduction.receive(chunk, connection.out);
    if (connection.backlogBytes > 0) connection.markDirty();
    if (progress === "noauth") this.#fail(`${STEP_FAILED}, select failed`);
    else if (progress === "broken") this.#fail(READ_FAILED);
    else if (progress === "step") this.#setTimer(this.#timeoutMs);
    else if (progress === "open") {
      clearTimeout(this.#timer);
      this.#isIntroducing = false;
      this.isOpen = true;
      this.#owner.opened(this);
    }
  }

  #armTimer(): void {
    clearTimeout(this.#timer);
    const head = this.#expected.peek();
    if (head !== undefined) this.#setTimer(head.timeoutMs);
  }

  #setTimer(timeoutMs: number): void {
    clearTimeout(this.#timer);
    this.#backlog = this.#connection!.backlogBytes;
    this.#timer = setTimeout(() => this.#timedOut(timeoutMs), timeoutMs);
  }

  #timedOut(timeoutMs: number): void {
    const backlog = this.#connection!.backlogBytes;
    if (backlog > 0 && backlog < this.#backlog) this.#setTimer(timeoutMs);
    else this.#fail(backlog > 0 ? WRITE_FAILED : READ_FAILED);
  }

  #fail(text: string): void {
    this.#end(undefined, text);
  }

  /** @param culprit the move whose request failed; undefined: the one that waited longest */
  #end(culprit: Move | undefined, text: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    const moves = new Set<Move>(culprit === undefined ? [] : [culprit]);
    const isUnanswered = this.isOpen && this.#expected.length > 0;
    for (let next = this.#expected.shift(); next !== undefined; next = this.#expected.shift()) {
      if (next.move !== undefined) moves.add(next.move);
    }
    if (isUnanswered) {
      this.#failedLinks.push(this.#introduction.seenAs ?? this.#connection!.localAddress);
    }
    this.isOpen = false;
    this.#connection?.destroy();
    this.#owner.closed(this);
    let answer = text;
    for (const move of moves) {
      this.#owner.failed(move, answer);
      answer = READ_FAILED;
    }
    for (const move of this.waiting.splice(0)) this.#owner.failed(move, text);
  }
}

/** How the original words the ways in which connecting fails. */
function connectFailure(error: unknown): string {
  if (!(error instanceof CodisError)) return WRITE_FAILED;
  if (error.code === "timeout") return CONNECT_FAILED;
  const reason = error.cause instanceof Error ? error.cause.message : "";
  // A refused connection shows there when it is written to.
  if (!reason.startsWith("getaddrinfo")) return WRITE_FAILED;
  const why = reason.includes("ENOTFOUND") ? "Name or service not known" : reason;
  return `ERR Can't connect to target node: ${why}`;
}
