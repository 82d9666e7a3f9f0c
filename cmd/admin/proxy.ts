/**
 * `codis admin proxy ...`: the proxies of a product.
 *
 *   codis admin proxy list
 *   codis admin proxy online 10.0.0.1:11080      make it part of the cluster, by its admin address
 *   codis admin proxy reinit 2                   push everything to it again; id, token or address
 *   codis admin proxy remove 2 --force           also when it does not answer
 */

import type { Command } from "commander";
import type { DashboardClient } from "../../src/api/dashboard-client.ts";
import type { TopomStats } from "../../src/api/topom-stats.ts";
import { CodisError } from "../../src/base/errors.ts";
import type { VerbFlags } from "./dashboard.ts";
import { silenceLines, silenceOf } from "./member-state.ts";
import { polledStats } from "./polled.ts";
import { renderTable } from "./table.ts";
import { addressArgument, addVerb, addVerbGroup, doing, withStep } from "./verbs.ts";

export function addProxyVerbs(admin: Command): void {
  const proxy = addVerbGroup(
    admin,
    "proxy",
    "the proxies that clients connect to",
    "codis admin proxy online 10.0.0.1:11080 --dashboard 127.0.0.1:18080",
  );
  addVerb(proxy, "list", "proxies, their addresses, load and state", () => async (dashboard) => {
    const stats = await polledStats(dashboard);
    return { text: proxyTable(stats), json: stats.proxy };
  });
  addVerb(proxy, "create <admin-addr>", "add a new proxy", ([addr]) => {
    const address = addressArgument(addr);
    return doing((dashboard) => dashboard.createProxy(address));
  });
  addVerb(proxy, "online <admin-addr>", "add a proxy or refresh a known one", ([addr]) => {
    const address = addressArgument(addr);
    return doing((dashboard) => dashboard.onlineProxy(address));
  });
  addVerb(proxy, "reinit <proxy>", "push slots to a proxy and start it again", ([name]) =>
    doing(async (dashboard) => dashboard.reinitProxy(await tokenOf(dashboard, name!))),
  );
  addVerb<VerbFlags & { force?: boolean }>(
    proxy,
    "remove <proxy>",
    "shut a proxy down and forget it",
    ([name], { force }) =>
      doing(async (dashboard) => {
        const token = await tokenOf(dashboard, name!);
        await withStep(
          () => dashboard.removeProxy(token, force === true),
          (text) => removalStep(name!, text),
        );
      }),
    (command) => command.option("--force", "forget it even when it does not answer"),
  );
}

function removalStep(name: string, text: string): string {
  if (!/shutdown failed/.test(text)) return "";
  return (
    `it does not answer; to forget it all the same: codis admin proxy remove ${name} --force ` +
    "(if it still serves, its clients go on with the old servers)"
  );
}

/** One row per proxy, and why one does not answer; without proxies, how to get one. */
export function proxyTable(stats: TopomStats): string {
  if (stats.proxy.models.length === 0) {
    return "no proxies yet: start one with `codis proxy --dashboard ADDR`\n";
  }
  const rows = stats.proxy.models.map((model) => {
    const polled = stats.proxy.stats[model.token];
    const ops = polled?.stats?.ops;
    return [
      String(model.id),
      model.proxy_addr,
      model.admin_addr,
      proxyState(polled),
      polled?.stats === undefined ? "-" : polled.stats.sessions.alive,
      ops === undefined ? "-" : ops.qps,
      ops === undefined ? "-" : ops.total,
    ];
  });
  const header = ["ID", "CLIENTS AT", "ADMIN AT", "STATE", "SESSIONS", "QPS", "REQUESTS"];
  const reasons = stats.proxy.models.map(({ proxy_addr, token }) => {
    return [proxy_addr, stats.proxy.stats[token]] as const;
  });
  return renderTable(header, rows) + silenceLines(reasons);
}

function proxyState(polled: TopomStats["proxy"]["stats"][string] | undefined): string {
  const silence = silenceOf(polled);
  if (silence !== undefined) return silence;
  if (polled!.stats!.closed) return "closed";
  return polled!.stats!.online ? "online" : "waiting";
}

/** A proxy by id, token, admin address or client address. */
async function tokenOf(dashboard: DashboardClient, name: string): Promise<string> {
  const { proxy } = await dashboard.stats();
  const model = proxy.models.find((candidate) =>
    [String(candidate.id), candidate.token, candidate.admin_addr, candidate.proxy_addr].includes(
      name,
    ),
  );
  if (model !== undefined) return model.token;
  const known = proxy.models.map(({ id, admin_addr }) => `${id} (${admin_addr})`).join(", ");
  throw new CodisError(
    "missing",
    `There is no proxy ${name}; name one by id, token or address: ${known || "none is known"}`,
  );
}
