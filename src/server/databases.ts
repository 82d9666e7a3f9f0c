/**
 * All databases of one server: the arena they share, the clock of the turn, counters, and the hooks
 * through which durability and migration follow what happens to keys. Large values and flushed
 * databases are freed a little at a time, by `releaseSome`, so that no DEL stops the loop.
 */

import type { Accesses } from "./accesses.ts";
import { Arena } from "./arena/arena.ts";
import { dictDrain } from "./arena/dict.ts";
import { entryKind, entryValueWord } from "./arena/entry.ts";
import { Keyspace } from "./keyspace.ts";
import { Locator } from "./locator.ts";
import { STRING, VALUE_TYPES } from "./types/value-type.ts";

/** Elements of a value freed at once when it is removed; what is left is freed in later turns. */
const RELEASE_NOW_MAX = 256;
/** Stands for "the dictionary of a flushed slot" among the types of values to free. */
const FLUSHED_SLOT = -1;
/** The same for the tag groups of a flushed slot, whose entries name keys but own nothing. */
const FLUSHED_GROUPS = -2;

export interface DatabaseHooks {
  /**
   * A snapshot is running and `entry`, which it has not visited (its mark is not `epoch`), is about
   * to be changed or removed. The hook sets the entry's mark.
   */
  beforeChange?: (db: Keyspace, entry: number) => void;
  /** A key ran out of time and is about to be removed; what follows the master must hear of it. */
  expired?: (db: Keyspace, key: Buffer, from: number, to: number) => void;
  /** The same of a key that is removed because memory is full. */
  evicted?: (db: Keyspace, key: Buffer, from: number, to: number) => void;
  /** These databases are about to be emptied (all of them when `db` is undefined). */
  beforeFlush?: (db: Keyspace | undefined) => void;
  /** Two databases are about to change places. */
  beforeSwap?: (a: Keyspace, b: Keyspace) => void;
}

export class Databases {
  readonly arena = new Arena();
  readonly locator = new Locator();
  readonly all: readonly Keyspace[];
  readonly hooks: DatabaseHooks = {};
  /** Unix ms, read once per turn; keys expire by it. */
  nowMs: number;
  /** The mark (0 or ENTRY_MARK) of entries that no running snapshot has to visit. */
  epoch = 0;
  /** A snapshot runs: `hooks.beforeChange` wants to hear of entries whose mark is not `epoch`. */
  snapshotRuns = false;
  /** Hears of each use of a key, while a policy wants to know. */
  accesses: Accesses | undefined = undefined;

  /** Keys whose time is over stay, as if it were not. */
  keepsExpired = false;

  hits = 0;
  misses = 0;
  expiredKeys = 0;
  evictedKeys = 0;
  /** Bytes of the arena that expired and evicted keys gave back since the start. */
  goneBytes = 0;

  /** Pairs of type and ref, the last pair next. */
  readonly #toRelease: number[] = [];

  /** @param count databases, numbered from 0 */
  constructor(count: number, nowMs: number) {
    this.nowMs = nowMs;
    this.all = Array.from({ length: count }, (_, index) => new Keyspace(this, index));
  }

  /** Something waits for `releaseSome`. */
  get hasToRelease(): boolean {
    return this.#toRelease.length > 0;
  }

  /** Frees a value that no key names any more, a large one later. `type` is not STRING. */
  release(type: number, ref: number): void {
    if (VALUE_TYPES.get(type)!.release(this.arena, ref, RELEASE_NOW_MAX) < 0) {
      this.#toRelease.push(type, ref);
    }
  }

  /** Frees the keys of a slot's dictionary that no database has any more, later. */
  releaseSlot(head: number): void {
    this.#toRelease.push(FLUSHED_SLOT, head);
  }

  /** Frees the tag groups of such a slot, later. */
  releaseGroups(groups: number): void {
    this.#toRelease.push(FLUSHED_GROUPS, groups);
  }

  /**
   * Frees what waits.
   * @param budget about how many elements
   * @returns what is left of the budget, 0 when there is more to do
   */
  releaseSome(budget: number): number {
    let left = budget;
    while (left > 0 && this.#toRelease.length > 0) {
      const ref = this.#toRelease.pop()!;
      const type = this.#toRelease.pop()!;
      const rest = this.#releasePart(type, ref, left);
      if (rest < 0) this.#toRelease.push(type, ref);
      left = rest;
    }
    return Math.max(0, left);
  }

  #releasePart(type: number, ref: number, budget: number): number {
    if (type === FLUSHED_SLOT) return dictDrain(this.arena, ref, budget, this.#dropEntry);
    if (type === FLUSHED_GROUPS) return dictDrain(this.arena, ref, budget, this.#dropGroup);
    return VALUE_TYPES.get(type)!.release(this.arena, ref, budget);
  }

  readonly #dropGroup = (entry: number): void => this.arena.free(entry);

  readonly #dropEntry = (entry: number): void => {
    const type = entryKind(this.arena, entry);
    const ref = entryValueWord(this.arena, entry);
    this.arena.free(entry);
    if (type !== STRING) this.release(type, ref);
  };

  /** Empties all databases at once. Costs the number of the arena's chunks, not of keys. */
  flushAll(): void {
    this.hooks.beforeFlush?.(undefined);
    for (const db of this.all) db.forget();
    this.#toRelease.length = 0;
    this.arena.reset();
  }
}
