/**
 * `codis admin slot ...`: who owns which slot, and moving them.
 *
 *   codis admin slot list
 *   codis admin slot assign 0-511 1                      offline slots only: nothing is moved
 *   codis admin slot migrate 7 2                         move slot 7 to group 2; also 1,5,8-9
 *   codis admin slot migrate --from 1 --to 2 --count 9   any 9 slots of group 1
 *   codis admin slot cancel 7                            only while it waits; also 1,5,8-9, all
 *   codis admin slot wait                                until nothing moves any more
 *   codis admin slot pause | resume | interval 1000
 */

import type { Command } from "commander";
import type { DashboardClient } from "../../src/api/dashboard-client.ts";
import { CodisError } from "../../src/base/errors.ts";
import { MAPPINGS, type Mapping, offlineMapping } from "../../src/model/slot.ts";
import { cancelMoves } from "./cancel.ts";
import { type MigrateFlags, migration } from "./migration.ts";
import { type MoveResult, moveText, untilInterrupted, watchMove } from "./move.ts";
import { formatRanges, renderTable } from "./table.ts";
import {
  type Answer,
  addVerb,
  addVerbGroup,
  DONE,
  doing,
  groupArgument,
  integerArgument,
  slotRangesArgument,
  slotsOf,
} from "./verbs.ts";

/** The original's limit of the pause between two migration calls. */
const INTERVAL_MAX_MICROSECONDS = 1_000_000;

export function addSlotVerbs(admin: Command): void {
  const slot = addVerbGroup(
    admin,
    "slot",
    "who owns which slot, and moving them",
    "codis admin slot migrate 0-99 2 --dashboard 127.0.0.1:18080",
  );
  addOwnerVerbs(slot);
  addMoveVerbs(slot);
  addPaceVerbs(slot);
}

/** Who owns what; nothing is moved. */
function addOwnerVerbs(slot: Command): void {
  addVerb(slot, "list", "slots by owner, and those with an action", () => async (dashboard) => {
    const { slots } = await dashboard.stats();
    return { text: slotTables(slots), json: MAPPINGS.write([...slots]) };
  });
  addVerb(slot, "assign <slots> <gid>", "give offline slots an owner", ([slots, gid]) => {
    const wanted = mappingsOf(slots!, groupArgument(gid));
    return doing(async (dashboard) => {
      assertNoOtherOwner((await dashboard.stats()).slots, wanted);
      await dashboard.assignSlots(wanted);
    });
  });
  addVerb(slot, "offline <slots>", "take slots from their owner: clients get errors", ([slots]) => {
    const wanted = mappingsOf(slots!, 0);
    return doing((dashboard) => dashboard.offlineSlots(wanted));
  });
}

/** Moves, one or many, and looking at them. */
function addMoveVerbs(slot: Command): void {
  addVerb<MigrateFlags>(
    slot,
    "migrate [slots] [gid]",
    "move slots to a group",
    (args, flags) => {
      const begin = migration(args, flags);
      return async (dashboard) => {
        const work = async (): Promise<Answer> => {
          const isQuiet = flags.json === true;
          const { begun, shortage } = await begin(dashboard);
          if (!isQuiet && shortage !== "") process.stderr.write(`${shortage}\n`);
          const { text, json } = flags.wait ? await watched(dashboard, isQuiet, begun) : DONE;
          return { text, json: { ...json, begun } };
        };
        return await untilInterrupted(dashboard.addr, work());
      };
    },
    (command) =>
      command
        .option("--from <gid>", "move slots of this group, with --to and --count")
        .option("--to <gid>", "the group that gets them")
        .option("--count <n>", "how many")
        .option("--no-wait", "return at once; `codis admin slot wait` watches later"),
  );
  const cancelSummary = "forget moves that have not begun: slots, ranges or `all`";
  addVerb(slot, "cancel <slots>", cancelSummary, ([text]) => {
    const wanted = text === "all" ? undefined : slotsOf(slotRangesArgument(text!));
    return (dashboard) => cancelMoves(dashboard, wanted);
  });
  addVerb(slot, "wait", "watch until no slot moves any more", (_, { json }) => {
    return (dashboard) => untilInterrupted(dashboard.addr, watched(dashboard, json === true));
  });
}

/** Whether and how fast slots move. */
function addPaceVerbs(slot: Command): void {
  addVerb(slot, "pause", "start no more moves", () =>
    doing((dashboard) => dashboard.setSlotActionDisabled(true)),
  );
  addVerb(slot, "resume", "start moves again", () =>
    doing((dashboard) => dashboard.setSlotActionDisabled(false)),
  );
  addVerb(slot, "interval <microseconds>", "pause between two migration calls", ([text]) => {
    const value = integerArgument("interval", text, 0, INTERVAL_MAX_MICROSECONDS);
    return doing((dashboard) => dashboard.setSlotActionInterval(value));
  });
}

/** Watches the moves under way and tells the result. */
export async function watched(
  dashboard: DashboardClient,
  isQuiet: boolean,
  begun = 0,
): Promise<{ text: string; json: MoveResult }> {
  const result = await watchMove(dashboard, isQuiet, begun);
  return { text: `${moveText(result)}\n`, json: result };
}

function mappingsOf(text: string, gid: number): Mapping[] {
  return slotsOf(slotRangesArgument(text)).map((id) => ({ ...offlineMapping(id), group_id: gid }));
}

/**
 * Another owner would hide the keys that lie at the present one. The dashboard allows it, as the
 * original does: `slot offline` first says that it is meant.
 * @throws CodisError "conflict" naming the slots
 */
export function assertNoOtherOwner(slots: readonly Mapping[], wanted: readonly Mapping[]): void {
  const owner = new Map(slots.map(({ id, group_id }) => [id, group_id]));
  const owned = wanted.filter(({ id, group_id }) => ![0, group_id].includes(owner.get(id) ?? 0));
  if (owned.length === 0) return;
  const ranges = formatRanges(owned.map(({ id }) => id));
  throw new CodisError(
    "conflict",
    `Cannot assign slots ${ranges}: another group owns them and may have keys; ` +
      "use `slot migrate`; after `slot offline` they can be assigned, and the keys stay behind",
  );
}

export function slotTables(slots: readonly Mapping[]): string {
  const owners = [...new Set(slots.map((slot) => slot.group_id))].sort((a, b) => a - b);
  const rows = owners.map((gid) => {
    const owned = slots.filter((slot) => slot.group_id === gid).map((slot) => slot.id);
    return [gid === 0 ? "offline" : String(gid), owned.length, formatRanges(owned)];
  });
  const moving = slots.filter((slot) => slot.action.state !== "");
  if (moving.length === 0) return renderTable(["GROUP", "SLOTS", "RANGES"], rows);
  const moves = moving
    .toSorted((a, b) => a.action.index - b.action.index)
    .map(({ id, group_id, action }) => {
      return [String(id), String(group_id), String(action.target_id), action.state];
    });
  const tables = [
    ["GROUP", "SLOTS", "RANGES"],
    ["SLOT", "FROM", "TO", "STATE"],
  ];
  return `${renderTable(tables[0]!, rows)}\n${renderTable(tables[1]!, moves)}`;
}
