import { describe, expect, test } from "bun:test";
import { besideRedis } from "../../support/beside-redis.ts";
import { exact, OwnServer, type Step } from "../../support/compare.ts";
import { createPrng } from "../../support/prng.ts";

const { compare, compareSteps } = besideRedis();

describe("Sorted set commands answer as redis-server does", () => {
  test("ZADD and its options", () =>
    compare(`
      ZADD z 1 a 2 b
      ZADD z 3 a 4 c
      ZADD z NX 9 a 9 d
      ZADD z XX 8 a 8 e
      ZADD z XX CH 7 a 7 e
      ZADD z GT 1 a
      ZADD z GT CH 100 a
      ZADD z LT CH 1 a 200 b 5 new
      ZADD z XX GT CH 50 a 60 other
      ZADD z INCR 5 a
      ZADD z INCR -5.5 fresh
      ZADD z NX INCR 1 a
      ZADD z XX INCR 1 nobody
      ZADD z GT INCR -1 a
      ZADD z LT INCR -1 a
      ZADD z CH 56 a
      ZRANGE z 0 -1 WITHSCORES
      ZADD z NX XX 1 a
      ZADD z NX GT 1 a
      ZADD z NX LT 1 a
      ZADD z GT LT 1 a
      ZADD z INCR 1 a 2 b
      ZADD z 1
      ZADD z 1 a 2
      ZADD z NX
      ZADD z NX CH
      ZADD z x a
      ZADD z 1 a x b
      ZADD z nan a
      ZADD z "" a
      ZADD z " 1" a
      ZADD z inf i -inf j +inf k
      ZADD z 0x10 hex 1e3 exp .5 half
      ZINCRBY z -inf i
      ZADD z INCR inf j
      ZADD empty XX 1 a
      ZADD empty XX INCR 1 a
      GET empty
      ZRANGE z 0 -1 WITHSCORES
    `));

  test("scores, ranks, removal", () =>
    compare(`
      ZADD z 1 a 2 b 2 c 3.3 d -0 zero 1e300 huge 1e-7 tiny 12345678901234567 long
      ZSCORE z a
      ZSCORE z d
      ZSCORE z zero
      ZSCORE z huge
      ZSCORE z tiny
      ZSCORE z long
      ZSCORE z none
      ZSCORE none a
      ZMSCORE z a none d
      ZMSCORE none a b
      ZCARD z
      ZCARD none
      ZRANK z c
      ZREVRANK z c
      ZRANK z none
      ZRANK none a
      ZREVRANK none a
      ZINCRBY z 1.5 a
      ZINCRBY z x a
      ZINCRBY z 0.1 d
      ZINCRBY new 7 m
      ZREM z a none b a
      ZREM none a
      ZRANGE z 0 -1
      ZREM z c d zero huge tiny long
      GET z
    `));

  test("wrong types", () =>
    compare(`
      SET s v
      SADD set a b
      ZADD z 1 a
      ZADD s 1 a
      ZADD s x a
      ZADD s NX XX 1 a
      ZINCRBY s 1 a
      ZREM s a
      ZSCORE s a
      ZMSCORE s a
      ZCARD s
      ZRANK s a
      ZREVRANK s a
      ZCOUNT s 0 1
      ZCOUNT s x 1
      ZLEXCOUNT s - +
      ZRANGE s 0 1
      ZRANGE s x 1
      ZRANGEBYSCORE s 0 1
      ZRANGEBYLEX s - +
      ZRANGESTORE d s 0 1
      ZRANGESTORE s z 0 -1
      ZRANGE s 0 -1
      SET s v
      ZREMRANGEBYRANK s 0 1
      ZREMRANGEBYSCORE s 0 1
      ZREMRANGEBYLEX s - +
      ZPOPMIN s
      ZPOPMAX s 2
      ZPOPMAX s 0
      ZMPOP 2 none s MIN
      ZRANDMEMBER s
      ZRANDMEMBER s 2
      ZSCAN s 0
      ZUNION 2 z s
      ZUNION 2 none s BAD
      ZINTER 2 z s
      ZDIFF 2 z s
      ZUNIONSTORE d 2 z s
      ZINTERCARD 2 none s
      ZUNION 2 z set WITHSCORES
      ZSCORE set a
    `));

  test("pops", () =>
    compare(`
      ZADD z 1 a 2 b 2 c 3.5 d 4 e
      ZPOPMIN z
      ZPOPMAX z
      ZPOPMIN z 2
      ZPOPMAX z 10
      GET z
      ZPOPMIN z
      ZPOPMIN z 3
      ZPOPMIN z 0
      ZPOPMIN z -1
      ZPOPMIN z x
      ZPOPMIN z 1 2
      ZADD z 1 a 2 b 3 c 4 d
      ZADD y 9 q
      ZMPOP 1 z MIN
      ZMPOP 2 none z MAX COUNT 2
      ZMPOP 3 none y z MIN COUNT 10
      ZMPOP 1 z MIN COUNT 10
      GET z
      ZMPOP 2 none z MIN
      ZMPOP 0 z MIN
      ZMPOP x z MIN
      ZMPOP 1 z
      ZMPOP 1 z UP
      ZMPOP 2 z MIN
      ZMPOP 1 z MIN COUNT 0
      ZMPOP 1 z MIN COUNT x
      ZMPOP 1 z MIN COUNT 1 COUNT 1
      ZMPOP 1 z MIN BAD 1
    `));

  test("union, intersection, difference", () =>
    compare(`
      ZADD a 1 x 2 y 3 z
      ZADD b 10 y 20 z 30 w
      ZADD c inf x -inf y
      SADD s x w
      ZUNION 2 a b WITHSCORES
      ZUNION 3 a b c
      ZUNION 2 a s WITHSCORES
      ZUNION 2 a b WEIGHTS 2 0.5 WITHSCORES
      ZUNION 2 a b AGGREGATE MAX WITHSCORES
      ZUNION 2 a b AGGREGATE MIN WEIGHTS -1 1 WITHSCORES
      ZUNION 2 c c WEIGHTS 1 -1 WITHSCORES
      ZUNION 1 c WEIGHTS 0 WITHSCORES
      ZINTER 2 a b WITHSCORES
      ZINTER 2 a b
      ZINTER 2 a a WITHSCORES
      ZINTER 3 a b s WITHSCORES
      ZINTER 2 a s WEIGHTS 3 4 WITHSCORES
      ZINTER 2 a none
      ZDIFF 2 a b WITHSCORES
      ZDIFF 2 a s
      ZDIFF 1 a
      ZDIFF 2 a none
      ZDIFF 2 none a
      ZDIFF 2 a a
      ZDIFF 2 s a WITHSCORES
      ZUNIONSTORE d 2 a b
      ZRANGE d 0 -1 WITHSCORES
      ZINTERSTORE d 2 a b AGGREGATE MIN
      ZRANGE d 0 -1 WITHSCORES
      ZDIFFSTORE d 2 a b
      ZRANGE d 0 -1 WITHSCORES
      ZINTERSTORE d 2 a none
      GET d
      ZINTERSTORE d 2 a none
      ZUNIONSTORE a 2 a b WEIGHTS 1 2
      ZRANGE a 0 -1 WITHSCORES
      ZINTERCARD 2 a b
      ZINTERCARD 2 a b LIMIT 1
      ZINTERCARD 2 a b LIMIT 0
      ZINTERCARD 1 none
      ZINTERCARD 2 a b LIMIT -1
      ZINTERCARD 2 a b LIMIT x
      ZINTERCARD 2 a b LIMIT
      ZINTERCARD 2 a b WITHSCORES
      ZINTERCARD 2 a b WEIGHTS 1 2
      ZINTERCARD 0 a
      ZUNION 0 a
      ZUNION -1 a
      ZUNION x a
      ZUNION 3 a b
      ZUNION 2 a b WEIGHTS 1
      ZUNION 2 a b WEIGHTS 1 x
      ZUNION 2 a b WEIGHTS 1 nan
      ZUNION 2 a b AGGREGATE
      ZUNION 2 a b AGGREGATE AVG
      ZUNION 2 a b BAD
      ZUNIONSTORE d 2 a b WITHSCORES
      ZUNIONSTORE d 0 a
      ZDIFF 2 a b WEIGHTS 1 2
      ZDIFFSTORE d 2 a b WITHSCORES
      ZINTERSTORE d 1 x BAD
    `));

  test("random members and scans", () =>
    compare(`
      ZADD z 1 a 2 b 3.5 c
      # ZRANDMEMBER z
      # ZRANDMEMBER z 2
      # ZRANDMEMBER z 2 WITHSCORES
      # ZRANDMEMBER z -7
      % ZRANDMEMBER z 5 WITHSCORES
      ZRANDMEMBER z 0
      ZRANDMEMBER none
      ZRANDMEMBER none 3
      ZRANDMEMBER z x
      ZRANDMEMBER z 1 BAD
      ZRANDMEMBER z 1 WITHSCORES x
      ZSCAN none 0
      ZSCAN none bad
      ZSCAN z bad
      ZSCAN z 0 COUNT 0
      ZSCAN z 0 MATCH c COUNT 100
      ZSCAN z 0 MATCH
    `));
});

test("Random sorted set commands leave both servers equal", async () => {
  const random = createPrng();
  const key = (): string => random.pick(["z1", "z2", "z3", "z4", "z5", "x"]);
  const member = (): string => `m${random.int(random.oneIn(3) ? 300 : 30)}`;
  const score = (): number =>
    random.pick([random.int(20), random.int(1000) / 8, random.int(100) / 3]);
  const bound = (): string => random.pick(["", "("]) + String(random.int(30));
  const rank = (): number => random.int(60) - 30;
  const seldom = (step: () => Step) => (): Step =>
    random.oneIn(6) ? step() : exact("ZCARD", key());
  const makers: readonly (() => Step)[] = [
    () => exact("ZADD", key(), score(), member(), score(), member(), score(), member()),
    () => exact("ZADD", key(), "CH", score(), member(), score(), member()),
    () => exact("ZADD", key(), random.pick(["NX", "XX", "GT", "LT"]), "CH", score(), member()),
    () => exact("ZADD", key(), "INCR", score(), member()),
    () => exact("ZINCRBY", key(), -score(), member()),
    () => exact("ZREM", key(), member(), member()),
    () => exact("ZSCORE", key(), member()),
    () => exact("ZRANK", key(), member()),
    () => exact("ZREVRANK", key(), member()),
    () => exact("ZRANGE", key(), rank(), rank(), "WITHSCORES"),
    () => exact("ZREVRANGE", key(), rank(), rank()),
    () =>
      exact("ZRANGEBYSCORE", key(), bound(), bound(), "LIMIT", random.int(5), random.int(9) - 1),
    () => exact("ZREVRANGEBYSCORE", key(), bound(), bound(), "WITHSCORES"),
    () => exact("ZCOUNT", key(), bound(), bound()),
    seldom(() => exact("ZREMRANGEBYRANK", key(), rank(), rank())),
    seldom(() => exact("ZREMRANGEBYSCORE", key(), bound(), bound())),
    () => exact("ZPOPMIN", key(), random.int(3)),
    () => exact("ZPOPMAX", key()),
    () => exact("ZUNION", 2, key(), key(), "WEIGHTS", score(), score(), "WITHSCORES"),
    () => exact("ZINTER", 2, key(), key(), "AGGREGATE", random.pick(["SUM", "MIN", "MAX"])),
    () => exact("ZDIFF", 3, key(), key(), key(), "WITHSCORES"),
    seldom(() => exact("ZUNIONSTORE", key(), 2, key(), key())),
    seldom(() => exact("ZINTERSTORE", key(), 2, key(), key(), "WEIGHTS", 2, 3)),
    seldom(() => exact("ZDIFFSTORE", key(), 2, key(), key())),
    seldom(() => exact("ZRANGESTORE", key(), key(), rank(), rank())),
    () => ({ words: ["ZRANDMEMBER", key(), random.int(40) - 10, "WITHSCORES"], order: "length" }),
  ];
  const steps: Step[] = [exact("SET", "x", "v")];
  for (let i = 0; i < 8000; i++) steps.push(random.pick(makers)());
  for (const name of ["z1", "z2", "z3", "z4", "z5"]) {
    steps.push(exact("ZRANGE", name, 0, -1, "WITHSCORES"));
  }
  await compareSteps(steps, `(seed ${random.seed})`);
});

test("Random members are different ones when asked for, and all have a chance", () => {
  const own = new OwnServer();
  for (let i = 0; i < 50; i++) own.ask(["ZADD", "z", i, `m${i}`]);
  for (const count of [3, 10, 40, 50]) {
    const seen = new Set<string>();
    for (let round = 0; round < 300; round++) {
      const reply = own.show("ZRANDMEMBER", "z", count, "WITHSCORES") as readonly string[];
      const members = reply.filter((_, i) => i % 2 === 0);
      expect(new Set(members).size).toBe(count);
      for (const [i, name] of members.entries()) {
        expect(reply[2 * i + 1]).toBe(name.replace("m", ""));
        seen.add(name);
      }
    }
    expect(seen.size).toBe(50);
  }
});

test("ZRANK and ZREVRANK take WITHSCORE as Redis 7.2 does", () => {
  const own = new OwnServer();
  own.ask(["ZADD", "z", 1, "a", 2.5, "b", 3, "c"]);
  expect(own.show("ZRANK", "z", "b", "WITHSCORE")).toEqual([":1", "$2.5"]);
  expect(own.show("ZREVRANK", "z", "a", "withscore")).toEqual([":2", "$1"]);
  expect(own.show("ZRANK", "z", "none", "WITHSCORE")).toBe("*-1");
  expect(own.show("ZRANK", "none", "b", "WITHSCORE")).toBe("*-1");
  expect(own.show("ZRANK", "z", "b", "WITHSCORES")).toBe("-ERR syntax error");
  expect(own.show("ZRANK", "z", "b", "WITHSCORE", "x")).toBe("-ERR syntax error");
});

test("Results and temporary sorted sets leave nothing behind in the arena", () => {
  const own = new OwnServer();
  const { arena } = own.state.databases;
  const before = arena.usedBytes;
  const members = (from: number): (string | number)[] =>
    Array.from({ length: 2000 }, (_, i) => [i, `m${from + i}`]).flat();
  own.ask(["ZADD", "a", ...members(0)]);
  own.ask(["ZADD", "b", ...members(1000)]);
  const held = arena.usedBytes;
  for (const words of ["ZUNION 2 a b", "ZDIFF 2 a b", "ZINTER 2 a b", "ZRANDMEMBER a 100"]) {
    own.ask(words.split(" "));
  }
  own.settle();
  expect(arena.usedBytes).toBe(held);
  for (const words of ["ZUNIONSTORE c 2 a b", "ZRANGESTORE c a 5 100", "ZDIFFSTORE c 2 a a"]) {
    own.ask(words.split(" "));
  }
  own.settle();
  expect(arena.usedBytes).toBe(held);
  own.ask(["ZPOPMIN", "a", 5000]);
  own.ask(["ZREMRANGEBYRANK", "b", 0, -1]);
  own.settle();
  expect(arena.usedBytes).toBe(before);
});

test("What sorted sets propagate can be run again", () => {
  const own = new OwnServer();
  own.ask(["ZADD", "z", 1, "a", 2, "b", 3, "c"]);
  own.ask(["ZMPOP", 2, "none", "z", "MAX", "COUNT", 2]);
  own.ask(["ZADD", "z", "INCR", 1.5, "a"]);
  own.ask(["ZADD", "z", "GT", 1, "a"]);
  own.ask(["ZPOPMIN", "z"]);
  expect(own.journal).toEqual([
    "ZADD z 1 a 2 b 3 c",
    "ZPOPMAX z 2",
    "ZADD z INCR 1.5 a",
    "ZPOPMIN z",
  ]);
});
