/**
 * Stock redis-servers in place of ours, in a cluster set up as an operator would: dashboard and
 * proxy of the executable, groups and slots by `codis admin`.
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { Redis } from "ioredis";
import { ErrorReply, type Reply } from "../../src/resp/reply.ts";
import { SLOT_COUNT, slotOf } from "../../src/slots/hash.ts";
import { verifyDataset, writeDataset } from "../support/dataset.ts";
import { type Program, Programs } from "../support/programs.ts";
import { RespClient } from "../support/resp-client.ts";
import { runCodis } from "../support/up-cluster.ts";

const KEYS = 5000;

const programs = new Programs();
let stock: readonly Program[];
let dashboard: Program;
let proxy: Program;
let client: RespClient;

async function admin(...words: string[]): Promise<string> {
  const address = `127.0.0.1:${dashboard.adminPort}`;
  const { exitCode, stdout, stderr } = await runCodis("admin", ...words, "--dashboard", address);
  expect({ words, exitCode, stderr }).toMatchObject({ words, exitCode: 0 });
  return stdout;
}

beforeAll(async () => {
  stock = [await programs.redis(), await programs.redis()];
  dashboard = await programs.dashboard();
  proxy = await programs.proxy({ backends: [], config: `product_name = "test"\n` });
  for (const [i, { port }] of stock.entries()) {
    await admin("group", "create", String(i + 1));
    await admin("group", "add", String(i + 1), `127.0.0.1:${port}`);
  }
  await admin("slot", "assign", "0-511", "1");
  await admin("slot", "assign", "512-1023", "2");
  await admin("proxy", "create", `127.0.0.1:${proxy.adminPort}`);
  client = await RespClient.connect(proxy.port);
}, 60_000);

afterAll(async () => {
  client?.close();
  await programs.stop();
}, 60_000);

/** One request per line, words at blanks. */
function ask(...lines: readonly string[]): Promise<Reply[]> {
  return client.pipeline(lines.map((line) => line.split(" ")));
}

function shown(replies: readonly Reply[]): unknown[] {
  return replies.map(function show(reply): unknown {
    if (Buffer.isBuffer(reply)) return reply.toString();
    if (reply instanceof ErrorReply) return `-${reply.text}`;
    return Array.isArray(reply) ? reply.map(show) : reply;
  });
}

test("admin shows the groups and the proxy as an operator expects", async () => {
  const status = await admin("status");
  for (const { port } of stock) expect(status).toContain(`127.0.0.1:${port}`);
  expect(await admin("proxy", "list")).toContain(`127.0.0.1:${proxy.port}`);
});

test("values of all five types are written and read, on both servers", async () => {
  const redis = new Redis({ port: proxy.port });
  const dataClient = {
    batch: async (commands: readonly (readonly string[])[]): Promise<readonly unknown[]> => {
      const pipeline = redis.pipeline();
      for (const [name, ...args] of commands) pipeline.call(name!, ...args);
      return ((await pipeline.exec()) ?? []).map(([error, reply]) => {
        if (error !== null) throw error;
        return reply;
      });
    },
  };
  await writeDataset(dataClient, 0, KEYS);
  await verifyDataset(dataClient, 0, KEYS);
  redis.disconnect();
  for (const { port } of stock) {
    const direct = await RespClient.connect(port);
    expect(Number(await direct.call("DBSIZE"))).toBeGreaterThan(KEYS / 4);
    direct.close();
  }
});

test("split commands reach both servers and merge in order", async () => {
  const keys = Array.from({ length: 40 }, (_, i) => `split${i}`);
  const pairs = keys.map((key, i) => `${key} ${i}`).join(" ");
  const replies = await ask(
    `MSET ${pairs}`,
    `MGET ${keys.join(" ")} none split0`,
    `EXISTS ${keys.join(" ")} none split0`,
    `TOUCH ${keys.join(" ")}`,
    `DEL ${keys.slice(0, 20).join(" ")}`,
    `UNLINK ${keys.join(" ")}`,
    `MGET split0 split39`,
  );
  expect(shown(replies)).toEqual([
    "OK",
    [...keys.map((_, i) => String(i)), null, "0"],
    41,
    40,
    20,
    20,
    [null, null],
  ]);
});

test("commands on several keys work with a hash tag and are refused across slots", async () => {
  expect(
    shown(
      await ask(
        "SADD {t}a 1 2 3",
        "SADD {t}b 2 3 4",
        "SINTER {t}a {t}b",
        "SUNIONSTORE {t}c {t}a {t}b",
        "RENAME {t}c {t}d",
        "ZADD {t}z 1 m",
        "ZUNIONSTORE {t}y 2 {t}z {t}z",
        "SINTER a b",
        "RENAME a b",
      ),
    ),
  ).toEqual([
    3,
    3,
    ["2", "3"],
    4,
    "OK",
    1,
    1,
    "-CROSSSLOT Keys in request don't hash to the same slot",
    "-CROSSSLOT Keys in request don't hash to the same slot",
  ]);
});

test("keys expire, and say when", async () => {
  const [, ttl, , , persisted] = await ask(
    "SET e 1 EX 100",
    "TTL e",
    "SET f 1",
    "PEXPIRE f 30",
    "PERSIST e",
    "TTL e",
  );
  expect(ttl).toBe(100);
  expect(persisted).toBe(1);
  const [value, left] = await ask("GET f", "PTTL f");
  expect(Number(left)).toBeLessThanOrEqual(30);
  let last = value;
  while (last !== null) [last] = (await ask("GET f")) as [Reply];
  expect(shown(await ask("TTL f", "TTL e"))).toEqual([-2, -1]);
});

test("databases are kept apart, on every server", async () => {
  expect(
    shown(
      await ask(
        "SET db:a zero",
        "SET db:b zero",
        "SELECT 3",
        "MGET db:a db:b",
        "MSET db:a three db:b three",
        "SELECT 0",
        "MGET db:a db:b",
        "SELECT 16",
        "SELECT x",
      ),
    ),
  ).toEqual([
    "OK",
    "OK",
    "OK",
    [null, null],
    "OK",
    "OK",
    ["zero", "zero"],
    "-ERR invalid DB index, only accept DB [0,16)",
    "-ERR invalid DB index",
  ]);
});

test("errors of a server come as they are, and a dead server fails its slots alone", async () => {
  const [, wrongType] = shown(await ask("SET s x", "LPUSH s y"));
  expect(wrongType).toBe("-WRONGTYPE Operation against a key holding the wrong kind of value");
  await stock[1]!.stop();
  const replies = shown(await client.pipeline(keysOfEachServer().map((key) => ["GET", key])));
  expect(replies[0]).toBeNull();
  expect(String(replies[1])).toStartWith("-ERR handle response, backend conn");
});

/** A key of a slot of group 1, and one of group 2. */
function keysOfEachServer(): readonly string[] {
  const keys = Array.from({ length: 100 }, (_, i) => `any${i}`);
  const inUpperHalf = (key: string): boolean => slotOf(Buffer.from(key)) >= SLOT_COUNT / 2;
  return [keys.find((key) => !inUpperHalf(key))!, keys.find(inUpperHalf)!];
}
