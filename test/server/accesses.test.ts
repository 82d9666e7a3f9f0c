import { expect, test } from "bun:test";
import { OwnServer } from "../support/compare.ts";

const MINUTE_MS = 60_000;
const DAY_MINUTES = 24 * 60;

/** Lets time pass as on a running server, though with fewer ticks: one in ten minutes. */
function pass(own: OwnServer, minutes: number): void {
  for (let i = 0; i < minutes; i += 10) {
    own.clock.advance(10 * MINUTE_MS);
    own.state.databases.accesses!.tick(own.clock.monotonic());
  }
}

function answer(own: OwnServer, ...words: string[]): number {
  return Number((own.show(...words) as string).slice(1));
}

/** Some keys in several chunks, one of them in a chunk of its own. */
function withKeys(policy: string): OwnServer {
  const own = new OwnServer();
  own.show("CONFIG", "SET", "maxmemory-policy", policy);
  own.show("SET", "own chunk", "x".repeat(3_000_000));
  own.show("SET", "first", "x");
  for (let i = 0; i < 10; i++) own.show("SET", `large:${i}`, "x".repeat(1_500_000));
  own.show("SET", "last", "x");
  return own;
}

test("Idle times of all keys are right for months, and of keys used meanwhile too", () => {
  const own = withKeys("allkeys-lru");
  pass(own, 10 * DAY_MINUTES);
  own.show("GET", "last");
  pass(own, 60 * DAY_MINUTES);
  for (const [key, days] of [
    ["own chunk", 70],
    ["first", 70],
    ["large:9", 70],
    ["last", 60],
  ] as const) {
    const told = answer(own, "OBJECT", "IDLETIME", key);
    expect([key, Math.abs(told - days * 86_400) <= 512]).toEqual([key, true]);
  }
});

test("Counts of all keys shrink once for each decay time, however often they are aged", () => {
  const own = withKeys("allkeys-lfu");
  own.show("CONFIG", "SET", "lfu-decay-time", "60", "lfu-log-factor", "0");
  const keys = ["own chunk", "first", "large:9", "last"];
  for (const key of keys) for (let i = 0; i < 300; i++) own.show("GET", key);
  for (const key of keys) expect(answer(own, "OBJECT", "FREQ", key)).toBe(255);
  pass(own, 2 * DAY_MINUTES);
  for (const key of keys) {
    // 48 periods, parts of them by chance.
    expect(Math.abs(answer(own, "OBJECT", "FREQ", key) - (255 - 48))).toBeLessThan(14);
  }
  own.show("CONFIG", "SET", "lfu-decay-time", "0");
  const before = answer(own, "OBJECT", "FREQ", "first");
  pass(own, 10 * DAY_MINUTES);
  expect(answer(own, "OBJECT", "FREQ", "first")).toBe(before);
});
