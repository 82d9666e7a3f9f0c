/**
 * Pure: one request between session and backend. The same object stands in two queues:
 *
 *   session:  head -> ... -> req -> ... -> tail     linked by `next`, in the order the client sent
 *   backend:  head -> ... -> req -> ... -> tail     linked by `behind`, in the order of sending
 *
 * The backend takes it out of its queue when its reply is complete or lost; the owner, told so,
 * puts it back into the pool when the reply left. An owner that is gone leaves `owner` undefined:
 * then the backend drops the reply and pools the request itself.
 *
 * Objects are pooled because a proxy under load makes millions per second; one thread has one pool.
 */

import type { ProxySlot } from "./slot.ts";

/** Whoever waits for replies. */
export interface RequestOwner {
  /**
   * The reply, or the last piece of it, is buf[from, to). The request is out of the backend's
   * queue.
   * @returns whether the owner has more than it can pass on: the backend is to `hold`
   */
  onReply(request: Request, buf: Buffer, from: number, to: number): boolean;
  /** A piece of a reply that is not complete; more follows. Returns what `onReply` does. */
  onReplyPart(request: Request, buf: Buffer, from: number, to: number): boolean;
  /**
   * No reply will come, or no more of it. `cause` is CONNECTION_RESET or of `connectionFailure`.
   */
  onFail(request: Request, cause: string): void;
  /** It will not be sent; `text` is the error reply. */
  onRefuse(request: Request, text: string): void;
  /** `onReply` or `onReplyPart` said so: the owner is to hold the backend, and release it later. */
  hold(backend: Holdable): void;
}

/** A backend, as seen by an owner that cannot keep up with its replies. */
export interface Holdable {
  /** Stops reading the server, if it may: others need its replies too. */
  holdFor(owner: RequestOwner): void;
  /** Goes on reading, unless someone else holds it. */
  releaseFor(owner: RequestOwner): void;
}

/** Nothing of the reply has come. */
export const WAITING = 0;
/** Next in its session's order, and a first part of the reply went out already. */
export const STREAMING = 1;
/** A first part of the reply came early and is kept. */
export const GATHERING = 2;
/** The whole reply is kept: reply[replyFrom, replyTo). */
export const ANSWERED = 3;
export type RequestState = typeof WAITING | typeof STREAMING | typeof GATHERING | typeof ANSWERED;

export class Request {
  owner: RequestOwner | undefined = undefined;
  /** Counts it as under way until the backend is done with it. */
  slot: ProxySlot | undefined = undefined;
  next: Request | undefined = undefined;
  behind: Request | undefined = undefined;
  state: RequestState = WAITING;
  /** How many requests to servers this one was split into. */
  parts = 1;
  /** Counts at the server's heavy-gate.ts. */
  isHeavy = false;
  /** Index into the statistics. */
  commandId = 0;
  /** When it was decoded: the clock's monotonic milliseconds. */
  startMs = 0;
  reply: Buffer | undefined = undefined;
  replyFrom = 0;
  replyTo = 0;
}

/** Requests kept for reuse, per thread; some 100 bytes each. */
const POOL_MAX = 65536;

let pool: Request | undefined;
let poolLength = 0;

/** A request in state WAITING, in no queue. */
export function takeRequest(owner: RequestOwner, commandId: number, startMs: number): Request {
  let request = pool;
  if (request === undefined) {
    request = new Request();
  } else {
    pool = request.next;
    poolLength--;
    request.next = undefined;
  }
  request.owner = owner;
  request.commandId = commandId;
  request.startMs = startMs;
  return request;
}

/** Gives back a request that stands in no queue. */
export function poolRequest(request: Request): void {
  request.owner = undefined;
  request.slot = undefined;
  request.behind = undefined;
  request.state = WAITING;
  request.parts = 1;
  request.isHeavy = false;
  request.reply = undefined;
  if (poolLength === POOL_MAX) {
    request.next = undefined;
    return;
  }
  request.next = pool;
  pool = request;
  poolLength++;
}

/** Appends a piece of reply to what is kept of it; capacity doubles. */
export function gatherReply(request: Request, buf: Buffer, from: number, to: number): void {
  const kept = request.reply;
  const length = kept === undefined ? 0 : request.replyTo;
  const needed = length + to - from;
  if (kept === undefined || needed > kept.length) {
    const capacity = kept === undefined ? needed : Math.max(needed, kept.length * 2);
    const grown = Buffer.allocUnsafe(capacity);
    kept?.copy(grown, 0, 0, length);
    request.reply = grown;
    request.replyFrom = 0;
  }
  buf.copy(request.reply!, length, from, to);
  request.replyTo = needed;
}
