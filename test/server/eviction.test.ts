/** Keys that give way on a running server: keys on their way, ticks, and what the journal keeps. */

import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorReply, type Reply } from "../../src/resp/reply.ts";
import type { AppendOnly } from "../../src/server/aof/aof.ts";
import { type OwnServerProcess, startOwnServer } from "../support/own-server.ts";
import { createPrng } from "../support/prng.ts";
import { RespClient } from "../support/resp-client.ts";
import { ScriptedTarget } from "../support/scripted-target.ts";
import { TcpRedis } from "../support/tcp-redis.ts";
import { anyCommand } from "./aof/world.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function connect(port: number): Promise<RespClient> {
  const client = await RespClient.connect(port);
  closers.push(() => client.close());
  return client;
}

async function start(
  changes: Parameters<typeof startOwnServer>[0],
): Promise<readonly [OwnServerProcess, RespClient]> {
  const server = await startOwnServer(changes);
  closers.push(() => server.close());
  return [server, await connect(server.port)];
}

function sets(count: number, prefix = "key:"): (string | number)[][] {
  return Array.from({ length: count }, (_, i) => ["SET", `${prefix}${i}`, "x".repeat(200)]);
}

function errorOf(reply: Reply): string {
  return reply instanceof ErrorReply ? reply.text : "";
}

/** A write is refused because memory is full. */
async function isRefused(client: RespClient): Promise<boolean> {
  const reply = await client.call("SET", "more", 1);
  if (reply === "OK") return false;
  expect(errorOf(reply)).toBe("OOM command not allowed when used memory > 'maxmemory'.");
  return true;
}

/** All keys with their values in the databases 0 to 2; equal data, equal text. */
async function dataOf(client: RespClient): Promise<string> {
  const lines: string[] = [];
  for (let db = 0; db < 3; db++) {
    await client.call("SELECT", db);
    const keys = (await client.call("KEYS", "*")) as Buffer[];
    for (const key of keys.toSorted(Buffer.compare)) {
      const [type, ttl] = await client.pipeline([
        ["TYPE", key],
        ["PEXPIRETIME", key],
      ]);
      const read = {
        string: ["GET", key],
        list: ["LRANGE", key, 0, -1],
        set: ["SORT", key, "ALPHA"],
        zset: ["ZRANGE", key, 0, -1, "WITHSCORES"],
        hash: ["SORT", key, "BY", "nosort"],
      }[String(type)]!;
      const value =
        String(type) === "hash" ? await fields(client, key) : await client.call(...read);
      lines.push(`${db} ${key.toString("latin1")} ${String(ttl)} ${String(value)}`);
    }
  }
  return lines.join("\n");
}

async function fields(client: RespClient, key: Buffer): Promise<string> {
  const all = (await client.call("HGETALL", key)) as Buffer[];
  const pairs = all.flatMap((field, i) => (i % 2 === 0 ? [`${field}=${all[i + 1]}`] : []));
  return pairs.toSorted((a, b) => (a < b ? -1 : 1)).join();
}

test("CONFIG SET maxmemory below what is used has keys go with no request following", async () => {
  const [{ state }, client] = await start({ "maxmemory-policy": "allkeys-lru" });
  await client.pipeline(sets(20_000));
  const limit = Math.floor(state.usedMemory / 2);
  expect(await client.call("CONFIG", "SET", "maxmemory", limit)).toBe("OK");
  expect(state.usedMemory).toBeGreaterThan(limit);
  while (state.usedMemory > limit) await new Promise((resolve) => setImmediate(resolve));
  expect(state.databases.evictedKeys).toBeGreaterThan(5000);
  expect(Number(await client.call("DBSIZE"))).toBe(20_000 - state.databases.evictedKeys);
});

describe("Keys on their way to another server", () => {
  test.each(["allkeys-random", "allkeys-lru", "volatile-ttl"])(
    "stay, and when there are no others, writes are refused: %s",
    async (policy) => {
      const target = new ScriptedTarget();
      closers.push(() => target.stop());
      const [{ state }, client] = await start({ "maxmemory-policy": policy });
      const mover = await connect(state.port);
      await client.pipeline([...sets(200, "{t}"), ...sets(200)]);
      const keys = (await client.call("KEYS", "*")) as Buffer[];
      await client.pipeline(keys.map((key) => ["EXPIRE", key, 1000]));
      const moved = mover.call("SLOTSMGRTTAGONE", "127.0.0.1", target.port, 60_000, "{t}1");
      expect(await target.nextText()).toBe("SELECT 0");
      await target.next();
      expect(await client.call("CONFIG", "SET", "maxmemory", 1)).toBe("OK");
      while (Number(await client.call("DBSIZE")) > 200);
      // It takes some requests until all of them are known to be locked.
      while (!(await isRefused(client)));
      for (let i = 0; i < 20; i++) expect(await isRefused(client)).toBe(true);
      await client.call("DEL", "more");
      expect(await client.call("DBSIZE")).toBe(200);
      expect(await client.call("EXISTS", "{t}0", "{t}1", "{t}199")).toBe(3);
      const others = state.databases.evictedKeys;
      // All of them have gone to the target, or none: those that stayed may go now.
      target.reply("+OK\r\n-ERR no\r\n");
      expect(errorOf(await moved)).toContain("migration failed");
      expect(await isRefused(client)).toBe(false);
      while (state.databases.evictedKeys < others + 200) await client.call("PING");
    },
    30_000,
  );
});

describe("The append-only file", () => {
  test.each(["allkeys-lru", "allkeys-lfu", "volatile-random"])(
    "has every key that went, before, during and after a rewrite, for us and for redis-server: %s",
    async (policy) => {
      const prng = createPrng();
      console.info(`seed ${prng.seed}`);
      const dir = mkdtempSync(join(tmpdir(), "codis-evict-"));
      closers.push(() => rmSync(dir, { recursive: true, force: true }));
      const own = await startOwnServer({
        dir,
        appendonly: true,
        maxmemory: 200_000,
        "maxmemory-policy": policy,
      });
      const client = await RespClient.connect(own.port);
      const write = async (count: number): Promise<void> => {
        const commands = Array.from({ length: count }, () => anyCommand(prng));
        const more = commands.flatMap((command, i) =>
          i % 2 === 0 ? [command] : [command, ["SET", `x${prng.int(2000)}`, "y", "EX", 1e6]],
        );
        await client.pipeline(more);
      };
      await write(2000);
      expect(String(await client.call("BGREWRITEAOF"))).toContain("started");
      await write(2000);
      await (own.state.journal as AppendOnly).settled();
      await write(1000);
      expect(own.state.databases.evictedKeys).toBeGreaterThan(300);
      await client.call("CONFIG", "SET", "maxmemory", 0);
      const expected = await dataOf(client);
      client.close();
      await own.close();

      const [again, reader] = await start({ dir, appendonly: true });
      expect(await dataOf(reader), `SEED=${prng.seed}`).toBe(expected);
      reader.close();
      await again.close();
      const options = `--dir ${dir} --appendonly yes --aof-use-rdb-preamble no`;
      const redis = await TcpRedis.start(...options.split(" "));
      closers.push(() => redis.stop());
      expect(await dataOf(await connect(redis.port)), `SEED=${prng.seed}`).toBe(expected);
    },
    60_000,
  );

  test("with more data than maxmemory is read in whole; then keys go", async () => {
    const dir = mkdtempSync(join(tmpdir(), "codis-evict-"));
    closers.push(() => rmSync(dir, { recursive: true, force: true }));
    const [first, writer] = await start({ dir, appendonly: true });
    await writer.pipeline(sets(5000));
    writer.close();
    await first.close();
    const limits = { maxmemory: 500_000, "maxmemory-policy": "allkeys-random" } as const;
    const [{ state }, client] = await start({ dir, appendonly: true, ...limits });
    while (state.usedMemory > 500_000) await new Promise((resolve) => setImmediate(resolve));
    const size = Number(await client.call("DBSIZE"));
    expect(state.databases.evictedKeys).toBe(5000 - size);
    expect(size).toBeGreaterThan(500);
  });
});
