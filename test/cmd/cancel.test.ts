/** `codis admin slot cancel` and lists of slots. */

import { expect, test } from "bun:test";
import { cancelMoves } from "../../cmd/admin/cancel.ts";
import { slotRangesArgument, slotsOf } from "../../cmd/admin/verbs.ts";
import { CodisError } from "../../src/base/errors.ts";
import { type Mapping, offlineMapping, type SlotActionState } from "../../src/model/slot.ts";

function mapping(id: number, state: SlotActionState): Mapping {
  return { ...offlineMapping(id), action: { index: 10 + id, state, target_id: 2 } };
}

/** Slots 0-1 have begun, 2-5 wait, 6 has no action. */
class Dashboard {
  readonly asked: number[] = [];
  /** Why a slot's action is not removed. */
  readonly refusals = new Map<number, string>();
  readonly slots = [
    ...[0, 1].map((id) => mapping(id, "migrating")),
    ...[2, 3, 4, 5].map((id) => mapping(id, "pending")),
    mapping(6, ""),
  ];

  async stats(): Promise<{ slots: readonly Mapping[] }> {
    return { slots: this.slots };
  }

  async removeSlotAction(id: number): Promise<void> {
    this.asked.push(id);
    const text = this.refusals.get(id);
    if (text !== undefined) throw new CodisError("conflict", text);
  }
}

test("All that wait are forgotten, the last first, and those that have begun are named", async () => {
  const dashboard = new Dashboard();
  dashboard.refusals.set(2, "slot-[2] action isn't pending");
  const { text, json } = await cancelMoves(dashboard, undefined);
  expect(dashboard.asked).toEqual([5, 4, 3, 2]);
  expect(text).toBe("cancelled: slots 3-5; these have begun and go on: 0-2\n");
  expect(json).toEqual({ cancelled: [3, 4, 5], begun: [0, 1, 2] });
});

test("Of a range only slots that wait are asked for; one slot alone is always asked for", async () => {
  const dashboard = new Dashboard();
  await cancelMoves(dashboard, [1, 2, 3, 6]);
  expect(dashboard.asked).toEqual([3, 2]);
  dashboard.refusals.set(6, "slot-[6] action doesn't exist");
  await expect(cancelMoves(dashboard, [6])).rejects.toThrow("slot-[6] action doesn't exist");
});

test("Nothing to cancel is an error, and so is a dashboard that fails in the middle", async () => {
  const dashboard = new Dashboard();
  await expect(cancelMoves(dashboard, [0, 6])).rejects.toThrow(
    "None of these slots waits to be moved; these have begun and go on: 0",
  );
  dashboard.refusals.set(4, "dial failed");
  await expect(cancelMoves(dashboard, undefined)).rejects.toThrow("dial failed");
});

test("Slots are written one by one, as ranges and as both", () => {
  expect(slotsOf(slotRangesArgument("7"))).toEqual([7]);
  expect(slotsOf(slotRangesArgument("9,1-3,1023"))).toEqual([9, 1, 2, 3, 1023]);
});
