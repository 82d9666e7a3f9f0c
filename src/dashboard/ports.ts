/**
 * The edges of the dashboard: what it needs from proxies, servers, the store and time. serve.ts
 * gives it the real ones, tests give it recorders. All calls may throw CodisError.
 */

import type { ProxyStats } from "../api/proxy-stats.ts";
import type { Log } from "../base/log.ts";
import type { ProxyModel } from "../model/proxy.ts";
import type { Sentinel } from "../model/sentinel.ts";
import type { Slot } from "../model/slot.ts";
import type { Topom as TopomModel } from "../model/topom.ts";
import type { Store } from "../store/store.ts";
import type { Cluster } from "./cluster.ts";
import type { AsyncLimits } from "./migrate-async.ts";
import type { MoveConnection } from "./migrate-runner.ts";
import type { ResolvedHosts } from "./resolve.ts";

/** The calls of a proxy's admin API that the dashboard makes. */
export interface ProxyPort {
  model(): Promise<ProxyModel>;
  xping(): Promise<void>;
  /** The proxy's statistics, as it sends them. */
  stats(): Promise<ProxyStats>;
  fillSlots(slots: readonly Slot[]): Promise<void>;
  start(): Promise<void>;
  setSentinels(sentinel: Sentinel): Promise<void>;
  shutdown(): Promise<void>;
}

/** What the dashboard asks of servers. Errors have the server's words, or Go's for connections. */
export interface ServersPort {
  /** The product's password, which members expect; "" for none. */
  readonly auth: string;
  /** Lends a connection for moving keys. */
  withServer<T>(addr: string, work: (connection: MoveConnection) => Promise<T>): Promise<T>;
  /** INFO and maxmemory of a member, over a kept connection. */
  stats(addr: string): Promise<Record<string, string>>;
  /** INFO over a fresh connection; the password is sent to members only. */
  info(addr: string, isMember: boolean): Promise<Record<string, string>>;
  /**
   * The server can be reached with the product's password, and slots can be served by it.
   * @returns its run_id, "" when it does not tell
   */
  check(addr: string): Promise<string>;
  dropUnused(): void;
  close(): void;
}

export interface TopomOptions {
  readonly model: TopomModel;
  readonly store: Store;
  readonly servers: ServersPort;
  proxyAt(addr: string, token: string, timeoutMs: number): ProxyPort;
  resolve(cluster: Cluster): Promise<ResolvedHosts>;
  /** FORWARD_SYNC or FORWARD_SEMI_ASYNC, for every slot. */
  readonly forwardMethod: number;
  readonly parallelSlots: number;
  readonly migrationTimeoutMs: number;
  /** Undefined: keys move with sync. */
  readonly asyncLimits: AsyncLimits | undefined;
  /** Unix milliseconds. */
  now(): number;
  monotonic(): number;
  wait(ms: number): Promise<void>;
  readonly log: Log;
}
