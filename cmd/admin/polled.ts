/**
 * Statistics for tables. The dashboard asks its members once a second, so one that has just joined
 * has no figures yet; they are waited for instead of showing none.
 */

import type { TopomStats } from "../../src/api/topom-stats.ts";

/** How often, and how many times in all, is looked: longer than a member may take to answer. */
const LOOK_MS = 100;
const LOOKS_MAX = 30;

/** What is asked. */
interface StatsSource {
  stats(): Promise<TopomStats>;
}

/** The statistics once every member was asked, or as they are after LOOKS_MAX looks. */
export async function polledStats(
  dashboard: StatsSource,
  wait: (ms: number) => Promise<void> = Bun.sleep,
): Promise<TopomStats> {
  for (let look = 1; ; look++) {
    const stats = await dashboard.stats();
    if (isPolled(stats) || look === LOOKS_MAX) return stats;
    await wait(LOOK_MS);
  }
}

function isPolled({ group, proxy }: TopomStats): boolean {
  const servers = group.models.flatMap((model) => model.servers);
  return (
    servers.every(({ server }) => group.stats[server] !== undefined) &&
    proxy.models.every(({ token }) => proxy.stats[token] !== undefined)
  );
}
