/** One connection to a server: set-up, loss, retries, keepalive, limits. */

import { expect, test } from "bun:test";
import { BACKEND_OUTPUT_MAX } from "../../src/proxy/backend.ts";
import { HOLD_BURST_MS } from "../../src/proxy/hold.ts";
import { OUTPUT_HOLD_BYTES } from "../../src/proxy/output-watch.ts";
import type { PlaneConfig } from "../../src/proxy/plane.ts";
import { PROBE_REPLY_MAX } from "../../src/proxy/probe.ts";
import { BLOCKED } from "../../src/proxy/slot.ts";
import { A, B, bulk, SLOT_A, SLOT_FOO, World } from "./machines.ts";

/** Slot of key `a` at B, whose connection is dialed and not yet answered. */
async function dialing(config: Partial<PlaneConfig> = {}): Promise<World> {
  const world = new World(config);
  await world.fill({ id: SLOT_A, backend_addr: B });
  return world;
}

const FAILURE = "-ERR handle response, backend conn failure, EOF\r\n";
const RESET = "-ERR handle response, backend conn reset\r\n";

test("Requests wait while the connection is dialed", async () => {
  const world = await dialing();
  const client = world.client();
  client.send("GET a");
  expect(client.output()).toBe("");
  expect(world.server(B).requests()).toEqual([["GET", "a"]]);
});

test("AUTH and SELECT go first, and no request before they are answered", async () => {
  const world = await dialing({ product_auth: "p w" });
  const client = world.client();
  client.send("SELECT 3", "GET a");
  expect(client.output()).toBe("+OK\r\n");
  const server = world.server(B, 3);
  expect(server.requests()).toEqual([
    ["AUTH", "p w"],
    ["SELECT", "3"],
  ]);
  server.reply("+OK\r\n+O");
  expect(server.requests()).toEqual([]);
  expect(server.backend.isHealthy).toBe(false);
  server.reply("K\r\n");
  expect(server.backend.isHealthy).toBe(true);
  expect(server.requests()).toEqual([["GET", "a"]]);
  server.reply(bulk("v"));
  expect(client.output()).toBe(bulk("v"));
});

test("A database other than 0 is opened at first use", async () => {
  const world = await dialing();
  world.connect();
  expect(world.servers.length).toBe(1);
  const client = world.client();
  client.send("SELECT 2", "GET a");
  expect(world.dialed.map(({ database }) => database)).toEqual([2]);
});

test("A refused set-up fails what was queued, which was never sent", async () => {
  const world = await dialing({ product_auth: "wrong" });
  const client = world.client();
  client.send("GET a", "GET a");
  const server = world.server(B);
  server.reply("-ERR invalid password\r\n");
  expect(client.output()).toBe(RESET + RESET);
  expect(server.requests()).toEqual([]);
  expect(server.wire.isDestroyed).toBe(true);
  expect(world.dialed.length).toBe(1);
});

test("A lost connection is dialed again at once, and nothing is sent twice", async () => {
  const world = await dialing();
  const client = world.client();
  client.send("INCR a", "INCR a");
  world.server(B).requests();
  world.server(B).drop();
  expect(client.output()).toBe(FAILURE + RESET);
  client.send("INCR a");
  expect(client.output()).toBe("");
  expect(world.server(B).requests()).toEqual([["INCR", "a"]]);
});

test("After a drop while idle the next request is served", async () => {
  const world = await dialing();
  world.connect();
  world.server(B).drop();
  const client = world.client();
  client.send("GET a");
  world.server(B).reply(bulk("v"));
  expect(client.output()).toBe(bulk("v"));
});

test("Ten failures are retried at once, later ones wait longer and longer, and requests fail fast", async () => {
  const world = await dialing();
  const client = world.client();
  client.send("GET a");
  world.refuse();
  expect(client.output()).toBe(RESET);
  for (let failed = 1; failed < 11; failed++) {
    expect(world.dialed.length).toBe(1);
    world.refuse();
  }
  expect(world.dialed.length).toBe(0);
  client.send("GET a", "GET a");
  expect(client.output()).toBe(RESET + RESET);
  const waits: number[] = [];
  for (let attempt = 0; attempt < 9; attempt++) {
    let waited = 0;
    while (world.dialed.length === 0) {
      world.elapse(50);
      waited += 50;
    }
    waits.push(waited);
    world.refuse();
  }
  expect(waits).toEqual([50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  world.elapse(5000);
  client.send("GET a");
  expect(world.server(B).requests()).toEqual([["GET", "a"]]);
});

test("A server that accepts and closes is not dialed in a tight loop", async () => {
  const world = await dialing();
  for (let i = 0; i < 11; i++) world.server(B).drop();
  expect(world.dialed.length).toBe(0);
});

test("A reply that is none breaks the connection, in the original's words", async () => {
  for (const [reply, cause] of [
    ["X\r\n", "bad resp type <unknown-0x58>"],
    ["$536870913\r\n", "bad bulk bytes len, too long"],
    ["$1\r\nab\r\n", "bad CRLF end"],
  ] as const) {
    const world = await dialing();
    const client = world.client();
    client.send("GET a", "GET a");
    world.server(B).reply(reply);
    expect(client.output()).toBe(
      `-ERR handle response, backend conn failure, ${cause}\r\n${RESET}`,
    );
    expect(world.dialed.length).toBe(1);
  }
});

test("A reply nobody asked for breaks the connection", async () => {
  const world = await dialing();
  const server = world.server(B);
  server.reply("+OK\r\n");
  expect(server.wire.isDestroyed).toBe(true);
});

test("A server that does not answer for backend_recv_timeout is given up", async () => {
  const world = await dialing({ backend_recv_timeout: 5000, backend_ping_period: 0 });
  const client = world.client();
  world.connect();
  world.elapse(60_000);
  client.send("GET a", "GET a");
  world.elapse(4000);
  world.server(B).reply("$4\r\nab");
  world.elapse(4000);
  expect(client.output()).toBe("$4\r\nab");
  world.server(B).reply(`cd\r\n`);
  world.elapse(5100);
  expect(client.output()).toContain("i/o timeout");
  expect(world.dialed.length).toBe(1);
});

test("A server that does not read for backend_send_timeout is given up", async () => {
  const world = await dialing({ backend_recv_timeout: 0, backend_send_timeout: 5000 });
  world.connect();
  const client = world.client();
  client.send("GET a");
  world.elapse(100);
  world.elapse(4000);
  expect(client.output()).toBe("");
  world.elapse(1100);
  expect(client.output()).toContain("backend conn failure, write tcp");
});

test("An idle connection is probed each backend_ping_period", async () => {
  const world = await dialing({ backend_ping_period: 5000 });
  world.connect();
  world.elapse(4900);
  expect(world.server(B).requests()).toEqual([]);
  world.elapse(100);
  expect(world.server(B).requests()).toEqual([["PING"]]);
  world.elapse(5000);
  expect(world.server(B).requests()).toEqual([]);
  world.server(B).reply("-ERR whatever\r\n");
  world.elapse(5000);
  expect(world.server(B).requests()).toEqual([["PING"]]);
});

test("A server whose reply to a probe does not end is given up", async () => {
  const world = await dialing({ backend_ping_period: 5000 });
  world.connect();
  world.elapse(5000);
  const server = world.server(B);
  server.requests();
  server.reply("$500000000\r\n");
  for (let sent = 0; sent < PROBE_REPLY_MAX; sent += 64 * 1024) server.reply("x".repeat(64 * 1024));
  const client = world.client();
  client.send("GET a");
  world.elapse(100);
  expect(client.output()).toBe(RESET);
  expect(world.dialed.length).toBe(1);
});

test("A server that loads or lost its master is stale until INFO says otherwise", async () => {
  for (const word of ["LOADING Redis is loading", "MASTERDOWN Link with MASTER is down"]) {
    const world = await dialing({ backend_ping_period: 1000 });
    const client = world.client();
    client.send("GET a");
    const server = world.server(B);
    server.requests();
    server.reply(`-${word}\r\n`);
    expect(client.output()).toBe(`-${word}\r\n`);
    expect(server.backend.isHealthy).toBe(false);
    for (const [info, isHealthy] of [
      ["-LOADING still\r\n", false],
      [bulk("role:slave\r\nmaster_link_status:down\r\n"), false],
      [bulk("loading:1\r\n"), false],
      [bulk("loading:0\r\nmaster_link_status:up\r\n"), true],
    ] as const) {
      world.elapse(1000);
      expect(server.requests()).toEqual([["INFO"]]);
      server.reply(info);
      expect(server.backend.isHealthy).toBe(isHealthy);
    }
    world.elapse(1000);
    expect(server.requests()).toEqual([["PING"]]);
  }
});

test("A full backend lets sessions wait, and serves them in their order when there is room", async () => {
  const world = await dialing({ backend_max_pipeline: 2 });
  world.connect();
  const clients = [world.client(), world.client(), world.client()];
  for (const [i, client] of clients.entries()) client.send(`GET {a}${i}0`, `GET {a}${i}1`);
  const server = world.server(B);
  const seen: string[] = [];
  for (let round = 0; round < 6; round++) {
    const requests = server.requests();
    seen.push(...requests.map(([, key]) => key!));
    expect(server.backend.length).toBeLessThanOrEqual(2);
    server.reply(bulk("v").repeat(requests.length));
  }
  expect(seen.length).toBe(6);
  for (const [i, client] of clients.entries()) {
    expect(client.output()).toBe(bulk("v").repeat(2));
    expect(seen.filter((key) => key.startsWith(`{a}${i}`))).toEqual([`{a}${i}0`, `{a}${i}1`]);
  }
});

test("backend_max_pipeline 0 sends one request at a time", async () => {
  const world = await dialing({ backend_max_pipeline: 0 });
  const client = world.client();
  client.send("GET a", "GET a");
  expect(world.server(B).requests().length).toBe(1);
  world.server(B).reply(bulk("v"));
  expect(world.server(B).requests().length).toBe(1);
});

test("A backend that does not read holds what a few requests need, and others wait", async () => {
  const world = await dialing();
  world.connect();
  const clients = Array.from({ length: 40 }, () => world.client());
  for (const client of clients) client.sendWords(["SET", "a", "x".repeat(256 * 1024)]);
  const server = world.server(B);
  expect(server.wire.backlogBytes).toBeLessThan(BACKEND_OUTPUT_MAX + 512 * 1024);
  let served = 0;
  while (served < clients.length) {
    const count = server.requests().length;
    expect(count).toBeGreaterThan(0);
    served += count;
    server.reply("+OK\r\n".repeat(count));
  }
  for (const client of clients) expect(client.output()).toBe("+OK\r\n");
});

test("Sessions that wait for a backend when its last slot leaves all go where the slot leads", async () => {
  const world = await dialing({ backend_max_pipeline: 2 });
  world.connect();
  const clients = Array.from({ length: 7 }, () => world.client());
  for (const client of clients) client.send("GET a");
  const old = world.server(B);
  const filled = world.fill({ id: SLOT_A, backend_addr: A });
  await Promise.resolve();
  old.reply(bulk("old").repeat(old.requests().length));
  await filled;
  for (let round = 0; round < 4; round++) {
    const server = world.server(A);
    server.reply(bulk("new").repeat(server.requests().length));
  }
  expect(clients.map((client) => client.output())).toEqual([
    ...Array(2).fill(bulk("old")),
    ...Array(5).fill(bulk("new")),
  ]);
});

test("A client that leaves while it waits for room is forgotten", async () => {
  const world = await dialing({ backend_max_pipeline: 1 });
  world.connect();
  const client = world.client();
  client.send("GET a");
  const { waiters } = world.server(B).backend;
  for (let i = 0; i < 100; i++) {
    const leaver = world.client();
    leaver.send("GET a");
    expect(waiters.length).toBe(1);
    leaver.disconnect();
  }
  expect(waiters.length).toBe(0);
});

test("Sessions that waited for a backend that broke go on", async () => {
  const world = await dialing({ backend_max_pipeline: 1 });
  world.connect();
  const first = world.client();
  const second = world.client();
  first.send("GET a");
  second.send("GET a");
  world.server(B).drop();
  expect(first.output()).toBe(FAILURE);
  world.server(B).requests();
  world.server(B).reply(bulk("v"));
  expect(second.output()).toBe(bulk("v"));
});

test("Several connections in parallel: a session keeps to one of them, unless it is down", async () => {
  const world = await dialing({ backend_primary_parallel: 3 });
  world.connect();
  expect(world.servers.length).toBe(3);
  const client = world.client();
  client.send("GET a", "GET a", "GET a");
  const used = world.servers.filter(({ backend }) => backend.length > 0);
  expect(used.map(({ backend }) => backend.length)).toEqual([3]);
  used[0]!.drop();
  client.output();
  client.send("GET a");
  const other = world.servers.filter(({ backend }) => backend.length > 0);
  expect(other.length).toBe(1);
  expect(other[0]).not.toBe(used[0]);
});

test("Of parallel connections one that connects first overtakes none that is still dialed", async () => {
  const world = await dialing({ backend_primary_parallel: 2 });
  const client = world.client();
  client.send("SET a 1");
  const own = world.dialed.findIndex((backend) => backend.length > 0);
  const [ownBackend] = world.dialed.splice(own, 1);
  world.connect();
  client.send("SET a 2", "MSET a 3 a 4");
  expect(world.servers[0]!.requests()).toEqual([]);
  world.dialed.push(ownBackend!);
  world.connect();
  expect(world.servers[1]!.requests().length).toBe(4);
  world.servers[1]!.reply("+OK\r\n".repeat(4));
  expect(client.output()).toBe("+OK\r\n".repeat(3));
  world.servers[1]!.drop();
  client.send("EXISTS a", "GET a");
  expect(world.servers[0]!.requests()).toEqual([
    ["EXISTS", "a"],
    ["GET", "a"],
  ]);
});

test("The last slot to leave an address closes its connection when all is answered", async () => {
  const world = await dialing();
  await world.fill({ id: 1, backend_addr: A });
  world.connect();
  const [toB, toA] = [world.server(B), world.server(A)];
  await world.fill({ id: SLOT_A, backend_addr: A });
  expect(toB.wire.isClosed).toBe(true);
  expect(toA.wire.isClosed).toBe(false);
  expect(world.dialed).toEqual([]);
});

test("Destroyed connections stay with their slots: nobody dials anew, and requests fail", async () => {
  const world = new World();
  await world.halves();
  world.primaries.destroy();
  await world.fill({ id: SLOT_FOO, backend_addr: A });
  expect(world.dialed).toEqual([]);
  const client = world.client();
  client.send("GET foo");
  expect(client.output()).toBe(RESET);
});

test("A client that does not read keeps a slot from being drained for a short time only", async () => {
  const world = await dialing({ backend_ping_period: 0 });
  world.connect();
  const client = world.client();
  client.send("GET a", "GET a");
  const server = world.server(B);
  server.reply(bulk("x".repeat(OUTPUT_HOLD_BYTES)));
  world.elapse(10 * HOLD_BURST_MS, [client]);
  expect(server.wire.isPaused).toBe(true);
  const filled = world.fill({ id: SLOT_A, backend_addr: B, locked: true });
  while (world.router.slots[SLOT_A]!.mode !== BLOCKED) await Promise.resolve();
  world.elapse(HOLD_BURST_MS, [client]);
  expect(server.wire.isPaused).toBe(false);
  server.reply(bulk("x"));
  await filled;
});
