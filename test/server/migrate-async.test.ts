/** Asynchronous moves: keys in flight, failing links, cuts at any message. */

import { afterEach, describe, expect, spyOn, test } from "bun:test";
import { CuttingRelay } from "../support/cutting-relay.ts";
import { ask, movingServers, replyText } from "../support/moving-servers.ts";
import { createPrng } from "../support/prng.ts";
import type { RawConnection } from "../support/raw-connection.ts";

const servers = movingServers();
const { closers, startServer, connect, startTarget } = servers;
afterEach(() => servers.stopAll());

const ACK_OK = "*3\r\n$22\r\nSLOTSRESTORE-ASYNC-ACK\r\n$1\r\n0\r\n$2\r\nOK\r\n";
const MIGRATED = "*2\r\n:1\r\n-ERR the specified key is being migrated\r\n";

/** A server with some keys, and a move of `{t}a` of which the target has answered nothing. */
async function inFlight(timeoutMs = 60_000) {
  const target = startTarget();
  const source = await startServer();
  const mover = await connect(source);
  const other = await connect(source);
  await ask(other, "MSET", "{t}a", "1", "{t}b", "2", "free", "3");
  mover.send(["SLOTSMGRTTAGONE-ASYNC", "127.0.0.1", target.port, timeoutMs, 0, 0, "{t}a"]);
  for (const text of [
    "SLOTSRESTORE-ASYNC-SELECT 0",
    "SLOTSRESTORE-ASYNC delete {t}a",
    "SLOTSRESTORE-ASYNC string {t}a 0 1",
    "SLOTSRESTORE-ASYNC delete {t}b",
    "SLOTSRESTORE-ASYNC string {t}b 0 2",
  ]) {
    expect(await target.nextText()).toBe(text);
  }
  return { target, source, mover, other };
}

describe("A direct write to a key in flight is held back", () => {
  /** What ends the batch, the reply to its caller, and what the write then finds. */
  const ends: Record<string, (flight: Awaited<ReturnType<typeof inFlight>>) => unknown> = {
    "its end": ({ target }) => target.reply(ACK_OK.repeat(5)),
    "a cancel": async ({ source }) => {
      expect(await ask(await connect(source), "SLOTSMGRT-ASYNC-CANCEL")).toBe(":1\r\n");
    },
    "a failure": ({ target }) => target.drop(),
    "a timeout": ({ source }) => source.clock.advance(61_000),
    "a kill of the link": async ({ source, target }) => {
      const client = await connect(source);
      const address = `127.0.0.1:${target.port}`;
      expect(await ask(client, "CLIENT", "KILL", "ADDR", address)).toBe(":1\r\n");
    },
  };
  test.each([
    ["its end", ":2\r\n", ":1\r\n"],
    ["a cancel", "-ERR interrupted: canceled\r\n", ":2\r\n"],
    ["a failure", "-ERR interrupted: connection closed\r\n", ":2\r\n"],
    ["a timeout", "-ERR interrupted: migration timeout\r\n", ":2\r\n"],
    ["a kill of the link", "-ERR interrupted: connection closed\r\n", ":2\r\n"],
  ])("until %s", async (end, callerReply, written) => {
    const flight = await inFlight();
    const { mover, other, source } = flight;
    other.send(["APPEND", "{t}b", "x"]);
    other.send(["STRLEN", "{t}b"]);
    const reader = await connect(source);
    expect(await ask(reader, "MGET", "{t}a", "{t}b", "free")).toContain("$1\r\n1\r\n$1\r\n2\r\n");
    expect(await ask(reader, "INCR", "free")).toBe(":4\r\n");
    expect(other.hasReply).toBe(false);
    await ends[end]!(flight);
    expect(await replyText(mover)).toBe(callerReply);
    expect(await replyText(other)).toBe(written);
  });
});

test("Who waits at a fence gets the caller's reply, and what is sent next comes after it", async () => {
  const { target, source, mover } = await inFlight();
  const fence = await connect(source);
  fence.send(["SLOTSMGRT-ASYNC-FENCE"]);
  mover.send(["EXISTS", "{t}a"]);
  await ask(await connect(source), "PING");
  target.reply(ACK_OK.repeat(5));
  expect(await replyText(fence)).toBe(":2\r\n");
  expect(await replyText(mover)).toBe(":2\r\n");
  expect(await replyText(mover)).toBe(":0\r\n");
});

test("A synchronous move of a key in flight waits, and finds it gone", async () => {
  const { target, mover, other } = await inFlight();
  other.send(["SLOTSMGRTTAGONE", "127.0.0.1", target.port, 60_000, "{t}b"]);
  target.reply(ACK_OK.repeat(5));
  expect(await replyText(mover)).toBe(":2\r\n");
  expect(await replyText(other)).toBe(":0\r\n");
});

test("An asynchronous move of a key that a synchronous one is moving waits, and finds it gone", async () => {
  const target = startTarget();
  const source = await startServer();
  const [first, second] = [await connect(source), await connect(source)];
  await ask(first, "SET", "k", "v");
  first.send(["SLOTSMGRTONE", "127.0.0.1", target.port, 60_000, "k"]);
  for (let i = 0; i < 2; i++) await target.next();
  second.send(["SLOTSMGRTONE-ASYNC", "127.0.0.1", target.port, 60_000, 0, 0, "k"]);
  await ask(await connect(source), "PING");
  target.reply("+OK\r\n+OK\r\n");
  expect(await replyText(first)).toBe(":1\r\n");
  expect(await replyText(second)).toBe(":0\r\n");
});

describe("Whatever is no ACK of success ends the link at once, and is never executed", () => {
  const ack = (code: string, text = "x"): string =>
    `*3\r\n$22\r\nSLOTSRESTORE-ASYNC-ACK\r\n$${code.length}\r\n${code}\r\n$${text.length}\r\n${text}\r\n`;
  test.each([
    ["an error", "-NOAUTH Authentication required.\r\n", "NOAUTH Authentication required."],
    ["a status", "+OK\r\n", "what is no ACK"],
    ["a command", "*3\r\n$3\r\nSET\r\n$4\r\nfree\r\n$4\r\nevil\r\n", "what is no ACK"],
    ["a code that is no number", ack("x", "who knows"), "who knows"],
    ["a failure", ack("-1", "OOM full"), "OOM full"],
    ["what is no RESP", "hello\r\n", "what is no answer"],
    ["an answer without end", `$9999999\r\n${"x".repeat(70_000)}`, "an answer of too many bytes"],
    ["more than it was asked", ACK_OK.repeat(6), "more than it was asked"],
  ])("%s", async (_, bytes, shown) => {
    const { target, mover, other } = await inFlight();
    target.reply(bytes);
    expect(await replyText(mover)).toBe(`-ERR interrupted: target answered: ${shown}\r\n`);
    await target.disconnected();
    expect(await ask(other, "GET", "free")).toBe("$1\r\n3\r\n");
    expect(await ask(other, "EXISTS", "{t}a", "{t}b")).toBe(":2\r\n");
  });
});

test("A failure is one when its text, in a chunk of its own, looks like ACKs of success", async () => {
  const { target, mover, other } = await inFlight();
  const text = ACK_OK.repeat(4);
  const failure = `*3\r\n$22\r\nSLOTSRESTORE-ASYNC-ACK\r\n$2\r\n-1\r\n$${text.length}\r\n`;
  for (const chunk of [ACK_OK.slice(0, 9), ACK_OK.slice(9) + failure, `${text}\r\n`]) {
    target.reply(chunk);
    // So that each is received by itself.
    for (let i = 0; i < 3; i++) await ask(other, "PING");
  }
  expect(await replyText(mover)).toStartWith("-ERR interrupted: target answered: *3");
  expect(await ask(other, "EXISTS", "{t}a", "{t}b")).toBe(":2\r\n");
});

test("A source that cannot keep its changes fails the batch instead of losing the keys", async () => {
  const { target, source, mover, other } = await inFlight();
  source.state.journal = {
    refusal: "MISCONF Errors writing to the AOF file: disk full",
    bufferBytes: 0,
    append: () => {},
    appendWords: () => {},
    commit: () => true,
    tick: () => {},
    rewrite: () => "",
    close: async () => {},
    infoLines: () => [],
  };
  target.reply(ACK_OK.repeat(5));
  expect(await replyText(mover)).toBe(
    "-ERR interrupted: MISCONF Errors writing to the AOF file: disk full\r\n",
  );
  expect(await ask(other, "EXISTS", "{t}a", "{t}b")).toBe(":2\r\n");
});

test("Two servers that move keys to each other in one database both fail", async () => {
  const [a, b] = [await startServer(), await startServer()];
  const [toB, toA] = [await connect(a), await connect(b)];
  await ask(toB, "SET", "k", "1");
  await ask(toA, "SET", "m", "2");
  toB.send(["SLOTSMGRTONE-ASYNC", "127.0.0.1", b.port, 60_000, 0, 0, "k"]);
  toA.send(["SLOTSMGRTONE-ASYNC", "127.0.0.1", a.port, 60_000, 0, 0, "m"]);
  const replies = [await replyText(toB), await replyText(toA)];
  const busy = "-ERR interrupted: target answered: the specified DB is being migrated\r\n";
  expect(replies).toContain(busy);
  // No key is at neither.
  const here = [await ask(toB, "EXISTS", "k"), await ask(toA, "EXISTS", "m")];
  expect(here.filter((reply) => reply === ":1\r\n").length).toBeGreaterThanOrEqual(1);
});

describe("The wrapper looks at all keys of its command", () => {
  test("some here and some not are asked for again, until they have left", async () => {
    const source = await startServer();
    const client = await connect(source);
    const wrap = (...words: string[]) => ask(client, "SLOTSMGRT-EXEC-WRAPPER", ...words);
    await ask(client, "SADD", "{t}b", "m");
    expect(await wrap("{t}a", "SINTER", "{t}a", "{t}b")).toBe(MIGRATED);
    expect(await wrap("{t}b", "SUNIONSTORE", "{t}b", "{t}a")).toBe(MIGRATED);
    await ask(client, "SADD", "{t}a", "m");
    expect(await wrap("{t}a", "SINTER", "{t}a", "{t}b")).toBe("*2\r\n:2\r\n*1\r\n$1\r\nm\r\n");
    await ask(client, "DEL", "{t}a", "{t}b");
    expect(await wrap("{t}a", "SINTER", "{t}a", "{t}b")).toBe(
      "*2\r\n:0\r\n-ERR the specified key doesn't exist\r\n",
    );
  });

  test("a key that is gone while its batch is sent is on its way: the target may have half of it", async () => {
    const target = startTarget();
    const source = await startServer();
    const [mover, client] = [await connect(source), await connect(source)];
    await ask(client, "RPUSH", "l", ...Array.from({ length: 1200 }, (_, i) => i));
    await ask(client, "PEXPIRE", "l", 50_000);
    mover.send(["SLOTSMGRTONE-ASYNC", "127.0.0.1", target.port, 600_000, 2, 0, "l"]);
    // As many as may be without an ACK.
    for (let i = 0; i < 512; i++) await target.next();
    source.clock.advance(51_000);
    expect(await ask(client, "SLOTSMGRT-EXEC-WRAPPER", "l", "LLEN", "l")).toBe(MIGRATED);
    target.reply(ACK_OK);
    expect(await target.nextText()).toBe("SLOTSRESTORE-ASYNC delete l");
    expect(await ask(client, "SLOTSMGRT-EXEC-WRAPPER", "l", "LLEN", "l")).toBe(MIGRATED);
    target.reply(ACK_OK.repeat(512));
    await replyText(mover);
    expect(await ask(client, "SLOTSMGRT-EXEC-WRAPPER", "l", "LLEN", "l")).toContain(":0\r\n-ERR");
  });

  test("commands about the connection, blocking ones and wrappers are refused", async () => {
    const client = await connect(await startServer());
    await ask(client, "SET", "k", "v");
    for (const words of [["SELECT", "1"], ["CLIENT", "LIST"], ["FLUSHALL"], ["SLOTSDEL", "1"]]) {
      const reply = await ask(client, "SLOTSMGRT-EXEC-WRAPPER", "k", ...words);
      expect(reply).toStartWith("*2\r\n:-1\r\n-ERR command not allowed in SLOTSMGRT-EXEC-WRAPPER");
    }
    expect(await ask(client, "GET", "k")).toBe("$1\r\nv\r\n");
  });
});

const KEYS = ["s", "l", "h", "d", "z", "n", "big"];

async function fill(client: RawConnection): Promise<void> {
  const names = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, i) => `${prefix}${i}`);
  await ask(client, "SET", "s", "hello");
  await ask(client, "RPUSH", "l", ...names("e", 10));
  await ask(client, "HSET", "h", ...names("x", 40));
  await ask(client, "SADD", "d", ...names("m", 9));
  await ask(client, "ZADD", "z", ...names("m", 7).flatMap((name, i) => [i - 3.5, name]));
  await ask(client, "SET", "n", "12345", "PX", 500_000);
  await ask(client, "SETRANGE", "big", 700_000, "end");
}

/** What all keys hold, in a form that does not depend on the order of sets. */
async function contents(client: RawConnection): Promise<string[]> {
  const shown: string[] = [];
  for (const key of KEYS) {
    const type = (await ask(client, "TYPE", key)).trim();
    const read: Record<string, (string | number)[]> = {
      "+string": ["GET", key],
      "+list": ["LRANGE", key, 0, -1],
      "+hash": ["HGETALL", key],
      "+set": ["SORT", key, "ALPHA"],
      "+zset": ["ZRANGE", key, 0, -1, "WITHSCORES"],
    };
    const words = read[type];
    let text = words === undefined ? "" : await ask(client, ...words);
    if (type === "+hash") text = text.split("\r\n").toSorted().join();
    const lives = (await ask(client, "TTL", key)).startsWith(":-") ? "for ever" : "for a time";
    shown.push(`${key} ${type} ${lives} ${text}`);
  }
  return shown;
}

const seed = Math.floor(Math.random() * 2 ** 32);

test(`A link cut at any message loses nothing, and the next call moves all (seed ${seed})`, async () => {
  const random = createPrng(seed);
  // So that collections that are quickly made go in chunks.
  const large = {
    "hash-max-listpack-entries": 0,
    "set-max-listpack-entries": 0,
    "zset-max-listpack-entries": 0,
  };
  const [source, target] = [await startServer(large), await startServer(large)];
  const relay = new CuttingRelay(target.port);
  closers.push(() => relay.stop());
  const [from, to] = [await connect(source), await connect(target)];
  await fill(from);
  const before = await contents(from);
  const call = ["SLOTSMGRTONE-ASYNC", "127.0.0.1", relay.port, 20_000, 3, 0, ...KEYS];
  const nothing = await contents(to);
  let cuts = 0;
  for (let passed = 0; ; passed++) {
    relay.passed = 0;
    relay.cut = { passed, losesAnswer: random.oneIn(2) };
    const reply = await ask(from, ...call);
    if (reply === `:${KEYS.length}\r\n`) break;
    cuts++;
    expect(reply).toBe("-ERR interrupted: connection closed\r\n");
    expect(await contents(from)).toEqual(before);
    const there = await contents(to);
    // What is there is whole, or has begun and lives for a time only.
    for (const [i, shown] of there.entries()) {
      if (shown !== before[i] && shown !== nothing[i]) expect(shown).toContain(" for a time ");
    }
  }
  expect(cuts).toBeGreaterThan(30);
  expect(await contents(to)).toEqual(before);
  expect(await contents(from)).toEqual(nothing);
  // A half key of a batch that nobody repeats dies by itself.
  await ask(to, "FLUSHALL");
  await fill(from);
  relay.passed = 0;
  relay.cut = { passed: 12, losesAnswer: false };
  expect(await ask(from, ...call)).toStartWith("-ERR interrupted");
  target.clock.advance(60_001);
  for (const shown of await contents(to)) {
    expect([...before, ...nothing]).toContain(shown);
  }
}, 30_000);

describe("A value that left in chunks is removed", () => {
  /** A list in three chunks and a short one; `isReleased` says what a snapshot would. */
  async function movedLists(isReleased: (calls: number, advance: (ms: number) => void) => boolean) {
    const [source, target] = [await startServer(), await startServer()];
    const mover = await connect(source);
    await ask(mover, "RPUSH", "{t}long", ...Array.from({ length: 600 }, (_, i) => i));
    await ask(mover, "RPUSH", "{t}short", "x");
    const spy = spyOn(source.state.snapshot, "isReleased");
    let calls = 0;
    spy.mockImplementation(() => isReleased(++calls, (ms) => source.clock.advance(ms)));
    const limits = [60_000, 200, 0] as const;
    mover.send(["SLOTSMGRTTAGONE-ASYNC", "127.0.0.1", target.port, ...limits, "{t}long"]);
    expect(await replyText(mover)).toBe(":2\r\n");
    expect(await ask(mover, "EXISTS", "{t}long", "{t}short")).toBe(":0\r\n");
    expect(await ask(await connect(target), "LLEN", "{t}long")).toBe(":600\r\n");
    return calls;
  }

  test("when a snapshot under way has visited it", async () => {
    expect(await movedLists((calls) => calls === 5)).toBe(5);
  });

  test("or has not in ten seconds", async () => {
    const never = (calls: number, advance: (ms: number) => void): boolean => {
      if (calls <= 10) advance(999);
      if (calls === 11) advance(10);
      return false;
    };
    expect(await movedLists(never)).toBe(11);
  });
});
