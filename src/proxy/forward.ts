/**
 * Pure: a request that could not be handed to a backend at once: its slot is blocked, the backend
 * is full, or the slot is migrating and its keys have to come first.
 *
 *   slot blocked -> wait -> look again
 *   slot migrating: have the source move the keys, in one of the ways of pull.ts -> primary
 *   backend full -> wait -> look again
 *
 * The session waits too, so what it sent behind is not overtaken; other sessions go on. While the
 * source is asked the passage counts as under way in its slot, so a fill waits for it; between two
 * attempts it does not, and the next attempt follows the definition then in force.
 *
 * Several keys (of one slot, but perhaps of several hash tags) are all pulled, tag by tag and never
 * by the wrapper, which moves the tag of one key only. The original pulls the first key alone.
 *
 * Nobody tells which family a source is of. What it does not know is noted with its connections,
 * and the next way is taken at once and from then on. Source: Codis pkg/proxy/forward.go.
 */

import { assert } from "../base/assert.ts";
import { equalBytes } from "../base/bytes.ts";
import { FORWARD_SEMI_ASYNC } from "../model/slot.ts";
import { hashTag, tagEnd, tagStart } from "../slots/hash.ts";
import type { Backend } from "./backend.ts";
import type { HeavyGate, HeavyWaiter } from "./heavy-gate.ts";
import {
  judgePull,
  MIGRATE,
  type PullVerdict,
  type PullWay,
  pullAllRequest,
  TAG_ONE,
  tagOneRequest,
  WRAPPER,
  wrapperRequest,
} from "./pull.ts";
import { handleRequest, SLOT_OFFLINE } from "./replies.ts";
import {
  gatherReply,
  poolRequest,
  type Request,
  type RequestOwner,
  takeRequest,
} from "./request.ts";
import type { Session } from "./session.ts";
import type { PendingDispatch } from "./session-port.ts";
import { BLOCKED, MIGRATING, OFFLINE, type ProxySlot, REPLICATED } from "./slot.ts";
import type { Resumable } from "./turn.ts";
import type { Waiters } from "./waiters.ts";

/** A request, or one part of a split one, as bytes. */
export interface Message {
  /** Instead of what stands before `from` in `buf`; ends with the bulk of the command's name. */
  readonly prefix: Buffer | undefined;
  readonly buf: Buffer;
  readonly from: number;
  readonly to: number;
  /** With the name. */
  readonly argc: number;
  /** Keys in `buf`: begin, end, begin, end, ... An empty key is never pulled. */
  readonly keys: readonly number[];
  /** May be answered by a replica. */
  readonly isRead: boolean;
  /** How many of the replies the session is owed are this one's: see `SharedBackend.lane`. */
  readonly own: number;
}

/** What a passage asks of its surroundings. */
export interface PassagePort {
  /** Calls `machine.resume` after so many milliseconds; 0 means in this turn. */
  delay(machine: Resumable, ms: number): void;
}

export class Passage implements PendingDispatch, RequestOwner, HeavyWaiter {
  readonly #request: Request;
  readonly #session: Session;
  readonly #slot: ProxySlot;
  readonly #message: Message;
  readonly #port: PassagePort;
  /** Waits to be called back. */
  #isWaiting = false;
  /** Where it waited last. */
  #queue: Waiters | HeavyGate["waiters"] | undefined;
  #isCancelled = false;
  /** Counts as under way in the slot: from the first pull of an attempt to the push. */
  #isCounted = false;
  /** The source was asked and has not answered. */
  #isAsking = false;
  /** How it was asked. */
  #way: PullWay = TAG_ONE;
  /** The target said that it has a key: the source's takes its place. */
  #isReplacing = false;
  /** Keys pulled in this attempt. */
  #pulled = 0;
  #attempts = 0;
  /** Answered or refused without the primary. */
  #isDone = false;
  /** Of the source's reply, which may be the client's (wrapper): bytes the session counts. */
  #keptBytes = 0;

  constructor(
    request: Request,
    session: Session,
    slot: ProxySlot,
    message: Message,
    port: PassagePort,
  ) {
    this.#request = request;
    this.#session = session;
    this.#slot = slot;
    this.#message = message;
    this.#port = port;
  }

  get client(): RequestOwner {
    return this.#session;
  }

  /** Goes as far as it can. @returns whether the request is handed over or answered */
  retry(): boolean {
    if (this.#isWaiting) return false;
    if (this.#isDone) return true;
    const slot = this.#slot;
    if (!this.#isCounted) {
      if (slot.mode === BLOCKED) return this.#waitIn(slot.waiters);
      if (slot.mode === OFFLINE) return this.#refuse(SLOT_OFFLINE);
      if (slot.mode === MIGRATING && this.#message.keys.length > 0) this.#count();
    }
    if (this.#isCounted && this.#pulled * 2 < this.#message.keys.length) return this.#pull();
    const backend = this.#destination();
    if (backend.isFull) return this.#waitIn(backend.waiters);
    const session = this.#session;
    const isTrusted = session.window.trusts(session.length);
    if (!isTrusted && this.#isBehind(backend.gate)) return this.#waitIn(backend.gate.waiters);
    this.#isDone = true;
    const request = this.#request;
    request.isHeavy = !isTrusted;
    if (this.#isCounted) this.#isCounted = false;
    else slot.underWay++;
    request.slot = slot;
    const { prefix, buf, from, to } = this.#message;
    if (prefix === undefined) backend.push(request, buf, from, to);
    else backend.pushPrefixed(request, prefix, buf, from, to);
    return true;
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#isDone = true;
    this.#queue?.remove(this);
    if (this.#isCounted && !this.#isAsking) this.#uncount();
  }

  resume(): void {
    this.#isWaiting = false;
    if (!this.#isCancelled) this.#session.port.turn.wake(this.#session);
  }

  // -- the source -------------------------------------------------------------------------------

  #pull(): boolean {
    const session = this.#session;
    const source = this.#slot.source!.lane(session.database, session, this.#message.own);
    if (source.isFull) return this.#waitIn(source.waiters);
    this.#way = this.#chooseWay();
    if (this.#isEmptyKey() || (this.#way === TAG_ONE && this.#hasComeWithTag())) {
      this.#pulled++;
      return this.retry();
    }
    const call = this.#pullRequest();
    this.#isAsking = true;
    this.#wait();
    source.push(takeRequest(this, 0, session.port.turn.nowMs), call, 0, call.length);
    return false;
  }

  /** The best way that the source is not known not to know. */
  #chooseWay(): PullWay {
    const unknown = this.#slot.source!.unknownWays;
    const mayWrap = this.#slot.forwardMethod === FORWARD_SEMI_ASYNC && this.#keyCount === 1;
    if (mayWrap && (unknown & WRAPPER) === 0) return WRAPPER;
    return (unknown & TAG_ONE) === 0 ? TAG_ONE : MIGRATE;
  }

  #isEmptyKey(): boolean {
    const { keys } = this.#message;
    return keys[this.#pulled * 2] === keys[this.#pulled * 2 + 1];
  }

  /** Whether the next key has the tag of one before it, which brought all keys of the tag. */
  #hasComeWithTag(): boolean {
    const { buf, keys } = this.#message;
    const at = this.#pulled * 2;
    if (!hashTag(buf, keys[at]!, keys[at + 1]!)) return false;
    const tag = buf.subarray(tagStart, tagEnd);
    for (let i = 0; i < at; i += 2) {
      if (!hashTag(buf, keys[i]!, keys[i + 1]!)) continue;
      if (equalBytes(buf, tagStart, tagEnd, tag, 0, tag.length)) return true;
    }
    return false;
  }

  #pullRequest(): Buffer {
    if (this.#way === WRAPPER) return wrapperRequest(this.#message, this.#key(0));
    const { address, auth } = this.#slot.primary!;
    if (this.#way === TAG_ONE) return tagOneRequest(address, this.#key(this.#pulled));
    const { database } = this.#session;
    const keys = Array.from({ length: this.#keyCount }, (_, i) => this.#key(i));
    return pullAllRequest({ address, auth, database, replace: this.#isReplacing }, keys);
  }

  get #keyCount(): number {
    return this.#message.keys.length / 2;
  }

  #key(i: number): Buffer {
    const { buf, keys } = this.#message;
    return buf.subarray(keys[2 * i]!, keys[2 * i + 1]!);
  }

  onReply(call: Request, buf: Buffer, from: number, to: number): boolean {
    if (!this.#isCancelled) gatherReply(call, buf, from, to);
    const reply = call.reply?.subarray(0, call.replyTo);
    if (this.#isAnswered(call)) this.#act(judgePull(this.#way, this.#isReplacing, reply!), reply!);
    return false;
  }

  /** Never asks to hold the backend: what is kept here leaves only when it is complete. */
  onReplyPart(call: Request, buf: Buffer, from: number, to: number): boolean {
    if (this.#isCancelled) return false;
    gatherReply(call, buf, from, to);
    this.#keptBytes += to - from;
    this.#session.addKept(to - from);
    return false;
  }

  onFail(call: Request, cause: string): void {
    if (this.#isAnswered(call)) this.#giveUp(handleRequest(cause));
  }

  /** The source is done with a call. @returns whether anybody wants to know */
  #isAnswered(call: Request): boolean {
    poolRequest(call);
    this.#isAsking = false;
    this.#session.addKept(-this.#keptBytes);
    this.#keptBytes = 0;
    if (this.#isCancelled) this.#uncount();
    return !this.#isCancelled;
  }

  onRefuse(): void {
    assert(false, "a passage's own request is never refused");
  }

  hold(): void {}

  #act(verdict: PullVerdict, reply: Buffer): void {
    switch (verdict.next) {
      case "forward":
        this.#pulled += this.#way === MIGRATE ? this.#keyCount : 1;
        this.resume();
        break;
      case "retry":
        this.#uncount();
        this.#pulled = 0;
        this.#port.delay(this, retryDelayMs(this.#attempts++));
        break;
      case "replace":
        this.#isReplacing = true;
        this.resume();
        break;
      case "unknown":
        this.#learn(verdict.text);
        break;
      case "answer":
        this.#uncount();
        this.#isDone = true;
        this.#request.owner!.onReply(this.#request, reply, verdict.from, reply.length);
        this.resume();
        break;
      case "fail":
        this.#giveUp(handleRequest(verdict.text));
        break;
    }
  }

  /** The source does not know what it was asked for: another way, at once. */
  #learn(text: string): void {
    const source = this.#slot.source!;
    if (this.#way === MIGRATE) {
      // Another server than it was: the next request asks from the beginning.
      source.unknownWays = 0;
      this.#giveUp(handleRequest(text));
      return;
    }
    source.unknownWays |= this.#way;
    this.resume();
  }

  #giveUp(text: string): void {
    this.#uncount();
    this.#refuse(text);
    this.resume();
  }

  // ---------------------------------------------------------------------------------------------

  #refuse(text: string): true {
    this.#isDone = true;
    this.#request.owner!.onRefuse(this.#request, text);
    return true;
  }

  /** Where the request goes when no key has to be pulled any more. */
  #destination(): Backend {
    const session = this.#session;
    const { isRead, own } = this.#message;
    const slot = this.#slot;
    if (slot.mode === REPLICATED && isRead) {
      const replica = slot.healthyReplica(session.database, session, own);
      if (replica !== undefined) return replica;
    }
    return slot.primary!.lane(session.database, session, own);
  }

  /** It has to wait at the gate; who waited there does so once. */
  #isBehind(gate: HeavyGate): boolean {
    return this.#queue === gate.waiters ? gate.isFull : gate.isShut;
  }

  #waitIn(queue: Waiters | HeavyGate["waiters"]): false {
    this.#queue = queue;
    queue.add(this);
    return this.#wait();
  }

  #wait(): false {
    this.#isWaiting = true;
    return false;
  }

  #count(): void {
    this.#isCounted = true;
    this.#pulled = 0;
    this.#slot.underWay++;
  }

  #uncount(): void {
    if (!this.#isCounted) return;
    this.#isCounted = false;
    this.#slot.finish();
  }
}

/** How long to wait before attempt n + 1, counted from 0: five at once, then slower. */
export function retryDelayMs(attempt: number): number {
  if (attempt < 5) return 0;
  return Math.min(attempt, 20);
}
