import { expect, test } from "bun:test";
import { CodisError } from "../../src/base/errors.ts";
import { SAVES_AT_ONCE } from "../../src/dashboard/model-cache.ts";
import { OFFLINE_AT_ONCE } from "../../src/dashboard/slot-action.ts";
import { encodeRecord } from "../../src/model/encode.ts";
import { GROUP } from "../../src/model/group.ts";
import { groupPath, leasePath, slotPath } from "../../src/model/paths.ts";
import { MAPPING } from "../../src/model/slot.ts";
import { SLOT_COUNT } from "../../src/slots/hash.ts";
import { DashboardWorld, PRODUCT } from "../support/dashboard-world.ts";
import { groupOf, moving } from "./clusters.ts";

async function cause(world: DashboardWorld, path: string, body = ""): Promise<string> {
  const { status, body: answer } = await world.request("PUT", `/api/topom/${path}`, body);
  return status === 200 ? "OK" : JSON.parse(String(answer)).Cause;
}

/** With these groups stored, of one server each; not started. */
function worldOfGroups(...ids: readonly number[]): DashboardWorld {
  const world = new DashboardWorld();
  for (const id of ids) {
    world.addServer(`${id}a:1`);
    world.coordinator.nodes.set(groupPath(PRODUCT, id), encodeRecord(GROUP, groupOf(id, 1)));
  }
  return world;
}

test("A dashboard that lost its lock writes nothing more and ends with an error", async () => {
  const world = new DashboardWorld();
  await world.start();
  world.coordinator.crash(leasePath(PRODUCT));
  expect(await cause(world, "group/create/{xauth}/1")).toBe("store: create group-[1] failed");
  const ended = world.topom.done;
  await world.advance(1_000);
  expect(await ended).toBe(1);
  expect(world.coordinator.nodes.has(groupPath(PRODUCT, 1))).toBe(false);
});

test("A push that hangs stops neither the key check nor the statistics", async () => {
  const world = worldOfGroups(1);
  const proxy = world.addProxy("p", { token: "t", admin_addr: "p:1" });
  await world.start();
  await cause(world, "proxy/create/{xauth}/p:1");
  proxy.isHanging = true;
  let isDone = false;
  const assigning = cause(world, "slots/assign/{xauth}", '[{"id":1,"group_id":1}]').then(() => {
    isDone = true;
  });
  await world.settle();
  expect((await world.request("GET", "/api/topom/xping/{xauth}")).status).toBe(200);
  expect((await world.request("GET", "/topom/stats")).status).toBe(200);
  expect(isDone).toBe(false);
  proxy.endHanging();
  await assigning;
});

test("A proxy that does not answer when it is filled counts only after it was filled again", async () => {
  const world = worldOfGroups(1);
  const proxy = world.addProxy("p", { token: "t", admin_addr: "p:1" });
  await world.start();
  proxy.answer = (call) => (call === "PUT fillslots" ? 0 : 200);
  expect(await cause(world, "proxy/create/{xauth}/p:1")).toBe("proxy-[t] fillslots failed");
  proxy.answer = () => 200;
  world.takeEvents();
  const assign = (): Promise<string> =>
    cause(world, "slots/assign/{xauth}", '[{"id":1,"group_id":1}]');
  expect(await assign()).toStartWith(
    "proxy-[t] resync slots failed, admin address p:1: no answer within 15s; bring it back",
  );
  expect(world.takeEvents().some((event) => "push" in event)).toBe(false);
  await world.topom.statistics.pollProxies();
  await world.settle();
  expect(world.takeEvents()).toMatchObject([{ push: [{ call: "PUT fillslots" }] }]);
  expect(await assign()).toBe("OK");
});

test("A model that cannot be read at the start is read again until it can", async () => {
  const world = new DashboardWorld();
  const { nodes } = world.coordinator;
  world.addServer("1a:1");
  world.addServer("2a:1");
  nodes.set(groupPath(PRODUCT, 1), "{");
  nodes.set(groupPath(PRODUCT, 2), encodeRecord(GROUP, groupOf(2, 1)));
  nodes.set(slotPath(PRODUCT, 7), encodeRecord(MAPPING, moving(7, 1, 2, "migrating")));
  world.open();
  await world.topom.lock();
  world.topom.start();
  await world.advance(1_000);
  expect(await cause(world, "group/create/{xauth}/3")).toBe("store: load group failed");
  nodes.set(groupPath(PRODUCT, 1), encodeRecord(GROUP, groupOf(1, 1)));
  await world.advance(1_000);
  await world.advance(1_000);
  expect(nodes.get(slotPath(PRODUCT, 7))).toBe(encodeRecord(MAPPING, moving(7, 2, 0, "", 0)));
  await world.topom.close();
});

test("The first rebalance stores and pushes the slots of an empty cluster many at a time", async () => {
  const world = worldOfGroups(1, 2);
  world.addProxy("p", { token: "t", admin_addr: "p:1" });
  await world.start();
  await cause(world, "proxy/create/{xauth}/p:1");
  world.takeEvents();
  await world.topom.rebalance(true);
  await world.settle();
  const events = world.takeEvents();
  // Each slot is pending, preparing, prepared and the group's; it is held, then let in.
  expect(events.filter((event) => "store" in event).length).toBe(4 * SLOT_COUNT);
  expect(events.filter((event) => "push" in event).length).toBe((2 * SLOT_COUNT) / OFFLINE_AT_ONCE);
  for (let id = 0; id < SLOT_COUNT; id++) {
    const stored = world.coordinator.nodes.get(slotPath(PRODUCT, id));
    expect(stored).toBe(encodeRecord(MAPPING, moving(id, id < SLOT_COUNT / 2 ? 1 : 2, 0, "", 0)));
  }
});

test("A store that takes no slot is not asked for all of them", async () => {
  const world = worldOfGroups(1);
  await world.start();
  let asked = 0;
  world.coordinator.onWrite = () => {
    asked++;
    throw new CodisError("unavailable", "disk full");
  };
  await expect(world.topom.rebalance(true)).rejects.toThrow("store: update slot-[0] failed");
  expect(asked).toBe(SAVES_AT_ONCE);
});

test("A slot that cannot be stored keeps only itself back", async () => {
  const world = worldOfGroups(1);
  await world.start();
  const { onWrite } = world.coordinator;
  world.coordinator.onWrite = (written) => {
    const isRefused = written.path === slotPath(PRODUCT, 5) && !written.data.includes("pending");
    if (isRefused) throw new CodisError("unavailable", "disk full");
    onWrite(written);
  };
  await world.topom.rebalance(true);
  await world.settle();
  for (let pass = 0; pass < 10; pass++) await world.advance(5_000);
  const { slots } = await world.topom.stats();
  expect(slots.filter(({ group_id }) => group_id === 0).map(({ id }) => id)).toEqual([5]);
  world.coordinator.onWrite = onWrite;
  await world.advance(5_000);
  expect((await world.topom.stats()).slots.every(({ group_id }) => group_id === 1)).toBe(true);
});

test("A slot whose end cannot be stored at first is counted once, as those beside it", async () => {
  const world = worldOfGroups(1);
  await world.start();
  const moved = async () => (await world.topom.stats()).slot_action.progress.slots_moved;
  const { onWrite } = world.coordinator;
  const atEnd = encodeRecord(MAPPING, moving(5, 1, 0, "", 0));
  world.coordinator.onWrite = ({ data }) => {
    if (data === atEnd) throw new CodisError("unavailable", "disk full");
  };
  await world.topom.rebalance(true);
  await world.settle();
  await world.advance(5_000);
  // Of the first that went together; pending ones wait while one is half way and rests.
  expect(await moved()).toBe(OFFLINE_AT_ONCE - 1);
  world.coordinator.onWrite = onWrite;
  await world.advance(5_000);
  expect(await moved()).toBe(SLOT_COUNT);
});

test("Changes by others are seen after a reload", async () => {
  const world = new DashboardWorld();
  await world.start();
  world.coordinator.nodes.set(groupPath(PRODUCT, 5), encodeRecord(GROUP, groupOf(5, 0)));
  expect(await cause(world, "group/remove/{xauth}/5")).toBe("group-[5] doesn't exist");
  expect(await cause(world, "reload/{xauth}")).toBe("OK");
  expect(await cause(world, "group/remove/{xauth}/5")).toBe("OK");
});

test("The sentinels are marked as out of step before a server joins or leaves", async () => {
  const world = new DashboardWorld();
  const path = `/codis3/${PRODUCT}/sentinel`;
  world.addServer("1a:1");
  world.coordinator.nodes.set(path, '{"servers":["s:1"],"out_of_sync":false}');
  world.coordinator.nodes.set(groupPath(PRODUCT, 1), encodeRecord(GROUP, groupOf(1, 0)));
  await world.start();
  expect(await cause(world, "group/add/{xauth}/1/1a:1")).toBe("OK");
  const stored = world.takeEvents().map((event) => ("store" in event ? event.store : "push"));
  expect(stored).toEqual(["sentinel", "group 1"]);
  expect(JSON.parse(world.coordinator.nodes.get(path)!).out_of_sync).toBe(true);
});

test("A server is not added a second time under another spelling of its address", async () => {
  const world = new DashboardWorld();
  for (const addr of ["127.0.0.1:1", "localhost:1"]) {
    world.addServer(addr).info = { redis_version: "7.0", run_id: "one" };
  }
  world.addServer("other:1").info = { redis_version: "7.0", run_id: "two" };
  await world.start();
  for (const id of [1, 2]) await cause(world, `group/create/{xauth}/${id}`);
  expect(await cause(world, "group/add/{xauth}/1/127.0.0.1:1")).toBe("OK");
  await world.topom.statistics.pollServers();
  expect(await cause(world, "group/add/{xauth}/2/localhost:1")).toBe(
    "server-[localhost:1] is server-[127.0.0.1:1] of group-[1] under another address",
  );
  expect(await cause(world, "group/add/{xauth}/2/other:1")).toBe("OK");
});
