/**
 * Pure: changes of groups, as records to store. Each function checks in upstream's order and throws
 * CodisError with its text; what it returns has not been stored yet.
 * Source: Codis pkg/topom/topom_group.go.
 */

import type { RedisStats } from "../api/topom-stats.ts";
import { CodisError } from "../base/errors.ts";
import type { Group } from "../model/group.ts";
import { GROUP, GROUP_ID_MAX, GROUP_ID_MIN } from "../model/group.ts";
import type { Cluster } from "./cluster.ts";
import { findServer, groupInUse, requireGroup, requireNotPromoting } from "./cluster.ts";

export function groupToCreate(cluster: Cluster, id: number): Group {
  if (id < GROUP_ID_MIN || id > GROUP_ID_MAX) {
    throw new CodisError("usage", `invalid group id = ${id}, out of range`);
  }
  if (cluster.groups.has(id)) throw new CodisError("conflict", `group-[${id}] already exists`);
  return { ...GROUP.zero(), id };
}

export function groupToRemove(cluster: Cluster, id: number): Group {
  const group = requireGroup(cluster, id);
  if (group.servers.length > 0) throw new CodisError("conflict", `group-[${id}] isn't empty`);
  return group;
}

/** The server joins as the last one: the first server of a group is its master. */
export function groupWithServer(
  cluster: Cluster,
  id: number,
  addr: string,
  datacenter: string,
): Group {
  if (findServer(cluster, addr) !== undefined) {
    throw new CodisError("conflict", `server-[${addr}] already exists`);
  }
  const group = requireGroup(cluster, id);
  requireNotPromoting(group);
  const server = {
    server: addr,
    datacenter,
    action: { index: 0, state: "" },
    replica_group: false,
  } as const;
  return { ...group, servers: [...group.servers, server] };
}

/** The master leaves last, and only when no slot needs it. */
export function groupWithoutServer(cluster: Cluster, id: number, addr: string): Group {
  const group = requireGroup(cluster, id);
  const index = group.servers.findIndex((member) => member.server === addr);
  if (index < 0) {
    throw new CodisError("missing", `group-[${id}] doesn't have server-[${addr}]`);
  }
  requireNotPromoting(group);
  if (index === 0 && (group.servers.length > 1 || groupInUse(cluster, id))) {
    throw new CodisError("conflict", `group-[${id}] can't remove master, still in use`);
  }
  const servers = group.servers.filter((member) => member.server !== addr);
  const wasReadReplica = group.servers[index]!.replica_group;
  const outOfSync = servers.length > 0 && (group.out_of_sync || wasReadReplica);
  return { ...group, servers, out_of_sync: outOfSync };
}

/**
 * A server under a second address would own slots twice, and moving them would move its keys to
 * itself.
 * @param runId what the server calls itself in INFO, "" for nothing
 * @param answers what the members said last, by address
 */
export function requireNoOtherName(
  cluster: Cluster,
  addr: string,
  runId: string,
  answers: Readonly<Record<string, RedisStats>>,
): void {
  if (runId === "") return;
  const known = Object.keys(answers).find((each) => answers[each]!.stats?.run_id === runId);
  const groups = [...cluster.groups.values()];
  const owner = groups.find(({ servers }) => servers.some(({ server }) => server === known));
  if (owner === undefined) return;
  throw new CodisError(
    "conflict",
    `server-[${addr}] is server-[${known}] of group-[${owner.id}] under another address`,
  );
}
