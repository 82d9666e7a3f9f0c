/**
 * Pure: what the dashboard knows of its product at one moment, and the questions asked of it.
 * Records are never changed in place: whoever saves one puts a new one here. Functions named
 * `require...` throw CodisError with upstream's text when the answer is no.
 * Source: Codis pkg/topom/context.go.
 */

import { CodisError } from "../base/errors.ts";
import type { Group, GroupServer } from "../model/group.ts";
import type { ProxyModel } from "../model/proxy.ts";
import type { Sentinel } from "../model/sentinel.ts";
import type { Mapping } from "../model/slot.ts";
import { SLOT_COUNT } from "../slots/hash.ts";

export interface Cluster {
  /** SLOT_COUNT mappings; the index is the id. */
  readonly slots: readonly Mapping[];
  /** By group id. */
  readonly groups: ReadonlyMap<number, Group>;
  /** By token. */
  readonly proxies: ReadonlyMap<string, ProxyModel>;
  readonly sentinel: Sentinel;
}

export function requireSlot(cluster: Cluster, id: number): Mapping {
  const mapping = id >= 0 && id < SLOT_COUNT ? cluster.slots[id] : undefined;
  if (mapping === undefined) throw new CodisError("missing", `slot-[${id}] doesn't exist`);
  return mapping;
}

export function requireGroup(cluster: Cluster, id: number): Group {
  const group = cluster.groups.get(id);
  if (group === undefined) throw new CodisError("missing", `group-[${id}] doesn't exist`);
  return group;
}

/** A group that can own slots. */
export function requireServedGroup(cluster: Cluster, id: number): Group {
  const group = requireGroup(cluster, id);
  if (group.servers.length === 0) throw new CodisError("conflict", `group-[${id}] is empty`);
  return group;
}

export function requireProxy(cluster: Cluster, token: string): ProxyModel {
  const proxy = cluster.proxies.get(token);
  if (proxy === undefined) throw new CodisError("missing", `proxy-[${token}] doesn't exist`);
  return proxy;
}

export function requireNotPromoting(group: Group): void {
  if (group.promoting.state !== "") {
    throw new CodisError("conflict", `group-[${group.id}] is promoting`);
  }
}

/** The server of that address in any group. */
export function findServer(cluster: Cluster, addr: string): GroupServer | undefined {
  for (const group of cluster.groups.values()) {
    const server = group.servers.find((member) => member.server === addr);
    if (server !== undefined) return server;
  }
  return undefined;
}

/** The group is promoting a server and proxies must hold its slots meanwhile. */
export function isHeld(group: Group | undefined): boolean {
  return group?.promoting.state === "prepared";
}

/** Slots that the group owns or that are on their way to it, ascending. */
export function slotsOfGroup(cluster: Cluster, groupId: number): Mapping[] {
  return cluster.slots.filter(
    (mapping) => mapping.group_id === groupId || mapping.action.target_id === groupId,
  );
}

export function groupInUse(cluster: Cluster, groupId: number): boolean {
  return slotsOfGroup(cluster, groupId).length > 0;
}

/** Slots with an action in any state. */
export function slotsInAction(cluster: Cluster): Mapping[] {
  return cluster.slots.filter((mapping) => mapping.action.state !== "");
}

/** The index of the next slot action. */
export function nextActionIndex(cluster: Cluster): number {
  const indexes = slotsInAction(cluster).map((mapping) => mapping.action.index);
  return Math.max(0, ...indexes) + 1;
}

/** The id of the next proxy. */
export function nextProxyId(cluster: Cluster): number {
  return Math.max(0, ...[...cluster.proxies.values()].map((proxy) => proxy.id)) + 1;
}

export function sortedGroups(cluster: Cluster): Group[] {
  return [...cluster.groups.values()].sort((a, b) => a.id - b.id);
}

export function sortedProxies(cluster: Cluster): ProxyModel[] {
  return [...cluster.proxies.values()].sort((a, b) => a.id - b.id);
}
