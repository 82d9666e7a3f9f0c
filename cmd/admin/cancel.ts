/** `codis admin slot cancel`: moves that wait are forgotten, those that have begun go on. */

import { CodisError } from "../../src/base/errors.ts";
import type { Mapping } from "../../src/model/slot.ts";
import { formatRanges } from "./table.ts";
import type { Answer } from "./verbs.ts";

/** What is asked of the dashboard. */
interface CancelPort {
  stats(): Promise<{ readonly slots: readonly Mapping[] }>;
  removeSlotAction(slotId: number): Promise<void>;
}

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
    await dashboard.removeSlotAction(wanted[0]!);
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
      if (!/action (isn't pending|doesn't exist)$/.test(error.message)) throw error;
      begun.push(id);
    }
  }
  if (cancelled.length > 0) return answer(cancelled, begun);
  const which = wanted === undefined ? "Nothing" : "None of these slots";
  throw new CodisError("conflict", `${which} waits to be moved${goingOn(begun)}`);
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
