/** How clients that ask for much share a connection to a server, and how others pass them. */

import { expect, test } from "bun:test";
import { HEAVY_BYTES, HEAVY_MAX, HEAVY_STALL_MS } from "../../src/proxy/heavy-gate.ts";
import { OUTPUT_HOLD_BYTES } from "../../src/proxy/output-watch.ts";
import { LIGHT_REPLIES } from "../../src/proxy/reply-window.ts";
import { BLOCKED } from "../../src/proxy/slot.ts";
import { A, B, bulk, type FakeClient, SLOT_A, World } from "./machines.ts";

const MIB = 1024 * 1024;
const LARGE = bulk("x".repeat(4 * MIB));

/** One request `count` times, in one chunk. */
function send(client: FakeClient, key: string, count = 20): void {
  client.send(...Array.from({ length: count }, () => `GET {a}${key}`));
}

/** Forty clients that ask for 20 values each, and what has reached the server of it. */
async function crowded(): Promise<{ world: World; crowd: FakeClient[] }> {
  const world = new World();
  await world.halves();
  const crowd = Array.from({ length: 40 }, () => world.client());
  for (const client of crowd) send(client, "big");
  return { world, crowd };
}

test("However many clients ask for much, so many requests reach the server", async () => {
  const { world } = await crowded();
  expect(world.server(B).requests().length).toBe(HEAVY_MAX);
  expect(world.server(B).backend.gate.length).toBe(HEAVY_MAX);
});

test("A client known to ask for little passes them, whatever it asks for then", async () => {
  const world = new World();
  await world.halves();
  const light = world.lightClient(64);
  const crowd = Array.from({ length: 40 }, () => world.client());
  for (const client of crowd) send(client, "big");
  const server = world.server(B);
  server.requests();
  send(light, "small", 60);
  expect(server.requests()).toEqual(Array(60).fill(["GET", "{a}small"]));
  server.reply(bulk("big").repeat(HEAVY_MAX));
  server.requests();
  server.reply(LARGE);
  send(light, "small", 1);
  // It was owed a large one: from now on it stands in line with the others.
  expect(server.requests()).not.toContainEqual(["GET", "{a}small"]);
});

test("While replies are large fewer are at the server, and more again when they are small", async () => {
  const { world, crowd } = await crowded();
  const server = world.server(B);
  const { gate } = server.backend;
  const take = (): void => {
    for (const client of crowd) client.readAll();
  };
  for (let i = 0; i < 2 * HEAVY_MAX; i++) {
    server.reply(LARGE);
    take();
  }
  expect(gate.length).toBeLessThanOrEqual(HEAVY_BYTES / (4 * MIB));
  expect(gate.length).toBeGreaterThan(1);
  for (let i = 0; i < 100; i++) server.reply(bulk("y".repeat(100)));
  expect(gate.length).toBe(HEAVY_MAX);
});

test("A new client waits for those before it, a request of each, and not for all they sent", async () => {
  const { world, crowd } = await crowded();
  const server = world.server(B);
  const late = world.client();
  send(late, "late", 1);
  let before = 0;
  for (let asked = server.requests(); late.output() === ""; asked = server.requests()) {
    for (const [, key] of asked) {
      if (key === "{a}big") before++;
      server.reply(key === "{a}big" ? bulk("x".repeat(MIB)) : bulk("small"));
    }
  }
  expect(before).toBeLessThanOrEqual(HEAVY_MAX + 2 * crowd.length);
});

test("Clients become light by replies of servers, and by nothing else", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send(...Array.from({ length: 100 }, () => "PING"));
  send(client, "x", 100);
  expect(world.server(B).requests().length).toBe(HEAVY_MAX);
  world.server(B).reply(bulk("v").repeat(LIGHT_REPLIES));
  expect(world.server(B).requests().length).toBeGreaterThanOrEqual(LIGHT_REPLIES);
  expect(client.session.window.trusted).toBeGreaterThan(0);
});

test("Forty clients that asked for little, and then for much, are not trusted with much", async () => {
  const world = new World();
  await world.halves();
  const crowd = Array.from({ length: 40 }, () => world.lightClient());
  const light = world.lightClient();
  for (const client of crowd) send(client, "big", 64);
  const server = world.server(B);
  expect(server.requests().length).toBe(crowd.length + HEAVY_MAX);
  send(light, "small", 1);
  expect(server.requests()).toEqual([["GET", "{a}small"]]);
  // The first large replies end it: nobody has more than one at the server from then on.
  for (let i = 0; i < crowd.length + HEAVY_MAX; i++) server.reply(LARGE);
  expect(light.output()).toBe("");
  server.reply(bulk("small"));
  expect(light.output()).toBe(bulk("small"));
  expect(server.backend.gate.length).toBeLessThanOrEqual(HEAVY_BYTES / (4 * MIB));
  expect(crowd.every((client) => client.session.window.trusted === 0)).toBe(true);
});

test("Those that wait go on when others leave, and one that leaves is forgotten", async () => {
  const world = new World();
  await world.halves();
  const clients = Array.from({ length: HEAVY_MAX + 3 }, () => world.client());
  for (const client of clients) send(client, "x", 1);
  const server = world.server(B);
  const { gate } = server.backend;
  expect([server.requests().length, gate.waiters.length]).toEqual([HEAVY_MAX, 3]);
  clients[HEAVY_MAX]!.disconnect();
  expect(gate.waiters.length).toBe(2);
  clients[0]!.disconnect();
  server.reply(bulk("1"));
  expect([server.requests().length, gate.waiters.length]).toEqual([1, 1]);
  server.reply(bulk("v").repeat(HEAVY_MAX));
  server.reply(bulk("v"));
  expect([gate.length, gate.waiters.length]).toEqual([0, 0]);
  expect(clients.slice(1).map((client) => client.output())).toEqual(
    clients.slice(1).map((client) => (client === clients[HEAVY_MAX] ? "" : bulk("v"))),
  );
});

test("A server that says nothing keeps nobody waiting at the gate", async () => {
  const { world } = await crowded();
  const server = world.server(B);
  world.elapse(HEAVY_STALL_MS);
  expect(server.requests().length).toBe(HEAVY_MAX);
  world.elapse(1);
  expect(server.requests().length).toBe(40 * 20 - HEAVY_MAX);
});

test("Who waits when the connection breaks is sent over the next one", async () => {
  const { world, crowd } = await crowded();
  const server = world.server(B);
  server.requests();
  server.drop();
  const next = world.server(B);
  expect(next).not.toBe(server);
  expect([next.requests().length, next.backend.gate.length]).toEqual([HEAVY_MAX, HEAVY_MAX]);
  for (let left = 40 * 20 - HEAVY_MAX; left > 0; left--) next.reply(bulk("v"));
  const replies = crowd.map((client) => client.output()).join("");
  expect(replies.split("-ERR handle response").length - 1).toBe(HEAVY_MAX);
  expect(replies.split(bulk("v")).length - 1).toBe(40 * 20 - HEAVY_MAX);
});

test("Who waits when the slot gets another server goes there, also when no slot uses the old", async () => {
  const world = new World();
  await world.fill({ id: SLOT_A, backend_addr: B });
  world.connect();
  const clients = Array.from({ length: 3 * HEAVY_MAX }, () => world.client());
  for (const client of clients) send(client, "x", 1);
  const server = world.server(B);
  expect(server.requests().length).toBe(HEAVY_MAX);
  const filled = world.fill({ id: SLOT_A, backend_addr: A });
  while (world.router.slots[SLOT_A]!.mode !== BLOCKED) await Promise.resolve();
  server.reply(bulk("old").repeat(HEAVY_MAX));
  await filled;
  expect(server.backend.isClosed).toBe(true);
  for (let i = 0; i < 2; i++) {
    const next = world.server(A);
    expect(next.requests().length).toBe(HEAVY_MAX);
    next.reply(bulk("new").repeat(HEAVY_MAX));
  }
  expect(clients.map((client) => client.output())).toEqual([
    ...Array(HEAVY_MAX).fill(bulk("old")),
    ...Array(2 * HEAVY_MAX).fill(bulk("new")),
  ]);
});

test("A slow client alone is waited for, though it waits at the gate itself", async () => {
  const world = new World();
  await world.halves();
  const slow = world.client();
  send(slow, "big", 2 * HEAVY_MAX);
  const server = world.server(B);
  server.reply(bulk("x".repeat(OUTPUT_HOLD_BYTES)));
  expect([server.backend.gate.waiters.length, server.wire.isPaused]).toEqual([1, true]);
  for (let i = 0; i < 100; i++) world.elapse(100, [slow]);
  expect(server.wire.isPaused).toBe(true);
  const other = world.client();
  send(other, "small", 1);
  for (let i = 0; i < 2; i++) world.elapse(100, [slow]);
  expect(server.wire.isPaused).toBe(false);
});
