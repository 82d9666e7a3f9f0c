/**
 * Collections on both sides of the borders between their forms, beside redis-server 7.0: the same
 * replies, and the same OBJECT ENCODING after each command. Redis 7.0 has no packed sets of
 * strings, 7.2 has: where sets are compared, ours is told to have none, once; and once only the
 * replies are compared.
 */

import { describe, expect, test } from "bun:test";
import { besideRedis } from "../../support/beside-redis.ts";
import {
  exact,
  type Order,
  OwnServer,
  type Step,
  unordered,
  type Word,
} from "../../support/compare.ts";
import { createPrng, type Prng } from "../../support/prng.ts";

const { compare, compareSteps, askStock } = besideRedis();

/** Small enough that a short run crosses each of them, often. */
const BORDERS: readonly (readonly [string, number])[] = [
  ["hash-max-listpack-entries", 6],
  ["hash-max-listpack-value", 12],
  ["set-max-intset-entries", 6],
  ["zset-max-listpack-entries", 6],
  ["zset-max-listpack-value", 12],
  ["list-max-listpack-size", 3],
];

const STEPS = 3000;

function ownWithPackedSets(entries: number): OwnServer {
  const own = new OwnServer();
  own.ask(["CONFIG", "SET", "set-max-listpack-entries", entries]);
  return own;
}

/** How its reply is compared, and its words; the second one is a key. */
type Command = readonly [order: Order, ...words: Word[]];

/** A run of commands on a few keys of one type, each followed by a question for the encoding. */
class Run {
  readonly steps: Step[] = BORDERS.map(([name, value]) => exact("CONFIG", "SET", name, value));
  readonly random: Prng;
  readonly #asksEncoding: boolean;

  constructor(random: Prng, asksEncoding: boolean) {
    this.random = random;
    this.#asksEncoding = asksEncoding;
  }

  add([order, ...words]: Command): void {
    this.steps.push({ words, order });
    if (this.#asksEncoding) this.steps.push(exact("OBJECT", "ENCODING", words[1]!));
  }

  key(): string {
    return `k${this.random.int(4)}`;
  }

  /** Short and long, of few kinds, so that they are met again. */
  name(): string {
    const i = this.random.int(12);
    return this.random.oneIn(60) ? `a long one, number ${i}` : `n${i}`;
  }

  integer(): string {
    const small = this.random.int(20) - 10;
    if (this.random.oneIn(20)) return String(BigInt(small) * 10n ** BigInt(this.random.int(18)));
    return String(small);
  }

  /** Now and then a key goes, so that small forms come again. */
  sometimesRemove(): void {
    if (this.random.oneIn(12)) this.add(["exact", "DEL", this.key()]);
    if (this.random.oneIn(30)) this.add(["exact", "COPY", this.key(), this.key(), "REPLACE"]);
    if (this.random.oneIn(60)) {
      const [name] = this.random.pick(BORDERS.slice(0, 5));
      this.steps.push(exact("CONFIG", "SET", name, 4 + this.random.int(6)));
    }
  }
}

function hashCommand(run: Run): Command {
  const { random } = run;
  const key = run.key();
  switch (random.int(10)) {
    case 0:
      return ["exact", "HDEL", key, run.name(), run.name()];
    case 1:
      return ["exact", "HSETNX", key, run.name(), run.name()];
    case 2:
      return ["exact", "HINCRBY", key, `c${random.int(4)}`, random.int(1000)];
    case 3:
      return ["exact", "HINCRBYFLOAT", key, `c${random.int(4)}`, "0.5"];
    case 4:
      return ["exact", "HMGET", key, run.name(), run.name()];
    case 5:
      return ["pairs", "HGETALL", key];
    case 6:
      return ["set", random.pick(["HKEYS", "HVALS"]), key];
    case 7:
      return ["exact", "HLEN", key];
    default:
      return ["exact", "HSET", key, run.name(), run.name(), run.name(), run.integer()];
  }
}

function setCommand(run: Run): Command {
  const { random } = run;
  const key = run.key();
  const member = (): string => (random.oneIn(25) ? run.name() : run.integer());
  const algebra = random.pick(["SINTER", "SUNION", "SDIFF"]);
  switch (random.int(12)) {
    case 0:
      return ["exact", "SREM", key, member(), member()];
    case 1:
      return ["exact", "SMOVE", key, run.key(), member()];
    case 2:
      return ["exact", `${algebra}STORE`, key, run.key(), run.key()];
    case 3:
      return ["set", algebra, key, run.key()];
    case 4:
      return ["exact", "SMISMEMBER", key, member(), member(), member()];
    case 5:
      return ["set", "SMEMBERS", key];
    case 6:
      return ["exact", "SINTERCARD", 2, key, run.key()];
    case 7:
      return ["exact", "SCARD", key];
    default:
      return ["exact", "SADD", key, member(), member()];
  }
}

function zsetCommand(run: Run): Command {
  const { random } = run;
  const key = run.key();
  const score = (): Word => (random.oneIn(15) ? random.int(100) / 8 : random.int(8));
  const algebra = random.pick(["ZINTERSTORE", "ZUNIONSTORE", "ZDIFFSTORE"]);
  switch (random.int(16)) {
    case 0:
      return ["exact", "ZREM", key, run.name(), run.name()];
    case 1:
      return ["exact", "ZINCRBY", key, score(), run.name()];
    case 2:
      return ["exact", algebra, key, 2, run.key(), run.key()];
    case 3:
      return ["exact", "ZRANGESTORE", key, run.key(), random.int(4), -1 - random.int(3)];
    case 4:
      return ["exact", "ZRANGE", key, 0, -1, "WITHSCORES"];
    case 5:
      return ["exact", "ZREVRANGE", key, random.int(3), 5, "WITHSCORES"];
    case 6:
      return ["exact", "ZRANGEBYSCORE", key, score(), `(${score()}`, "WITHSCORES"];
    case 7:
      return ["exact", random.pick(["ZRANK", "ZREVRANK", "ZSCORE"]), key, run.name()];
    case 8:
      return ["exact", random.pick(["ZPOPMIN", "ZPOPMAX"]), key, random.int(3)];
    case 9:
      return ["exact", "ZREMRANGEBYRANK", key, random.int(4), random.int(6)];
    case 10:
      return ["exact", "ZCOUNT", key, score(), score()];
    case 11:
      return ["exact", "ZADD", key, random.pick(["NX", "XX", "GT"]), score(), run.name()];
    default:
      return ["exact", "ZADD", key, score(), run.name(), score(), run.name()];
  }
}

function listCommand(run: Run): Command {
  const { random } = run;
  const key = run.key();
  switch (random.int(12)) {
    case 0:
      return ["exact", random.pick(["LPOP", "RPOP"]), key, random.int(4)];
    case 1:
      return ["exact", "LINSERT", key, random.pick(["BEFORE", "AFTER"]), run.name(), "x"];
    case 2:
      return ["exact", "LREM", key, random.int(5) - 2, run.name()];
    case 3:
      return ["exact", "LSET", key, random.int(9) - 4, run.name()];
    case 4:
      return ["exact", "LTRIM", key, random.int(3), -1 - random.int(3)];
    case 5:
      return ["exact", "LMOVE", key, run.key(), "LEFT", random.pick(["LEFT", "RIGHT"])];
    case 6:
      return ["exact", "LINDEX", key, random.int(20) - 10];
    case 7:
      return ["exact", "LRANGE", key, 0, -1];
    default:
      return ["exact", random.pick(["LPUSH", "RPUSH"]), key, run.name(), run.integer()];
  }
}

const KINDS = [
  ["hashes", hashCommand],
  ["sets", setCommand],
  ["sorted sets", zsetCommand],
  ["lists", listCommand],
] as const;

describe("Random commands around the borders of compact forms", () => {
  for (const [kind, commandOf] of KINDS) {
    test(`on ${kind} are answered as by redis-server, with the same encodings`, async () => {
      const random = createPrng();
      const run = new Run(random, true);
      while (run.steps.length < STEPS) {
        run.add(commandOf(run));
        run.sometimesRemove();
      }
      await compareSteps(run.steps, `seed ${random.seed}`, ownWithPackedSets(0));
    });
  }

  test("on packed sets of strings are answered as by redis-server", async () => {
    const random = createPrng();
    const run = new Run(random, false);
    while (run.steps.length < STEPS) {
      run.add(setCommand(run));
      run.sometimesRemove();
    }
    await compareSteps(run.steps, `seed ${random.seed}`, ownWithPackedSets(8));
  });
});

/** The limits as they come, on both. */
const DEFAULTS = [
  ["hash-max-listpack-entries", 512],
  ["hash-max-listpack-value", 64],
  ["set-max-intset-entries", 512],
  ["zset-max-listpack-entries", 128],
  ["zset-max-listpack-value", 64],
  ["list-max-listpack-size", -2],
].map(([name, value]) => exact("CONFIG", "SET", name!, value!));

/** Adds `count` elements of a type, numbered, to `key`; `longest` in the last one's place. */
function filled(type: string, key: string, count: number, longest = ""): Step {
  const names = Array.from({ length: count }, (_, i) =>
    i > 0 || longest === "" ? `${i}` : longest,
  );
  if (type === "hash") return exact("HSET", key, ...names.flatMap((name) => [name, "v"]));
  if (type === "zset") return exact("ZADD", key, ...names.flatMap((name, i) => [i, name]));
  return exact("SADD", key, ...names);
}

test("The limits that hold unless changed are redis-server's", async () => {
  const own = new OwnServer();
  const steps: Step[] = [];
  for (const [type, entries] of [
    ["hash", 512],
    ["zset", 128],
    ["set", 512],
  ] as const) {
    for (const count of [1, entries, entries + 1]) {
      steps.push(
        filled(type, `${type}${count}`, count),
        exact("OBJECT", "ENCODING", `${type}${count}`),
      );
    }
    if (type === "set") continue;
    for (const length of [64, 65]) {
      const key = `${type} with ${length} bytes`;
      steps.push(filled(type, key, 3, "x".repeat(length)), exact("OBJECT", "ENCODING", key));
    }
  }
  steps.push(exact("HSET", "value", "f", "v".repeat(64)), exact("OBJECT", "ENCODING", "value"));
  steps.push(exact("HSET", "value", "f", "v".repeat(65)), exact("OBJECT", "ENCODING", "value"));
  await compareSteps([...DEFAULTS, ...steps], "", own);
});

test("A set of few short strings is a listpack, as in Redis 7.2", async () => {
  const own = new OwnServer();
  own.ask(["SADD", "s", "a", "1"]);
  expect(own.show("OBJECT", "ENCODING", "s")).toBe("$listpack");
  const [, stock] = await askStock(["SADD", "a set", "a", "1"], ["OBJECT", "ENCODING", "a set"]);
  expect(stock!.toString()).toBe("$9\r\nhashtable\r\n");
});

test("A payload is restored in the form that its elements allow", async () => {
  const own = ownWithPackedSets(0);
  const sizes = [1, 128, 129, 512, 513];
  for (const type of ["hash", "zset", "set"]) {
    for (const count of sizes) {
      const key = `${type}${count}`;
      const fill = filled(type, key, count).words;
      const payloads = [own.ask(["DEL", key]), await askStock(["FLUSHALL"], fill, ["DUMP", key])];
      const stockPayload = bulkOf((payloads[1] as Buffer[])[2]!);
      own.ask(fill);
      const ownPayload = bulkOf(own.ask(["DUMP", key]));
      for (const payload of [stockPayload, ownPayload]) {
        await compareSteps(
          [...DEFAULTS, exact("RESTORE", "r", 0, payload), exact("OBJECT", "ENCODING", "r")],
          `${count} of ${type}`,
          ownWithPackedSets(0),
        );
      }
    }
  }
});

/** The bytes of a bulk reply. */
function bulkOf(reply: Buffer): Buffer {
  const start = reply.indexOf("\r\n") + 2;
  return Buffer.from(reply.subarray(start, reply.length - 2));
}

test("A scan of a small collection is one step, whatever its cursor and COUNT", () =>
  compare(`
    HSET h c 1 a 2 b 3
    HSCAN h 0
    HSCAN h 17 COUNT 1
    HSCAN h 0 MATCH a
    ZADD z 3 c 1 a 2 b
    ZSCAN z 0 COUNT 1
    SADD i 3 1 2
    SSCAN i 0 COUNT 1
    SSCAN i 99
  `));

test("Places and sorted results are stored in the forms of their size", () =>
  compare(`
    GEOADD g 13.36 38.11 a 15.08 37.50 b
    OBJECT ENCODING g
    GEOSEARCHSTORE near g FROMLONLAT 15 37 BYRADIUS 200 km
    OBJECT ENCODING near
    SADD s 3 1 2
    SORT s STORE l
    OBJECT ENCODING l
    SORT s DESC
    SORT s GET #
    SORT s BY nosort DESC LIMIT 0 2
  `));

test("CONFIG knows the limits by their old names, too", async () => {
  await compare(`
    CONFIG SET hash-max-ziplist-entries 7 zset-max-ziplist-value 9
    CONFIG GET hash-max-listpack-entries
    CONFIG GET hash-max-ziplist-entries
    CONFIG GET zset-max-listpack-value
    CONFIG SET hash-max-listpack-value 1kb
    CONFIG GET hash-max-ziplist-value
    CONFIG SET list-max-ziplist-size -3 list-max-listpack-size 4
    CONFIG GET list-max-ziplist-size
    CONFIG SET set-max-intset-entries few
    CONFIG SET zset-max-listpack-entries 1kb
    CONFIG SET hash-max-ziplist-value -1
    CONFIG SET hash-max-listpack-value 64 hash-max-listpack-value 64
    %CONFIG GET zset-max-*list*
  `);
});

describe("MEMORY USAGE of collections", () => {
  test("adds up to what the arena handed out for them", () => {
    const own = new OwnServer();
    const random = createPrng();
    const { arena } = own.state.databases;
    const keys: string[] = [];
    const sizes = [1, 10, 100, 700];
    // All keys exist before: what their table takes is not a value's.
    for (const kind of ["hash", "set", "zset", "list", "strings"]) {
      for (const size of sizes) keys.push(`${kind} ${size}`);
    }
    for (const key of keys) own.ask(["SET", key, ""]);
    const before = arena.usedBytes;
    const usage = (): number => keys.reduce((sum, key) => sum + memoryUsage(own, key), 0);
    const usageBefore = usage();
    for (const key of keys) {
      own.ask(["DEL", key]);
      const [kind, size] = [key.split(" ")[0]!, Number(key.split(" ")[1])];
      for (let i = 0; i < size; i++) {
        const name = `${i}:${random.int(1000)}`;
        if (kind === "hash") own.ask(["HSET", key, name, "x".repeat(random.int(60))]);
        else if (kind === "set") own.ask(["SADD", key, random.int(1e9)]);
        else if (kind === "zset") own.ask(["ZADD", key, random.int(1000) / 4, name]);
        else if (kind === "list") own.ask(["RPUSH", key, name]);
        else own.ask(["SADD", key, name]);
      }
    }
    expect(usage() - usageBefore, `seed ${random.seed}`).toBe(arena.usedBytes - before);
  });
});

function memoryUsage(own: OwnServer, key: string): number {
  return Number((own.show("MEMORY", "USAGE", key, "SAMPLES", 0) as string).slice(1));
}

test("Members of a set are shown unharmed where a command looks at two sets at once", async () => {
  const members = [1, -5, 70_000, "9007199254740993", "-9223372036854775808"];
  await compareSteps([
    ...DEFAULTS,
    exact("SADD", "a", ...members),
    exact("SADD", "b", ...members.slice(2), 8),
    unordered("SINTER", "a", "b"),
    unordered("SDIFF", "a", "b"),
    unordered("SUNION", "a", "b"),
    exact("ZADD", "z", 1, "70000", 2, "x"),
    exact("ZUNION", 2, "z", "a", "WITHSCORES"),
    exact("ZINTERSTORE", "both", 2, "b", "z"),
    exact("ZRANGE", "both", 0, -1, "WITHSCORES"),
    exact("SORT", "a", "ALPHA"),
  ]);
});
