/**
 * RDB files between processes: redis-server loads what we wrote, we load what redis-server wrote,
 * alone and as the base of an append-only file; and what a start does with what it finds.
 */

import { afterEach, expect, test } from "bun:test";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeRequest } from "../../../src/resp/encoder.ts";
import type { ServerConfig } from "../../../src/server/config.ts";
import type { Word } from "../../support/compare.ts";
import { type OwnServerProcess, startOwnServer } from "../../support/own-server.ts";
import { createPrng } from "../../support/prng.ts";
import { RespClient } from "../../support/resp-client.ts";
import { TcpRedis } from "../../support/tcp-redis.ts";
import { anyCommand } from "../aof/world.ts";
import { digest } from "./wire-digest.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

function temporaryDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "codis-rdb-"));
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function startOwn(
  dir: string,
  changes: Partial<ServerConfig> = {},
): Promise<{ own: OwnServerProcess; client: RespClient }> {
  const own = await startOwnServer({ dir, ...changes });
  cleanups.push(() => own.close().catch(() => undefined));
  const client = await RespClient.connect(own.port);
  cleanups.push(() => client.close());
  return { own, client };
}

async function startRedis(dir: string, ...options: string[]): Promise<RespClient> {
  const redis = await TcpRedis.start("--dir", dir, ...options);
  cleanups.push(() => redis.stop());
  const client = await RespClient.connect(redis.port);
  cleanups.push(() => client.close());
  return client;
}

/** Ends it as its user would; what it saves at the end is a matter of its options. */
async function shutDown(client: RespClient): Promise<void> {
  await client.call("SHUTDOWN").catch(() => undefined);
}

/** Values of all types and sizes around every encoding border, in two databases. */
function borderCommands(): Word[][] {
  const commands: Word[][] = [];
  const sizes = [0, 1, 11, 20, 21, 63, 64, 65, 253, 254, 255, 16_383, 16_384, 70_000];
  const numbers = ["0", "-1", "12", "13", "127", "-128", "128", "32767", "-32769", "2147483647"];
  const wide = ["2147483648", "-9223372036854775808", "9223372036854775807", "007", "1e3"];
  for (const size of sizes) {
    const noise = Buffer.from(Array.from({ length: size }, (_, i) => (i * 151 + (i >> 3)) & 255));
    commands.push(["SET", `noise${size}`, noise], ["SET", `same${size}`, Buffer.alloc(size, "a")]);
    commands.push(["RPUSH", `list${size}`, noise, "x", ...numbers, ...wide]);
    commands.push(["SADD", `set${size}`, noise, "x", ...numbers, ...wide]);
    commands.push(["HSET", `hash${size}`, noise, Buffer.alloc(size, "v"), "n", "12345"]);
    commands.push(["ZADD", `zset${size}`, "1.5", noise, "-inf", "a", "inf", "b", "3", "c"]);
  }
  for (const value of [...numbers, ...wide]) commands.push(["SET", `number ${value}`, value]);
  for (const count of [127, 128, 129, 511, 512, 513, 3000]) {
    const items = Array.from({ length: count }, (_, i) => i * 7 - 300);
    commands.push(["RPUSH", `l${count}`, ...items], ["SADD", `i${count}`, ...items]);
    commands.push(["SADD", `big${count}`, ...items.map((n) => n * 1e12)]);
    commands.push(["HSET", `h${count}`, ...items.flatMap((n) => [`f${n}`, n])]);
    commands.push(["ZADD", `z${count}`, ...items.flatMap((n) => [n / 3, `m${n}`])]);
  }
  commands.push(["SET", Buffer.of(0, 10, 13, 255, 128), Buffer.of(255, 0, 0xc3)]);
  commands.push(["SET", "soon", "v", "PXAT", 4_000_000_000_001], ["EXPIRE", "l127", 100_000]);
  commands.push(["PEXPIREAT", "z513", 4_000_000_000_123], ["SELECT", 2], ["SET", "two", "2"]);
  commands.push(["SADD", "only here", "a"], ["SELECT", 0]);
  return commands;
}

test("redis-server loads what we saved, by SAVE, BGSAVE and at the end, and has the same data", async () => {
  const dir = temporaryDir();
  const prng = createPrng();
  const { own, client } = await startOwn(dir, { save: "3600 1" });
  await client.pipeline(borderCommands());
  expect(await client.call("SAVE")).toBe("OK");
  const borders = await digest(client);
  expect(await digest(await startRedis(dir))).toBe(borders);
  await client.call("SELECT", 0);
  await client.pipeline(Array.from({ length: 2000 }, () => anyCommand(prng)));
  expect(String(await client.call("BGSAVE"))).toBe("Background saving started");
  await own.state.saves!.settled();
  const saved = await digest(client);
  expect(await digest(await startRedis(dir)), `SEED=${prng.seed}`).toBe(saved);
  await client.call("SET", "last", "1");
  const last = await digest(client);
  await shutDown(client);
  expect(await own.done).toBe(0);
  expect(await digest(await startRedis(dir))).toBe(last);
  const again = await startOwn(dir);
  expect(await digest(again.client)).toBe(last);
}, 60_000);

for (const options of [
  [],
  ["--rdbcompression", "no", "--rdbchecksum", "no"],
  ["--list-max-ziplist-size", "4", "--hash-max-ziplist-entries", "1"],
]) {
  test(`We load what redis-server ${options.join(" ")} saved, and it loads ours again`, async () => {
    const dir = temporaryDir();
    const prng = createPrng();
    const redis = await startRedis(dir, ...options);
    await redis.pipeline(borderCommands());
    await redis.pipeline(Array.from({ length: 2000 }, () => anyCommand(prng)));
    await redis.call("SELECT", 0);
    await redis.call("SET", "short", "v", "PX", "1");
    await redis.call(
      "FUNCTION",
      "LOAD",
      "#!lua name=f\nredis.register_function('g', function() end)",
    );
    await redis.call("SAVE");
    await redis.call("GET", "short");
    const expected = await digest(redis);
    const { own, client } = await startOwn(dir);
    expect(await digest(client), `SEED=${prng.seed}`).toBe(expected);
    expect(own.log.lines.join("\n")).toContain("functions, which are left out");
    await client.call("SAVE");
    expect(await digest(await startRedis(dir))).toBe(expected);
  }, 60_000);
}

test("DUMP and RESTORE travel both ways, for every border", async () => {
  const { client } = await startOwn(temporaryDir());
  const redis = await startRedis(temporaryDir());
  for (const [from, to] of [
    [client, redis],
    [redis, client],
  ] as const) {
    await from.call("FLUSHALL");
    await to.call("FLUSHALL");
    await from.pipeline(borderCommands());
    const keys = (await from.call("KEYS", "*")) as Buffer[];
    expect(keys.length).toBeGreaterThan(100);
    for (const key of keys) {
      const payload = (await from.call("DUMP", key)) as Buffer;
      expect(String(await to.call("RESTORE", key, 0, payload))).toBe("OK");
    }
    await from.pipeline(keys.map((key) => ["PERSIST", key]));
    await from.pipeline([["SELECT", 2], ["FLUSHDB"], ["SELECT", 0]]);
    expect(await digest(to)).toBe(await digest(from));
    await from.call("SELECT", 0);
    await to.call("SELECT", 0);
  }
}, 60_000);

test("An append-only file whose base is RDB is loaded, and redis-server loads what we make of it", async () => {
  const dir = temporaryDir();
  const prng = createPrng();
  const redis = await startRedis(dir, "--appendonly", "yes");
  await redis.pipeline(borderCommands());
  await redis.call("BGREWRITEAOF");
  await redis.pipeline(Array.from({ length: 2000 }, () => anyCommand(prng)));
  const expected = await digest(redis);
  await shutDown(redis);
  const { own, client } = await startOwn(dir, { appendonly: true });
  expect(await digest(client), `SEED=${prng.seed}`).toBe(expected);
  expect(String(await client.call("INFO", "persistence"))).toMatch(/rdb_last_load_keys_loaded:\d/);
  await client.call("SELECT", 0);
  await client.call("SET", "more", "1");
  const later = await digest(client);
  await own.close();
  expect(await digest(await startRedis(dir, "--appendonly", "yes"))).toBe(later);
}, 60_000);

test("The single file of before Redis 7, RDB with commands behind it, is taken over", async () => {
  const dir = temporaryDir();
  const redis = await startRedis(dir);
  await redis.pipeline(borderCommands());
  await redis.call("SAVE");
  await redis.call("SET", "behind", "1");
  const expected = await digest(redis);
  const path = join(dir, "appendonly.aof");
  renameSync(join(dir, "dump.rdb"), path);
  appendFileSync(path, encodeRequest(["SELECT", "0"]));
  appendFileSync(path, encodeRequest(["SET", "behind", "1"]));
  // A torn end is cut behind an RDB part as behind commands.
  const whole = readFileSync(path).length;
  appendFileSync(path, "*3\r\n$3\r\nSET\r\n");
  const { own, client } = await startOwn(dir, { appendonly: true });
  expect(await digest(client)).toBe(expected);
  const base = join(dir, "appendonlydir", "appendonly.aof");
  expect([existsSync(path), readFileSync(base).length]).toEqual([false, whole]);
  await client.call("SELECT", 0);
  await client.call("SET", "more", "1");
  const later = await digest(client);
  await own.close();
  expect(await digest(await startRedis(dir, "--appendonly", "yes"))).toBe(later);
}, 60_000);

test("Turning the append-only file on keeps what the snapshot has", async () => {
  const dir = temporaryDir();
  const first = await startOwn(dir, { save: "3600 1" });
  await first.client.pipeline(borderCommands());
  const expected = await digest(first.client);
  await first.own.close();
  const second = await startOwn(dir, { appendonly: true });
  expect(await digest(second.client)).toBe(expected);
  await second.client.call("SELECT", 0);
  await second.client.call("SET", "more", "1");
  const later = await digest(second.client);
  await second.own.close();
  rmSync(join(dir, "dump.rdb"));
  const third = await startOwn(dir, { appendonly: true });
  expect(await digest(third.client)).toBe(later);
  await third.own.close();
  expect(await digest(await startRedis(dir, "--appendonly", "yes"))).toBe(later);
  const without = await startOwn(dir, { appendonly: false });
  const [warning] = without.own.log.lines;
  expect(warning).toContain(
    "append-only file, which is not read, as appendonly is off: the server",
  );
  expect(warning).toContain("the server begins empty. To serve what is in it, stop this server");
  expect(warning).toContain(join(dir, "appendonlydir"));
  await without.client.call("SAVE");
  await without.own.close();
  const beside = await startOwn(dir, { appendonly: false });
  expect(beside.own.log.lines[0]).toContain("off: dump.rdb is served instead. To serve what is in");
}, 60_000);

test("SHUTDOWN NOSAVE does not save; one that cannot save goes on unless forced", async () => {
  const dir = temporaryDir();
  const first = await startOwn(dir, { save: "3600 1" });
  await first.client.call("SET", "a", "1");
  await first.client.call("SHUTDOWN", "NOSAVE").catch(() => undefined);
  expect(await first.own.done).toBe(0);
  expect(existsSync(join(dir, "dump.rdb"))).toBe(false);
  const second = await startOwn(dir);
  await second.client.call("SET", "a", "1");
  await Bun.write(join(dir, "dump.rdb"), "from elsewhere");
  const reply = await second.client.call("SHUTDOWN", "SAVE");
  expect(reply).toMatchObject({ text: "ERR Errors trying to SHUTDOWN. Check logs." });
  expect(String(await second.client.call("GET", "a"))).toBe("1");
  await second.client.call("SHUTDOWN", "SAVE", "FORCE").catch(() => undefined);
  expect(await second.own.done).toBe(0);
  expect(readFileSync(join(dir, "dump.rdb"), "latin1")).toBe("from elsewhere");
}, 30_000);
