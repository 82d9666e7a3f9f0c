/**
 * What happens at the limits, on the built executable: many idle clients, many clients that send
 * and never read, and each limit that a config file names, when it is reached. README names the
 * bounds on memory that are asserted here.
 */

import { afterAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { maxDescriptors } from "../../src/api/metrics.ts";
import { ProxyClient } from "../../src/api/proxy-client.ts";
import { encodeRequest } from "../../src/resp/encoder.ts";
import { ErrorReply } from "../../src/resp/reply.ts";
import { exchange } from "../fuzz/exchange.ts";
import { peakResidentBytes, residentBytes } from "../support/proc.ts";
import { type Program, Programs } from "../support/programs.ts";
import { RespClient } from "../support/resp-client.ts";
import { StalledClients } from "../support/stalled-clients.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

const IDLE_CLIENTS = 10_000;
/** README: what an idle client costs. */
const IDLE_CLIENT_BYTES_MAX = 4 * KIB;

const STALLED_CLIENTS = 1000;
const OUTPUT_BUDGET_BYTES = 64 * MIB;
/** README: what a client may hold uncounted against proxy_max_offheap_size, maxmemory-clients. */
const UNCOUNTED_BYTES = 64 * KIB;
/** README: buffers have up to twice the room; as much again, and this, may wait for the collector. */
const BUFFER_FACTOR = 3;
const GARBAGE_BYTES = 512 * MIB;
/** README: the server goes on reading a client until this much waits for it. */
const SERVER_BACKLOG_BYTES = 256 * KIB;
/** Of each stalled client: more than all of them may hold together, 2 GB. */
const STALLED_GETS = 100;
const STALLED_VALUE_BYTES = 20 * KIB;

/** More together than BUFFER_FACTOR and GARBAGE_BYTES allow: 4 GB, in buffers of 128 MiB each. */
const LARGE_VALUE_CLIENTS = 40;
const LARGE_VALUE_BYTES = 100 * MIB;
/** Of an unfinished request: one fits into OUTPUT_BUDGET_BYTES. */
const PARTIAL_BYTES = 60 * MIB;

/** Another client's request, once those clients stand still; most of it is for busy machines. */
const SERVED_MS_MAX = 3000;

const programs = new Programs();

afterAll(() => programs.stop(), 60_000);

async function startProxy(config: string, backends = 1): Promise<Program> {
  const servers = [];
  for (let i = 0; i < backends; i++) servers.push(await programs.redis());
  return await programs.proxy({ backends: servers.map(({ port }) => port), config });
}

async function startServer(config: string): Promise<Program> {
  const path = join(programs.directory, `server-${Math.random()}.toml`);
  writeFileSync(path, config);
  return await programs.server({ args: ["--config", path] });
}

async function sessionsOf(proxy: Program): Promise<number> {
  const { client } = await ProxyClient.open(`127.0.0.1:${proxy.adminPort}`, "");
  return (await client.stats()).sessions.alive;
}

/** @returns milliseconds of the slowest of 100 requests */
async function slowestOf(client: RespClient, key: string): Promise<number> {
  let slowestMs = 0;
  for (let i = 0; i < 100; i++) {
    const beganMs = performance.now();
    expect(String(await client.call("GET", key))).toBe("value");
    slowestMs = Math.max(slowestMs, performance.now() - beganMs);
  }
  return slowestMs;
}

/** Sends bytes on a connection of its own, waits for the other side to close it. */
async function sent(port: number, text: string): Promise<string> {
  const none = Buffer.alloc(0);
  const bytes = Buffer.from(text, "latin1");
  const outcome = await exchange(port, {
    prologue: none,
    bytes,
    isBytewise: false,
    halfCloses: false,
  });
  expect(outcome.isTimedOut).toBe(false);
  return outcome.received.latin1Slice();
}

describe("A proxy", () => {
  test("keeps ten thousand idle clients in little memory and serves others", async () => {
    // This process holds as many; `ulimit -Hn` must allow it.
    expect(maxDescriptors()).toBeGreaterThan(IDLE_CLIENTS + 500);
    const proxy = await startProxy(`proxy_max_clients = ${IDLE_CLIENTS + 100}\n`);
    const client = await RespClient.connect(proxy.port);
    expect(await client.call("SET", "key", "value")).toBe("OK");
    await slowestOf(client, "key");
    const before = residentBytes(proxy.pid);
    const idle: RespClient[] = [];
    while (idle.length < IDLE_CLIENTS) {
      const batch = Array.from({ length: 200 }, () => RespClient.connect(proxy.port));
      idle.push(...(await Promise.all(batch)));
    }
    expect(await sessionsOf(proxy)).toBe(IDLE_CLIENTS + 1);
    const each = (residentBytes(proxy.pid) - before) / IDLE_CLIENTS;
    process.stdout.write(`an idle client takes ${each.toFixed(0)} bytes\n`);
    expect(each).toBeLessThan(IDLE_CLIENT_BYTES_MAX);
    expect(await slowestOf(client, "key")).toBeLessThan(SERVED_MS_MAX);
    // They are not forgotten either.
    const replies = await Promise.all(idle.map((one) => one.call("PING")));
    expect(replies.filter((reply) => reply !== "PONG")).toEqual([]);
    for (const one of [...idle, client]) one.close();
  });

  test("bounds its memory when a thousand clients send and never read, and serves others", async () => {
    const proxy = await startProxy(
      `proxy_max_clients = 2000\nproxy_max_offheap_size = "${OUTPUT_BUDGET_BYTES / MIB}mb"\n`,
      2,
    );
    const client = await RespClient.connect(proxy.port);
    await client.call("SET", "key", "value");
    await client.call("SET", "big", "x".repeat(STALLED_VALUE_BYTES));
    await slowestOf(client, "key");
    const before = residentBytes(proxy.pid);
    const stalled = new StalledClients(proxy.port, STALLED_CLIENTS);
    stalled.send(Buffer.concat(Array(STALLED_GETS).fill(encodeRequest(["GET", "big"]))));
    // Its requests stand in the same queues as theirs: the first waits for all of those.
    const beganMs = performance.now();
    while ((await slowestOf(client, "key")) > SERVED_MS_MAX) {
      expect(performance.now() - beganMs).toBeLessThan(60_000);
    }
    const peak = peakResidentBytes(proxy.pid) - before;
    const held = OUTPUT_BUDGET_BYTES + STALLED_CLIENTS * UNCOUNTED_BYTES;
    process.stdout.write(`${STALLED_CLIENTS} stalled clients took ${peak / MIB} MiB at most\n`);
    expect(peak).toBeLessThan(BUFFER_FACTOR * held + GARBAGE_BYTES);
    stalled.close();
    client.close();
  }, 120_000);

  test("serves others soon while forty clients ask for large values and never read", async () => {
    const proxy = await startProxy("");
    const known = await RespClient.connect(proxy.port);
    await known.call("SET", "key", "value");
    await known.call("SET", "big", Buffer.alloc(5 * MIB, "x"));
    await slowestOf(known, "key");
    const stalled = new StalledClients(proxy.port, 40);
    stalled.send(Buffer.concat(Array(20).fill(encodeRequest(["GET", "big"]))));
    const waits: number[] = [];
    for (let i = 0; i < 20; i++) {
      const beganMs = performance.now();
      const fresh = await RespClient.connect(proxy.port);
      const replies = await Promise.all([fresh.call("GET", "key"), known.call("GET", "key")]);
      expect(replies.map(String)).toEqual(["value", "value"]);
      waits.push(performance.now() - beganMs);
      fresh.close();
    }
    const slowestMs = Math.max(...waits);
    process.stdout.write(`beside 40 that never read the slowest took ${slowestMs.toFixed(0)} ms\n`);
    expect(slowestMs).toBeLessThan(2 * SERVED_MS_MAX);
    stalled.close();
    known.close();
  }, 120_000);

  test("refuses clients above proxy_max_clients, and takes others when some have gone", async () => {
    const proxy = await startProxy("proxy_max_clients = 3\n");
    const clients: RespClient[] = [];
    for (let i = 0; i < 3; i++) clients.push(await RespClient.connect(proxy.port));
    for (const client of clients) expect(await client.call("PING")).toBe("PONG");
    expect(await sent(proxy.port, "")).toBe("-ERR max number of clients reached\r\n");
    clients.pop()!.close();
    while ((await sessionsOf(proxy)) > 2) await Promise.resolve();
    const next = await RespClient.connect(proxy.port);
    expect(await next.call("PING")).toBe("PONG");
    for (const client of [...clients, next]) client.close();
  });

  test("answers all of a pipeline longer than session_max_pipeline and backend_max_pipeline", async () => {
    const proxy = await startProxy("session_max_pipeline = 4\nbackend_max_pipeline = 2\n", 2);
    const client = await RespClient.connect(proxy.port);
    const keys = Array.from({ length: 1000 }, (_, i) => `key${i}`);
    const replies = await client.pipeline(
      keys.flatMap((key) => [
        ["SET", key, key],
        ["GET", key],
      ]),
    );
    expect(replies.map(String)).toEqual(keys.flatMap((key) => ["OK", key]));
    client.close();
  });

  test("closes a client for which more than session_output_max waits", async () => {
    // A client that takes nothing would be closed after session_send_timeout anyway.
    const proxy = await startProxy(`session_output_max = "1mb"\nsession_send_timeout = "0s"\n`);
    const client = await RespClient.connect(proxy.port);
    await client.call("SET", "big", "x".repeat(500 * KIB));
    const stalled = new StalledClients(proxy.port, 3);
    stalled.send(Buffer.concat(Array(20).fill(encodeRequest(["GET", "big"]))));
    while ((await sessionsOf(proxy)) > 1) await Promise.resolve();
    expect(await client.call("PING")).toBe("PONG");
    stalled.close();
    client.close();
  });

  test("closes a client that takes nothing for session_send_timeout", async () => {
    const proxy = await startProxy(`session_send_timeout = "1s"\n`);
    const client = await RespClient.connect(proxy.port);
    await client.call("SET", "big", "x".repeat(500 * KIB));
    const stalled = new StalledClients(proxy.port, 3);
    stalled.send(encodeRequest(["GET", "big"]));
    while ((await sessionsOf(proxy)) > 1) await Promise.resolve();
    expect(await client.call("PING")).toBe("PONG");
    stalled.close();
    client.close();
  });

  test("closes a client that says nothing for session_recv_timeout", async () => {
    const proxy = await startProxy(`session_recv_timeout = "1s"\n`);
    const idle = await RespClient.connect(proxy.port);
    while (!idle.isLost) expect(await sessionsOf(proxy)).toBeLessThan(2);
  });

  test("passes the largest value whatever its threads, and reads it back", async () => {
    const redis = await programs.redis();
    const proxy = await programs.proxy({ backends: [redis.port], threads: 16 });
    const client = await RespClient.connect(proxy.port);
    const value = Buffer.alloc(512 * MIB, "v");
    expect(await client.call("SET", "large", value)).toBe("OK");
    const read = (await client.call("GET", "large")) as Buffer;
    expect(read.equals(value)).toBe(true);
    process.stdout.write(
      `a value of 512 MiB took ${(peakResidentBytes(proxy.pid) / MIB).toFixed(0)} MiB\n`,
    );
    client.close();
    await redis.stop();
  }, 120_000);

  test("closes silently at a request beyond what it takes", async () => {
    const proxy = await startProxy("");
    const { port } = proxy;
    expect(await sent(port, "x".repeat(MIB + 1))).toBe("");
    expect(await sent(port, `*${"0".repeat(128 * KIB)}1\r\n`)).toBe("");
    expect(await sent(port, "*1048577\r\n")).toBe("");
    expect(await sent(port, "PING\r\n*2\r\n$4\r\nECHO\r\n$536870913\r\n")).toBe("+PONG\r\n");
  });
});

describe("A server", () => {
  test("refuses clients above maxclients, and takes others when some have gone", async () => {
    const server = await startServer("maxclients = 3\n");
    const clients: RespClient[] = [];
    for (let i = 0; i < 3; i++) clients.push(await RespClient.connect(server.port));
    for (const client of clients) expect(await client.call("PING")).toBe("PONG");
    expect(await sent(server.port, "")).toBe("-ERR max number of clients reached\r\n");
    clients.pop()!.close();
    const connected = async (): Promise<string> =>
      String(await clients[0]!.call("INFO", "clients"));
    while (!(await connected()).includes("connected_clients:2")) await Promise.resolve();
    const next = await RespClient.connect(server.port);
    expect(await next.call("PING")).toBe("PONG");
    for (const client of [...clients, next]) client.close();
  });

  test("refuses writes above maxmemory and still reads and deletes", async () => {
    const server = await startServer(`maxmemory = "32mb"\n`);
    const client = await RespClient.connect(server.port);
    const value = "v".repeat(64 * KIB);
    let refusal: unknown;
    let written = 0;
    while (refusal === undefined) {
      const reply = await client.call("SET", `key${written}`, value);
      if (reply instanceof ErrorReply) refusal = reply.text;
      else written++;
    }
    expect(refusal).toBe("OOM command not allowed when used memory > 'maxmemory'.");
    expect(written).toBeGreaterThan(300);
    expect(String(await client.call("GET", "key0"))).toBe(value);
    for (let i = 0; i < 10; i++) expect(await client.call("DEL", `key${i}`)).toBe(1);
    expect(await client.call("SET", "key0", "small")).toBe("OK");
    client.close();
  });

  test("names the protocol error at a request beyond what it takes, and closes", async () => {
    const server = await startServer(`proto-max-bulk-len = "1mb"\n`);
    const { port } = server;
    const error = (text: string): string => `-ERR Protocol error: ${text}\r\n`;
    expect(await sent(port, "*2\r\n$4\r\nECHO\r\n$1048577\r\n")).toBe(error("invalid bulk length"));
    expect(await sent(port, "*2147483648\r\n")).toBe(error("invalid multibulk length"));
    expect(await sent(port, "x".repeat(64 * KIB + 1))).toBe(error("too big inline request"));
    expect(await sent(port, `*${"1".repeat(64 * KIB)}`)).toBe(error("too big mbulk count string"));
  });

  test("closes a client whose unfinished request is longer than client-query-buffer-limit", async () => {
    const server = await startServer(`client-query-buffer-limit = "1mb"\n`);
    const begun = `*9\r\n$4\r\nMSET\r\n$900000\r\n${"k".repeat(900_000)}\r\n$900000\r\n`;
    expect(await sent(server.port, begun)).toStartWith("-ERR Protocol error");
    const client = await RespClient.connect(server.port);
    expect(await client.call("PING")).toBe("PONG");
    client.close();
  });

  test("takes little from a client that owes the password", async () => {
    const server = await startServer(`requirepass = "secret"\n`);
    const error = (text: string): string => `-ERR Protocol error: ${text}\r\n`;
    expect(await sent(server.port, "*11\r\n")).toBe(error("unauthenticated multibulk length"));
    expect(await sent(server.port, "*2\r\n$4\r\nAUTH\r\n$16385\r\n")).toBe(
      error("unauthenticated bulk length"),
    );
  });

  test("stops reading a client that does not read, and serves others", async () => {
    const server = await startServer("");
    const client = await RespClient.connect(server.port);
    await client.call("SET", "key", "value");
    await client.call("SET", "big", "x".repeat(STALLED_VALUE_BYTES));
    await slowestOf(client, "key");
    const before = residentBytes(server.pid);
    const stalled = new StalledClients(server.port, STALLED_CLIENTS);
    stalled.send(Buffer.concat(Array(STALLED_GETS).fill(encodeRequest(["GET", "big"]))));
    expect(await slowestOf(client, "key")).toBeLessThan(10 * SERVED_MS_MAX);
    expect(await slowestOf(client, "key")).toBeLessThan(SERVED_MS_MAX);
    const peak = peakResidentBytes(server.pid) - before;
    process.stdout.write(`${STALLED_CLIENTS} stalled clients took ${peak / MIB} MiB at most\n`);
    const held = STALLED_CLIENTS * SERVER_BACKLOG_BYTES;
    expect(peak).toBeLessThan(BUFFER_FACTOR * held + GARBAGE_BYTES);
    stalled.close();
    client.close();
  });

  test("bounds its memory when many clients ask for a large value and never read", async () => {
    const server = await startServer(`maxmemory-clients = "${OUTPUT_BUDGET_BYTES / MIB}mb"\n`);
    const client = await RespClient.connect(server.port);
    await client.call("SET", "key", "value");
    await client.call("SETRANGE", "big", LARGE_VALUE_BYTES - 1, "x");
    await slowestOf(client, "key");
    const before = residentBytes(server.pid);
    const stalled = new StalledClients(server.port, LARGE_VALUE_CLIENTS);
    stalled.send(encodeRequest(["GET", "big"]));
    const evicted = async (): Promise<number> => {
      const info = String(await client.call("INFO", "stats"));
      return Number(/evicted_clients:(\d+)/.exec(info)![1]);
    };
    // One reply fits beside what the others may hold.
    while ((await evicted()) < LARGE_VALUE_CLIENTS - 1) await slowestOf(client, "key");
    const peak = peakResidentBytes(server.pid) - before;
    process.stdout.write(`${LARGE_VALUE_CLIENTS} large replies took ${peak / MIB} MiB at most\n`);
    const held = OUTPUT_BUDGET_BYTES + LARGE_VALUE_CLIENTS * UNCOUNTED_BYTES + LARGE_VALUE_BYTES;
    expect(peak).toBeLessThan(BUFFER_FACTOR * held + GARBAGE_BYTES);
    stalled.close();
    client.close();
  }, 120_000);

  test("bounds its memory when many clients send large requests in part", async () => {
    const server = await startServer(`maxmemory-clients = "${OUTPUT_BUDGET_BYTES / MIB}mb"\n`);
    const client = await RespClient.connect(server.port);
    await client.call("SET", "key", "value");
    await slowestOf(client, "key");
    const before = residentBytes(server.pid);
    const head = `*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$${LARGE_VALUE_BYTES}\r\n`;
    const begun = Buffer.concat([Buffer.from(head), Buffer.alloc(PARTIAL_BYTES, "x")]);
    const senders: Socket[] = [];
    let closed = 0;
    for (let i = 0; i < LARGE_VALUE_CLIENTS; i++) {
      const sender = connect(server.port, "127.0.0.1");
      sender.on("error", () => {});
      sender.on("close", () => closed++);
      sender.write(begun);
      senders.push(sender);
    }
    // One of them fits into what all may hold.
    while (closed < LARGE_VALUE_CLIENTS - 1) await slowestOf(client, "key");
    const peak = peakResidentBytes(server.pid) - before;
    process.stdout.write(
      `${LARGE_VALUE_CLIENTS} requests in part took ${peak / MIB} MiB at most\n`,
    );
    const held = OUTPUT_BUDGET_BYTES + LARGE_VALUE_CLIENTS * UNCOUNTED_BYTES;
    expect(peak).toBeLessThan(BUFFER_FACTOR * held + GARBAGE_BYTES);
    for (const sender of senders) sender.destroy();
    client.close();
  }, 120_000);

  test("closes a client that says nothing for its timeout", async () => {
    const server = await startServer("timeout = 1\n");
    const idle = await RespClient.connect(server.port);
    const busy = await RespClient.connect(server.port);
    while (!idle.isLost) expect(await busy.call("PING")).toBe("PONG");
    busy.close();
  });
});
