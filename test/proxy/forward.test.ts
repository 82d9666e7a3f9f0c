/** Requests to slots that move: both forward methods, what the source may answer, who waits. */

import { expect, test } from "bun:test";
import { FORWARD_SEMI_ASYNC, FORWARD_SYNC } from "../../src/model/slot.ts";
import { retryDelayMs } from "../../src/proxy/forward.ts";
import type { PlaneConfig } from "../../src/proxy/plane.ts";
import { SLOT_COUNT } from "../../src/slots/hash.ts";
import { assertRow, rowsOf } from "../golden/load.ts";
import { bulk, type FakeClient, World } from "./machines.ts";

/** The addresses of the recordings: all slots move from SOURCE to TARGET. */
const TARGET = "127.0.0.1:21001";
const SOURCE = "127.0.0.1:21002";

async function migrating(method: number, config: Partial<PlaneConfig> = {}): Promise<World> {
  const world = new World(config);
  const ids = Array.from({ length: SLOT_COUNT }, (_, id) => id);
  await world.fill(
    ...ids.map((id) => ({
      id,
      backend_addr: TARGET,
      migrate_from: SOURCE,
      forward_method: method,
    })),
  );
  world.connect();
  return world;
}

// -- recorded -----------------------------------------------------------------------------------

interface Sent {
  readonly db: number;
  readonly args: readonly string[];
}

interface ForwardingRecord {
  readonly forward_method: "sync" | "semi-async";
  readonly database?: number;
  readonly request: readonly string[];
  readonly source_reply?: string;
  readonly to_source?: readonly Sent[];
  readonly to_target?: readonly Sent[];
  readonly client_reply: string;
}

/** What the recordings' target answered, which they do not say but in the client's reply. */
function targetReply([name]: readonly string[]): string {
  switch (name) {
    case "GET":
      return bulk("v");
    case "MGET":
      return `*1\r\n${bulk("v")}`;
    case "DEL":
      return ":1\r\n";
    case "PING":
      return "+PONG\r\n";
    default:
      return "+OK\r\n";
  }
}

/** Runs one record; the answer in the form of the record's own members. */
async function run(record: ForwardingRecord): Promise<Partial<ForwardingRecord>> {
  const isSync = record.forward_method === "sync";
  const world = await migrating(isSync ? FORWARD_SYNC : FORWARD_SEMI_ASYNC, { compat: "codis" });
  const db = record.database ?? 0;
  const client = world.client();
  if (db !== 0) client.send(`SELECT ${db}`);
  client.output();
  client.sendWords(record.request);
  const sourceReply = record.source_reply ?? (isSync ? ":0\r\n" : "*2\r\n:0\r\n-ERR none\r\n");
  const toSource: Sent[] = [];
  const toTarget: Sent[] = [];
  for (let round = 0; round < 4; round++) {
    world.connect();
    for (const server of [...world.servers]) {
      for (const args of server.requests()) {
        if (args[0] === "SELECT") {
          server.reply("+OK\r\n");
        } else if (server.backend.address === SOURCE) {
          toSource.push({ db: server.backend.database, args });
          if (sourceReply === "(connection closed)") server.drop();
          else server.reply(args[0] === "INFO" ? bulk("# Server") : sourceReply);
        } else {
          toTarget.push({ db: server.backend.database, args });
          server.reply(targetReply(args));
        }
      }
    }
  }
  const reply = client.output();
  return {
    ...(record.to_source && { to_source: toSource }),
    ...(record.to_target && { to_target: toTarget }),
    client_reply: reply === bulk("# Server") ? "(INFO text)" : reply,
  };
}

for (const row of rowsOf("proxy/forwarding.json")) {
  const record = row.record as unknown as ForwardingRecord;
  const { forward_method: method, request, source_reply: sourceReply } = record;
  const name = `${method} ${request.join(" ")}, the source says ${JSON.stringify(sourceReply)}`;
  test(`Recorded: ${row.id} ${name}`, async () => {
    const answer = await run(record);
    const recorded = {
      ...(record.to_source && { to_source: record.to_source }),
      ...(record.to_target && { to_target: record.to_target }),
      client_reply: record.client_reply,
    };
    assertRow({ ...row, recorded }, answer, "codis");
  });
}

// -- who waits ----------------------------------------------------------------------------------

test("What a session sends behind a moving key waits, other sessions go on", async () => {
  const world = await migrating(FORWARD_SYNC);
  const waiting = world.client();
  const other = world.client();
  waiting.send("GET a", "SET b 1");
  other.send("PING", "GET c");
  expect(other.output()).toBe("+PONG\r\n");
  const pulled = world.server(SOURCE).requests();
  expect(pulled.map((args) => args.at(-1))).toEqual(["a", "c"]);
  world.server(SOURCE).reply(":1\r\n:1\r\n");
  expect(world.server(TARGET).requests()).toEqual([
    ["GET", "a"],
    ["GET", "c"],
  ]);
  expect(
    world
      .server(SOURCE)
      .requests()
      .map((args) => args.at(-1)),
  ).toEqual(["b"]);
  world.server(SOURCE).reply(":0\r\n");
  world.server(TARGET).reply(`${bulk("1")}${bulk("2")}+OK\r\n`);
  expect(waiting.output()).toBe(`${bulk("1")}+OK\r\n`);
  expect(other.output()).toBe(bulk("2"));
});

test("Every key of a request with several is pulled, also by the wrapper's method", async () => {
  for (const method of [FORWARD_SYNC, FORWARD_SEMI_ASYNC]) {
    const world = await migrating(method);
    const client = world.client();
    client.send("SINTERSTORE {t}a {t}b x{t}");
    for (const key of ["{t}a", "{t}b", "x{t}"]) {
      expect(world.server(SOURCE).requests()).toEqual([
        ["SLOTSMGRTTAGONE", "127.0.0.1", "21001", "3000", key],
      ]);
      expect(world.server(TARGET).requests()).toEqual([]);
      world.server(SOURCE).reply(":1\r\n");
    }
    world.server(TARGET).reply(":0\r\n");
    expect(client.output()).toBe(":0\r\n");
  }
});

test("A fill waits for a key that is being pulled, and the request still goes where it was meant", async () => {
  const world = await migrating(FORWARD_SYNC);
  const client = world.client();
  const late = world.client();
  client.send("GET a");
  let isFilled = false;
  const filled = world.fill({ id: 579, backend_addr: SOURCE }).then(() => {
    isFilled = true;
  });
  await Promise.resolve();
  late.send("GET a");
  world.server(SOURCE).reply(":1\r\n");
  expect(world.server(TARGET).requests()).toEqual([["GET", "a"]]);
  await Promise.resolve();
  expect(isFilled).toBe(false);
  world.server(TARGET).reply(bulk("moved"));
  await filled;
  expect(client.output()).toBe(bulk("moved"));
  expect(world.server(SOURCE).requests().at(-1)).toEqual(["GET", "a"]);
  world.server(SOURCE).reply(bulk("there"));
  expect(late.output()).toBe(bulk("there"));
});

test("A client that leaves while its key is pulled leaves nothing under way", async () => {
  for (const method of [FORWARD_SYNC, FORWARD_SEMI_ASYNC]) {
    const world = await migrating(method);
    const client = world.client();
    client.send("GET a");
    client.disconnect();
    world.server(SOURCE).reply(":1\r\n");
    expect(world.router.slots[579]!.underWay).toBe(0);
    expect(world.server(TARGET).requests()).toEqual([]);
  }
});

test("A source that is lost fails the request that waits, not the next one", async () => {
  const world = await migrating(FORWARD_SYNC);
  const client = world.client();
  client.send("GET a", "GET a");
  world.server(SOURCE).drop();
  expect(client.output()).toBe("-ERR handle request, backend conn failure, EOF\r\n");
  expect(world.server(SOURCE).requests().length).toBe(1);
  world.server(SOURCE).reply(":0\r\n");
  world.server(TARGET).reply(bulk("v"));
  expect(client.output()).toBe(bulk("v"));
});

// -- semi-async ---------------------------------------------------------------------------------

const BUSY = "*2\r\n:1\r\n-ERR moving\r\n";

function askAgain(world: World, client: FakeClient, times: number): number[] {
  const waits: number[] = [];
  for (let i = 0; i < times; i++) {
    expect(world.server(SOURCE).requests()).toEqual([["SLOTSMGRT-EXEC-WRAPPER", "a", "GET", "a"]]);
    world.server(SOURCE).reply(BUSY);
    const ms = world.delays[0]?.ms ?? 0;
    waits.push(ms);
    if (ms > 0) world.elapse(ms, [client]);
  }
  return waits;
}

test("A key on its way is asked for again, at once at first and then more slowly", async () => {
  const world = await migrating(FORWARD_SEMI_ASYNC, { backend_ping_period: 0 });
  const client = world.client();
  client.send("GET a");
  expect(askAgain(world, client, 8)).toEqual([0, 0, 0, 0, 0, 5, 6, 7]);
  world.server(SOURCE).requests();
  world.server(SOURCE).reply(`*2\r\n:2\r\n${bulk("executed")}`);
  expect(client.output()).toBe(bulk("executed"));
  expect(retryDelayMs(19)).toBe(19);
  expect(retryDelayMs(20)).toBe(20);
  expect(retryDelayMs(1000)).toBe(20);
});

test("Between two attempts a fill goes through, and the next attempt follows it", async () => {
  const world = await migrating(FORWARD_SEMI_ASYNC, { backend_ping_period: 0 });
  const client = world.client();
  client.send("GET a");
  askAgain(world, client, 5);
  world.server(SOURCE).requests();
  world.server(SOURCE).reply(BUSY);
  await world.fill({ id: 579, backend_addr: TARGET });
  world.elapse(5);
  expect(world.server(TARGET).requests()).toEqual([["GET", "a"]]);
  world.server(TARGET).reply(bulk("v"));
  expect(client.output()).toBe(bulk("v"));
});

test("A client that left is not asked for again", async () => {
  const world = await migrating(FORWARD_SEMI_ASYNC, { backend_ping_period: 0 });
  const client = world.client();
  client.send("GET a");
  askAgain(world, client, 5);
  world.server(SOURCE).requests();
  world.server(SOURCE).reply(BUSY);
  client.disconnect();
  world.elapse(5);
  expect(world.server(SOURCE).requests()).toEqual([]);
  expect(world.router.slots[579]!.underWay).toBe(0);
});
