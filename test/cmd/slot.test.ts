/** Verbs of `codis admin slot` that could hide keys. */

import { expect, test } from "bun:test";
import { assertNoOtherOwner } from "../../cmd/admin/slot.ts";
import { offlineMapping } from "../../src/model/slot.ts";

function mapping(id: number, groupId: number): ReturnType<typeof offlineMapping> {
  return { ...offlineMapping(id), group_id: groupId };
}

const slots = [mapping(0, 0), mapping(1, 1), mapping(2, 2), mapping(3, 2)];

test("Slots of another group are not assigned, and are named", () => {
  const wanted = [0, 1, 2, 3].map((id) => mapping(id, 1));
  expect(() => assertNoOtherOwner(slots, wanted)).toThrow(
    "Cannot assign slots 2-3: another group owns them and may have keys; " +
      "use `slot migrate`; after `slot offline` they can be assigned, and the keys stay behind",
  );
});

test("Offline slots and those of the group itself are assigned", () => {
  assertNoOtherOwner(
    slots,
    [0, 1].map((id) => mapping(id, 1)),
  );
});
