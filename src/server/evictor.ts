/**
 * Makes room when memory is full: removes keys by maxmemory-policy, a few per request and turn.
 *
 *   over maxmemory ──> values removed earlier and not yet freed: freed first, never more removed
 *                 └──> sample of keys ──> pool ──> best one: removed, DEL to the journal
 *                 ──> until there is room ("done"), time is up ("unfinished"), or there is
 *                     nothing to remove ("nothing"): only then are requests refused
 *
 * Keys on their way to another server stay. Source of the algorithm, its parameters and its figures
 * in INFO: Redis 7.0 src/evict.c `performEvictions`.
 */

import { entryHash } from "./arena/entry.ts";
import { EvictionPool } from "./eviction-pool.ts";
import { KeySampler, type Sampled } from "./key-sampler.ts";
import type { Keyspace } from "./keyspace.ts";
import type { ServerState } from "./state.ts";

/** Which keys may go, and by what the next one is chosen. */
interface Policy {
  readonly from: Sampled;
  readonly by: "lru" | "lfu" | "ttl" | "random";
}

/** By maxmemory-policy; noeviction has none. */
export const POLICIES: ReadonlyMap<string, Policy> = new Map<string, Policy>([
  ["allkeys-lru", { from: "all", by: "lru" }],
  ["allkeys-lfu", { from: "all", by: "lfu" }],
  ["allkeys-random", { from: "all", by: "random" }],
  ["volatile-lru", { from: "volatile", by: "lru" }],
  ["volatile-lfu", { from: "volatile", by: "lfu" }],
  ["volatile-random", { from: "volatile", by: "random" }],
  ["volatile-ttl", { from: "volatile", by: "ttl" }],
]);

export type Eviction = "done" | "unfinished" | "nothing";

/** Steps between two looks at the clock. */
const CLOCK_STRIDE = 16;
/** Elements of removed values freed per step. */
const RELEASE_STRIDE = 256;
/** After so many locked keys in a row all are taken to be, until one is found that is not. */
const LOCKED_MAX = 256;

const TENACITY_LINEAR_MAX = 10;
const TENACITY_UNLIMITED = 100;
const TENACITY_STEP_MS = 0.05;
const TENACITY_GROWTH = 1.15;

/** How long a run may take. @param tenacity maxmemory-eviction-tenacity, 0..100 */
function limitMs(tenacity: number): number {
  if (tenacity <= TENACITY_LINEAR_MAX) return TENACITY_STEP_MS * tenacity;
  if (tenacity >= TENACITY_UNLIMITED) return Number.POSITIVE_INFINITY;
  const most = TENACITY_STEP_MS * TENACITY_LINEAR_MAX;
  return Math.floor(1000 * most * TENACITY_GROWTH ** (tenacity - TENACITY_LINEAR_MAX)) / 1000;
}

export class Evictor {
  readonly #server: ServerState;
  readonly #random: () => number;
  readonly #sampler: KeySampler;
  readonly #pool = new EvictionPool();
  #policy: string;
  #lockedInARow = 0;
  /** Since when memory has been full; NaN while it is not. */
  #fullSinceMs = Number.NaN;
  #fullMs = 0;

  constructor(server: ServerState, random: () => number = Math.random) {
    this.#server = server;
    this.#random = random;
    this.#sampler = new KeySampler(server.databases, random);
    this.#policy = server.config["maxmemory-policy"];
  }

  /** Makes room if there is too little. Asked before each request when there is, and each tick. */
  run(): Eviction {
    const outcome = this.#run();
    const isFull = !Number.isNaN(this.#fullSinceMs);
    if (outcome === "done" && isFull) {
      this.#fullMs += this.currentFullMs;
      this.#fullSinceMs = Number.NaN;
    } else if (outcome !== "done" && !isFull) {
      this.#fullSinceMs = this.#server.clock.monotonic();
    }
    return outcome;
  }

  /** How long memory has been full by now; 0 when it is not. */
  get currentFullMs(): number {
    if (Number.isNaN(this.#fullSinceMs)) return 0;
    return this.#server.clock.monotonic() - this.#fullSinceMs;
  }

  /** How long in all, since the statistics began. */
  get totalFullMs(): number {
    return this.#fullMs + this.currentFullMs;
  }

  /** CONFIG RESETSTAT. */
  resetStats(): void {
    this.#fullMs = 0;
    this.#fullSinceMs = Number.NaN;
  }

  #run(): Eviction {
    const { databases, config, clock } = this.#server;
    if (!this.#server.isOverMemory) return "done";
    const policy = this.#followPolicy();
    const deadlineMs = clock.monotonic() + limitMs(config["maxmemory-eviction-tenacity"]);
    for (let steps = 1; ; steps++) {
      if (databases.hasToRelease) databases.releaseSome(RELEASE_STRIDE);
      else if (policy === undefined || !this.#evictOne(policy)) return "nothing";
      if (!this.#server.isOverMemory) return "done";
      if (steps % CLOCK_STRIDE === 0 && clock.monotonic() > deadlineMs) return "unfinished";
    }
  }

  #followPolicy(): Policy | undefined {
    const name = this.#server.config["maxmemory-policy"];
    if (name !== this.#policy) this.#pool.clear();
    this.#policy = name;
    return POLICIES.get(name);
  }

  /**
   * Removes a key, or looks for one.
   * @returns false when there is none to be removed
   */
  #evictOne(policy: Policy): boolean {
    const isRandom = policy.by === "random";
    if (!(isRandom ? this.#evictAny(policy) : this.#sample(policy))) return false;
    if (!isRandom) this.#evictBest(policy);
    return this.#lockedInARow < LOCKED_MAX || !this.#server.locks.isBusy;
  }

  /** @returns false when there is no key that may go */
  #evictAny(policy: Policy): boolean {
    const sampler = this.#sampler;
    if (!sampler.sample(policy.from, 1)) return false;
    const { db, entries } = sampler;
    if (entries.length === 0) return true;
    const entry = entries[Math.floor(this.#random() * entries.length)]!;
    if (!this.#isLocked(db, entry)) db.evict(entry);
    return true;
  }

  /** Offers keys to the pool. @returns false when there is none that may go */
  #sample(policy: Policy): boolean {
    const sampler = this.#sampler;
    const { arena } = this.#server.databases;
    // A slot may have fewer than are wanted: then it is several slots.
    for (let left = this.#server.config["maxmemory-samples"]; left > 0; ) {
      if (!sampler.sample(policy.from, left)) return false;
      const { db, slot, entries } = sampler;
      for (const entry of entries) {
        if (this.#isLocked(db, entry)) continue;
        const rank = this.#rank(policy, db, entry);
        this.#pool.offer(db.index, slot, entryHash(arena, entry), entry, rank);
      }
      if (entries.length === 0) break;
      left -= entries.length;
    }
    return true;
  }

  #evictBest(policy: Policy): void {
    const pool = this.#pool;
    while (pool.takeBest()) {
      const { entry, rank } = pool;
      const db = this.#server.databases.all[pool.dbIndex]!;
      if (!db.holds(pool.slot, pool.hash, entry)) continue;
      if (policy.from === "volatile" && Number.isNaN(db.expiryOf(entry))) continue;
      // One that was used since it was sampled is no longer what it was chosen for.
      if (this.#rank(policy, db, entry) < rank || this.#isLocked(db, entry)) continue;
      db.evict(entry);
      return;
    }
  }

  /** The greater, the sooner the key goes. */
  #rank(policy: Policy, db: Keyspace, entry: number): number {
    if (policy.by === "ttl") return -db.expiryOf(entry);
    return this.#server.databases.accesses!.rank(entry);
  }

  #isLocked(db: Keyspace, entry: number): boolean {
    const { locks } = this.#server;
    if (!locks.isBusy || !locks.holdsEntry(db.arena, entry)) {
      this.#lockedInARow = 0;
      return false;
    }
    this.#lockedInARow++;
    return true;
  }
}
