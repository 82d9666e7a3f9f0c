/**
 * Puts this thread to sleep for microseconds, which no timer of the platform can: nothing else of
 * the thread runs meanwhile, and what arrives is there when it wakes. For `turn-end.ts` alone.
 */

import { dlopen } from "bun:ffi";
import { LIBC } from "../base/libc.ts";

/** The kernel may wake a thread so much later than asked; 50 us unless told otherwise. */
const TIMER_SLACK_NS = 1000;
const PR_SET_TIMERSLACK = 29; // Linux

let sleep: ((us: number) => unknown) | undefined;

/** @param us microseconds, below a million */
export function rest(us: number): void {
  sleep ??= openSleep();
  sleep(us);
}

function openSleep(): (us: number) => unknown {
  const { symbols } = dlopen(LIBC, {
    usleep: { args: ["u32"], returns: "i32" },
    prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
  });
  // Of this thread only.
  symbols.prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0, 0, 0);
  return symbols.usleep;
}
