import { describe, expect, test } from "bun:test";
import { besideRedis } from "../../support/beside-redis.ts";
import { exact, OwnServer, type Step } from "../../support/compare.ts";
import { createPrng } from "../../support/prng.ts";

const { compare, compareSteps } = besideRedis();

describe("Hash commands answer as redis-server does", () => {
  test("set, get, remove", () =>
    compare(`
      HSET h a 1 b 2 a 3
      HSET h c "" "" empty
      HSET h a
      HSET h a 1 b
      HSET h
      HMSET h x 1 y 2
      HMSET h x
      HMSET h x 1 y
      HGET h a
      HGET h ""
      HGET h none
      HGET none a
      HMGET h a none b a
      HMGET none a b
      HMGET h
      HLEN h
      HLEN none
      HEXISTS h a
      HEXISTS h none
      HEXISTS none a
      HSTRLEN h c
      HSTRLEN h ""
      HSTRLEN h none
      HSTRLEN none a
      HSETNX h a 9
      HSETNX h new 9
      HSETNX fresh f v
      % HGETALL h
      ~ HKEYS h
      ~ HVALS h
      HGETALL none
      HKEYS none
      HVALS none
      HDEL h a none b a
      HDEL none a
      HDEL h c "" x y new
      GET h
      HDEL fresh f
      GET fresh
    `));

  test("wrong types", () =>
    compare(`
      SET s v
      HSET s a 1
      HSET s a
      HMSET s a 1
      HSETNX s a 1
      HGET s a
      HMGET s a
      HLEN s
      HSTRLEN s a
      HEXISTS s a
      HGETALL s
      HKEYS s
      HVALS s
      HDEL s a
      HINCRBY s a 1
      HINCRBY s a x
      HINCRBYFLOAT s a 1
      HINCRBYFLOAT s a x
      HINCRBYFLOAT s a inf
      HSCAN s 0
      HSCAN s bad
      HRANDFIELD s
      HRANDFIELD s 1
      HRANDFIELD s bad
      HSET h f v
      GET h
    `));

  test("counting", () =>
    compare(`
      HINCRBY h n 5
      HINCRBY h n -10
      HINCRBY h n 9223372036854775807
      HINCRBY h n 9223372036854775807
      HINCRBY h n -9223372036854775808
      HINCRBY h n -9223372036854775808
      HGET h n
      HINCRBY h n x
      HINCRBY h n 1.5
      HINCRBY h n 9223372036854775808
      HSET h t text spaced " 1" zero 01 big 9007199254740993
      HINCRBY h t 1
      HINCRBY h spaced 1
      HINCRBY h zero 1
      HINCRBY h big 1
      HINCRBY h big -9007199254740994
      HINCRBYFLOAT h f 10.5
      HINCRBYFLOAT h f 0.1
      HINCRBYFLOAT h f -5.0e3
      HINCRBYFLOAT h t 1
      HINCRBYFLOAT h n 1.5
      HINCRBYFLOAT h f abc
      HINCRBYFLOAT h f " 1"
      HINCRBYFLOAT h f ""
      HINCRBYFLOAT h f inf
      HINCRBYFLOAT h f nan
      HINCRBYFLOAT h inf inf
      HINCRBYFLOAT h tiny 1e-17
      HINCRBYFLOAT h tiny 1e-18
      HINCRBYFLOAT h large 1e30
      HSET h infinite inf
      HINCRBYFLOAT h infinite 1
      HINCRBYFLOAT h hex 0x1p-3
      HGET h f
    `));

  test("scans", () =>
    compare(`
      HSET h a 1 b 2 ab 3
      HSCAN none 0
      HSCAN none bad
      HSCAN none 0 BAD
      HSCAN h bad
      HSCAN h " 1"
      HSCAN h 18446744073709551616
      HSCAN h 0 COUNT
      HSCAN h 0 COUNT 0
      HSCAN h 0 COUNT x
      HSCAN h 0 MATCH
      HSCAN h 0 TYPE string
      HSCAN h 0 BAD x
      HSCAN h
      HSCAN h 0 MATCH zz* COUNT 100
      HSCAN h 0 MATCH ab COUNT 100
    `));

  test("random fields", () =>
    compare(`
      HSET h a 1 b 2 c 3
      # HRANDFIELD h
      # HRANDFIELD h 2
      # HRANDFIELD h 2 WITHVALUES
      # HRANDFIELD h -7
      # HRANDFIELD h -7 withvalues
      % HRANDFIELD h 3 WITHVALUES
      ~ HRANDFIELD h 10
      HRANDFIELD h 0
      HRANDFIELD none
      HRANDFIELD none 1
      HRANDFIELD none -1 WITHVALUES
      HRANDFIELD h x
      HRANDFIELD h 1 BAD
      HRANDFIELD h 1 WITHVALUES x
      HRANDFIELD h -9223372036854775808
      HRANDFIELD h 9223372036854775807 WITHVALUES
      HRANDFIELD h -9223372036854775807 WITHVALUES
    `));
});

test("Random hash commands leave both servers equal", async () => {
  const random = createPrng();
  const key = (): string => random.pick(["h1", "h2", "h3", "s"]);
  const field = (): string => `f${random.int(40)}`;
  const value = (): string =>
    random.oneIn(20) ? "v".repeat(random.int(3000)) : String(random.int(1000));
  const makers: readonly (() => Step)[] = [
    () => exact("HSET", key(), field(), value(), field(), value()),
    () => exact("HSETNX", key(), field(), value()),
    () => exact("HMSET", key(), field(), value()),
    () => exact("HGET", key(), field()),
    () => exact("HMGET", key(), field(), field()),
    () => exact("HDEL", key(), field(), field(), field()),
    () => exact("HLEN", key()),
    () => exact("HSTRLEN", key(), field()),
    () => exact("HEXISTS", key(), field()),
    () => exact("HINCRBY", key(), field(), random.int(2000) - 1000),
    () => exact("HINCRBYFLOAT", key(), field(), (random.int(2000) - 1000) / 128),
    () => ({ words: ["HGETALL", key()], order: "pairs" }),
    () => ({ words: ["HKEYS", key()], order: "set" }),
    () => ({ words: ["HVALS", key()], order: "set" }),
    () => ({ words: ["HRANDFIELD", key(), random.int(30), "WITHVALUES"], order: "length" }),
    () => ({ words: ["HRANDFIELD", key(), -random.int(9)], order: "length" }),
  ];
  const steps: Step[] = [exact("SET", "s", "v")];
  for (let i = 0; i < 6000; i++) steps.push(random.pick(makers)());
  await compareSteps(steps, `(seed ${random.seed})`);
});

test("Random fields are different ones when asked for, and all have a chance", () => {
  const own = new OwnServer();
  for (let i = 0; i < 50; i++) own.ask(["HSET", "h", `f${i}`, `v${i}`]);
  for (const count of [3, 10, 40, 50]) {
    const seen = new Set<string>();
    for (let round = 0; round < 300; round++) {
      const reply = own.show("HRANDFIELD", "h", count, "WITHVALUES") as readonly string[];
      const fields = reply.filter((_, i) => i % 2 === 0);
      expect(new Set(fields).size).toBe(count);
      for (const [i, field] of fields.entries()) {
        expect(reply[2 * i + 1]).toBe(field.replace("f", "v"));
        seen.add(field);
      }
    }
    expect(seen.size).toBe(50);
  }
});

test("A scan of a large hash sees every field that stays", () => {
  const own = new OwnServer();
  for (let i = 0; i < 5000; i++) own.ask(["HSET", "h", `f${i}`, i]);
  const seen = new Set<string>();
  let cursor = "0";
  let steps = 0;
  do {
    const [next, items] = own.show("HSCAN", "h", cursor, "MATCH", "f*1", "COUNT", 50) as [
      string,
      string[],
    ];
    for (let i = 0; i < items.length; i += 2) seen.add(items[i]!);
    // The table grows and shrinks in between.
    for (let i = 0; i < 100; i++) own.ask(["HSET", "h", `new${steps}:${i}`, i]);
    if (steps % 2 === 1)
      for (let i = 0; i < 150; i++) own.ask(["HDEL", "h", `new${steps - 1}:${i}`]);
    cursor = next.slice(1);
    steps++;
  } while (cursor !== "0");
  expect(steps).toBeGreaterThan(50);
  expect([...seen].filter((field) => !field.startsWith("$new")).length).toBe(500);
});

test("What hashes propagate can be run again", () => {
  const own = new OwnServer();
  own.ask(["HINCRBYFLOAT", "h", "f", "10.5"]);
  own.ask(["HINCRBYFLOAT", "h", "f", "0.1"]);
  own.ask(["HDEL", "h", "none"]);
  own.ask(["HGET", "h", "f"]);
  expect(own.journal).toEqual(["HSET h f 10.5", "HSET h f 10.6"]);
});
