/**
 * Pure: how often a key has been used of late, in 16 bits: a counter that grows with the logarithm
 * of the uses and shrinks with time. The algorithm is that of Redis (src/evict.c `LFULogIncr`,
 * `LFUDecrAndReturn`):
 *
 *   bits 0..7    the counter. A use adds 1 with the chance 1 / ((counter - 5) * logFactor + 1)
 *   bits 8..15   the minute of the last use, modulo 256
 *
 * For each `decayMinutes` that have passed since the last use, the counter is one less. Redis keeps
 * 16 bits of minutes; here all keys' counts must be `aged` at least every two hours, which takes
 * what has passed out of the counter and notes the minute anew.
 *
 * The counter is stored xor 5, that of a new key, so that memory full of zeros means "new".
 */

const COUNTER_MASK = 0xff;
const MINUTE_SHIFT = 8;
/** So that a new key is not the next to go. */
const COUNTER_INITIAL = 5;
export const COUNTER_MAX = 255;
/** A count whose minute is older than this is brought up to date by `agedCount`. */
const MINUTES_MAX = 120;

/** @param minute of now, since tracking began, an integer */
export function countOf(counter: number, minute: number): number {
  return ((minute & COUNTER_MASK) << MINUTE_SHIFT) | (counter ^ COUNTER_INITIAL);
}

/** That of a key that has just been made. */
export function freshCount(minute: number): number {
  return (minute & COUNTER_MASK) << MINUTE_SHIFT;
}

function minutesSince(count: number, minute: number): number {
  return (minute - (count >>> MINUTE_SHIFT)) & COUNTER_MASK;
}

/** The counter as it is now. @param decayMinutes 0 for a counter that never shrinks */
export function counterOf(count: number, minute: number, decayMinutes: number): number {
  const counter = (count & COUNTER_MASK) ^ COUNTER_INITIAL;
  if (decayMinutes === 0) return counter;
  return Math.max(0, counter - Math.floor(minutesSince(count, minute) / decayMinutes));
}

/** After one more use. @param random gives [0, 1) */
export function usedCount(
  count: number,
  minute: number,
  decayMinutes: number,
  logFactor: number,
  random: () => number,
): number {
  const counter = counterOf(count, minute, decayMinutes);
  if (counter === COUNTER_MAX) return countOf(counter, minute);
  const above = Math.max(0, counter - COUNTER_INITIAL);
  const grows = above === 0 || random() * (above * logFactor + 1) < 1;
  return countOf(grows ? counter + 1 : counter, minute);
}

/**
 * What the count is to be from now on. A part of `decayMinutes` that would be forgotten counts by
 * chance, so that counters also shrink when that is longer than the minutes kept.
 */
export function agedCount(
  count: number,
  minute: number,
  decayMinutes: number,
  random: () => number,
): number {
  const passed = minutesSince(count, minute);
  if (passed <= MINUTES_MAX) return count;
  const counter = counterOf(count, minute, decayMinutes);
  const part = decayMinutes === 0 ? 0 : (passed % decayMinutes) / decayMinutes;
  return countOf(random() < part ? Math.max(0, counter - 1) : counter, minute);
}
