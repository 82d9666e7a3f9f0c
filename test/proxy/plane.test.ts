/** The data plane over real sockets: in this thread and in Workers, before stock redis-servers. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import Redis from "ioredis";
import { createClient } from "redis";
import { systemClock } from "../../src/base/clock.ts";
import type { CodisError } from "../../src/base/errors.ts";
import { type BoundPort, bindPort } from "../../src/net/listener.ts";
import { CLOSE_ANSWER_MS } from "../../src/proxy/data-plane.ts";
import { openPlane, type Plane, type PlaneConfig } from "../../src/proxy/plane.ts";
import { encodeRequest } from "../../src/resp/encoder.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { RespClient } from "../support/resp-client.ts";
import { ScriptedTarget } from "../support/scripted-target.ts";
import { TcpRedis } from "../support/tcp-redis.ts";
import { bulk, SLOT_FOO, slotOf, TEST_CONFIG } from "./machines.ts";

let servers: TcpRedis[] = [];

beforeAll(async () => {
  servers = [await TcpRedis.start(), await TcpRedis.start()];
});

afterAll(async () => {
  for (const server of servers) await server.stop();
});

interface Opened {
  readonly plane: Plane;
  readonly port: BoundPort;
  /** Reasons for which sessions were closed. */
  readonly reasons: string[];
  readonly death: Promise<CodisError>;
}

/** A plane over both servers, online. */
async function open(threads: number, config: Partial<PlaneConfig> = {}): Promise<Opened> {
  const port = bindPort("127.0.0.1", 0);
  const reasons: string[] = [];
  const death = Promise.withResolvers<CodisError>();
  const plane = await openPlane({
    config: { ...TEST_CONFIG, ...config },
    port,
    threads,
    clock: systemClock,
    onDeath: death.resolve,
    onSessionClosed: (_, reason) => reasons.push(reason),
  });
  await plane.fill(
    Array.from({ length: 1024 }, (_, id) => slotOf({ id, backend_addr: servers[id % 2]!.address })),
  );
  await plane.start();
  return { plane, port, reasons, death: death.promise };
}

async function close({ plane, port }: Opened): Promise<void> {
  await plane.close();
  port.close();
}

for (const threads of [1, 3]) {
  test(`Clients of ${threads} threads read what they wrote, in order, and are counted`, async () => {
    const opened = await open(threads);
    const clients = await Promise.all(
      Array.from({ length: 12 }, () => RawConnection.open(opened.port.port)),
    );
    await Promise.all(
      clients.map(async (client, c) => {
        for (let i = 0; i < 50; i++) client.send(["SET", `${c}:${i}`, `value ${i}`]);
        for (let i = 0; i < 50; i++) client.send(["GET", `${c}:${i}`]);
        for (let i = 0; i < 50; i++) expect((await client.reply()).toString()).toBe("+OK\r\n");
        for (let i = 0; i < 50; i++) {
          const value = `value ${i}`;
          expect((await client.reply()).toString()).toBe(`$${value.length}\r\n${value}\r\n`);
        }
      }),
    );
    const stats = await opened.plane.stats();
    expect(stats).toMatchObject({ total: 1200, fails: 0, redisErrors: 0, sessionsAlive: 12 });
    expect(stats.commands.map(({ opstr, calls }) => [opstr, calls])).toEqual([
      ["GET", 600],
      ["SET", 600],
    ]);
    await opened.plane.resetStats();
    expect(await opened.plane.stats()).toMatchObject({ total: 0, commands: [], sessionsTotal: 12 });
    for (const client of clients) client.close();
    await close(opened);
  });

  test(`A fill of ${threads} threads is refused or applied by all of them`, async () => {
    const opened = await open(threads);
    const definition = slotOf({ id: 3, backend_addr: servers[0]!.address, locked: true });
    await opened.plane.fill([definition]);
    expect((await opened.plane.slots())[3]).toEqual(definition);
    const wrong = await opened.plane.fill([slotOf({ id: 5000 })]).catch((error) => error);
    expect(wrong).toMatchObject({ code: "usage", message: "use of invalid slot id" });
    await close(opened);
    if (threads === 1) {
      const closed = await opened.plane.fill([definition]).catch((error) => error);
      expect(closed).toMatchObject({ code: "closed", message: "use of closed proxy" });
    }
  });

  test(`proxy_max_clients holds over ${threads} threads`, async () => {
    const opened = await open(threads, { proxy_max_clients: 4 });
    const clients: RawConnection[] = [];
    for (let i = 0; i < 4; i++) {
      const client = await RawConnection.open(opened.port.port);
      expect((await client.ask(["PING"])).toString()).toBe("+PONG\r\n");
      clients.push(client);
    }
    const refused = await RawConnection.open(opened.port.port);
    expect((await refused.reply()).toString()).toBe("-ERR max number of clients reached\r\n");
    await refused.closed();
    for (const client of clients) client.close();
    await close(opened);
  });
}

test("A worker that dies is noticed", async () => {
  const opened = await open(2);
  const broken = { ...slotOf({ id: 1 }), replica_groups: null as unknown as string[][] };
  const error = await opened.plane.fill([broken]).catch((reason) => reason);
  expect(error.message).toStartWith("A worker of the proxy died");
  expect(await opened.death).toMatchObject({ code: "closed" });
  opened.port.close();
});

test("A worker that dies during a close is noticed, and the close ends", async () => {
  const opened = await open(2);
  const broken = { ...slotOf({ id: 1 }), replica_groups: null as unknown as string[][] };
  const filled = opened.plane.fill([broken]).catch((reason) => reason);
  await close(opened);
  expect((await filled).message).toStartWith("A worker of the proxy died");
  expect(await opened.death).toMatchObject({ code: "closed" });
});

test("A close waits for clients that read slowly", async () => {
  const opened = await open(2);
  const writer = new Redis(opened.port.port, "127.0.0.1");
  // Too much for the sockets' buffers, too little for the backend to be held.
  const valueBytes = 3 * 1024 * 1024;
  await writer.set("slow", Buffer.alloc(valueBytes, 1));
  await writer.quit();
  await opened.plane.resetStats();
  let received = 0;
  const ended = Promise.withResolvers<void>();
  const reader = await Bun.connect({
    hostname: "127.0.0.1",
    port: opened.port.port,
    socket: {
      data: (_, chunk) => {
        received += chunk.length;
      },
      close: () => ended.resolve(),
    },
  });
  reader.pause();
  const request = encodeRequest(["GET", "slow"]);
  reader.write(Buffer.concat([request, request]));
  while ((await opened.plane.stats()).total < 2);
  const closed = close(opened);
  while ((await opened.plane.stats()).commands[0]?.calls !== 2);
  reader.resume();
  await closed;
  await ended.promise;
  expect(received).toBe(2 * (`$${valueBytes}\r\n`.length + valueBytes + 2));
});

/** A plane before two servers that answer when they are told to, each connected to. */
async function openScripted(clock: ManualClock) {
  const port = bindPort("127.0.0.1", 0);
  const [first, second] = [new ScriptedTarget(), new ScriptedTarget()];
  const plane = await openPlane({
    config: { ...TEST_CONFIG, backend_ping_period: 1000 },
    port,
    threads: 1,
    clock,
    onDeath: () => {},
    onSessionClosed: () => {},
  });
  await plane.fill(
    Array.from({ length: 1024 }, (_, id) =>
      slotOf({ id, backend_addr: addressOf(id < 512 ? first : second) }),
    ),
  );
  await plane.start();
  const client = await RawConnection.open(port.port);
  for (const [server, key] of [
    [first, "foo"],
    [second, "a"],
  ] as const) {
    client.send(["GET", key]);
    expect(await server.nextText()).toBe(`GET ${key}`);
    server.reply("$-1\r\n");
    expect((await client.reply()).toString()).toBe("$-1\r\n");
  }
  const close = async (): Promise<void> => {
    await plane.close();
    port.close();
    for (const server of [first, second]) server.stop();
  };
  return { plane, port, client, first, second, close };
}

function addressOf({ port }: ScriptedTarget): string {
  return `127.0.0.1:${port}`;
}

test("A close waits for a server that answers late", async () => {
  const clock = new ManualClock();
  const { client, first, second, close } = await openScripted(clock);
  client.send(["GET", "foo"]);
  await first.nextText();
  const closed = close();
  clock.advance(CLOSE_ANSWER_MS - 1);
  // The other server is pinged by a tick that knows this time.
  expect(await second.nextText()).toBe("PING");
  first.reply(bulk("late"));
  expect((await client.reply()).toString()).toBe(bulk("late"));
  await closed;
});

test("A close waits CLOSE_ANSWER_MS for a silent server, then clients get the error", async () => {
  const clock = new ManualClock();
  const { plane, port, client, first, close } = await openScripted(clock);
  client.send(["GET", "foo"]);
  await first.nextText();
  // A fill waits for the answer, and a client for the fill, which leads to another silent server.
  const third = new ScriptedTarget();
  const filled = plane.fill([slotOf({ id: SLOT_FOO, backend_addr: addressOf(third) })]);
  const waiting = await RawConnection.open(port.port);
  waiting.send(["GET", "foo"]);
  while ((await plane.stats()).total < 4) await new Promise(setImmediate);
  const closed = close();
  clock.advance(CLOSE_ANSWER_MS);
  for (const owed of [client, waiting]) {
    expect((await owed.reply()).toString()).toBe("-ERR handle response, backend conn reset\r\n");
  }
  await filled;
  await closed;
  third.stop();
});

test("ioredis and node-redis connect as they come, pipeline, and read all types", async () => {
  const opened = await open(1);
  const { port } = opened.port;
  const ioredis = new Redis(port, "127.0.0.1");
  await ioredis.mset("a", "1", "b", "2", "c", "3");
  expect(await ioredis.mget("a", "b", "nope", "c")).toEqual(["1", "2", null, "3"]);
  const pipeline = ioredis.pipeline();
  for (let i = 0; i < 500; i++) pipeline.incr(`n${i % 7}`);
  expect((await pipeline.exec())!.every(([error]) => error === null)).toBe(true);
  await ioredis.quit();

  // Asks for RESP3, and goes on although it is answered in RESP2.
  const asIs = createClient({ socket: { port, host: "127.0.0.1" } });
  await asIs.connect();
  await asIs.hSet("h", { f: "v", g: "w" });
  expect(await asIs.get("a")).toBe("1");
  expect(await asIs.del(["a", "b", "c"])).toBe(3);
  await asIs.close();
  const resp2 = createClient({ RESP: 2, socket: { port, host: "127.0.0.1" } });
  await resp2.connect();
  expect(await resp2.hGetAll("h")).toMatchObject({ f: "v", g: "w" });
  await resp2.close();
  await close(opened);
});

test("Values up to 8 MiB pass both ways, also early and cut in chunks", async () => {
  const opened = await open(1);
  const client = await RawConnection.open(opened.port.port);
  const sizes = [1, 4096, 70_000, 1024 * 1024, 8 * 1024 * 1024];
  const writer = new Redis(opened.port.port, "127.0.0.1");
  for (const size of sizes) await writer.set(`size${size}`, Buffer.alloc(size, size % 251));
  for (let round = 0; round < 3; round++) {
    for (const size of sizes) client.send(["GET", `size${size}`]);
    for (const size of sizes) {
      const head = Buffer.from(`$${size}\r\n`);
      const expected = Buffer.concat([head, Buffer.alloc(size, size % 251), Buffer.from("\r\n")]);
      expect((await client.reply()).equals(expected)).toBe(true);
    }
  }
  client.close();
  await writer.quit();
  await close(opened);
});

test("A value larger than a thread's share passes, and two of them together do not", async () => {
  const opened = await open(1, { proxy_max_offheap_size: 1 });
  const client = await RespClient.connect(opened.port.port);
  const value = Buffer.alloc(24 * 1024 * 1024, "v");
  expect(await client.call("SET", "large", value)).toBe("OK");
  const read = (await client.call("GET", "large")) as Buffer;
  expect(read.equals(value)).toBe(true);
  expect(opened.reasons).toEqual([]);
  const begun = Buffer.concat([Buffer.from("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$30000000\r\n"), value]);
  const others = [1, 2].map(() => RespClient.connect(opened.port.port));
  const ends = (await Promise.all(others)).map((other) => other.raw(begun, 1));
  expect((await Promise.race(ends).catch((error) => error)).message).toContain("connection lost");
  expect(opened.reasons).toEqual([
    expect.stringMatching(
      /^limit reached: proxy_max_offheap_size \(raise it; 16777216 bytes .* held \d{8} bytes$/,
    ),
  ]);
  for (const other of await Promise.all(others)) other.close();
  await Promise.allSettled(ends);
  client.close();
  await close(opened);
}, 60_000);

test("Clients that send and never read are bounded in memory, and others are served", async () => {
  const opened = await open(1, { proxy_max_offheap_size: 16 * 1024 * 1024 });
  const good = await RespClient.connect(opened.port.port);
  const value = Buffer.alloc(8 * 1024 * 1024, 1);
  await good.call("SET", "big", value);
  const request = encodeRequest(["GET", "big"]);
  const closed = Promise.withResolvers<void>();
  let closedCount = 0;
  const silent = await Promise.all(
    Array.from({ length: 20 }, () =>
      Bun.connect({
        hostname: "127.0.0.1",
        port: opened.port.port,
        socket: {
          open: (socket) => {
            socket.pause();
            socket.write(Buffer.concat(Array.from({ length: 100 }, () => request)));
          },
          data: () => {},
          error: () => {},
          close: () => {
            if (++closedCount === 1) closed.resolve();
          },
        },
      }),
    ),
  );
  // The first gets 32 replies before the size of any is known, and others two each: far more than
  // they may hold. Some are closed, and whoever reads is not disturbed.
  while (opened.reasons.length === 0) {
    expect(await good.call("PING")).toBe("PONG");
    expect(((await good.call("GET", "big")) as Buffer).length).toBe(value.length);
  }
  expect(opened.reasons[0]).toMatch(
    /^limit reached: (session_output_max|proxy_max_offheap_size \(raise it; .*): its replies/,
  );
  for (const socket of silent) socket.terminate();
  expect(await good.call("PING")).toBe("PONG");
  good.close();
  await close(opened);
}, 60_000);
