/**
 * Pure: the admin API of a proxy as a table of routes over `ProxyControl`, which the assembly
 * (proxy.ts) provides and tests replace. Paths, replies and errors:
 * Codis pkg/proxy/proxy_api.go.
 */

import type { Route, RouteContext } from "../api/http.ts";
import type { Metric } from "../api/metrics.ts";
import { healthRoutes, metric } from "../api/metrics.ts";
import { bodyOf, parseAtoi } from "../api/params.ts";
import type { ProxyOverview, ProxyStats } from "../api/proxy-stats.ts";
import { STATS_ALL } from "../api/proxy-stats.ts";
import { CodisError } from "../base/errors.ts";
import { PROXY, type ProxyModel } from "../model/proxy.ts";
import { SENTINEL, type Sentinel } from "../model/sentinel.ts";
import { FORWARD_SEMI_ASYNC, FORWARD_SYNC, SLOTS, type Slot } from "../model/slot.ts";
import { SLOT_COUNT } from "../slots/hash.ts";

/** What the routes ask of the proxy. Each may throw CodisError. */
export interface ProxyControl {
  readonly model: ProxyModel;
  readonly isOnline: boolean;
  readonly isClosed: boolean;
  /** The program and its configuration, as shown first in the overview. */
  describe(): Pick<ProxyOverview, "version" | "compile" | "config">;
  /** @param flags bits of STATS_CMDS, STATS_RUNTIME */
  stats(flags: number): Promise<ProxyStats>;
  /** The 1024 slots as they are in force. */
  slots(): Promise<Slot[]>;
  /** Valid slots; resolves when all are applied and drained. */
  fillSlots(slots: readonly Slot[]): Promise<void>;
  /** Begins to serve; once more does nothing. */
  start(): Promise<void>;
  resetStats(): Promise<void>;
  forceGc(): void;
  /** Resolves when requests in flight are answered; the process ends soon after. */
  shutdown(): Promise<void>;
  /** @param level as `--log-level`; CodisError "usage" for another word */
  setLogLevel(level: string): void;
  setSentinels(sentinel: Sentinel): void;
  rewatchSentinels(): void;
}

const OK = "OK";

export function proxyRoutes(proxy: ProxyControl): Route[] {
  const model = (): unknown => PROXY.write(proxy.model);
  const slots = async (): Promise<unknown> => SLOTS.write(await proxy.slots());
  const overview = async (): Promise<unknown> => {
    const stats = await proxy.stats(STATS_ALL);
    return { ...proxy.describe(), model: model(), stats, slots: await slots() };
  };
  return [
    { method: "GET", path: "/proxy", reply: overview },
    { method: "GET", path: "/proxy/model", reply: model },
    { method: "GET", path: "/proxy/stats", reply: () => proxy.stats(STATS_ALL) },
    { method: "GET", path: "/proxy/slots", reply: slots },
    { method: "GET", path: "/api/proxy/model", reply: model },
    { method: "GET", path: "/api/proxy/xping/:xauth", reply: () => OK },
    { method: "GET", path: "/api/proxy/stats/:xauth", reply: () => proxy.stats(0) },
    {
      method: "GET",
      path: "/api/proxy/stats/:xauth/:flags",
      reply: ({ params }) => proxy.stats(parseAtoi(params.flags!)),
    },
    { method: "GET", path: "/api/proxy/slots/:xauth", reply: slots },
    action("/api/proxy/start/:xauth", () => proxy.start()),
    action("/api/proxy/stats/reset/:xauth", () => proxy.resetStats()),
    action("/api/proxy/forcegc/:xauth", () => proxy.forceGc()),
    action("/api/proxy/shutdown/:xauth", () => proxy.shutdown()),
    action("/api/proxy/loglevel/:xauth/:value", ({ params }) => proxy.setLogLevel(params.value!)),
    action("/api/proxy/fillslots/:xauth", async (context) => {
      await proxy.fillSlots(checkSlots(await bodyOf(context, SLOTS, "slots")));
    }),
    action("/api/proxy/sentinels/:xauth", async (context) => {
      proxy.setSentinels(await bodyOf(context, SENTINEL, "sentinels"));
    }),
    action("/api/proxy/sentinels/:xauth/rewatch", () => proxy.rewatchSentinels()),
    ...healthRoutes({
      notReady: () => notReady(proxy),
      metrics: async () => proxyMetrics(await proxy.stats(STATS_ALL)),
    }),
  ];
}

function action(path: string, act: (context: RouteContext) => void | Promise<void>): Route {
  return {
    method: "PUT",
    path,
    reply: async (context) => {
      await act(context);
      return OK;
    },
  };
}

/**
 * The list as it is, when every element can be applied. The original applies those before the first
 * bad one; a table that is half old and half new helps nobody.
 * @throws CodisError "usage" with the original's texts
 */
export function checkSlots(slots: readonly Slot[]): readonly Slot[] {
  for (const { id, forward_method } of slots) {
    if (id < 0 || id >= SLOT_COUNT) throw new CodisError("usage", "use of invalid slot id");
    if (forward_method !== FORWARD_SYNC && forward_method !== FORWARD_SEMI_ASYNC) {
      throw new CodisError("usage", "use of invalid forwarder method");
    }
  }
  return slots;
}

function notReady(proxy: ProxyControl): string | undefined {
  if (proxy.isClosed) return "closed";
  return proxy.isOnline ? undefined : "not online";
}

function proxyMetrics({ ops, sessions, online, runtime }: ProxyStats): Metric[] {
  const commands = ops.cmd ?? [];
  const perCommand = (field: "calls" | "fails" | "redis_errtype"): Metric["samples"] =>
    commands.map((command) => ({ labels: { cmd: command.opstr }, value: command[field] }));
  return [
    metric("gauge", "codis_proxy_online", "1 while it serves clients.", online ? 1 : 0),
    metric("gauge", "codis_proxy_threads", "Event loops.", runtime?.num_procs ?? 1),
    metric("gauge", "codis_proxy_sessions", "Clients connected.", sessions.alive),
    metric("counter", "codis_proxy_sessions_total", "Clients accepted.", sessions.total),
    metric("counter", "codis_proxy_requests_total", "Requests decoded.", ops.total),
    metric("counter", "codis_proxy_fails_total", "Requests without a reply.", ops.fails),
    metric("counter", "codis_proxy_error_replies_total", "Error replies sent.", ops.redis.errors),
    {
      type: "counter",
      name: "codis_proxy_command_calls_total",
      help: "Replies delivered, by command.",
      samples: perCommand("calls"),
    },
    {
      type: "counter",
      name: "codis_proxy_command_seconds_total",
      help: "Time from decoded to answered, by command.",
      samples: commands.map(({ opstr, usecs }) => ({ labels: { cmd: opstr }, value: usecs / 1e6 })),
    },
    {
      type: "counter",
      name: "codis_proxy_command_fails_total",
      help: "Requests without a reply, by command.",
      samples: perCommand("fails"),
    },
    {
      type: "counter",
      name: "codis_proxy_command_error_replies_total",
      help: "Error replies sent, by command.",
      samples: perCommand("redis_errtype"),
    },
  ];
}
