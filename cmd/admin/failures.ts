/**
 * Pure: why slots do not get on, from the dashboard's statistics. Ours tells of each slot what it
 * fails with now. An original tells its last failure alone, which may be over.
 */

import type { TopomStats } from "../../src/api/topom-stats.ts";
import { formatRanges } from "./table.ts";

/** Of one slot or several that fail with the same. */
export interface Failure {
  readonly reason: string;
  /** One line for people, without line feed. */
  readonly text: string;
}

type SlotAction = Pick<TopomStats["slot_action"], "progress">;

/** Once per reason. */
export function failuresOf({ progress: { status, failing } }: SlotAction): Failure[] {
  if (failing === undefined) {
    const reason = /^\[ERROR\] (.*)$/s.exec(status)?.[1];
    return reason === undefined ? [] : [{ reason, text: reason }];
  }
  const slotsOf = Map.groupBy(Object.keys(failing), (id) => failing[id]!);
  return [...slotsOf].map(([reason, ids]) => {
    const text = `slot ${formatRanges(ids.map(Number))} waits, and is tried again: ${reason}`;
    return { reason, text };
  });
}

/** What is no news to somebody who looks for the first time. */
export function oldReasons(slotAction: SlotAction): Set<string> {
  const isOver = slotAction.progress.failing === undefined;
  return new Set(isOver ? failuresOf(slotAction).map(({ reason }) => reason) : []);
}
