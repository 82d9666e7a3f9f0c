/** Clusters for tests of the dashboard's decisions, in few words. */

import type { Cluster } from "../../src/dashboard/cluster.ts";
import type { Group } from "../../src/model/group.ts";
import { GROUP } from "../../src/model/group.ts";
import { SENTINEL } from "../../src/model/sentinel.ts";
import type { Mapping } from "../../src/model/slot.ts";
import { offlineMapping } from "../../src/model/slot.ts";
import { SLOT_COUNT } from "../../src/slots/hash.ts";

/** A group whose servers are `<id>a:1`, `<id>b:1`, ... */
export function groupOf(id: number, servers: number): Group {
  return {
    ...GROUP.zero(),
    id,
    servers: Array.from({ length: servers }, (_, i) => ({
      server: `${id}${String.fromCharCode(97 + i)}:1`,
      datacenter: "",
      action: { index: 0, state: "" as const },
      replica_group: false,
    })),
  };
}

/** All slots offline but for the given mappings. */
export function clusterOf(
  groups: readonly Group[],
  mappings: readonly Partial<Mapping>[] = [],
): Cluster {
  const slots = Array.from({ length: SLOT_COUNT }, (_, id) => offlineMapping(id));
  for (const mapping of mappings) slots[mapping.id!] = { ...slots[mapping.id!]!, ...mapping };
  return {
    slots,
    groups: new Map(groups.map((group) => [group.id, group])),
    proxies: new Map(),
    sentinel: SENTINEL.zero(),
  };
}

/** A mapping with an action. */
export function moving(
  id: number,
  from: number,
  to: number,
  state: Mapping["action"]["state"],
  index = 1,
): Mapping {
  return { id, group_id: from, action: { index, state, target_id: to } };
}
