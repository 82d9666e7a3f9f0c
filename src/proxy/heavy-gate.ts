/**
 * Pure: how much of one server connection may go to clients that ask for much.
 *
 *   session -> ReplyWindow.trusts? ── yes ──────────────────────> backend
 *                                 └─ no ──> gate: room? ── yes ──> backend
 *                                               └─ no ──> waiters, in the order of coming
 *
 * A server answers a connection in order, so whoever is behind a reply waits for all of it, and how
 * large it is shows only then. A window per session does not help where sessions are many: forty
 * that asked for 20 values of 5 MB each put 4 GB before whoever came next, who then waited for a
 * minute, and now waits for 2 s. So requests of a session beyond what it is trusted with
 * (reply-window.ts) stand in line before the connection, where the others pass them: HEAVY_MAX of
 * them are at the server, and no more than HEAVY_BYTES, judged by what such replies lately were.
 *
 * A server that says nothing for HEAVY_STALL_MS has no large reply in anybody's way: then all go,
 * to be answered or to fail together, and not in groups one timeout after the other.
 */

import type { RequestOwner } from "./request.ts";
import type { Resumable } from "./turn.ts";
import { Waiters } from "./waiters.ts";

/** Such requests at the server, at most ... */
export const HEAVY_MAX = 32;
/** ... at least, however large their replies ... */
const HEAVY_MIN = 2;
/** ... and between, so many bytes of replies. */
export const HEAVY_BYTES = 16 * 1024 * 1024;
/** Without a byte from the server for this long, the gate is open until one comes. */
export const HEAVY_STALL_MS = 5000;
/** Weight of the last reply in the mean. */
const LAST_WEIGHT = 0.25;

/** A machine that waits here, for a client. */
export interface HeavyWaiter extends Resumable {
  readonly client: RequestOwner;
}

export class HeavyGate {
  readonly waiters = new Waiters<HeavyWaiter>();
  /** Requests at the server. */
  length = 0;
  #room = HEAVY_MAX;
  /** Of replies lately. */
  #meanBytes = 0;
  /** Of the reply that is coming. */
  #pieceBytes = 0;

  /** For whoever had waited: it is full. */
  get isFull(): boolean {
    return this.length >= this.#room;
  }

  /** For whoever comes: it would wait, or overtake. */
  get isShut(): boolean {
    return this.length >= this.#room || this.waiters.length > 0;
  }

  /** A piece of a reply has come, and more will. */
  addPiece(bytes: number): void {
    this.#pieceBytes += bytes;
  }

  /** A reply has come, or its last piece. */
  answered(bytes: number): void {
    this.length--;
    this.#meanBytes += (this.#pieceBytes + bytes - this.#meanBytes) * LAST_WEIGHT;
    this.#pieceBytes = 0;
    const fitting = Math.floor(HEAVY_BYTES / this.#meanBytes);
    this.#room = Math.max(HEAVY_MIN, Math.min(HEAVY_MAX, fitting));
    if (this.waiters.length > 0) this.#wake();
  }

  /** Some 100 ms have passed. `silentMs`: how long the server has owed replies and said nothing. */
  tick(silentMs: number): void {
    if (this.waiters.length === 0) return;
    if (silentMs > HEAVY_STALL_MS) this.open();
    else this.#wake();
  }

  /** Everybody goes, until the next reply. */
  open(): void {
    this.#room = Number.POSITIVE_INFINITY;
    this.#wake();
  }

  /** The connection is lost, and with it whatever was at the server. */
  reset(): void {
    this.length = 0;
    this.#pieceBytes = 0;
    this.#wake();
  }

  /** As many go on as there is room for. */
  #wake(): void {
    this.waiters.wake(this.#room - this.length);
  }
}
