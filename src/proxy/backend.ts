/**
 * One pipelined connection to a server, for one database, shared by all sessions.
 *
 *   push -> out bytes -> socket                     requests, in the order of pushing
 *   head -> request -> request -> tail              their objects: reply i belongs to the head
 *   socket -> receive -> scan -> owner.onReply      replies, straight from the receive buffer
 *
 *            dial                opened                 set-up answered
 *   waiting ------> dialing -----------------> setup ------------------> connected
 *      ^               | refused, 5 s             | error, lost              | lost
 *      +---------------+--------------------------+--------------------------+   (or dial at once)
 *
 * While dialing and in set-up, requests queue and their bytes wait; while waiting (after more than
 * RETRIES_AT_ONCE failures in a row) they fail at once. A request is never sent twice: whatever the
 * reason a connection ends, all that were queued on it fail: the head with the reason, those behind
 * it as CONNECTION_RESET. No timers here, but `tick`.
 *
 * Source: Codis pkg/proxy/backend.go. There a lost connection is noticed by the next request, which
 * fails too; ours is dialed again at once.
 */

import { encodeRequest, ReplyWriter } from "../resp/encoder.ts";
import { REPLY_INCOMPLETE, ReplyScanner } from "../resp/reply-scanner.ts";
import { HeavyGate } from "./heavy-gate.ts";
import { Hold } from "./hold.ts";
import { Probe } from "./probe.ts";
import { CONNECTION_RESET, connectionFailure, malformedReply } from "./replies.ts";
import {
  type Holdable,
  poolRequest,
  type Request,
  type RequestOwner,
  takeRequest,
} from "./request.ts";
import { SendWatch } from "./send-watch.ts";
import type { Turn } from "./turn.ts";
import { Waiters } from "./waiters.ts";
import type { Wire } from "./wire.ts";

/** All times in milliseconds; 0 turns a timeout off. */
export interface BackendLimits {
  readonly product_auth: string;
  /** Requests without reply on one connection; 0 works as 1. */
  readonly backend_max_pipeline: number;
  readonly backend_recv_timeout: number;
  readonly backend_send_timeout: number;
  readonly backend_ping_period: number;
}

/** An attempt to connect that takes longer has failed. */
export const DIAL_TIMEOUT_MS = 5000;
/** Bytes of requests that may wait for one server to read them; sessions that send more wait. */
export const BACKEND_OUTPUT_MAX = 4 * 1024 * 1024;
/** Failures in a row after which the next attempt waits. */
const RETRIES_AT_ONCE = 10;
const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 5000;

const MINUS = 0x2d;
const PLUS = 0x2b;

type BackendState = "waiting" | "dialing" | "setup" | "connected" | "closed";

/**
 * Opens connections for a backend. Answers each `dial` once by `opened` or `dialFailed`, not before
 * it returned, and within DIAL_TIMEOUT_MS.
 */
export interface BackendPort {
  dial(backend: Backend): void;
}

export class Backend implements Holdable {
  readonly address: string;
  readonly database: number;
  /** Requests whose reply is not complete. */
  length = 0;
  /** Woken when it is no longer full, and when it closes. */
  readonly waiters = new Waiters();
  /** Requests of sessions that may ask for much stand before it: whoever pushes one asks it. */
  readonly gate = new HeavyGate();

  readonly #limits: BackendLimits;
  readonly #pipelineMax: number;
  readonly #port: BackendPort;
  readonly #turn: Turn;
  readonly #scanner = new ReplyScanner();

  #state: BackendState = "waiting";
  #wire: Wire | undefined;
  /** Where requests are written: the connection's output once connected, else `#queue`. */
  #out: ReplyWriter;
  readonly #queue = new ReplyWriter();
  #head: Request | undefined;
  #tail: Request | undefined;
  readonly #hold = new Hold();
  readonly #probe: Probe;
  /** Replies to AUTH and SELECT still to come. */
  #setupLeft = 0;
  /** A first part of the head's reply was received. */
  #isInReply = false;
  #isClosing = false;
  /** Attempts that failed since a reply last came. */
  #failures = 0;
  /** When the state began, the last reply byte came or the queue became non-empty. */
  #progressMs = 0;
  #tickMs = 0;
  #retryAtMs = 0;
  readonly #sendWatch: SendWatch;

  constructor(
    address: string,
    database: number,
    limits: BackendLimits,
    port: BackendPort,
    turn: Turn,
  ) {
    this.address = address;
    this.database = database;
    this.#limits = limits;
    this.#pipelineMax = Math.max(1, limits.backend_max_pipeline);
    this.#port = port;
    this.#turn = turn;
    this.#out = this.#queue;
    this.#probe = new Probe(limits.backend_ping_period);
    this.#sendWatch = new SendWatch(turn.nowMs);
    this.#tickMs = turn.nowMs;
    this.#dial();
  }

  /** Connected and not known to serve old or no data. */
  get isHealthy(): boolean {
    return this.#state === "connected" && !this.#probe.isStale;
  }

  get isClosed(): boolean {
    return this.#state === "closed";
  }

  /** Full for now: whoever wants to push is one of `waiters`. */
  get isFull(): boolean {
    return this.length >= this.#pipelineMax || this.#out.pendingBytes >= BACKEND_OUTPUT_MAX;
  }

  /**
   * Queues a request, whose bytes are buf[from, to); they are copied. Its owner may be told of its
   * failure before this returns. Callers look at `isFull` first.
   */
  push(request: Request, buf: Buffer, from: number, to: number): void {
    if (this.#refuses(request)) return;
    this.#out.append(buf, from, to);
    this.#enqueue(request);
  }

  /** As `push`, for a request that consists of `prefix` and then buf[from, to). */
  pushPrefixed(request: Request, prefix: Buffer, buf: Buffer, from: number, to: number): void {
    if (this.#refuses(request)) return;
    this.#out.raw(prefix);
    this.#out.append(buf, from, to);
    this.#enqueue(request);
  }

  /** Completes what is queued, then closes. Nobody may begin to wait for it any more. */
  close(): void {
    this.#isClosing = true;
    this.#wakeWaiters();
    if (this.length === 0) this.#shut();
  }

  /** Fails what is queued and closes. */
  destroy(): void {
    this.#isClosing = true;
    this.#lose(CONNECTION_RESET);
  }

  // -- the connection's events ------------------------------------------------------------------

  /** The dial succeeded. */
  opened(wire: Wire): void {
    if (this.#state !== "dialing") {
      wire.destroy();
      return;
    }
    this.#state = "setup";
    this.#wire = wire;
    this.#progressMs = this.#turn.nowMs;
    const { product_auth: auth } = this.#limits;
    if (auth !== "") {
      wire.out.raw(encodeRequest(["AUTH", auth]));
      this.#setupLeft++;
    }
    if (this.database !== 0) {
      wire.out.raw(encodeRequest(["SELECT", this.database]));
      this.#setupLeft++;
    }
    if (this.#setupLeft === 0) this.#becomeConnected();
    else wire.markDirty();
  }

  /** The dial failed. */
  dialFailed(): void {
    if (this.#state === "dialing") this.#lose(CONNECTION_RESET);
  }

  /** The connection ended. `cause` for clients: `EOF`, `read tcp ...: connection reset by peer`. */
  closed(wire: Wire, cause: string): void {
    if (this.#wire === wire) this.#lose(connectionFailure(cause));
  }

  /** Bytes of replies. They are used in place; owners copy what they keep. */
  receive(chunk: Buffer): void {
    this.#progressMs = this.#turn.nowMs;
    const end = chunk.length;
    let at = 0;
    if (this.#setupLeft > 0) {
      at = this.#receiveSetup(chunk);
      if (at < 0) return;
    }
    const scanner = this.#scanner;
    while (at < end) {
      const request = this.#head;
      if (request === undefined) {
        this.#lose(connectionFailure("reply without request"));
        return;
      }
      if (chunk[at] === MINUS && !this.#isInReply) this.#probe.noticeError(chunk, at, end);
      const next = scanner.scan(chunk, at, end);
      const owner = request.owner;
      if (next < 0) {
        if (next !== REPLY_INCOMPLETE) {
          this.#lose(connectionFailure(malformedReply(scanner.error)));
          return;
        }
        this.#isInReply = true;
        if (request.isHeavy) this.gate.addPiece(end - at);
        if (owner?.onReplyPart(request, chunk, at, end)) owner.hold(this);
        break;
      }
      if (request.isHeavy) this.gate.answered(next - at);
      this.#isInReply = false;
      this.#dequeue(request);
      if (owner === undefined) poolRequest(request);
      else if (owner.onReply(request, chunk, at, next)) owner.hold(this);
      at = next;
    }
    this.#failures = 0;
    if (this.waiters.length > 0 && !this.isFull) this.#wakeWaiters();
    if (this.length === 0 && this.#isClosing) this.#shut();
  }

  /** Looks at the clock: timeouts, retries, keepalive. Called some ten times a second. */
  tick(): void {
    const nowMs = this.#turn.nowMs;
    if (this.#hold.pass(nowMs - this.#tickMs, this.#head, this.gate)) this.#readAgain();
    this.#tickMs = nowMs;
    // Those woken before may be gone, and nobody then makes room for the rest.
    if (this.waiters.length > 0 && !this.isFull) this.#wakeWaiters();
    this.gate.tick(this.#hold.isOn ? 0 : nowMs - this.#progressMs);
    switch (this.#state) {
      case "waiting":
        if (nowMs >= this.#retryAtMs) this.#dial();
        break;
      case "setup":
      case "connected":
        if (this.#isReplyOverdue(nowMs)) {
          this.#lose(connectionFailure(`read tcp ${this.address}: i/o timeout`));
        } else if (this.#isSendOverdue(nowMs)) {
          this.#lose(connectionFailure(`write tcp ${this.address}: i/o timeout`));
        } else if (this.#probe.isTooLong) {
          this.#lose(connectionFailure("endless reply to a probe"));
        } else if (this.#state === "connected" && this.#probe.isDue(nowMs)) {
          this.#sendProbe(nowMs);
        }
        break;
    }
  }

  // -- holding: an owner of replies cannot keep up ----------------------------------------------

  holdFor(owner: RequestOwner): void {
    if (this.#hold.add(owner)) this.#wire?.pause();
  }

  releaseFor(owner: RequestOwner): void {
    if (this.#hold.remove(owner)) this.#readAgain();
  }

  #readAgain(): void {
    this.#progressMs = this.#turn.nowMs;
    this.#wire?.resume();
  }

  // -- inside -----------------------------------------------------------------------------------

  #enqueue(request: Request): void {
    const tail = this.#tail;
    if (tail === undefined) {
      this.#head = request;
      this.#progressMs = this.#turn.nowMs;
    } else {
      tail.behind = request;
    }
    this.#tail = request;
    this.length++;
    if (request.isHeavy) this.gate.length++;
    if (this.#state === "connected") this.#wire!.markDirtyLate();
  }

  #dequeue(request: Request): void {
    const behind = request.behind;
    this.#head = behind;
    if (behind === undefined) this.#tail = undefined;
    else request.behind = undefined;
    this.length--;
    request.slot?.finish();
  }

  #dial(): void {
    this.#state = "dialing";
    this.#port.dial(this);
  }

  /** @returns where replies to clients begin in `chunk`, or -1 when the set-up failed */
  #receiveSetup(chunk: Buffer): number {
    let at = 0;
    while (this.#setupLeft > 0 && at < chunk.length) {
      if (!this.#isInReply && chunk[at] !== PLUS) {
        this.#lose(CONNECTION_RESET);
        return -1;
      }
      at = this.#scanner.scan(chunk, at, chunk.length);
      this.#isInReply = at === REPLY_INCOMPLETE;
      if (this.#isInReply) return chunk.length;
      if (at < 0) {
        this.#lose(CONNECTION_RESET);
        return -1;
      }
      if (--this.#setupLeft === 0) this.#becomeConnected();
    }
    return at;
  }

  #becomeConnected(): void {
    const wire = this.#wire!;
    const nowMs = this.#turn.nowMs;
    this.#state = "connected";
    this.#progressMs = nowMs;
    this.#sendWatch.restart(nowMs);
    this.#probe.startPeriod(nowMs);
    const queue = this.#queue;
    if (queue.pendingBytes > 0) {
      wire.out.append(queue.buf, queue.head, queue.length);
      queue.clear();
    }
    this.#out = wire.out;
    if (wire.backlogBytes > 0) wire.markDirty();
    if (this.#hold.isOn) wire.pause();
  }

  /** Ends the connection or the attempt: the head of the queue fails with `cause`. */
  #lose(cause: string): void {
    const wasConnected = this.#state === "connected";
    const wire = this.#wire;
    let request = this.#head;
    this.#wire = undefined;
    this.#head = undefined;
    this.#tail = undefined;
    this.length = 0;
    this.#out = this.#queue;
    this.#queue.clear();
    this.#scanner.reset();
    this.#isInReply = false;
    this.#setupLeft = 0;
    this.#probe.forget();
    // The next state first: owners told of a failure may look at this backend.
    this.#state = "closed";
    if (!this.#isClosing) this.#planRetry();
    wire?.destroy();
    let reason = wasConnected ? cause : CONNECTION_RESET;
    while (request !== undefined) {
      const behind: Request | undefined = request.behind;
      request.behind = undefined;
      request.slot?.finish();
      request.slot = undefined;
      if (request.owner === undefined) poolRequest(request);
      else request.owner.onFail(request, reason);
      reason = CONNECTION_RESET;
      request = behind;
    }
    this.gate.reset();
    this.#wakeWaiters();
  }

  #planRetry(): void {
    this.#failures++;
    if (this.#failures <= RETRIES_AT_ONCE) {
      this.#dial();
      return;
    }
    const doublings = Math.min(this.#failures - RETRIES_AT_ONCE - 1, 16);
    this.#state = "waiting";
    this.#retryAtMs = this.#turn.nowMs + Math.min(RETRY_MIN_MS * 2 ** doublings, RETRY_MAX_MS);
  }

  /** Without a connection, and none to come soon, a request fails at once. */
  #refuses(request: Request): boolean {
    if (this.#state !== "waiting" && this.#state !== "closed") return false;
    request.slot?.finish();
    request.slot = undefined;
    request.owner!.onFail(request, CONNECTION_RESET);
    return true;
  }

  #wakeWaiters(): void {
    // As many as there is room for; the others keep their place, unless no room will come.
    const room = Math.max(1, this.#pipelineMax - this.length);
    this.waiters.wake(this.#isClosing ? Number.POSITIVE_INFINITY : room);
    if (this.#isClosing) this.gate.open();
  }

  /** Every queued request is answered. */
  #shut(): void {
    const wire = this.#wire;
    this.#wire = undefined;
    this.#state = "closed";
    this.#out = this.#queue;
    wire?.close();
  }

  #isReplyOverdue(nowMs: number): boolean {
    const timeoutMs = this.#limits.backend_recv_timeout;
    if (timeoutMs === 0 || this.#hold.isOn) return false;
    if (this.length === 0 && this.#setupLeft === 0) return false;
    return nowMs - this.#progressMs > timeoutMs;
  }

  #isSendOverdue(nowMs: number): boolean {
    const timeoutMs = this.#limits.backend_send_timeout;
    return this.#sendWatch.isOverdue(this.#wire!.backlogBytes, nowMs, timeoutMs);
  }

  /** Keeps an idle connection alive, and asks a server that was stale how it is. */
  #sendProbe(nowMs: number): void {
    this.#probe.startPeriod(nowMs);
    if (this.length > 0) return;
    const { bytes } = this.#probe;
    this.push(takeRequest(this.#probe, 0, nowMs), bytes, 0, bytes.length);
  }
}
