/**
 * What `codis admin slot migrate` begins: slots named by number, or so many of a group. How many
 * that are is counted here, as the dashboard, which begins no more than there are, does not say.
 */

import type { DashboardClient } from "../../src/api/dashboard-client.ts";
import { CodisError, errorText } from "../../src/base/errors.ts";
import { SLOT_COUNT } from "../../src/slots/hash.ts";
import type { VerbFlags } from "./dashboard.ts";
import { formatRanges } from "./table.ts";
import {
  groupArgument,
  integerArgument,
  type SlotRange,
  slotRangesArgument,
  slotsOf,
} from "./verbs.ts";

export interface MigrateFlags extends VerbFlags {
  from?: string;
  to?: string;
  count?: string;
  wait: boolean;
}

export interface Begun {
  readonly begun: number;
  /** Why these are fewer than were asked for, a line without line feed; "" when they are not. */
  readonly shortage: string;
}

/** What is asked of the dashboard. */
type MigratePort = Pick<DashboardClient, "stats" | "createSlotActions" | "createSlotActionRange">;

/** Which slots to move, named by number or by how many. @throws CodisError "usage" for a mixture */
export function migration(
  [slots, gid]: readonly string[],
  { from, to, count }: Omit<MigrateFlags, "wait">,
): (dashboard: MigratePort) => Promise<Begun> {
  const isByCount = [from, to, count].some((value) => value !== undefined);
  if (isByCount === (slots !== undefined)) {
    throw new CodisError(
      "usage",
      "Name slots and a group (migrate 0-9 2), or --from, --to and --count",
    );
  }
  if (slots === undefined) {
    const source = groupArgument(from, "--from");
    const target = groupArgument(to, "--to");
    if (source === target) {
      throw new CodisError(
        "usage",
        `Cannot move slots from group ${source} to group ${target}: that is where they are`,
      );
    }
    const slotCount = integerArgument("--count", count, 1, SLOT_COUNT);
    return (dashboard) => beginSome(dashboard, source, target, slotCount);
  }
  const ranges = slotRangesArgument(slots);
  const target = groupArgument(gid);
  return (dashboard) => beginRanges(dashboard, ranges, target);
}

/** Slots that somebody else begins to move at the same moment are counted as begun here. */
async function beginSome(
  dashboard: MigratePort,
  source: number,
  target: number,
  wanted: number,
): Promise<Begun> {
  const { slots, group } = await dashboard.stats();
  if (!group.models.some(({ id }) => id === source)) {
    const step = "`codis admin group list` shows those there are";
    throw new CodisError(
      "missing",
      `Cannot move slots from group ${source}: it doesn't exist; ${step}`,
    );
  }
  const owned = slots.filter(({ group_id }) => group_id === source);
  const idle = owned.filter(({ action }) => action.state === "");
  await dashboard.createSlotActions(source, target, wanted);
  const begun = Math.min(wanted, idle.length);
  if (begun === wanted) return { begun, shortage: "" };
  const moving = owned.length - idle.length;
  const others = moving === 0 ? "" : `, ${moving} move already`;
  const owns = `group ${source} owns ${owned.length}${others}`;
  return { begun, shortage: `${begun} slots begin to move, not ${wanted}: ${owns}` };
}

/** @throws CodisError of the first range that is refused, with what was begun before it */
async function beginRanges(
  dashboard: MigratePort,
  ranges: readonly SlotRange[],
  target: number,
): Promise<Begun> {
  for (const [i, { begin, end }] of ranges.entries()) {
    try {
      await dashboard.createSlotActionRange(begin, end, target);
    } catch (error) {
      if (!(error instanceof CodisError) || i === 0) throw error;
      const begun = formatRanges(slotsOf(ranges.slice(0, i)).sort((a, b) => a - b));
      const step = `slots ${begun} move to group ${target}; \`slot cancel\` forgets those that wait`;
      throw new CodisError(error.code, `${errorText(error)}\n${step}`);
    }
  }
  return { begun: slotsOf(ranges).length, shortage: "" };
}
