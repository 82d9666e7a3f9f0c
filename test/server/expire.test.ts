import { expect, test } from "bun:test";
import { Databases } from "../../src/server/databases.ts";
import { ExpireCycle } from "../../src/server/expire.ts";
import type { Keyspace } from "../../src/server/keyspace.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { createPrng } from "../support/prng.ts";

function set(db: Keyspace, name: string, expiryMs: number): void {
  const key = Buffer.from(name);
  db.setString(key, 0, key.length, key, 0, key.length, expiryMs);
}

test("A round removes exactly the keys whose time is over, in every database", () => {
  const prng = createPrng();
  const clock = new ManualClock(1000);
  const databases = new Databases(3, 1000);
  const cycle = new ExpireCycle(databases, clock);
  const left = [0, 0, 0];
  for (let i = 0; i < 5000; i++) {
    const db = i % 3;
    const atMs = prng.oneIn(4) ? Number.NaN : 1001 + prng.int(1000);
    set(databases.all[db]!, prng.oneIn(3) ? `{t${i % 9}}${i}` : `k${i}`, atMs);
    if (!(atMs <= 1500)) left[db]!++;
  }
  databases.nowMs = 1500;
  while (cycle.step(1));
  const seed = `SEED=${prng.seed}`;
  expect(
    databases.all.map((db) => db.size),
    seed,
  ).toEqual(left);
  expect(cycle.step(1), seed).toBe(false);
  databases.nowMs = 5000;
  while (cycle.step(1));
  expect(
    databases.all.every((db) => db.volatileCount === 0),
    seed,
  ).toBe(true);
});

test("Keys that get their time while a slot is half looked at are not forgotten", () => {
  const databases = new Databases(1, 1000);
  const db = databases.all[0]!;
  // Every look at the clock is past the deadline: each step does as little as it can.
  let now = 0;
  const cycle = new ExpireCycle(databases, { now: () => 1000, monotonic: () => (now += 10) });
  for (let i = 0; i < 4000; i++) set(db, `{one slot}${i}`, 2000);
  databases.nowMs = 2000;
  expect(cycle.step(1)).toBe(true);
  const before = db.size;
  expect(before).toBeGreaterThan(0);
  expect(before).toBeLessThan(4000);
  for (let i = 0; i < 100; i++) set(db, `{one slot}late${i}`, 2500);
  while (cycle.step(1));
  expect(db.size).toBe(100);
  databases.nowMs = 2500;
  while (cycle.step(1));
  expect(db.size).toBe(0);
});

test("A swap in the middle of a slot leaves no key behind", () => {
  const databases = new Databases(2, 1000);
  const [first, second] = databases.all;
  let now = 0;
  const cycle = new ExpireCycle(databases, { now: () => 1000, monotonic: () => (now += 10) });
  for (let i = 0; i < 4000; i++) set(first!, `{one slot}${i}`, 2000);
  for (let i = 0; i < 10; i++) set(second!, `{one slot}${i}`, 3000);
  databases.nowMs = 2000;
  cycle.step(1);
  first!.swap(second!);
  databases.nowMs = 3000;
  while (cycle.step(1));
  expect(first!.size + second!.size).toBe(0);
});
