/**
 * Time as a thing handed in, so that a test can hold it still. Machines get readings, not clocks.
 */

export interface Clock {
  /** Wall clock, unix milliseconds; may jump when someone sets it. */
  now(): number;
  /**
   * Milliseconds since some start, never backwards, with a fraction: for measuring and deadlines.
   */
  monotonic(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};
