/**
 * A look at all keys as they were at one instant, without a copy of the process: keys are visited a
 * few per turn, and a key that is about to be changed or removed is visited before that happens.
 *
 *   start    the epoch turns: every key now carries the other mark, new ones carry the new mark
 *   step     goes through databases and slots; a visited key gets the new mark
 *   hook     a key without the new mark is about to change: it is visited at once
 *   end      all keys carry the new mark
 *
 * A snapshot given up goes on without visiting, until the marks are even: only then another starts.
 * Emptying or swapping databases gives a snapshot up, which costs less than visiting them first.
 * Whoever took it begins anew, as the new state is what is wanted (`untilWhole`). Where the walk is
 * goes with the keys of a swapped database, so that it ends however often databases are swapped.
 */

import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { CodisError } from "../base/errors.ts";
import { SLOT_COUNT } from "../slots/hash.ts";
import { ENTRY_MARK, entryFlags, setEntryMark } from "./arena/entry.ts";
import type { Databases } from "./databases.ts";
import type { Keyspace } from "./keyspace.ts";

/** Writes one key at a time; long values in several calls. */
export interface KeyVisitor {
  /** The key in `entry` of `db` is next. Expired keys are visited too. */
  begin(db: Keyspace, entry: number): void;
  /** Does a bounded part of the work. Returns whether the key is done. */
  more(): boolean;
}

export type SnapshotState = "idle" | "visiting" | "abandoned";

/** Keys, places of a dictionary or parts of long values between two looks at the clock. */
const STEPS_PER_CLOCK = 8;
/** Stands for "the slot has been gone through" where a cursor is expected. */
const SLOT_DONE = -1;

export class Snapshot {
  state: SnapshotState = "idle";
  /**
   * Who works with the marks, from before a snapshot until they are even again: one at a time. Set
   * and cleared by whoever that is.
   */
  holder: "" | "rewrite" | "save" = "";

  readonly #databases: Databases;
  #walker: KeyVisitor | undefined;
  #saver: KeyVisitor | undefined;
  #abandoned: (() => void) | undefined;
  /** By index of a database: 1 when the walk has gone through the keys that are there now. */
  #walked = new Uint8Array(0);
  /** The place to scan next: a cursor of `scanSlot`, or SLOT_DONE. No database is left at -1. */
  #dbIndex = 0;
  #slot = 0;
  #cursor = 0;
  /** Entries of the place at cursor `#place` that are still to be visited; empty between steps. */
  readonly #found: number[] = [];
  #place = 0;
  /** The key the walker has begun and not finished; 0 when there is none. */
  #current = 0;
  /** What a visit in the hook failed with, for the next step. */
  #failure: RangeError | undefined;

  constructor(databases: Databases) {
    this.#databases = databases;
  }

  /**
   * Fixes the instant. The state must be idle.
   * @param walker visits keys in the order of the walk
   * @param saver visits a key that is about to change while the walker may be at another
   * @param abandoned called when databases are about to be emptied or swapped: the visits are
   * worthless then
   */
  start(walker: KeyVisitor, saver: KeyVisitor, abandoned: () => void): void {
    assert(this.state === "idle", "one snapshot at a time");
    this.state = "visiting";
    this.#walker = walker;
    this.#saver = saver;
    this.#abandoned = abandoned;
    this.#walked = new Uint8Array(this.#databases.all.length);
    this.#dbIndex = 0;
    this.#slot = 0;
    this.#cursor = 0;
    const { hooks } = this.#databases;
    this.#databases.epoch ^= ENTRY_MARK;
    this.#databases.snapshotRuns = true;
    hooks.beforeChange = (db, entry) => this.#save(db, entry);
    hooks.beforeFlush = () => this.abandon();
    hooks.beforeSwap = (a, b) => {
      this.abandon();
      this.#followSwap(a.index, b.index);
    };
  }

  /** The walk goes on with the same keys, wherever they are. */
  #followSwap(a: number, b: number): void {
    const walked = this.#walked;
    const ofA = walked[a]!;
    walked[a] = walked[b]!;
    walked[b] = ofA;
    if (this.#dbIndex === a) this.#dbIndex = b;
    else if (this.#dbIndex === b) this.#dbIndex = a;
  }

  /** Gives the snapshot up; `step` must still be called until the marks are even. */
  abandon(): void {
    if (this.state !== "visiting") return;
    this.state = "abandoned";
    // The walk has left the place of this one: it would keep the old mark.
    if (this.#current !== 0) this.#finishCurrent();
    this.#abandoned?.();
  }

  /**
   * Works for about `budgetMs`.
   * @returns whether the snapshot is over: the state is idle again
   * @throws what a visit failed with, in the hook too; the snapshot is then to be given up
   */
  step(budgetMs: number, clock: Clock): boolean {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined && this.state === "visiting") throw failure;
    const end = clock.monotonic() + budgetMs;
    for (let steps = 1; ; steps++) {
      if (steps % STEPS_PER_CLOCK === 0 && clock.monotonic() >= end) {
        this.#forgetFound();
        return false;
      }
      if (this.#current !== 0) {
        if (this.#walker!.more()) this.#finishCurrent();
      } else if (this.#found.length > 0) {
        this.#visit(this.#found.pop()!);
      } else if (!this.#scan()) {
        this.#end();
        return true;
      }
    }
  }

  /** What was found may be gone when the next turn comes: the place is scanned again then. */
  #forgetFound(): void {
    if (this.#found.length === 0) return;
    this.#found.length = 0;
    this.#cursor = this.#place;
  }

  /** Scans the next place; false when there is none. */
  #scan(): boolean {
    const { all } = this.#databases;
    while (this.#dbIndex >= 0) {
      const db = all[this.#dbIndex]!;
      if (this.#cursor !== SLOT_DONE && db.size > 0) {
        this.#place = this.#cursor;
        const next = db.scanSlot(this.#slot, this.#cursor, this.#found);
        this.#cursor = next === 0 ? SLOT_DONE : next;
        return true;
      }
      this.#cursor = 0;
      this.#slot++;
      if (this.#slot < SLOT_COUNT && db.size > 0) continue;
      this.#slot = 0;
      this.#walked[this.#dbIndex] = 1;
      this.#dbIndex = this.#walked.indexOf(0);
    }
    return false;
  }

  #visit(entry: number): void {
    const { arena, epoch, all } = this.#databases;
    if ((entryFlags(arena, entry) & ENTRY_MARK) === epoch) return;
    this.#current = entry;
    if (this.state === "visiting") this.#walker!.begin(all[this.#dbIndex]!, entry);
    else this.#finishCurrent();
  }

  #finishCurrent(): void {
    this.#mark(this.#current);
    this.#current = 0;
  }

  #mark(entry: number): void {
    setEntryMark(this.#databases.arena, entry, this.#databases.epoch !== 0);
  }

  /**
   * Asked turn by turn before a long value is removed, while nobody changes it: has the walk visit
   * it next, a step at a time, where the hook would visit all of it at once.
   * @returns whether it may be removed now, as no snapshot wants it any more
   */
  isReleased(db: Keyspace, entry: number): boolean {
    const { arena, epoch } = this.#databases;
    if (this.state !== "visiting" || (entryFlags(arena, entry) & ENTRY_MARK) === epoch) return true;
    if (this.#current === 0) {
      this.#current = entry;
      this.#walker!.begin(db, entry);
    }
    return false;
  }

  /**
   * The hook: `entry` is about to change and was not visited. When there is no memory for the
   * visit the snapshot fails, and not the command; any other error is a mistake of ours.
   */
  #save(db: Keyspace, entry: number): void {
    if (this.state === "visiting" && this.#failure === undefined) {
      try {
        this.#visitNow(db, entry);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        this.#failure = error;
      }
    }
    this.#mark(entry);
  }

  #visitNow(db: Keyspace, entry: number): void {
    const visitor = entry === this.#current ? this.#walker! : this.#saver!;
    if (entry === this.#current) this.#current = 0;
    else visitor.begin(db, entry);
    while (!visitor.more());
  }

  #end(): void {
    this.state = "idle";
    this.#databases.snapshotRuns = false;
    const { hooks } = this.#databases;
    delete hooks.beforeChange;
    delete hooks.beforeFlush;
    delete hooks.beforeSwap;
  }
}

/** So often a snapshot is taken anew; one that never ends would not be told from a slow one. */
export const SNAPSHOT_TRIES_MAX = 16;

/**
 * Takes a snapshot, and again when databases were emptied or swapped meanwhile.
 * @param once resolves to whether what it took is whole
 * @throws CodisError "limit" when none was in SNAPSHOT_TRIES_MAX tries
 */
export async function untilWhole(once: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < SNAPSHOT_TRIES_MAX; tries++) {
    if (await once()) return;
  }
  throw new CodisError(
    "limit",
    `databases were emptied or swapped ${SNAPSHOT_TRIES_MAX} times meanwhile`,
  );
}

/**
 * Goes to the end of a snapshot that has failed, without visiting, a slice per turn. Returns when
 * the marks are even, or when `isStopping` says that nobody needs them any more.
 */
export async function giveUp(
  snapshot: Snapshot,
  sliceMs: number,
  clock: Clock,
  isStopping: () => boolean,
): Promise<void> {
  if (snapshot.state === "idle") return;
  snapshot.abandon();
  while (!snapshot.step(sliceMs, clock) && !isStopping()) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/**
 * Visits all keys at once, whatever the marks are.
 * @param check called now and then; may throw to stop there
 */
export function visitAll(databases: Databases, visitor: KeyVisitor, check: () => void): void {
  const found: number[] = [];
  for (const db of databases.all) {
    if (db.size === 0) continue;
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      let cursor = 0;
      do {
        cursor = db.scanSlot(slot, cursor, found);
        for (const entry of found) {
          visitor.begin(db, entry);
          while (!visitor.more());
        }
        found.length = 0;
        check();
      } while (cursor !== 0);
    }
  }
}
