/**
 * `codis admin group ...`: groups and their servers.
 *
 *   codis admin group list
 *   codis admin group create 5
 *   codis admin group add 5 10.0.0.15:6379
 *   codis admin group del 5 10.0.0.15:6379
 *   codis admin group remove 5
 *   codis admin group promote 5 10.0.0.16:6379        not built yet: says what to do instead
 *   codis admin group resync 5          push the group's slots to all proxies again
 */

import type { Command } from "commander";
import type { DashboardClient } from "../../src/api/dashboard-client.ts";
import type { TopomStats } from "../../src/api/topom-stats.ts";
import { CodisError } from "../../src/base/errors.ts";
import type { VerbFlags } from "./dashboard.ts";
import { silenceLines, silenceOf } from "./member-state.ts";
import { polledStats } from "./polled.ts";
import { renderTable } from "./table.ts";
import { addressArgument, addVerb, addVerbGroup, doing, groupArgument, withStep } from "./verbs.ts";

export function addGroupVerbs(admin: Command): void {
  const group = addVerbGroup(
    admin,
    "group",
    "groups and their servers",
    "codis admin group add 5 10.0.0.15:6379 --dashboard 127.0.0.1:18080",
  );
  const listSummary = "groups, their servers, slots, keys and memory";
  addVerb(group, "list", listSummary, () => async (dashboard) => {
    const stats = await polledStats(dashboard);
    return { text: groupTable(stats), json: stats.group };
  });
  addVerb(group, "create <gid>", "make an empty group", ([gid]) => {
    const id = groupArgument(gid);
    return doing((dashboard) => dashboard.createGroup(id));
  });
  addVerb(group, "remove <gid>", "remove an empty group", ([gid]) => {
    const id = groupArgument(gid);
    return doing((dashboard) => dashboard.removeGroup(id));
  });
  addVerb<VerbFlags & { datacenter?: string }>(
    group,
    "add <gid> <addr>",
    "put a server into a group; the first is its master",
    ([gid, addr], { datacenter }) => {
      const id = groupArgument(gid);
      const server = addressArgument(addr);
      return doing((dashboard) =>
        withStep(
          () => dashboard.addServer(id, server, datacenter ?? ""),
          (text) => whereItIs(dashboard, server, text),
        ),
      );
    },
    (command) => command.option("--datacenter <name>", "where the server is"),
  );
  addVerb(group, "del <gid> <addr>", "take a server out of a group", ([gid, addr]) => {
    const id = groupArgument(gid);
    return doing((dashboard) => dashboard.delServer(id, addr!));
  });
  const promoteSummary = "not built yet: says what to do instead";
  addVerb(group, "promote <gid> <addr>", promoteSummary, ([gid, addr]) => {
    const id = groupArgument(gid);
    const server = addressArgument(addr);
    return async (dashboard) => {
      throw new CodisError("conflict", promotionText(await polledStats(dashboard), id, server));
    };
  });
  addVerb(group, "resync <gid>", "push a group's slots to all proxies again, or `all`", ([gid]) => {
    if (gid === "all") return doing((dashboard) => dashboard.resyncAllGroups());
    const id = groupArgument(gid);
    return doing((dashboard) => dashboard.resyncGroup(id));
  });
}

/** Of a server that is a member already, the group; else "". */
async function whereItIs(
  dashboard: Pick<DashboardClient, "stats">,
  server: string,
  text: string,
): Promise<string> {
  if (!/server-\[.*\] already exists$/.test(text)) return "";
  const { group } = await dashboard.stats();
  const owner = group.models.find(({ servers }) => servers.some((each) => each.server === server));
  return owner === undefined ? "" : `${server} is in group ${owner.id}`;
}

/** Why the server is not made the master of the group, and what the operator can do. */
export function promotionText({ group }: TopomStats, id: number, server: string): string {
  const refusal = `Cannot make ${server} the master of group ${id}: `;
  const servers = group.models.find((model) => model.id === id)?.servers ?? [];
  const master = servers[0]?.server;
  if (!servers.some((member) => member.server === server)) {
    return `${refusal}it is no server of that group, see \`codis admin group list\``;
  }
  if (server === master) return `${refusal}it is that already`;
  const reason = `${refusal}promotion is not built yet, and what it holds is its own; `;
  if (group.stats[master!]?.stats === undefined) {
    return `${reason}start the present master ${master} again, it does not answer`;
  }
  return (
    `${reason}to let it serve, take it out (\`group del ${id} ${server}\`), put it into a new group ` +
    "(`group create`, `group add`) and move slots there (`slot migrate`)"
  );
}

/** One row per server, and why one does not answer; without groups, how to make one. */
export function groupTable(stats: TopomStats): string {
  if (stats.group.models.length === 0) {
    return "no groups yet: `codis admin group create 1`, then `codis admin group add 1 ADDR`\n";
  }
  const rows = stats.group.models.flatMap((group) => {
    const slots = stats.slots.filter((slot) => slot.group_id === group.id).length;
    if (group.servers.length === 0) return [[String(group.id), "-", "empty", slots, "-", "-"]];
    return group.servers.map(({ server }, position) => {
      const info = stats.group.stats[server]?.stats;
      return [
        String(group.id),
        server,
        serverState(stats, server, position),
        position === 0 ? slots : "",
        info === undefined ? "-" : keyCount(info),
        info?.used_memory_human ?? "-",
      ];
    });
  });
  const servers = stats.group.models.flatMap((group) => group.servers);
  const header = ["GROUP", "SERVER", "STATE", "SLOTS", "KEYS", "MEMORY"];
  const reasons = servers.map(({ server }) => [server, stats.group.stats[server]] as const);
  return renderTable(header, rows) + silenceLines(reasons);
}

/** The first server of a group is its master; another may hold what it likes. */
function serverState({ group }: TopomStats, server: string, position: number): string {
  const polled = group.stats[server];
  const silence = silenceOf(polled);
  if (silence !== undefined) return silence;
  if (position === 0) return "master";
  return polled!.stats!.master_addr === undefined ? "replica: own data" : "replica";
}

/** Keys over all databases, from INFO's `db0:keys=1,expires=0,avg_ttl=0`. */
function keyCount(info: Readonly<Record<string, string>>): number {
  return Object.entries(info)
    .filter(([name]) => /^db\d+$/.test(name))
    .reduce((sum, [, text]) => sum + Number(/keys=(\d+)/.exec(text)?.[1] ?? 0), 0);
}
