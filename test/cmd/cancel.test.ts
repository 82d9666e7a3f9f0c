/** `codis admin slot cancel` and lists of slots. */

import { expect, test } from "bun:test";
import { cancelMoves } from "../../cmd/admin/cancel.ts";
import { slotRangesArgument, slotsOf } from "../../cmd/admin/verbs.ts";
import type { TopomStats } from "../../src/api/topom-stats.ts";
import { CodisError } from "../../src/base/errors.ts";
import { type Mapping, offlineMapping, type SlotActionState } from "../../src/model/slot.ts";
import { failureOf } from "../support/failure.ts";

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

  readonly failing: Record<string, string> = {};

  async stats(): Promise<Pick<TopomStats, "slots" | "slot_action">> {
    const progress = { status: "", failing: this.failing };
    return {
      slots: this.slots,
      slot_action: { interval: 0, disabled: false, progress, executor: 0 },
    };
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
    "None of these slots waits to be moved; these have begun and go on: 0; " +
      "wait for them (`codis admin slot wait`), then move them back",
  );
  dashboard.refusals.set(4, "dial failed");
  await expect(cancelMoves(dashboard, undefined)).rejects.toThrow("dial failed");
});

test("A move that has begun is not dropped: how far it is, why it goes on, what then", async () => {
  const dashboard = new Dashboard();
  const words = "slot-[1] action isn't pending";
  dashboard.refusals.set(1, words);
  const cancel = async (state: SlotActionState, owner = 1): Promise<string> => {
    dashboard.slots[1] = { ...mapping(1, state), group_id: owner };
    return (await failureOf(cancelMoves(dashboard, [1]))).message;
  };
  const back = "wait (`codis admin slot wait`), then `codis admin slot migrate 1 1` moves it back";
  expect(await cancel("migrating")).toBe(
    `${words}\nslot 1 is migrating on its way to group 2 and goes on: ` +
      `some of its keys may lie at its new server by now, others at the old one; ${back}`,
  );
  for (const state of ["preparing", "prepared"] as const) {
    expect(await cancel(state)).toBe(
      `${words}\nslot 1 is ${state} on its way to group 2 and goes on: proxies are being told of it; ${back}`,
    );
  }
  expect(await cancel("finished")).toContain(`goes on: its keys have moved; ${back}`);
  // It had no owner to go back to.
  expect(await cancel("preparing", 0)).toEndWith("; wait (`codis admin slot wait`)");
  expect(await cancel("")).toBe(`${words}\nslot 1 has ended meanwhile`);
  dashboard.failing[1] = "dial failed";
  expect(await cancel("migrating")).toEndWith(`${back}\nit waits, and is tried again: dial failed`);
});

test("Slots are written one by one, as ranges and as both", () => {
  expect(slotsOf(slotRangesArgument("7"))).toEqual([7]);
  expect(slotsOf(slotRangesArgument("9,1-3,1023"))).toEqual([9, 1, 2, 3, 1023]);
});
