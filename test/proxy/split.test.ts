/** Commands over several keys, one request each, and the reply made of theirs. */

import { expect, test } from "bun:test";
import { assertRow, rowsOf } from "../golden/load.ts";
import { A, B, bulk, SLOT_FOO, World } from "./machines.ts";

interface MergeRecord {
  readonly every_sub_reply: string;
  readonly replies: Readonly<Record<string, string>>;
}

for (const row of rowsOf("proxy/merge.json")) {
  const record = row.record as unknown as MergeRecord;
  test(`Recorded: replies made of ${JSON.stringify(record.every_sub_reply)}`, async () => {
    const replies: Record<string, string> = {};
    for (const request of Object.keys(record.replies)) {
      const world = new World();
      await world.halves();
      const client = world.client();
      client.send(request);
      for (const server of world.servers) {
        server.reply(record.every_sub_reply.repeat(server.requests().length));
      }
      replies[request] = client.output();
    }
    assertRow({ ...row, recorded: record.replies }, replies);
  });
}

test("Parts go out in one go, each to its slot, and their replies come together in key order", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send("MGET a foo b a", "GET a");
  expect(world.server(A).requests()).toEqual([["MGET", "foo"]]);
  expect(world.server(B).requests()).toEqual([
    ["MGET", "a"],
    ["MGET", "b"],
    ["MGET", "a"],
    ["GET", "a"],
  ]);
  const one = (value: string) => `*1\r\n${bulk(value)}`;
  for (const byte of `${one("1")}*1\r\n$-1\r\n${one("4")}${bulk("5")}`) world.server(B).reply(byte);
  expect(client.output()).toBe("");
  world.server(A).reply(one("2"));
  expect(client.output()).toBe(`*4\r\n${bulk("1")}${bulk("2")}$-1\r\n${bulk("4")}${bulk("5")}`);
});

test("Values with line ends in them are kept whole through MSET and MGET", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.sendWords(["MSET", "a", "1\r\n", "foo", ""]);
  expect(world.server(B).requests()).toEqual([["MSET", "a", "1\r\n"]]);
  expect(world.server(A).requests()).toEqual([["MSET", "foo", ""]]);
});

test("UNLINK and TOUCH are split like DEL, EXISTS counts a key as often as it is named", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send("UNLINK a foo", "TOUCH a foo", "EXISTS a foo a");
  world.server(A).reply(":1\r\n:1\r\n:1\r\n");
  world.server(B).reply(":1\r\n:0\r\n:1\r\n:1\r\n");
  expect(client.output()).toBe(":2\r\n:1\r\n:3\r\n");
});

test("Wrong numbers of arguments are said before anything is sent", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send("MSET a", "MSET a 1 b", "MGET", "DEL", "EXISTS");
  expect(client.output()).toBe(
    ["MSET", "MSET", "MGET", "DEL", "EXISTS"]
      .map((name) => `-ERR wrong number of arguments for '${name}' command\r\n`)
      .join(""),
  );
  expect(world.servers.every((server) => server.requests().length === 0)).toBe(true);
});

test("A part whose slot is offline fails the command; parts before it took effect", async () => {
  const world = new World();
  await world.halves();
  await world.fill({ id: SLOT_FOO });
  const client = world.client();
  client.send("MSET a 1 foo 2 b 3", "GET a");
  expect(client.output()).toBe("-ERR handle request, slot is not ready, may be offline\r\n");
  expect(world.server(B).requests()).toEqual([
    ["MSET", "a", "1"],
    ["GET", "a"],
  ]);
  world.server(B).reply(`+OK\r\n${bulk("1")}`);
  expect(client.output()).toBe(bulk("1"));
});

test("A lost backend fails the command with the first failure in key order", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send("DEL foo a b", "PING");
  world.server(B).drop();
  world.server(A).reply("-ERR not an integer\r\n");
  expect(client.output()).toBe(
    "-ERR handle response, bad del resp: <error> value.len = 18\r\n+PONG\r\n",
  );
  client.send("DEL a b");
  world.server(B).drop();
  expect(client.output()).toBe("-ERR handle response, backend conn failure, EOF\r\n");
});

test("Parts that fail by the hundred thousand cost little each", async () => {
  const keys = Array.from({ length: 200_000 }, (_, i) => `a${i}`);
  const world = new World({ backend_max_pipeline: keys.length });
  await world.halves();
  const client = world.lightClient();
  const beganMs = performance.now();
  client.send(`DEL ${keys.join(" ")}`);
  const sentMs = performance.now();
  for (const server of world.servers) server.drop();
  const failedMs = performance.now();
  expect(client.output()).toBe("-ERR handle response, backend conn failure, EOF\r\n");
  // A third of the sending; it was 14 times that when each part was searched for.
  expect(failedMs - sentMs).toBeLessThan(3 * (sentMs - beganMs));
});

test("A part waits for a locked slot, and what follows in the session behind it", async () => {
  const world = new World();
  await world.halves();
  await world.fill({ id: SLOT_FOO, backend_addr: A, locked: true });
  const client = world.client();
  client.send("DEL a foo b", "GET a");
  expect(world.server(B).requests()).toEqual([["DEL", "a"]]);
  world.server(B).reply(":1\r\n");
  await world.fill({ id: SLOT_FOO, backend_addr: A });
  expect(world.server(A).requests()).toEqual([["DEL", "foo"]]);
  expect(world.server(B).requests()).toEqual([
    ["DEL", "b"],
    ["GET", "a"],
  ]);
  world.server(B).reply(`:1\r\n${bulk("v")}`);
  world.server(A).reply(":0\r\n");
  expect(client.output()).toBe(`:2\r\n${bulk("v")}`);
});

test("A client that leaves in the middle leaves nothing behind", async () => {
  const world = new World();
  await world.halves();
  const leaver = world.client();
  const stayer = world.client();
  leaver.send("MGET a foo b");
  stayer.send("GET a", "GET foo");
  world.server(B).reply(`*1\r\n${bulk("1")}`);
  leaver.disconnect();
  world.server(B).reply(`*1\r\n${bulk("3")}${bulk("mine")}`);
  world.server(A).reply(`*1\r\n${bulk("2")}${bulk("too")}`);
  expect(stayer.output()).toBe(bulk("mine") + bulk("too"));
  expect(world.router.slots.every((slot) => slot.underWay === 0)).toBe(true);
  expect(world.budget.totalBytes).toBe(0);
});

test("What is kept of the parts counts towards session_output_max", async () => {
  const world = new World({ session_output_max: 1024 * 1024 });
  await world.halves();
  const client = world.client();
  client.send("MGET a foo");
  world.server(B).reply(`*1\r\n${bulk("x".repeat(1024 * 1024))}`);
  expect(world.closed[0]!.reason).toStartWith("limit reached: session_output_max: its");
  world.server(A).reply(`*1\r\n${bulk("late")}`);
  expect(world.budget.totalBytes).toBe(0);
});
