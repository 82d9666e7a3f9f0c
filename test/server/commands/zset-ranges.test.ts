import { describe, test } from "bun:test";
import { besideRedis } from "../../support/beside-redis.ts";
import { exact, type Step } from "../../support/compare.ts";
import { createPrng } from "../../support/prng.ts";

const { compare, compareSteps } = besideRedis();

describe("Ranges of sorted sets answer as redis-server does", () => {
  test("ranges by rank", () =>
    compare(`
      ZADD z 1 a 2 b 3 c 4 d 5 e
      ZRANGE z 0 -1
      ZRANGE z 1 3 WITHSCORES
      ZRANGE z -2 -1
      ZRANGE z -100 100
      ZRANGE z 3 1
      ZRANGE z 5 10
      ZRANGE z 0 0 REV
      ZRANGE z 1 2 REV WITHSCORES
      ZREVRANGE z 0 -1
      ZREVRANGE z 1 -2 WITHSCORES
      ZREVRANGE z -2 -1
      ZREVRANGE z 7 9
      ZRANGE none 0 -1
      ZRANGE z x 1
      ZRANGE z 1 x
      ZRANGE z 0 -1 BAD
      ZRANGE z 0 -1 LIMIT 0 1
      ZRANGE z 0 -1 LIMIT 1 -1
      ZRANGE z 0 -1 LIMIT 1
      ZRANGE z 0 -1 LIMIT x 1
      ZREVRANGE z 0 -1 REV
      ZREVRANGE z 0 -1 BYSCORE
      ZREVRANGE z 0 -1 LIMIT 0 1
      ZRANGE none x 1
      ZRANGE z 9223372036854775807 9223372036854775807
      ZRANGE z -9223372036854775808 9223372036854775807
    `));

  test("ranges by score", () =>
    compare(`
      ZADD z 1 a 2 b 2 bb 3 c 4 d inf i -inf m
      ZRANGEBYSCORE z -inf +inf
      ZRANGEBYSCORE z 2 3 WITHSCORES
      ZRANGEBYSCORE z (1 (3
      ZRANGEBYSCORE z (2 2
      ZRANGEBYSCORE z (2 (2
      ZRANGEBYSCORE z 5 1
      ZRANGEBYSCORE z -inf inf LIMIT 1 2
      ZRANGEBYSCORE z -inf inf LIMIT 1 -1
      ZRANGEBYSCORE z -inf inf LIMIT -1 2
      ZRANGEBYSCORE z -inf inf LIMIT 0 0
      ZRANGEBYSCORE z -inf inf LIMIT 100 5
      ZREVRANGEBYSCORE z inf -inf
      ZREVRANGEBYSCORE z 3 (1 WITHSCORES LIMIT 1 2
      ZREVRANGEBYSCORE z 1 5
      ZRANGE z 1 3 BYSCORE
      ZRANGE z 3 1 BYSCORE REV
      ZRANGE z 3 1 BYSCORE REV LIMIT 1 1 WITHSCORES
      ZRANGE z (1 +inf BYSCORE LIMIT 1 2
      ZRANGEBYSCORE z x 1
      ZRANGEBYSCORE z 1 x
      ZRANGEBYSCORE z ((1 1
      ZRANGEBYSCORE z "" ""
      ZRANGEBYSCORE z " 1" 3
      ZRANGEBYSCORE z "1 " 3
      ZRANGEBYSCORE z ( 3
      ZRANGEBYSCORE z nan 3
      ZRANGEBYSCORE z 1e400 1e500
      ZRANGEBYSCORE z 1e-400 1
      ZRANGEBYSCORE none x 1
      ZRANGEBYSCORE z 1 2 LIMIT 1
      ZCOUNT z -inf +inf
      ZCOUNT z (1 3
      ZCOUNT z (2 (2
      ZCOUNT z 3 1
      ZCOUNT none 0 1
      ZCOUNT none x 1
    `));

  test("ranges by member", () =>
    compare(`
      ZADD z 0 "" 0 a 0 aa 0 b 0 c 0 d
      ZRANGEBYLEX z - +
      ZRANGEBYLEX z [a [c
      ZRANGEBYLEX z (a (c
      ZRANGEBYLEX z [ (b
      ZRANGEBYLEX z + -
      ZRANGEBYLEX z [c [a
      ZRANGEBYLEX z - + LIMIT 1 2
      ZREVRANGEBYLEX z + -
      ZREVRANGEBYLEX z [c (a LIMIT 1 5
      ZRANGE z [a (c BYLEX
      ZRANGE z + - BYLEX REV LIMIT 1 2
      ZRANGE z - + BYLEX WITHSCORES
      ZRANGEBYLEX z - + WITHSCORES
      ZRANGEBYLEX z a b
      ZRANGEBYLEX z - b
      ZRANGEBYLEX z +a b
      ZRANGEBYLEX z "" +
      ZRANGEBYLEX none x y
      ZRANGEBYLEX none - +
      ZLEXCOUNT z - +
      ZLEXCOUNT z (a [c
      ZLEXCOUNT z a b
      ZLEXCOUNT none - +
    `));

  test("ranges stored and removed", () =>
    compare(`
      ZADD z 1 a 2 b 3 c 4 d 5 e
      ZRANGESTORE d z 1 3
      ZRANGE d 0 -1 WITHSCORES
      ZRANGESTORE d z (1 (4 BYSCORE
      ZRANGESTORE d z 4 1 BYSCORE REV LIMIT 1 2
      ZRANGE d 0 -1 WITHSCORES
      ZRANGESTORE d z 0 1 REV
      ZRANGE d 0 -1 WITHSCORES
      ZRANGESTORE d z 0 -1 WITHSCORES
      ZRANGESTORE d z 10 20
      GET d
      ZRANGESTORE d none 0 -1
      ZRANGESTORE z z 1 3
      ZRANGE z 0 -1
      ZADD z 1 a 2 b 3 c 4 d 5 e
      ZREMRANGEBYRANK z 1 2
      ZREMRANGEBYRANK z 10 20
      ZREMRANGEBYRANK z x 1
      ZREMRANGEBYSCORE z (4 9
      ZREMRANGEBYSCORE z x 9
      ZRANGE z 0 -1
      ZREMRANGEBYLEX z - [a
      ZREMRANGEBYLEX z x y
      ZRANGE z 0 -1
      ZREMRANGEBYRANK none 0 1
      ZREMRANGEBYSCORE none 0 1
      ZREMRANGEBYLEX none - +
      ZREMRANGEBYRANK z 0 -1
      GET z
    `));
});

test("Random ranges by member leave both servers equal", async () => {
  const random = createPrng();
  const member = (): string => "abc".repeat(2).slice(random.int(5)) + random.int(40);
  const bound = (): string =>
    random.oneIn(8) ? random.pick(["-", "+"]) : random.pick(["[", "("]) + member();
  const steps: Step[] = [];
  for (let i = 0; i < 400; i++) steps.push(exact("ZADD", "z", 5, member()));
  for (let i = 0; i < 1500; i++) {
    const by = random.pick(["ZRANGEBYLEX", "ZREVRANGEBYLEX", "ZLEXCOUNT"]);
    steps.push(exact(by, "z", bound(), bound()));
    if (random.oneIn(20)) steps.push(exact("ZREMRANGEBYLEX", "z", bound(), bound()));
    steps.push(exact("ZADD", "z", 5, member()));
  }
  await compareSteps(steps, `(seed ${random.seed})`);
});
