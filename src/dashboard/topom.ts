/**
 * The state of one product and everything that may be done to it: the assembly of the dashboard's
 * parts.
 *
 *   route ──> operation ──┐                                ┌──> store, record by record
 *   slot engine ──────────┼──> one at a time, on fresh data ┼──> proxies, all at once
 *   proxy came back ──────┘                                └──> wake the engine
 *
 * Operations that change something run one after the other (`#operate`): each reads what is stale,
 * decides on the snapshot (groups.ts, slot-action.ts, rebalance.ts), then stores and pushes in the
 * order it was decided. Reading the statistics waits for nobody. A write refused because the lock
 * is lost ends the dashboard: somebody else owns the product.
 */

import type { TopomStats } from "../api/topom-stats.ts";
import { CodisError, errorText } from "../base/errors.ts";
import type { Mapping } from "../model/slot.ts";
import { SLOT } from "../model/slot.ts";
import type { Topom as TopomModel } from "../model/topom.ts";
import type { Cluster } from "./cluster.ts";
import { findServer, requireGroup, requireProxy, slotsOfGroup, sortedGroups } from "./cluster.ts";
import {
  groupToCreate,
  groupToRemove,
  groupWithoutServer,
  groupWithServer,
  requireNoOtherName,
} from "./groups.ts";
import { ModelCache } from "./model-cache.ts";
import type { TopomOptions } from "./ports.ts";
import { PROXY_CALL_TIMEOUT_MS, Proxies } from "./proxies.ts";
import { pushedSlot } from "./pushed-slot.ts";
import { planRebalance, type RebalancePlan } from "./rebalance.ts";
import { topomStats } from "./report.ts";
import { ReturningProxies } from "./returning-proxies.ts";
import {
  actionsOfPlan,
  actionsToCreateRange,
  actionsToCreateSome,
  actionToCreate,
  actionToRemove,
  slotsToAssign,
  slotsToTakeOffline,
} from "./slot-action.ts";
import { SlotEngine } from "./slot-engine.ts";
import { Statistics } from "./stats.ts";
import { Waits } from "./waits.ts";

const STATS_INTERVAL_MS = 1_000;
const POOL_INTERVAL_MS = 60_000;
/** How soon a model that could not be read at the start is read again. */
const LOAD_RETRY_MS = 1_000;
/** How long close waits for the operation under way. */
const CLOSE_PATIENCE_MS = 1_000;

export class Topom {
  readonly model: TopomModel;
  readonly #options: TopomOptions;
  readonly #cache: ModelCache;
  readonly #proxies: Proxies;
  readonly #engine: SlotEngine;
  readonly #statistics: Statistics;
  readonly #done = Promise.withResolvers<number>();
  readonly #waits: Waits;
  readonly #returning: ReturningProxies;
  #isOnline = false;
  #isClosed = false;

  constructor(options: TopomOptions) {
    this.model = options.model;
    this.#options = options;
    this.#waits = new Waits(options.wait);
    this.#cache = new ModelCache(options.store);
    this.#proxies = new Proxies(options, this.#cache);
    this.#engine = this.#makeEngine();
    this.#statistics = this.#makeStatistics();
    this.#returning = this.#makeReturning();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get isOnline(): boolean {
    return this.#isOnline;
  }

  /** Resolves with the exit code when closed: 0 after close(), 1 when the lock was lost. */
  get done(): Promise<number> {
    return this.#done.promise;
  }

  /** For tests, which drive it by hand. */
  get engine(): SlotEngine {
    return this.#engine;
  }

  get statistics(): Statistics {
    return this.#statistics;
  }

  // -- life ---------------------------------------------------------------------------------------

  /** Takes the lock. Throws CodisError "conflict" while another holds it. */
  async lock(): Promise<void> {
    await this.#options.store.lock(this.model);
    this.#isOnline = true;
  }

  /** Begins polling and moving slots. A model that cannot be read is read again until it can. */
  start(): void {
    this.#repeat(STATS_INTERVAL_MS, () => this.#statistics.pollServers());
    this.#repeat(STATS_INTERVAL_MS, () => this.#statistics.pollProxies());
    this.#repeat(POOL_INTERVAL_MS, async () => this.#options.servers.dropUnused());
    void this.#runEngine();
  }

  /** Gives the lock back. Slots that move stay as they are stored. Idempotent. */
  async close(exitCode = 0): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#waits.end();
      this.#engine.stop();
      this.#options.servers.close();
      await Promise.race([this.#cache.idle(), this.#options.wait(CLOSE_PATIENCE_MS)]);
      try {
        await this.#options.store.unlock();
      } catch (error) {
        this.#options.log.warn("the lock was not given back", { error: errorText(error) });
      }
      this.#done.resolve(exitCode);
    }
    await this.#done.promise;
  }

  // -- reading ------------------------------------------------------------------------------------

  async stats(): Promise<TopomStats> {
    return topomStats(await this.#freshCluster(), {
      closed: this.#isClosed,
      servers: this.#statistics.servers,
      proxies: this.#statistics.proxies,
      slotAction: this.#engine.stats,
    });
  }

  /** The slots as a proxy without a place would get them, as JSON. */
  async slots(): Promise<unknown[]> {
    const cluster = await this.#freshCluster();
    const { forwardMethod, resolve } = this.#options;
    const { ipOf } = await resolve(cluster);
    return cluster.slots.map((mapping) =>
      SLOT.write(pushedSlot(cluster, mapping, { forwardMethod, ipOf })),
    );
  }

  async serverInfo(addr: string): Promise<Record<string, string>> {
    const cluster = await this.#freshCluster();
    return await this.#options.servers.info(addr, findServer(cluster, addr) !== undefined);
  }

  // -- the dashboard itself -----------------------------------------------------------------------

  /** The store was changed by others: read it again. */
  async reload(): Promise<void> {
    await this.#operate(async () => {
      this.#cache.invalidate();
      await this.#cache.refresh();
    });
    this.#engine.wake();
  }

  setInterval(microseconds: number): void {
    this.#engine.intervalUs = microseconds;
  }

  setDisabled(disabled: boolean): void {
    this.#engine.disabled = disabled;
  }

  // -- proxies ------------------------------------------------------------------------------------

  /** Takes in a proxy that is not known yet, and starts it. */
  async createProxy(addr: string): Promise<void> {
    this.#requireOnline();
    const found = await this.#proxies.identify(addr, true);
    await this.#operate((cluster) => this.#proxies.create(cluster, found));
    this.#statistics.forgetProxy(found.token);
    this.#engine.retry();
  }

  /** Takes in the proxy at `addr`, which may be known under its token already, and starts it. */
  async onlineProxy(addr: string): Promise<void> {
    this.#requireOnline();
    const found = await this.#proxies.identify(addr, false);
    await this.#operate((cluster) => this.#proxies.online(cluster, found));
    this.#statistics.forgetProxy(found.token);
    this.#engine.retry();
  }

  async reinitProxy(token: string): Promise<void> {
    await this.#operate((cluster) => this.#proxies.reinit(cluster, requireProxy(cluster, token)));
    this.#engine.retry();
  }

  /** @param force remove it although it does not shut down: it may go on serving old slots */
  async removeProxy(token: string, force: boolean): Promise<void> {
    await this.#operate((cluster) => this.#proxies.remove(requireProxy(cluster, token), force));
    this.#engine.retry();
  }

  // -- groups -------------------------------------------------------------------------------------

  async createGroup(id: number): Promise<void> {
    await this.#operate((cluster) => this.#cache.createGroup(groupToCreate(cluster, id)));
  }

  async removeGroup(id: number): Promise<void> {
    await this.#operate((cluster) => this.#cache.removeGroup(groupToRemove(cluster, id).id));
  }

  async addServer(id: number, addr: string, datacenter: string): Promise<void> {
    this.#requireOnline();
    const runId = await this.#options.servers.check(addr);
    await this.#operate(async (cluster) => {
      const group = groupWithServer(cluster, id, addr, datacenter);
      requireNoOtherName(cluster, addr, runId, this.#statistics.servers);
      await this.#markSentinels(cluster);
      await this.#cache.saveGroup(group);
    });
  }

  async delServer(id: number, addr: string): Promise<void> {
    await this.#operate(async (cluster) => {
      const group = groupWithoutServer(cluster, id, addr);
      await this.#markSentinels(cluster);
      await this.#cache.saveGroup(group);
    });
  }

  /** Gives all proxies the slots of the group again. */
  async resyncGroup(id: number): Promise<void> {
    await this.#operate((cluster) => this.#resync(cluster, id));
  }

  async resyncAllGroups(): Promise<void> {
    await this.#operate(async (cluster) => {
      for (const group of sortedGroups(cluster)) await this.#resync(cluster, group.id);
    });
  }

  // -- slots --------------------------------------------------------------------------------------

  async createSlotAction(slotId: number, groupId: number): Promise<void> {
    await this.#createActions((cluster) => [actionToCreate(cluster, slotId, groupId)]);
  }

  async createSlotActions(from: number, groupId: number, count: number): Promise<void> {
    await this.#createActions((cluster) => actionsToCreateSome(cluster, from, groupId, count));
  }

  async createSlotActionRange(first: number, last: number, groupId: number): Promise<void> {
    await this.#createActions((cluster) => actionsToCreateRange(cluster, first, last, groupId));
  }

  async removeSlotAction(slotId: number): Promise<void> {
    await this.#operate((cluster) => this.#cache.saveSlots([actionToRemove(cluster, slotId)]));
  }

  async assignSlots(wanted: readonly Mapping[]): Promise<void> {
    await this.#operate(async (cluster) => {
      const mappings = slotsToAssign(cluster, wanted);
      for (const group of sortedGroups(cluster)) {
        const isGiven = mappings.some((mapping) => mapping.group_id === group.id);
        if (isGiven && !group.out_of_sync)
          await this.#cache.saveGroup({ ...group, out_of_sync: true });
      }
      await this.#cache.saveSlots(mappings);
      await this.#proxies.push(this.#cache.cluster, mappings);
    });
  }

  async offlineSlots(wanted: readonly Mapping[]): Promise<void> {
    await this.#operate(async (cluster) => {
      const mappings = slotsToTakeOffline(cluster, wanted);
      await this.#cache.saveSlots(mappings);
      await this.#proxies.push(this.#cache.cluster, mappings);
    });
  }

  /** @param confirm create the actions too */
  async rebalance(confirm: boolean): Promise<RebalancePlan> {
    const plan = await this.#operate(async (cluster) => {
      const moves = planRebalance(cluster);
      if (confirm) await this.#cache.saveSlots(actionsOfPlan(cluster, moves));
      return moves;
    });
    this.#engine.wake();
    return plan;
  }

  // -- parts --------------------------------------------------------------------------------------

  async #createActions(decide: (cluster: Cluster) => readonly Mapping[]): Promise<void> {
    await this.#operate((cluster) => this.#cache.saveSlots(decide(cluster)));
    this.#engine.wake();
  }

  async #resync(cluster: Cluster, id: number): Promise<void> {
    requireGroup(cluster, id);
    await this.#proxies.push(cluster, slotsOfGroup(cluster, id));
    await this.#cache.saveGroup({ ...requireGroup(cluster, id), out_of_sync: false });
  }

  /** The sentinels have to be told of the servers: an operator does it by resync. */
  async #markSentinels({ sentinel }: Cluster): Promise<void> {
    if (sentinel.servers.length === 0) return;
    await this.#cache.saveSentinel({ ...sentinel, out_of_sync: true });
  }

  #requireOnline(): void {
    if (this.#isClosed) throw new CodisError("closed", "use of closed topom");
    if (!this.#isOnline) throw new CodisError("unavailable", "topom is not online");
  }

  /** What is known without waiting for the operation under way, unless something must be read. */
  async #freshCluster(): Promise<Cluster> {
    this.#requireOnline();
    if (!this.#cache.isFresh) await this.#operate(async () => undefined);
    return this.#cache.cluster;
  }

  /** One operation after the other, each on what the store holds. */
  async #operate<T>(work: (cluster: Cluster) => Promise<T>): Promise<T> {
    try {
      return await this.#cache.operate(() => this.#requireOnline(), work);
    } catch (error) {
      this.#noteLostLock(error);
      throw error;
    }
  }

  #noteLostLock(error: unknown): void {
    if (this.#isClosed || !(error instanceof CodisError) || error.code !== "closed") return;
    this.#options.log.error("the lock is lost, another dashboard may own the product: stopping", {
      error: errorText(error),
    });
    void this.close(1);
  }

  #repeat(intervalMs: number, work: () => Promise<void>): void {
    const loop = async (): Promise<void> => {
      while (!this.#isClosed) {
        await work();
        await this.#waits.for(intervalMs);
      }
    };
    void loop();
  }

  /** Slots are chosen on what the store holds, so that waits until it could be read. */
  async #runEngine(): Promise<void> {
    while (!this.#cache.isFresh && !this.#isClosed) {
      try {
        await this.#operate(async () => undefined);
      } catch (error) {
        if (!(error instanceof CodisError)) throw error;
        if (this.#isClosed) break;
        const text = "cannot read the model, will try again";
        this.#options.log.error(text, { error: errorText(error) });
        await this.#waits.for(LOAD_RETRY_MS);
      }
    }
    await this.#engine.run();
  }

  #makeEngine(): SlotEngine {
    const { servers, log, parallelSlots, migrationTimeoutMs, asyncLimits } = this.#options;
    const topom = this;
    return new SlotEngine(
      {
        get cluster() {
          return topom.#cache.cluster;
        },
        exclusive: (work) => this.#operate(work),
        saveSlots: (mappings) => this.#cache.saveSlots(mappings),
        push: (mappings, undo) => this.#proxies.push(this.#cache.cluster, mappings, undo),
        withServer: (addr, work) => servers.withServer(addr, work),
        auth: servers.auth,
        wait: (ms) => this.#waits.for(ms),
        monotonic: () => this.#options.monotonic(),
        log,
      },
      { parallelSlots, timeoutMs: migrationTimeoutMs, asyncLimits },
    );
  }

  #makeStatistics(): Statistics {
    const { servers, proxyAt } = this.#options;
    const topom = this;
    return new Statistics({
      get cluster() {
        return topom.#cache.cluster;
      },
      serverStats: (addr) => servers.stats(addr),
      proxyStats: ({ admin_addr, token }) =>
        proxyAt(admin_addr, token, PROXY_CALL_TIMEOUT_MS).stats(),
      onProxyStats: (proxy, stats) => this.#returning.meet(proxy, stats),
      now: () => this.#options.now(),
      wait: (ms) => this.#waits.for(ms),
    });
  }

  #makeReturning(): ReturningProxies {
    return new ReturningProxies({
      isSilent: (token) => this.#proxies.isSilent(token),
      online: (addr) => this.onlineProxy(addr),
      refill: async (token) => {
        await this.#operate((cluster) =>
          this.#proxies.refill(cluster, requireProxy(cluster, token)),
        );
        this.#engine.retry();
      },
      onAttempt: () => this.#engine.wake(),
      log: this.#options.log,
    });
  }
}
