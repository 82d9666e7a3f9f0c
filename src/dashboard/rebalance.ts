/**
 * Pure: which slots should move where so that every group with a server owns the same number, give
 * or take one. Deterministic and upstream's to the slot.
 * Source: Codis pkg/topom/topom_slots.go `SlotsRebalance`; its plans are in
 * test/golden/dashboard/rebalance.json.
 *
 * Slots of groups without servers stay where they are. A slot with an action counts for its target.
 */

import { CodisError } from "../base/errors.ts";
import { SLOT_COUNT } from "../slots/hash.ts";
import type { Cluster } from "./cluster.ts";
import { sortedGroups } from "./cluster.ts";

/** Slot id -> id of the group it should move to, ascending. */
export type RebalancePlan = ReadonlyMap<number, number>;

/** What a group will own: `fixed + movable.length - out` slots. */
interface Share {
  readonly id: number;
  /** Slots that stay, or that are on their way here. */
  fixed: number;
  /** Slots beyond its fair share, ascending: they may be given away. */
  readonly movable: number[];
  /** Slots to give away; negative: slots to receive. */
  out: number;
}

/** @throws CodisError "conflict" when no group has a server */
export function planRebalance(cluster: Cluster): RebalancePlan {
  const shares = sortedGroups(cluster)
    .filter((group) => group.servers.length > 0)
    .map((group): Share => ({ id: group.id, fixed: 0, movable: [], out: 0 }));
  if (shares.length === 0) throw new CodisError("conflict", "no valid group could be found");
  const least = Math.floor(SLOT_COUNT / shares.length);
  const most = Math.ceil(SLOT_COUNT / shares.length);

  countSlots(cluster, shares, least);
  const pool = takeOffline(cluster, shares);
  balance(shares, least, most);

  for (const share of shares) {
    if (share.out > 0) pool.push(...share.movable.slice(-share.out));
  }
  pool.sort((a, b) => a - b);
  return deal(shares, pool);
}

function sizeOf(share: Share): number {
  return share.fixed + share.movable.length - share.out;
}

function bySizeThenId(a: Share, b: Share): number {
  return sizeOf(a) - sizeOf(b) || a.id - b.id;
}

function countSlots(cluster: Cluster, shares: readonly Share[], least: number): void {
  const byId = new Map(shares.map((share) => [share.id, share]));
  for (const { action } of cluster.slots) {
    const target = byId.get(action.target_id);
    if (action.state !== "" && target !== undefined) target.fixed++;
  }
  for (const { id, group_id, action } of cluster.slots) {
    const owner = byId.get(group_id);
    if (action.state !== "" || owner === undefined) continue;
    if (sizeOf(owner) < least) owner.fixed++;
    else owner.movable.push(id);
  }
}

/** Offline slots go to the smallest groups; returns their ids. */
function takeOffline(cluster: Cluster, shares: readonly Share[]): number[] {
  const pool: number[] = [];
  for (const { id, group_id, action } of cluster.slots) {
    if (action.state !== "" || group_id !== 0) continue;
    smallest(shares).out--;
    pool.push(id);
  }
  return pool;
}

/** Moves slots, one at a time, from the largest group that can give to the smallest. */
function balance(shares: readonly Share[], least: number, most: number): void {
  let working = [...shares];
  while (working.length >= 2) {
    const from = largest(working);
    if (from.movable.length === from.out) {
      working = working.filter((share) => share !== from);
      continue;
    }
    const to = smallest(working.filter((share) => share !== from));
    if (sizeOf(from) <= least || sizeOf(to) >= most || sizeOf(from) - sizeOf(to) <= 1) return;
    from.out++;
    to.out--;
  }
}

function deal(shares: readonly Share[], pool: readonly number[]): RebalancePlan {
  const plan: [number, number][] = [];
  let next = 0;
  for (const share of shares) {
    for (let wanted = -share.out; wanted > 0 && next < pool.length; wanted--) {
      plan.push([pool[next++]!, share.id]);
    }
  }
  return new Map(plan.sort((a, b) => a[0] - b[0]));
}

function smallest(shares: readonly Share[]): Share {
  return shares.reduce((best, share) => (bySizeThenId(share, best) < 0 ? share : best));
}

function largest(shares: readonly Share[]): Share {
  return shares.reduce((best, share) => (bySizeThenId(share, best) > 0 ? share : best));
}
