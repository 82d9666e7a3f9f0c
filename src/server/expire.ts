/**
 * Removes keys whose time is over though nobody asks for them. Only slots that hold such a key by
 * their own account (`slotExpiry`) are looked at, a part at a time, so that the cycle stays within
 * its budget whatever the number of keys.
 */

import type { Clock } from "../base/clock.ts";
import { SLOT_COUNT } from "../slots/hash.ts";
import type { Databases } from "./databases.ts";
import type { Keyspace } from "./keyspace.ts";

/** Steps of a scan between two looks at the clock. */
const CLOCK_STRIDE = 16;

export class ExpireCycle {
  readonly #databases: Databases;
  readonly #clock: Clock;
  #db = 0;
  #slot = 0;
  /** Within a slot: where the scan is, and the earliest expiry it has seen of keys that stay. */
  #cursor = 0;
  #isInSlot = false;
  #earliestMs = Number.POSITIVE_INFINITY;
  readonly #found: number[] = [];

  constructor(databases: Databases, clock: Clock) {
    this.#databases = databases;
    this.#clock = clock;
  }

  /**
   * Goes on for up to `budgetMs`.
   * @returns whether there is more to do at once: false when a whole round found nothing due
   */
  step(budgetMs: number): boolean {
    const deadlineMs = this.#clock.monotonic() + budgetMs;
    const { all, nowMs } = this.#databases;
    for (let visited = 0; visited <= all.length * SLOT_COUNT; visited++) {
      const db = all[this.#db]!;
      if (db.volatileCount === 0) {
        visited += SLOT_COUNT - this.#slot - 1;
        this.#leaveSlot(SLOT_COUNT);
      } else if (this.#isInSlot || db.slotExpiry(this.#slot) <= nowMs) {
        if (!this.#expireSlot(db, deadlineMs)) return true;
      } else {
        this.#leaveSlot(this.#slot + 1);
      }
    }
    return false;
  }

  #leaveSlot(next: number): void {
    this.#isInSlot = false;
    this.#slot = next % SLOT_COUNT;
    if (this.#slot === 0) this.#db = (this.#db + 1) % this.#databases.all.length;
  }

  /** @returns whether the slot is done before the deadline */
  #expireSlot(db: Keyspace, deadlineMs: number): boolean {
    if (!this.#isInSlot) {
      this.#isInSlot = true;
      this.#cursor = 0;
      this.#earliestMs = Number.POSITIVE_INFINITY;
      // Expiries set from now on lower it again, also while the scan waits for its next step.
      db.setSlotExpiry(this.#slot, Number.POSITIVE_INFINITY);
    }
    for (let steps = 1; ; steps++) {
      this.#found.length = 0;
      this.#cursor = db.scanSlot(this.#slot, this.#cursor, this.#found);
      for (const entry of this.#found) this.#look(db, entry);
      if (this.#cursor === 0) break;
      if (steps % CLOCK_STRIDE === 0 && this.#clock.monotonic() > deadlineMs) return false;
    }
    db.setSlotExpiry(this.#slot, Math.min(this.#earliestMs, db.slotExpiry(this.#slot)));
    this.#leaveSlot(this.#slot + 1);
    return true;
  }

  #look(db: Keyspace, entry: number): void {
    const atMs = db.expiryOf(entry);
    if (atMs <= this.#databases.nowMs) db.expire(entry);
    else if (atMs < this.#earliestMs) this.#earliestMs = atMs;
  }
}
