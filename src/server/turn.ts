/**
 * A turn of the event loop as the server sees it: one reading of the clock per chunk, changes made
 * safe before the replies that promise them, and an end before other clients wait too long.
 *
 *   begin ─> requests ... ─> flush(session)     without a journal: replies leave at once
 *                       └──> end of the turn: journal.commit, then the replies of all its sessions
 *        isOver ─> defer(session) ─> next turn: session.goOn
 *
 * A turn has two parts of PART_MS_MAX: what has arrived, and who was deferred; each has its own so
 * that neither starves the other. Of a chunk that comes when a part is over nothing is executed:
 * one request and one small write of each of fifty sessions would take as long as the part. The
 * second part of a turn that is late already is left to the next turn, once.
 *
 * After a short turn that served some clients the thread rests, if the server is to (server.ts):
 * without a pipeline a turn brings 2 requests of 50 clients, with a rest of 50 us 5. A client alone
 * that asks one thing after the other is never kept waiting.
 */

import { rest } from "../net/rest.ts";
import type { ServerState } from "./state.ts";
import type { TurnMeter } from "./turn-meter.ts";

/** Each part of a turn takes about this long at most; what is left waits for the next turn. */
const PART_MS_MAX = 0.7;
/**
 * A turn that has taken this long before its second part leaves that to the next one, which cannot
 * put it off again: a full collection of garbage takes up to 8 ms in one piece.
 */
const LATE_MS = 3;
/** Chunks of a turn after which a rest is worth it: what one client alone sends is not. */
const REST_CHUNKS_MIN = 2;
/** A turn that brings more of them is full without a rest. */
const REST_CHUNKS_MAX = 15;
/**
 * Requests between two looks at the clock; a long one counts for several. Few at first and as long
 * as they are seen to take their time, as in a process that has just started: some 30 us each.
 */
const CLOCK_STRIDE_MIN = 4;
const CLOCK_STRIDE_MAX = 64;
/** Looks that are further apart get closer; those within a quarter of it, further apart. */
const LOOK_MS = 0.2;
/** Commands that were timed and took so long make the turn look at the clock. */
const TIMED_MICROS_MAX = 200;
/** So many arguments, or bytes, take about as long as a small request. */
const ARGUMENTS_SHIFT = 2;
const BYTES_SHIFT = 13;
/**
 * Bytes of large chunks, requests and replies in one turn. To receive 1 MiB, to store it and to log
 * it each touch new memory and take some 3 ms, which cannot be stopped half way: a large request
 * that has just come is executed in a turn of its own, and what came behind it in another.
 */
const TURN_BYTES_MAX = 1024 * 1024;

/** What a turn asks of a session. */
export interface TurnSession {
  /** Sends the replies it has. `isSafe` is false when changes they may tell of could not be kept. */
  flush(isSafe: boolean): void;
  /** Goes on with requests that have been waiting since an earlier turn. */
  goOn(): void;
}

export class Turn {
  readonly #server: ServerState;
  /** Requests from one look at the clock to the next. */
  #stride = CLOCK_STRIDE_MIN;
  /** Until the next look. */
  #strideLeft = CLOCK_STRIDE_MIN;
  /** When this part was first looked at; NaN while it has been too short for that. */
  #startedMs = Number.NaN;
  #lookedMs = 0;
  /** `timedMicros` of the server at the last look, or when the part began. */
  #lookedMicros = 0;
  /** When the last turn ended, if it left something to go on with. */
  #endedMs = 0;
  /** The second part of this turn was left to the next one. */
  #isPutOff = false;
  /** It is time to let others go on: who has not begun is to be deferred. */
  isOver = false;
  #isEndScheduled = false;
  /** Of large chunks received, large requests executed and their large replies. */
  #bytes = 0;
  #toFlush: TurnSession[] = [];
  #deferred: TurnSession[] = [];
  readonly #meter: TurnMeter | undefined;
  /** Received since the last end of a turn. */
  #chunksOfTurn = 0;
  /** Received since the start. */
  chunksInAll = 0;
  /** How long the thread rests after a turn that a rest is worth after, microseconds; 0: not. */
  restUs = 0;

  readonly #rest: (us: number) => void;

  /** @param sleep puts the thread to sleep, microseconds */
  constructor(server: ServerState, sleep = rest) {
    this.#server = server;
    this.#rest = sleep;
    this.#meter = server.turnMeter;
    this.#lookedMicros = server.timedMicros;
  }

  /** Something has arrived: reads the clock. */
  begin(): void {
    this.#server.databases.nowMs = this.#server.clock.now();
    if (this.#meter !== undefined) this.#scheduleEnd();
  }

  /** A chunk has arrived. */
  beginChunk(): void {
    this.begin();
    this.chunksInAll++;
    this.#chunksOfTurn++;
    if (this.restUs > 0) this.#scheduleEnd();
  }

  /**
   * Told after each request.
   * @param argc arguments of the request @param bytes its length and that of its reply
   * @returns whether it is time to let others go on
   */
  isOverAfter(argc: number, bytes: number): boolean {
    const timedMicros = this.#server.timedMicros - this.#lookedMicros;
    this.#strideLeft -= 1 + (argc >>> ARGUMENTS_SHIFT) + (bytes >>> BYTES_SHIFT);
    if (this.#strideLeft > 0 && timedMicros < TIMED_MICROS_MAX) return this.isOver;
    this.#lookedMicros = this.#server.timedMicros;
    if (this.#bytes >= TURN_BYTES_MAX) {
      this.#strideLeft = this.#stride;
      this.isOver = true;
      this.#scheduleEnd();
      return true;
    }
    const now = this.#server.clock.monotonic();
    if (Number.isNaN(this.#startedMs)) {
      this.#startedMs = now - timedMicros / 1000;
      this.#lookedMs = this.#startedMs;
      this.#scheduleEnd();
    }
    if (now - this.#startedMs > PART_MS_MAX) this.isOver = true;
    this.#adjustStride(now - this.#lookedMs);
    this.#lookedMs = now;
    this.#strideLeft = this.#stride;
    return this.isOver;
  }

  /** @param ms since the look before; what is known of it at the first one of a part */
  #adjustStride(ms: number): void {
    let stride = this.#stride;
    if (ms > LOOK_MS) stride = Math.floor((stride * LOOK_MS) / ms);
    else if (ms < LOOK_MS / 4) stride *= 2;
    this.#stride = Math.min(Math.max(stride, CLOCK_STRIDE_MIN), CLOCK_STRIDE_MAX);
  }

  /** A large chunk was received, or a large reply made. */
  received(bytes: number): void {
    this.#bytes += bytes;
  }

  /**
   * Asked before a large request: whether this turn may execute it too.
   * @param bytes its length; the first of a turn may have any
   */
  hasRoom(bytes: number): boolean {
    if (this.#bytes > 0 && this.#bytes + bytes > TURN_BYTES_MAX) return false;
    this.#bytes += bytes;
    return true;
  }

  /** Replies of `session` are to leave, once the changes they tell of are safe. */
  flush(session: TurnSession): void {
    if (this.#server.journal === undefined) {
      session.flush(true);
      return;
    }
    this.#toFlush.push(session);
    this.#scheduleEnd();
  }

  /** `session` has more requests, for the next turn. */
  defer(session: TurnSession): void {
    this.#deferred.push(session);
    this.#scheduleEnd();
  }

  /** Makes all changes so far as safe as replies need them. Returns whether that worked. */
  commit(): boolean {
    return this.#server.journal?.commit() ?? true;
  }

  #scheduleEnd(): void {
    if (this.#isEndScheduled) return;
    this.#isEndScheduled = true;
    setImmediate(this.#end);
  }

  readonly #end = (): void => {
    this.#isEndScheduled = false;
    const isRestDue = this.#isRestDue;
    this.#chunksOfTurn = 0;
    this.#beginPart();
    const isSafe = this.commit();
    const sessions = this.#toFlush;
    this.#toFlush = [];
    for (const session of sessions) session.flush(isSafe);
    if (this.#deferred.length > 0) {
      this.#endedMs = this.#server.clock.monotonic();
      setImmediate(this.#goOn);
    }
    this.#meter?.lap();
    if (isRestDue) this.#rest(this.restUs);
  };

  /** The turn was short, and others than one client alone are about to ask for more. */
  get #isRestDue(): boolean {
    const isShort = this.#deferred.length === 0 && Number.isNaN(this.#startedMs);
    if (this.restUs === 0 || !isShort) return false;
    return this.#chunksOfTurn >= REST_CHUNKS_MIN && this.#chunksOfTurn <= REST_CHUNKS_MAX;
  }

  /** Who is not reached comes first in the next turn. */
  readonly #goOn = (): void => {
    const isLate = this.#server.clock.monotonic() - this.#endedMs > LATE_MS;
    this.#isPutOff = isLate && !this.#isPutOff;
    if (this.#isPutOff) {
      this.#scheduleEnd();
      return;
    }
    const sessions = this.#deferred;
    this.#deferred = [];
    // Chunks of others may have come first: who has waited longest goes on all the same.
    this.#beginPart();
    this.begin();
    let done = 0;
    while (done < sessions.length && !this.isOver) sessions[done++]!.goOn();
    if (done < sessions.length) this.#deferred = sessions.slice(done).concat(this.#deferred);
    if (this.#deferred.length > 0) this.#scheduleEnd();
  };

  #beginPart(): void {
    this.#lookedMicros = this.#server.timedMicros;
    this.#startedMs = Number.NaN;
    this.isOver = false;
    this.#bytes = 0;
  }
}
