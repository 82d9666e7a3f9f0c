/**
 * Proxies that answer again: one that restarted (offline under a known token) is brought online,
 * one that was silent is filled with all slots, because nobody knows which of its pushes it
 * applied. One attempt at a time per proxy; the next poll of the statistics is the next attempt.
 */

import type { ProxyStats } from "../api/proxy-stats.ts";
import { CodisError, errorText } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { ProxyModel } from "../model/proxy.ts";

export interface ReturningProxiesPort {
  isSilent(token: string): boolean;
  online(addr: string): Promise<void>;
  refill(token: string): Promise<void>;
  /** An attempt has ended. */
  onAttempt(): void;
  readonly log: Log;
}

export class ReturningProxies {
  readonly #port: ReturningProxiesPort;
  readonly #attempts = new Set<string>();

  constructor(port: ReturningProxiesPort) {
    this.#port = port;
  }

  /** The proxy has answered a poll. */
  meet(proxy: ProxyModel, stats: ProxyStats): void {
    const { token, admin_addr } = proxy;
    const hasRestarted = !stats.online && !stats.closed;
    if (this.#attempts.has(token) || !(hasRestarted || this.#port.isSilent(token))) return;
    this.#attempts.add(token);
    if (hasRestarted) {
      void this.#attempt(proxy, "a restarted proxy was started", this.#port.online(admin_addr));
    } else {
      void this.#attempt(proxy, "a silent proxy answers again", this.#port.refill(token));
    }
  }

  async #attempt(
    { token, admin_addr }: ProxyModel,
    what: string,
    work: Promise<void>,
  ): Promise<void> {
    const { log } = this.#port;
    try {
      await work;
      log.info(what, { token, admin_addr });
    } catch (error) {
      if (!(error instanceof CodisError)) throw error;
      log.warn("a proxy could not be brought back", { token, admin_addr, error: errorText(error) });
    } finally {
      this.#attempts.delete(token);
      this.#port.onAttempt();
    }
  }
}
