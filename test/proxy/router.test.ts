/** The slot table: fills, locks, drains; and which way each kind of command takes. */

import { expect, test } from "bun:test";
import { CodisError } from "../../src/base/errors.ts";
import { HTTP_DETECTED } from "../../src/commands/http.ts";
import { A, B, bulk, SLOT_A, SLOT_FOO, World } from "./machines.ts";

const C = "10.0.0.3:6379";
const OFFLINE = "-ERR handle request, slot is not ready, may be offline\r\n";

// -- fill ---------------------------------------------------------------------------------------

test("A slot without backend refuses", async () => {
  const world = new World();
  const client = world.client();
  client.send("GET a", "PING");
  expect(client.output()).toBe(`${OFFLINE}+PONG\r\n`);
});

test("Requests to a locked slot wait, and go where it leads when it is unlocked", async () => {
  const world = new World();
  await world.halves();
  await world.fill({ id: SLOT_A, backend_addr: B, locked: true });
  const waiting = world.client();
  const other = world.client();
  waiting.send("GET a", "GET foo");
  other.send("GET foo");
  expect(world.server(A).requests()).toEqual([["GET", "foo"]]);
  await world.fill({ id: SLOT_A, backend_addr: C, locked: true });
  expect(world.server(C).requests()).toEqual([]);
  await world.fill({ id: SLOT_A, backend_addr: C });
  expect(world.server(C).requests()).toEqual([["GET", "a"]]);
  expect(world.server(A).requests()).toEqual([["GET", "foo"]]);
  world.server(A).reply(bulk("1") + bulk("2"));
  world.server(C).reply(bulk("3"));
  expect(waiting.output()).toBe(bulk("3") + bulk("2"));
});

test("A fill waits until what is under way is answered, and requests wait for the fill", async () => {
  const world = new World();
  await world.halves();
  const before = world.client();
  const during = world.client();
  before.send("GET a", "GET a");
  const order: string[] = [];
  const filled = world.fill({ id: SLOT_A, backend_addr: A }).then(() => order.push("filled"));
  await Promise.resolve();
  during.send("GET a");
  expect(world.server(B).requests().length).toBe(2);
  world.server(B).reply(bulk("1"));
  await Promise.resolve();
  order.push("half");
  world.server(B).reply(bulk("2"));
  await filled;
  expect(order).toEqual(["half", "filled"]);
  expect(world.server(A).requests()).toEqual([["GET", "a"]]);
  world.server(A).reply(bulk("3"));
  expect(before.output()).toBe(bulk("1") + bulk("2"));
  expect(during.output()).toBe(bulk("3"));
});

test("Requests that fail with their connection count as answered", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send("GET a", "GET a");
  const filled = world.fill({ id: SLOT_A, backend_addr: A });
  world.server(B).drop();
  await filled;
  expect(world.router.slots[SLOT_A]!.underWay).toBe(0);
});

test("What a client left behind is still waited for", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send("SET a 1");
  client.disconnect();
  let isFilled = false;
  const filled = world.fill({ id: SLOT_A, backend_addr: A }).then(() => {
    isFilled = true;
  });
  await Promise.resolve();
  expect(isFilled).toBe(false);
  world.server(B).reply("+OK\r\n");
  await filled;
});

test("Definitions apply in order until one is wrong", async () => {
  const world = new World();
  const fills = [
    { id: 1, backend_addr: A },
    { id: 1024, backend_addr: A },
    { id: 2, backend_addr: A },
  ];
  await expect(world.fill(...fills)).rejects.toThrow("use of invalid slot id");
  await expect(world.fill({ id: 3, forward_method: 2 })).rejects.toThrow(
    "use of invalid forwarder method",
  );
  const addresses = world.router.slots.map(({ definition }) => definition.backend_addr);
  expect(addresses.slice(0, 4)).toEqual(["", A, "", ""]);
});

test("What is reported is what acts: no group id without address, no empty replica group", async () => {
  const world = new World();
  await world.fill({ id: 7, backend_addr_group_id: 3, migrate_from_group_id: 4 });
  await world.fill({ id: 8, backend_addr: A, replica_groups: [[], [B]] });
  expect(world.router.slots[7]!.definition).toMatchObject({
    backend_addr_group_id: 0,
    migrate_from_group_id: 0,
  });
  expect(world.router.slots[8]!.definition.replica_groups).toEqual([[B]]);
  const primaryOnly = new World({ backend_primary_only: true });
  await primaryOnly.fill({ id: 8, backend_addr: A, replica_groups: [[B]] });
  expect(primaryOnly.router.slots[8]!.definition.replica_groups).toEqual([]);
});

test("Filling a slot with its own address again keeps the connection that others use", async () => {
  const world = new World();
  await world.halves();
  const { backend } = world.server(A);
  await world.fill({ id: SLOT_FOO, backend_addr: A });
  expect(world.dialed).toEqual([]);
  expect(world.server(A).backend).toBe(backend);
});

test("A closed router answers what is under way, releases who waits, and refuses the rest", async () => {
  const world = new World();
  await world.halves();
  await world.fill({ id: SLOT_FOO, backend_addr: A, locked: true });
  const waiting = world.client();
  const client = world.client();
  waiting.send("GET foo");
  client.send("GET a");
  const closed = world.router.close();
  await Promise.resolve();
  world.server(B).reply(bulk("v"));
  await closed;
  world.turn.run();
  expect(client.output()).toBe(bulk("v"));
  expect(waiting.output()).toBe(OFFLINE);
  client.send("GET a");
  expect(client.output()).toBe(OFFLINE);
  expect(world.fill({ id: 1 })).rejects.toThrow(CodisError);
});

test("A client that leaves a locked slot's queue is forgotten, and not served later", async () => {
  const world = new World();
  await world.halves();
  await world.fill({ id: SLOT_A, backend_addr: B, locked: true });
  const client = world.client();
  client.send("SET a 1");
  const { waiters } = world.router.slots[SLOT_A]!;
  expect(waiters.length).toBe(1);
  client.disconnect();
  expect(waiters.length).toBe(0);
  await world.fill({ id: SLOT_A, backend_addr: B });
  expect(world.server(B).requests()).toEqual([]);
});

// -- replicas -----------------------------------------------------------------------------------

test("Reads go to a healthy replica of the first group that has one, the primary's own do not", async () => {
  const world = new World();
  await world.fill({ id: SLOT_A, backend_addr: A, replica_groups: [[B], [C]] });
  world.connect();
  const client = world.client();
  client.send("GET a", "SET a 1", "HSCAN a 0", "TOUCH a");
  expect(world.server(B).requests()).toEqual([["GET", "a"]]);
  expect(world.server(A).requests()).toEqual([
    ["SET", "a", "1"],
    ["HSCAN", "a", "0"],
    ["TOUCH", "a"],
  ]);
  world.server(B).reply("-LOADING wait\r\n");
  client.send("GET a");
  expect(world.server(C).requests()).toEqual([["GET", "a"]]);
  world.server(C).drop();
  client.send("GET a");
  expect(world.server(A).requests()).toEqual([["GET", "a"]]);
});

// -- ways ---------------------------------------------------------------------------------------

test("Keys of one slot go together, keys of several are refused", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send("SINTER {t}a {t}b", "SINTER a b", "ZUNIONSTORE {t}d 2 {t}x {t}y", "RENAME a foo");
  expect(client.output()).toBe("");
  const server = world.servers.find(({ backend }) => backend.length > 0)!;
  expect(server.requests().length).toBe(2);
  server.reply("*0\r\n:0\r\n");
  const crossSlot = "-CROSSSLOT Keys in request don't hash to the same slot\r\n";
  expect(client.output()).toBe(`*0\r\n${crossSlot}:0\r\n${crossSlot}`);
});

test("Commands that are unknown, not allowed or not supported yet are refused by name", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send("FOO a b", "get\0 a", "CONFIG GET x", "keys *", "BLPOP a 0", "MULTI");
  expect(client.output()).toBe(
    "-ERR unknown command 'FOO', with args beginning with: 'a' 'b' \r\n" +
      "-ERR unknown command 'get', with args beginning with: 'a' \r\n" +
      "-ERR handle request, command 'CONFIG' is not allowed\r\n" +
      "-ERR handle request, command 'KEYS' is not allowed: each server has only its own keys; " +
      "send it to the master of each group, see 'codis admin group list'\r\n" +
      "-ERR handle request, command 'BLPOP' is not supported yet\r\n" +
      "-ERR handle request, command 'MULTI' is not supported yet\r\n",
  );
  client.sendWords(["X\r\nY", "z\n"]);
  expect(client.output()).toBe("-ERR unknown command 'X  Y', with args beginning with: 'z ' \r\n");
  client.sendWords(["x".repeat(65)]);
  client.sendWords([""]);
  const badLength = "-ERR handle request, bad command length, too short or too long\r\n";
  expect(client.output()).toBe(badLength + badLength);
  expect(world.servers.every((server) => server.requests().length === 0)).toBe(true);
});

for (const limits of [{}, { compat: "codis" }, { session_auth: "secret" }]) {
  test(`HTTP is cut off before anything behind it runs, with ${JSON.stringify(limits)}`, async () => {
    const world = new World(limits);
    await world.halves();
    const named = ["POST / HTTP/1.1", "post /", "Host: 10.0.0.9:19000", "hOsT:"];
    for (const line of named) {
      const client = world.client();
      client.sendRaw(`${line}\r\nSET pwned 1\r\n`);
      client.send("SET pwned 2");
      expect(client.output()).toBe("");
      expect(client.wire.isDestroyed).toBe(true);
    }
    const client = world.client();
    client.sendWords(["POST"]);
    expect(client.wire.isDestroyed).toBe(true);
    expect(world.servers.flatMap((server) => server.requests())).toEqual([]);
    expect(world.closed.map(({ reason }) => reason)).toEqual(Array(5).fill(HTTP_DETECTED));
    expect(world.stats.snapshot()).toMatchObject({ total: 5, fails: 5, redisErrors: 0 });
    // A key, a value and a longer name are no command name.
    const other = world.client();
    other.send("AUTH secret", "GET POST", "SET host: POST", "POSTS");
    expect(other.wire.isDestroyed).toBe(false);
  });
}

test("A command with a subcommand finds its key behind it", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send("OBJECT ENCODING foo", "MEMORY USAGE a");
  expect(world.server(A).requests()).toEqual([["OBJECT", "ENCODING", "foo"]]);
  expect(world.server(B).requests()).toEqual([["MEMORY", "USAGE", "a"]]);
});

test("More keys than fit the router's list are all looked at", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  const keys = Array.from({ length: 1000 }, (_, i) => `{t}${i}`);
  client.send(`SUNION ${keys.join(" ")}`, `SUNION ${keys.join(" ")} other`);
  expect(world.servers.flatMap((server) => server.requests()).length).toBe(1);
});

test("compat = codis forwards what it does not know, by the first argument and as a write", async () => {
  const world = new World({ compat: "codis" });
  await world.halves();
  const client = world.client();
  client.send("FOO a x", "SINTER a foo", "EVAL s 1 foo", "KEYS *", "HELLO 3");
  expect(world.server(B).requests()).toEqual([
    ["FOO", "a", "x"],
    ["SINTER", "a", "foo"],
  ]);
  expect(world.server(A).requests()).toEqual([["EVAL", "s", "1", "foo"]]);
  world.server(B).reply("-ERR unknown command 'FOO'\r\n*0\r\n");
  world.server(A).reply(":1\r\n");
  expect(client.output()).toStartWith(
    "-ERR unknown command 'FOO'\r\n*0\r\n:1\r\n" +
      "-ERR handle request, command 'KEYS' is not allowed\r\n%7\r\n",
  );
  const names = world.stats.snapshot().commands.map(({ opstr }) => opstr);
  expect(names).toEqual(["EVAL", "FOO", "HELLO", "KEYS", "SINTER"]);
});
