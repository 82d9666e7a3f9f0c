/**
 * Pure: the operator's pause between migration calls, kept on average. A timer waits no less than a
 * millisecond and ends late. So pauses are owed, by the calls of all slots together, until a timer
 * can wait for them, and a wait counts for as long as it took.
 *
 *   call ──> owed + interval ──> less than a timer can wait for: go on
 *                           └──> wait for all that is owed ──> owed = asked for - taken
 */

/** The shortest wait of a timer. */
const TIMER_MS = 1;
/** Most that a late timer counts for later calls, so that a stall is not followed by a rush. */
export const CREDIT_MAX_MS = 10;

export class Pace {
  /** Negative: waits took longer than asked for. -CREDIT_MAX_MS or more. */
  #owedMs = 0;

  /**
   * Another call was made.
   * @param intervalMs the pause after it; 0 for none
   * @returns how long to wait now, 0 for not at all; when that is over, `waited` must be told
   */
  called(intervalMs: number): number {
    this.#owedMs += intervalMs;
    if (intervalMs === 0 || this.#owedMs < TIMER_MS) return 0;
    const dueMs = this.#owedMs;
    this.#owedMs = 0;
    return dueMs;
  }

  /** A wait of `dueMs` took `tookMs`. */
  waited(dueMs: number, tookMs: number): void {
    this.#owedMs = Math.max(-CREDIT_MAX_MS, this.#owedMs + dueMs - tookMs);
  }
}
