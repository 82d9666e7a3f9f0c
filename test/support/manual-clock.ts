/** A clock that stands still until a test moves it. */

import type { Clock } from "../../src/base/clock.ts";

export class ManualClock implements Clock {
  #nowMs: number;
  #monotonicMs = 0;

  /** @param nowMs unix milliseconds to start at */
  constructor(nowMs = 1_600_000_000_000) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#monotonicMs;
  }

  /** Time passes: both readings move on. */
  advance(ms: number): void {
    this.#nowMs += ms;
    this.#monotonicMs += ms;
  }

  /** Someone sets the clock: only `now` jumps. */
  setNow(nowMs: number): void {
    this.#nowMs = nowMs;
  }
}
