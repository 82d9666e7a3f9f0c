/**
 * Puts this thread to sleep for microseconds, which no timer of the platform can: nothing else of
 * the thread runs meanwhile, and what arrives is there, all of it, when it wakes. Where many
 * clients ask for little, a turn of the event loop that begins a little later and brings more of
 * them costs less for each. It is what drivers of network cards do with interrupts.
 */

import { dlopen } from "bun:ffi";
import { LIBC } from "../base/libc.ts";

/** The longest rest. */
export const REST_MAX_US = 50;
/** A shorter rest costs more than it saves. */
const REST_MIN_US = 10;
/** Of the time that requests take anyway, the share that a thread may rest. */
const REST_SHARE = 0.1;
/** Replies below which nothing is worth saving: 5,000 per second. */
const REPLIES_PER_MS_MIN = 5;

/** The kernel may wake a thread so much later than asked; 50 us unless told otherwise. */
const TIMER_SLACK_NS = 1000;
const PR_SET_TIMERSLACK = 29; // Linux

let sleep: ((us: number) => unknown) | undefined;

/** What a thread did in a while. */
export interface Served {
  readonly periodMs: number;
  readonly replies: number;
  /** How long clients waited for them, in all. */
  readonly replyMs: number;
}

/**
 * How long a thread may rest so that clients hardly notice.
 * @returns microseconds, at most REST_MAX_US; 0: not at all
 */
export function restFor({ periodMs, replies, replyMs }: Served): number {
  if (replies < periodMs * REPLIES_PER_MS_MIN || replies === 0) return 0;
  const us = Math.floor((replyMs / replies) * 1000 * REST_SHARE);
  return us < REST_MIN_US ? 0 : Math.min(us, REST_MAX_US);
}

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
