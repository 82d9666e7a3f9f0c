/**
 * The clients people use today connect and work, with a server and through a proxy, with and
 * without a password. What each sends when it connects (HELLO, CLIENT SETINFO, ...) is its own
 * affair.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { ErrorReply, type Reply } from "../../src/resp/reply.ts";
import { Programs } from "../support/programs.ts";
import { RespClient } from "../support/resp-client.ts";

const PASSWORD = "secret";

interface Place {
  readonly port: number;
  readonly password: string;
}

const programs = new Programs();
const places = new Map<string, Place>();

beforeAll(async () => {
  const path = join(programs.directory, "server.toml");
  writeFileSync(path, `requirepass = "${PASSWORD}"\n`);
  const server = await programs.server();
  const guarded = await programs.server({ args: ["--config", path] });
  const backends = [server.port, (await programs.server()).port];
  const proxy = await programs.proxy({ backends });
  const config = `session_auth = "${PASSWORD}"\n`;
  const guardedProxy = await programs.proxy({ backends, config });
  places.set("server", { port: server.port, password: "" });
  places.set("server with a password", { port: guarded.port, password: PASSWORD });
  places.set("proxy", { port: proxy.port, password: "" });
  places.set("proxy with a password", { port: guardedProxy.port, password: PASSWORD });
}, 60_000);

afterAll(() => programs.stop(), 60_000);

for (const name of ["server", "server with a password", "proxy", "proxy with a password"]) {
  describe(`through a ${name}`, () => {
    test("ioredis", async () => {
      const { port, password } = places.get(name)!;
      const client = new Redis({ port, ...(password !== "" && { password }) });
      try {
        await client.del("h", "l", "z", "a", "b");
        expect(await client.set("a", "1", "EX", 100)).toBe("OK");
        expect(await client.mset({ a: "1", b: "2" })).toBe("OK");
        expect(await client.mget("a", "none", "b")).toEqual(["1", null, "2"]);
        expect(await client.hset("h", { x: "1", y: "2" })).toBe(2);
        expect(await client.hgetall("h")).toEqual({ x: "1", y: "2" });
        expect(await client.rpush("l", "1", "2", "3")).toBe(3);
        expect(await client.lrange("l", 0, -1)).toEqual(["1", "2", "3"]);
        expect(await client.zadd("z", "1.5", "m")).toBe(1);
        expect(await client.zrange("z", "0", "-1", "WITHSCORES")).toEqual(["m", "1.5"]);
        const pipeline = client.pipeline();
        for (let i = 0; i < 200; i++) pipeline.incr("counter{a}");
        const results = (await pipeline.exec())!;
        const [, last] = results.at(-1)!;
        expect(results.map(([error]) => error).filter((error) => error !== null)).toEqual([]);
        expect(Number(last) % 200).toBe(0);
        expect(await client.getBuffer("a")).toEqual(Buffer.from("1"));
        expect(client.call("NOSUCH")).rejects.toThrow("unknown command 'NOSUCH'");
      } finally {
        client.disconnect();
      }
    });

    test("node-redis, told to speak RESP2", async () => {
      const { port, password } = places.get(name)!;
      const socket = { port, host: "127.0.0.1", reconnectStrategy: false as const };
      const client = createClient({ RESP: 2, socket, ...(password !== "" && { password }) });
      client.on("error", () => {});
      await client.connect();
      try {
        await client.del(["h", "z"]);
        expect(await client.set("a", "1", { PX: 100_000 })).toBe("OK");
        expect(await client.mGet(["a", "none"])).toEqual(["1", null]);
        expect(await client.hSet("h", { x: 1 })).toBe(1);
        expect(await client.hGetAll("h")).toEqual(Object.assign(Object.create(null), { x: "1" }));
        expect(await client.zAdd("z", [{ score: 1.5, value: "m" }])).toBe(1);
        expect(await client.zRangeWithScores("z", 0, -1)).toEqual([{ score: 1.5, value: "m" }]);
        const values = Array.from({ length: 200 }, (_, i) => client.echo(String(i)));
        expect(await Promise.all(values)).toEqual(values.map((_, i) => String(i)));
      } finally {
        client.destroy();
      }
    });

    test("node-redis as it comes asks for RESP3 and goes on without", async () => {
      const { port, password } = places.get(name)!;
      const socket = { port, host: "127.0.0.1", reconnectStrategy: false as const };
      const client = createClient({ socket, ...(password !== "" && { password }) });
      client.on("error", () => {});
      await client.connect();
      try {
        expect(await client.set("a", "1")).toBe("OK");
        expect(await client.get("a")).toBe("1");
        expect(await client.mGet(["a", "none"])).toEqual(["1", null]);
        expect(await client.incr("counter{b}")).toBeGreaterThan(0);
      } finally {
        client.destroy();
      }
    });

    test("Bun.RedisClient", async () => {
      const { port, password } = places.get(name)!;
      const user = password === "" ? "" : `:${password}@`;
      const client = new Bun.RedisClient(`redis://${user}127.0.0.1:${port}`, {
        autoReconnect: false,
      });
      try {
        await client.connect();
        expect(await client.set("a", "1")).toBe("OK");
        expect(await client.get("a")).toBe("1");
        expect(await client.get("none")).toBeNull();
        expect(await client.send("MGET", ["a", "none"])).toEqual(["1", null]);
        const values = Array.from({ length: 200 }, (_, i) => client.send("ECHO", [String(i)]));
        expect(await Promise.all(values)).toEqual(values.map((_, i) => String(i)));
      } finally {
        client.close();
      }
    });
  });
}

test("A client with the wrong password, or none, is told so, and may try again", async () => {
  for (const name of ["server with a password", "proxy with a password"]) {
    const client = await RespClient.connect(places.get(name)!.port);
    const textOf = (reply: Reply): string => (reply instanceof ErrorReply ? reply.text : "");
    expect(textOf(await client.call("GET", "a"))).toStartWith("NOAUTH Authentication required");
    expect(textOf(await client.call("HELLO", "3"))).toStartWith("NOAUTH HELLO must be called");
    expect(textOf(await client.call("AUTH", "wrong"))).toMatch(/^WRONGPASS|invalid password/);
    expect(await client.call("AUTH", PASSWORD)).toBe("OK");
    expect(await client.call("PING")).toBe("PONG");
    client.close();
  }
});
