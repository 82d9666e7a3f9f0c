/**
 * The append-only file between processes: ours killed under load, redis-server loading what we
 * wrote, we loading what redis-server wrote.
 */

import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AppendOnly } from "../../../src/server/aof/aof.ts";
import { startOwnServer } from "../../support/own-server.ts";
import { createPrng } from "../../support/prng.ts";
import { ConnectionLost, RespClient } from "../../support/resp-client.ts";
import { TcpRedis } from "../../support/tcp-redis.ts";
import { digest } from "../rdb/wire-digest.ts";
import { anyCommand } from "./world.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

function temporaryDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "codis-aof-"));
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

interface Child {
  readonly port: number;
  /** What it logged until it was ready. */
  readonly lines: readonly string[];
  kill(): Promise<void>;
}

async function startChild(dir: string, ...words: string[]): Promise<Child> {
  const script = new URL("./child.ts", import.meta.url).pathname;
  const command = [process.execPath, script, `dir=${dir}`, ...words];
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" });
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
  };
  cleanups.push(kill);
  let text = "";
  for await (const chunk of child.stdout) {
    text += Buffer.from(chunk).toString();
    if (text.includes("\n")) break;
  }
  if (!text.includes("\n")) throw new Error("the server did not start");
  return { ...(JSON.parse(text) as { port: number; lines: string[] }), kill };
}

/** A redis-server on the append-only directory of `dir`. */
async function startRedis(dir: string): Promise<RespClient> {
  const options = `--dir ${dir} --appendonly yes --aof-use-rdb-preamble no`;
  const redis = await TcpRedis.start(...options.split(" "));
  cleanups.push(() => redis.stop());
  return RespClient.connect(redis.port);
}

/** Writes keys `<name>:0`, `<name>:1`, ... until the connection is lost; how many were answered. */
async function writeUntilLost(
  port: number,
  name: string,
  first: number,
  answered: () => void,
): Promise<number> {
  const client = await RespClient.connect(port);
  let next = first;
  for (;;) {
    const batch = Array.from({ length: 8 }, (_, i) => ["SET", `${name}:${next + i}`, next + i]);
    try {
      const replies = await client.pipeline(batch);
      expect(replies.every((reply) => reply === "OK")).toBe(true);
      next += batch.length;
      answered();
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      const good = error.replies.findIndex((reply) => reply !== "OK");
      return next + (good < 0 ? error.replies.length : good);
    }
  }
}

for (const [policy, extra] of [
  ["always", []],
  ["everysec", []],
  ["always", ["auto-aof-rewrite-min-size=20000", "auto-aof-rewrite-percentage=10"]],
] as const) {
  const rewriting = extra.length > 0 ? ", rewriting all the time" : "";
  test(`After kill -9 under load with ${policy}${rewriting}, every answered write is there`, async () => {
    const dir = temporaryDir();
    const counts = [0, 0, 0, 0, 0];
    for (let round = 0; round < 3; round++) {
      const child = await startChild(dir, `appendfsync=${policy}`, ...extra);
      const reader = await RespClient.connect(child.port);
      for (const [i, count] of counts.entries()) {
        for (let n = 0; n < count; n++) {
          const value = await reader.call("GET", `client${i}:${n}`);
          if (String(value) !== String(n)) throw new Error(`client${i}:${n} is ${String(value)}`);
        }
      }
      let batches = 0;
      const enough = 100 + round * 37;
      const writers = counts.map((count, i) =>
        writeUntilLost(child.port, `client${i}`, count, () => {
          if (++batches === enough) void child.kill();
        }),
      );
      for (const [i, count] of (await Promise.all(writers)).entries()) counts[i] = count;
    }
    expect(Math.min(...counts)).toBeGreaterThan(50);
  }, 60_000);
}

test("redis-server loads what we wrote and has the same data, before and after a rewrite", async () => {
  const dir = temporaryDir();
  const prng = createPrng();
  const own = await startOwnServer({ dir, appendonly: true });
  const client = await RespClient.connect(own.port);
  const commands = Array.from({ length: 4000 }, () => anyCommand(prng));
  await client.pipeline(commands.slice(0, 2000));
  const started = await client.call("BGREWRITEAOF");
  expect(String(started)).toContain("started");
  await client.pipeline(commands.slice(2000));
  await (own.state.journal as AppendOnly).settled();
  const expected = await digest(client);
  client.close();
  await own.close();
  const redis = await startRedis(dir);
  expect(await digest(redis), `SEED=${prng.seed}`).toBe(expected);
}, 30_000);

test("We load what redis-server wrote and have the same data, and write on", async () => {
  const dir = temporaryDir();
  const prng = createPrng();
  const redis = await startRedis(dir);
  await redis.pipeline(Array.from({ length: 2000 }, () => anyCommand(prng)));
  await redis.call("BGREWRITEAOF");
  await redis.pipeline(Array.from({ length: 2000 }, () => anyCommand(prng)));
  const expected = await digest(redis);
  await redis.call("SHUTDOWN", "NOSAVE").catch(() => undefined);
  const own = await startOwnServer({ dir, appendonly: true });
  cleanups.push(() => own.close());
  const client = await RespClient.connect(own.port);
  expect(await digest(client), `SEED=${prng.seed}`).toBe(expected);
  await client.call("SELECT", 0);
  await client.call("SET", "more", "1");
  const later = await digest(client);
  client.close();
  await own.close();
  const again = await startRedis(dir);
  expect(await digest(again)).toBe(later);
}, 30_000);

test("A server that finds a damaged file does not start, and says where", async () => {
  const dir = temporaryDir();
  const own = await startOwnServer({ dir, appendonly: true });
  const client = await RespClient.connect(own.port);
  await client.pipeline(Array.from({ length: 10 }, (_, i) => ["SET", `key${i}`, i]));
  client.close();
  await own.close();
  const path = join(dir, "appendonlydir", "appendonly.aof.1.incr.aof");
  const content = Buffer.from(await Bun.file(path).arrayBuffer());
  const at = content.indexOf("*3\r\n", 100);
  content[at] = 0x21;
  await Bun.write(path, content);
  await expect(startOwnServer({ dir, appendonly: true })).rejects.toThrow(
    `damaged at offset ${at}`,
  );
  expect(Buffer.from(await Bun.file(path).arrayBuffer())).toEqual(content);
});

test("A server whose directory another one uses does not start, until that one has ended", async () => {
  const dir = temporaryDir();
  const child = await startChild(dir);
  await expect(startOwnServer({ dir, appendonly: true })).rejects.toThrow(
    "another server keeps its data there",
  );
  await child.kill();
  const own = await startOwnServer({ dir, appendonly: true });
  await expect(startOwnServer({ dir, appendonly: true })).rejects.toThrow("another server");
  await own.close();
  await (await startOwnServer({ dir, appendonly: true })).close();
});

test("A directory that does not exist, or is none, does not become an empty data set", async () => {
  const dir = join(temporaryDir(), "typo");
  const rule = "dir must be a directory that exists and can be written to";
  await expect(startOwnServer({ dir, appendonly: true })).rejects.toThrow(rule);
  expect(existsSync(dir)).toBe(false);
  writeFileSync(dir, "");
  await expect(startOwnServer({ dir, appendonly: true })).rejects.toThrow(rule);
  rmSync(dir);
  mkdirSync(join(dir, "appendonlydir", "appendonly.aof"), { recursive: true });
  await expect(startOwnServer({ dir, appendonly: true })).rejects.toThrow("Cannot read");
  rmSync(join(dir, "appendonlydir"), { recursive: true });
  writeFileSync(join(dir, "appendonlydir"), "");
  await expect(startOwnServer({ dir, appendonly: true })).rejects.toThrow(rule);
});
