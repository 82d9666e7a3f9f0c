/** Watching slots move: a line of progress on a terminal, a line now and then in a log, until done. */

import type { DashboardClient } from "../../src/api/dashboard-client.ts";
import type { TopomStats } from "../../src/api/topom-stats.ts";
import { CodisError } from "../../src/base/errors.ts";
import { type Failure, failuresOf, oldReasons } from "./failures.ts";
import { MoveProgress, type MoveState } from "./progress.ts";
import { formatCounted } from "./table.ts";

const POLL_MS = 500;
/** Between two lines where lines cannot be written over. */
const LOG_MS = 5_000;
/** Polls that may fail in a row: the dashboard is restarted within that time or it is gone. */
const FAILURES_MAX = 120;
/** Of a terminal that does not say how wide it is, or says 0. */
const COLUMNS_DEFAULT = 80;
/** Different reasons told of slots that do not get on; `codis admin status` shows the present ones. */
const REASONS_MAX = 10;

const CLEAR_LINE = "\r\x1b[K";

export interface MoveResult {
  readonly slots: number;
  readonly keysMoved: number;
  readonly seconds: number;
}

/**
 * Resolves when no slot has an action any more. The dashboard may be restarted meanwhile.
 * Throws CodisError "conflict" when slot actions are disabled: nothing would ever end.
 * @param begun slots that have just begun to move; some may have ended before the first look
 */
export async function watchMove(
  dashboard: DashboardClient,
  isQuiet: boolean,
  begun = 0,
): Promise<MoveResult> {
  const beginMs = performance.now();
  let stats = await dashboard.stats();
  let state = moveState(stats);
  const first = { ...state, slotsLeft: Math.max(state.slotsLeft, begun) };
  const progress = new MoveProgress(first, beginMs);
  let failures = 0;
  let lastLineMs = beginMs;
  const told = oldReasons(stats.slot_action);
  while (state.slotsLeft > 0) {
    await Bun.sleep(POLL_MS);
    try {
      stats = await dashboard.stats();
      state = moveState(stats);
      failures = 0;
    } catch (error) {
      if (!isPassing(error) || ++failures >= FAILURES_MAX) throw error;
      continue;
    }
    const nowMs = performance.now();
    if (isQuiet) continue;
    tell(failuresOf(stats.slot_action), told);
    if (process.stderr.isTTY) {
      // The last column stays free: a cursor behind it is on the next line.
      const columns = (process.stderr.columns || COLUMNS_DEFAULT) - 1;
      process.stderr.write(CLEAR_LINE + progress.line(state, nowMs, columns));
    } else if (nowMs - lastLineMs >= LOG_MS) {
      lastLineMs = nowMs;
      process.stderr.write(`${progress.line(state, nowMs)}\n`);
    }
  }
  if (!isQuiet && process.stderr.isTTY) process.stderr.write(CLEAR_LINE);
  return {
    slots: first.slotsLeft,
    keysMoved: Math.max(0, state.keysMoved - first.keysMoved),
    seconds: Math.round(performance.now() - beginMs) / 1000,
  };
}

/** @param told reasons that were told before; those told now are added */
function tell(failing: readonly Failure[], told: Set<string>): void {
  for (const { reason, text } of failing) {
    if (told.has(reason) || told.size >= REASONS_MAX) continue;
    told.add(reason);
    process.stderr.write(`${process.stderr.isTTY ? CLEAR_LINE : ""}${text}\n`);
  }
}

/** What a dashboard that is being restarted fails with. */
function isPassing(error: unknown): boolean {
  return error instanceof CodisError && (error.code === "unavailable" || error.code === "timeout");
}

/**
 * Waits for work that begins moves or watches them, or for a signal, and then says that the moves
 * are the dashboard's and go on.
 * @throws CodisError "closed" then
 */
export async function untilInterrupted<T>(address: string, work: Promise<T>): Promise<T> {
  const interrupted = Promise.withResolvers<never>();
  const onSignal = (): void => {
    // Behind a line of progress, which has no end.
    if (process.stderr.isTTY) process.stderr.write("\n");
    interrupted.reject(new CodisError("closed", goesOnText(address)));
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  try {
    return await Promise.race([work, interrupted.promise]);
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

function goesOnText(address: string): string {
  return [
    "no longer watching; the slots move on in the dashboard",
    `  to watch again     codis admin slot wait --dashboard ${address}`,
    `  to hold the moves  codis admin slot pause --dashboard ${address}     (resume goes on)`,
    `  to look            codis admin slot list --dashboard ${address}`,
  ].join("\n");
}

/** One line, without line feed. */
export function moveText({ slots, keysMoved, seconds }: MoveResult): string {
  if (slots === 0) return "no slot is moving";
  const moved = `${formatCounted(slots, "slot")} and ${formatCounted(keysMoved, "key")} moved`;
  return `${moved} in ${seconds.toFixed(1)} s`;
}

function moveState({ slot_action, slots }: TopomStats): MoveState {
  const { disabled, progress } = slot_action;
  const slotsLeft = slots.filter(({ action }) => action.state !== "").length;
  if (disabled && slotsLeft > 0) {
    throw new CodisError(
      "conflict",
      `${slotsLeft} slots wait, but slot actions are disabled; enable them with: codis admin slot resume`,
    );
  }
  return { slotsLeft, keysMoved: progress.keys_moved ?? 0 };
}
