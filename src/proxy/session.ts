/**
 * One client: its requests are decoded and dispatched in order, its replies leave in that order.
 *
 *   socket -> decoder (in place) -> router.dispatch -> backends        requests
 *   head -> [request] -> [request] -> [request] -> tail                one per reply still owed
 *            next to       may come early:
 *            leave         kept until its turn
 *   backend's receive buffer -> out -> socket                         the head's reply, as it comes
 *
 * A session stops decoding, and so reading, while it waits: for the dispatch of the request in
 * hand (slot blocked, backend full, key moving), for replies (reply-window.ts: enough are owed) or
 * for its client to read (OUTPUT_PAUSE_BYTES wait to be sent; output-watch.ts: what follows). Bytes
 * that still arrive are set aside. Where the original closed a session that sent more than
 * session_max_pipeline requests ahead, ours stops reading it. Source: Codis pkg/proxy/session.go.
 */

import { assert } from "../base/assert.ts";
import { type BudgetHolder, NOTICE_BYTES } from "../net/client-budget.ts";
import { REQUEST_ERROR, REQUEST_READY, RequestDecoder } from "../resp/decoder.ts";
import type { ReplyWriter } from "../resp/encoder.ts";
import { KeptReplies } from "./kept-replies.ts";
import { OutputWatch } from "./output-watch.ts";
import { errorLine, handleResponse } from "./replies.ts";
import { ReplyWindow } from "./reply-window.ts";
import {
  ANSWERED,
  GATHERING,
  gatherReply,
  type Holdable,
  poolRequest,
  type Request,
  type RequestOwner,
  STREAMING,
  takeRequest,
  WAITING,
} from "./request.ts";
import { SendWatch } from "./send-watch.ts";
import type { PendingDispatch, SessionPort } from "./session-port.ts";
import type { Stats } from "./stats.ts";
import type { Resumable, Turn } from "./turn.ts";
import type { Wire } from "./wire.ts";

/** Replies waiting to be sent above which requests are no longer decoded. */
export const OUTPUT_PAUSE_BYTES = 512 * 1024;

const MINUS = 0x2d;

/** What a session waits for. */
const NOTHING = 0;
/** The request in hand. */
const DISPATCH = 1;
/** Replies to come: too many are owed. */
const REPLIES = 2;
/** Replies to be sent: too many bytes wait. */
const OUTPUT = 3;

export class Session implements RequestOwner, Resumable, BudgetHolder {
  /** Counts from 0. */
  readonly id: number;
  readonly port: SessionPort;
  database = 0;
  /** Of parallel connections, the one in use: see `SharedBackend.lane`. */
  lane = 0;
  isAuthorized: boolean;
  /** As CLIENT SETNAME set it. */
  name = "";

  readonly #wire: Wire;
  readonly #out: ReplyWriter;
  readonly #decoder: RequestDecoder;
  readonly #turn: Turn;
  readonly #stats: Stats;
  /** How many replies may be owed before no more requests are decoded. */
  readonly window: ReplyWindow;

  #head: Request | undefined;
  #tail: Request | undefined;
  /** Replies owed. */
  #length = 0;

  readonly #kept = new KeptReplies();
  readonly #output: OutputWatch;

  #waitsFor = NOTHING;
  #pending: PendingDispatch | undefined;
  #aside: Buffer[] = [];
  /** The client sends no more. */
  #hasEnded = false;
  /** No more requests are decoded; closes when nothing is owed. */
  #isEnding = false;
  #isClosed = false;
  #reason = "";

  #readMs: number;
  readonly #sendWatch: SendWatch;

  constructor(id: number, wire: Wire, port: SessionPort) {
    const { limits, turn, stats } = port;
    this.id = id;
    this.port = port;
    this.isAuthorized = limits.session_auth === "";
    this.#wire = wire;
    this.#out = wire.out;
    this.#turn = turn;
    this.#stats = stats;
    // One request is decoded beyond the queue, and the reply awaited is not in the queue.
    this.window = new ReplyWindow(limits.session_max_pipeline + 2);
    this.#readMs = turn.nowMs;
    this.#sendWatch = new SendWatch(turn.nowMs);
    this.#output = new OutputWatch(this, wire.out, port);
    this.#decoder = new RequestDecoder("proxy", { lineBytes: limits.session_recv_bufsize });
    this.#decoder.setUnauthenticated(!this.isAuthorized);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Replies owed. */
  get length(): number {
    return this.#length;
  }

  /** What the budget counts: replies that wait, and requests that are not done with. */
  get heldBytes(): number {
    return this.#output.bytes + this.#decoder.heldBytes;
  }

  // -- requests in ------------------------------------------------------------------------------

  /** Bytes from the client; the buffer is the session's from now on. */
  receive(chunk: Buffer): void {
    if (this.#isEnding) return;
    this.#readMs = this.#turn.nowMs;
    if (this.#waitsFor !== NOTHING) {
      this.#aside.push(chunk);
      this.#wire.pause();
      return;
    }
    this.#decoder.feed(chunk);
    this.#decode();
    if (this.#decoder.heldBytes > NOTICE_BYTES) this.#output.notice();
  }

  /** The client sends no more: what it is owed is delivered, then the session closes. */
  ended(): void {
    this.#hasEnded = true;
    if (this.#waitsFor === NOTHING) this.finish("client closed");
  }

  /** What it waited for may be there. */
  resume(): void {
    this.#output.releaseUnlessBehind();
    if (this.#isClosed || this.#waitsFor === NOTHING || this.#isCrowded()) return;
    if (this.#pending !== undefined) {
      if (!this.#pending.retry()) return;
      this.#pending = undefined;
    }
    this.#waitsFor = NOTHING;
    this.#decode();
    while (this.#waitsFor === NOTHING && this.#aside.length > 0) {
      this.#decoder.feed(this.#aside.shift()!);
      this.#decode();
    }
    if (this.#waitsFor !== NOTHING) return;
    this.#wire.resume();
    if (this.#hasEnded) this.finish("client closed");
  }

  #decode(): void {
    const decoder = this.#decoder;
    const out = this.#out;
    const port = this.port;
    while (!this.#isEnding) {
      if (this.#length >= this.window.size) {
        this.#waitsFor = REPLIES;
        this.window.fill();
        return;
      }
      if (out.length - out.head > OUTPUT_PAUSE_BYTES) {
        this.#waitsFor = OUTPUT;
        this.#turn.wakeLater(this);
        return;
      }
      const status = decoder.next();
      if (status !== REQUEST_READY) {
        if (status === REQUEST_ERROR) this.finish(`protocol error: ${decoder.error}`);
        return;
      }
      if (!port.dispatch(this, decoder)) {
        this.#waitsFor = DISPATCH;
        return;
      }
    }
  }

  /** Waits for output that is still there. */
  #isCrowded(): boolean {
    return this.#waitsFor === OUTPUT && this.#out.pendingBytes > OUTPUT_PAUSE_BYTES;
  }

  // -- what the router asks ---------------------------------------------------------------------

  /** A password was given. */
  authorize(isRight: boolean): void {
    this.isAuthorized = isRight;
    this.#decoder.setUnauthenticated(!isRight);
  }

  /** A request in the order queue, whose reply will come by `onReply` or `onFail`. */
  begin(commandId: number): Request {
    const request = takeRequest(this, commandId, this.#turn.nowMs);
    const tail = this.#tail;
    if (tail === undefined) this.#head = request;
    else tail.next = request;
    this.#tail = request;
    this.#length++;
    return request;
  }

  /** Answers a request at once, in its turn. */
  answer(commandId: number, reply: Buffer): void {
    if (this.#length === 0) {
      this.#out.raw(reply);
      this.#stats.count(commandId, 0, reply[0] === MINUS);
      this.#wire.markDirty();
      return;
    }
    this.onReply(this.begin(commandId), reply, 0, reply.length);
  }

  /** Refuses a request that was not begun: a failure of the proxy, unlike an `answer`. */
  refuse(commandId: number, text: string): void {
    this.onRefuse(this.begin(commandId), text);
  }

  /** The dispatch that returned false, for `resume` to go on with. */
  wait(pending: PendingDispatch): void {
    assert(this.#pending === undefined, "a session waits for one dispatch at a time");
    this.#pending = pending;
  }

  /** No more requests; closes when what is owed was sent. */
  finish(reason: string): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#reason = reason;
    this.#aside = [];
    if (this.#length === 0) this.#wire.close();
  }

  // -- replies out ------------------------------------------------------------------------------

  onReply(request: Request, buf: Buffer, from: number, to: number): boolean {
    if (request !== this.#head) {
      this.#keep(request, buf, from, to);
      return false;
    }
    this.#out.append(buf, from, to);
    this.window.add(to - from, request.parts);
    this.#leave(request, request.state === WAITING && buf[from] === MINUS);
    const next = this.#head;
    if (next !== undefined && next.state !== WAITING) this.#sendKept();
    const out = this.#out;
    return out.length - out.head > NOTICE_BYTES && this.#output.notice();
  }

  onReplyPart(request: Request, buf: Buffer, from: number, to: number): boolean {
    if (request !== this.#head) {
      request.state = GATHERING;
      gatherReply(request, buf, from, to);
      this.#output.addKept(to - from);
      return false;
    }
    request.state = STREAMING;
    this.#out.append(buf, from, to);
    this.window.addPiece(to - from, request.parts);
    this.#wire.markDirtyLate();
    return this.#output.notice();
  }

  /** No reply: the client is told, or when it has a part of the reply already, cut off. */
  onFail(request: Request, cause: string): void {
    this.onRefuse(request, handleResponse(cause));
  }

  /** `text` is the reply. Under session_break_on_failure it is the last one. */
  onRefuse(request: Request, text: string): void {
    if (request.state === STREAMING) {
      this.#wire.flush(); // The whole replies before it are the client's.
      this.destroy(`reply cut off: ${text}`);
      return;
    }
    if (request.state === GATHERING) {
      this.#output.addKept(-request.replyTo);
      request.reply = undefined;
      request.state = WAITING;
    }
    if (this.port.limits.session_break_on_failure) this.#breakAt(request, text);
    const line = errorLine(text);
    this.onReply(request, line, 0, line.length);
  }

  #keep(request: Request, buf: Buffer, from: number, to: number): void {
    if (request.state === GATHERING) gatherReply(request, buf, from, to);
    else this.#kept.keep(request, buf, from, to);
    request.state = ANSWERED;
    this.#output.addKept(to - from);
  }

  /** Bytes kept for this session, also elsewhere (the parts of a split command), or no longer. */
  addKept(bytes: number): void {
    this.#output.addKept(bytes);
  }

  /** The head has a kept reply: it leaves, and those behind it that are kept too. */
  #sendKept(): void {
    let request = this.#head;
    while (request !== undefined && request.state !== WAITING) {
      if (request.state === STREAMING) break;
      const { reply, replyFrom, replyTo } = request;
      this.#out.append(reply!, replyFrom, replyTo);
      this.#output.keptBytes -= replyTo - replyFrom;
      if (request.state === GATHERING) {
        this.window.addPiece(replyTo - replyFrom, request.parts);
        request.state = STREAMING;
        request.reply = undefined;
        break;
      }
      this.window.add(replyTo - replyFrom, request.parts);
      this.#leave(request, reply![replyFrom] === MINUS);
      request = this.#head;
    }
    if (this.#output.keptBytes === 0) this.#kept.release();
  }

  /** The head's reply is in the output. */
  #leave(request: Request, isError: boolean): void {
    const next = request.next;
    this.#head = next;
    if (next === undefined) {
      this.#tail = undefined;
      if (this.#isEnding) this.#wire.close();
    }
    this.#length--;
    this.#stats.count(request.commandId, this.#turn.nowMs - request.startMs, isError);
    poolRequest(request);
    // Where more is owed the rest is likely to follow at once, from another backend.
    if (next === undefined) this.#wire.markDirty();
    else this.#wire.markDirtyLate();
    if (this.#waitsFor === REPLIES && this.window.reopens(this.#length)) this.#turn.wake(this);
  }

  /** `request` gets `text` as its reply, nothing behind it gets one, and the session ends. */
  #breakAt(request: Request, text: string): void {
    const dropped = request.next;
    request.next = undefined;
    this.#tail = request;
    this.#dropFrom(dropped);
    this.#cancelPending();
    this.finish(`failure: ${text}`);
  }

  #dropFrom(first: Request | undefined): void {
    for (let request = first; request !== undefined; ) {
      const { next }: Request = request;
      this.#drop(request);
      request = next;
    }
  }

  /** A request that is owed nothing any more: its backend pools it, if one has it. */
  #drop(request: Request): void {
    this.#length--;
    this.#stats.countFail(request.commandId);
    request.next = undefined;
    if (request.state === ANSWERED) {
      this.#output.keptBytes -= request.replyTo - request.replyFrom;
      poolRequest(request);
    } else {
      request.owner = undefined;
      if (request.state === GATHERING) this.#output.keptBytes -= request.replyTo;
      request.reply = undefined;
    }
  }

  // -- limits -----------------------------------------------------------------------------------

  hold(backend: Holdable): void {
    this.#output.hold(backend);
  }

  /** The socket took everything that waited. */
  drained(): void {
    this.#output.release();
    this.#output.noticeAgain();
    if (this.#waitsFor === OUTPUT) this.#turn.wake(this);
  }

  closeFor(limit: string): void {
    this.destroy(`limit reached: ${limit}: its replies and request held ${this.heldBytes} bytes`);
  }

  /** Looks at the clock. Called about every half second. */
  tick(): void {
    const { session_recv_timeout: recvTimeoutMs, session_send_timeout: sendTimeoutMs } =
      this.port.limits;
    const nowMs = this.#turn.nowMs;
    const { backlogBytes } = this.#wire;
    this.#output.noticeAgain();
    if (this.#sendWatch.isOverdue(backlogBytes, nowMs, sendTimeoutMs)) {
      this.destroy("limit reached: session_send_timeout");
    } else if (this.#waitsFor !== NOTHING) {
      this.#readMs = nowMs;
      if (this.#waitsFor === OUTPUT) this.#turn.wake(this);
    } else if (recvTimeoutMs > 0 && nowMs - this.#readMs > recvTimeoutMs) {
      this.finish("limit reached: session_recv_timeout");
    }
  }

  // -- the end ----------------------------------------------------------------------------------

  /** Ends at once. */
  destroy(reason: string): void {
    if (this.#isClosed) return;
    this.closed(reason);
    this.#wire.destroy();
  }

  /** The connection is gone: what was owed is dropped where it is. */
  closed(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isEnding = true;
    this.#cancelPending();
    const dropped = this.#head;
    this.#head = undefined;
    this.#tail = undefined;
    this.#dropFrom(dropped);
    this.#kept.release();
    this.#aside = [];
    this.#output.end();
    this.port.onSessionClosed(this, this.#reason === "" ? reason : this.#reason);
  }

  #cancelPending(): void {
    this.#pending?.cancel();
    this.#pending = undefined;
  }
}
