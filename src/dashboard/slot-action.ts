/**
 * Pure: slot actions. What an operator may ask of a slot, the steps an action goes through, and
 * which slots are worked on now. Functions return mappings to store; nothing is stored here.
 * Source: Codis pkg/topom/topom_slots.go, topom_action.go.
 *
 *   pending ──> preparing ──> prepared ──> migrating ──> finished ──> (owner = target, no action)
 *               old backend   locked       keys move      new backend
 *
 * Each state is stored before the next step begins, so whoever opens the product next goes on from
 * it.
 */

import { CodisError } from "../base/errors.ts";
import type { Mapping, SlotActionState } from "../model/slot.ts";
import { offlineMapping } from "../model/slot.ts";
import { SLOT_COUNT } from "../slots/hash.ts";
import type { Cluster } from "./cluster.ts";
import { nextActionIndex, requireServedGroup, requireSlot, slotsInAction } from "./cluster.ts";
import type { RebalancePlan } from "./rebalance.ts";

/**
 * Offline slots that go through their states together, at most: other operations wait while they
 * are stored and pushed.
 */
export const OFFLINE_AT_ONCE = 256;

export interface SlotStep {
  /** Every proxy must accept the slot in this state before `next` is stored. */
  readonly fill?: SlotActionState;
  /** When one refuses, all are given the slot in this state again. */
  readonly undo?: SlotActionState;
  /** The slot's keys must have moved before `next` is stored. */
  readonly move?: true;
  /** Storing "" hands the slot to its target group. */
  readonly next: SlotActionState;
}

const SLOT_STEPS = {
  pending: { next: "preparing" },
  preparing: { fill: "prepared", undo: "preparing", next: "prepared" },
  prepared: { fill: "migrating", next: "migrating" },
  migrating: { move: true, next: "finished" },
  finished: { fill: "finished", next: "" },
} as const satisfies Record<Exclude<SlotActionState, "">, SlotStep>;

/**
 * Of an offline slot, which has no keys to move: to proxies it is in `migrating` what it is in
 * `finished`, so those two need not be stored.
 */
const OFFLINE_STEPS = {
  ...SLOT_STEPS,
  prepared: { fill: "finished", next: "" },
  migrating: { fill: "finished", next: "" },
} as const satisfies Record<Exclude<SlotActionState, "">, SlotStep>;

/** Undefined for a slot without action. */
export function stepOf(mapping: Mapping): SlotStep | undefined {
  const { state } = mapping.action;
  if (state === "") return undefined;
  return isOffline(mapping) ? OFFLINE_STEPS[state] : SLOT_STEPS[state];
}

/** The mapping in another state of its action; "" hands it to the target. */
export function inState(mapping: Mapping, state: SlotActionState): Mapping {
  if (state === "") return { ...offlineMapping(mapping.id), group_id: mapping.action.target_id };
  return { ...mapping, action: { ...mapping.action, state } };
}

export function actionToCreate(cluster: Cluster, slotId: number, groupId: number): Mapping {
  requireServedGroup(cluster, groupId);
  const mapping = requireMovable(cluster, slotId, groupId);
  return pending(mapping, groupId, nextActionIndex(cluster));
}

/** The lowest `count` idle slots of `from` (0: offline ones). Fewer, or none, is no error. */
export function actionsToCreateSome(
  cluster: Cluster,
  from: number,
  groupId: number,
  count: number,
): Mapping[] {
  requireServedGroup(cluster, groupId);
  if (from === groupId) return [];
  const idle = cluster.slots.filter(
    (mapping) => mapping.group_id === from && mapping.action.state === "",
  );
  return pendingInOrder(cluster, idle.slice(0, Math.max(0, count)), () => groupId);
}

/** Slots `first` to `last`, both included; all or none. */
export function actionsToCreateRange(
  cluster: Cluster,
  first: number,
  last: number,
  groupId: number,
): Mapping[] {
  if (!(first >= 0 && first <= last && last < SLOT_COUNT)) {
    throw new CodisError("usage", `invalid slot range [${first},${last}]`);
  }
  requireServedGroup(cluster, groupId);
  const mappings = cluster.slots
    .slice(first, last + 1)
    .map((mapping) => requireMovable(cluster, mapping.id, groupId));
  return pendingInOrder(cluster, mappings, () => groupId);
}

export function actionsOfPlan(cluster: Cluster, plan: RebalancePlan): Mapping[] {
  const mappings = [...plan].map(([slotId, groupId]) => requireMovable(cluster, slotId, groupId));
  return pendingInOrder(cluster, mappings, (mapping) => plan.get(mapping.id)!);
}

export function actionToRemove(cluster: Cluster, slotId: number): Mapping {
  const mapping = requireSlot(cluster, slotId);
  const { state } = mapping.action;
  if (state === "") throw new CodisError("missing", `slot-[${slotId}] action doesn't exist`);
  if (state !== "pending") {
    throw new CodisError("conflict", `slot-[${slotId}] action isn't pending`);
  }
  return { ...offlineMapping(slotId), group_id: mapping.group_id };
}

/**
 * Slots given to groups at once, without moving keys.
 * Upstream overwrites a slot that is moving and loses sight of its keys; ours refuses it.
 */
export function slotsToAssign(cluster: Cluster, wanted: readonly Mapping[]): Mapping[] {
  for (const { id, group_id, action } of wanted) {
    const current = requireSlot(cluster, id);
    requireServedGroup(cluster, group_id);
    if (action.state !== "") {
      throw new CodisError("usage", `invalid slot-[${id}] action = ${action.state}`);
    }
    requireIdle(current);
  }
  return once(wanted).map(({ id, group_id }) => ({ ...offlineMapping(id), group_id }));
}

/** Slots taken offline at once. Their keys stay where they are. */
export function slotsToTakeOffline(cluster: Cluster, wanted: readonly Mapping[]): Mapping[] {
  for (const { id, group_id } of wanted) {
    const current = requireSlot(cluster, id);
    if (group_id !== 0) throw new CodisError("usage", `group of slot-[${id}] should be 0`);
    requireIdle(current);
  }
  return once(wanted).map(({ id }) => offlineMapping(id));
}

/** Each slot once, as it was named last: every mapping returned is stored. */
function once(wanted: readonly Mapping[]): Mapping[] {
  return [...new Map(wanted.map((mapping) => [mapping.id, mapping])).values()];
}

/** How many slots may move at once. */
export interface MoveLimits {
  /** In all: `migration_parallel_slots`. */
  readonly slots: number;
  /** Out of one group, and into one. */
  readonly perGroup: number;
}

/**
 * The slots with an owner to work on next, best first: those already begun before pending ones,
 * then the lowest index, then the highest id. `active` ones run already, `resting` ones wait after
 * a failure. Pending slots wait while migration is disabled, and while one that proxies must accept
 * is resting: what stops that one would stop them too, with more slots half way.
 *
 * Upstream lets a group take part in one migration at a time and waits for the slowest of a round.
 * We let several slots of a group move at once and refill as they end: a slot spends most of its
 * time waiting for proxies and for the disk, not for its servers. But they all leave the group or
 * all come to it: two servers that each wait for the other to take a key, as MIGRATE does, would
 * wait until they give up. A slot that rests, perhaps for days because of one key or of a server
 * that is down, keeps back moves the opposite way, as proxies still pull its keys; and `perGroup`
 * of them pending ones of their way, so that not all slots of a server that is down are begun.
 */
export function chooseMoves(
  cluster: Cluster,
  active: ReadonlySet<number>,
  resting: ReadonlySet<number>,
  disabled: boolean,
  limits: MoveLimits,
): Mapping[] {
  const load = new GroupLoad();
  let moving = 0;
  for (const mapping of slotsInAction(cluster)) {
    if (isOffline(mapping)) continue;
    const isActive = active.has(mapping.id);
    if (isActive) {
      moving++;
      load.add(mapping);
    } else if (resting.has(mapping.id) && isBegun(mapping)) {
      load.addResting(mapping);
    }
  }
  const chosen: Mapping[] = [];
  for (const mapping of candidates(cluster, active, resting, disabled)) {
    if (moving + chosen.length >= limits.slots) break;
    if (isOffline(mapping) || !load.hasRoom(mapping, limits.perGroup)) continue;
    load.add(mapping);
    chosen.push(mapping);
  }
  return chosen;
}

/** Slots that can go through their states together: of one way and in one state, in their order. */
export function inBatches(mappings: readonly Mapping[], lengthMax: number): Mapping[][] {
  const ways = Map.groupBy(mappings, ({ group_id, action }) => {
    return `${group_id}>${action.target_id} ${action.state}`;
  });
  return [...ways.values()].flatMap((way) => {
    const count = Math.ceil(way.length / lengthMax);
    return Array.from({ length: count }, (_, i) => way.slice(i * lengthMax, (i + 1) * lengthMax));
  });
}

/**
 * Offline slots to work on next: all in one state, so that they go through the rest together, with
 * one push for all of them. They have no keys, so none waits for another, and no group is full.
 * None while some are `active`: they would wait for the same lock, and what is left afterwards, new
 * ones and those that failed, can go together.
 */
export function chooseOffline(
  cluster: Cluster,
  active: ReadonlySet<number>,
  resting: ReadonlySet<number>,
  disabled: boolean,
): Mapping[] {
  if (slotsInAction(cluster).some((slot) => isOffline(slot) && active.has(slot.id))) return [];
  const offline = candidates(cluster, active, resting, disabled).filter(isOffline);
  const first = offline[0];
  return offline
    .filter(({ action }) => action.state === first?.action.state)
    .slice(0, OFFLINE_AT_ONCE);
}

/** Slots that may be worked on now, the most urgent first. */
function candidates(
  cluster: Cluster,
  active: ReadonlySet<number>,
  resting: ReadonlySet<number>,
  disabled: boolean,
): Mapping[] {
  const all = slotsInAction(cluster);
  const holdPending =
    disabled ||
    all.some((mapping) => {
      const { id, action } = mapping;
      return resting.has(id) && isBegun(mapping) && action.state !== "migrating";
    });
  return all
    .filter(({ id }) => !active.has(id) && !resting.has(id))
    .filter((mapping) => isBegun(mapping) || !holdPending)
    .sort(byUrgency);
}

/** Group 0 is no group: there is nobody to take keys from. */
function isOffline({ group_id }: Mapping): boolean {
  return group_id === 0;
}

function isBegun(mapping: Mapping): boolean {
  return mapping.action.state !== "pending";
}

function byUrgency(a: Mapping, b: Mapping): number {
  const begunFirst = Number(isBegun(b)) - Number(isBegun(a));
  return begunFirst || a.action.index - b.action.index || b.id - a.id;
}

/** How many slots in work leave each group and come to it, and how many rest, by way. */
class GroupLoad {
  readonly #leaving = new Map<number, number>();
  readonly #coming = new Map<number, number>();
  readonly #givers = new Set<number>();
  readonly #takers = new Set<number>();
  /** Slots that rest, by `from>to`. */
  readonly #resting = new Map<string, number>();

  add({ group_id: from, action: { target_id: to } }: Mapping): void {
    this.#leaving.set(from, (this.#leaving.get(from) ?? 0) + 1);
    this.#coming.set(to, (this.#coming.get(to) ?? 0) + 1);
    this.#givers.add(from);
    this.#takers.add(to);
  }

  addResting({ group_id: from, action: { target_id: to } }: Mapping): void {
    const way = `${from}>${to}`;
    this.#resting.set(way, (this.#resting.get(way) ?? 0) + 1);
  }

  hasRoom(mapping: Mapping, perGroup: number): boolean {
    const from = mapping.group_id;
    const to = mapping.action.target_id;
    const leaves = (this.#leaving.get(from) ?? 0) < perGroup;
    const comes = (this.#coming.get(to) ?? 0) < perGroup;
    const isOneWay = !this.#takers.has(from) && !this.#givers.has(to);
    const isOpen = isBegun(mapping) || (this.#resting.get(`${from}>${to}`) ?? 0) < perGroup;
    return leaves && comes && isOneWay && isOpen && !this.#resting.has(`${to}>${from}`);
  }
}

function requireMovable(cluster: Cluster, slotId: number, groupId: number): Mapping {
  const mapping = requireSlot(cluster, slotId);
  requireIdle(mapping);
  if (mapping.group_id === groupId) {
    throw new CodisError("conflict", `slot-[${slotId}] already in group-[${groupId}]`);
  }
  return mapping;
}

function requireIdle(mapping: Mapping): void {
  if (mapping.action.state !== "") {
    throw new CodisError("conflict", `slot-[${mapping.id}] action already exists`);
  }
}

function pendingInOrder(
  cluster: Cluster,
  mappings: readonly Mapping[],
  targetOf: (mapping: Mapping) => number,
): Mapping[] {
  const first = nextActionIndex(cluster);
  return mappings.map((mapping, i) => pending(mapping, targetOf(mapping), first + i));
}

function pending(mapping: Mapping, groupId: number, index: number): Mapping {
  return { ...mapping, action: { index, state: "pending", target_id: groupId } };
}
