/**
 * A dashboard as proxies and the admin command see it: one method per route of its API that they
 * use. Errors are those of http-client.ts. Source: Codis pkg/topom/topom_api.go `ApiClient`.
 */

import { CodisError } from "../base/errors.ts";
import { encodeJson } from "../model/encode.ts";
import { GROUP } from "../model/group.ts";
import { PROXY } from "../model/proxy.ts";
import { list } from "../model/record.ts";
import { MAPPINGS, type Mapping, SLOTS, type Slot } from "../model/slot.ts";
import { TOPOM, type Topom } from "../model/topom.ts";
import { callAdmin, pathPart } from "./http-client.ts";
import type { ClientOptions } from "./proxy-client.ts";
import type { TopomOverview, TopomStats } from "./topom-stats.ts";
import { topomSecretXauth, topomXauth } from "./xauth.ts";

type Part = string | number;

export interface DashboardOptions extends ClientOptions {
  /** The product's password; absent or "" for none. */
  readonly productAuth?: string;
  /** For calls that only read; as `timeoutMs` when absent. A change may take long. */
  readonly readTimeoutMs?: number;
}

export class DashboardClient {
  /** `host:port` of the dashboard's admin port. */
  readonly addr: string;
  readonly #xauth: string;
  readonly #timeoutMs: number | undefined;
  readonly #readTimeoutMs: number | undefined;
  /** A password was given, and the dashboard does not know it. */
  #isAuthWrong = false;

  /** @param productName "" allows model() and overview() alone */
  constructor(addr: string, productName: string, options: DashboardOptions = {}) {
    const { productAuth = "" } = options;
    this.addr = addr;
    this.#xauth =
      productAuth === "" ? topomXauth(productName) : topomSecretXauth(productName, productAuth);
    this.#timeoutMs = options.timeoutMs;
    this.#readTimeoutMs = options.readTimeoutMs ?? options.timeoutMs;
  }

  /**
   * Asks the dashboard for its product and makes a client that may do all it can be allowed to:
   * with the password's xauth where the dashboard knows it. An original does not, and takes the one
   * without; so does one of ours that has no password.
   */
  static async open(
    addr: string,
    options: DashboardOptions = {},
  ): Promise<{ client: DashboardClient; model: Topom }> {
    const model = await new DashboardClient(addr, "", options).model();
    const strong = new DashboardClient(addr, model.product_name, options);
    if ((options.productAuth ?? "") === "" || (await takesKey(() => strong.xping()))) {
      return { client: strong, model };
    }
    const { productAuth: _, ...others } = options;
    const weaker = new DashboardClient(addr, model.product_name, others);
    weaker.#isAuthWrong = true;
    return { client: weaker, model };
  }

  async model(): Promise<Topom> {
    return TOPOM.read(await this.#get("/api/topom/model"), "model");
  }

  async overview(): Promise<TopomOverview> {
    const overview = (await this.#get("/topom")) as TopomOverview;
    return { ...overview, stats: readStats(overview.stats) };
  }

  async stats(): Promise<TopomStats> {
    return readStats((await this.#get(`/api/topom/stats/${this.#xauth}`)) as TopomStats);
  }

  /** The 1024 slots in the form pushed to proxies. */
  async slots(): Promise<Slot[]> {
    return SLOTS.read(await this.#get(`/api/topom/slots/${this.#xauth}`), "slots");
  }

  async xping(): Promise<void> {
    await this.#get(`/api/topom/xping/${this.#xauth}`);
  }

  async reload(): Promise<void> {
    await this.#put("reload");
  }

  async shutdown(): Promise<void> {
    await this.#put("shutdown");
  }

  // -- proxies: by admin address, then by token --------------------------------------------------

  async createProxy(addr: string): Promise<void> {
    await this.#put("proxy/create", addr);
  }

  async onlineProxy(addr: string): Promise<void> {
    await this.#put("proxy/online", addr);
  }

  async reinitProxy(token: string): Promise<void> {
    await this.#put("proxy/reinit", token);
  }

  async removeProxy(token: string, force: boolean): Promise<void> {
    await this.#put("proxy/remove", token, flagOf(force));
  }

  // -- groups ------------------------------------------------------------------------------------

  async createGroup(gid: number): Promise<void> {
    await this.#put("group/create", gid);
  }

  async removeGroup(gid: number): Promise<void> {
    await this.#put("group/remove", gid);
  }

  async resyncGroup(gid: number): Promise<void> {
    await this.#put("group/resync", gid);
  }

  async resyncAllGroups(): Promise<void> {
    await this.#put("group/resync-all");
  }

  async addServer(gid: number, addr: string, datacenter = ""): Promise<void> {
    await this.#put("group/add", gid, addr, ...(datacenter === "" ? [] : [datacenter]));
  }

  async delServer(gid: number, addr: string): Promise<void> {
    await this.#put("group/del", gid, addr);
  }

  // -- slots -------------------------------------------------------------------------------------

  /** Moves `count` slots from one group to another. */
  async createSlotActions(fromGid: number, toGid: number, count: number): Promise<void> {
    await this.#put("slots/action/create-some", fromGid, toGid, count);
  }

  /** Moves the slots `begin`..`end`, both included. */
  async createSlotActionRange(begin: number, end: number, gid: number): Promise<void> {
    await this.#put("slots/action/create-range", begin, end, gid);
  }

  async removeSlotAction(sid: number): Promise<void> {
    await this.#put("slots/action/remove", sid);
  }

  /** @param microseconds pause between two migration calls */
  async setSlotActionInterval(microseconds: number): Promise<void> {
    await this.#put("slots/action/interval", microseconds);
  }

  async setSlotActionDisabled(disabled: boolean): Promise<void> {
    await this.#put("slots/action/disabled", flagOf(disabled));
  }

  async assignSlots(mappings: readonly Mapping[]): Promise<void> {
    await this.#putBody("assign", "", mappings);
  }

  async offlineSlots(mappings: readonly Mapping[]): Promise<void> {
    await this.#putBody("assign", "/offline", mappings);
  }

  /** @returns slot -> group it moves to; nothing is done unless `confirm` */
  async rebalance(confirm: boolean): Promise<Map<number, number>> {
    const plan = await this.#put("slots/rebalance", flagOf(confirm));
    const moves = Object.entries((plan ?? {}) as Record<string, number>);
    return new Map(moves.map(([sid, gid]) => [Number(sid), gid]));
  }

  async #get(path: string): Promise<unknown> {
    return await callAdmin({ addr: this.addr, method: "GET", path, ...limit(this.#readTimeoutMs) });
  }

  async #put(action: string, ...parts: readonly Part[]): Promise<unknown> {
    const tail = parts.map((part) => `/${pathPart(part)}`).join("");
    return await this.#change({ path: `/api/topom/${action}/${this.#xauth}${tail}` });
  }

  async #putBody(action: string, rest: string, mappings: readonly Mapping[]): Promise<void> {
    const path = `/api/topom/slots/${action}/${this.#xauth}${rest}`;
    const body = encodeJson(MAPPINGS.write([...mappings]));
    await this.#change({ path, body });
  }

  async #change(request: { path: string; body?: string }): Promise<unknown> {
    try {
      return await callAdmin({
        addr: this.addr,
        method: "PUT",
        ...request,
        ...limit(this.#timeoutMs),
      });
    } catch (error) {
      const isDenied = error instanceof CodisError && error.code === "denied";
      throw isDenied && this.#isAuthWrong ? wrongAuth(this.addr) : error;
    }
  }
}

/**
 * Whether a dashboard takes the key that `xping` shows it. The password's is unknown to an original
 * one, and to one of ours that has no password: both take that of the product's name.
 */
export async function takesKey(xping: () => Promise<unknown>): Promise<boolean> {
  try {
    await xping();
    return true;
  } catch (error) {
    if (error instanceof CodisError && error.code === "denied") return false;
    throw error;
  }
}

function limit(timeoutMs: number | undefined): { timeoutMs?: number } {
  return timeoutMs === undefined ? {} : { timeoutMs };
}

/** A change was refused though a password was given. */
export function wrongAuth(addr: string): CodisError {
  return new CodisError(
    "denied",
    `The dashboard at ${addr} refuses changes from here: the password it was given is not its ` +
      "product_auth; correct it (codis admin: $CODIS_PRODUCT_AUTH, proxy: product_auth), or set " +
      "product_auth there if it has none",
  );
}

function flagOf(value: boolean): number {
  return value ? 1 : 0;
}

/** The records of the model with every field set; statistics as they came. */
function readStats(stats: TopomStats): TopomStats {
  const { slots, group, proxy } = stats;
  return {
    ...stats,
    slots: MAPPINGS.read(slots, "stats.slots"),
    group: { ...group, models: list(GROUP).read(group.models, "stats.group.models") },
    proxy: { ...proxy, models: list(PROXY).read(proxy.models, "stats.proxy.models") },
  };
}
