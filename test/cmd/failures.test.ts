/** Why slots do not get on, as dashboards of ours and the original's tell it. */

import { expect, test } from "bun:test";
import { failuresOf, oldReasons } from "../../cmd/admin/failures.ts";

function slotAction(
  status: string,
  failing?: Record<string, string>,
): Parameters<typeof failuresOf>[0] {
  return { progress: failing === undefined ? { status } : { status, failing } };
}

test("Slots that fail with the same are told once, whatever the last event was", () => {
  const failing = { 3: "key gone wrong", 4: "key gone wrong", 9: "EOF" };
  expect(failuresOf(slotAction("[ERROR] Slot[0001]: another", failing))).toEqual([
    { reason: "key gone wrong", text: "slot 3-4 waits, and is tried again: key gone wrong" },
    { reason: "EOF", text: "slot 9 waits, and is tried again: EOF" },
  ]);
  expect(oldReasons(slotAction("[ERROR] Slot[0001]: another", failing))).toEqual(new Set());
});

test("An original's last failure is told, and is no news to who looks for the first time", () => {
  const failed = slotAction("[ERROR] Slot[0001]: EOF");
  expect(failuresOf(failed)).toEqual([{ reason: "Slot[0001]: EOF", text: "Slot[0001]: EOF" }]);
  expect(oldReasons(failed)).toEqual(new Set(["Slot[0001]: EOF"]));
  expect(failuresOf(slotAction("[OK] Slot[0003]@DB[0]=303"))).toEqual([]);
});
