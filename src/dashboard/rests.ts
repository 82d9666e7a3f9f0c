/**
 * Pure: slots that rest after a failure, how long, and what they failed with.
 *
 *   fails ──> rests 100 ms, twice as long each time, 5 s at most ──> is tried again
 *                                                                      ├─> fails: rests longer
 *   reason told until here ────────────────────────────────────────────┴─> gets on ──> ends
 *
 * Upstream stops all slots for 6 s.
 */

const REST_FIRST_MS = 100;
const REST_MAX_MS = 5_000;

interface Rest {
  readonly untilMs: number;
  /** Since it began or last ended; that it gets on meanwhile does not make it shorter. */
  readonly failures: number;
  /** "" once the slot gets on again. */
  readonly reason: string;
}

export class Rests {
  readonly #rests = new Map<number, Rest>();

  /**
   * Slots that failed together rest together, as long as the one of them that failed most often.
   * @returns milliseconds
   */
  begin(slotIds: readonly number[], reason: string, nowMs: number): number {
    const before = slotIds.map((id) => this.#rests.get(id)?.failures ?? 0);
    const restMs = Math.min(REST_MAX_MS, REST_FIRST_MS * 2 ** Math.max(...before));
    for (const [i, id] of slotIds.entries()) {
      this.#rests.set(id, { untilMs: nowMs + restMs, failures: before[i]! + 1, reason });
    }
    return restMs;
  }

  /** The slot gets on: what it failed with is over. @returns whether it was told until now */
  noteRecovery(slotId: number): boolean {
    const rest = this.#rests.get(slotId);
    if (rest === undefined || rest.reason === "") return false;
    this.#rests.set(slotId, { ...rest, reason: "" });
    return true;
  }

  /** The slot has ended. */
  end(slotId: number): void {
    this.#rests.delete(slotId);
  }

  /** What they failed with may be over: all are tried now. */
  interrupt(nowMs: number): void {
    for (const [id, rest] of this.#rests) this.#rests.set(id, { ...rest, untilMs: nowMs });
  }

  /** Slots that have failed and not ended, whether they rest or not. */
  get slotIds(): number[] {
    return [...this.#rests.keys()];
  }

  resting(nowMs: number): Set<number> {
    const resting = [...this.#rests].filter(([, { untilMs }]) => untilMs > nowMs);
    return new Set(resting.map(([id]) => id));
  }

  /** Until the next one is to be tried; Infinity when none rests. */
  nextMs(nowMs: number): number {
    const left = [...this.#rests.values()].map(({ untilMs }) => untilMs - nowMs);
    return Math.min(Number.POSITIVE_INFINITY, ...left.filter((ms) => ms > 0));
  }

  /** Slot id -> what it fails with now. */
  failing(): Record<string, string> {
    const failing = [...this.#rests].filter(([, { reason }]) => reason !== "");
    return Object.fromEntries(failing.map(([id, { reason }]) => [id, reason]));
  }
}
