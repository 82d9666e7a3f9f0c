/**
 * Every error of the API, held against the recorded ones of the original, in the recorded state.
 */

import { expect, test } from "bun:test";
import { CodisError } from "../../src/base/errors.ts";
import { encodeRecord } from "../../src/model/encode.ts";
import { GROUP, type Group } from "../../src/model/group.ts";
import { groupPath, proxyPath, sentinelPath, slotPath } from "../../src/model/paths.ts";
import { PROXY, type ProxyModel } from "../../src/model/proxy.ts";
import { SENTINEL, type Sentinel } from "../../src/model/sentinel.ts";
import { MAPPING, type Mapping } from "../../src/model/slot.ts";
import { assertRow, readGolden, rowsOf, waitsFor } from "../golden/load.ts";
import { DashboardWorld, PRODUCT } from "../support/dashboard-world.ts";

interface Case {
  readonly request: { readonly method: string; readonly path: string; readonly body?: unknown };
  readonly status: number;
  readonly content_type?: string;
  readonly body?: { readonly Cause: string };
  readonly body_text?: string | null;
}

/** What is compared: the cause, or the text where no cause was sent. */
function recordedAnswer(row: Case): unknown {
  const answer = { status: row.status, answer: row.body?.Cause ?? row.body_text ?? "" };
  return row.content_type === undefined ? answer : { ...answer, type: row.content_type };
}

interface Answer {
  readonly status: number;
  readonly answer: string;
  readonly type?: string | undefined;
}

async function ask(world: DashboardWorld, row: Case): Promise<Answer> {
  const { method, path, body } = row.request;
  const text = body === null || body === undefined ? "" : body;
  const sent = typeof text === "string" ? text : JSON.stringify(text);
  const { status, headers, body: received } = await world.request(method, path, sent);
  const parsed: unknown = status === 800 ? JSON.parse(String(received)) : undefined;
  const answer = parsed === undefined ? String(received) : (parsed as { Cause: string }).Cause;
  const type = row.content_type === undefined ? {} : { type: headers["Content-Type"] };
  return { status, answer, ...type };
}

/** The cluster of the recorded statistics, stored. */
function recordedWorld(): DashboardWorld {
  const stats = readGolden<{
    slots: Mapping[];
    group: { models: Group[] };
    proxy: { models: ProxyModel[] };
    sentinels: { model: Sentinel };
  }>("dashboard/get/stats.json");
  const world = new DashboardWorld();
  const { nodes } = world.coordinator;
  for (const json of stats.slots) {
    nodes.set(slotPath(PRODUCT, json.id), encodeRecord(MAPPING, MAPPING.read(json, "slot")));
  }
  for (const json of [...stats.group.models, { id: 9 }]) {
    const group = GROUP.read(json, "group");
    nodes.set(groupPath(PRODUCT, group.id), encodeRecord(GROUP, group));
    for (const { server } of group.servers) world.addServer(server);
  }
  for (const json of stats.proxy.models) {
    const proxy = PROXY.read(json, "proxy");
    nodes.set(proxyPath(PRODUCT, proxy.token), encodeRecord(PROXY, proxy));
    world.addProxy(proxy.token, proxy);
  }
  const sentinel = SENTINEL.read(stats.sentinels.model, "sentinel");
  nodes.set(sentinelPath(PRODUCT), encodeRecord(SENTINEL, sentinel));
  world.addServer("127.0.0.1:22104");
  world.addServer("127.0.0.1:22301").complaint = "ERR unknown command 'SLOTSINFO'";
  return world;
}

for (const { file, id, record } of rowsOf("dashboard/errors.json")) {
  const row = record as unknown as Case & { readonly case: string };
  if (waitsFor({ file, id }) !== undefined) continue;
  test(`API answers as recorded: ${row.case}`, async () => {
    const world = recordedWorld();
    await world.start();
    const before = [...world.coordinator.nodes];
    const answer = await ask(world, row);
    assertRow({ file, id, recorded: recordedAnswer(row) }, answer);
    if (answer.status !== 200) expect([...world.coordinator.nodes]).toEqual(before);
  });
}

test("Of servers that know no slots a node of a cluster and a sentinel cannot be members", async () => {
  const world = new DashboardWorld();
  await world.start();
  await world.request("PUT", "/api/topom/group/create/{xauth}/1");
  const server = world.addServer("127.0.0.1:1");
  server.complaint = "ERR unknown command 'SLOTSINFO', with args beginning with: ";
  for (const mode of ["cluster", "sentinel", "standalone"]) {
    server.info = { redis_mode: mode };
    const { status, body } = await world.request(
      "PUT",
      "/api/topom/group/add/{xauth}/1/127.0.0.1:1",
    );
    const text = `server-[127.0.0.1:1] runs as ${mode}, must run standalone`;
    if (mode === "standalone") expect(status).toBe(200);
    else expect(JSON.parse(String(body)).Cause).toBe(text);
  }
});

test("A body that cannot be read changes nothing", async () => {
  const world = recordedWorld();
  await world.start();
  const before = [...world.coordinator.nodes];
  for (const body of ['[{"id":1,"group_id":1},{"id":"x","group_id":1}]', "[null]", "{}", "", "["]) {
    for (const path of [
      "/api/topom/slots/assign/{xauth}",
      "/api/topom/slots/assign/{xauth}/offline",
    ]) {
      expect((await world.request("PUT", path, body)).status).toBe(800);
    }
  }
  expect([...world.coordinator.nodes]).toEqual(before);
});

/** Brings a fresh world into the state a row of errors-by-state.json needs. */
const STATES: Readonly<Record<string, (world: DashboardWorld) => Promise<void>>> = {
  "not online (another instance holds the lock)": async (world) => world.open(),
  "not online": async (world) => world.open(),
  "after shutdown, same connection": async (world) => {
    await world.start();
    await world.topom.close();
  },
  "a stored group is not valid JSON": async (world) => {
    await world.start();
    world.coordinator.nodes.set(groupPath(PRODUCT, 1), "{");
    await world.topom.reload().catch(() => undefined);
  },
  "add, del, replica-groups, replica-groups-all, sync action while promoting": async (world) => {
    const group = GROUP.read(
      {
        id: 1,
        servers: [{ server: "127.0.0.1:22131" }, { server: "127.0.0.1:22132" }],
        promoting: { index: 1, state: "preparing" },
      },
      "group",
    );
    world.coordinator.nodes.set(groupPath(PRODUCT, 1), encodeRecord(GROUP, group));
    await world.start();
  },
  "create proxy of another product or auth": strangeProxy,
  "online proxy of another product or auth": strangeProxy,
  "reinit: fillslots rejected": refusingProxy("PUT fillslots"),
  "reinit: start rejected": refusingProxy("PUT start"),
  "reinit: sentinels rejected": refusingProxy("PUT sentinels"),
  "remove proxy without force, proxy refuses or is down": refusingProxy("PUT shutdown"),
  "add a server without password to a product with auth": async (world) => {
    const server = world.addServer("127.0.0.1:22147");
    server.complaint = "ERR Client sent AUTH, but no password is set";
    await world.start();
  },
};

async function strangeProxy(world: DashboardWorld): Promise<void> {
  const proxy = world.addProxy("stranger", {
    token: "e".repeat(32),
    admin_addr: "127.0.0.1:22405",
  });
  proxy.answer = (call) => (call === "GET xping" ? 800 : 200);
  await world.start();
}

function refusingProxy(refused: string): (world: DashboardWorld) => Promise<void> {
  return async (world) => {
    const proxy = world.addProxy("d", { token: "d".repeat(32), admin_addr: "127.0.0.1:22407" });
    world.coordinator.nodes.set(
      proxyPath(PRODUCT, proxy.model.token),
      encodeRecord(PROXY, { ...proxy.model, id: 1 }),
    );
    proxy.answer = (call) => (call === refused ? 800 : 200);
    await world.start();
  };
}

for (const { file, id, record } of rowsOf("dashboard/errors-by-state.json")) {
  const row = record as unknown as Case & { readonly case: string };
  if (waitsFor({ file, id }) !== undefined) continue;
  test(`API answers as recorded: ${row.case} (${id})`, async () => {
    const world = new DashboardWorld();
    await STATES[row.case]!(world);
    assertRow({ file, id, recorded: recordedAnswer(row) }, await ask(world, row));
  });
}

test("A store that refuses a write is named, and its record read again", async () => {
  const world = recordedWorld();
  await world.start();
  world.coordinator.onWrite = ({ path }) => {
    if (path.endsWith("group-0005")) throw new CodisError("unavailable", "disk full");
  };
  const refused = await world.request("PUT", "/api/topom/group/create/{xauth}/5");
  expect(JSON.parse(String(refused.body))).toEqual({
    Cause: "store: create group-[5] failed",
    Stack: null,
  });
  world.coordinator.onWrite = () => undefined;
  expect((await world.request("PUT", "/api/topom/group/create/{xauth}/5")).status).toBe(200);
});
