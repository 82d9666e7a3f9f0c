/**
 * Works on slot actions until there are none: chooses slots, takes each through its steps, lets
 * the runner move its keys, and comes back after a failure.
 *
 *   chooseMoves ──> walk (store, push; one at a time, under the lock) ──> moveSlot, slot by slot
 *        ^                                                                     │
 *        └──── wake ◄── rest after a failure ◄── walk to the end ◄─────────────┘
 *
 * Slots of one owner with one target go through their states together, up to SLOTS_AT_ONCE, with
 * one push and one round of writes for all, which take as long as moving the keys of a small slot.
 * Offline ones, who have no keys to move, do so however many: the first `rebalance`, of 1024 slots
 * on two groups, took 20 to 44 s when each went alone, and takes 6.
 *
 * Every step is stored before the next begins, so the engine keeps nothing that matters: after a
 * crash the next one goes on from the stored states. A slot that fails rests (rests.ts).
 */

import type { TopomStats } from "../api/topom-stats.ts";
import { CodisError, errorText } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { masterOf } from "../model/group.ts";
import type { Mapping, SlotActionState } from "../model/slot.ts";
import type { Cluster } from "./cluster.ts";
import { slotsInAction } from "./cluster.ts";
import type { AsyncLimits } from "./migrate-async.ts";
import type { MovePermit, MovePort } from "./migrate-runner.ts";
import { moveSlot } from "./migrate-runner.ts";
import { Pace } from "./pace.ts";
import { Rests } from "./rests.ts";
import { chooseMoves, chooseOffline, inBatches, inState, stepOf } from "./slot-action.ts";
import { Sweeps } from "./sweep.ts";

/**
 * Slots that go through their states together. Each is locked while all of them are stored and
 * pushed, and served by two servers until the last one's keys have moved.
 */
export const SLOTS_AT_ONCE = 8;
/**
 * Slots that may move out of or into one group at once: while some wait for proxies and the disk
 * the others move keys.
 */
const MOVES_PER_GROUP = 2 * SLOTS_AT_ONCE;
/** How often a pause is looked at again. */
const PAUSE_MS = 1_000;
/** Limit of the operator's pause between migration calls. */
const INTERVAL_MAX_US = 1_000_000;

/** What the engine asks of the dashboard. */
export interface SlotEnginePort {
  readonly cluster: Cluster;
  /** Runs `work` under the lock of the model, on fresh data. */
  exclusive<T>(work: () => Promise<T>): Promise<T>;
  saveSlots(mappings: readonly Mapping[]): Promise<void>;
  /** To all proxies, or a CodisError naming one; they get `undo` when one refuses. */
  push(mappings: readonly Mapping[], undo: readonly Mapping[]): Promise<void>;
  readonly withServer: MovePort["withServer"];
  /** The password of the servers, "" for none. */
  readonly auth: string;
  wait(ms: number): Promise<void>;
  monotonic(): number;
  readonly log: Log;
}

export interface SlotEngineOptions {
  /** Most slots that move at once. */
  readonly parallelSlots: number;
  /** Argument of the migration command, milliseconds. */
  readonly timeoutMs: number;
  /** Undefined: keys move with sync. */
  readonly asyncLimits: AsyncLimits | undefined;
}

export class SlotEngine {
  readonly #port: SlotEnginePort;
  readonly #options: SlotEngineOptions;
  readonly #active = new Map<number, Promise<void>>();
  readonly #rests = new Rests();
  readonly #sweeps = new Sweeps();
  readonly #pace = new Pace();
  readonly #keysLeft = new Map<number, number>();
  #wake: () => void = () => undefined;
  #stopped = false;
  #disabled = false;
  #intervalUs = 0;
  #status = "";
  #keysMoved = 0;
  #slotsMoved = 0;
  #executors = 0;

  constructor(port: SlotEnginePort, options: SlotEngineOptions) {
    this.#port = port;
    this.#options = options;
  }

  set disabled(value: boolean) {
    this.#disabled = value;
    this.wake();
  }

  /** Microseconds between migration calls, clamped to 0..1 s. */
  set intervalUs(value: number) {
    this.#intervalUs = Math.min(Math.max(value, 0), INTERVAL_MAX_US);
  }

  get stats(): TopomStats["slot_action"] {
    return {
      interval: this.#intervalUs,
      disabled: this.#disabled,
      progress: {
        status: this.#status,
        keys_moved: this.#keysMoved,
        slots_moved: this.#slotsMoved,
        slots_left: slotsInAction(this.#port.cluster).length,
        keys_left: [...this.#keysLeft.values()].reduce((sum, keys) => sum + keys, 0),
        failing: this.#rests.failing(),
      },
      executor: this.#executors,
    };
  }

  /** Something may have become possible: look again now. */
  wake(): void {
    this.#wake();
  }

  /** What slots failed with may be over: those that rest are tried now. */
  retry(): void {
    this.#rests.interrupt(this.#port.monotonic());
    this.wake();
  }

  /** Passes until stopped; resolves when the last slot has come to rest. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.pass();
      await Promise.race([woken, this.#port.wait(this.#idleMs())]);
    }
    await this.settled();
  }

  /** Slots in work stop before their next call. */
  stop(): void {
    this.#stopped = true;
    this.wake();
  }

  /** Begins work on whatever may be worked on now. */
  pass(): void {
    const { cluster } = this.#port;
    for (const id of this.#rests.slotIds) if (this.#stateOf(id) === "") this.#endRest(id);
    const active = new Set(this.#active.keys());
    const resting = this.#rests.resting(this.#port.monotonic());
    const moves = chooseMoves(cluster, active, resting, this.#disabled, {
      slots: this.#options.parallelSlots,
      perGroup: MOVES_PER_GROUP,
    });
    const offline = chooseOffline(cluster, active, resting, this.#disabled);
    for (const together of [...inBatches(moves, SLOTS_AT_ONCE), offline]) this.#begin(together);
  }

  /** @param mappings slots in one state, with one owner and one target, or offline */
  #begin(mappings: readonly Mapping[]): void {
    if (mappings.length === 0) return;
    const working = this.#work(mappings);
    for (const { id } of mappings) this.#active.set(id, working);
  }

  /** Resolves when no slot is in work. */
  async settled(): Promise<void> {
    while (this.#active.size > 0) await Promise.all(this.#active.values());
  }

  /** Until the next rest ends. */
  #idleMs(): number {
    return Math.min(PAUSE_MS, this.#rests.nextMs(this.#port.monotonic()));
  }

  /** Takes slots to the end of their actions. */
  async #work(mappings: readonly Mapping[]): Promise<void> {
    let ids: readonly number[] = mappings.map(({ id }) => id);
    try {
      await this.#port.exclusive(async () => {
        // The operator may have taken an action back, or reloaded what others changed.
        const { slots } = this.#port.cluster;
        ids = mappings.filter((was) => isSameWork(was, slots[was.id]!)).map(({ id }) => id);
        await this.#walk(ids);
      });
      if (ids.some((id) => this.#stateOf(id) === "migrating")) {
        ids = await this.#moveKeys(ids);
        if (ids.length > 0) await this.#port.exclusive(() => this.#finish(ids));
      }
      for (const id of ids) this.#endRest(id);
    } catch (error) {
      if (!(error instanceof CodisError)) throw error;
      this.#rest(ids, error);
    } finally {
      for (const { id } of mappings) {
        this.#keysLeft.delete(id);
        this.#active.delete(id);
      }
      this.wake();
    }
  }

  /**
   * Slot by slot, as a server works on one batch of keys at a time; only a sweep of its owner takes
   * all along. After one that fails, which rests, the others are looked at anew.
   * @returns those whose keys have all moved
   */
  async #moveKeys(ids: readonly number[]): Promise<number[]> {
    const port = this.#movePort();
    const moved: number[] = [];
    const move = async (id: number): Promise<boolean> => {
      try {
        await moveSlot(port, id);
        moved.push(id);
        return true;
      } catch (error) {
        if (!(error instanceof CodisError)) throw error;
        this.#rest([id], error);
        return false;
      }
    };
    const { cluster } = this.#port;
    let begun = 0;
    let isGood = true;
    while (begun < ids.length && isGood) {
      const owner = masterOf(cluster.groups.get(cluster.slots[ids[begun]!]!.group_id));
      const some = this.#sweeps.hasSwept(owner) ? ids.slice(begun) : [ids[begun]!];
      begun += some.length;
      isGood = (await Promise.all(some.map(move))).every((isMoved) => isMoved);
    }
    return moved;
  }

  #rest(ids: readonly number[], error: CodisError): void {
    if (this.#stopped) return;
    const restMs = this.#rests.begin(ids, error.message, this.#port.monotonic());
    const [first] = ids as [number];
    this.#status = failureOf(first) + error.message;
    this.#port.log.warn("slot action failed, will be tried again", {
      slot: first,
      ...(ids.length > 1 ? { slots: ids.length } : {}),
      state: this.#stateOf(first),
      error: errorText(error),
      retry_ms: restMs,
    });
  }

  /** The slot gets on: nobody is told any more what it failed with. */
  #noteRecovery(slotId: number): void {
    if (!this.#rests.noteRecovery(slotId)) return;
    if (this.#status.startsWith(failureOf(slotId))) this.#status = "";
  }

  #endRest(slotId: number): void {
    this.#noteRecovery(slotId);
    this.#rests.end(slotId);
  }

  #stateOf(slotId: number): Mapping["action"]["state"] {
    return this.#port.cluster.slots[slotId]!.action.state;
  }

  /** Takes slots in one state as far as they can go without moving keys. */
  async #walk(ids: readonly number[]): Promise<void> {
    while (ids.length > 0) {
      const mappings = ids.map((id) => this.#port.cluster.slots[id]!);
      const step = stepOf(mappings[0]!);
      if (step === undefined || step.move) return;
      const inAll = (next: SlotActionState): Mapping[] =>
        mappings.map((mapping) => inState(mapping, next));
      if (step.fill !== undefined) {
        await this.#port.push(inAll(step.fill), step.undo === undefined ? [] : inAll(step.undo));
      }
      try {
        await this.#port.saveSlots(inAll(step.next));
      } finally {
        // When one could not be stored the others were.
        for (const id of ids) if (this.#stateOf(id) === "") this.#ended(id);
      }
      for (const id of ids) this.#noteRecovery(id);
    }
  }

  /** All their keys have moved. */
  async #finish(ids: readonly number[]): Promise<void> {
    for (const id of ids) if (this.#stateOf(id) !== "migrating") throw invalidState(id);
    const mappings = ids.map((id) => this.#port.cluster.slots[id]!);
    await this.#port.saveSlots(mappings.map((it) => inState(it, stepOf(it)!.next)));
    await this.#walk(ids);
  }

  #ended(slotId: number): void {
    this.#slotsMoved++;
    this.#status = "";
    const owner = this.#port.cluster.slots[slotId]!.group_id;
    this.#port.log.info("slot moved", { slot: slotId, group: owner });
  }

  #movePort(): MovePort {
    const { withServer, wait, monotonic, auth } = this.#port;
    const engine = this;
    return {
      permit: (slotId) => engine.#permit(slotId),
      withServer: async (addr, work) => {
        engine.#executors++;
        try {
          return await withServer(addr, work);
        } finally {
          engine.#executors--;
        }
      },
      waitPaused: () => wait(PAUSE_MS),
      get intervalMs() {
        return engine.#intervalUs / 1000;
      },
      pause: () => engine.#pause(),
      wait,
      progress: (slotId, db, moved, left) => engine.#progress(slotId, db, moved, left),
      monotonic,
      timeoutMs: engine.#options.timeoutMs,
      asyncLimits: engine.#options.asyncLimits,
      auth,
      sweeps: engine.#sweeps,
    };
  }

  async #pause(): Promise<void> {
    const dueMs = this.#pace.called(this.#intervalUs / 1000);
    if (dueMs === 0) return;
    const beginMs = this.#port.monotonic();
    await this.#port.wait(dueMs);
    this.#pace.waited(dueMs, this.#port.monotonic() - beginMs);
  }

  #permit(slotId: number): MovePermit {
    const { cluster } = this.#port;
    const { group_id, action } = cluster.slots[slotId]!;
    if (this.#stopped) throw new CodisError("closed", "use of closed topom");
    if (action.state !== "migrating") throw invalidState(slotId);
    const owner = cluster.groups.get(group_id);
    const target = cluster.groups.get(action.target_id);
    const promoting = [owner, target].some((group) => (group?.promoting.state ?? "") !== "");
    if (this.#disabled || promoting) return "pause";
    const from = masterOf(owner);
    return from === "" ? "done" : { from, to: masterOf(target) };
  }

  #progress(slotId: number, db: number, moved: number, left: number): void {
    this.#noteRecovery(slotId);
    this.#keysMoved += moved;
    this.#keysLeft.set(slotId, left);
    if (left > 0) this.#status = `[OK] ${label(slotId)}@DB[${db}]=${left}`;
  }
}

function isSameWork(was: Mapping, now: Mapping): boolean {
  const isSameWay = was.group_id === now.group_id && was.action.target_id === now.action.target_id;
  return isSameWay && was.action.state === now.action.state;
}

function label(slotId: number): string {
  return `Slot[${String(slotId).padStart(4, "0")}]`;
}

function failureOf(slotId: number): string {
  return `[ERROR] ${label(slotId)}: `;
}

function invalidState(slotId: number): CodisError {
  return new CodisError("conflict", `slot-[${slotId}] action state is invalid`);
}
