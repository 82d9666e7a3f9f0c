import { describe, expect, test } from "bun:test";
import { besideRedis } from "../../support/beside-redis.ts";
import { exact, OwnServer, type Step, unordered } from "../../support/compare.ts";
import { createPrng } from "../../support/prng.ts";

const { compare, compareSteps } = besideRedis();

describe("Set commands answer as redis-server does", () => {
  test("add, remove, ask", () =>
    compare(`
      SADD s a b c a
      SADD s c d ""
      SADD s
      SREM s a zz a
      SREM none a
      SCARD s
      SCARD none
      SISMEMBER s b
      SISMEMBER s ""
      SISMEMBER s zz
      SISMEMBER none a
      SMISMEMBER s b zz ""
      SMISMEMBER none a b
      SMISMEMBER s
      ~ SMEMBERS s
      SMEMBERS none
      SREM s b c d ""
      GET s
    `));

  test("wrong types", () =>
    compare(`
      SET x v
      SADD s a
      SADD x a
      SREM x a
      SCARD x
      SISMEMBER x a
      SMISMEMBER x a
      SMEMBERS x
      SMOVE x s a
      SMOVE s x a
      SMOVE s x zz
      SMOVE none x a
      SPOP x
      SPOP x 1
      SPOP x bad
      SRANDMEMBER x
      SRANDMEMBER x 1
      SRANDMEMBER x bad
      SSCAN x 0
      SINTER x s
      SINTER none x
      SINTER s x
      SUNION none x
      SDIFF none x
      SDIFF s x
      SINTERSTORE d none x
      SINTERCARD 2 none x
      SUNIONSTORE d s x
      SDIFFSTORE d s x
      GET d
      SUNIONSTORE x s
      ~ SMEMBERS x
    `));

  test("moves", () =>
    compare(`
      SADD a 1 2 3
      SADD b 3 4
      SMOVE a b 1
      SMOVE a b 9
      SMOVE a b 3
      SMOVE a a 2
      SMOVE a a 9
      SMOVE none b 1
      SMOVE a new 2
      GET a
      ~ SMEMBERS b
      ~ SMEMBERS new
    `));

  test("pops and random members", () =>
    compare(`
      SADD s a
      SPOP s
      GET s
      SPOP s
      SPOP s 3
      SADD s a b c d e f
      SPOP s 0
      SPOP s -1
      SPOP s x
      SPOP s 1 2
      # SPOP s 2
      SCARD s
      # SRANDMEMBER s
      # SRANDMEMBER s 2
      # SRANDMEMBER s 100
      # SRANDMEMBER s -100
      SRANDMEMBER s 0
      SRANDMEMBER none
      SRANDMEMBER none 3
      SRANDMEMBER none -3
      SRANDMEMBER s x
      SRANDMEMBER s 1 2
      SRANDMEMBER s -9223372036854775808
      # SPOP s 9223372036854775807
      GET s
      SADD s a b c
      ~ SPOP s 3
      GET s
      SADD s a b c
      ~ SPOP s 4
      GET s
    `));

  test("intersection, union, difference", () =>
    compare(`
      SADD a 1 2 3 4
      SADD b 3 4 5
      SADD c 4 6
      ~ SINTER a b
      ~ SINTER a b c
      ~ SINTER a
      ~ SINTER a a
      SINTER a none
      ~ SUNION a b c
      ~ SUNION a none
      SUNION none
      ~ SDIFF a b
      ~ SDIFF a b c
      ~ SDIFF a none
      SDIFF a a
      SDIFF none a
      SINTERSTORE d a b
      ~ SMEMBERS d
      SINTERSTORE d a none
      GET d
      SINTERSTORE d a none
      SUNIONSTORE d a b c
      ~ SMEMBERS d
      SDIFFSTORE d a b
      ~ SMEMBERS d
      SDIFFSTORE d d a
      GET d
      SUNIONSTORE a a b
      ~ SMEMBERS a
      SINTERCARD 2 a b
      SINTERCARD 2 a b LIMIT 1
      SINTERCARD 2 a b LIMIT 0
      SINTERCARD 1 none
      SINTERCARD 0 a
      SINTERCARD x a
      SINTERCARD 3 a b
      SINTERCARD 1 a b
      SINTERCARD 1 a LIMIT -1
      SINTERCARD 1 a LIMIT x
      SINTERCARD 1 a LIMIT
      SINTERCARD 1 a BAD 1
      SINTERCARD 1 a LIMIT 1 LIMIT 2
      SINTER
    `));

  test("scans", () =>
    compare(`
      SADD s a b ab
      SSCAN none 0
      SSCAN none bad
      SSCAN s bad
      SSCAN s 0 COUNT 0
      SSCAN s 0 MATCH
      SSCAN s 0 BAD x
      SSCAN s 0 MATCH zz* COUNT 100
      SSCAN s 0 MATCH ab COUNT 100
    `));
});

test("Random set commands leave both servers equal", async () => {
  const random = createPrng();
  const key = (): string => random.pick(["s1", "s2", "s3", "s4", "s5", "x"]);
  const member = (): string => (random.oneIn(20) ? `m${random.int(40)}` : String(random.int(60)));
  const makers: readonly (() => Step)[] = [
    () => exact("SADD", key(), member(), member(), member()),
    () => exact("SADD", key(), member(), member(), member()),
    () => exact("SREM", key(), member(), member()),
    () => exact("SISMEMBER", key(), member()),
    () => exact("SMISMEMBER", key(), member(), member()),
    () => exact("SCARD", key()),
    () => exact("SMOVE", key(), key(), member()),
    () => unordered("SMEMBERS", key()),
    () => unordered("SINTER", key(), key()),
    () => unordered("SUNION", key(), key(), key()),
    () => unordered("SDIFF", key(), key(), key(), key()),
    () => exact("SINTERCARD", 2, key(), key(), "LIMIT", random.int(10)),
    () => (random.oneIn(4) ? exact("SINTERSTORE", key(), key(), key()) : exact("SCARD", key())),
    () => (random.oneIn(4) ? exact("SUNIONSTORE", key(), key(), key()) : exact("SCARD", key())),
    () => (random.oneIn(4) ? exact("SDIFFSTORE", key(), key(), key()) : exact("SCARD", key())),
    () => ({ words: ["SRANDMEMBER", key(), random.int(40) - 10], order: "length" }),
    () => (random.oneIn(10) ? unordered("SPOP", key(), 1000) : exact("SCARD", key())),
  ];
  const steps: Step[] = [exact("SET", "x", "v")];
  for (let i = 0; i < 6000; i++) steps.push(random.pick(makers)());
  for (const name of ["s1", "s2", "s3", "s4", "s5"]) steps.push(unordered("SMEMBERS", name));
  await compareSteps(steps, `(seed ${random.seed})`);
});

test("Random members are different ones when asked for, and all have a chance", () => {
  const own = new OwnServer();
  for (let i = 0; i < 50; i++) own.ask(["SADD", "s", `m${i}`]);
  for (const count of [3, 10, 40, 50]) {
    const seen = new Set<string>();
    for (let round = 0; round < 300; round++) {
      const members = own.show("SRANDMEMBER", "s", count) as readonly string[];
      expect(new Set(members).size).toBe(count);
      for (const member of members) seen.add(member);
    }
    expect(seen.size).toBe(50);
  }
});

test("SPOP propagates what it took, in commands of bounded size", () => {
  const own = new OwnServer();
  const members = Array.from({ length: 3000 }, (_, i) => `m${i}`);
  own.ask(["SADD", "s", ...members]);
  own.journal.length = 0;
  const popped = own.show("SPOP", "s", 2500) as readonly string[];
  const commands = own.journal.map((line) => line.split(" "));
  expect(commands.map(([name]) => name)).toEqual(["MULTI", "SREM", "SREM", "SREM", "EXEC"]);
  const removed = commands.flatMap((words) => words.slice(2));
  expect(removed).toEqual(popped.map((member) => member.slice(1)));
  expect(new Set(removed).size).toBe(2500);
  expect(own.show("SCARD", "s")).toBe(":500");
  own.journal.length = 0;
  own.ask(["SPOP", "s", 500]);
  own.ask(["SADD", "s", "last"]);
  own.ask(["SPOP", "s"]);
  own.ask(["SPOP", "s"]);
  expect(own.journal).toEqual(["DEL s", "SADD s last", "SREM s last"]);
});

test("A scan of a large set sees every member that stays", () => {
  const own = new OwnServer();
  for (let i = 0; i < 5000; i++) own.ask(["SADD", "s", `m${i}`]);
  const seen = new Set<string>();
  let cursor = "0";
  do {
    const [next, items] = own.show("SSCAN", "s", cursor, "COUNT", 50) as [string, string[]];
    for (const item of items) seen.add(item);
    own.ask(["SADD", "s", `new${cursor}`]);
    cursor = next.slice(1);
  } while (cursor !== "0");
  expect([...seen].filter((member) => !member.startsWith("$new")).length).toBe(5000);
});

test("Results and temporary sets leave nothing behind in the arena", () => {
  const own = new OwnServer();
  const { arena } = own.state.databases;
  const before = arena.usedBytes;
  own.ask(["SADD", "a", ...Array.from({ length: 2000 }, (_, i) => `m${i}`)]);
  own.ask(["SADD", "b", ...Array.from({ length: 2000 }, (_, i) => `m${i + 1000}`)]);
  const held = arena.usedBytes;
  for (const words of ["SUNION a b", "SDIFF a b", "SINTER a b", "SRANDMEMBER a 100", "SDIFF a a"]) {
    own.ask(words.split(" "));
  }
  own.settle();
  expect(arena.usedBytes).toBe(held);
  for (const words of ["SUNIONSTORE c a b", "SINTERSTORE c a b", "SDIFFSTORE c a a"]) {
    own.ask(words.split(" "));
  }
  own.settle();
  expect(arena.usedBytes).toBe(held);
  own.ask(["SPOP", "a", 5000]);
  own.ask(["SPOP", "b", 5000]);
  own.settle();
  expect(arena.usedBytes).toBe(before);
});
