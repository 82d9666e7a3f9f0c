/** What the dashboard says about its members when they change between two rounds of polling. */

import { expect, test } from "bun:test";
import type { ProxyStats } from "../../src/api/proxy-stats.ts";
import type { Cluster } from "../../src/dashboard/cluster.ts";
import { Statistics } from "../../src/dashboard/stats.ts";
import { PROXY } from "../../src/model/proxy.ts";

/** A cluster of two proxies, and what `a` answers next. */
function twoProxies(answerOfA: () => Promise<ProxyStats>): Statistics {
  const stats = { online: true } as ProxyStats;
  const proxies = new Map(["a", "b"].map((token) => [token, { ...PROXY.zero(), token }]));
  return new Statistics({
    cluster: { proxies } as unknown as Cluster,
    serverStats: async () => ({}),
    proxyStats: async ({ token }) => (token === "a" ? await answerOfA() : stats),
    onProxyStats: () => undefined,
    now: () => 0,
    wait: () => new Promise(() => undefined),
  });
}

test("What a proxy said before it was put online is not shown, also of a round under way", async () => {
  let answering = Promise.withResolvers<ProxyStats>();
  const statistics = twoProxies(() => answering.promise);
  answering.resolve({ online: false } as ProxyStats);
  await statistics.pollProxies();
  expect(statistics.proxies.a!.stats!.online).toBe(false);
  statistics.forgetProxy("a");
  expect(Object.keys(statistics.proxies)).toEqual(["b"]);

  answering = Promise.withResolvers();
  const round = statistics.pollProxies();
  statistics.forgetProxy("a");
  answering.resolve({ online: false } as ProxyStats);
  await round;
  expect(Object.keys(statistics.proxies)).toEqual(["b"]);

  answering = Promise.withResolvers();
  answering.resolve({ online: true } as ProxyStats);
  await statistics.pollProxies();
  expect(statistics.proxies.a!.stats!.online).toBe(true);
});
