/**
 * How a process describes itself in its model: who it is, and under which address others reach it.
 * Source: Codis pkg/utils/resolver.go `ReplaceUnspecifiedIP`, pkg/proxy/proxy.go `setup`,
 * pkg/topom/topom.go `setup`.
 */

import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { arch, hostname, machine, networkInterfaces, release, type, version } from "node:os";
import { formatAddress, isGlobalUnicast, isWildcard, parseAddress } from "../base/address.ts";
import { CodisError } from "../base/errors.ts";

/** Name look-ups of the own host name may take this long, as upstream's. */
const LOOKUP_TIMEOUT_MS = 30;
/** Look-ups of an address the operator gave may take longer. */
const OVERRIDE_LOOKUP_TIMEOUT_MS = 5000;

export interface ProcessIdentity {
  /** Free text, as Go prints a time. */
  readonly start_time: string;
  readonly pid: number;
  readonly pwd: string;
  /** As `uname -a` prints it. */
  readonly sys: string;
  readonly hostname: string;
}

export function processIdentity(nowMs: number): ProcessIdentity {
  const machineName = machine() || arch();
  return {
    start_time: timeText(nowMs),
    pid: process.pid,
    pwd: process.cwd(),
    sys: `${type()} ${hostname()} ${release()} ${version()} ${machineName} GNU/Linux`,
    hostname: hostname(),
  };
}

/** `2026-11-20 21:33:19.090 +0000 UTC`: the form of upstream's texts for a time. */
export function timeText(unixMs: number): string {
  return `${new Date(unixMs).toISOString().replace("T", " ").slice(0, -1)} +0000 UTC`;
}

/** What the machine says about itself; tests give their own. */
export interface Resolver {
  readonly hostname: string;
  /** IPs of a name, [] when it has none or the look-up took too long. */
  resolve(name: string, timeoutMs: number): Promise<readonly string[]>;
  /** IPs of all interfaces, in their order. */
  interfaceIps(): readonly string[];
}

export const systemResolver: Resolver = {
  hostname: hostname(),
  resolve: async (name, timeoutMs) => {
    const found = lookup(name, { all: true }).then(
      (entries) => entries.map((entry) => entry.address),
      () => [],
    );
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<string[]>((resolve) => {
      timer = setTimeout(() => resolve([]), timeoutMs);
    });
    const ips = await Promise.race([found, tooLate]);
    clearTimeout(timer);
    return ips;
  },
  interfaceIps: () =>
    Object.values(networkInterfaces()).flatMap((entries) =>
      (entries ?? []).map((entry) => entry.address),
    ),
};

/**
 * The address others are told.
 * @param bound what the listener reports
 * @param override the operator's own address (`--host-admin`), or ""
 * @throws CodisError "usage": `resolve address 'X' to 'Y'`
 */
export async function advertisedAddress(
  bound: string,
  override: string,
  resolver: Resolver = systemResolver,
): Promise<string> {
  if (override !== "") return await checkOverride(bound, override, resolver);
  const { host, port } = parseAddress(bound);
  if (!isWildcard(host)) return bound;
  const ownIps = await resolver.resolve(resolver.hostname, LOOKUP_TIMEOUT_MS);
  if (ownIps.some(isGlobalUnicast)) return formatAddress(resolver.hostname, port);
  const ip = resolver.interfaceIps().find(isGlobalUnicast);
  if (ip !== undefined) return formatAddress(ip, port);
  const hint = "this machine has no address that others can reach; bind one, or give one by flag";
  throw new CodisError("usage", `resolve address '${bound}' to ''`, new Error(hint));
}

/**
 * The names by which callers may know the port at these addresses: this machine's, and theirs.
 * @param addrs `host:port` as configured and as announced
 * @returns lower case, each once, no IPs
 */
export function ownNames(
  addrs: readonly string[],
  resolver: Pick<Resolver, "hostname"> = systemResolver,
): string[] {
  const hosts = [resolver.hostname, ...addrs.map((addr) => parseAddress(addr).host)];
  const names = new Set(hosts.map((host) => host.toLowerCase()));
  return [...names].filter((name) => name !== "" && isIP(name) === 0);
}

async function checkOverride(bound: string, override: string, resolver: Resolver): Promise<string> {
  const { host, port } = parseAddress(override);
  const ips = await resolver.resolve(host, OVERRIDE_LOOKUP_TIMEOUT_MS);
  if (port !== 0 && ips.length > 0 && !ips.some(isWildcard)) return override;
  const rule = "it must resolve to an IP that is no wildcard, and its port must not be 0";
  throw new CodisError("usage", `resolve address '${bound}' to '${override}'`, new Error(rule));
}
