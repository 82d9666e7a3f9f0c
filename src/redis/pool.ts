/**
 * Connections to servers, kept for the next use. One user at a time per connection; one that failed
 * or is left in an unknown state is not kept.
 */

import { RedisClient, type RedisClientOptions } from "./client.ts";

/** Idle connections kept per server. */
const IDLE_PER_SERVER_MAX = 8;

export class RedisPool {
  readonly #options: RedisClientOptions;
  readonly #idle = new Map<string, RedisClient[]>();
  readonly #used = new Set<RedisClient>();
  #closed = false;

  constructor(options: RedisClientOptions) {
    this.#options = options;
  }

  /**
   * Lends a connection to `addr` for the time of `work`.
   * @throws CodisError when it cannot be reached, and whatever `work` throws
   */
  async use<T>(addr: string, work: (client: RedisClient) => Promise<T>): Promise<T> {
    const client = this.#takeIdle(addr) ?? (await RedisClient.connect(addr, this.#options));
    if (this.#closed) client.close();
    this.#used.add(client);
    let done = false;
    try {
      const result = await work(client);
      done = true;
      return result;
    } finally {
      this.#used.delete(client);
      if (done) this.#keep(client);
      else client.close();
    }
  }

  /** Drops connections that were not used for as long as their timeout. Call it now and then. */
  dropUnused(): void {
    const oldestMs = performance.now() - this.#options.timeoutMs;
    for (const [addr, clients] of this.#idle) {
      const kept = clients.filter((client) => client.isOpen && client.lastHeardMs >= oldestMs);
      for (const client of clients) if (!kept.includes(client)) client.close();
      if (kept.length > 0) this.#idle.set(addr, kept);
      else this.#idle.delete(addr);
    }
  }

  /** Ends all connections; calls under way fail. */
  close(): void {
    this.#closed = true;
    for (const clients of this.#idle.values()) for (const client of clients) client.close();
    for (const client of this.#used) client.close();
    this.#idle.clear();
  }

  #takeIdle(addr: string): RedisClient | undefined {
    const clients = this.#idle.get(addr) ?? [];
    while (clients.length > 0) {
      const client = clients.pop()!;
      if (client.isOpen) return client;
    }
    return undefined;
  }

  #keep(client: RedisClient): void {
    const clients = this.#idle.get(client.addr) ?? [];
    if (this.#closed || !client.isOpen || clients.length >= IDLE_PER_SERVER_MAX) {
      client.close();
      return;
    }
    clients.push(client);
    this.#idle.set(client.addr, clients);
  }
}
