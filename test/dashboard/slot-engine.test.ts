/** Slots of one owner that move together: what they share, and what fails for one alone. */

import { expect, test } from "bun:test";
import { SLOTS_AT_ONCE } from "../../src/dashboard/slot-engine.ts";
import { encodeRecord } from "../../src/model/encode.ts";
import { GROUP } from "../../src/model/group.ts";
import { groupPath, slotPath } from "../../src/model/paths.ts";
import { MAPPING } from "../../src/model/slot.ts";
import { DashboardWorld, PRODUCT } from "../support/dashboard-world.ts";
import { groupOf, moving } from "./clusters.ts";

const KEYS_PER_SLOT = 3;

/** Groups 1 and 2 of one server each, a proxy, and `slots` slots of group 1 with keys. */
async function startWorld(slots: number): Promise<DashboardWorld> {
  const world = new DashboardWorld();
  world.addProxy("p", { token: "t", admin_addr: "p:1" });
  const [source] = ["1a:1", "2a:1"].map((addr) => world.addServer(addr));
  const { nodes } = world.coordinator;
  for (const id of [1, 2]) nodes.set(groupPath(PRODUCT, id), encodeRecord(GROUP, groupOf(id, 1)));
  for (let id = 0; id < slots; id++) {
    nodes.set(slotPath(PRODUCT, id), encodeRecord(MAPPING, moving(id, 1, 0, "", 0)));
    source!.put(0, id, KEYS_PER_SLOT);
  }
  await world.start();
  await world.request("PUT", "/api/topom/proxy/create/{xauth}/p:1");
  world.takeEvents();
  return world;
}

function keysOf(world: DashboardWorld, addr: string, slots: number): number[] {
  return Array.from({ length: slots }, (_, id) => world.servers.get(addr)!.count(id));
}

test("Slots with one way share pushes, and each is stored in every state", async () => {
  const slots = 2 * SLOTS_AT_ONCE + 1;
  const world = await startWorld(slots);
  await world.topom.createSlotActionRange(0, slots - 1, 2);
  await world.settle();
  const events = world.takeEvents();
  // Held, let in to two servers, then to one: by two full batches and one of a single slot.
  expect(events.filter((event) => "push" in event).length).toBe(3 * 3);
  const stored = (id: number) =>
    events.flatMap((event) => ("store" in event && event.store === `slot ${id}` ? [event] : []));
  for (let id = 0; id < slots; id++) {
    const states = stored(id).map(
      ({ value }) => (value as { action: { state?: string } }).action.state,
    );
    expect(states).toEqual([
      "pending",
      "preparing",
      "prepared",
      "migrating",
      "finished",
      undefined,
    ]);
  }
  expect(keysOf(world, "1a:1", slots)).toEqual(Array(slots).fill(0));
  expect(keysOf(world, "2a:1", slots)).toEqual(Array(slots).fill(KEYS_PER_SLOT));
  await world.topom.close();
});

test("A slot whose keys cannot move rests alone, and those beside it end", async () => {
  const world = await startWorld(SLOTS_AT_ONCE);
  world.servers.get("1a:1")!.stuckSlots.add(3);
  await world.topom.createSlotActionRange(0, SLOTS_AT_ONCE - 1, 2);
  await world.settle();
  for (let pass = 0; pass < SLOTS_AT_ONCE; pass++) await world.advance(5_000);
  const { slots, slot_action } = await world.topom.stats();
  const unfinished = slots.filter(({ action }) => action.state !== undefined);
  expect(unfinished.map(({ id, action }) => [id, action.state])).toEqual([[3, "migrating"]]);
  expect(Object.keys(slot_action.progress.failing!)).toEqual(["3"]);
  world.servers.get("1a:1")!.stuckSlots.clear();
  await world.advance(5_000);
  expect(keysOf(world, "2a:1", SLOTS_AT_ONCE)).toEqual(Array(SLOTS_AT_ONCE).fill(KEYS_PER_SLOT));
  const { progress } = (await world.topom.stats()).slot_action;
  expect([progress.slots_left, progress.failing]).toEqual([0, {}]);
  await world.topom.close();
});

test("After a target was down the slots that were to move together all end", async () => {
  const world = await startWorld(SLOTS_AT_ONCE);
  world.servers.get("2a:1")!.isDown = true;
  await world.topom.createSlotActionRange(0, SLOTS_AT_ONCE - 1, 2);
  await world.settle();
  expect(keysOf(world, "2a:1", SLOTS_AT_ONCE)).toEqual(Array(SLOTS_AT_ONCE).fill(0));
  world.servers.get("2a:1")!.isDown = false;
  for (let pass = 0; pass < SLOTS_AT_ONCE; pass++) await world.advance(5_000);
  expect(keysOf(world, "2a:1", SLOTS_AT_ONCE)).toEqual(Array(SLOTS_AT_ONCE).fill(KEYS_PER_SLOT));
  await world.topom.close();
});

test("What a slot failed with is told until it gets on, which is before its end", async () => {
  const world = await startWorld(1);
  const progress = async (): Promise<unknown> => {
    const { status, failing } = (await world.topom.stats()).slot_action.progress;
    return { status, failing };
  };
  const proxy = world.proxies.get("p:1")!;
  const target = world.servers.get("2a:1")!;
  world.topom.engine.intervalUs = 1_000_000;
  proxy.answer = () => -1;
  target.isDown = true;
  await world.topom.createSlotAction(0, 2);
  await world.settle();
  const refused = expect.stringContaining("p:1: connect: connection refused");
  expect(await progress()).toEqual({ status: refused, failing: { 0: refused } });
  // Accepted: it is told no more what the proxy said, then what the server says.
  let told: unknown;
  proxy.answer = () => {
    const { status, failing } = world.topom.engine.stats.progress;
    told = { status, failing };
    return 200;
  };
  await world.advance(5_000);
  expect(told).toEqual({ status: "", failing: {} });
  const lost = "IOERR error or timeout connecting to the client";
  expect(await progress()).toEqual({ status: `[ERROR] Slot[0000]: ${lost}`, failing: { 0: lost } });
  // One key moves, then the operator's pause.
  target.isDown = false;
  await world.advance(5_000);
  expect(target.count(0)).toBe(1);
  expect(await progress()).toEqual({ status: "[OK] Slot[0000]@DB[0]=2", failing: {} });
  await world.topom.close();
});
