import { expect, test } from "bun:test";
import { CREDIT_MAX_MS, Pace } from "../../src/dashboard/pace.ts";

/** Calls that take no time themselves. @returns how long they took with a timer that ends late */
function run(calls: number, intervalMs: number, lateMs: number, pace = new Pace()): number {
  let nowMs = 0;
  for (let i = 0; i < calls; i++) {
    const dueMs = pace.called(intervalMs);
    if (dueMs === 0) continue;
    expect(dueMs).toBeGreaterThanOrEqual(1);
    // Timers count in whole milliseconds.
    const tookMs = Math.floor(dueMs) + lateMs;
    nowMs += tookMs;
    pace.waited(dueMs, tookMs);
  }
  return nowMs;
}

for (const intervalMs of [0.001, 0.05, 0.1, 0.9, 1, 1.5, 7]) {
  test(`A pause of ${intervalMs} ms is kept on average by a timer that ends late`, () => {
    const calls = 20_000;
    const wanted = calls * intervalMs;
    expect(Math.abs(run(calls, intervalMs, 0.3) - wanted)).toBeLessThan(2);
  });
}

test("Without a pause nothing is waited for, whatever was owed before", () => {
  const pace = new Pace();
  expect(pace.called(0.9)).toBe(0);
  expect(run(1_000, 0, 0.3, pace)).toBe(0);
});

test("Waits of several slots at once count each", () => {
  const pace = new Pace();
  const [a, b] = [pace.called(5), pace.called(5)];
  expect([a, b]).toEqual([5, 5]);
  pace.waited(a, 5.6);
  pace.waited(b, 5.6);
  expect(pace.called(5)).toBeCloseTo(3.8);
});

test("After a stall no more than the limit is made up for", () => {
  const pace = new Pace();
  pace.waited(pace.called(1), 60_000);
  expect(pace.called(CREDIT_MAX_MS + 1)).toBe(1);
});
