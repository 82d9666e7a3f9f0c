import { afterEach, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { encodeRequest } from "../../src/resp/encoder.ts";
import type { ServerConfig } from "../../src/server/config.ts";
import { CLIENT_BACKLOG_BYTES_MAX } from "../../src/server/session.ts";
import type { Journal } from "../../src/server/state.ts";
import { type OwnServerProcess, type RecordingLog, startOwnServer } from "../support/own-server.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { RespClient } from "../support/resp-client.ts";
import { StalledClients } from "../support/stalled-clients.ts";
import { TcpRedis } from "../support/tcp-redis.ts";

/** For tests that move hundreds of megabytes, on a machine that is busy with others. */
const SLOW_MS = 60_000;

const running: OwnServerProcess[] = [];

async function start(config: Partial<ServerConfig> = {}): Promise<OwnServerProcess> {
  const server = await startOwnServer(config);
  running.push(server);
  return server;
}

afterEach(async () => {
  for (const server of running.splice(0)) await server.close();
});

/** Everything a connection receives after sending `bytes`, until the server closes it. */
async function replyUntilClose(port: number, bytes: string): Promise<string> {
  let received = "";
  return new Promise((resolve, reject) => {
    Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => void socket.write(bytes),
        data: (_, chunk) => {
          received += chunk.toString("latin1");
        },
        close: () => resolve(received),
      },
    }).catch(reject);
  });
}

/** A client whose request comes in two parts, with much time between. */
class SlowSender {
  readonly #socket: Socket;
  isClosed = false;

  constructor(port: number, begun: Buffer) {
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.on("close", () => {
      this.isClosed = true;
    });
    this.#socket.on("error", () => {});
    this.#socket.write(begun);
  }

  /** @returns the reply, or "" when the connection was closed */
  finish(rest: Buffer): Promise<string> {
    return new Promise((resolve) => {
      this.#socket.on("data", (chunk) => resolve(chunk.toString()));
      this.#socket.on("close", () => resolve(""));
      this.#socket.write(rest);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

describe("A server's connections", () => {
  test("requests of one chunk are answered in order, inline ones among them", async () => {
    const { port } = await start();
    const bytes =
      "SET a 1\r\n*2\r\n$4\r\nINCR\r\n$1\r\na\r\nGET a\r\n\r\nPING 'a b'\r\nnothing\r\nQUIT\r\nGET a\r\n";
    expect(await replyUntilClose(port, bytes)).toBe(
      "+OK\r\n:2\r\n$1\r\n2\r\n$3\r\na b\r\n" +
        "-ERR unknown command 'nothing', with args beginning with: \r\n+OK\r\n",
    );
  });

  test("a protocol error is answered, then the connection closed", async () => {
    const { port } = await start();
    expect(await replyUntilClose(port, "PING\r\n*1\r\n!\r\nPING\r\n")).toBe(
      "+PONG\r\n-ERR Protocol error: expected '$', got '!'\r\n",
    );
  });

  test("a client that half-closes gets all replies", async () => {
    const { port } = await start();
    let received = "";
    await new Promise<void>((resolve, reject) => {
      Bun.connect({
        hostname: "127.0.0.1",
        port,
        allowHalfOpen: true,
        socket: {
          open: (socket) => {
            socket.write("PING\r\nPING\r\n");
            socket.shutdown();
          },
          data: (_, chunk) => {
            received += chunk.toString("latin1");
          },
          end: (socket) => void socket.end(),
          close: () => resolve(),
        },
      }).catch(reject);
    });
    expect(received).toBe("+PONG\r\n+PONG\r\n");
  });

  test("HTTP is cut off without a word before what is behind it runs, as by redis-server", async () => {
    const server = await start();
    const stock = await TcpRedis.start();
    const lines = ["POST / HTTP/1.1", "post", "Host: 10.0.0.9", "*1\r\n$5\r\nhOST:"];
    try {
      for (const { port } of [stock, server]) {
        for (const line of lines) {
          const bytes = `SET asked 1\r\n${line}\r\nSET pwned 1\r\n`;
          expect([port, await replyUntilClose(port, bytes)]).toEqual([port, ""]);
        }
        const client = await RawConnection.open(port);
        expect((await client.ask(["EXISTS", "asked", "asked"])).toString()).toBe(":2\r\n");
        expect((await client.ask(["EXISTS", "pwned"])).toString()).toBe(":0\r\n");
        client.close();
      }
    } finally {
      await stock.stop();
    }
    const warning =
      /^warn: closed a client .*"127\.0\.0\.1:\d+".*Possible SECURITY ATTACK detected/;
    expect(server.log.lines.filter((line) => warning.test(line)).length).toBe(lines.length);
  });

  test("before the password HTTP is cut off too", async () => {
    const { port } = await start({ requirepass: "secret" });
    expect(await replyUntilClose(port, "POST / HTTP/1.1\r\nAUTH secret\r\n")).toBe("");
  });

  test("one client too many is told so and closed", async () => {
    const { port } = await start({ maxclients: 2 });
    const first = await RespClient.connect(port);
    const second = await RespClient.connect(port);
    expect(await first.call("PING")).toBe("PONG");
    expect(await second.call("PING")).toBe("PONG");
    expect(await replyUntilClose(port, "")).toBe("-ERR max number of clients reached\r\n");
    first.close();
    second.close();
  });

  test("a silent client is closed after timeout seconds", async () => {
    const { port, clock } = await start({ timeout: 5 });
    const client = await RawConnection.open(port);
    await client.ask(["PING"]);
    clock.advance(5001);
    await client.closed();
  });

  test("CLIENT KILL closes others at once and the caller after its reply", async () => {
    const { port } = await start();
    const victim = await RawConnection.open(port);
    const killer = await RawConnection.open(port);
    await victim.ask(["CLIENT", "SETNAME", "victim"]);
    const list = (await killer.ask(["CLIENT", "LIST"])).toString();
    const id = /id=(\d+) [^\n]*name=victim /.exec(list)![1]!;
    expect((await killer.ask(["CLIENT", "KILL", "ID", id])).toString()).toBe(":1\r\n");
    await victim.closed();
    const mine = await killer.ask(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"]);
    expect(mine.toString()).toBe(":1\r\n");
    await killer.closed();
  });

  test("SHUTDOWN ends the server without a reply", async () => {
    const server = await start();
    expect(await replyUntilClose(server.port, "SHUTDOWN\r\n")).toBe("");
    expect(await server.done).toBe(0);
  });
});

describe("What a client may do to a server", () => {
  test(
    "whoever holds most is closed when more replies wait than maxmemory-clients",
    async () => {
      const server = await start({ "maxmemory-clients": 64_000_000 });
      const client = await RespClient.connect(server.port);
      await client.call("SETRANGE", "big", 19_999_999, "x");
      const stalled = new StalledClients(server.port, 10);
      stalled.send(encodeRequest(["GET", "big"]));
      const { stats, log } = server.state;
      while (stats.evictedClients < 6) await client.call("PING");
      expect(stats.outputBacklog).toBeLessThan(64_000_000);
      const told = /evicted_clients:(\d+)/.exec(String(await client.call("INFO", "stats")))![1];
      expect(Number(told)).toBeGreaterThanOrEqual(6);
      expect(Number(told)).toBeLessThanOrEqual(stats.evictedClients);
      expect((log as unknown as RecordingLog).lines.join()).toContain("maxmemory-clients");
      // The limit is that of now, and none when it is 0.
      await client.call("CONFIG", "SET", "maxmemory-clients", "0");
      const closed = stats.evictedClients;
      const more = new StalledClients(server.port, 6);
      more.send(encodeRequest(["GET", "big"]));
      while (stats.outputBacklog < 6 * 15_000_000) await client.call("PING");
      expect(stats.evictedClients).toBe(closed);
      for (const clients of [stalled, more]) clients.close();
      while (stats.outputBacklog > 0) await client.call("PING");
      client.close();
    },
    SLOW_MS,
  );

  test(
    "whoever holds most is closed when unfinished requests are more than maxmemory-clients",
    async () => {
      const server = await start({ "maxmemory-clients": 64_000_000 });
      const client = await RespClient.connect(server.port);
      const head = "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$22000000\r\n";
      const begun = Buffer.concat([Buffer.from(head), Buffer.alloc(20_000_000, "x")]);
      const rest = Buffer.concat([Buffer.alloc(2_000_000, "x"), Buffer.from("\r\n")]);
      const senders = Array.from({ length: 6 }, () => new SlowSender(server.port, begun));
      const { stats, log } = server.state;
      const isLeft = (sender: SlowSender): boolean => !sender.isClosed;
      while (senders.filter(isLeft).length > 3) await client.call("PING");
      expect((log as unknown as RecordingLog).lines.join()).toContain("maxmemory-clients");
      // Of those that are left each has room to finish.
      for (const sender of senders.filter(isLeft))
        expect(await sender.finish(rest)).toBe("+OK\r\n");
      expect(stats.evictedClients).toBe(3);
      for (const sender of senders) sender.close();
      client.close();
    },
    SLOW_MS,
  );

  test(
    "one that asks for much and reads nothing is not read from; others are served",
    async () => {
      const server = await start();
      const client = await RespClient.connect(server.port);
      await client.call("SET", "big", Buffer.alloc(100_000, "x"));
      const request = encodeRequest(["GET", "big"]);
      const flood = Buffer.concat(Array.from({ length: 10_000 }, () => request));
      let wakeUp = (): void => {};
      const stalled = new Promise<void>((resolve) => {
        wakeUp = resolve;
      });
      let received = 0;
      let isReading = false;
      const greedy = await Bun.connect({
        hostname: "127.0.0.1",
        port: server.port,
        socket: {
          open: (socket) => {
            socket.pause();
            socket.write(flood);
            wakeUp();
          },
          data: (socket, chunk) => {
            if (!isReading) socket.pause();
            received += chunk.length;
          },
        },
      });
      await stalled;
      // The flood was sent before this: once it is answered, the server has seen what it takes of it.
      for (let i = 0; i < 50; i++) expect(await client.call("PING")).toBe("PONG");
      const info = String(await client.call("INFO", "clients"));
      const longest = Number(/client_longest_output_list:(\d+)/.exec(info)![1]);
      expect(longest).toBeGreaterThan(0);
      expect(longest).toBeLessThan(CLIENT_BACKLOG_BYTES_MAX + 200_000);
      isReading = true;
      greedy.resume();
      while (received < 10_000 * 100_010) await client.call("PING");
      greedy.end();
      client.close();
    },
    SLOW_MS,
  );

  test(
    "a long pipeline of one client does not keep another waiting for all of it",
    async () => {
      const server = await start();
      const other = await RespClient.connect(server.port);
      const pipeline = await RespClient.connect(server.port);
      const request = ["SET", "key", "value"];
      const whole = pipeline.pipeline(Array.from({ length: 200_000 }, () => request));
      let isDone = false;
      const done = whole.then(() => {
        isDone = true;
      });
      let answered = 0;
      while (!isDone) {
        await other.call("PING");
        answered++;
      }
      await done;
      expect(answered).toBeGreaterThan(10);
      pipeline.close();
      other.close();
    },
    SLOW_MS,
  );

  test(
    "values of many sizes come back as they were",
    async () => {
      const server = await start();
      const client = await RespClient.connect(server.port);
      for (const bytes of [0, 1, 15, 16, 100, 5000, 40_000, 70_000, 2_500_000, 20_000_000]) {
        const value = Buffer.alloc(bytes, `${bytes}-`);
        expect(await client.call("SET", "{tag}key", value)).toBe("OK");
        expect(Buffer.compare((await client.call("GET", "{tag}key")) as Buffer, value)).toBe(0);
      }
      await client.call("DEL", "{tag}key");
      expect(server.state.databases.arena.usedBytes).toBe(0);
      client.close();
    },
    SLOW_MS,
  );
});

describe("Passwords", () => {
  test("without it nothing is answered, with it everything is", async () => {
    const { port } = await start({ requirepass: "secret" });
    const client = await RawConnection.open(port);
    expect((await client.ask(["GET", "a"])).toString()).toBe(
      "-NOAUTH Authentication required.\r\n",
    );
    expect((await client.ask(["AUTH", "wrong"])).toString()).toStartWith("-WRONGPASS ");
    expect((await client.ask(["HELLO", "2"])).toString()).toStartWith("-NOAUTH HELLO must");
    expect((await client.ask(["AUTH", "default", "secret"])).toString()).toBe("+OK\r\n");
    expect((await client.ask(["GET", "a"])).toString()).toBe("$-1\r\n");
    client.close();
  });

  test("before it only small requests are taken", async () => {
    const { port } = await start({ requirepass: "secret" });
    expect(await replyUntilClose(port, "*100\r\n")).toBe(
      "-ERR Protocol error: unauthenticated multibulk length\r\n",
    );
  });

  test("one set later is asked of new clients only", async () => {
    const { port } = await start();
    const old = await RawConnection.open(port);
    await old.ask(["CONFIG", "SET", "requirepass", "secret"]);
    expect((await old.ask(["PING"])).toString()).toBe("+PONG\r\n");
    const young = await RawConnection.open(port);
    expect((await young.ask(["PING"])).toString()).toStartWith("-NOAUTH");
    expect((await young.ask(["AUTH", "secret"])).toString()).toBe("+OK\r\n");
    old.close();
    young.close();
  });
});

describe("Clients of today", () => {
  test("ioredis connects, writes, reads and pipelines", async () => {
    const { port } = await start({ requirepass: "secret" });
    const client = new Redis({ port, password: "secret", lazyConnect: true });
    await client.connect();
    await client.set("a", "1", "EX", 100);
    expect(await client.mget("a", "b")).toEqual(["1", null]);
    await client.hset("h", { x: 1, y: 2 });
    expect(await client.hgetall("h")).toEqual({ x: "1", y: "2" });
    const results = await client.pipeline().incr("n").incr("n").get("n").exec();
    expect(results?.map(([, value]) => value)).toEqual([1, 2, "2"]);
    await client.quit();
  });

  test("node-redis connects, whether it asks for RESP3 first or not", async () => {
    const { port } = await start({ requirepass: "secret" });
    const url = `redis://:secret@127.0.0.1:${port}`;
    const eager = createClient({ url });
    await eager.connect();
    await eager.set("a", "1");
    expect(await eager.get("a")).toBe("1");
    await eager.close();
    const plain = createClient({ url, RESP: 2 });
    await plain.connect();
    await plain.zAdd("z", { score: 1.5, value: "m" });
    expect(await plain.zRangeWithScores("z", 0, -1)).toEqual([{ score: 1.5, value: "m" }]);
    await plain.close();
  });
});

test("Every byte sent is in total_net_output_bytes, also what a slow client took later", async () => {
  const { port, state } = await start();
  const client = await RawConnection.open(port);
  await client.ask(["SETRANGE", "big", 19_999_999, "x"]);
  const sentBefore = state.stats.outputBytes;
  // More than the socket takes at once: the rest leaves whenever it drains.
  expect((await client.ask(["GET", "big"])).length).toBe(20_000_013);
  await client.ask(["PING"]);
  expect(state.stats.outputBytes - sentBefore).toBe(20_000_013 + "+PONG\r\n".length);
  expect(state.stats.outputBacklog).toBe(0);
  client.close();
});

describe("A server whose last changes cannot be kept", () => {
  test.each(["close", "SHUTDOWN"])("ends with exit code 1 and says why, by %s", async (way) => {
    const server = await startOwnServer();
    server.state.journal = {
      refusal: undefined,
      commit: () => true,
      tick: () => {},
      close: () => Promise.reject(new Error("no room")),
    } as unknown as Journal;
    if (way === "SHUTDOWN") {
      const client = await RespClient.connect(server.port);
      await client.call("SHUTDOWN").catch(() => undefined);
      expect(await server.done).toBe(1);
      expect(server.log.lines.at(-1)).toContain("no room");
    }
    await expect(server.close()).rejects.toThrow("no room");
    expect(await server.done).toBe(1);
  });
});

describe("Keys nobody asks for", () => {
  test("are removed when their time is over, and only they", async () => {
    const server = await start();
    const client = await RespClient.connect(server.port);
    const requests: string[][] = [];
    for (let i = 0; i < 3000; i++) {
      requests.push(i % 3 === 0 ? ["SET", `k${i}`, "v"] : ["SET", `k${i}`, "v", "PX", "5000"]);
    }
    await client.pipeline(requests);
    expect(await client.call("DBSIZE")).toBe(3000);
    server.clock.advance(5001);
    while ((await client.call("DBSIZE")) !== 1000);
    const info = String(await client.call("INFO"));
    expect(info).toContain("expired_keys:2000\r\n");
    expect(info).toContain("db0:keys=1000,expires=0,avg_ttl=0\r\n");
    client.close();
  });
});
