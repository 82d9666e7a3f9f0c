import { describe, expect, test } from "bun:test";
import { besideRedis } from "../../support/beside-redis.ts";
import { exact, OwnServer, type Step } from "../../support/compare.ts";
import { createPrng } from "../../support/prng.ts";

const { compare, compareSteps } = besideRedis();

describe("List commands answer as redis-server does", () => {
  test("push, pop, length", () =>
    compare(`
      RPUSH l a b c
      LPUSH l x y
      LRANGE l 0 -1
      LLEN l
      LLEN none
      LPUSHX none a
      RPUSHX none a b
      RPUSHX l d e
      LPUSHX l w
      GET none
      LPOP l
      RPOP l
      LPOP none
      RPOP none
      LPOP l 2
      RPOP l 2
      LPOP l 0
      LPOP none 0
      LPOP none 5
      LPOP l -1
      LPOP l abc
      LPOP l 1 2
      RPOP l 1 2
      LPOP l 100
      GET l
      RPUSH l ""
      LPOP l
      RPUSH l
      LPUSH
      LLEN
      LLEN a b
    `));

  test("wrong types", () =>
    compare(`
      SET s v
      LPUSH s a
      LPUSHX s a
      LPOP s
      LPOP s 1
      LPOP s bad
      LLEN s
      LINDEX s 0
      LINDEX s bad
      LSET s 0 v
      LRANGE s 0 1
      LTRIM s 0 1
      LREM s 0 a
      LINSERT s BEFORE a b
      RPOPLPUSH s l
      RPUSH l a
      RPOPLPUSH l s
      LMOVE l s LEFT LEFT
      LMOVE none s LEFT LEFT
      LPOS s a
      LMPOP 1 s LEFT
      LRANGE l 0 -1
    `));

  test("index, set, range, trim", () =>
    compare(`
      RPUSH l 0 1 2 3 4 5 6 7 8 9
      LINDEX l 0
      LINDEX l -1
      LINDEX l 10
      LINDEX l -11
      LINDEX l 9223372036854775807
      LINDEX l -9223372036854775808
      LINDEX l 9223372036854775808
      LINDEX none bad
      LINDEX l bad
      LSET none 0 a
      LSET none bad a
      LSET l bad a
      LSET l 10 a
      LSET l -11 a
      LSET l 3 three
      LSET l -1 ""
      LRANGE l 0 -1
      LRANGE l 5 2
      LRANGE l -3 -1
      LRANGE l -100 100
      LRANGE l 20 30
      LRANGE none 0 -1
      LRANGE l a 1
      LRANGE l 1 a
      LRANGE none a 1
      LTRIM l 2 -2
      LRANGE l 0 -1
      LTRIM l a b
      LTRIM none 0 1
      LTRIM l -3 100
      LRANGE l 0 -1
      LTRIM l 5 1
      GET l
    `));

  test("remove and insert", () =>
    compare(`
      RPUSH l a b a c a d a
      LREM l 2 a
      LRANGE l 0 -1
      LREM l -1 a
      LRANGE l 0 -1
      LREM l 0 zz
      LREM none 0 a
      LREM none x a
      LREM l x a
      LREM l 0 a
      LRANGE l 0 -1
      LINSERT l BEFORE c new
      LINSERT l after d end
      LINSERT l BEFORE b start
      LINSERT l BEFORE nope x
      LINSERT none BEFORE a b
      LINSERT l BETWEEN a b
      LINSERT none BETWEEN a b
      LRANGE l 0 -1
      LREM l 0 start
      LREM l 0 b
      LREM l 0 new
      LREM l 0 c
      LREM l 0 d
      LREM l 0 end
      GET l
    `));

  test("moves between lists", () =>
    compare(`
      RPUSH a 1 2 3
      RPOPLPUSH a b
      RPOPLPUSH a b
      RPOPLPUSH a b
      RPOPLPUSH a b
      GET a
      LRANGE b 0 -1
      RPOPLPUSH b b
      LRANGE b 0 -1
      LMOVE b a LEFT RIGHT
      LMOVE b b LEFT RIGHT
      LMOVE b a right left
      LMOVE b a UP DOWN
      LMOVE b a LEFT DOWN
      LMOVE none a LEFT RIGHT
      LRANGE a 0 -1
      LRANGE b 0 -1
      LMOVE b b LEFT LEFT
      LMOVE b none LEFT RIGHT
      GET b
      RPUSH one x
      LMOVE one one LEFT RIGHT
      LRANGE one 0 -1
    `));

  test("LPOS", () =>
    compare(`
      RPUSH l a b c a b c a b c
      LPOS l a
      LPOS l b RANK 2
      LPOS l b RANK -1
      LPOS l b RANK -2
      LPOS l b RANK 4
      LPOS l b COUNT 0
      LPOS l b COUNT 2
      LPOS l b COUNT 2 RANK -1
      LPOS l b COUNT 0 MAXLEN 4
      LPOS l c MAXLEN 2
      LPOS l c MAXLEN 3
      LPOS l c RANK -1 MAXLEN 1
      LPOS l zz
      LPOS l zz COUNT 0
      LPOS none a
      LPOS none a COUNT 1
      LPOS l a RANK 0
      LPOS l a RANK x
      LPOS l a COUNT -1
      LPOS l a COUNT x
      LPOS l a MAXLEN -1
      LPOS l a RANK
      LPOS l a BAD 1
      LPOS none a BAD 1
    `));

  test("LMPOP", () =>
    compare(`
      RPUSH l 1 2 3 4 5
      RPUSH m a b
      LMPOP 1 none LEFT
      LMPOP 2 none l LEFT
      LMPOP 2 none l RIGHT COUNT 2
      LMPOP 3 none m l LEFT COUNT 10
      LMPOP 2 m l left count 1
      LMPOP 0 l LEFT
      LMPOP x l LEFT
      LMPOP -1 l LEFT
      LMPOP 2 l LEFT
      LMPOP 1 l
      LMPOP 1 l UP
      LMPOP 1 l LEFT COUNT 0
      LMPOP 1 l LEFT COUNT x
      LMPOP 1 l LEFT COUNT
      LMPOP 1 l LEFT COUNT 1 COUNT 2
      LMPOP 1 l LEFT BAD 1
      LMPOP 9223372036854775807 l LEFT
      LMPOP 1 l LEFT COUNT 9223372036854775807
      GET l
    `));
});

test("Random list commands leave both servers equal", async () => {
  const random = createPrng();
  const key = (): string => random.pick(["l1", "l2", "l3", "s"]);
  const element = (): string =>
    random.oneIn(30) ? "x".repeat(random.int(12_000)) : String(random.int(8));
  const index = (): number => random.int(60) - 30;
  const side = (): string => random.pick(["LEFT", "RIGHT"]);
  const makers: readonly (() => (string | number)[])[] = [
    () => ["RPUSH", key(), element(), element(), element()],
    () => ["LPUSH", key(), element(), element(), element()],
    () => ["RPUSHX", key(), element()],
    () => ["LPOP", key()],
    () => ["RPOP", key(), random.int(4)],
    () => ["LINDEX", key(), index()],
    () => ["LSET", key(), index(), element()],
    () => ["LRANGE", key(), index(), index()],
    () => ["LINSERT", key(), random.pick(["BEFORE", "AFTER"]), element(), element()],
    () => ["LREM", key(), random.int(5) - 2, element()],
    () => ["LMOVE", key(), key(), side(), side()],
    () => ["LPOS", key(), element(), "RANK", random.int(7) - 3, "COUNT", random.int(3)],
    () => ["LMPOP", 2, key(), key(), side(), "COUNT", 1 + random.int(3)],
    () => ["LLEN", key()],
    () => (random.oneIn(8) ? ["LTRIM", key(), index(), index()] : ["LLEN", key()]),
  ];
  const steps: Step[] = [exact("SET", "s", "v")];
  for (let i = 0; i < 6000; i++) steps.push({ words: random.pick(makers)(), order: "exact" });
  for (const name of ["l1", "l2", "l3"]) {
    steps.push(exact("LRANGE", name, 0, -1));
  }
  await compareSteps(steps, `(seed ${random.seed})`);
});

test("What lists propagate can be run again", () => {
  const own = new OwnServer();
  for (const words of [
    "RPUSH l a b c",
    "LMPOP 2 none l RIGHT COUNT 2",
    "LPOP l",
    "LPOP l",
    "LREM l 0 a",
  ]) {
    own.ask(words.split(" "));
  }
  expect(own.journal).toEqual(["RPUSH l a b c", "RPOP l 2", "LPOP l"]);
});
