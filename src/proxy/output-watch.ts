/**
 * Pure: how much of replies one session holds, and what follows from it. Towards the budget of the
 * thread its requests count too that have not come whole, or wait for a slot or a backend.
 *
 * A client that sends and does not read: first it is not read from; then, above OUTPUT_HOLD_BYTES,
 * the backends that answer it are not read while nobody else waits for them, or for a short time
 * (hold.ts), which is enough for a client that is only behind; then its replies pile up to
 * `session_output_max`, and it is closed. With many such clients the budget of the thread closes
 * whoever holds most.
 */

import { type BudgetHolder, NOTICE_BYTES } from "../net/client-budget.ts";
import type { ReplyWriter } from "../resp/encoder.ts";
import type { Holdable, RequestOwner } from "./request.ts";
import type { SessionPort } from "./session-port.ts";
import type { Resumable } from "./turn.ts";

/** Replies waiting to be sent above which backends are held. */
export const OUTPUT_HOLD_BYTES = 4 * 1024 * 1024;

export class OutputWatch {
  /** Early replies, complete or not, also elsewhere (the parts of a split command): bytes. */
  keptBytes = 0;

  readonly #session: BudgetHolder & RequestOwner & Resumable;
  readonly #out: ReplyWriter;
  readonly #port: SessionPort;
  readonly #held = new Set<Holdable>();
  /** The budget counts this session. */
  #isReported = false;
  #isEnded = false;

  constructor(
    session: BudgetHolder & RequestOwner & Resumable,
    out: ReplyWriter,
    port: SessionPort,
  ) {
    this.#session = session;
    this.#out = out;
    this.#port = port;
  }

  /** What the session holds of replies. */
  get bytes(): number {
    return this.#out.pendingBytes + this.keptBytes;
  }

  /** Bytes are kept, or no longer. */
  addKept(bytes: number): void {
    this.keptBytes += bytes;
    if (this.keptBytes > NOTICE_BYTES || this.#isReported) this.notice();
  }

  /** Much is waiting to be sent, or came and waits. @returns whether the backend that answers is to be held */
  notice(): boolean {
    if (this.#isEnded) return false;
    const held = this.#session.heldBytes;
    this.#isReported = held > NOTICE_BYTES;
    this.#port.budget.report(this.#session, this.#isReported ? held : 0);
    if (this.bytes > this.#port.sessionOutputMax) this.#session.closeFor("session_output_max");
    return this.#isBehind();
  }

  /** Time has passed, or something was sent: much was waiting, and may be no longer. */
  noticeAgain(): void {
    if (this.#isReported) this.notice();
  }

  #isBehind(): boolean {
    return !this.#isEnded && this.#out.pendingBytes > OUTPUT_HOLD_BYTES;
  }

  hold(backend: Holdable): void {
    // The write at the end of this turn may be enough.
    if (this.#held.size === 0) this.#port.turn.wakeLater(this.#session);
    this.#held.add(backend);
    backend.holdFor(this.#session);
  }

  /** Lets go of the backends that are held, if the client is no longer behind. */
  releaseUnlessBehind(): void {
    if (this.#held.size > 0 && !this.#isBehind()) this.release();
  }

  release(): void {
    for (const backend of this.#held) backend.releaseFor(this.#session);
    this.#held.clear();
  }

  /** The session is closed. */
  end(): void {
    this.#isEnded = true;
    this.release();
    this.#port.budget.report(this.#session, 0);
  }
}
