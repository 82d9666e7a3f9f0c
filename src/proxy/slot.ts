/**
 * Pure: one of the 1024 slots of a proxy: where its requests go now, how many are under way, and
 * who waits for it.
 *
 *   open, offline, migrating, replicated  --block-->  blocked  --define(unlocked)-->  one of these
 *
 * A fill blocks the slot (new requests wait), waits until every request counted here is answered or
 * failed, replaces the definition, and unblocks unless the definition is locked. Nothing waits with
 * a limit: who fills a slot with `locked` must fill it again.
 *
 * Invariant: `underWay` = requests with `slot === this` + migrations of a key of the slot.
 * Source: Codis pkg/proxy/slots.go.
 */

import { assert } from "../base/assert.ts";
import { FORWARD_SYNC, type Slot } from "../model/slot.ts";
import type { Backend } from "./backend.ts";
import type { LaneUser, SharedBackend } from "./backend-pool.ts";
import { Waiters } from "./waiters.ts";

/** Requests go to the primary as they come. */
export const OPEN = 0;
/** No backend: requests are refused. */
export const OFFLINE = 1;
/** Requests wait. */
export const BLOCKED = 2;
/** The key moves before the request goes to the primary. */
export const MIGRATING = 3;
/** Reads may go to a replica. */
export const REPLICATED = 4;
export type SlotMode =
  | typeof OPEN
  | typeof OFFLINE
  | typeof BLOCKED
  | typeof MIGRATING
  | typeof REPLICATED;

/** The connections of a definition; undefined and empty where it names no address. */
export interface SlotBackends {
  readonly primary: SharedBackend | undefined;
  readonly source: SharedBackend | undefined;
  /** Best group first. */
  readonly replicas: readonly (readonly SharedBackend[])[];
}

const NO_BACKENDS: SlotBackends = { primary: undefined, source: undefined, replicas: [] };

export class ProxySlot {
  readonly id: number;
  mode: SlotMode = OFFLINE;
  primary: SharedBackend | undefined;
  /** While it moves: where keys are pulled from. */
  source: SharedBackend | undefined;
  replicas: readonly (readonly SharedBackend[])[] = [];
  /** Of the definition in force; read while `mode` is MIGRATING. */
  forwardMethod = FORWARD_SYNC;
  underWay = 0;
  /** Woken when the slot is no longer blocked. */
  readonly waiters = new Waiters();

  #definition: Slot;
  #onDrained: (() => void) | undefined;

  constructor(id: number) {
    this.id = id;
    this.#definition = offlineSlot(id);
  }

  /** The definition in force, as the admin API reports it. */
  get definition(): Slot {
    return this.#definition;
  }

  /** One request less is under way. */
  finish(): void {
    if (--this.underWay === 0 && this.#onDrained !== undefined) {
      const onDrained = this.#onDrained;
      this.#onDrained = undefined;
      onDrained();
    }
  }

  block(): void {
    this.mode = BLOCKED;
  }

  /** Resolves when nothing is under way. Only while blocked, and one call at a time. */
  drain(): Promise<void> {
    assert(this.mode === BLOCKED, "a slot is drained while it is blocked");
    assert(this.#onDrained === undefined, "a slot is drained by one fill at a time");
    if (this.underWay === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onDrained = resolve;
    });
  }

  /** Puts a definition in force; unblocks unless it is locked. */
  define(definition: Slot, backends: SlotBackends): void {
    assert(this.underWay === 0, "a slot is redefined when nothing is under way");
    this.#definition = definition;
    this.primary = backends.primary;
    this.source = backends.source;
    this.replicas = backends.replicas;
    this.forwardMethod = definition.forward_method;
    if (definition.locked) return;
    this.mode = modeOf(backends);
    this.waiters.wake(Number.POSITIVE_INFINITY);
  }

  /**
   * A replica to read from: of the first group that has a healthy one, starting at a member that
   * depends on the session. `own` as for `lane`.
   */
  healthyReplica(database: number, user: LaneUser, own: number): Backend | undefined {
    for (const group of this.replicas) {
      for (let i = 0; i < group.length; i++) {
        const replica = group[(user.id + i) % group.length]!;
        const lane = replica.lane(database, user, own);
        if (lane.isHealthy) return lane;
      }
    }
    return undefined;
  }

  /** Refuses everything from now on, whoever waits included. */
  shut(): void {
    this.define(offlineSlot(this.id), NO_BACKENDS);
  }
}

function modeOf({ primary, source, replicas }: SlotBackends): SlotMode {
  if (primary === undefined) return OFFLINE;
  if (source !== undefined) return MIGRATING;
  return replicas.length > 0 ? REPLICATED : OPEN;
}

function offlineSlot(id: number): Slot {
  return {
    id,
    locked: false,
    backend_addr: "",
    backend_addr_group_id: 0,
    migrate_from: "",
    migrate_from_group_id: 0,
    forward_method: FORWARD_SYNC,
    replica_groups: [],
  };
}
