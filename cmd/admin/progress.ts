/**
 * Pure: how far the running slot actions are, from two looks at the dashboard's statistics. The
 * speed is that of the last `WINDOW_MS`, so that a stall shows at once.
 */

import { formatCount, formatSeconds } from "./table.ts";

const WINDOW_MS = 5_000;
const BAR_WIDTH = 24;

interface Sample {
  readonly atMs: number;
  readonly slotsLeft: number;
  readonly keysMoved: number;
}

/** What the statistics say about the slots that still have an action. */
export interface MoveState {
  readonly slotsLeft: number;
  /** Keys moved since the dashboard started. */
  readonly keysMoved: number;
}

export class MoveProgress {
  readonly #total: number;
  readonly #samples: Sample[] = [];
  readonly #keysBefore: number;

  /** @param first what was left when watching began */
  constructor(first: MoveState, nowMs: number) {
    this.#total = first.slotsLeft;
    this.#keysBefore = first.keysMoved;
    this.#samples.push({ atMs: nowMs, slotsLeft: first.slotsLeft, keysMoved: first.keysMoved });
  }

  /**
   * One line without line feed: bar, slots, keys, time left, speed.
   * @param columns the most it may have; parts that do not fit are left out, from the right
   */
  line(state: MoveState, nowMs: number, columns = Number.POSITIVE_INFINITY): string {
    this.#samples.push({ atMs: nowMs, slotsLeft: state.slotsLeft, keysMoved: state.keysMoved });
    while (this.#samples.length > 2 && this.#samples[1]!.atMs < nowMs - WINDOW_MS) {
      this.#samples.shift();
    }
    const total = Math.max(this.#total, state.slotsLeft);
    const done = total - state.slotsLeft;
    const filled = total === 0 ? BAR_WIDTH : Math.floor((BAR_WIDTH * done) / total);
    const bar = `[${"#".repeat(filled)}${".".repeat(BAR_WIDTH - filled)}]`;
    const keys = formatCount(Math.max(0, state.keysMoved - this.#keysBefore));
    const parts = [`${bar} ${done}/${total} slots`, `, ${keys} keys`, ...this.#pace(state, nowMs)];
    let line = "";
    for (const part of parts) {
      if (line.length + part.length > columns) break;
      line += part;
    }
    return line;
  }

  /** What there is to say about the speed, the most wanted first. */
  #pace(state: MoveState, nowMs: number): string[] {
    const oldest = this.#samples[0]!;
    const seconds = (nowMs - oldest.atMs) / 1000;
    if (seconds <= 0) return ["  measuring"];
    const keysPerSecond = Math.round((state.keysMoved - oldest.keysMoved) / seconds);
    const slotsPerSecond = (oldest.slotsLeft - state.slotsLeft) / seconds;
    const speed = [
      `  ${formatCount(keysPerSecond)} keys/s`,
      `, ${slotsPerSecond.toFixed(1)} slots/s`,
    ];
    if (slotsPerSecond <= 0) return speed;
    return [`  about ${formatSeconds(state.slotsLeft / slotsPerSecond)} left`, ...speed];
  }
}
