import { expect, test } from "bun:test";
import { giveUp, type KeyVisitor, Snapshot } from "../../src/server/snapshot.ts";
import { OwnServer } from "../support/compare.ts";
import { createPrng } from "../support/prng.ts";

const KEYS = ["a", "b", "k"];

test("A visit that finds no memory before a change fails the snapshot, not the change", async () => {
  const own = new OwnServer();
  for (const key of KEYS) own.show("SET", key, "0");
  const { databases } = own.state;
  const snapshot = new Snapshot(databases);
  let visited = 0;
  const counting: KeyVisitor = { begin: () => visited++, more: () => true };
  const failing: KeyVisitor = {
    begin: () => {
      throw new RangeError("Out of memory");
    },
    more: () => true,
  };
  snapshot.start(counting, failing, () => {});
  expect(own.show("INCR", "k")).toBe(":1");
  // Another change before the snapshot is looked after again.
  expect(own.show("INCR", "a")).toBe(":1");
  expect(() => snapshot.step(1, own.clock)).toThrow("Out of memory");
  await giveUp(snapshot, 1, own.clock, () => false);
  expect([snapshot.state, visited]).toEqual(["idle", 0]);
  // The marks are even: the next one meets each key once.
  snapshot.start(counting, failing, () => {});
  while (!snapshot.step(1, own.clock));
  expect(visited).toBe(KEYS.length);
});

test("A mistake of ours in a visit before a change is not taken for missing memory", () => {
  const own = new OwnServer();
  own.show("SET", "k", "0");
  const snapshot = new Snapshot(own.state.databases);
  const mistaken: KeyVisitor = {
    begin: () => {
      throw new Error("a mistake");
    },
    more: () => true,
  };
  snapshot.start(mistaken, mistaken, () => {});
  expect(() => own.show("INCR", "k")).toThrow("a mistake");
});

test("A snapshot ends however often databases are swapped, and the marks are even then", async () => {
  const prng = createPrng();
  const own = new OwnServer();
  const { databases } = own.state;
  const keysOf = [500, 300, 0, 200];
  for (const [index, count] of keysOf.entries()) {
    own.show("SELECT", index);
    for (let i = 0; i < count; i++) own.show("SET", `key ${index} ${i}`, "0");
  }
  const snapshot = new Snapshot(databases);
  let visited = 0;
  const counting: KeyVisitor = { begin: () => visited++, more: () => true };
  snapshot.start(counting, counting, () => {});
  // With no time at all a step is a few keys or places; each slot of each database is one or more.
  const stepsMax = 10_000;
  let steps = 1;
  for (; !snapshot.step(0, own.clock) && steps < stepsMax; steps++) {
    const first = prng.int(keysOf.length);
    own.show("SWAPDB", first, (first + 1 + prng.int(keysOf.length - 1)) % keysOf.length);
    own.show("SELECT", prng.int(keysOf.length));
    own.show("SET", `new ${steps}`, "0");
  }
  expect([`SEED=${prng.seed}`, snapshot.state]).toEqual([`SEED=${prng.seed}`, "idle"]);
  expect(steps).toBeGreaterThan(100);
  visited = 0;
  snapshot.start(counting, counting, () => {});
  while (!snapshot.step(1, own.clock));
  const keys = databases.all.reduce((sum, db) => sum + db.size, 0);
  expect([`SEED=${prng.seed}`, visited]).toEqual([`SEED=${prng.seed}`, keys]);
});
