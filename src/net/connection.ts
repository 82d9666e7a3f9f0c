/**
 * One TCP connection: what is written during a turn leaves in one write at its end.
 *
 *   owner ── out.*, markDirty ──> [out] ── flush, one setImmediate for all ──> socket.write
 *           or markDirtyLate: the same, some turns later if more is likely to join
 *   owner <── onData, onEnd, onDrain, onClose ── Connection <── events ── Bun's socket
 *
 *   open ── close() ──> draining ── [out] empty ──> lingering ── peer's FIN ──> closed
 *     └── destroy(), failure, peer gone ── from any state ───────────────────────┘
 *
 * A short write leaves the rest in `out` until the socket drains; nothing is lost or sent twice.
 * Lingering means our FIN is sent and what the peer still sends is read and dropped: closing a
 * socket with unread bytes makes the kernel reset the connection, and the peer may lose its last
 * replies.
 *
 * Owners look at `backlogBytes` and stop reading or close. The one limit here is the last: when
 * `out` is overfull the connection is destroyed.
 */

import type { Socket } from "bun";
import { formatAddress } from "../base/address.ts";
import { assert } from "../base/assert.ts";
import { CodisError } from "../base/errors.ts";
import { ReplyWriter, WRITER_BYTES_MAX } from "../resp/encoder.ts";
import { type Writer, writeAtTurnEnd, writeLate } from "./turn-end.ts";

/** Whom a connection tells what happens. Events come from the loop, and from `destroy`. */
export interface ConnectionOwner {
  /** `chunk` is the owner's to keep. Never called after `close` or `destroy`. */
  onData(chunk: Buffer): void;
  /** The peer will send nothing more, but may still read: `close` when it has all its replies. */
  onEnd(): void;
  /** After a write fell short: what waits, later output included, is about to be written. */
  beforeDrain?(): void;
  /** After a write fell short: everything has been taken now. */
  onDrain?(): void;
  /**
   * Last event, exactly once. `error` is undefined when the connection ended in good order, or a
   * peer did not end what this side had closed; a CodisError is a reason of ours to cut it off.
   */
  onClose(error: Error | undefined): void;
}

/** Why a connection ends when more was written than a writer holds. */
const OVERFULL = `limit reached: more than ${WRITER_BYTES_MAX} bytes wait to be sent`;

/** What is used of Bun's socket. */
export type ConnectionSocket = Pick<
  Socket<unknown>,
  | "write"
  | "end"
  | "terminate"
  | "shutdown"
  | "pause"
  | "resume"
  | "remoteAddress"
  | "remotePort"
  | "localAddress"
  | "localPort"
>;

/** A peer that takes nothing, or does not close, for this long while we are closing is cut off. */
export const CLOSE_PATIENCE_MS = 5000;

export const UNKNOWN_ADDRESS = "unknown";

type State = "open" | "draining" | "lingering" | "closed";

export class Connection implements Writer {
  /** What to send. Follow writes to it with `markDirty`. */
  readonly out = new ReplyWriter();
  /** `ip:port` of the peer and of our end, kept when closed; UNKNOWN_ADDRESS if reset before. */
  readonly remoteAddress: string;
  readonly localAddress: string;
  /** Bytes the kernel has taken. */
  sentBytes = 0;
  readonly #socket: ConnectionSocket;
  #owner: ConnectionOwner | undefined;
  #state: State = "open";
  #isDirty = false;
  /** The kernel took less than offered and has not asked for more yet. */
  #isBlocked = false;
  /** Dirty, and may wait for more. */
  #isLate = false;
  /** How many more writes may wait although they carry one piece. */
  #lateTrust = 0;
  #isPaused = false;
  #hasPeerEnded = false;
  #closeTimer: Timer | undefined;

  constructor(socket: ConnectionSocket) {
    this.#socket = socket;
    this.remoteAddress = addressText(socket.remoteAddress, socket.remotePort);
    this.localAddress = addressText(socket.localAddress, socket.localPort);
  }

  /** Whom to tell; set once, before the first event. */
  setOwner(owner: ConnectionOwner): void {
    assert(this.#owner === undefined, "a connection has one owner");
    this.#owner = owner;
  }

  /** Bytes that were written and that the kernel has not taken. */
  get backlogBytes(): number {
    return this.out.pendingBytes;
  }

  /** False once `close` or `destroy` was called or the connection ended. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** There is something in `out`; it is sent at the end of this turn. */
  markDirty(): void {
    if (this.#isDirty && !this.#isLate) return;
    this.#isDirty = true;
    this.#isLate = false;
    writeAtTurnEnd(this);
  }

  /**
   * As `markDirty`, for a piece of output that more is likely to join soon: while writes carry
   * several pieces, they are late (turn-end.ts). `markDirty` ends the wait.
   */
  markDirtyLate(): void {
    if (this.#isDirty) {
      this.#lateTrust = LATE_TRUST;
      return;
    }
    if (this.#lateTrust === 0) {
      this.markDirty();
      return;
    }
    this.#lateTrust--;
    this.#isDirty = true;
    this.#isLate = true;
    writeLate(this);
  }

  /** Stops reading: the peer is held back once the kernel's buffers are full. */
  pause(): void {
    if (this.#isPaused || this.#state !== "open") return;
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#isPaused || this.#state === "closed") return;
    this.#isPaused = false;
    this.#socket.resume();
  }

  /** Sends what is in `out`, then ends. Nothing is read any more. */
  close(): void {
    if (this.#state !== "open") return;
    this.#state = "draining";
    this.flush();
    if (!this.#isClosed()) this.#armCloseTimer();
  }

  /** Ends now; the peer sees a reset. `onClose` is called before this returns. */
  destroy(error?: Error): void {
    if (this.#state === "closed") return;
    this.#finish(error);
    this.#socket.terminate();
  }

  /** Sends what can be sent now. The end of the turn calls this for every dirty connection. */
  flush(): void {
    this.#isDirty = false;
    this.#isLate = false;
    if (this.out.isOverfull) this.destroy(new CodisError("limit", OVERFULL));
    if (this.#isBlocked) return;
    if (this.#state === "closed" || this.#state === "lingering") {
      this.out.clear();
      return;
    }
    const pending = this.out.pendingBytes;
    if (pending > 0) {
      const sent = this.#socket.write(this.out.buf, this.out.head, pending);
      if (sent < 0) {
        this.destroy(new Error("write: connection is closed"));
        return;
      }
      this.out.consume(sent);
      this.sentBytes += sent;
      this.#isBlocked = sent < pending;
    }
    if (this.#state === "draining" && !this.#isBlocked) this.#sendFin();
  }

  /** @returns whether it goes on waiting, which it does not when it is time or much to send */
  flushLate(isTime: boolean): boolean {
    if (!this.#isLate) return false;
    if (!isTime && this.out.pendingBytes < LATE_BYTES) return true;
    this.flush();
    return false;
  }

  // -- the socket's events: see `socketHandlers` ------------------------------------------------

  received(chunk: Buffer): void {
    if (this.#state === "open") this.#owner!.onData(chunk);
  }

  drained(): void {
    // Bun also reports drains nobody waited for.
    if (!this.#isBlocked) return;
    this.#isBlocked = false;
    this.#owner!.beforeDrain?.();
    this.flush();
    if (!this.#isBlocked && this.#state === "open") this.#owner!.onDrain?.();
  }

  ended(): void {
    this.#hasPeerEnded = true;
    if (this.#state === "open") this.#owner!.onEnd();
    else if (this.#state === "lingering") this.#end();
  }

  closed(error: Error | undefined): void {
    this.#finish(error);
  }

  // ---------------------------------------------------------------------------------------------

  #sendFin(): void {
    this.#state = "lingering";
    if (this.#hasPeerEnded) {
      this.#end();
      return;
    }
    this.#socket.shutdown();
    this.resume();
  }

  #end(): void {
    this.#finish(undefined);
    this.#socket.end();
  }

  #finish(error: Error | undefined): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#isBlocked = false;
    clearTimeout(this.#closeTimer);
    this.out.clear();
    this.#owner?.onClose(error);
  }

  #isClosed(): boolean {
    return this.#state === "closed";
  }

  #armCloseTimer(): void {
    const backlog = this.backlogBytes;
    this.#closeTimer = setTimeout(() => {
      if (this.backlogBytes < backlog) this.#armCloseTimer();
      else this.destroy();
    }, CLOSE_PATIENCE_MS);
  }
}

/** A peer that was gone before we looked has no address, whatever Bun's types say. */
function addressText(ip: string | undefined, port: number): string {
  return ip === undefined ? UNKNOWN_ADDRESS : formatAddress(ip, port);
}

/** Writes of one piece in a row after which the next does not wait: nothing joins them. */
const LATE_TRUST = 16;
/** A late write of so many bytes does not wait: more bytes would not make it cheaper. */
export const LATE_BYTES = 16 * 1024;

/** Bun's handlers for sockets whose `data` is their Connection. */
export const socketHandlers = {
  data(socket: Socket<Connection>, chunk: Buffer): void {
    socket.data.received(chunk);
  },
  drain(socket: Socket<Connection>): void {
    socket.data.drained();
  },
  end(socket: Socket<Connection>): void {
    socket.data.ended();
  },
  close(socket: Socket<Connection>, error?: Error): void {
    socket.data.closed(error);
  },
};
