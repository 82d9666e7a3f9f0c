/**
 * The routes of a dashboard's HTTP API: which operation of the topom each is, and how its
 * parameters are read. Source: Codis pkg/topom/topom_api.go.
 */

import type { AdminApi, Route, RouteContext } from "../api/http.ts";
import type { Health } from "../api/metrics.ts";
import { healthRoutes, metric } from "../api/metrics.ts";
import { bodyOf, flagParam, integerParam } from "../api/params.ts";
import { checkXauth, isXauth, topomSecretXauth, topomXauth } from "../api/xauth.ts";
import { CodisError } from "../base/errors.ts";
import { MAPPINGS } from "../model/slot.ts";
import { TOPOM } from "../model/topom.ts";
import type { Topom } from "./topom.ts";
import { unservedRoutes } from "./unserved.ts";

export interface DashboardApiOptions {
  /** Callers that know it change things from other machines too; "" for none. */
  readonly productAuth: string;
  readonly version: string;
  readonly compile: string;
  /** The configuration as shown. */
  readonly config: Readonly<Record<string, string | number | boolean>>;
  /** Accept changes from other machines without a password. */
  readonly changesFromAnywhere: boolean;
  readonly ownNames: AdminApi["ownNames"];
  /** Throws CodisError "usage" for an unknown level. */
  setLogLevel(level: string): void;
  onChange?: AdminApi["onChange"];
  onError?: AdminApi["onError"];
}

export function dashboardApi(topom: Topom, options: DashboardApiOptions): AdminApi {
  const { onChange, onError, changesFromAnywhere, ownNames, productAuth } = options;
  const { product_name } = topom.model;
  const xauth = topomXauth(product_name);
  const secretXauth = topomSecretXauth(product_name, productAuth);
  const isSecret = (given: string): boolean => productAuth !== "" && isXauth(secretXauth, given);
  return {
    home: "/topom",
    changesFromAnywhere,
    ownNames,
    isSecret,
    checkXauth: (given) => {
      if (topom.isClosed) throw new CodisError("closed", "use of closed topom");
      if (!isSecret(given)) checkXauth(xauth, given);
    },
    routes: [
      ...readRoutes(topom, options),
      ...selfRoutes(topom, options),
      ...proxyRoutes(topom),
      ...groupRoutes(topom),
      ...slotRoutes(topom),
      ...unservedRoutes(),
      ...healthRoutes(healthOf(topom)),
    ],
    ...(onChange === undefined ? {} : { onChange }),
    ...(onError === undefined ? {} : { onError }),
  };
}

/** A route whose success is the string "OK". */
function put(path: string, work: (context: RouteContext) => Promise<void> | void): Route {
  return {
    method: "PUT",
    path: `/api/topom/${path}`,
    reply: async (context) => {
      await work(context);
      return "OK";
    },
  };
}

function get(path: string, reply: (context: RouteContext) => unknown): Route {
  return { method: "GET", path, reply };
}

function readRoutes(topom: Topom, options: DashboardApiOptions): Route[] {
  const model = (): unknown => TOPOM.write(topom.model);
  return [
    get("/topom", async () => ({
      version: options.version,
      compile: options.compile,
      config: options.config,
      model: model(),
      stats: await topom.stats(),
    })),
    get("/topom/model", model),
    get("/topom/stats", () => topom.stats()),
    get("/topom/slots", () => topom.slots()),
    get("/api/topom/model", model),
    get("/api/topom/xping/:xauth", () => "OK"),
    get("/api/topom/stats/:xauth", () => topom.stats()),
    get("/api/topom/slots/:xauth", () => topom.slots()),
    get("/api/topom/group/info/:addr", ({ params }) => topom.serverInfo(params.addr!)),
  ];
}

function selfRoutes(topom: Topom, options: DashboardApiOptions): Route[] {
  return [
    put("reload/:xauth", () => topom.reload()),
    put("shutdown/:xauth", () => {
      // Answered first: closing ends the connections.
      setImmediate(() => void topom.close());
    }),
    put("loglevel/:xauth/:value", ({ params }) => options.setLogLevel(params.value!)),
  ];
}

function proxyRoutes(topom: Topom): Route[] {
  return [
    put("proxy/create/:xauth/:addr", ({ params }) => topom.createProxy(params.addr!)),
    put("proxy/online/:xauth/:addr", ({ params }) => topom.onlineProxy(params.addr!)),
    put("proxy/reinit/:xauth/:token", ({ params }) => topom.reinitProxy(params.token!)),
    put("proxy/remove/:xauth/:token/:force", (context) =>
      topom.removeProxy(context.params.token!, flagParam(context, "force")),
    ),
  ];
}

function groupRoutes(topom: Topom): Route[] {
  const gid = (context: RouteContext): number => integerParam(context, "gid");
  return [
    put("group/create/:xauth/:gid", (context) => topom.createGroup(gid(context))),
    put("group/remove/:xauth/:gid", (context) => topom.removeGroup(gid(context))),
    put("group/resync/:xauth/:gid", (context) => topom.resyncGroup(gid(context))),
    put("group/resync-all/:xauth", () => topom.resyncAllGroups()),
    put("group/add/:xauth/:gid/:addr", (context) =>
      topom.addServer(gid(context), context.params.addr!, ""),
    ),
    put("group/add/:xauth/:gid/:addr/:datacenter", (context) =>
      topom.addServer(gid(context), context.params.addr!, context.params.datacenter!),
    ),
    put("group/del/:xauth/:gid/:addr", (context) =>
      topom.delServer(gid(context), context.params.addr!),
    ),
  ];
}

function slotRoutes(topom: Topom): Route[] {
  const number = integerParam;
  return [
    put("slots/action/create/:xauth/:sid/:gid", (context) =>
      topom.createSlotAction(number(context, "sid"), number(context, "gid")),
    ),
    put("slots/action/create-some/:xauth/:src/:dst/:num", (context) =>
      topom.createSlotActions(
        number(context, "src"),
        number(context, "dst"),
        number(context, "num"),
      ),
    ),
    put("slots/action/create-range/:xauth/:beg/:end/:gid", (context) =>
      topom.createSlotActionRange(
        number(context, "beg"),
        number(context, "end"),
        number(context, "gid"),
      ),
    ),
    put("slots/action/remove/:xauth/:sid", (context) =>
      topom.removeSlotAction(number(context, "sid")),
    ),
    put("slots/action/interval/:xauth/:value", (context) =>
      topom.setInterval(number(context, "value")),
    ),
    put("slots/action/disabled/:xauth/:value", (context) =>
      topom.setDisabled(flagParam(context, "value")),
    ),
    put("slots/assign/:xauth", async (context) =>
      topom.assignSlots(await bodyOf(context, MAPPINGS, "slots")),
    ),
    put("slots/assign/:xauth/offline", async (context) =>
      topom.offlineSlots(await bodyOf(context, MAPPINGS, "slots")),
    ),
    {
      method: "PUT",
      path: "/api/topom/slots/rebalance/:xauth/:confirm",
      reply: async (context) =>
        Object.fromEntries(await topom.rebalance(flagParam(context, "confirm"))),
    },
  ];
}

function healthOf(topom: Topom): Health {
  return {
    notReady: () => {
      if (topom.isClosed) return "use of closed topom";
      return topom.isOnline ? undefined : "topom is not online";
    },
    metrics: async () => {
      const { progress, executor } = topom.engine.stats;
      return [
        metric("counter", "codis_dashboard_keys_moved_total", "Keys moved.", progress.keys_moved!),
        metric(
          "counter",
          "codis_dashboard_slots_moved_total",
          "Slots moved.",
          progress.slots_moved!,
        ),
        metric(
          "gauge",
          "codis_dashboard_slots_left",
          "Slots with an action.",
          progress.slots_left!,
        ),
        metric("gauge", "codis_dashboard_executors", "Slots with calls in flight.", executor),
      ];
    },
  };
}
