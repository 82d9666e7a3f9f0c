import { expect, test } from "bun:test";
import { SLOT } from "../../src/model/slot.ts";
import { effectiveSlot, emptySlots } from "../../src/proxy/slot-table.ts";

test("a group id without its address and an empty replica group are forgotten", () => {
  const slot = {
    ...SLOT.zero(),
    id: 7,
    locked: true,
    backend_addr_group_id: 1,
    migrate_from: "h:2",
    migrate_from_group_id: 2,
    replica_groups: [[], ["h:3"], []],
  };
  const expected = { ...slot, backend_addr_group_id: 0, replica_groups: [["h:3"]] };
  expect(effectiveSlot(slot, false)).toEqual(expected);
  expect(effectiveSlot(slot, true)).toEqual({ ...expected, replica_groups: [] });
});

test("there are 1024 slots, offline at first", () => {
  const slots = emptySlots();
  expect(slots.map(({ id }) => id)).toEqual(Array.from({ length: 1024 }, (_, id) => id));
  expect(slots[1023]).toEqual({ ...SLOT.zero(), id: 1023 });
});
