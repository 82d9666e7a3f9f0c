import { expect, test } from "bun:test";
import {
  actionsOfPlan,
  actionsToCreateRange,
  actionsToCreateSome,
  actionToCreate,
  chooseMoves,
  chooseOffline,
  inBatches,
  inState,
  OFFLINE_AT_ONCE,
  slotsToAssign,
} from "../../src/dashboard/slot-action.ts";
import { clusterOf, groupOf, moving } from "./clusters.ts";

const groups = [groupOf(1, 1), groupOf(2, 1), groupOf(3, 1), groupOf(4, 1), groupOf(9, 0)];
const LIMITS = { slots: 100, perGroup: 2 };

function chosen(
  mappings: readonly ReturnType<typeof moving>[],
  given: { active?: number[]; resting?: number[]; disabled?: boolean; slots?: number } = {},
): number[] {
  const { active = [], resting = [], disabled = false, slots = LIMITS.slots } = given;
  return chooseMoves(clusterOf(groups, mappings), new Set(active), new Set(resting), disabled, {
    ...LIMITS,
    slots,
  }).map((mapping) => mapping.id);
}

test("Slots already begun come first, then the lowest index, then the highest id", () => {
  const mappings = [
    moving(1, 1, 2, "pending", 1),
    moving(2, 1, 4, "pending", 3),
    moving(3, 3, 2, "migrating", 9),
    moving(4, 3, 4, "pending", 3),
  ];
  expect(chosen(mappings)).toEqual([3, 1, 4, 2]);
});

test("A group takes part in so many moves at once, as owner and as target", () => {
  const mappings = [1, 2, 3, 4].map((id) => moving(id, 1, 2, "pending", id));
  expect(chosen(mappings)).toEqual([1, 2]);
  expect(chosen(mappings, { active: [1] })).toEqual([2]);
  expect(chosen(mappings, { active: [1, 2] })).toEqual([]);
  expect(
    chosen([...mappings, moving(5, 2, 3, "pending", 5), moving(6, 3, 4, "pending", 6)]),
  ).toEqual([1, 2, 6]);
});

test("Slots of one way in one state go through their states together, up to a length", () => {
  const mappings = [
    moving(1, 1, 2, "pending", 1),
    moving(2, 1, 3, "pending", 2),
    moving(3, 1, 2, "migrating", 3),
    moving(4, 1, 2, "pending", 4),
    moving(5, 1, 2, "pending", 5),
  ];
  const batches = inBatches(mappings, 2).map((batch) => batch.map(({ id }) => id));
  expect(batches).toEqual([[1, 4], [5], [2], [3]]);
  expect(inBatches([], 2)).toEqual([]);
});

test("A group gives or takes, not both at once, and not by way of others either", () => {
  const there = [1, 2].map((id) => moving(id, 1, 2, "pending", id));
  expect(chosen([there[0]!, moving(5, 2, 1, "pending", 9)])).toEqual([1]);
  expect(chosen([there[0]!, moving(5, 2, 3, "pending", 9)])).toEqual([1]);
  expect(chosen([there[0]!, moving(5, 3, 1, "pending", 9)])).toEqual([1]);
  expect(chosen([...there, moving(5, 3, 4, "pending", 9)], { active: [1] })).toEqual([2, 5]);
  // Begun one way when the dashboard died, the other way before: one direction ends first.
  expect(chosen([moving(1, 1, 2, "migrating", 1), moving(2, 2, 1, "migrating", 2)])).toEqual([1]);
});

test("No more slots move at once than the limit says, and offline ones do not count", () => {
  const mappings = [1, 2, 3].map((id) => moving(id, id, 4, "pending", id));
  const offline = [5, 6].map((id) => moving(id, 0, 4, "pending", id));
  expect(chosen([...offline, ...mappings], { slots: 2 })).toEqual([1, 2]);
  expect(chosen(mappings, { slots: 2, active: [1] })).toEqual([2]);
  expect(chosen([...offline, ...mappings], { slots: 1, active: [5, 6] })).toEqual([1]);
});

/** As `chosen`, of offline slots. */
function chosenOffline(
  mappings: readonly ReturnType<typeof moving>[],
  { active = [], resting = [], disabled = false }: Parameters<typeof chosen>[1] = {},
): number[] {
  const cluster = clusterOf(groups, mappings);
  return chooseOffline(cluster, new Set(active), new Set(resting), disabled).map(({ id }) => id);
}

test("Offline slots go together, those in the state of the most urgent one", () => {
  const mappings = [
    moving(1, 0, 1, "pending", 1),
    moving(2, 0, 2, "preparing", 9),
    moving(3, 0, 1, "preparing", 8),
    moving(4, 1, 2, "preparing", 1),
  ];
  expect(chosenOffline(mappings)).toEqual([3, 2]);
  expect(chosenOffline(mappings, { active: [3] })).toEqual([]);
  expect(chosenOffline(mappings, { active: [4] })).toEqual([3, 2]);
  expect(chosenOffline(mappings, { resting: [2, 3] })).toEqual([]);
  expect(chosenOffline(mappings.slice(0, 1))).toEqual([1]);
  expect(chosenOffline(mappings.slice(0, 1), { disabled: true })).toEqual([]);
});

test("No more offline slots go together than the limit says", () => {
  const mappings = Array.from({ length: OFFLINE_AT_ONCE + 1 }, (_, id) => {
    return moving(id, 0, 1, "pending", id);
  });
  const ids = chosenOffline(mappings);
  expect(ids.length).toBe(OFFLINE_AT_ONCE);
  expect(ids.includes(OFFLINE_AT_ONCE)).toBe(false);
});

test("Disabled migration begins nothing, but goes on with what has begun", () => {
  const mappings = [moving(1, 1, 2, "pending", 1), moving(2, 3, 4, "prepared", 2)];
  expect(chosen(mappings, { disabled: true })).toEqual([2]);
});

test("While proxies stop one slot no other begins; a server stops only what goes the same way", () => {
  const refused = [moving(1, 1, 2, "preparing", 1), moving(2, 3, 4, "pending", 2)];
  expect(chosen(refused, { resting: [1] })).toEqual([]);
  const dead = [
    moving(1, 1, 2, "migrating", 1),
    moving(2, 1, 2, "migrating", 2),
    moving(3, 1, 2, "pending", 3),
    moving(4, 4, 2, "pending", 4),
    moving(5, 1, 3, "pending", 5),
  ];
  expect(chosen(dead, { resting: [1, 2] })).toEqual([4, 5]);
  // One that has begun is tried again, however many rest.
  const due = [...dead.slice(0, 2), moving(3, 1, 2, "migrating", 3)];
  expect(chosen(due, { resting: [1, 2] })).toEqual([3]);
});

test("A slot that rests keeps back moves the opposite way, and no others", () => {
  const mappings = [
    moving(1, 3, 1, "migrating", 1),
    moving(2, 2, 3, "pending", 2),
    moving(3, 1, 2, "pending", 3),
    moving(4, 1, 3, "pending", 4),
  ];
  expect(chosen(mappings, { resting: [1] })).toEqual([2]);
  expect(chosen(mappings, { active: [2], resting: [1] })).toEqual([]);
  const opposite = [mappings[0]!, mappings[3]!];
  expect(chosen(opposite, { resting: [1] })).toEqual([]);
  expect(chosen(opposite)).toEqual([1]);
});

test("The next state keeps the action; the last one hands the slot over", () => {
  const mapping = moving(7, 1, 2, "pending", 5);
  expect(inState(mapping, "preparing")).toEqual(moving(7, 1, 2, "preparing", 5));
  expect(inState(mapping, "")).toEqual(moving(7, 2, 0, "", 0));
});

test("New actions are numbered after the highest of all", () => {
  const cluster = clusterOf(groups, [moving(3, 1, 2, "migrating", 7), moving(4, 1, 0, "", 0)]);
  expect(actionToCreate(cluster, 4, 2).action).toEqual({
    index: 8,
    state: "pending",
    target_id: 2,
  });
  const range = actionsToCreateRange(cluster, 10, 11, 2).map(({ id, action }) => [
    id,
    action.index,
  ]);
  expect(range).toEqual([
    [10, 8],
    [11, 9],
  ]);
  const plan = actionsOfPlan(cluster, new Map([[4, 2]]));
  expect(plan).toEqual([moving(4, 1, 2, "pending", 8)]);
});

test("Some means the lowest idle slots of the group, or of none", () => {
  const cluster = clusterOf(groups, [
    moving(3, 1, 2, "pending", 1),
    moving(4, 1, 0, "", 0),
    moving(5, 1, 0, "", 0),
  ]);
  const ids = (from: number, count: number): number[] =>
    actionsToCreateSome(cluster, from, 2, count).map((mapping) => mapping.id);
  expect(ids(1, 1)).toEqual([4]);
  expect(ids(1, 9)).toEqual([4, 5]);
  expect(ids(1, 0)).toEqual([]);
  expect(ids(1, -1)).toEqual([]);
  expect(ids(2, 9)).toEqual([]);
  expect(ids(0, 3)).toEqual([0, 1, 2]);
});

test("A slot that is named again and again is assigned once, as it was named last", () => {
  const cluster = clusterOf(groups, []);
  const wanted = [moving(3, 1, 0, "", 0), moving(4, 1, 0, "", 0), moving(3, 2, 0, "", 0)];
  const assigned = slotsToAssign(cluster, wanted).map(({ id, group_id }) => [id, group_id]);
  expect(assigned).toEqual([
    [3, 2],
    [4, 1],
  ]);
});

test("A slot that moves cannot be assigned", () => {
  const cluster = clusterOf(groups, [moving(3, 1, 2, "pending", 1)]);
  expect(() => slotsToAssign(cluster, [moving(3, 1, 0, "", 0)])).toThrow(
    "slot-[3] action already exists",
  );
});
