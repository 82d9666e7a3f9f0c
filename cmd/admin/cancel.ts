/**
 * `codis admin slot cancel`: moves that wait are forgotten, those that have begun go on. Proxies
 * may know of these, or keys may have moved: dropped half way, clients would not find them.
 */

import type { TopomStats } from "../../src/api/topom-stats.ts";
import { CodisError, errorText } from "../../src/base/errors.ts";
import type { Mapping, SlotActionState } from "../../src/model/slot.ts";
import { formatRanges } from "./table.ts";
import type { Answer } from "./verbs.ts";

/** What is asked of the dashboard. */
interface CancelPort {
  stats(): Promise<Pick<TopomStats, "slots" | "slot_action">>;
  removeSlotAction(slotId: number): Promise<void>;
}

/** What the dashboard says of a move that does not wait any more. */
const HAS_BEGUN = /action isn't pending$/;
const HAS_NONE = /action doesn't exist$/;

/** Why a move is not dropped, by how far it has come. */
const WHY_NOT = {
  preparing: "proxies are being told of it",
  prepared: "proxies are being told of it",
  migrating: "some of its keys may lie at its new server by now, others at the old one",
  finished: "its keys have moved",
} as const satisfies Record<Exclude<SlotActionState, "" | "pending">, string>;

/**
 * From the last that would begin to the first, as the dashboard begins others meanwhile.
 * @param wanted undefined for all that wait
 * @throws CodisError of the dashboard for one slot, "conflict" when none of several waits
 */
export async function cancelMoves(
  dashboard: CancelPort,
  wanted: readonly number[] | undefined,
): Promise<Answer> {
  if (wanted?.length === 1) {
    await cancelOne(dashboard, wanted[0]!);
    return answer(wanted, []);
  }
  const { slots } = await dashboard.stats();
  const moving = slots
    .filter(({ id, action }) => action.state !== "" && (wanted?.includes(id) ?? true))
    .toSorted((a, b) => b.action.index - a.action.index);
  const cancelled: number[] = [];
  const begun = moving.filter(({ action }) => action.state !== "pending").map(({ id }) => id);
  for (const { id } of moving.filter(({ action }) => action.state === "pending")) {
    try {
      await dashboard.removeSlotAction(id);
      cancelled.push(id);
    } catch (error) {
      if (!(error instanceof CodisError)) throw error;
      // It has begun, or has even ended, since it was looked at; anything else is a failure.
      if (!HAS_BEGUN.test(error.message) && !HAS_NONE.test(error.message)) throw error;
      begun.push(id);
    }
  }
  if (cancelled.length > 0) return answer(cancelled, begun);
  const which = wanted === undefined ? "Nothing" : "None of these slots";
  const step =
    begun.length === 0 ? "" : "; wait for them (`codis admin slot wait`), then move them back";
  throw new CodisError("conflict", `${which} waits to be moved${goingOn(begun)}${step}`);
}

/** @throws CodisError of the dashboard; of a move that has begun with why it goes on, and what then */
async function cancelOne(dashboard: CancelPort, id: number): Promise<void> {
  try {
    await dashboard.removeSlotAction(id);
  } catch (error) {
    if (!(error instanceof CodisError) || !HAS_BEGUN.test(error.message)) throw error;
    const { slots, slot_action } = await dashboard.stats();
    const why = whyItGoesOn(slots[id]!, slot_action.progress.failing?.[id]);
    throw new CodisError(error.code, `${errorText(error)}\n${why}`);
  }
}

/** @param reason what it fails with now, undefined for nothing */
function whyItGoesOn({ id, group_id, action }: Mapping, reason: string | undefined): string {
  const { state, target_id } = action;
  if (state === "" || state === "pending") return `slot ${id} has ended meanwhile`;
  const owner =
    group_id === 0 ? "" : `, then \`codis admin slot migrate ${id} ${group_id}\` moves it back`;
  const waits = reason === undefined ? "" : `\nit waits, and is tried again: ${reason}`;
  return (
    `slot ${id} is ${state} on its way to group ${target_id} and goes on: ${WHY_NOT[state]}; ` +
    `wait (\`codis admin slot wait\`)${owner}${waits}`
  );
}

function answer(cancelled: readonly number[], begun: readonly number[]): Answer {
  const ids = cancelled.toSorted((a, b) => a - b);
  return {
    text: `cancelled: slots ${formatRanges(ids)}${goingOn(begun)}\n`,
    json: { cancelled: ids, begun: begun.toSorted((a, b) => a - b) },
  };
}

function goingOn(begun: readonly number[]): string {
  if (begun.length === 0) return "";
  return `; these have begun and go on: ${formatRanges(begun.toSorted((a, b) => a - b))}`;
}
