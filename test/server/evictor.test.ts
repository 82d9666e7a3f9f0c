/** What gives way when memory is full, by policy; on a server without sockets, with a clock that stands. */

import { describe, expect, test } from "bun:test";
import { ENTRY_MARK, setEntryMark } from "../../src/server/arena/entry.ts";
import { POLICIES } from "../../src/server/evictor.ts";
import { OwnServer, type Word } from "../support/compare.ts";
import { createPrng, type Prng } from "../support/prng.ts";

const KEYS = 4000;
const FAR_MS = 4_000_000_000_000;

function tick(own: OwnServer, ms: number): void {
  own.clock.advance(ms);
  own.state.databases.accesses?.tick(own.clock.monotonic());
}

function seeded(): Prng {
  const prng = createPrng();
  console.info(`seed ${prng.seed}`);
  return prng;
}

function withPolicy(policy: string): OwnServer {
  const own = new OwnServer();
  own.show("CONFIG", "SET", "maxmemory-policy", policy);
  return own;
}

/** Lets memory be full at this part of what is used now, and makes room. */
function shrinkTo(own: OwnServer, part: number): void {
  const bytes = Math.floor(own.state.usedMemory * part);
  own.show("CONFIG", "SET", "maxmemory", bytes);
  expect(own.state.evictor.run()).toBe("done");
  expect(own.state.usedMemory).toBeLessThanOrEqual(bytes);
}

/** Which of key:0 .. key:<KEYS - 1> are still there. */
function survivors(own: OwnServer): boolean[] {
  return Array.from({ length: KEYS }, (_, i) => own.show("EXISTS", `key:${i}`) === ":1");
}

/** How many of those removed, as a share, would not have been had the first ones gone first. */
function wrongShare(alive: readonly boolean[]): number {
  const removed = alive.filter((isAlive) => !isAlive).length;
  return alive.slice(removed).filter((isAlive) => !isAlive).length / removed;
}

/** The share of survivors in a part of all keys. */
function share(alive: readonly boolean[], from: number, to: number): number {
  const part = alive.slice(from * alive.length, to * alive.length);
  return part.filter(Boolean).length / part.length;
}

describe("allkeys-lru", () => {
  test("removes keys that were not used for long, and keeps the others", () => {
    const own = withPolicy("allkeys-lru");
    for (let i = 0; i < KEYS; i++) own.show("SET", `key:${i}`, "x".repeat(100));
    // The order of use is not that of making; reads and writes count, asking does not.
    for (let i = 0; i < KEYS; i++) {
      const key = `key:${i}`;
      own.show(
        ...(
          [
            ["GET", key],
            ["APPEND", key, "y"],
            ["TOUCH", key],
          ] as const
        )[i % 3]!,
      );
      if (i % 40 === 0) tick(own, 1000);
    }
    for (let i = 0; i < KEYS / 2; i++) own.show("EXISTS", `key:${i}`);
    shrinkTo(own, 0.5);
    const alive = survivors(own);
    expect(wrongShare(alive)).toBeLessThan(0.12);
    expect(share(alive, 0, 0.3)).toBeLessThan(0.05);
    expect(share(alive, 0.7, 1)).toBeGreaterThan(0.98);
  });

  test("with more samples comes closer to the exact order", () => {
    const wrong = [1, 5, 20].map((samples) => {
      const own = withPolicy("allkeys-lru");
      own.show("CONFIG", "SET", "maxmemory-samples", samples);
      for (let i = 0; i < KEYS; i++) {
        own.show("SET", `key:${i}`, "x".repeat(100));
        if (i % 40 === 0) tick(own, 1000);
      }
      shrinkTo(own, 0.5);
      return wrongShare(survivors(own));
    });
    expect(wrong[0]).toBeGreaterThan(wrong[1]! + 0.1);
    expect(wrong[1]).toBeGreaterThan(wrong[2]! + 0.02);
    expect(wrong[2]).toBeLessThan(0.05);
  });

  test("knows what was used before a key moved to a longer or shorter place", () => {
    const own = withPolicy("allkeys-lru");
    own.show("SET", "a", "x", "EX", "1000");
    tick(own, 5000);
    for (const words of [
      ["PERSIST", "a"],
      ["EXPIRE", "a", "500"],
      ["SETRANGE", "a", "999", "y"],
    ]) {
      own.show(...words);
      expect(own.show("OBJECT", "IDLETIME", "a")).toBe(":0");
      tick(own, 3000);
      expect(own.show("OBJECT", "IDLETIME", "a")).toBe(":3");
    }
  });
});

describe("allkeys-lfu", () => {
  test("removes keys that were used least, however lately", () => {
    const own = withPolicy("allkeys-lfu");
    for (let i = 0; i < KEYS; i++) own.show("SET", `key:${i}`, "x".repeat(100));
    for (let i = KEYS - 1; i >= 0; i--) {
      // Uses from 0 for the first key to 200 for the last one.
      for (let uses = 0; uses < (200 * i) / KEYS; uses++) own.show("GET", `key:${i}`);
    }
    shrinkTo(own, 0.5);
    const alive = survivors(own);
    expect(share(alive, 0, 0.2)).toBeLessThan(0.1);
    expect(share(alive, 0.8, 1)).toBeGreaterThan(0.8);
  });

  test("forgets uses with time", () => {
    const own = withPolicy("allkeys-lfu");
    for (let i = 0; i < KEYS; i++) own.show("SET", `key:${i}`, "x".repeat(100));
    for (let i = 0; i < KEYS / 2; i++) {
      for (let uses = 0; uses < 20; uses++) own.show("GET", `key:${i}`);
    }
    tick(own, 60 * 60_000);
    for (let i = KEYS / 2; i < KEYS; i++) own.show("GET", `key:${i}`);
    shrinkTo(own, 0.6);
    // Most counters are 0 or 1: many are as good as others.
    expect(wrongShare(survivors(own))).toBeLessThan(0.25);
  });
});

describe("allkeys-random", () => {
  test("removes any keys, old and new, with and without expiry", () => {
    const own = withPolicy("allkeys-random");
    for (let i = 0; i < KEYS; i++) {
      own.show("SET", `key:${i}`, "x".repeat(100));
      if (i % 4 === 0) own.show("PEXPIREAT", `key:${i}`, FAR_MS);
    }
    shrinkTo(own, 0.5);
    const alive = survivors(own);
    const all = share(alive, 0, 1);
    // Six standard deviations of a thousand draws.
    for (const from of [0, 0.25, 0.5, 0.75]) {
      expect(Math.abs(share(alive, from, from + 0.25) - all)).toBeLessThan(0.1);
    }
    const isVolatile = alive.filter((_, i) => i % 4 === 0);
    expect(Math.abs(share(isVolatile, 0, 1) - all)).toBeLessThan(0.1);
  });

  test("takes slots and databases by what they hold", () => {
    const own = withPolicy("allkeys-random");
    // Nearly all keys in one slot, the others all over; a second database with a tenth of them.
    for (let i = 0; i < KEYS; i++) own.show("SET", `{t}key:${i}`, "x".repeat(100));
    for (let i = 0; i < 400; i++) own.show("SET", `key:${i}`, "x".repeat(100));
    own.show("SELECT", "5");
    for (let i = 0; i < 400; i++) own.show("SET", `key:${i}`, "x".repeat(100));
    shrinkTo(own, 0.5);
    const others = own.show("DBSIZE") as string;
    own.show("SELECT", "0");
    const left = Array.from({ length: 400 }, (_, i) => own.show("EXISTS", `key:${i}`) === ":1");
    const kept = left.filter(Boolean).length;
    // About a half of each; six standard deviations are 60.
    for (const count of [Number(others.slice(1)), kept]) {
      expect(count).toBeGreaterThan(130);
      expect(count).toBeLessThan(280);
    }
  });
});

describe("volatile-ttl", () => {
  test("removes what expires next", () => {
    const own = withPolicy("volatile-ttl");
    const prng = seeded();
    const order = Array.from({ length: KEYS }, (_, i) => ({ i, at: prng.int(1e9) }));
    for (const { i } of order.toSorted((a, b) => a.at - b.at)) {
      own.show("SET", `key:${i}`, "x".repeat(100), "PXAT", FAR_MS + i * 1000);
    }
    shrinkTo(own, 0.5);
    const alive = survivors(own);
    expect(wrongShare(alive)).toBeLessThan(0.12);
    expect(share(alive, 0, 0.3)).toBeLessThan(0.05);
    expect(share(alive, 0.7, 1)).toBeGreaterThan(0.98);
  });
});

describe.each(["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"])(
  "%s",
  (policy) => {
    test("never removes a key without expiry; when no other is left, writes are refused", () => {
      const own = withPolicy(policy);
      for (let i = 0; i < KEYS; i++) {
        own.show("SET", `key:${i}`, "x".repeat(100));
        if (i % 2 === 0) own.show("EXPIRE", `key:${i}`, "100000");
      }
      const used = own.state.usedMemory;
      own.show("CONFIG", "SET", "maxmemory", Math.floor(used * 0.8));
      own.show("PING");
      expect(own.state.usedMemory).toBeLessThanOrEqual(used * 0.8);
      expect(own.show("SET", "more", "1")).toBe("+OK");
      own.show("CONFIG", "SET", "maxmemory", Math.floor(used * 0.3));
      expect(own.show("SET", "more", "2")).toBe(
        "-OOM command not allowed when used memory > 'maxmemory'.",
      );
      const alive = survivors(own);
      expect(alive.every((isAlive, i) => isAlive === (i % 2 === 1))).toBe(true);
      expect(own.state.databases.evictedKeys).toBe(KEYS / 2);
      expect(own.show("GET", "key:1")).toBe(`$${"x".repeat(100)}`);
      expect(own.show("DEL", "key:1")).toBe(":1");
    });
  },
);

/** A command that makes a value of some type larger, or a new one, up to a few thousand bytes. */
function randomWrite(prng: Prng): readonly [command: string, key: string, ...rest: Word[]] {
  const n = prng.int(3000);
  const value = "v".repeat(prng.int(prng.oneIn(20) ? 5000 : 200));
  return prng.pick([
    ["SET", `s${n}`, value],
    ["APPEND", `s${n}`, value],
    ["RPUSH", `l${n % 300}`, value, value],
    ["SADD", `t${n % 300}`, `${n} ${value}`],
    ["HSET", `{tag}h${n % 300}`, `f${n}`, value],
    ["ZADD", `z${n % 300}`, n, `${n} ${value}`],
  ] as const);
}

describe("A full server", () => {
  test.each(["noeviction", ...POLICIES.keys()])(
    "stays below maxmemory while all types are written: %s",
    (policy) => {
      const own = withPolicy(policy);
      const prng = seeded();
      const limit = 2_000_000;
      own.show("CONFIG", "SET", "maxmemory", limit);
      let refused = 0;
      for (let round = 0; round < 12_000; round++) {
        const words = randomWrite(prng);
        if (String(own.show(...words)).startsWith("-OOM")) refused++;
        own.show("EXPIRE", words[1], 1000 + prng.int(1000));
        if (round % 50 === 0) tick(own, 1000);
        own.show("PING");
        // Who has nothing give way is above it by one request at most.
        const most = policy === "noeviction" ? limit + 20_000 : limit;
        expect(own.state.usedMemory).toBeLessThanOrEqual(most);
      }
      expect(refused > 0).toBe(policy === "noeviction");
      expect(own.state.databases.evictedKeys > 0).toBe(policy !== "noeviction");
      // What was counted was right: nothing is left when all is gone.
      own.show("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", 0);
      for (const db of own.state.databases.all) db.flush();
      own.settle();
      expect(own.state.usedMemory).toBe(0);
    },
    60_000,
  );

  test("has keys give way before any request, and refuses only those that need memory", () => {
    const own = withPolicy("allkeys-random");
    own.show("SET", "a", "x".repeat(1000));
    own.show("CONFIG", "SET", "maxmemory", "1");
    expect(own.show("GET", "a")).toBe("$-1");
    expect(own.show("SET", "b", "1")).toBe("+OK");
    expect(own.show("SET", "c", "2")).toBe("+OK");
    expect(own.show("CONFIG", "SET", "maxmemory-policy", "noeviction")).toBe("+OK");
    expect(own.show("SET", "d", "3")).toBe("+OK");
    expect(own.show("SET", "e", "4")).toStartWith("-OOM ");
    expect(own.show("GET", "d")).toBe("$3");
  });

  test("has the journal told of each key before the request that needed room", () => {
    const own = withPolicy("allkeys-lru");
    own.show("SELECT", "3");
    for (let i = 0; i < 100; i++) {
      own.show("SET", `key:${i}`, "x".repeat(100));
      tick(own, 1000);
    }
    own.show("SELECT", "0");
    own.journal.length = 0;
    own.show("CONFIG", "SET", "maxmemory", own.state.usedMemory - 1);
    const told: string[] = [];
    own.state.databases.hooks.evicted = (db, key, from, to) => {
      told.push(`${db.index} ${key.toString("latin1", from, to)} ${own.journal.length}`);
    };
    own.show("SET", "new", "y");
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(/^3 key:\d+ 0$/);
    expect(own.journal).toEqual(["SET new y"]);
  });

  test("tells a running snapshot of a key before it goes", () => {
    const own = withPolicy("allkeys-random");
    own.show("SET", "a", "1");
    const { databases } = own.state;
    const seen: number[] = [];
    databases.epoch = ENTRY_MARK;
    databases.snapshotRuns = true;
    databases.hooks.beforeChange = (db, entry) => {
      seen.push(db.size);
      setEntryMark(db.arena, entry, true);
    };
    own.show("CONFIG", "SET", "maxmemory", "1");
    own.show("PING");
    expect(seen).toEqual([1]);
    expect(databases.evictedKeys).toBe(1);
  });

  test("counts what it did in INFO, until CONFIG RESETSTAT", () => {
    const own = withPolicy("volatile-ttl");
    const field = (name: string): number =>
      Number(new RegExp(`${name}:(\\d+)`).exec(own.show("INFO", "stats") as string)![1]);
    own.show("SET", "a", "1", "EX", "100");
    own.show("SET", "b", "1");
    own.show("CONFIG", "SET", "maxmemory", "1");
    expect(field("evicted_keys")).toBe(1);
    own.clock.advance(700);
    expect(field("current_eviction_exceeded_time")).toBe(700);
    own.show("CONFIG", "SET", "maxmemory", "0");
    expect(own.state.evictor.run()).toBe("done");
    own.clock.advance(700);
    expect(field("current_eviction_exceeded_time")).toBe(0);
    expect(field("total_eviction_exceeded_time")).toBe(700);
    own.show("CONFIG", "RESETSTAT");
    expect([field("evicted_keys"), field("total_eviction_exceeded_time")]).toEqual([0, 0]);
  });

  test("notes uses only while a policy asks for them, and begins anew with another", () => {
    const own = new OwnServer();
    const { arena } = own.state.databases;
    const noted = (): boolean => arena.noteBytes > 0;
    own.show("SET", "a", "1");
    for (const policy of ["noeviction", "allkeys-random", "volatile-random", "volatile-ttl"]) {
      own.show("CONFIG", "SET", "maxmemory-policy", policy);
      expect([policy, noted()]).toEqual([policy, false]);
    }
    own.show("CONFIG", "SET", "maxmemory-policy", "volatile-lru");
    expect(noted()).toBe(true);
    tick(own, 9000);
    own.show("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    expect(own.show("OBJECT", "IDLETIME", "a")).toBe(":9");
    own.show("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu");
    expect(own.show("OBJECT", "FREQ", "a")).toBe(":5");
    own.show("CONFIG", "SET", "maxmemory-policy", "noeviction");
    expect(noted()).toBe(false);
    expect(own.show("OBJECT", "IDLETIME", "a")).toStartWith("-ERR An LRU maxmemory policy is not");
  });
});

describe("Large values", () => {
  /** Ten hashes far larger than what is freed at once, that may go; small keys that may not. */
  function withLargeValues(): OwnServer {
    const own = withPolicy("volatile-lru");
    for (let i = 0; i < 10; i++) {
      const fields = Array.from({ length: 10_000 }, (_, f) => [`field:${f}`, "v".repeat(20)]);
      own.show("HSET", `large:${i}`, ...fields.flat());
      own.show("EXPIRE", `large:${i}`, "1000");
    }
    for (let i = 0; i < 1000; i++) own.show("SET", `key:${i}`, "x");
    return own;
  }

  /** From now on each look at the clock finds a millisecond gone. */
  function hurry(own: OwnServer): void {
    const still = own.clock.monotonic();
    let looks = 0;
    own.clock.monotonic = () => still + looks++;
  }

  test("that were removed are freed before another key is, over many requests", () => {
    const own = withLargeValues();
    hurry(own);
    const used = own.state.usedMemory;
    // More than one of them, less than two.
    own.show("CONFIG", "SET", "maxmemory", Math.floor(used * 0.87));
    let requests = 0;
    while (own.state.evictor.run() === "unfinished") {
      expect(own.show("SET", "a", "1")).toBe("+OK");
      requests++;
    }
    expect(requests).toBeGreaterThan(2);
    expect(own.state.databases.evictedKeys).toBe(2);
    expect(own.state.databases.all[0]!.volatileCount).toBe(8);
  });

  test("deleted by a client are freed before writes are refused, without any eviction", () => {
    const own = withLargeValues();
    own.show("CONFIG", "SET", "maxmemory-policy", "noeviction");
    own.show("CONFIG", "SET", "maxmemory", own.state.usedMemory - 100_000);
    expect(own.show("SET", "a", "1")).toStartWith("-OOM ");
    hurry(own);
    own.show("DEL", "large:3");
    expect(own.state.isOverMemory).toBe(true);
    while (own.state.isOverMemory) expect(own.show("SET", "a", "1")).toBe("+OK");
    expect(own.show("SET", "a", "2")).toBe("+OK");
  });

  test.each([
    [0, 1],
    [10, 3],
    [20, 11],
    [100, 0],
  ])("and tenacity %d: a request takes until look %d at the clock", (tenacity, expected) => {
    const own = withLargeValues();
    own.show("CONFIG", "SET", "maxmemory-eviction-tenacity", tenacity);
    let looks = 0;
    own.clock.monotonic = () => looks++ / 5;
    // Nothing is left of them, but what small keys take.
    own.show("CONFIG", "SET", "maxmemory", Math.floor(own.state.usedMemory * 0.2));
    looks = 0;
    const outcome = own.state.evictor.run();
    expect(outcome).toBe(tenacity === 100 ? "done" : "unfinished");
    // The first look begins; one more notes since when memory has been full.
    if (tenacity < 100) expect(looks - 2).toBe(expected);
  });
});

describe("Keys with an expiry that are rare", () => {
  test("are found in the end, a part of the slot per request, and then none is left", () => {
    const own = withPolicy("volatile-random");
    for (let i = 0; i < 20_000; i++) own.show("SET", `{t}key:${i}`, "x");
    own.show("SET", "{t}rare", "x", "EX", "1000");
    own.show("SET", "{t}rare too", "x", "EX", "1000");
    const still = own.clock.monotonic();
    let looks = 0;
    own.clock.monotonic = () => still + looks++;
    own.show("CONFIG", "SET", "maxmemory", "1000");
    let runs = 1;
    while (own.state.evictor.run() === "unfinished") runs++;
    expect(own.state.databases.evictedKeys).toBe(2);
    // 20,000 places at 128 a step and 16 steps a run: some ten runs for each, fewer with luck.
    expect(runs).toBeGreaterThan(2);
    expect(runs).toBeLessThan(45);
    expect(own.show("SET", "a", "1")).toStartWith("-OOM ");
  });
});
