/** `codis admin status`: a cluster at a glance. */

import type { Command } from "commander";
import type { TopomStats } from "../../src/api/topom-stats.ts";
import { failuresOf } from "./failures.ts";
import { groupTable } from "./group.ts";
import { silenceOf } from "./member-state.ts";
import { polledStats } from "./polled.ts";
import { proxyTable } from "./proxy.ts";
import { formatCount } from "./table.ts";
import { addVerb } from "./verbs.ts";

/** Different reasons that are shown of slots that do not move. */
const REASONS_MAX = 3;

export function addStatusVerb(admin: Command): void {
  addVerb(admin, "status", "the cluster at a glance", () => async (dashboard) => {
    const { product_name } = await dashboard.model();
    const stats = await polledStats(dashboard);
    return { text: statusText(product_name, dashboard.addr, stats), json: stats };
  });
}

export function statusText(product: string, address: string, stats: TopomStats): string {
  const head = [
    `product ${product}, dashboard ${address}`,
    slotLine(stats),
    ...paceLines(stats.slot_action),
    ...failureLines(stats.slot_action),
  ];
  return `${head.join("\n")}\n\n${groupTable(stats)}\n${proxyTable(stats)}`;
}

function slotLine({ slots, group }: TopomStats): string {
  const moving = slots.filter((slot) => slot.action.state !== "").length;
  const offline = slots.filter((slot) => slot.group_id === 0).length;
  const deadGroups = new Set(
    group.models
      .filter(({ servers: [master] }) => {
        const polled = group.stats[master?.server ?? ""];
        return polled !== undefined && silenceOf(polled) !== undefined;
      })
      .map(({ id }) => id),
  );
  const dead = slots.filter((slot) => deadGroups.has(slot.group_id)).length;
  return [
    `${formatCount(slots.length - offline - dead)} slots served`,
    ...(dead === 0 ? [] : [`${formatCount(dead)} at servers that do not answer`]),
    `${formatCount(offline)} offline`,
    `${formatCount(moving)} moving`,
  ].join(", ");
}

/** What slows moves down or holds them; nothing when nothing does. */
function paceLines({ disabled, interval }: TopomStats["slot_action"]): string[] {
  const lines: string[] = [];
  if (disabled) lines.push("slot actions are disabled; `codis admin slot resume` enables them");
  if (interval > 0) {
    lines.push(
      `${formatCount(interval)} microseconds between two migration calls; ` +
        "`codis admin slot interval 0` ends that",
    );
  }
  return lines;
}

/** Why slots do not get on, once per reason. */
function failureLines(slotAction: TopomStats["slot_action"]): string[] {
  const lines = failuresOf(slotAction).map(({ text }) => text);
  const more = lines.length - REASONS_MAX;
  return more <= 0 ? lines : [...lines.slice(0, REASONS_MAX), `and ${more} more such reasons`];
}
