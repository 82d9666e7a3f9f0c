/** Requests to slots that move: both forward methods, what the source may answer, who waits. */

import { expect, test } from "bun:test";
import { FORWARD_SEMI_ASYNC, FORWARD_SYNC } from "../../src/model/slot.ts";
import { retryDelayMs } from "../../src/proxy/forward.ts";
import type { PlaneConfig } from "../../src/proxy/plane.ts";
import { SLOT_COUNT, slotOf } from "../../src/slots/hash.ts";
import { assertRow, rowsOf } from "../golden/load.ts";
import { bulk, type FakeClient, type FakeServer, World } from "./machines.ts";

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
  for (const server of world.servers) if (world.limits.product_auth !== "") greet(server, 1);
  return world;
}

/** Accepts what a new connection begins with: AUTH, SELECT. */
function greet(server: FakeServer, requests: number): void {
  expect(server.requests().length).toBe(requests);
  server.reply("+OK\r\n".repeat(requests));
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

test("Every tag of a request with several keys is pulled once, also by the wrapper's method", async () => {
  for (const method of [FORWARD_SYNC, FORWARD_SEMI_ASYNC]) {
    const world = await migrating(method);
    const client = world.client();
    // t and {t}a share a slot and no tag: a key without a tag moves alone.
    client.send("SINTERSTORE {t}a t {t}b x{t} t");
    for (const key of ["{t}a", "t", "t"]) {
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

/** Two keys without a tag that share slot 579. */
const [FIRST_ALONE, SECOND_ALONE] = ["a", keyOfSlot(579, "k")] as const;

function keyOfSlot(slot: number, prefix: string): string {
  let i = 0;
  while (slotOf(Buffer.from(`${prefix}${i}`)) !== slot) i++;
  return `${prefix}${i}`;
}

test("Keys that share a slot by chance are each pulled before RENAME and SUNIONSTORE see them", async () => {
  for (const name of ["RENAME", "SUNIONSTORE"]) {
    const world = await migrating(FORWARD_SYNC);
    const client = world.client();
    client.send(`${name} ${FIRST_ALONE} ${SECOND_ALONE}`);
    for (const key of [FIRST_ALONE, SECOND_ALONE]) {
      expect(
        world
          .server(SOURCE)
          .requests()
          .map((args) => args.at(-1)),
      ).toEqual([key]);
      expect(world.server(TARGET).requests()).toEqual([]);
      world.server(SOURCE).reply(":1\r\n");
    }
    expect(world.server(TARGET).requests()).toEqual([[name, FIRST_ALONE, SECOND_ALONE]]);
  }
});

// -- sources of the redis family ----------------------------------------------------------------

const UNKNOWN =
  "-ERR unknown command 'SLOTSMGRTTAGONE', with args beginning with: '127.0.0.1' \r\n";
const MIGRATE = ["MIGRATE", "127.0.0.1", "21001", "", "0", "3000"];

/** A world whose source was found to be of the redis family. */
async function migratingFromRedis(
  method: number,
  config: Partial<PlaneConfig> = {},
): Promise<World> {
  const world = await migrating(method, config);
  const client = world.client();
  client.send("GET a");
  if (method === FORWARD_SEMI_ASYNC) {
    expect(world.server(SOURCE).requests()).toEqual([["SLOTSMGRT-EXEC-WRAPPER", "a", "GET", "a"]]);
    world.server(SOURCE).reply("-ERR unknown command `SLOTSMGRT-EXEC-WRAPPER`\r\n");
  }
  expect(
    world
      .server(SOURCE)
      .requests()
      .map(([name]) => name!),
  ).toEqual(["SLOTSMGRTTAGONE"]);
  world.server(SOURCE).reply(UNKNOWN);
  expect(
    world
      .server(SOURCE)
      .requests()
      .map(([name]) => name!),
  ).toEqual(["MIGRATE"]);
  world.server(SOURCE).reply("+OK\r\n");
  world.server(TARGET).requests();
  world.server(TARGET).reply(bulk("v"));
  expect(client.output()).toBe(bulk("v"));
  return world;
}

test("A source that knows no slots is found out by the first request, and none of them fails", async () => {
  for (const method of [FORWARD_SYNC, FORWARD_SEMI_ASYNC]) {
    const world = await migratingFromRedis(method);
    const client = world.client();
    client.send("SUNIONSTORE {t}a {t}b t", "GET b");
    expect(world.server(SOURCE).requests()).toEqual([[...MIGRATE, "KEYS", "{t}a", "{t}b", "t"]]);
    expect(world.server(TARGET).requests()).toEqual([]);
    world.server(SOURCE).reply("+NOKEY\r\n");
    expect(world.server(TARGET).requests()).toEqual([["SUNIONSTORE", "{t}a", "{t}b", "t"]]);
    expect(world.server(SOURCE).requests()).toEqual([[...MIGRATE, "KEYS", "b"]]);
    expect(world.router.slots.every(({ underWay }) => underWay <= 1)).toBe(true);
  }
});

test("Requests under way while the family is found out all find their way", async () => {
  const world = await migrating(FORWARD_SYNC);
  const clients = [world.client(), world.client()];
  for (const client of clients) client.send("INCR a");
  world.server(SOURCE).reply(UNKNOWN + UNKNOWN);
  world.server(SOURCE).requests();
  world.server(SOURCE).reply("+OK\r\n+NOKEY\r\n");
  world.server(TARGET).reply(":1\r\n:2\r\n");
  expect(clients.map((client) => client.output())).toEqual([":1\r\n", ":2\r\n"]);
});

test("MIGRATE carries the session's database and the product's password", async () => {
  const world = await migratingFromRedis(FORWARD_SYNC, { product_auth: "secret" });
  const client = world.client();
  client.send("SELECT 3", "GET a");
  const source = world.server(SOURCE, 3);
  greet(source, 2);
  expect(source.requests().at(-1)).toEqual([
    "MIGRATE",
    "127.0.0.1",
    "21001",
    "",
    "3",
    "3000",
    "AUTH",
    "secret",
    "KEYS",
    "a",
  ]);
});

test("A key that the target has too is replaced by the source's, which is asked once more", async () => {
  const world = await migratingFromRedis(FORWARD_SYNC);
  const client = world.client();
  client.send("GET a");
  const busy =
    "-ERR Target instance replied with error: BUSYKEY Target key name already exists.\r\n";
  expect(world.server(SOURCE).requests()).toEqual([[...MIGRATE, "KEYS", "a"]]);
  world.server(SOURCE).reply(busy);
  expect(world.server(SOURCE).requests()).toEqual([[...MIGRATE, "REPLACE", "KEYS", "a"]]);
  world.server(SOURCE).reply("+OK\r\n");
  world.server(TARGET).requests();
  world.server(TARGET).reply(bulk("v"));
  expect(client.output()).toBe(bulk("v"));
  client.send("GET a");
  world.server(SOURCE).reply(busy);
  world.server(SOURCE).reply(busy);
  expect(client.output()).toContain("-ERR handle request, bad slotsmgrt resp: ERR Target instance");
});

test("What MIGRATE cannot do is an error to the client, and nothing is forwarded", async () => {
  const cases = [
    ["-IOERR error or timeout reading to target instance", "IOERR error or timeout reading to"],
    [
      "-ERR Target instance replied with error: ERR Bad data format",
      "the slot is moving to a server that cannot hold the type of this key (ERR Target instance",
    ],
    [":1", "should be string, but got <int>"],
  ];
  for (const [reply, text] of cases) {
    const world = await migratingFromRedis(FORWARD_SYNC);
    const client = world.client();
    client.send("GET a");
    world.server(SOURCE).reply(`${reply}\r\n`);
    expect(client.output()).toStartWith(`-ERR handle request, bad slotsmgrt resp: ${text}`);
    expect(world.server(TARGET).requests()).toEqual([]);
    expect(world.router.slots[579]!.underWay).toBe(0);
  }
});

test("A source of another family at the same address costs one error, then it is asked anew", async () => {
  const world = await migratingFromRedis(FORWARD_SYNC);
  const client = world.client();
  client.send("GET a", "GET a");
  // It repeats the request, in which the servers' password stands.
  const repeated = "with args beginning with: 'AUTH' 'pw' 'KEYS' 'a' ";
  world.server(SOURCE).reply(`-ERR unknown command 'MIGRATE', ${repeated}\r\n`);
  const text = "-ERR handle request, bad slotsmgrt resp: ERR unknown command 'MIGRATE'\r\n";
  expect(client.output()).toBe(text);
  expect(world.server(SOURCE).requests().at(-1)![0]).toBe("SLOTSMGRTTAGONE");
});

test("Under compat the keys that share the tag of the deciding one come along, and no others", async () => {
  const world = await migratingFromRedis(FORWARD_SYNC, { compat: "codis" });
  const client = world.client();
  client.send("SMOVE {t}a {t}b m");
  expect(world.server(SOURCE).requests()).toEqual([[...MIGRATE, "KEYS", "{t}a", "{t}b"]]);
  world.server(SOURCE).reply("+OK\r\n");
  client.send("SMOVE a b m", "ZUNIONSTORE {t}dst 2 {t}a {t}b");
  expect(world.server(SOURCE).requests()).toEqual([[...MIGRATE, "KEYS", "a"]]);
  world.server(SOURCE).reply("+OK\r\n");
  const keys = world
    .server(SOURCE)
    .requests()
    .flatMap((args) => args.slice(7));
  expect(keys.toSorted()).toEqual(["{t}a", "{t}b", "{t}dst"]);
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
