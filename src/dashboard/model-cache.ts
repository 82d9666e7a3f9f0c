/**
 * The product's model as last read, and the one way to change it. The store is the truth: a record
 * is written there first and kept here after; one whose write failed is read again before the next
 * operation, because nobody knows which value it has. Operations run one at a time.
 */

import type { Group } from "../model/group.ts";
import type { ProxyModel } from "../model/proxy.ts";
import type { Sentinel } from "../model/sentinel.ts";
import { SENTINEL } from "../model/sentinel.ts";
import type { Mapping } from "../model/slot.ts";
import { offlineMapping } from "../model/slot.ts";
import { SLOT_COUNT } from "../slots/hash.ts";
import type { Store } from "../store/store.ts";
import type { Cluster } from "./cluster.ts";

/** Slots that are written side by side. */
export const SAVES_AT_ONCE = 64;

const ALL_SLOTS = Array.from({ length: SLOT_COUNT }, (_, id) => id);

export class ModelCache {
  readonly #store: Store;
  readonly #slots: Mapping[] = ALL_SLOTS.map(offlineMapping);
  readonly #groups = new Map<number, Group>();
  readonly #proxies = new Map<string, ProxyModel>();
  #sentinel: Sentinel = SENTINEL.zero();

  // What must be read before the next operation.
  readonly #staleSlots = new Set<number>(ALL_SLOTS);
  readonly #staleGroups = new Set<number>();
  readonly #staleProxies = new Set<string>();
  #allGroupsStale = true;
  #allProxiesStale = true;
  #sentinelStale = true;
  /** The last operation queued; the next one starts when it has ended. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Runs operations one after the other, each on what the store holds.
   * @param admit called when its turn has come; may throw to refuse it
   */
  operate<T>(admit: () => void, work: (cluster: Cluster) => Promise<T>): Promise<T> {
    const turn = this.#last.then(async () => {
      admit();
      await this.refresh();
      return await work(this.cluster);
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Resolves when the operations queued so far have ended. */
  async idle(): Promise<void> {
    await this.#last;
  }

  /** As last read or written. A view: it follows later changes. */
  get cluster(): Cluster {
    return {
      slots: this.#slots,
      groups: this.#groups,
      proxies: this.#proxies,
      sentinel: this.#sentinel,
    };
  }

  get isFresh(): boolean {
    return (
      this.#staleSlots.size === 0 &&
      this.#staleGroups.size === 0 &&
      this.#staleProxies.size === 0 &&
      !this.#allGroupsStale &&
      !this.#allProxiesStale &&
      !this.#sentinelStale
    );
  }

  /** Everything is read again before the next operation. */
  invalidate(): void {
    for (const id of ALL_SLOTS) this.#staleSlots.add(id);
    this.#allGroupsStale = true;
    this.#allProxiesStale = true;
    this.#sentinelStale = true;
  }

  /**
   * Reads what is stale. Throws CodisError `store: load ... failed`; what was read so far is kept.
   */
  async refresh(): Promise<void> {
    for (const id of this.#staleSlots) {
      this.#slots[id] = await this.#store.loadSlot(id);
      this.#staleSlots.delete(id);
    }
    if (this.#allGroupsStale) {
      const groups = await this.#store.loadGroups();
      replace(this.#groups, groups, (group) => group.id);
      this.#allGroupsStale = false;
      this.#staleGroups.clear();
    }
    for (const id of this.#staleGroups) {
      put(this.#groups, id, await this.#store.loadGroup(id));
      this.#staleGroups.delete(id);
    }
    if (this.#allProxiesStale) {
      const proxies = await this.#store.loadProxies();
      replace(this.#proxies, proxies, (proxy) => proxy.token);
      this.#allProxiesStale = false;
      this.#staleProxies.clear();
    }
    for (const token of this.#staleProxies) {
      put(this.#proxies, token, await this.#store.loadProxy(token));
      this.#staleProxies.delete(token);
    }
    if (this.#sentinelStale) {
      this.#sentinel = await this.#store.loadSentinel();
      this.#sentinelStale = false;
    }
  }

  /**
   * Rejects with the first failure, when the others are written: one record that cannot be must
   * not keep the rest back. Of a store that takes none it asks no further.
   */
  async saveSlots(mappings: readonly Mapping[]): Promise<void> {
    const failures: unknown[] = [];
    for (let i = 0; i < mappings.length; i += SAVES_AT_ONCE) {
      const saves = mappings.slice(i, i + SAVES_AT_ONCE).map((mapping) => this.#saveSlot(mapping));
      const results = await Promise.allSettled(saves);
      const rejected = results.filter((result) => result.status === "rejected");
      failures.push(...rejected.map(({ reason }) => reason));
      if (rejected.length === results.length) break;
    }
    if (failures.length > 0) throw failures[0];
  }

  async #saveSlot(mapping: Mapping): Promise<void> {
    this.#staleSlots.add(mapping.id);
    await this.#store.updateSlot(mapping);
    this.#slots[mapping.id] = mapping;
    this.#staleSlots.delete(mapping.id);
  }

  async createGroup(group: Group): Promise<void> {
    await this.#changeGroup(group.id, group, () => this.#store.createGroup(group));
  }

  async saveGroup(group: Group): Promise<void> {
    await this.#changeGroup(group.id, group, () => this.#store.updateGroup(group));
  }

  async removeGroup(id: number): Promise<void> {
    await this.#changeGroup(id, undefined, () => this.#store.removeGroup(id));
  }

  async createProxy(proxy: ProxyModel): Promise<void> {
    await this.#changeProxy(proxy.token, proxy, () => this.#store.createProxy(proxy));
  }

  async saveProxy(proxy: ProxyModel): Promise<void> {
    await this.#changeProxy(proxy.token, proxy, () => this.#store.updateProxy(proxy));
  }

  async removeProxy(token: string): Promise<void> {
    await this.#changeProxy(token, undefined, () => this.#store.removeProxy(token));
  }

  async saveSentinel(sentinel: Sentinel): Promise<void> {
    this.#sentinelStale = true;
    await this.#store.updateSentinel(sentinel);
    this.#sentinel = sentinel;
    this.#sentinelStale = false;
  }

  async #changeGroup(
    id: number,
    group: Group | undefined,
    write: () => Promise<void>,
  ): Promise<void> {
    this.#staleGroups.add(id);
    await write();
    put(this.#groups, id, group);
    this.#staleGroups.delete(id);
  }

  async #changeProxy(
    token: string,
    proxy: ProxyModel | undefined,
    write: () => Promise<void>,
  ): Promise<void> {
    this.#staleProxies.add(token);
    await write();
    put(this.#proxies, token, proxy);
    this.#staleProxies.delete(token);
  }
}

function put<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

function replace<K, V>(map: Map<K, V>, values: readonly V[], keyOf: (value: V) => K): void {
  map.clear();
  for (const value of values) map.set(keyOf(value), value);
}
