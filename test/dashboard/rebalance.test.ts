import { expect, test } from "bun:test";
import fc from "fast-check";
import { CodisError } from "../../src/base/errors.ts";
import { planRebalance } from "../../src/dashboard/rebalance.ts";
import type { Mapping } from "../../src/model/slot.ts";
import { SLOT_COUNT } from "../../src/slots/hash.ts";
import golden from "../golden/dashboard/rebalance.json";
import { clusterOf, groupOf, moving } from "./clusters.ts";

interface Row {
  readonly name: string;
  readonly groups: readonly { id: number; servers: number }[];
  readonly slots: readonly (readonly number[])[];
  readonly actions: readonly { slot: number; index: number; target_id: number }[];
  readonly plan?: Readonly<Record<string, number>>;
  readonly error?: string;
}

for (const row of golden.cases as unknown as Row[]) {
  test(`Rebalance plans as the original does: ${row.name}`, () => {
    const mappings: Mapping[] = [];
    for (const [first, last, group] of row.slots) {
      for (let id = first!; id <= last!; id++) {
        mappings.push({ ...moving(id, group!, 0, "", 0) });
      }
    }
    for (const { slot, index, target_id } of row.actions) {
      mappings[slot] = moving(slot, mappings[slot]!.group_id, target_id, "pending", index);
    }
    const cluster = clusterOf(
      row.groups.map((group) => groupOf(group.id, group.servers)),
      mappings,
    );
    if (row.error !== undefined) {
      expect(() => planRebalance(cluster)).toThrow(new CodisError("conflict", row.error));
      return;
    }
    const plan = Object.fromEntries([...planRebalance(cluster)].map(([id, gid]) => [id, gid]));
    expect(plan).toEqual(row.plan!);
  });
}

test("Applying a plan leaves every group with its share, and nothing more to do", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.array(fc.integer({ min: 0, max: 12 }), { minLength: SLOT_COUNT, maxLength: SLOT_COUNT }),
      (groups, owners) => {
        const all = Array.from({ length: groups }, (_, i) => groupOf(i + 1, 1));
        const mappings = owners.map((owner, id) =>
          moving(id, owner > groups ? 0 : owner, 0, "", 0),
        );
        for (const [id, gid] of planRebalance(clusterOf(all, mappings))) {
          mappings[id] = moving(id, gid, 0, "", 0);
        }
        const after = clusterOf(all, mappings);
        const sizes = all.map(
          (group) => after.slots.filter((slot) => slot.group_id === group.id).length,
        );
        expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(SLOT_COUNT);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        expect(planRebalance(after).size).toBe(0);
      },
    ),
    { numRuns: 50 },
  );
});
