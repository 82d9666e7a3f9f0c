import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { compareSteps, OwnServer, parseScript, StockRedis } from "../../support/compare.ts";
import { createPrng } from "../../support/prng.ts";

let stock: StockRedis;

beforeAll(async () => {
  stock = await StockRedis.start();
});
afterAll(async () => {
  await stock.stop();
});

describe("HyperLogLog commands answer as redis-server does", () => {
  test("small ones and what is wrong", async () => {
    await stock.askAll([["FLUSHALL"]]);
    const script = `
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
    `;
    await compareSteps(new OwnServer(), stock, parseScript(script));
  });

  test("thousands of elements, from sparse to dense", async () => {
    const prng = createPrng();
    await stock.askAll([["FLUSHALL"]]);
    const own = new OwnServer();
    const steps = Array.from({ length: 600 }, (_, round) => {
      const key = `h${round % 3}`;
      const elements = Array.from({ length: 1 + prng.int(40) }, () => prng.bytes(prng.int(24)));
      const words = prng.oneIn(3) ? ["PFCOUNT", key] : ["PFADD", key, ...elements];
      return { words, order: "exact" as const };
    });
    steps.push({ words: ["PFMERGE", "all", "h0", "h1", "h2"], order: "exact" });
    steps.push({ words: ["PFCOUNT", "all"], order: "exact" });
    await compareSteps(own, stock, steps, `(SEED=${prng.seed})`);
  });

  test("each reads what the other wrote", async () => {
    await stock.askAll([["FLUSHALL"]]);
    const own = new OwnServer();
    for (const count of [5, 300, 20_000]) {
      const elements = Array.from({ length: count }, (_, i) => `element:${i}`);
      own.ask(["PFADD", `ours${count}`, ...elements]);
      await stock.askAll([["PFADD", `theirs${count}`, ...elements]]);
      const ours = (own.show("GET", `ours${count}`) as string).slice(1);
      const [reply] = await stock.askAll([["GET", `theirs${count}`]]);
      const theirs = reply!.subarray(reply!.indexOf("\n") + 1, -2);
      own.ask(["SET", "theirs", theirs]);
      const [estimate] = await stock
        .askAll([
          ["SET", "ours", Buffer.from(ours, "latin1")],
          ["PFCOUNT", "ours"],
        ])
        .then((replies) => replies.slice(1));
      expect(own.ask(["PFCOUNT", "theirs"])).toEqual(estimate!);
    }
  });
});
