/**
 * Pure: a request that could not be handed to a backend at once: its slot is blocked, the backend is
 * full, or the slot is migrating and the key has to come first.
 *
 *   slot blocked -> wait -> look again
 *   slot migrating: each key pulled from the source   -> primary
 *     sync        SLOTSMGRTTAGONE host port 3000 key   an integer: go on; else the request fails
 *     semi-async  SLOTSMGRT-EXEC-WRAPPER key request   [0 go on] [1 ask again later] [2 here is the reply]
 *   backend full -> wait -> look again
 *
 * The session waits too, so what it sent behind is not overtaken; other sessions go on. While the
 * source is asked the passage counts as under way in its slot, so a fill waits for it; between two
 * attempts it does not, and the next attempt follows the definition then in force.
 *
 * A request with several keys (all of one slot, but perhaps of several hash tags) pulls each of them,
 * always by the synchronous command: the wrapper moves the tag of one key only. The original pulls
 * the first key and leaves the others behind.
 *
 * Source: Codis pkg/proxy/forward.go.
 */

import { parseAddress } from "../base/address.ts";
import { assert } from "../base/assert.ts";
import { indexOfByte } from "../base/bytes.ts";
import { FORWARD_SEMI_ASYNC } from "../model/slot.ts";
import { encodeRequest } from "../resp/encoder.ts";
import type { Backend, RoomWaiter } from "./backend.ts";
import { handleRequest, SLOT_OFFLINE, typeTag } from "./replies.ts";
import {
  gatherReply,
  poolRequest,
  type Request,
  type RequestOwner,
  takeRequest,
} from "./request.ts";
import type { PendingDispatch, Session } from "./session.ts";
import {
  BLOCKED,
  MIGRATING,
  OFFLINE,
  type ProxySlot,
  REPLICATED,
  type SlotWaiter,
} from "./slot.ts";
import type { Resumable } from "./turn.ts";

/** Milliseconds a source may take for one SLOTSMGRTTAGONE, as its argument says. */
const MIGRATE_TIMEOUT_MS = 3000;

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
}

/** What a passage asks of its surroundings. */
export interface PassagePort {
  /** Calls `machine.resume` after so many milliseconds; 0 means in this turn. */
  delay(machine: Resumable, ms: number): void;
}

export class Passage implements PendingDispatch, RequestOwner, SlotWaiter, RoomWaiter, Resumable {
  readonly #request: Request;
  readonly #session: Session;
  readonly #slot: ProxySlot;
  readonly #message: Message;
  readonly #port: PassagePort;
  /** Waits to be called back. */
  #isWaiting = false;
  #isCancelled = false;
  /** Counts as under way in the slot: from the first pull of an attempt to the push. */
  #isCounted = false;
  /** The source was asked and has not answered. */
  #isAsking = false;
  /** Keys pulled in this attempt. */
  #pulled = 0;
  #attempts = 0;
  /** Answered or refused without the primary. */
  #isDone = false;

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

  /** Goes as far as it can. @returns whether the request is handed over or answered */
  retry(): boolean {
    if (this.#isWaiting) return false;
    if (this.#isDone) return true;
    const slot = this.#slot;
    if (!this.#isCounted) {
      if (slot.mode === BLOCKED) {
        slot.wait(this);
        return this.#wait();
      }
      if (slot.mode === OFFLINE) return this.#refuse(SLOT_OFFLINE);
      if (slot.mode === MIGRATING && this.#message.keys.length > 0) this.#count();
    }
    if (this.#isCounted && this.#pulled * 2 < this.#message.keys.length) return this.#pull();
    const backend = this.#destination();
    if (backend.isFull) {
      backend.waitForRoom(this);
      return this.#wait();
    }
    this.#isDone = true;
    const request = this.#request;
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
    if (this.#isCounted && !this.#isAsking) this.#uncount();
  }

  onUnblocked(): void {
    this.resume();
  }

  onRoom(): void {
    this.resume();
  }

  resume(): void {
    this.#isWaiting = false;
    if (!this.#isCancelled) this.#session.port.turn.wake(this.#session);
  }

  // -- the source -------------------------------------------------------------------------------

  #pull(): boolean {
    const { buf, keys } = this.#message;
    const source = this.#slot.source!.lane(this.#session.database, this.#session.id);
    if (source.isFull) {
      source.waitForRoom(this);
      return this.#wait();
    }
    const key = buf.subarray(keys[this.#pulled * 2]!, keys[this.#pulled * 2 + 1]!);
    if (key.length === 0) {
      this.#pulled++;
      return this.retry();
    }
    const call = this.#isWrapped()
      ? wrapped(this.#message, key)
      : migrateOne(this.#slot.primary!.address, key);
    this.#isAsking = true;
    this.#wait();
    source.push(takeRequest(this, 0, this.#session.port.turn.nowMs), call, 0, call.length);
    return false;
  }

  #isWrapped(): boolean {
    return this.#slot.forwardMethod === FORWARD_SEMI_ASYNC && this.#message.keys.length === 2;
  }

  onReply(call: Request, buf: Buffer, from: number, to: number): boolean {
    gatherReply(call, buf, from, to);
    const reply = call.reply!.subarray(0, call.replyTo);
    poolRequest(call);
    this.#isAsking = false;
    if (this.#isCancelled) {
      this.#uncount();
      return false;
    }
    if (this.#isWrapped()) this.#takeWrapped(reply);
    else this.#takeMoved(reply);
    return false;
  }

  onReplyPart(call: Request, buf: Buffer, from: number, to: number): boolean {
    gatherReply(call, buf, from, to);
    return false;
  }

  onFail(call: Request, cause: string): void {
    poolRequest(call);
    this.#isAsking = false;
    if (this.#isCancelled) this.#uncount();
    else this.#giveUp(handleRequest(cause));
  }

  onRefuse(): void {
    assert(false, "a passage's own request is never refused");
  }

  hold(): void {}

  #takeMoved(reply: Buffer): void {
    const failure = movedFailure(reply);
    if (failure !== "") {
      this.#giveUp(handleRequest(failure));
      return;
    }
    this.#pulled++;
    this.resume();
  }

  #takeWrapped(reply: Buffer): void {
    const verdict = judgeWrapped(reply);
    switch (verdict.next) {
      case "forward":
        this.#pulled++;
        this.resume();
        break;
      case "retry":
        this.#uncount();
        this.#pulled = 0;
        this.#port.delay(this, retryDelayMs(this.#attempts++));
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
    const { database, id } = this.#session;
    const slot = this.#slot;
    if (slot.mode === REPLICATED && this.#message.isRead) {
      const replica = slot.healthyReplica(database, id);
      if (replica !== undefined) return replica;
    }
    return slot.primary!.lane(database, id);
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

function migrateOne(target: string, key: Buffer): Buffer {
  const { host, port } = parseAddress(target);
  return encodeRequest(["SLOTSMGRTTAGONE", host, port, MIGRATE_TIMEOUT_MS, key]);
}

/** `SLOTSMGRT-EXEC-WRAPPER key` and then name and arguments of the message, as they came. */
function wrapped({ prefix, buf, from, to, argc }: Message, key: Buffer): Buffer {
  const head = encodeRequest(["SLOTSMGRT-EXEC-WRAPPER", key]);
  const name = prefix === undefined ? [] : [behindFirstLine(prefix, 0, prefix.length)];
  const rest = prefix === undefined ? behindFirstLine(buf, from, to) : buf.subarray(from, to);
  const count = Buffer.from(`*${argc + 2}\r\n`);
  return Buffer.concat([count, behindFirstLine(head, 0, head.length), ...name, rest]);
}

function behindFirstLine(buf: Buffer, from: number, to: number): Buffer {
  return buf.subarray(indexOfByte(buf, 0x0a, from, to) + 1, to);
}

// -- what the source answers --------------------------------------------------------------------

const PLUS = 0x2b;
const MINUS = 0x2d;
const COLON = 0x3a;
const STAR = 0x2a;
const CRLF_BYTES = 2;

/** Why SLOTSMGRTTAGONE did not move the key; "" when it did, or there was none. */
export function movedFailure(reply: Buffer): string {
  if (reply[0] === COLON) return "";
  if (reply[0] === MINUS) return `bad slotsmgrt resp: ${lineText(reply, 0)}`;
  return `bad slotsmgrt resp: should be integer, but got ${typeTag(reply[0]!)}`;
}

export type WrappedVerdict =
  | { readonly next: "forward" }
  | { readonly next: "retry" }
  /** The client's reply is the rest from `from`. */
  | { readonly next: "answer"; readonly from: number }
  | { readonly next: "fail"; readonly text: string };

/** What a reply to SLOTSMGRT-EXEC-WRAPPER means. */
export function judgeWrapped(reply: Buffer): WrappedVerdict {
  if (reply[0] === MINUS) return badWrapped(lineText(reply, 0));
  if (reply[0] !== STAR) return badWrapped(`should be integer, but got ${typeTag(reply[0]!)}`);
  const count = Math.max(0, Number(lineText(reply, 0)));
  if (count !== 2) return badWrapped(`array.len = ${count}`);
  const first = indexOfByte(reply, 0x0a, 0, reply.length) + 1;
  const word = valueText(reply, first);
  if (reply[first] !== COLON || word.length !== 1) {
    return badWrapped(
      `type(array[0]) = ${typeTag(reply[first]!)}, len(array[0].value) = ${word.length}`,
    );
  }
  const second = indexOfByte(reply, 0x0a, first, reply.length) + 1;
  if (word === "0") return { next: "forward" };
  if (word === "1") return { next: "retry" };
  if (word === "2") return { next: "answer", from: second };
  return badWrapped(`[${word}] ${valueText(reply, second)}`);
}

function badWrapped(text: string): WrappedVerdict {
  return { next: "fail", text: `bad slotsmgrt-exec-wrapper resp: ${text}` };
}

/** The line at `at` without its type byte. */
function lineText(buf: Buffer, at: number): string {
  return buf.latin1Slice(at + 1, indexOfByte(buf, 0x0a, at, buf.length) - 1);
}

/** What the original calls the value of a reply: the line, the bulk's bytes, nothing of an array. */
export function valueText(buf: Buffer, at: number): string {
  const type = buf[at];
  if (type === PLUS || type === MINUS || type === COLON) return lineText(buf, at);
  if (type === STAR) return "";
  const length = Math.max(0, Number(lineText(buf, at)));
  const from = indexOfByte(buf, 0x0a, at, buf.length) + 1;
  return buf.latin1Slice(from, Math.min(from + length, buf.length - CRLF_BYTES));
}
