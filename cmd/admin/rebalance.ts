/**
 * `codis admin rebalance`: even out the slots over all groups.
 *
 *   codis admin rebalance                shows the plan
 *   codis admin rebalance --confirm      does it, and watches
 */

import type { Command } from "commander";
import type { DashboardClient } from "../../src/api/dashboard-client.ts";
import type { VerbFlags } from "./dashboard.ts";
import { type MoveResult, untilInterrupted } from "./move.ts";
import { watched } from "./slot.ts";
import { planLines } from "./status-lines.ts";
import { formatCount } from "./table.ts";
import { type Answer, addVerb } from "./verbs.ts";

export function addRebalanceVerb(admin: Command): void {
  addVerb<VerbFlags & { confirm?: boolean; wait: boolean }>(
    admin,
    "rebalance",
    "even out the slots over all groups: shows the plan, --confirm does it",
    (_, { confirm, wait, json }) =>
      (dashboard) => {
        if (!confirm) return showPlan(dashboard);
        return untilInterrupted(dashboard.addr, rebalance(dashboard, wait, json === true));
      },
    (command) =>
      command
        .option("--confirm", "do it, and watch until it is done")
        .option("--no-wait", "with --confirm: return at once"),
  );
}

/** What is printed for machines: the plan always, how it went when that was watched. */
type RebalanceJson = { plan: Readonly<Record<string, number>> } & Partial<MoveResult>;

const NOTHING_MOVED: MoveResult = { slots: 0, keysMoved: 0, seconds: 0 };

async function showPlan(dashboard: DashboardClient): Promise<Answer> {
  const plan = await dashboard.rebalance(false);
  const { text, json } = planAnswer(plan);
  const hint = `${formatCount(plan.size)} slots would move; --confirm moves them\n`;
  return { text: plan.size === 0 ? text : text + hint, json };
}

async function rebalance(
  dashboard: DashboardClient,
  wait: boolean,
  isQuiet: boolean,
): Promise<Answer> {
  const plan = await dashboard.rebalance(true);
  const { text, json } = planAnswer(plan);
  if (!wait) return { text, json };
  const isDone = plan.size === 0;
  const moved = isDone
    ? { text, json: NOTHING_MOVED }
    : await watched(dashboard, isQuiet, plan.size);
  return { text: moved.text, json: { ...json, ...moved.json } satisfies RebalanceJson };
}

function planAnswer(plan: ReadonlyMap<number, number>): { text: string; json: RebalanceJson } {
  const json = { plan: Object.fromEntries(plan) };
  return { text: plan.size === 0 ? "nothing changes\n" : planLines(json.plan), json };
}
