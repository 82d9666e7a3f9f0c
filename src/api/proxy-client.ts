/**
 * A proxy as its dashboard and the admin command see it: one method per route of its API.
 * Errors are those of http-client.ts. Source: Codis pkg/proxy/proxy_api.go `ApiClient`.
 */

import { encodeJson } from "../model/encode.ts";
import { PROXY, type ProxyModel } from "../model/proxy.ts";
import { SENTINEL, type Sentinel } from "../model/sentinel.ts";
import { SLOTS, type Slot } from "../model/slot.ts";
import { callAdmin, pathPart } from "./http-client.ts";
import type { ProxyOverview, ProxyStats } from "./proxy-stats.ts";
import { proxyXauth } from "./xauth.ts";

export interface ClientOptions {
  /** Limit of each call; 60 s when absent. */
  readonly timeoutMs?: number;
}

export class ProxyClient {
  /** `host:port` of the proxy's admin port. */
  readonly addr: string;
  readonly #xauth: string;
  readonly #timeoutMs: number | undefined;

  /** @param xauth `proxyXauth(...)`; "" allows model() and overview() alone */
  constructor(addr: string, xauth = "", options: ClientOptions = {}) {
    this.addr = addr;
    this.#xauth = xauth;
    this.#timeoutMs = options.timeoutMs;
  }

  /**
   * Asks the proxy who it is, so that the xauth can be computed, and makes a client that may do
   * all. The password is not checked here: call `xping`.
   */
  static async open(
    addr: string,
    productAuth: string,
    options: ClientOptions = {},
  ): Promise<{ client: ProxyClient; model: ProxyModel }> {
    const model = await new ProxyClient(addr, "", options).model();
    const xauth = proxyXauth(model.product_name, productAuth, model.token);
    return { client: new ProxyClient(addr, xauth, options), model };
  }

  async model(): Promise<ProxyModel> {
    return PROXY.read(await this.#get("/api/proxy/model"), "model");
  }

  async overview(): Promise<ProxyOverview> {
    return (await this.#get("/proxy")) as ProxyOverview;
  }

  /**
   * Throws CodisError "denied" when the xauth, hence the product's password, is not the proxy's.
   */
  async xping(): Promise<void> {
    await this.#get(`/api/proxy/xping/${this.#xauth}`);
  }

  /** @param flags bits of STATS_CMDS, STATS_RUNTIME */
  async stats(flags = 0): Promise<ProxyStats> {
    return (await this.#get(`/api/proxy/stats/${this.#xauth}/${flags}`)) as ProxyStats;
  }

  async slots(): Promise<Slot[]> {
    return SLOTS.read(await this.#get(`/api/proxy/slots/${this.#xauth}`), "slots");
  }

  async start(): Promise<void> {
    await this.#put("start");
  }

  async shutdown(): Promise<void> {
    await this.#put("shutdown");
  }

  async resetStats(): Promise<void> {
    await this.#put("stats/reset");
  }

  async forceGc(): Promise<void> {
    await this.#put("forcegc");
  }

  /** @param level ERROR, WARN, INFO, DEBUG or NONE */
  async setLogLevel(level: string): Promise<void> {
    await this.#put("loglevel", `/${pathPart(level)}`);
  }

  /** Returns when the proxy has applied every slot and what was in flight has been answered. */
  async fillSlots(slots: readonly Slot[]): Promise<void> {
    await this.#put("fillslots", "", encodeJson(SLOTS.write([...slots])));
  }

  async setSentinels(sentinel: Sentinel): Promise<void> {
    await this.#put("sentinels", "", encodeJson(SENTINEL.write(sentinel)));
  }

  async rewatchSentinels(): Promise<void> {
    await this.#put("sentinels", "/rewatch");
  }

  async #get(path: string): Promise<unknown> {
    return await callAdmin({ addr: this.addr, method: "GET", path, ...this.#limit() });
  }

  async #put(action: string, rest = "", body?: string): Promise<void> {
    const path = `/api/proxy/${action}/${this.#xauth}${rest}`;
    const sent = body === undefined ? {} : { body };
    await callAdmin({ addr: this.addr, method: "PUT", path, ...sent, ...this.#limit() });
  }

  #limit(): { timeoutMs?: number } {
    return this.#timeoutMs === undefined ? {} : { timeoutMs: this.#timeoutMs };
  }
}
