/** Sessions over recorders: order, streaming, limits, ends. */

import { expect, test } from "bun:test";
import { HOLD_BURST_MS } from "../../src/proxy/hold.ts";
import { OUTPUT_HOLD_BYTES } from "../../src/proxy/output-watch.ts";
import { OUTPUT_PAUSE_BYTES } from "../../src/proxy/session.ts";
import { A, B, bulk, SLOT_FOO, World } from "./machines.ts";

test("Session answers in request order when the second backend is faster", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send("GET foo", "GET a", "GET foo");
  expect(world.server(A).requests()).toEqual([
    ["GET", "foo"],
    ["GET", "foo"],
  ]);
  expect(world.server(B).requests()).toEqual([["GET", "a"]]);
  world.server(B).reply(bulk("second"));
  expect(client.output()).toBe("");
  world.server(A).reply(bulk("first"));
  expect(client.output()).toBe(bulk("first") + bulk("second"));
  world.server(A).reply(bulk("third"));
  expect(client.output()).toBe(bulk("third"));
});

test("Requests and replies may come one byte at a time", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  for (const byte of "*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$3\r\nGET\r\n$3\r\nfoo\r\n") {
    client.sendRaw(byte);
  }
  for (const byte of bulk("x")) world.server(A).reply(byte);
  expect(client.output()).toBe("");
  for (const byte of bulk("yz")) world.server(B).reply(byte);
  expect(client.output()).toBe(bulk("yz") + bulk("x"));
});

test("A reply that is next in order is passed on piece by piece", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send("GET a");
  world.server(B).reply("$10\r\n01234");
  expect(client.output()).toBe("$10\r\n01234");
  world.server(B).reply("56789\r\n");
  expect(client.output()).toBe("56789\r\n");
});

test("A reply that comes early in part goes on piece by piece when its turn comes", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send("GET foo", "GET a", "GET foo");
  world.server(B).reply("$10\r\n01");
  world.server(B).reply("234");
  world.server(A).reply(bulk("first"));
  expect(client.output()).toBe(`${bulk("first")}$10\r\n01234`);
  world.server(B).reply("56789\r\n");
  world.server(A).reply(bulk("last"));
  expect(client.output()).toBe(`56789\r\n${bulk("last")}`);
});

test("Many early replies are kept, small and large, and leave in order", async () => {
  const world = new World();
  await world.halves();
  const client = world.lightClient(512);
  for (let owed = client.session.window.size; owed < 512; owed *= 2) {
    client.send(...Array.from({ length: owed }, () => "GET a"));
    world.server(B).reply(bulk("small").repeat(owed));
  }
  client.output();
  client.send("GET foo", ...Array.from({ length: 500 }, () => "GET a"));
  const values = Array.from({ length: 500 }, (_, i) => bulk(`${i}:`.padEnd((i * 37) % 300, "x")));
  world.server(B).reply(values.join(""));
  expect(client.output()).toBe("");
  world.server(A).reply(bulk("head"));
  expect(client.output()).toBe(bulk("head") + values.join(""));
});

test("A broken connection answers the reply awaited and those behind it, and nothing twice", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send("GET a", "GET a", "GET foo");
  world.server(B).drop();
  world.server(A).reply(bulk("alive"));
  expect(client.output()).toBe(
    "-ERR handle response, backend conn failure, EOF\r\n" +
      `-ERR handle response, backend conn reset\r\n${bulk("alive")}`,
  );
  world.connect();
  expect(world.server(B).requests()).toEqual([]);
});

test("A reply cut off in the middle ends the session", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send("GET a", "GET foo");
  world.server(B).reply("$10\r\n01");
  world.server(B).drop();
  expect(client.wire.isDestroyed).toBe(true);
  expect(world.closed[0]!.reason).toContain("reply cut off");
  world.server(A).reply(bulk("nobody waits"));
});

test("session_break_on_failure ends the session behind the failure", async () => {
  const world = new World({ session_break_on_failure: true });
  await world.halves();
  const client = world.client();
  client.send("GET foo", "GET a", "GET foo", "GET foo");
  world.server(B).drop();
  expect(client.output()).toBe("");
  world.server(A).reply(bulk("1") + bulk("2") + bulk("3"));
  expect(client.output()).toBe(`${bulk("1")}-ERR handle response, backend conn failure, EOF\r\n`);
  expect(client.wire.isClosed).toBe(true);
  client.send("GET foo");
  expect(world.server(A).requests().length).toBe(3);
});

test("Replies of one client go on when another one left in the middle", async () => {
  const world = new World();
  await world.halves();
  const leaver = world.client();
  const stayer = world.client();
  leaver.send("GET a", "GET a");
  stayer.send("GET a");
  world.server(B).reply("$4\r\nle");
  leaver.disconnect();
  world.server(B).reply(`ft\r\n${bulk("x")}${bulk("mine")}`);
  expect(stayer.output()).toBe(bulk("mine"));
  expect(world.stats.fails).toBe(2);
});

test("QUIT is answered behind what is owed, and what follows it is not served", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send("GET a", "QUIT", "GET a");
  expect(client.wire.isClosed).toBe(false);
  world.server(B).reply(bulk("v"));
  expect(client.output()).toBe(`${bulk("v")}+OK\r\n`);
  expect(client.wire.isClosed).toBe(true);
  expect(world.server(B).requests()).toEqual([["GET", "a"]]);
});

test("A client that half-closes gets what it is owed", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send("GET a");
  client.end();
  expect(client.wire.isClosed).toBe(false);
  world.server(B).reply(bulk("v"));
  expect(client.output()).toBe(bulk("v"));
  expect(client.wire.isClosed).toBe(true);
});

test("A protocol error closes without a word behind what is owed", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.sendRaw("*2\r\n$3\r\nGET\r\n$1\r\na\r\n*0\r\n");
  expect(client.wire.isClosed).toBe(false);
  world.server(B).reply(bulk("v"));
  expect(client.output()).toBe(bulk("v"));
  expect(client.wire.isClosed).toBe(true);
});

test("At session_max_pipeline the client is not read from, and goes on when replies left", async () => {
  const world = new World({ session_max_pipeline: 5 });
  await world.halves();
  const client = world.client();
  const keys = Array.from({ length: 20 }, (_, i) => `{a}${i}`);
  client.send(...keys.slice(0, 15).map((key) => `GET ${key}`));
  expect(world.server(B).requests().length).toBe(7);
  expect(client.wire.isPaused).toBe(false);
  client.send(...keys.slice(15).map((key) => `GET ${key}`));
  expect(client.wire.isPaused).toBe(true);
  let answered = 7;
  world.server(B).reply(bulk("v").repeat(7));
  while (answered < 20) {
    const more = world.server(B).requests();
    expect(more.map(([, key]) => key)).toEqual(keys.slice(answered, answered + more.length));
    expect(more.length).toBeGreaterThan(0);
    answered += more.length;
    world.server(B).reply(bulk("v").repeat(more.length));
  }
  expect(client.output()).toBe(bulk("v").repeat(20));
  expect(client.wire.isPaused).toBe(false);
});

test("A client that does not read is not read from either", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  const big = bulk("x".repeat(OUTPUT_PAUSE_BYTES));
  client.send("GET a");
  world.server(B).reply(big);
  client.send("GET a");
  client.send("GET a");
  world.endTurn();
  expect(world.server(B).requests().length).toBe(1);
  expect(client.wire.isPaused).toBe(true);
  expect(client.readAll()).toBe(big.length);
  expect(world.server(B).requests().length).toBe(2);
  expect(client.wire.isPaused).toBe(false);
});

test("Output that the turn's write takes does not stop a session", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send("GET a");
  world.server(B).reply(bulk("x".repeat(OUTPUT_PAUSE_BYTES)));
  client.send("GET a");
  expect(world.server(B).requests().length).toBe(1);
  client.wire.out.clear();
  world.endTurn();
  expect(world.server(B).requests().length).toBe(1);
});

const FULL = bulk("x".repeat(OUTPUT_HOLD_BYTES));

test("A client that is behind holds the backend while nobody else waits for it", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send("GET a", "GET a", "GET a");
  const server = world.server(B);
  server.reply(FULL);
  expect(server.wire.isPaused).toBe(true);
  for (let i = 0; i < 20; i++) world.elapse(100, [client]);
  expect(server.wire.isPaused).toBe(true);
  client.readAll();
  expect(server.wire.isPaused).toBe(false);
});

test("While others wait a backend is held for a short time, and then a small share of it", async () => {
  const world = new World({ backend_ping_period: 0 });
  await world.halves();
  const client = world.client();
  const other = world.client();
  const server = world.server(B);
  client.send(...Array.from({ length: 9 }, () => "GET a"));
  other.send("GET a");
  server.reply(FULL);
  expect(server.wire.isPaused).toBe(true);
  world.elapse(HOLD_BURST_MS, [client]);
  expect(server.wire.isPaused).toBe(false);
  server.reply(FULL.repeat(2));
  expect(server.wire.isPaused).toBe(false);
  world.elapse(1000, [client]);
  server.reply(FULL);
  expect(server.wire.isPaused).toBe(true);
  world.elapse(50, [client]);
  expect(server.wire.isPaused).toBe(false);
});

test("A backend is not held any longer when the write of the turn was enough", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send("GET a");
  world.server(B).reply(FULL);
  client.wire.out.clear();
  world.endTurn();
  expect(world.server(B).wire.isPaused).toBe(false);
});

test("A session that ends lets go of the backends it holds", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send("GET a");
  world.server(B).reply(bulk("x".repeat(OUTPUT_HOLD_BYTES)));
  client.disconnect();
  expect(world.server(B).wire.isPaused).toBe(false);
  expect(world.budget.totalBytes).toBe(0);
});

test("Above session_output_max a session is closed and named", async () => {
  const world = new World({ session_output_max: 1024 * 1024 });
  await world.halves();
  const client = world.client();
  client.send("GET a", "GET a");
  world.server(B).reply(bulk("x".repeat(600 * 1024)));
  expect(client.wire.isDestroyed).toBe(false);
  world.server(B).reply(bulk("x".repeat(600 * 1024)));
  expect(client.wire.isDestroyed).toBe(true);
  expect(world.closed[0]!.reason).toStartWith("limit reached: session_output_max: its");
});

test("Early replies count towards session_output_max", async () => {
  const world = new World({ session_output_max: 1024 * 1024 });
  await world.halves();
  const client = world.client();
  client.send("GET foo", "GET a", "GET a");
  world.server(B).reply(bulk("x".repeat(600 * 1024)));
  world.server(B).reply(`$${600 * 1024}\r\n${"x".repeat(500 * 1024)}`);
  expect(world.closed[0]!.reason).toStartWith("limit reached: session_output_max: its");
  world.server(A).reply(bulk("late"));
});

test("Over all sessions the one that holds most is closed first", async () => {
  const world = new World({ proxy_max_offheap_size: 1024 * 1024 });
  await world.halves();
  const small = world.client();
  const large = world.client();
  small.send("GET a");
  large.send("GET a");
  world.server(B).reply(bulk("x".repeat(400 * 1024)) + bulk("x".repeat(500 * 1024)));
  expect(world.closed).toEqual([]);
  small.send("GET a");
  world.server(B).reply(bulk("x".repeat(100 * 1024)));
  expect(world.closed.length).toBe(0);
  large.send("GET a");
  world.server(B).reply(bulk("x".repeat(100 * 1024)));
  expect(world.closed.map(({ session }) => session)).toEqual([large.session]);
  expect(world.closed[0]!.reason).toMatch(
    /^limit reached: proxy_max_offheap_size: .* held \d+ bytes$/,
  );
  expect(small.readAll()).toBeGreaterThan(500 * 1024);
  expect(world.budget.totalBytes).toBe(0);
});

test("Requests that have not come whole, or wait for a slot, count towards the same budget", async () => {
  const world = new World({ proxy_max_offheap_size: 1024 * 1024 });
  await world.halves();
  await world.fill({ id: SLOT_FOO, backend_addr: A, locked: true });
  const half = world.client();
  const waiting = world.client();
  waiting.sendWords(["SET", "foo", "x".repeat(500 * 1024)]);
  half.sendRaw("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2000000\r\n");
  half.sendRaw("x".repeat(400 * 1024));
  expect(world.closed).toEqual([]);
  for (let i = 0; i < 3; i++) half.sendRaw("x".repeat(100 * 1024));
  expect(world.closed.map(({ session }) => session)).toEqual([half.session]);
  expect(world.closed[0]!.reason).toMatch(
    /^limit reached: proxy_max_offheap_size: .* held \d+ bytes$/,
  );
  expect(world.budget.totalBytes).toBeGreaterThan(500 * 1024);
  await world.fill({ id: SLOT_FOO, backend_addr: A });
  world.server(A).reply("+OK\r\n");
  world.elapse(500, [waiting]);
  expect(world.budget.totalBytes).toBe(0);
});

test("A client that owes a password may send what AUTH and HELLO need, and no more", async () => {
  const world = new World({ session_auth: "secret" });
  await world.halves();
  for (const request of ["*11\r\n", "*3\r\n$3\r\nSET\r\n$16385\r\n"]) {
    const client = world.client();
    client.sendRaw(request);
    expect(client.wire.isClosed).toBe(true);
    const friend = world.client();
    friend.send("AUTH secret");
    friend.sendRaw(request);
    expect([friend.wire.isClosed, friend.output()]).toEqual([false, "+OK\r\n"]);
  }
});

test("A client that takes none of its replies for session_send_timeout is closed", async () => {
  const world = new World();
  await world.halves();
  world.turn.nowMs = 1e6;
  const client = world.client();
  client.send("GET a");
  world.server(B).reply(bulk("v"));
  world.elapse(100, [client]);
  world.elapse(29_000, [client]);
  expect(client.wire.isDestroyed).toBe(false);
  world.elapse(1_100, [client]);
  expect(client.wire.isDestroyed).toBe(true);
  expect(world.closed[0]!.reason).toBe("limit reached: session_send_timeout");
});

test("A client that sends nothing for session_recv_timeout is closed, what it is owed delivered", async () => {
  const world = new World({ session_recv_timeout: 5000, backend_recv_timeout: 0 });
  await world.halves();
  const client = world.client();
  world.elapse(4000, [client]);
  client.send("GET a");
  world.elapse(5100, [client]);
  expect(client.wire.isClosed).toBe(false);
  world.server(B).reply(bulk("v"));
  expect(client.output()).toBe(bulk("v"));
  expect(client.wire.isClosed).toBe(true);
});

test("A password is asked for, accepted, and revoked by a wrong one", async () => {
  const world = new World({ session_auth: "secret" });
  await world.halves();
  const client = world.client();
  client.send("GET a", "CONFIG GET *", "AUTH wrong", "AUTH secret", "GET a", "AUTH no", "GET a");
  world.server(B).reply(bulk("v"));
  expect(client.output()).toBe(
    "-NOAUTH Authentication required\r\n" +
      "-ERR handle request, command 'CONFIG' is not allowed\r\n" +
      `-ERR invalid password\r\n+OK\r\n${bulk("v")}` +
      "-ERR invalid password\r\n-NOAUTH Authentication required\r\n",
  );
});

test("A session keeps nothing when everything was answered", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  for (let round = 0; round < 50; round++) {
    client.send("GET foo", "GET a", "GET a");
    world.server(B).reply(bulk("x".repeat(90_000)) + bulk("y"));
    world.server(A).reply(bulk("z"));
    client.readAll();
    expect(client.session.length).toBe(0);
    expect(world.budget.totalBytes).toBe(0);
  }
  expect(world.stats.snapshot().commands).toMatchObject([{ opstr: "GET", calls: 150, fails: 0 }]);
});
