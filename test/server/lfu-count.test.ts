import { describe, expect, test } from "bun:test";
import {
  agedCount,
  COUNTER_MAX,
  counterOf,
  countOf,
  freshCount,
  usedCount,
} from "../../src/server/lfu-count.ts";
import { createPrng } from "../support/prng.ts";

function chances(seed: number): () => number {
  const prng = createPrng(seed);
  return () => prng.int(2 ** 30) / 2 ** 30;
}

/** The counter after so many uses within one minute, on average over some keys. */
function averageAfter(uses: number, logFactor: number): number {
  const random = chances(1);
  const keys = 50;
  let sum = 0;
  for (let key = 0; key < keys; key++) {
    let count = freshCount(7);
    for (let i = 0; i < uses; i++) count = usedCount(count, 7, 1, logFactor, random);
    sum += counterOf(count, 7, 1);
  }
  return sum / keys;
}

describe("A count of uses", () => {
  test("is 5 for a new key and for memory of zeros", () => {
    expect(counterOf(freshCount(300), 300, 1)).toBe(5);
    expect(counterOf(0, 0, 1)).toBe(5);
  });

  test("grows with the logarithm of the uses, as redis.conf says", () => {
    // The table of redis.conf at lfu-log-factor: factor, uses, counter.
    for (const [factor, uses, counter] of [
      [0, 100, 104],
      [1, 100, 18],
      [10, 100, 10],
      [100, 100, 8],
      [1, 1000, 49],
      [10, 1000, 18],
      [100, 1000, 11],
      [10, 10_000, 49],
    ] as const) {
      const average = averageAfter(uses, factor);
      expect([factor, uses, Math.abs(average - counter) <= 0.12 * counter + 1]).toEqual([
        factor,
        uses,
        true,
      ]);
    }
  });

  test("does not grow above 255", () => {
    const random = chances(2);
    let count = countOf(250, 0);
    for (let i = 0; i < 100; i++) count = usedCount(count, 0, 1, 0, random);
    expect(counterOf(count, 0, 1)).toBe(COUNTER_MAX);
  });

  test("shrinks by one for each lfu-decay-time without use, to 0, across the hour of 256", () => {
    for (const minute of [0, 200, 250, 1000]) {
      const count = countOf(20, minute);
      expect(counterOf(count, minute + 1, 1)).toBe(19);
      expect(counterOf(count, minute + 15, 1)).toBe(5);
      expect(counterOf(count, minute + 15, 5)).toBe(17);
      expect(counterOf(count, minute + 100, 1)).toBe(0);
      expect(counterOf(count, minute + 100, 0)).toBe(20);
    }
  });

  test("that is aged every two hours goes on shrinking for days, a long decay time by chance", () => {
    const random = chances(3);
    for (const [decay, hours, expected] of [
      [1, 24, 0],
      [60, 48, 150],
      [600, 100, 190],
      [0, 1000, 200],
    ] as const) {
      let sum = 0;
      for (let key = 0; key < 100; key++) {
        let count = countOf(200, 17);
        for (let hour = 0; hour <= hours; hour += 2) {
          count = agedCount(count, 17 + 60 * hour, decay, random);
        }
        sum += counterOf(count, 17 + 60 * hours, decay);
      }
      expect([decay, Math.abs(sum / 100 - expected) <= 3]).toEqual([decay, true]);
    }
  });

  test("that is young is not changed by ageing", () => {
    const count = countOf(9, 100);
    const never = (): number => 1;
    expect(agedCount(count, 220, 1, never)).toBe(count);
    expect(counterOf(agedCount(count, 230, 100, never), 230, 100)).toBe(8);
  });
});
