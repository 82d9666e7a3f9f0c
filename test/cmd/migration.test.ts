/** What `codis admin slot migrate` begins, and what it says when that is less than was asked for. */

import { expect, test } from "bun:test";
import { migration } from "../../cmd/admin/migration.ts";
import { CodisError } from "../../src/base/errors.ts";
import { encodeRecord } from "../../src/model/encode.ts";
import { GROUP } from "../../src/model/group.ts";
import { groupPath, slotPath } from "../../src/model/paths.ts";
import { MAPPING } from "../../src/model/slot.ts";
import { groupOf, moving } from "../dashboard/clusters.ts";
import { DashboardWorld, PRODUCT } from "../support/dashboard-world.ts";
import { failureOf } from "../support/failure.ts";

type Port = Parameters<ReturnType<typeof migration>>[0];

/** Group 1 owns the slots 0-4, of which 4 moves already. */
async function startWorld(): Promise<{ world: DashboardWorld; port: Port }> {
  const world = new DashboardWorld();
  const { nodes } = world.coordinator;
  for (const id of [1, 2]) nodes.set(groupPath(PRODUCT, id), encodeRecord(GROUP, groupOf(id, 1)));
  for (let id = 0; id < 5; id++) {
    const state = id === 4 ? "pending" : "";
    const mapping = moving(id, 1, id === 4 ? 2 : 0, state, id === 4 ? 1 : 0);
    nodes.set(slotPath(PRODUCT, id), encodeRecord(MAPPING, mapping));
  }
  await world.start();
  const { topom } = world;
  const port: Port = {
    stats: async () => {
      const stats = await topom.stats();
      return { ...stats, slots: stats.slots.map((slot) => MAPPING.read(slot, "slot")) };
    },
    createSlotActions: (from, to, count) => topom.createSlotActions(from, to, count),
    createSlotActionRange: (begin, end, gid) => topom.createSlotActionRange(begin, end, gid),
  };
  return { world, port };
}

async function movingSlots(port: Port): Promise<number> {
  return (await port.stats()).slots.filter(({ action }) => action.state !== "").length;
}

test("A count within what there is begins so many; one above says how many, and why", async () => {
  const { port } = await startWorld();
  const some = (count: string, from = "1"): Promise<unknown> =>
    migration([], { from, to: "2", count })(port);
  expect(await some("1")).toEqual({ begun: 1, shortage: "" });
  expect(await movingSlots(port)).toBe(2);
  expect(await some("9")).toEqual({
    begun: 3,
    shortage: "3 slots begin to move, not 9: group 1 owns 5, 2 move already",
  });
  expect(await movingSlots(port)).toBe(5);
  expect(await some("9")).toEqual({
    begun: 0,
    shortage: "0 slots begin to move, not 9: group 1 owns 5, 5 move already",
  });
  const missing = await failureOf(some("9", "3"));
  expect(missing.message).toContain("from group 3: it doesn't exist; `codis admin group list`");
});

test("Slots named by number are counted, and those begun before a refusal are named", async () => {
  const { port } = await startWorld();
  expect(await migration(["0,2-3", "2"], {})(port)).toEqual({ begun: 3, shortage: "" });
  const refused = await failureOf(migration(["1,4", "2"], {})(port));
  expect(refused).toBeInstanceOf(CodisError);
  expect(refused.message).toBe(
    "slot-[4] action already exists\n" +
      "slots 1 move to group 2; `slot cancel` forgets those that wait",
  );
});
