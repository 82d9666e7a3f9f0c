/**
 * The proxies of a product as the dashboard drives them: pushing slots to all of them, bringing one
 * online, and what to do about one that does not answer.
 *
 *   push ──> every proxy at once ──> all accepted
 *                              ├───> one refused: an error with its address, all get the undo
 *                              └───> one did not answer: the same, and it is silent from now on
 *
 * A silent proxy answers a poll, is then filled with all slots, because nobody knows which of its
 * pushes it may still apply, and only then counts again. Until that pushes fail at once, instead of
 * holding a locked slot for PUSH_TIMEOUT_MS each.
 * Source: Codis pkg/topom/topom_proxy.go, topom_cache.go, context.go; that a proxy may be silent is
 * ours.
 */

import { CodisError, errorText } from "../base/errors.ts";
import type { ProxyModel } from "../model/proxy.ts";
import type { Mapping, Slot } from "../model/slot.ts";
import type { Cluster } from "./cluster.ts";
import { nextProxyId, sortedProxies } from "./cluster.ts";
import type { ModelCache } from "./model-cache.ts";
import type { ProxyPort, TopomOptions } from "./ports.ts";
import { pushedSlot } from "./pushed-slot.ts";

/** How long a proxy may take to apply slots: it answers what is in flight for them first. */
const PUSH_TIMEOUT_MS = 15_000;
/** For calls that wait for nothing. */
export const PROXY_CALL_TIMEOUT_MS = 5_000;

export class Proxies {
  readonly #options: TopomOptions;
  readonly #cache: ModelCache;
  /** Tokens of proxies that did not answer in time. */
  readonly #silent = new Set<string>();

  constructor(options: TopomOptions, cache: ModelCache) {
    this.#options = options;
    this.#cache = cache;
  }

  isSilent(token: string): boolean {
    return this.#silent.has(token);
  }

  /**
   * Gives all proxies the slots of `mappings`, which may be ahead of what is stored.
   * @param undo what they get instead when one refuses; its result is only logged
   * @throws CodisError "unavailable" naming a proxy that refused, "timeout" one that is silent
   */
  async push(
    cluster: Cluster,
    mappings: readonly Mapping[],
    undo: readonly Mapping[] = [],
  ): Promise<void> {
    if (mappings.length === 0) return;
    const proxies = sortedProxies(cluster);
    const silent = proxies.find(({ token }) => this.#silent.has(token));
    if (silent !== undefined) throw silentError(silent);
    try {
      await this.#pushTo(cluster, mappings, proxies);
    } catch (error) {
      if (undo.length > 0) await this.#undo(cluster, undo, proxies);
      throw error;
    }
  }

  async #undo(
    cluster: Cluster,
    mappings: readonly Mapping[],
    proxies: readonly ProxyModel[],
  ): Promise<void> {
    const answering = proxies.filter((proxy) => !this.#silent.has(proxy.token));
    try {
      await this.#pushTo(cluster, mappings, answering);
    } catch (error) {
      // Whoever retries the step pushes the slot again; its proxies hold it until then.
      this.#options.log.warn("could not take a push back", { error: errorText(error) });
    }
  }

  /** Fills every slot of one proxy, starts it and tells it the sentinels. */
  async reinit(cluster: Cluster, proxy: ProxyModel): Promise<void> {
    await this.refill(cluster, proxy);
    const { token } = proxy;
    const port = this.#portOf(proxy, PUSH_TIMEOUT_MS);
    await this.#call(`proxy-[${token}] start failed`, () => port.start());
    await this.#call(`proxy-[${token}] set sentinels failed`, () =>
      port.setSentinels(cluster.sentinel),
    );
  }

  /** Fills every slot of one proxy: whatever it missed or kept is overwritten, so it counts. */
  async refill(cluster: Cluster, proxy: ProxyModel): Promise<void> {
    const { token } = proxy;
    const [slots] = await this.#slotsFor(cluster, cluster.slots, [proxy]);
    try {
      await this.#portOf(proxy, PUSH_TIMEOUT_MS).fillSlots(slots!);
    } catch (error) {
      // It may apply these after a later push that it answered in time.
      if (isTimeout(error)) this.#noteSilence(proxy);
      throw failure(`proxy-[${token}] fillslots failed`, error);
    }
    this.#silent.delete(token);
  }

  /** Stores and starts a proxy that is not known yet. */
  async create(cluster: Cluster, found: ProxyModel): Promise<void> {
    if (cluster.proxies.has(found.token)) {
      throw new CodisError("conflict", `proxy-[${found.token}] already exists`);
    }
    const proxy = { ...found, id: nextProxyId(cluster) };
    await this.#cache.createProxy(proxy);
    await this.reinit(cluster, proxy);
  }

  /** Stores and starts a proxy, in place of its record if its token is known. */
  async online(cluster: Cluster, found: ProxyModel): Promise<void> {
    const known = cluster.proxies.get(found.token);
    const proxy = { ...found, id: known?.id ?? nextProxyId(cluster) };
    if (known === undefined) await this.#cache.createProxy(proxy);
    else await this.#cache.saveProxy(proxy);
    await this.reinit(cluster, proxy);
  }

  /** Asks a proxy to end and forgets it; `force` forgets it even when it does not. */
  async remove(proxy: ProxyModel, force: boolean): Promise<void> {
    const { token } = proxy;
    try {
      await this.#call(`proxy-[${token}] shutdown failed`, () =>
        this.#portOf(proxy, PROXY_CALL_TIMEOUT_MS).shutdown(),
      );
    } catch (error) {
      if (!force) throw error;
      this.#options.log.warn("proxy removed by force", { token, error: errorText(error) });
    }
    await this.#cache.removeProxy(token);
    this.#silent.delete(token);
  }

  /**
   * What the proxy at `addr` says about itself, once it has accepted our key.
   * @param withCause upstream's `create` tells the cause in its text, `online` does not
   */
  async identify(addr: string, withCause: boolean): Promise<ProxyModel> {
    const text = (what: string, error: unknown): string =>
      `proxy@${addr} ${what} failed${withCause ? `, ${messageOf(error)}` : ""}`;
    let model: ProxyModel;
    try {
      model = await this.#options.proxyAt(addr, "", PROXY_CALL_TIMEOUT_MS).model();
    } catch (error) {
      throw failure(text("fetch model", error), error);
    }
    try {
      await this.#options.proxyAt(addr, model.token, PROXY_CALL_TIMEOUT_MS).xping();
    } catch (error) {
      throw failure(text("check xauth", error), error);
    }
    return model;
  }

  async #pushTo(
    cluster: Cluster,
    mappings: readonly Mapping[],
    proxies: readonly ProxyModel[],
  ): Promise<void> {
    const slots = await this.#slotsFor(cluster, mappings, proxies);
    const failures = await Promise.all(proxies.map((proxy, i) => this.#pushOne(proxy, slots[i]!)));
    const first = failures.find((error) => error !== undefined);
    if (first !== undefined) throw first;
  }

  async #pushOne(proxy: ProxyModel, slots: readonly Slot[]): Promise<CodisError | undefined> {
    try {
      await this.#portOf(proxy, PUSH_TIMEOUT_MS).fillSlots(slots);
      return undefined;
    } catch (error) {
      if (!(error instanceof CodisError)) throw error;
      if (!isTimeout(error)) return refusalError(proxy, error);
      this.#noteSilence(proxy);
      return silentError(proxy);
    }
  }

  #noteSilence({ token, admin_addr }: ProxyModel): void {
    this.#silent.add(token);
    this.#options.log.error("a proxy does not answer", {
      token,
      admin_addr,
      timeout_ms: PUSH_TIMEOUT_MS,
    });
  }

  /** The slots as each of the proxies gets them: read replicas depend on where it stands. */
  async #slotsFor(
    cluster: Cluster,
    mappings: readonly Mapping[],
    proxies: readonly ProxyModel[],
  ): Promise<Slot[][]> {
    const { forwardMethod, resolve } = this.#options;
    const { ipOf } = await resolve(cluster);
    return proxies.map((proxy) => {
      const viewer = { datacenter: proxy.datacenter, ip: ipOf(proxy.admin_addr) };
      return mappings.map((mapping) =>
        pushedSlot(cluster, mapping, { forwardMethod, viewer, ipOf }),
      );
    });
  }

  #portOf(proxy: ProxyModel, timeoutMs: number): ProxyPort {
    return this.#options.proxyAt(proxy.admin_addr, proxy.token, timeoutMs);
  }

  async #call(text: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      throw failure(text, error);
    }
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof CodisError && error.code === "timeout";
}

/** For a push that was not answered. */
function silentError(proxy: ProxyModel): CodisError {
  const reason = `no answer within ${PUSH_TIMEOUT_MS / 1000}s`;
  const step =
    `bring it back, or forget it: ${removalOf(proxy)}; ` +
    "if it still serves then, its clients go on with the old servers";
  return pushError("timeout", proxy, reason, step);
}

/** For a push that was answered by an error, or could not be made. */
function refusalError(proxy: ProxyModel, error: CodisError): CodisError {
  if (error.code === "unavailable") {
    const step = `start it again, or forget it when it is gone for good: ${removalOf(proxy)}`;
    return pushError(error.code, proxy, withoutUrl(error.message), step);
  }
  const step =
    `look at its log; if another proxy runs there now, forget this one: ${removalOf(proxy)}, ` +
    `and take that one in: codis admin proxy online ${proxy.admin_addr}`;
  return pushError(error.code, proxy, error.message, step);
}

/** Upstream's words, then what an operator needs, who cannot tell a proxy by its token. */
function pushError(
  code: CodisError["code"],
  { token, admin_addr }: ProxyModel,
  reason: string,
  step: string,
): CodisError {
  const head = `proxy-[${token}] resync slots failed, admin address ${admin_addr}`;
  return new CodisError(code, `${head}: ${reason}; ${step}`);
}

function removalOf({ id }: ProxyModel): string {
  return `codis admin proxy remove ${id} --force`;
}

/** `Put "http://...": dial tcp ...` -> `dial tcp ...` */
function withoutUrl(text: string): string {
  return text.replace(/^(Get|Put) "[^"]*": /, "");
}

function failure(text: string, cause: unknown): CodisError {
  return new CodisError(cause instanceof CodisError ? cause.code : "unavailable", text, cause);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
