/** What the proxy answers itself. */

import { expect, test } from "bun:test";
import { REDIS_VERSION } from "../../src/commands/redis-version.ts";
import { ReplyDecoder } from "../../src/resp/reply-decoder.ts";
import { A, B, bulk, SLOT_A, World } from "./machines.ts";

async function ask(...requests: string[]): Promise<string> {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send(...requests);
  return client.output();
}

test("PING and ECHO answer as Redis does", async () => {
  expect(await ask("PING", "PING hi", "PING a b", "ECHO x", "ECHO")).toBe(
    "+PONG\r\n$2\r\nhi\r\n-ERR wrong number of arguments for 'ping' command\r\n" +
      "$1\r\nx\r\n-ERR wrong number of arguments for 'echo' command\r\n",
  );
});

test("PING, INFO and SLOTSINFO with a backend's address go to that backend", async () => {
  const world = new World();
  await world.halves();
  const client = world.client();
  client.send(`PING ${A} x`, `INFO ${B} server`, `SLOTSINFO ${B}`, "SLOTSINFO 1.1.1.1:1");
  expect(world.server(A).requests()).toEqual([["PING", "x"]]);
  expect(world.server(B).requests()).toEqual([["INFO", "server"], ["SLOTSINFO"]]);
  world.server(A).reply(bulk("x"));
  world.server(B).reply(`${bulk("info")}*0\r\n`);
  expect(client.output()).toBe(
    `${bulk("x")}${bulk("info")}*0\r\n-ERR backend server '1.1.1.1:1' not found\r\n`,
  );
  world.server(A).reply("");
  world.servers.find(({ backend }) => backend.address === A)!.drop();
  client.send(`PING ${A}`);
  expect(client.output()).toBe(`-ERR backend server '${A}' not found\r\n`);
});

test("PING with the address of a backend that is full waits, and what follows it too", async () => {
  const world = new World({ backend_max_pipeline: 1 });
  await world.halves();
  world.client().send("GET a");
  const { backend } = world.server(B);
  const [stayer, leaver] = [world.client(), world.client()];
  stayer.send(`PING ${B} x`, "PING");
  leaver.send(`PING ${B} y`);
  expect([backend.length, backend.waiters.length]).toEqual([1, 2]);
  leaver.disconnect();
  expect(backend.waiters.length).toBe(1);
  world.server(B).reply(bulk("v"));
  expect(world.server(B).requests()).toEqual([
    ["GET", "a"],
    ["PING", "x"],
  ]);
  expect(stayer.output()).toBe("");
  world.server(B).reply(bulk("x"));
  expect(stayer.output()).toBe(`${bulk("x")}+PONG\r\n`);
});

test("INFO without address goes to some backend, section and all", async () => {
  const world = new World();
  await world.fill({ id: SLOT_A, backend_addr: B });
  const client = world.client();
  client.send("INFO", "INFO server");
  expect(world.server(B).requests()).toEqual([["INFO"], ["INFO", "server"]]);
});

test("AUTH takes the user that clients of today name when there is one, and no other", async () => {
  const client = new World({ session_auth: "pw" }).client();
  client.send("AUTH default no", "AUTH pw pw", "AUTH default pw x", "AUTH default pw", "PING");
  const arity = "-ERR wrong number of arguments for 'AUTH' command\r\n";
  expect(client.output()).toBe(`-ERR invalid password\r\n${arity}${arity}+OK\r\n+PONG\r\n`);
});

test("HELLO says protocol 2 whatever is asked for, and takes password and name", async () => {
  const world = new World({ session_auth: "pw" });
  const client = world.client();
  client.send("HELLO 3", "HELLO 3 AUTH default no", "HELLO 4", "HELLO x");
  const refusals = client.output().trimEnd().split("\r\n");
  expect(refusals[0]).toStartWith("-NOAUTH HELLO must be called");
  expect(refusals[1]).toBe("-ERR invalid password");
  expect(refusals[2]).toBe("-NOPROTO unsupported protocol version");
  expect(refusals[3]).toBe("-ERR Protocol version is not an integer or out of range");
  client.send("HELLO 2 AUTH default pw SETNAME me", "CLIENT GETNAME", "HELLO 2 WHAT");
  const decoder = new ReplyDecoder();
  decoder.feed(Buffer.from(client.output()));
  const fields = (decoder.next() as unknown[]).map(String);
  expect(fields.slice(0, 2)).toEqual(["server", "redis"]);
  expect(fields.slice(2, 6)).toEqual(["version", REDIS_VERSION, "proto", "2"]);
  expect(String(decoder.next())).toBe("me");
  expect(decoder.next()).toMatchObject({ text: "ERR Syntax error in HELLO option 'WHAT'" });
  // Bun's client takes nothing but a map, to the version it asked for.
  client.send("HELLO 3");
  expect(client.output()).toStartWith(`%7\r\n${bulk("server")}${bulk("redis")}`);
});

test("CLIENT answers what libraries send when they connect, and nothing about others", async () => {
  expect(
    await ask(
      "CLIENT SETINFO LIB-NAME x",
      "client setname me",
      "CLIENT GETNAME",
      "CLIENT SETNAME b\0d",
      "CLIENT LIST",
      "CLIENT KILL 1",
      "CLIENT SETNAME",
      "CLIENT",
    ),
  ).toBe(
    `+OK\r\n+OK\r\n${bulk("me")}` +
      "-ERR Client names cannot contain spaces, newlines or special characters.\r\n" +
      "-ERR handle request, command 'CLIENT' is not allowed\r\n".repeat(2) +
      "-ERR wrong number of arguments for 'client|setname' command\r\n" +
      "-ERR wrong number of arguments for 'client' command\r\n",
  );
});

test("COMMAND tells what this proxy takes", async () => {
  const count = Number(/^:(\d+)\r\n$/.exec(await ask("COMMAND COUNT"))![1]);
  expect(await ask("COMMAND")).toStartWith(`*${count}\r\n*6\r\n`);
  expect(await ask("COMMAND LIST")).toContain(bulk("get"));
  expect(await ask("COMMAND INFO get nope")).toBe(
    `*2\r\n*6\r\n${bulk("get")}:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*-1\r\n`,
  );
  expect(await ask("COMMAND DOCS get")).toBe("*0\r\n");
  expect(await ask("COMMAND GETKEYS MSET a 1 b 2")).toBe(`*2\r\n${bulk("a")}${bulk("b")}`);
  expect(await ask("COMMAND GETKEYS PING")).toBe("-ERR The command has no key arguments\r\n");
  expect(await ask("COMMAND GETKEYS")).toBe("-ERR Invalid command specified\r\n");
  expect(await ask("COMMAND NOPE")).toBe("-ERR unknown subcommand 'NOPE'. Try COMMAND HELP.\r\n");
});

test("SLOTSMAPPING shows addresses, sources and replica groups", async () => {
  const world = new World();
  await world.fill({
    id: 5,
    backend_addr: A,
    migrate_from: B,
    replica_groups: [["r:1", "r:2"], ["r:3"]],
  });
  const client = world.client();
  client.send("SLOTSMAPPING 5", "SLOTSMAPPING 6");
  expect(client.output()).toBe(
    `*4\r\n+5\r\n+${A}\r\n+${B}\r\n*2\r\n*2\r\n+r:1\r\n+r:2\r\n*1\r\n+r:3\r\n` +
      "*4\r\n+6\r\n+\r\n+\r\n*-1\r\n",
  );
  client.send("SLOTSMAPPING");
  expect(client.output()).toStartWith("*1024\r\n*4\r\n+0\r\n");
});

test("Slot numbers that are none are quoted as Go does", async () => {
  const world = new World();
  const client = world.client();
  client.sendWords(["SLOTSMAPPING", 'x"\\\x01']);
  expect(client.output()).toBe(
    "-ERR parse slotnum 'x\"\\\x01' failed, " +
      'strconv.ParseInt: parsing "x\\"\\\\\\x01": invalid syntax\r\n',
  );
});

test("SELECT moves the session to another database's connections", async () => {
  const world = new World({ backend_number_databases: 2 });
  await world.halves();
  const client = world.client();
  client.send("SELECT 1", "GET a", "SELECT 2");
  const server = world.server(B, 1);
  expect(server.requests()).toEqual([["SELECT", "1"]]);
  server.reply("+OK\r\n");
  server.reply(bulk("v"));
  expect(client.output()).toBe(
    `+OK\r\n${bulk("v")}-ERR invalid DB index, only accept DB [0,2)\r\n`,
  );
});
