/**
 * Pure: what a mapping means to a proxy: the slot as it is pushed. One row per state of the slot's
 * action; G is the owner, T the target, master(g) the first server of g.
 * Source: Codis pkg/topom/context.go `toSlot`.
 *
 *   state            backend     migrate_from   locked                   replica_groups
 *   none, pending    master(G)   -              G is held                of G
 *   preparing        master(G)   -              G is held                -
 *   prepared         master(T)   master(G)      always                   -
 *   migrating        master(T)   master(G)      G or T is held           -
 *   finished         master(T)   -              T is held                -
 */

import type { Group, GroupServer } from "../model/group.ts";
import { masterOf } from "../model/group.ts";
import type { Mapping, Slot } from "../model/slot.ts";
import { SLOT } from "../model/slot.ts";
import type { Cluster } from "./cluster.ts";
import { isHeld } from "./cluster.ts";

/** For whom the table is made: decides which replicas are near. */
export interface Viewer {
  readonly datacenter: string;
  /** IP of the proxy's admin address; "" when it could not be resolved. */
  readonly ip: string;
}

export interface PushOptions {
  /** `forward_method` of every slot, offline ones included. */
  readonly forwardMethod: number;
  /** Absent in answers of the dashboard's own API. */
  readonly viewer?: Viewer;
  /** IP of a server's address; "" when it could not be resolved. */
  ipOf(addr: string): string;
}

/** The slot to push for `mapping`, which may be ahead of what is stored. */
export function pushedSlot(cluster: Cluster, mapping: Mapping, options: PushOptions): Slot {
  const owner = cluster.groups.get(mapping.group_id);
  const target = cluster.groups.get(mapping.action.target_id);
  const slot: Slot = { ...SLOT.zero(), id: mapping.id, forward_method: options.forwardMethod };
  switch (mapping.action.state) {
    case "":
    case "pending":
      slot.replica_groups = replicaGroups(owner, options);
      serveFrom(slot, mapping.group_id, owner);
      slot.locked = isHeld(owner);
      return slot;
    case "preparing":
      serveFrom(slot, mapping.group_id, owner);
      slot.locked = isHeld(owner);
      return slot;
    case "prepared":
    case "migrating":
      serveFrom(slot, mapping.action.target_id, target);
      slot.migrate_from = masterOf(owner);
      slot.migrate_from_group_id = mapping.group_id;
      slot.locked = mapping.action.state === "prepared" || isHeld(owner) || isHeld(target);
      return slot;
    case "finished":
      serveFrom(slot, mapping.action.target_id, target);
      slot.locked = isHeld(target);
      return slot;
  }
}

function serveFrom(slot: Slot, groupId: number, group: Group | undefined): void {
  slot.backend_addr = masterOf(group);
  slot.backend_addr_group_id = groupId;
}

/**
 * Servers of the group that may answer reads, nearest first: same datacenter and machine as the
 * viewer, same datacenter, the rest.
 */
function replicaGroups(group: Group | undefined, options: PushOptions): string[][] {
  if (group === undefined || group.promoting.state !== "" || group.servers.length < 2) return [];
  const buckets: string[][] = [[], [], []];
  for (const server of group.servers) {
    if (server.replica_group) buckets[distance(server, options)]!.push(server.server);
  }
  return buckets.filter((bucket) => bucket.length > 0);
}

function distance(server: GroupServer, { viewer, ipOf }: PushOptions): 0 | 1 | 2 {
  if (viewer === undefined || viewer.ip === "") return 2;
  if (server.datacenter !== viewer.datacenter) return 2;
  return ipOf(server.server) === viewer.ip ? 0 : 1;
}
