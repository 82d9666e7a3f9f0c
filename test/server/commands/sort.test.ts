import { describe, expect, test } from "bun:test";
import { besideRedis } from "../../support/beside-redis.ts";
import { exact, OwnServer, type Step } from "../../support/compare.ts";
import { createPrng } from "../../support/prng.ts";

const { compare, compareSteps } = besideRedis();

describe("SORT answers as redis-server does", () => {
  test("lists, sets and sorted sets by number and by bytes", () =>
    compare(`
      RPUSH l 3 10 1 2 2.5 -7 1e2 0x10 inf -inf ""
      SORT l
      SORT l DESC
      SORT l ALPHA
      SORT l ALPHA DESC
      SORT l LIMIT 2 3
      SORT l LIMIT -5 3
      SORT l LIMIT 2 -1
      SORT l LIMIT 2 0
      SORT l LIMIT 100 3
      SORT l LIMIT 1 1000000
      SORT l DESC LIMIT 0 2
      SORT_RO l
      SADD s 3 10 1 2
      SORT s
      SORT s ALPHA
      ZADD z 4 3 3 10 2 1 1 2
      SORT z
      SORT z DESC ALPHA
      SORT z BY nosort
      SORT z BY nosort DESC
      SORT z BY nosort LIMIT 1 2
      SORT z BY nosort DESC LIMIT 1 2
      SORT l BY nosort
      SORT l BY nosort DESC
      SORT l BY nosort DESC LIMIT 1 2
      ~ SORT s BY nosort
      SORT none
      SORT none STORE d
      RPUSH w b a " 5"
      SORT w
      SORT w ALPHA
      RPUSH blanks " 5" 4
      SORT blanks
      RPUSH over 1e400 1
      SORT over
      RPUSH trail "1 " 1
      SORT trail
    `));

  test("BY and GET patterns", () =>
    compare(`
      RPUSH l 1 2 3 4
      SET w_1 30
      SET w_2 10
      SET w_3 20
      HSET h_1 rank 2 name one
      HSET h_2 rank 1 name two
      HSET h_3 rank 3
      SORT l BY w_*
      SORT l BY w_* DESC
      SORT l BY w_* GET #
      SORT l BY w_* GET # GET w_* GET h_*->name
      SORT l BY h_*->rank GET h_*->name
      SORT l BY h_*->none GET #
      SORT l BY h_* GET #
      SORT l GET nostar
      SORT l GET w_*->field
      SORT l GET h_*
      SORT l GET h_*->
      SORT l GET *->x
      SORT l BY w_* LIMIT 1 2 GET w_*
      SORT l BY nosort GET w_*
      SET word_1 delta
      SET word_2 alpha
      SET word_3 charlie
      SET word_4 bravo
      SORT l BY word_* ALPHA
      SORT l BY word_* ALPHA DESC GET word_*
      SORT l BY word_*
      SORT l BY w_*x GET #
    `));

  test("STORE", () =>
    compare(`
      RPUSH l 3 1 2
      SET w_1 one
      SORT l STORE d
      LRANGE d 0 -1
      SORT l GET w_* GET # STORE d
      LRANGE d 0 -1
      SORT l LIMIT 5 5 STORE d
      GET d
      SORT none STORE d
      SORT l DESC STORE l
      LRANGE l 0 -1
      SADD s c a b
      SORT s BY nosort STORE d
      LRANGE d 0 -1
      SET str x
      SORT l STORE str
      LRANGE str 0 -1
      SORT_RO l STORE d
    `));

  test("errors", () =>
    compare(`
      SET x v
      HSET h a 1
      RPUSH l 1 2
      SORT x
      SORT h
      SORT l LIMIT 1
      SORT l LIMIT a 1
      SORT l LIMIT 1 a
      SORT l BY
      SORT l GET
      SORT l STORE
      SORT l BAD
      SORT x BAD
      SORT x LIMIT a 1
      SORT
    `));
});

test("Random sorts leave both servers equal", async () => {
  const random = createPrng();
  const steps: Step[] = [];
  const number = (): number => random.pick([random.int(50), random.int(1000) / 8 - 60]);
  for (let i = 0; i < 300; i++) {
    steps.push(exact("RPUSH", "l", number()), exact("SADD", "s", number()));
    steps.push(
      exact("ZADD", "z", number(), number()),
      exact("SET", `w_${random.int(50)}`, number()),
    );
  }
  for (let i = 0; i < 1500; i++) {
    const words: (string | number)[] = ["SORT", random.pick(["l", "s", "z"])];
    if (random.oneIn(2)) words.push("LIMIT", random.int(300) - 20, random.int(60) - 1);
    const by = random.oneIn(3);
    if (by) words.push("BY", "w_*");
    if (random.oneIn(2)) words.push("DESC");
    if (!by && random.oneIn(3)) words.push("ALPHA");
    if (random.oneIn(3)) words.push("GET", "#", "GET", "w_*");
    if (random.oneIn(5)) words.push("STORE", "d");
    steps.push(exact(...words), exact("LRANGE", "d", 0, 20));
  }
  await compareSteps(steps, `(seed ${random.seed})`);
});

test("SORT STORE leaves nothing behind in the arena but its list", () => {
  const own = new OwnServer();
  const { arena } = own.state.databases;
  const before = arena.usedBytes;
  own.ask(["RPUSH", "l", ...Array.from({ length: 3000 }, (_, i) => i)]);
  own.ask(["SORT", "l", "DESC", "STORE", "l"]);
  own.ask(["SORT", "l", "LIMIT", 5000, 1, "STORE", "l"]);
  own.settle();
  expect(arena.usedBytes).toBe(before);
});
