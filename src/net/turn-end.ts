/**
 * The end of a turn of the event loop, one per thread: what connections have to send is written,
 * each by one write.
 *
 *   turn ──> dirty: written now     late: waits     endings: told that the turn is over
 *              turn ──> nothing new? rest, if set ──> turn ──> late: written
 *
 * A late write waits, up to LATE_TURNS turns, for more to join it: each write costs the kernel
 * some 5 us and wakes the peer. With a rest set, the thread sleeps for that long instead of
 * looking again and again, but only after a turn that found nothing: so it never delays work that
 * is there.
 *
 * Measured as CPU per request of the proxy without pipeline, 50 connections over two servers,
 * beside twemproxy: 1.08 without waiting, 1.03 by waiting 3 turns, and with a rest of 10 us 0.95,
 * 20 us 0.91, 30 us 0.87, 50 us 0.79, which served 81,000 requests per second where no rest served
 * 68,000.
 */

import { assert } from "../base/assert.ts";
import { REST_MAX_US, rest } from "./rest.ts";

/** What is written at the end of a turn. */
export interface Writer {
  flush(): void;
  /**
   * Writes if it is time, or if there is much to write.
   * @returns whether it goes on waiting
   */
  flushLate(isTime: boolean): boolean;
}

/** Turns a late write may wait. One that finds nothing costs some 0.5 us. */
export const LATE_TURNS = 3;

let dirty: Writer[] = [];
/** Written after `lateTurns` has reached LATE_TURNS. */
let late: Writer[] = [];
let lateTurns = 0;
let restUs = 0;
let endings: (() => void)[] = [];
let isScheduled = false;

/** Writes at the end of this turn. */
export function writeAtTurnEnd(writer: Writer): void {
  dirty.push(writer);
  schedule();
}

/** Writes some turns later. */
export function writeLate(writer: Writer): void {
  late.push(writer);
  schedule();
}

/** Calls `ending` once, at the end of this turn, after its writes. */
export function atTurnEnd(ending: () => void): void {
  endings.push(ending);
  schedule();
}

/** From now on, how long this thread rests for late writes while nothing happens; 0: not at all. */
export function setLateRest(us: number): void {
  assert(us >= 0 && us <= REST_MAX_US, "a rest is short");
  restUs = us;
}

function schedule(): void {
  if (isScheduled) return;
  isScheduled = true;
  setImmediate(endTurn);
}

/** What is marked or asked for meanwhile waits for the next turn's end. */
function endTurn(): void {
  isScheduled = false;
  const isIdle = dirty.length === 0 && endings.length === 0;
  if (dirty.length > 0) {
    const writers = dirty;
    dirty = [];
    for (let i = 0; i < writers.length; i++) writers[i]!.flush();
  }
  if (late.length > 0) writeLateOnes(isIdle);
  if (endings.length > 0) {
    const callbacks = endings;
    endings = [];
    for (let i = 0; i < callbacks.length; i++) callbacks[i]!();
  }
}

function writeLateOnes(isIdle: boolean): void {
  const writers = late;
  late = [];
  const isTime = ++lateTurns > LATE_TURNS;
  for (let i = 0; i < writers.length; i++) {
    const writer = writers[i]!;
    if (writer.flushLate(isTime)) late.push(writer);
  }
  if (late.length === 0) {
    lateTurns = 0;
    return;
  }
  schedule();
  if (isIdle && restUs > 0) {
    rest(restUs);
    lateTurns = LATE_TURNS;
  }
}
