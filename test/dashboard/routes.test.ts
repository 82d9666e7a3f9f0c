/** The answers of the dashboard's read routes, held against the recorded ones: dashboard/get. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { encodeJson, encodeRecord } from "../../src/model/encode.ts";
import { GROUP, type Group } from "../../src/model/group.ts";
import { groupPath, proxyPath, sentinelPath, slotPath } from "../../src/model/paths.ts";
import { PROXY, type ProxyModel } from "../../src/model/proxy.ts";
import { SENTINEL } from "../../src/model/sentinel.ts";
import { FORWARD_SEMI_ASYNC, MAPPING } from "../../src/model/slot.ts";
import { parseInfo } from "../../src/redis/info.ts";
import { goldenPath, readGolden, waitsFor } from "../golden/load.ts";
import { DashboardWorld, PRODUCT } from "../support/dashboard-world.ts";

interface Stats {
  readonly closed: boolean;
  readonly slots: { id: number }[];
  readonly group: { models: Group[]; stats: Record<string, Record<string, unknown>> };
  readonly proxy: { models: ProxyModel[]; stats: Record<string, Record<string, unknown>> };
  readonly slot_action: object;
  readonly sentinels: { model: object };
}

async function worldOf(stats: Stats): Promise<DashboardWorld> {
  const world = new DashboardWorld(FORWARD_SEMI_ASYNC);
  const { nodes } = world.coordinator;
  for (const json of stats.slots) {
    nodes.set(slotPath(PRODUCT, json.id), encodeRecord(MAPPING, MAPPING.read(json, "slot")));
  }
  for (const json of stats.group.models) {
    nodes.set(groupPath(PRODUCT, json.id), encodeRecord(GROUP, GROUP.read(json, "group")));
    for (const { server } of json.servers) world.addServer(server);
  }
  for (const json of stats.proxy.models) {
    const proxy = PROXY.read(json, "proxy");
    nodes.set(proxyPath(PRODUCT, json.token), encodeRecord(PROXY, proxy));
    world.addProxy(json.token, proxy);
  }
  const sentinel = SENTINEL.read(stats.sentinels.model, "sentinel");
  nodes.set(sentinelPath(PRODUCT), encodeRecord(SENTINEL, sentinel));
  await world.start();
  return world;
}

const recorded = readGolden<Stats>("dashboard/get/stats.json");

test("Every recorded read route answers with its status and type", async () => {
  const world = await worldOf(recorded);
  const { routes } = readGolden<{ routes: Record<string, string>[] }>("dashboard/get/index.json");
  for (const { method, path, status, content_type, location, body_file } of routes) {
    const isLater = path!.includes("sentinels/info");
    if (isLater) expect(waitsFor({ file: `dashboard/${body_file}`, id: "all" })).toBeDefined();
    if (isLater) continue;
    const answer = await world.request(method!, path!);
    const { headers } = answer;
    expect([path, answer.status, headers["Content-Type"], headers.Location]).toEqual([
      path!,
      Number(status),
      content_type!,
      location,
    ]);
  }
});

test("The pushed slots and the key check are sent byte for byte as recorded", async () => {
  const world = await worldOf(recorded);
  for (const [path, file] of [
    ["/topom/slots", "dashboard/get/slots.json"],
    ["/api/topom/xping/{xauth}", "dashboard/get/xping.json"],
  ] as const) {
    const { body } = await world.request("GET", path);
    expect(String(body)).toBe(readFileSync(goldenPath(file), "utf8"));
  }
});

test("The overview and the statistics have the recorded keys, in order, and the stored models", async () => {
  const world = await worldOf(recorded);
  const overview = JSON.parse(String((await world.request("GET", "/topom")).body));
  const recordedOverview = readGolden<object>("dashboard/get/topom.json");
  expect(Object.keys(overview)).toEqual(Object.keys(recordedOverview));
  const stats: Stats = JSON.parse(String((await world.request("GET", "/topom/stats")).body));
  expect(Object.keys(stats)).toEqual(Object.keys(recorded));
  expect(Object.keys(stats.slot_action)).toEqual(Object.keys(recorded.slot_action));
  expect(Object.keys(stats.sentinels)).toEqual(Object.keys(recorded.sentinels));
  expect(encodeJson(stats.slots)).toBe(encodeJson(recorded.slots));
  expect(encodeJson(stats.group.models)).toBe(encodeJson(recorded.group.models));
  expect(encodeJson(stats.proxy.models)).toBe(encodeJson(recorded.proxy.models));
  const model = JSON.parse(String((await world.request("GET", "/topom/model")).body));
  expect(Object.keys(model)).toEqual(Object.keys(readGolden<object>("dashboard/get/model.json")));
});

test("Members that refuse, hang or answer are told apart in the statistics", async () => {
  const failures = readGolden<{ reply: Stats }>("dashboard/stats-with-failures.json").reply;
  const world = await worldOf(failures);
  for (const [addr, answer] of Object.entries(failures.group.stats)) {
    if (answer.error !== undefined) world.servers.get(addr)!.isDown = true;
    if (answer.timeout !== undefined) world.servers.get(addr)!.isSilent = true;
  }
  for (const [token, answer] of Object.entries(failures.proxy.stats)) {
    const proxy = [...world.proxies.values()].find(({ model }) => model.token === token)!;
    if (answer.timeout !== undefined) proxy.isHanging = true;
  }
  const polled = Promise.all([
    world.topom.statistics.pollServers(),
    world.topom.statistics.pollProxies(),
  ]);
  await world.settle();
  await world.advance(1_000);
  await polled;
  const stats: Stats = JSON.parse(String((await world.request("GET", "/topom/stats")).body));
  const shapes = (all: Record<string, Record<string, unknown>>): unknown =>
    Object.entries(all).map(([name, answer]) => [name, Object.keys(answer), answer.error]);
  expect(shapes(stats.group.stats)).toEqual(shapes(failures.group.stats));
  expect(shapes(stats.proxy.stats)).toEqual(shapes(failures.proxy.stats));
});

test("Another host changes things only with the password's key, which the product's name is not", async () => {
  const away = "10.0.0.9";
  const create = async (world: DashboardWorld, key: string, from: string): Promise<string> => {
    const { body } = await world.request("PUT", `/api/topom/group/create/${key}/1`, "", from);
    return String(body);
  };
  const guarded = new DashboardWorld(FORWARD_SEMI_ASYNC, "pw");
  const open = new DashboardWorld(FORWARD_SEMI_ASYNC);
  await guarded.start();
  await open.start();
  const refusal = await create(guarded, "{xauth}", away);
  for (const part of [away, "product_auth", "CODIS_PRODUCT_AUTH", "allow_remote_unauthenticated"]) {
    expect(refusal).toContain(part);
  }
  expect(await create(open, "{xauth}", away)).toBe(refusal);
  // Without a password there is no secret: nobody can make one of the empty password.
  expect(await create(open, "{secret}", away)).toContain("invalid xauth");
  expect(await create(open, "{secret}", "127.0.0.1")).toContain("invalid xauth");
  expect(await create(guarded, "0".repeat(32), away)).toContain("invalid xauth");
  expect(await create(guarded, "{secret}", away)).toBe('"OK"');
  expect(await create(open, "{xauth}", "127.0.0.1")).toBe('"OK"');
  expect(await create(guarded, "{xauth}", "127.0.0.1")).toContain("group-[1] already exists");
  expect((await guarded.request("GET", "/api/topom/stats/{xauth}", "", away)).status).toBe(200);
});

test("INFO becomes pairs, and a replica names its master", () => {
  const shown = readGolden<Record<string, string>>("dashboard/get/group-info-replica.json");
  const { master_addr, maxmemory, ...lines } = shown;
  const text = Object.entries(lines).map(([key, value]) => `${key}:${value}\r\n`);
  const info = parseInfo(Buffer.from(`# Server\r\n${text.join("")}\r\n`));
  expect(info).toEqual({ ...lines, master_addr: master_addr! });
  expect(maxmemory).toBeDefined();
});
