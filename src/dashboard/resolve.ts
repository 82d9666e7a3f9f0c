/**
 * IPs of the machines of a cluster, which decide what read replicas are near a proxy. Looked up
 * once per operation, only when a group has read replicas, and never waited for longer than 50 ms a
 * name.
 */

import { isIP } from "node:net";
import { systemResolver } from "../api/identity.ts";
import { parseAddress } from "../base/address.ts";
import { CodisError } from "../base/errors.ts";
import type { Cluster } from "./cluster.ts";

const LOOKUP_TIMEOUT_MS = 50;

export interface ResolvedHosts {
  /** IP of the host of `host:port`; "" when it could not be resolved, or was not asked for. */
  ipOf(addr: string): string;
}

export async function resolveHosts(cluster: Cluster): Promise<ResolvedHosts> {
  const replicas = [...cluster.groups.values()].flatMap((group) =>
    group.servers.filter((server) => server.replica_group).map((server) => server.server),
  );
  if (replicas.length === 0) return { ipOf: () => "" };
  const proxies = [...cluster.proxies.values()].map((proxy) => proxy.admin_addr);
  const hosts = new Set([...replicas, ...proxies].map(hostOf));
  const ips = new Map<string, string>();
  await Promise.all(
    [...hosts].map(async (host) => {
      ips.set(host, await ipOfHost(host));
    }),
  );
  return { ipOf: (addr) => ips.get(hostOf(addr)) ?? "" };
}

function hostOf(addr: string): string {
  try {
    return parseAddress(addr).host;
  } catch (error) {
    if (error instanceof CodisError) return "";
    throw error;
  }
}

async function ipOfHost(host: string): Promise<string> {
  if (host === "" || isIP(host) !== 0) return host;
  // A name that cannot be resolved puts the server in the farthest bucket; nothing fails.
  const [first = ""] = await systemResolver.resolve(host, LOOKUP_TIMEOUT_MS);
  return first;
}
