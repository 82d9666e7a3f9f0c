import { describe, expect, test } from "bun:test";
import { besideRedis } from "../../support/beside-redis.ts";
import { exact, OwnServer } from "../../support/compare.ts";
import { createPrng } from "../../support/prng.ts";

const { askStock, compare, compareSteps } = besideRedis();

describe("HyperLogLog commands answer as redis-server does", () => {
  test("small ones and what is wrong", async () => {
    await compare(`
      PFADD a
      PFADD a
      PFADD a x y z
      PFADD a x y z
      PFADD a ""
      PFADD a a-longer-element-of-more-than-sixteen-bytes
      PFCOUNT a
      PFCOUNT none
      PFCOUNT none none2
      PFADD b y z w
      PFCOUNT a b none
      PFMERGE c a b none
      PFCOUNT c
      PFMERGE a
      PFMERGE fresh
      PFCOUNT fresh
      SET s string
      PFADD s x
      PFCOUNT s
      PFCOUNT a s
      PFMERGE a s
      PFMERGE s a
      LPUSH l x
      PFADD l x
      PFCOUNT l
      PFADD
      PFCOUNT
      SET bad "HYLL\\u0001\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0080\\u0041"
      PFCOUNT bad
      SET short "HYLL\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000\\u0080"
      PFCOUNT short
      EXPIRE a 100
      PFADD a more and more
      TTL a
    `);
  });

  test("thousands of elements, from sparse to dense", async () => {
    const prng = createPrng();
    const steps = Array.from({ length: 600 }, (_, round) => {
      const key = `h${round % 3}`;
      const elements = Array.from({ length: 1 + prng.int(40) }, () => prng.bytes(prng.int(24)));
      const words = prng.oneIn(3) ? ["PFCOUNT", key] : ["PFADD", key, ...elements];
      return exact(...words);
    });
    steps.push(exact("PFMERGE", "all", "h0", "h1", "h2"));
    steps.push(exact("PFCOUNT", "all"));
    await compareSteps(steps, `(SEED=${prng.seed})`);
  });

  test("each reads what the other wrote", async () => {
    const own = new OwnServer();
    for (const count of [5, 300, 20_000]) {
      const elements = Array.from({ length: count }, (_, i) => `element:${i}`);
      own.ask(["PFADD", `ours${count}`, ...elements]);
      await askStock(["PFADD", `theirs${count}`, ...elements]);
      const ours = (own.show("GET", `ours${count}`) as string).slice(1);
      const [reply] = await askStock(["GET", `theirs${count}`]);
      const theirs = reply!.subarray(reply!.indexOf("\n") + 1, -2);
      own.ask(["SET", "theirs", theirs]);
      await askStock(["SET", "ours", Buffer.from(ours, "latin1")]);
      const [estimate] = await askStock(["PFCOUNT", "ours"]);
      expect(own.ask(["PFCOUNT", "theirs"])).toEqual(estimate!);
    }
  });
});
