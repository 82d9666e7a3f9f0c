import { describe, expect, test } from "bun:test";
import {
  agedStamp,
  freshStamp,
  IDLE_SECONDS_MAX,
  lastUseOf,
  stampOfIdle,
} from "../../src/server/lru-stamp.ts";

const HOUR = 3600;
const DAY = 24 * HOUR;

function idle(stamp: number, now: number): number {
  return now - lastUseOf(stamp, now);
}

/** Ages `stamp` every three hours, the longest that is allowed. */
function agedUntil(stamp: number, from: number, to: number): number {
  let aged = stamp;
  for (let now = from; now < to; now += 3 * HOUR) aged = agedStamp(aged, now);
  return agedStamp(aged, to);
}

describe("A stamp of the last use", () => {
  test("is exact for hours, then right within 3 %, then the oldest there is", () => {
    // A start at which 15 bits come round in the middle of it all.
    for (const start of [0, 1, 30_000, 32_767, 100_000_000]) {
      const stamp = freshStamp(start);
      for (const age of [0, 1, 59, HOUR, 6 * HOUR]) {
        expect(idle(agedUntil(stamp, start, start + age), start + age)).toBe(age);
      }
      for (const age of [7 * HOUR, 10 * HOUR, DAY, 30 * DAY, 180 * DAY]) {
        const told = idle(agedUntil(stamp, start, start + age), start + age);
        expect(told).toBeGreaterThanOrEqual(age);
        expect(told).toBeLessThan(age + 512);
      }
      for (const age of [200 * DAY, 1000 * DAY]) {
        const told = idle(agedUntil(stamp, start, start + age), start + age);
        expect(Math.abs(told - IDLE_SECONDS_MAX)).toBeLessThan(4 * HOUR);
      }
    }
  });

  test("never tells that a key used later was used earlier", () => {
    const now = 400 * DAY;
    let earlier = Number.POSITIVE_INFINITY;
    for (let age = 0; age < 190 * DAY; age += 997) {
      const used = now - age;
      const told = lastUseOf(agedUntil(freshStamp(used), used, now), now);
      expect(told).toBeLessThanOrEqual(earlier);
      earlier = told;
    }
  });

  test("of zeros means the start", () => {
    expect(lastUseOf(0, 0)).toBe(0);
    expect(lastUseOf(agedUntil(0, 0, HOUR), HOUR)).toBe(0);
  });

  test("can be made for a key that was idle elsewhere, before tracking began too", () => {
    for (const now of [0, 5, 50_000]) {
      for (const age of [0, 1, 1000, 6 * HOUR]) {
        expect(idle(stampOfIdle(age, now), now)).toBe(age);
      }
      for (const age of [7 * HOUR, 100 * DAY]) {
        expect(Math.abs(idle(stampOfIdle(age, now), now) - age)).toBeLessThan(512);
      }
      const longest = idle(stampOfIdle(1e12, now), now);
      expect(Math.abs(longest - IDLE_SECONDS_MAX)).toBeLessThan(512);
    }
  });
});
