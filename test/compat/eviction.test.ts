/**
 * What a cache is for: how often a key that is asked for is there. Ours and redis-server get the
 * same maxmemory and the same accesses, some keys far more often than others (Zipf), and set what
 * they do not have.
 */

import { afterEach, expect, test } from "bun:test";
import { startOwnServer } from "../support/own-server.ts";
import { createPrng, type Prng } from "../support/prng.ts";
import { RespClient } from "../support/resp-client.ts";
import { TcpRedis } from "../support/tcp-redis.ts";

const MAXMEMORY = 6_000_000;
const KEY_SPACE = 40_000;
const VALUE = "v".repeat(1000);
/** Part of the accesses that may hit less often than with redis-server. */
const LOSS_MAX = 0.02;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Gives key i with a chance proportional to 1 / (i + 1). */
class Zipf {
  readonly #upTo = new Float64Array(KEY_SPACE);
  readonly #prng: Prng;

  constructor(prng: Prng) {
    this.#prng = prng;
    let sum = 0;
    for (let i = 0; i < KEY_SPACE; i++) {
      sum += 1 / (i + 1);
      this.#upTo[i] = sum;
    }
  }

  next(): number {
    const wanted = (this.#prng.int(2 ** 31) / 2 ** 31) * this.#upTo.at(-1)!;
    let low = 0;
    let high = KEY_SPACE - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#upTo[middle]! > wanted) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

interface Cache {
  readonly client: RespClient;
  hits: number;
}

async function access(cache: Cache, ids: readonly number[]): Promise<void> {
  const found = await cache.client.pipeline(ids.map((id) => ["GET", `key:${id}`]));
  const missing = ids.filter((_, i) => found[i] === null);
  cache.hits += ids.length - missing.length;
  if (missing.length > 0) {
    const replies = await cache.client.pipeline(missing.map((id) => ["SET", `key:${id}`, VALUE]));
    expect(new Set(replies)).toEqual(new Set(["OK"]));
  }
}

/** What the server's clock for LRU says. */
async function lruClock(client: RespClient): Promise<string> {
  return /lru_clock:\d+/.exec(String(await client.call("INFO", "server")))![0];
}

async function startBoth(policy: string) {
  const redis = await TcpRedis.start(
    "--maxmemory",
    String(MAXMEMORY),
    "--maxmemory-policy",
    policy,
  );
  closers.push(() => redis.stop());
  const own = await startOwnServer({
    maxmemory: MAXMEMORY,
    "maxmemory-policy": policy as "allkeys-lru",
  });
  closers.push(() => own.close());
  const ours: Cache = { client: await RespClient.connect(own.port), hits: 0 };
  const theirs: Cache = { client: await RespClient.connect(redis.port), hits: 0 };
  closers.push(() => ours.client.close());
  closers.push(() => theirs.client.close());
  return { own, ours, theirs };
}

for (const { policy, rounds, perSecond } of [
  { policy: "allkeys-lfu", rounds: 400, perSecond: Number.POSITIVE_INFINITY },
  { policy: "allkeys-random", rounds: 300, perSecond: Number.POSITIVE_INFINITY },
  // redis-server tells uses apart by the second: so many rounds are made in each.
  { policy: "allkeys-lru", rounds: 300, perSecond: 15 },
]) {
  test(`${policy}: keys are there as often as with redis-server`, async () => {
    const prng = createPrng();
    const zipf = new Zipf(prng);
    const { own, ours, theirs } = await startBoth(policy);
    let clock = await lruClock(theirs.client);
    for (let round = 0; round < rounds; round++) {
      const ids = Array.from({ length: 100 }, () => zipf.next());
      // The first half fills the caches.
      if (round === rounds / 2) {
        ours.hits = 0;
        theirs.hits = 0;
      }
      await Promise.all([access(ours, ids), access(theirs, ids)]);
      if ((round + 1) % perSecond !== 0) continue;
      const before = clock;
      while (clock === before) clock = await lruClock(theirs.client);
    }
    const asked = (rounds / 2) * 100;
    const [our, their] = [ours.hits / asked, theirs.hits / asked];
    const sizes = await Promise.all([ours, theirs].map(({ client }) => client.call("DBSIZE")));
    const summary = `${policy}: ours ${our} of ${sizes[0]} keys, redis ${their} of ${sizes[1]}`;
    console.info(`${summary}, seed ${prng.seed}`);
    expect(own.state.databases.evictedKeys).toBeGreaterThan(1000);
    expect(our, `SEED=${prng.seed}`).toBeGreaterThan(their - LOSS_MAX);
  }, 120_000);
}
