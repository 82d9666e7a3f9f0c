/**
 * How much CPU time the longest turn of the loop took. Off unless CODIS_MEASURE_TURNS=1 is in the
 * environment, as each turn then costs two system calls; `npm run bench` sets it and reads INFO.
 *
 *   lap: end of a turn that served somebody ── timers, idle turns, poll, next turn ── its end: lap
 *
 * Everything the thread did between two laps counts as one turn, garbage collection and turns that
 * served nobody included: the figure may be too high, never too low.
 *
 * The clocks are the kernel's exact ones (clock_gettime(2)). What getrusage(2), and so
 * `process.threadCpuUsage`, says of a thread moves in ticks: a turn of 2 ms showed as 4 or 8.
 */

import { dlopen } from "bun:ffi";
import { LIBC } from "../base/libc.ts";

const CLOCK_PROCESS_CPUTIME_ID = 2;
const CLOCK_THREAD_CPUTIME_ID = 3;

const MILLISECOND_US = 1000;

export class TurnMeter {
  /** Of the loop's thread, microseconds. */
  longestMicros = 0;
  /** Of all threads of the process: what the collector's and compiler's threads did meanwhile too. */
  longestProcessMicros = 0;
  turns = 0;
  /** Turns of the loop's thread above 10 ms. */
  overTenMs = 0;
  #thread = 0;
  #process = 0;
  readonly #cpuMicros = openCpuClock();

  /** At the end of a turn. The first call only starts the clock. */
  lap(): void {
    const thread = this.#cpuMicros(CLOCK_THREAD_CPUTIME_ID);
    const all = this.#cpuMicros(CLOCK_PROCESS_CPUTIME_ID);
    if (this.#process > 0) {
      const used = thread - this.#thread;
      this.turns++;
      this.longestMicros = Math.max(this.longestMicros, used);
      this.longestProcessMicros = Math.max(this.longestProcessMicros, all - this.#process);
      if (used > 10 * MILLISECOND_US) this.overTenMs++;
    }
    this.#thread = thread;
    this.#process = all;
  }

  /**
   * CONFIG RESETSTAT. Without the turn under way: what the thread did before, for others or to
   * collect garbage, is in it.
   */
  reset(): void {
    this.longestMicros = 0;
    this.longestProcessMicros = 0;
    this.turns = 0;
    this.overTenMs = 0;
    this.#process = 0;
  }

  /** Lines of INFO stats. */
  infoLines(): string[] {
    return [
      `turns:${this.turns}`,
      `turns_over_10ms:${this.overTenMs}`,
      `longest_turn_cpu_usec:${this.longestMicros}`,
      `longest_turn_process_cpu_usec:${this.longestProcessMicros}`,
    ];
  }
}

/** A meter when the environment asks for one. */
export function turnMeterIfAsked(): TurnMeter | undefined {
  return process.env.CODIS_MEASURE_TURNS === "1" ? new TurnMeter() : undefined;
}

/** Reads one of the CPU clocks; microseconds. */
function openCpuClock(): (clock: number) => number {
  const { symbols } = dlopen(LIBC, {
    clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
  });
  const time = new BigInt64Array(2);
  return (clock) => {
    symbols.clock_gettime(clock, time);
    return Number(time[0]! * 1_000_000n + time[1]! / 1000n);
  };
}
