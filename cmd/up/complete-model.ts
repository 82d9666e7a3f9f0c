/**
 * Brings a product's model to what `codis up` promises, doing only what is missing, so that a first
 * start that was cut short goes on where it stopped: one group per server, every proxy online, and
 * on the very first start all slots shared out evenly. Where the files of the coordinator are gone,
 * slots go to the servers that have their keys.
 */

import { DashboardClient } from "../../src/api/dashboard-client.ts";
import type { TopomStats } from "../../src/api/topom-stats.ts";
import { CodisError } from "../../src/base/errors.ts";
import { type Mapping, offlineMapping } from "../../src/model/slot.ts";
import { RedisClient } from "../../src/redis/client.ts";
import type { Reply } from "../../src/resp/reply.ts";
import {
  dashboardAddress,
  oneTo,
  PRODUCT_NAME,
  proxyAdminAddress,
  serverAddress,
  slotRange,
  type UpShape,
} from "./layout.ts";

/** How long a server, which serves already, may take to answer. */
const SERVER_TIMEOUT_MS = 5_000;
/** How often a dashboard that may be starting again is asked to put a proxy online, and the pause. */
const ONLINE_ATTEMPTS = 30;
const ONLINE_PAUSE_MS = 1_000;

/**
 * @returns the groups that have servers and no slots, nor any on their way, now that it is complete
 * @throws CodisError of the call that failed
 */
export async function completeModel(shape: UpShape): Promise<number[]> {
  const dashboard = new DashboardClient(dashboardAddress(shape), PRODUCT_NAME);
  const stats = await dashboard.stats();
  await completeGroups(dashboard, shape, stats);
  await completeProxies(dashboard, shape, stats);
  // A slot with an owner means that the slots were shared out before: the operator's layout stays.
  if (stats.slots.every((slot) => slot.group_id === 0)) await shareSlots(dashboard, shape);
  return groupsWithoutSlots(await dashboard.stats());
}

function groupsWithoutSlots({ slots, group }: TopomStats): number[] {
  const used = new Set(slots.flatMap(({ group_id, action }) => [group_id, action.target_id]));
  return group.models
    .filter(({ id, servers }) => servers.length > 0 && !used.has(id))
    .map(({ id }) => id);
}

async function completeGroups(
  dashboard: DashboardClient,
  shape: UpShape,
  stats: TopomStats,
): Promise<void> {
  const groups = stats.group.models;
  const members = new Set(groups.flatMap(({ servers }) => servers.map(({ server }) => server)));
  const free = new Set(groups.filter(({ servers }) => servers.length === 0).map(({ id }) => id));
  const taken = new Set(groups.map(({ id }) => id));
  for (const id of oneTo(shape.servers)) {
    const address = serverAddress(shape, id);
    if (members.has(address)) continue;
    // The operator may have used the number that belongs to this server: then any unused one does.
    const gid = free.has(id) || !taken.has(id) ? id : Math.max(...taken) + 1;
    if (!free.has(gid)) await dashboard.createGroup(gid);
    taken.add(gid);
    await dashboard.addServer(gid, address);
  }
}

async function completeProxies(
  dashboard: DashboardClient,
  shape: UpShape,
  stats: TopomStats,
): Promise<void> {
  const known = new Set(stats.proxy.models.map((model) => model.admin_addr));
  for (const id of oneTo(shape.proxies)) {
    const address = proxyAdminAddress(shape, id);
    // A known proxy that came back empty is filled again by `online`, a new one is made by it.
    if (known.has(address)) await dashboard.onlineProxy(address);
    else await dashboard.createProxy(address);
  }
}

/**
 * Makes a proxy that was started again part of the cluster, also one that an operator had removed.
 * @param wait resolves after so many milliseconds with whether to go on
 * @throws CodisError of the last attempt
 */
export async function putOnline(
  dashboardAddr: string,
  adminAddr: string,
  wait: (ms: number) => Promise<boolean>,
): Promise<void> {
  const dashboard = new DashboardClient(dashboardAddr, PRODUCT_NAME);
  for (let attempt = 1; ; attempt++) {
    try {
      await dashboard.onlineProxy(adminAddr);
      return;
    } catch (error) {
      if (!(error instanceof CodisError) || attempt === ONLINE_ATTEMPTS) throw error;
      if (!(await wait(ONLINE_PAUSE_MS))) throw error;
    }
  }
}

async function shareSlots(dashboard: DashboardClient, shape: UpShape): Promise<void> {
  const holders = await holdersOfSlots(shape);
  const mappings: Mapping[] = [];
  for (const gid of oneTo(shape.servers)) {
    const { begin, end } = slotRange(shape.servers, gid);
    for (let id = begin; id < end; id++) {
      mappings.push({ ...offlineMapping(id), group_id: holders.get(id) ?? gid });
    }
  }
  await dashboard.assignSlots(mappings);
}

/** Who has keys of a slot already, by slot. @throws CodisError "conflict" when two have */
async function holdersOfSlots(shape: UpShape): Promise<Map<number, number>> {
  const holders = new Map<number, number>();
  for (const gid of oneTo(shape.servers)) {
    for (const slot of await filledSlots(serverAddress(shape, gid))) {
      const other = holders.get(slot);
      if (other !== undefined) {
        throw new CodisError(
          "conflict",
          `Cannot give slot ${slot} an owner: server-${other} and server-${gid} both have keys of slot ${slot}, ` +
            "and coordinator/, which knew where they belong, is gone; bring it back from a backup",
        );
      }
      holders.set(slot, gid);
    }
  }
  return holders;
}

/** The slots of which a server has keys, in any database. */
async function filledSlots(address: string): Promise<Set<number>> {
  const limits = { dialTimeoutMs: SERVER_TIMEOUT_MS, timeoutMs: SERVER_TIMEOUT_MS };
  const client = await RedisClient.connect(address, limits);
  try {
    const slots = new Set<number>();
    const keyspace = String(await client.call("INFO", "keyspace"));
    for (const [, database] of keyspace.matchAll(/^db(\d+):/gm)) {
      await client.select(Number(database));
      const reply = await client.call("SLOTSINFO");
      if (!Array.isArray(reply)) {
        throw new CodisError("unavailable", `SLOTSINFO of ${address} failed: ${reply}`);
      }
      for (const filled of reply) slots.add(Number((filled as Reply[])[0]));
    }
    return slots;
  } finally {
    client.close();
  }
}
