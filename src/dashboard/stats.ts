/**
 * What servers and proxies say about themselves, asked about once a second. All members are asked
 * side by side, an answer that takes longer than POLL_TIMEOUT_MS counts as none; each round
 * replaces the last.
 * Source: Codis pkg/topom/topom_stats.go.
 */

import type { ProxyStats } from "../api/proxy-stats.ts";
import type { ProxyPoll, RedisStats } from "../api/topom-stats.ts";
import { CodisError } from "../base/errors.ts";
import type { ProxyModel } from "../model/proxy.ts";
import type { Cluster } from "./cluster.ts";

const POLL_TIMEOUT_MS = 1_000;

export interface StatsPort {
  readonly cluster: Cluster;
  serverStats(addr: string): Promise<Record<string, string>>;
  proxyStats(proxy: ProxyModel): Promise<ProxyStats>;
  /** A proxy has answered. */
  onProxyStats(proxy: ProxyModel, stats: ProxyStats): void;
  /** Unix milliseconds. */
  now(): number;
  /** Resolves after `ms`, earlier when the dashboard closes. */
  wait(ms: number): Promise<void>;
}

interface Answer<T> {
  readonly stats?: T;
  readonly error?: { readonly Cause: string; readonly Stack: null };
  readonly unixtime: number;
  readonly timeout?: boolean;
}

export class Statistics {
  readonly #port: StatsPort;
  #servers: Readonly<Record<string, RedisStats>> = {};
  #proxies: Readonly<Record<string, ProxyPoll>> = {};
  /** Changed since the round that is under way began: what they answer in it may be of before. */
  readonly #changedProxies = new Set<string>();

  constructor(port: StatsPort) {
    this.#port = port;
  }

  /** By address: present members that have been asked. */
  get servers(): Readonly<Record<string, RedisStats>> {
    return only(this.#servers, serverAddrs(this.#port.cluster));
  }

  /** By token: present proxies that have been asked. */
  get proxies(): Readonly<Record<string, ProxyPoll>> {
    return only(this.#proxies, [...this.#port.cluster.proxies.keys()]);
  }

  /** What a proxy said is of before it was put online: it counts as not asked yet. */
  forgetProxy(token: string): void {
    this.#changedProxies.add(token);
    const { [token]: _, ...others } = this.#proxies;
    this.#proxies = others;
  }

  async pollServers(): Promise<void> {
    this.#servers = await this.#pollAll(serverAddrs(this.#port.cluster), (addr) =>
      this.#port.serverStats(addr),
    );
  }

  async pollProxies(): Promise<void> {
    const { proxies } = this.#port.cluster;
    this.#changedProxies.clear();
    const polled = await this.#pollAll([...proxies.keys()], async (token) => {
      const proxy = proxies.get(token);
      if (proxy === undefined) throw new CodisError("missing", `proxy-[${token}] doesn't exist`);
      const stats = await this.#port.proxyStats(proxy);
      this.#port.onProxyStats(proxy, stats);
      return stats;
    });
    for (const token of this.#changedProxies) delete polled[token];
    this.#proxies = polled;
  }

  async #pollAll<T>(
    names: readonly string[],
    ask: (name: string) => Promise<T>,
  ): Promise<Record<string, Answer<T>>> {
    const answers = await Promise.all(names.map((name) => this.#poll(() => ask(name))));
    return Object.fromEntries(names.map((name, i) => [name, answers[i]!]));
  }

  async #poll<T>(ask: () => Promise<T>): Promise<Answer<T>> {
    const unixtime = (): number => Math.floor(this.#port.now() / 1000);
    const asked = ask().then(
      (stats): Answer<T> => ({ stats, unixtime: unixtime() }),
      (error: unknown): Answer<T> => {
        if (!(error instanceof CodisError)) throw error;
        return { error: { Cause: error.message, Stack: null }, unixtime: unixtime() };
      },
    );
    const late = this.#port
      .wait(POLL_TIMEOUT_MS)
      .then((): Answer<T> => ({ unixtime: unixtime(), timeout: true }));
    return await Promise.race([asked, late]);
  }
}

function serverAddrs(cluster: Cluster): string[] {
  return [...cluster.groups.values()].flatMap((group) =>
    group.servers.map((server) => server.server),
  );
}

function only<T>(all: Readonly<Record<string, T>>, names: readonly string[]): Record<string, T> {
  const present = [...names].sort((a, b) => (a < b ? -1 : 1));
  return Object.fromEntries(
    present.filter((name) => Object.hasOwn(all, name)).map((name) => [name, all[name]!]),
  );
}
