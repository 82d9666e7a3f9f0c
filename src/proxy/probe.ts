/**
 * Pure: what a backend finds out about its server besides replies to clients: whether it serves old
 * data, or none yet. An error that says so makes it stale; then INFO is asked instead of PING,
 * until it says that all is well.
 */

import { assert } from "../base/assert.ts";
import { equalBytes } from "../base/bytes.ts";
import { encodeRequest } from "../resp/encoder.ts";
import { gatherReply, poolRequest, type Request, type RequestOwner } from "./request.ts";

/** However short the period asked for. */
const PERIOD_MIN_MS = 1000;

/** An INFO is some 6 KiB. Above this the server is no Redis. */
export const PROBE_REPLY_MAX = 1024 * 1024;

const DOLLAR = 0x24;
const PING = encodeRequest(["PING"]);
const INFO = encodeRequest(["INFO"]);

/** Errors of a replica that lost its master, and of a server that reads its data from disk. */
const STALE_WORDS = [Buffer.from("MASTERDOWN"), Buffer.from("LOADING")];

/** The owner of a backend's own requests. */
export class Probe implements RequestOwner {
  /** The server said that it has old data, or none. */
  isStale = false;
  /** What is answered to the probe under way is longer than PROBE_REPLY_MAX. */
  isTooLong = false;
  readonly #periodMs: number;
  #atMs = 0;

  /** @param periodMs between two probes of an idle connection; 0 for none */
  constructor(periodMs: number) {
    this.#periodMs = periodMs === 0 ? Number.POSITIVE_INFINITY : Math.max(periodMs, PERIOD_MIN_MS);
  }

  isDue(nowMs: number): boolean {
    return nowMs >= this.#atMs;
  }

  /** The connection is gone, and the next may lead to another server. */
  forget(): void {
    this.isStale = false;
    this.isTooLong = false;
  }

  /** A probe was sent, or would have been but for requests under way. */
  startPeriod(nowMs: number): void {
    this.#atMs = nowMs + this.#periodMs;
  }

  /** The request to send now. */
  get bytes(): Buffer {
    return this.isStale ? INFO : PING;
  }

  /** An error reply begins at chunk[at]. */
  noticeError(chunk: Buffer, at: number, end: number): void {
    for (const word of STALE_WORDS) {
      if (equalBytes(chunk, at + 1, Math.min(at + 1 + word.length, end), word, 0, word.length)) {
        this.isStale = true;
      }
    }
  }

  onReply(request: Request, buf: Buffer, from: number, to: number): boolean {
    gatherReply(request, buf, from, to);
    if (this.isStale) this.isStale = !showsHealth(request.reply!, request.replyTo);
    poolRequest(request);
    return false;
  }

  onReplyPart(request: Request, buf: Buffer, from: number, to: number): boolean {
    if (!this.isTooLong) gatherReply(request, buf, from, to);
    this.isTooLong = request.replyTo > PROBE_REPLY_MAX;
    return false;
  }

  onFail(request: Request): void {
    poolRequest(request);
  }

  onRefuse(): void {
    assert(false, "a probe is pushed, never dispatched");
  }

  hold(): void {
    assert(false, "the reply to a probe is never too much");
  }
}

/** Whether an INFO reply says that the server has its data and its master. */
function showsHealth(reply: Buffer, length: number): boolean {
  if (reply[0] !== DOLLAR) return false;
  const text = reply.latin1Slice(0, length);
  return !text.includes("master_link_status:down") && !text.includes("loading:1");
}
