import { describe, expect, test } from "bun:test";
import { ENTRY_KEY_BYTES_MAX } from "../../../src/server/arena/entry.ts";
import {
  REPEATED_PICKS_BYTES_MAX,
  REPEATED_PICKS_MAX,
} from "../../../src/server/commands/picks.ts";
import { OwnServer, type Word } from "../../support/compare.ts";

const TOO_LONG = "-ERR keys, fields and members must be shorter than 64 MiB";

describe("Keys, fields and members of 64 MiB", () => {
  const own = new OwnServer();
  const long = Buffer.alloc(ENTRY_KEY_BYTES_MAX + 1, "x");
  const before = own.state.databases.arena.usedBytes;

  const growing: readonly (readonly Word[])[] = [
    ["SADD", "s", "a", long],
    ["SADD", long, "a"],
    ["HSET", "h", "a", "1", long, "2"],
    ["HSETNX", "h", long, "2"],
    ["HINCRBY", "h", long, "2"],
    ["HINCRBYFLOAT", "h", long, "2"],
    ["ZADD", "z", "1", "a", "2", long],
    ["ZINCRBY", "z", "1", long],
    ["GEOADD", "z", "1", "1", long],
    ["RPUSH", long, "a"],
    ["PFADD", long, "a"],
    ["SET", long, "1"],
    ["SET", long, "1", "EX", "10"],
    ["SETEX", long, "10", "1"],
    ["SETNX", long, "1"],
    ["GETSET", long, "1"],
    ["APPEND", long, "1"],
    ["SETRANGE", long, "1", "1"],
    ["INCR", long],
    ["MSET", "a", "1", long, "2"],
    ["MSETNX", "a", "1", long, "2"],
  ];
  for (const words of growing) {
    test(`are refused by ${words[0]}, which changes nothing`, () => {
      expect(own.show(...words)).toBe(TOO_LONG);
      expect(own.state.databases.arena.usedBytes).toBe(before);
    });
  }

  test("are refused as targets", () => {
    own.ask(["RPUSH", "l", "1"]);
    own.ask(["SADD", "s", "1"]);
    own.ask(["ZADD", "z", "1", "1"]);
    for (const words of [
      ["LMOVE", "l", long, "LEFT", "RIGHT"],
      ["SMOVE", "s", long, "1"],
      ["SUNIONSTORE", long, "s"],
      ["SINTERSTORE", long, "s"],
      ["ZUNIONSTORE", long, "1", "z"],
      ["ZRANGESTORE", long, "z", "0", "-1"],
      ["SORT", "l", "STORE", long],
      ["RENAME", "l", long],
      ["RENAMENX", "l", long],
      ["COPY", "l", long],
    ]) {
      const used = own.state.databases.arena.usedBytes;
      expect(own.show(...words)).toBe(TOO_LONG);
      expect(own.state.databases.arena.usedBytes).toBe(used);
    }
    expect(own.show("LRANGE", "l", 0, -1)).toEqual(["$1"]);
    expect(own.show("SMEMBERS", "s")).toEqual(["$1"]);
  });

  test("may be elements of lists and values of hashes", () => {
    expect(own.show("RPUSH", "l", long)).toBe(":2");
    expect(own.show("HSET", "h", "f", long)).toBe(":1");
    expect(own.show("HSTRLEN", "h", "f")).toBe(`:${long.length}`);
    expect((own.show("LINDEX", "l", -1) as string).length).toBe(long.length + 1);
  });
});

describe("Repeated picks", () => {
  const own = new OwnServer();
  own.ask(["SADD", "s", "a"]);
  own.ask(["HSET", "h", "f", "x".repeat(100_000)]);
  own.ask(["ZADD", "z", "1", "x".repeat(100_000), "2", "y".repeat(100_000)]);
  own.ask(["SADD", "large", "x".repeat(100_000)]);

  test("are refused when there are more than the limit", () => {
    const refusal = `-ERR value is out of range, at most ${REPEATED_PICKS_MAX} repeated picks are made at once`;
    expect(own.show("SRANDMEMBER", "s", -REPEATED_PICKS_MAX - 1)).toBe(refusal);
    expect(own.show("HRANDFIELD", "h", -REPEATED_PICKS_MAX - 1, "WITHVALUES")).toBe(refusal);
    expect(own.ask(["SRANDMEMBER", "s", -REPEATED_PICKS_MAX]).length).toBe(
      `*${REPEATED_PICKS_MAX}\r\n`.length + 7 * REPEATED_PICKS_MAX,
    );
  });

  test.each([
    ["SRANDMEMBER", "large", []],
    ["ZRANDMEMBER", "z", []],
    ["HRANDFIELD", "h", ["WITHVALUES"]],
  ])("of %s are refused when they take more bytes than the limit", (command, key, words) => {
    const fitting = Math.floor(REPEATED_PICKS_BYTES_MAX / 100_020);
    const reply = own.ask([command, key, -fitting, ...words]);
    expect(reply.length).toBeGreaterThan(fitting * 100_000);
    expect(own.show(command, key, -fitting - 5, ...words)).toBe(
      `-ERR repeated picks must not take more than ${REPEATED_PICKS_BYTES_MAX} bytes together, ask for fewer`,
    );
  });
});

/** More than a function takes as arguments, which is what `f(...array)` makes of an array. */
const MANY = 800_000;
/** Millions of arguments, on a machine that is busy with others. */
const SLOW_MS = 60_000;

test(
  "BITOP takes as many keys, BITFIELD as many steps, as a request holds",
  () => {
    const own = new OwnServer();
    own.ask(["SET", "last", "ab"]);
    const keys = Array.from({ length: MANY }, () => "none");
    expect(own.ask(["BITOP", "OR", "to", ...keys, "last"]).toString()).toBe(":2\r\n");
    const steps = Array.from({ length: MANY }, () => ["SET", "u1", "7", "1"]).flat();
    const reply = own.ask(["BITFIELD", "b", ...steps]).toString();
    expect(reply).toStartWith(`*${MANY}\r\n:0\r\n:1\r\n`);
    expect(own.show("GET", "b")).toBe("$\x01");
  },
  SLOW_MS,
);

describe("A removed collection", () => {
  const makers: readonly (readonly [string, (i: number) => (string | number)[]])[] = [
    ["list", (i) => ["RPUSH", "k", "x".repeat(4000) + i]],
    ["hash", (i) => ["HSET", "k", `f${i}`, i]],
    ["set", (i) => ["SADD", "k", `m${i}`]],
    ["sorted set", (i) => ["ZADD", "k", i, `m${i}`]],
  ];
  test.each(makers)("of type %s is freed in parts, to the last byte", (_, words) => {
    const own = new OwnServer();
    const { databases } = own.state;
    const before = databases.arena.usedBytes;
    for (let i = 0; i < 5000; i++) own.ask(words(i));
    expect(own.show("DEL", "k")).toBe(":1");
    let parts = 0;
    for (; databases.hasToRelease; parts++) databases.releaseSome(500);
    expect(parts).toBeGreaterThan(3);
    expect(databases.arena.usedBytes).toBe(before);
  });
});
