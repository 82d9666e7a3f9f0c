/**
 * Pure: MGET, MSET, DEL, UNLINK, TOUCH and EXISTS with several keys: one request per key (for MSET
 * per pair), sent without waiting for one another, and one reply made of theirs.
 *
 *   MGET a b c  ->  MGET a | MGET b | MGET c  ->  *1 .. | *1 .. | *1 ..  ->  *3 .. .. ..
 *
 * When a part cannot be dispatched the whole command fails with its error; the parts before it were
 * sent and take effect. Replies of another form than expected make the whole reply an error that
 * names the type and not the text: clients of the original know it so.
 *
 * Source: Codis pkg/proxy/session.go `handleRequestMGet` and its kin.
 */

import { assert } from "../base/assert.ts";
import type { Command } from "../commands/lookup.ts";
import type { RequestDecoder } from "../resp/decoder.ts";
import { encodeRequest } from "../resp/encoder.ts";
import { slotOfRange } from "../slots/hash.ts";
import type { Message, Passage } from "./forward.ts";
import { valueText } from "./pull.ts";
import { handleResponse, typeTag } from "./replies.ts";
import {
  ANSWERED,
  gatherReply,
  poolRequest,
  type Request,
  type RequestOwner,
  takeRequest,
} from "./request.ts";
import type { Session } from "./session.ts";
import type { PendingDispatch } from "./session-port.ts";

/** How the replies of the parts become one. */
type Merge = "elements" | "last" | "sum" | "count";

const MERGES: Readonly<Record<string, Merge>> = {
  MGET: "elements",
  MSET: "last",
  DEL: "sum",
  UNLINK: "sum",
  TOUCH: "sum",
  EXISTS: "count",
};

/** Hands over a part; undefined when that is done, else what waits. */
export type ForwardPart = (
  session: Session,
  part: Request,
  slotId: number,
  message: Message,
) => Passage | undefined;

export class Split implements RequestOwner, PendingDispatch {
  readonly #session: Session;
  readonly #command: Command;
  readonly #merge: Merge;
  readonly #buf: Buffer;
  readonly #args: Int32Array;
  readonly #argc: number;
  readonly #isRead: boolean;
  readonly #forward: ForwardPart;
  readonly #prefix: Buffer;
  /** Arguments per part: the key, for MSET also its value. */
  readonly #step: number;

  /** The client's request; undefined once it is answered. */
  #parent: Request | undefined;
  readonly #parts: Request[] = [];
  /** Why a part got no reply. */
  readonly #causes = new Map<Request, string>();
  #passage: Passage | undefined;
  #answered = 0;
  #keptBytes = 0;

  constructor(
    parent: Request,
    session: Session,
    command: Command,
    decoder: RequestDecoder,
    isRead: boolean,
    forward: ForwardPart,
  ) {
    this.#parent = parent;
    this.#session = session;
    this.#command = command;
    this.#merge = MERGES[command.name]!;
    this.#buf = decoder.buf;
    this.#args = decoder.args;
    this.#argc = decoder.argc;
    this.#isRead = isRead;
    this.#forward = forward;
    this.#step = command.step;
    this.#prefix = prefixOf(command.name, this.#step + 1);
  }

  /** Dispatches the parts, or goes on with it. @returns false when one of them must wait */
  retry(): boolean {
    if (this.#passage !== undefined) {
      if (!this.#passage.retry()) return false;
      this.#passage = undefined;
    }
    const count = (this.#argc - 1) / this.#step;
    if (this.#parent !== undefined) this.#parent.parts = count;
    while (this.#parent !== undefined && this.#parts.length < count) {
      this.#passage = this.#dispatchPart(1 + this.#parts.length * this.#step);
      if (this.#passage !== undefined) return false;
    }
    if (this.#answered === count) this.#finish();
    return true;
  }

  cancel(): void {
    this.#passage?.cancel();
    this.#parent = undefined;
  }

  #dispatchPart(index: number): Passage | undefined {
    const args = this.#args;
    const from = args[2 * index]!;
    const to = args[2 * index + 1]!;
    const part = takeRequest(this, this.#command.id, this.#session.port.turn.nowMs);
    this.#parts.push(part);
    return this.#forward(this.#session, part, slotOfRange(this.#buf, from, to), {
      prefix: this.#prefix,
      buf: this.#buf,
      // From the length line of the first argument to the line end of the last.
      from: args[2 * index - 1]! + 2,
      to: args[2 * (index + this.#step) - 1]! + 2,
      argc: this.#step + 1,
      keys: [from, to],
      isRead: this.#isRead,
      // Parts of one request may name a key twice: those behind the first keep to its connection.
      own: this.#parts.length === 1 ? 1 : 0,
    });
  }

  // -- replies ----------------------------------------------------------------------------------

  onReply(part: Request, buf: Buffer, from: number, to: number): boolean {
    this.onReplyPart(part, buf, from, to);
    part.state = ANSWERED;
    this.#partDone();
    return false;
  }

  /** Never asks to hold the backend: what is kept here leaves only when all parts are answered. */
  onReplyPart(part: Request, buf: Buffer, from: number, to: number): boolean {
    if (!this.#isWanted()) return false;
    gatherReply(part, buf, from, to);
    this.#keptBytes += to - from;
    this.#session.addKept(to - from);
    return false;
  }

  onFail(part: Request, cause: string): void {
    this.#causes.set(part, cause);
    this.#partDone();
  }

  onRefuse(_part: Request, text: string): void {
    const parent = this.#parent;
    if (parent === undefined) return;
    this.#parent = undefined;
    this.#release();
    parent.owner?.onRefuse(parent, text);
  }

  hold(): void {
    assert(false, "the parts of a split request never hold a backend");
  }

  /** Whether the client still waits: its session lets go of a request by taking its owner away. */
  #isWanted(): boolean {
    return this.#parent?.owner !== undefined;
  }

  #partDone(): void {
    this.#answered++;
    if (this.#answered === (this.#argc - 1) / this.#step && this.#passage === undefined) {
      this.#finish();
    }
  }

  #finish(): void {
    const parent = this.#parent;
    if (parent === undefined) return;
    this.#parent = undefined;
    const owner = parent.owner;
    if (owner === undefined) {
      this.#release();
      return;
    }
    const failure = this.#failure();
    if (failure !== "") {
      this.#release();
      owner.onRefuse(parent, handleResponse(failure));
      return;
    }
    const reply = mergeReplies(this.#merge, this.#parts);
    this.#release();
    owner.onReply(parent, reply, 0, reply.length);
  }

  /** The first failure in the order of keys, or "". */
  #failure(): string {
    for (const part of this.#parts) {
      const cause = this.#causes.get(part);
      if (cause !== undefined) return cause;
      const bad = badPart(this.#merge, part.reply!.subarray(0, part.replyTo));
      if (bad !== "") return `bad ${this.#command.lower} resp: ${bad}`;
    }
    return "";
  }

  #release(): void {
    this.#session.addKept(-this.#keptBytes);
    this.#keptBytes = 0;
    if (this.#answered < this.#parts.length) {
      // The others are still with their backends, which pool them when nobody owns them.
      for (const part of this.#parts) if (part.state !== ANSWERED) part.owner = undefined;
      return;
    }
    for (const part of this.#parts) poolRequest(part);
  }
}

const prefixes = new Map<string, Buffer>();

/** `*2\r\n$4\r\nMGET\r\n` */
function prefixOf(name: string, argc: number): Buffer {
  let prefix = prefixes.get(name);
  if (prefix === undefined) {
    const whole = encodeRequest([name]);
    prefix = Buffer.concat([Buffer.from(`*${argc}\r\n`), whole.subarray(4)]);
    prefixes.set(name, prefix);
  }
  return prefix;
}

// -- the replies of the parts -------------------------------------------------------------------

const PLUS = 0x2b;
const COLON = 0x3a;
const STAR = 0x2a;
const ZERO = 0x30;

/** What is wrong with the reply of a part, in the original's words; "" when nothing is. */
function badPart(merge: Merge, reply: Buffer): string {
  const tag = typeTag(reply[0]!);
  if (merge === "elements") {
    const length = reply[0] === STAR ? arrayLength(reply) : 0;
    return length === 1 ? "" : `${tag} array.len = ${length}`;
  }
  const value = valueText(reply, 0);
  if (merge === "last") return reply[0] === PLUS ? "" : `${tag} value.len = ${value.length}`;
  return reply[0] === COLON && value.length === 1 ? "" : `${tag} value.len = ${value.length}`;
}

function arrayLength(reply: Buffer): number {
  return Math.max(0, Number(reply.latin1Slice(1, reply.indexOf(0x0d))));
}

function mergeReplies(merge: Merge, parts: readonly Request[]): Buffer {
  if (merge === "last") {
    const last = parts[parts.length - 1]!;
    return last.reply!.subarray(0, last.replyTo);
  }
  if (merge === "elements") {
    const pieces: Buffer[] = [Buffer.from(`*${parts.length}\r\n`)];
    for (const { reply, replyTo } of parts) pieces.push(reply!.subarray(ELEMENT_FROM, replyTo));
    return Buffer.concat(pieces);
  }
  let sum = 0;
  for (const { reply } of parts) {
    const digit = reply![1]! - ZERO;
    sum += merge === "sum" || digit === 0 ? digit : 1;
  }
  return Buffer.from(`:${sum}\r\n`);
}

/** Where the element of `*1\r\n...` begins. */
const ELEMENT_FROM = 4;
