/** DUMP and RESTORE against Debian's redis-server, both ways, and against recorded payloads. */

import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { besideRedis } from "../../support/beside-redis.ts";
import { exact, OwnServer, type Word } from "../../support/compare.ts";
import { createPrng } from "../../support/prng.ts";
import { sealed } from "../rdb/collect.ts";

const { askStock, compareSteps } = besideRedis();

const HELLO = sealed([0, 5, ...Buffer.from("hello")]);
const LIST = sealed([1, 2, 1, 0x61, 1, 0x62]);

async function askRedis(...words: Word[]): Promise<Buffer> {
  return (await askStock(words))[0]!;
}

/** The payload in a bulk reply. */
function payloadOf(reply: Buffer): Buffer {
  return reply.subarray(reply.indexOf("\r\n") + 2, -2);
}

/** Questions whose answers together are the value; members in the order of both servers sorted. */
const QUESTIONS: Readonly<Record<string, readonly string[]>> = {
  string: ["GET"],
  list: ["LRANGE", "0", "-1"],
  set: ["SMEMBERS"],
  zset: ["ZRANGE", "0", "-1", "WITHSCORES"],
  hash: ["HGETALL"],
};

function question(type: string): Word[] {
  const [name, ...rest] = QUESTIONS[type]!;
  return [name!, "k", ...rest];
}

/** Elements of a reply, in an order of their own where the type has none. */
function elements(reply: Buffer, type: string): string[] {
  const words = reply.toString("latin1").split("\r\n");
  const values = words.filter((word) => !/^[*$]-?\d+$/.test(word));
  const order = (a: string, b: string): number => (a < b ? -1 : 1);
  if (type === "set") return values.toSorted(order);
  if (type !== "hash") return values;
  const pairs: string[] = [];
  for (let i = 0; i < values.length; i += 2) pairs.push(`${values[i]} = ${values[i + 1]}`);
  return pairs.toSorted(order);
}

const prng = createPrng();
const seed = `SEED=${prng.seed}`;

/** Values of every type: `[type, command that makes it]`. */
function values(): [string, Word[]][] {
  const many = (count: number, make: (i: number) => Word[]): Word[] =>
    Array.from({ length: count }, (_, i) => make(i)).flat();
  return [
    ["string", ["SET", "k", ""]],
    ["string", ["SET", "k", "hello"]],
    ["string", ["SET", "k", "a".repeat(10_000)]],
    ["string", ["SET", "k", Buffer.alloc(20_000, "ab\0")]],
    ...["0", "-1", "127", "-129", "32768", "-2147483648", "2147483648", "-0", "007", "1e5"].map(
      (text): [string, Word[]] => ["string", ["SET", "k", text]],
    ),
    ["list", ["RPUSH", "k", "a", "b", "3", "", "x".repeat(70)]],
    ["list", ["RPUSH", "k", ...many(3000, (i) => [`item ${i}`])]],
    ["list", ["RPUSH", "k", "x".repeat(20_000), "1"]],
    ["set", ["SADD", "k", "1", "2", "-3", "9223372036854775807"]],
    ["set", ["SADD", "k", "a", "b", "3"]],
    ["set", ["SADD", "k", ...many(2000, (i) => [i * 1_000_003])]],
    ["hash", ["HSET", "k", "f", "v", "g", "2"]],
    ["hash", ["HSET", "k", ...many(1000, (i) => [`field${i}`, "v".repeat(i % 90)])]],
    [
      "zset",
      ["ZADD", "k", "1", "a", "-2.5", "b", "inf", "c", "0.1", "d", "-inf", "e", "1e300", "f"],
    ],
    ["zset", ["ZADD", "k", ...many(500, (i) => [prng.int(1000) / 7, `member${i}`])]],
  ];
}

for (const [i, [type, command]] of values().entries()) {
  test(`Value ${i} (${command.slice(0, 3).join(" ").slice(0, 40)}) goes to redis and comes back`, async () => {
    const own = new OwnServer();
    await askRedis("DEL", "k");
    own.ask(command);
    const ours = payloadOf(own.ask(["DUMP", "k"]));
    expect((await askRedis("RESTORE", "k", "0", ours)).toString(), seed).toBe("+OK\r\n");
    const asked = question(type);
    const expected = elements(await askRedis(...asked), type);
    expect(elements(own.ask(asked), type), seed).toEqual(expected);
    const theirs = payloadOf(await askRedis("DUMP", "k"));
    expect(own.ask(["RESTORE", "k", "0", theirs, "REPLACE"]).toString(), seed).toBe("+OK\r\n");
    expect(elements(own.ask(asked), type), seed).toEqual(expected);
  });
}

test("Payloads are written in the portable form, as recorded", () => {
  const rows = JSON.parse(
    readFileSync(
      new URL("../../golden/server/dumps/dumps-portable-v6.json", import.meta.url),
      "utf8",
    ),
  ) as { name: string; hex: string; logical: { type: string; value: string } }[];
  const own = new OwnServer();
  for (const { name, hex, logical } of rows) {
    // "as plain text" shows what others may send; ours uses the specials.
    if (logical.type !== "string" || /plain text|LZF/.test(name)) continue;
    const value = logical.value;
    if (value.includes("\\")) continue;
    own.ask(["SET", "k", value]);
    expect([name, payloadOf(own.ask(["DUMP", "k"])).toString("hex")]).toEqual([name, hex]);
  }
});

test("Every recorded payload restores, and its encoding is replaced by ours", () => {
  const own = new OwnServer();
  const folder = new URL("../../golden/server/dumps/", import.meta.url);
  for (const file of readdirSync(folder)) {
    const rows = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as {
      name: string;
      hex: string;
      logical: { type: string };
    }[];
    for (const { name, hex, logical } of rows) {
      const reply = own.ask(["RESTORE", "k", "0", Buffer.from(hex, "hex"), "REPLACE"]).toString();
      if (logical.type === "stream") expect(reply).toBe("-ERR Bad data format\r\n");
      else expect([file, name, reply]).toEqual([file, name, "+OK\r\n"]);
      if (logical.type !== "stream") expect(own.show("TYPE", "k")).toBe(`+${logical.type}`);
    }
  }
});

describe("RESTORE answers as redis-server", () => {
  const bad = Buffer.from(HELLO);
  bad[bad.length - 1]! ^= 1;
  const commands: Word[][] = [
    ["DUMP", "nothing"],
    ["RESTORE", "k", "0"],
    ["RESTORE", "k", "0", HELLO],
    ["RESTORE", "k", "0", HELLO],
    ["RESTORE", "k", "0", HELLO, "REPLACE"],
    ["RESTORE", "k", "-1", HELLO, "REPLACE"],
    ["RESTORE", "k", "abc", HELLO, "REPLACE"],
    ["RESTORE", "k", "0", bad, "REPLACE"],
    ["RESTORE", "k", "0", "", "REPLACE"],
    ["RESTORE", "k", "0", "garbage", "REPLACE"],
    ["RESTORE", "k", "0", sealed([42, 1, 2]), "REPLACE"],
    ["RESTORE", "k", "0", sealed([1, 0]), "REPLACE"],
    ["RESTORE", "k", "0", HELLO, "NONSENSE"],
    ["RESTORE", "k", "0", HELLO, "IDLETIME"],
    ["RESTORE", "k", "0", HELLO, "IDLETIME", "-1"],
    ["RESTORE", "k", "0", HELLO, "IDLETIME", "x"],
    ["RESTORE", "k", "0", HELLO, "FREQ", "256"],
    ["RESTORE", "k", "0", HELLO, "FREQ", "-1"],
    ["RESTORE", "k", "0", HELLO, "FREQ", "1", "IDLETIME", "1"],
    ["RESTORE", "k", "0", HELLO, "replace", "idletime", "5"],
    ["RESTORE", "k", "0", HELLO, "replace", "freq", "5"],
    ["GET", "k"],
    ["RESTORE", "k", "100000", LIST, "REPLACE"],
    ["LRANGE", "k", "0", "-1"],
    ["RESTORE", "k", "1000", LIST, "REPLACE", "ABSTTL"],
    ["LRANGE", "k", "0", "-1"],
    ["RESTORE", "gone", "1", LIST, "ABSTTL"],
    ["LRANGE", "gone", "0", "-1"],
    ["RESTORE", "k", "4102444800000", LIST, "ABSTTL"],
    ["PEXPIRETIME", "k"],
  ];
  for (const [i, words] of commands.entries()) {
    test(`${i}: ${words.map((word) => (word instanceof Buffer ? "payload" : word)).join(" ")}`, async () => {
      // All before it build its state.
      await compareSteps(commands.slice(0, i + 1).map((words) => exact(...words)));
    });
  }
});

describe("A malformed payload changes nothing", () => {
  test("neither the key nor the memory in use", () => {
    const own = new OwnServer();
    own.ask(["RPUSH", "k", "a"]);
    const { arena } = own.state.databases;
    const used = arena.usedBytes;
    const members = Array.from({ length: 1000 }, (_, i) => [2, 0x61 + (i >> 8), i & 255]).flat();
    const twice = sealed([2, 0x43, 0xe9, ...members, 2, 0x61, 0]);
    for (let i = 0; i < 20; i++) {
      expect(own.ask(["RESTORE", "k", "0", twice, "REPLACE"]).toString()).toBe(
        "-ERR Bad data format\r\n",
      );
      own.settle();
    }
    expect(own.show("LRANGE", "k", "0", "-1")).toEqual(["$a"]);
    expect(arena.usedBytes).toBe(used);
  });
});

test("RESTORE is logged with an absolute time, as DEL when the time is over", () => {
  const own = new OwnServer();
  own.ask(["RESTORE", "k", "5000", HELLO]);
  const atMs = own.clock.now() + 5000;
  expect(own.journal.at(-1)).toBe(`RESTORE k ${atMs} ${HELLO.toString("latin1")} ABSTTL REPLACE`);
  own.ask(["RESTORE", "k", "1", HELLO, "ABSTTL", "REPLACE"]);
  expect(own.journal.at(-1)).toBe("DEL k");
});

test("RESTORE IDLETIME and FREQ are those of the key, each under its policy", () => {
  const own = new OwnServer();
  const restore = (key: string, ...options: Word[]): void => {
    expect(own.show("RESTORE", key, "0", HELLO, "REPLACE", ...options)).toBe("+OK");
  };
  own.show("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
  restore("a", "IDLETIME", "1000");
  restore("b", "FREQ", "100");
  restore("c", "IDLETIME", "9007199254740993");
  expect(own.show("OBJECT", "IDLETIME", "a")).toBe(":1000");
  expect(own.show("OBJECT", "IDLETIME", "b")).toBe(":0");
  // Half a year is the longest that is told.
  expect(Number((own.show("OBJECT", "IDLETIME", "c") as string).slice(1))).toBeGreaterThan(16e6);
  own.show("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu");
  restore("a", "FREQ", "100");
  restore("d", "IDLETIME", "1000");
  expect(own.show("OBJECT", "FREQ", "a")).toBe(":100");
  expect(own.show("OBJECT", "FREQ", "d")).toBe(":5");
});
