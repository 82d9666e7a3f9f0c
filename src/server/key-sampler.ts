/**
 * Random keys of all databases, or random keys with an expiry, a few at a time.
 *
 *   database, by its keys ──> slot, by its keys ──> a place of its dictionary ──> this and the next
 *
 * Keys with an expiry have no index of their own. Slots without any are not looked at; in one where
 * they are rare, the walk goes on where it stopped, so that all its places are seen before another
 * slot is chosen, and no call takes longer than PLACES_MAX.
 */

import { SLOT_COUNT } from "../slots/hash.ts";
import { ENTRY_NUMBER, entryFlags } from "./arena/entry.ts";
import type { Databases } from "./databases.ts";
import type { Keyspace } from "./keyspace.ts";

export type Sampled = "all" | "volatile";

/** Places of a dictionary looked at in one call. */
const PLACES_MAX = 128;
/** How many keys each slot has is counted anew after so many choices. */
const CHOICES_MAX = 256;

/** Keys in the slots up to each, of the database and kind they were counted for. */
class SlotWeights {
  readonly #upTo = new Int32Array(SLOT_COUNT);
  #sampled: Sampled = "all";
  #choicesLeft = 0;

  /** A slot that has keys of this kind, in proportion; the database has some. */
  choose(db: Keyspace, sampled: Sampled, random: () => number): number {
    if (this.#choicesLeft-- > 0 && this.#sampled === sampled) {
      const slot = this.#slotAt(random);
      if (keysOf(db, slot, sampled) > 0) return slot;
    }
    this.#count(db, sampled);
    return this.#slotAt(random);
  }

  #count(db: Keyspace, sampled: Sampled): void {
    let sum = 0;
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      sum += keysOf(db, slot, sampled);
      this.#upTo[slot] = sum;
    }
    this.#sampled = sampled;
    this.#choicesLeft = CHOICES_MAX;
  }

  #slotAt(random: () => number): number {
    const wanted = Math.floor(random() * this.#upTo[SLOT_COUNT - 1]!);
    let low = 0;
    let high = SLOT_COUNT - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#upTo[middle]! > wanted) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

function keysOf(db: Keyspace, slot: number, sampled: Sampled): number {
  return sampled === "all" ? db.slotSize(slot) : db.slotVolatile(slot);
}

function sizeOf(db: Keyspace, sampled: Sampled): number {
  return sampled === "all" ? db.size : db.volatileCount;
}

export class KeySampler {
  /** What the last `sample` found: `entries` of `slot` of `db`, of no use once a key has changed. */
  db: Keyspace;
  slot = 0;
  readonly entries: number[] = [];

  readonly #databases: Databases;
  readonly #random: () => number;
  /** By database, made when it is first looked at. */
  readonly #weights: SlotWeights[] = [];
  /** Where the walk through a slot goes on; it is over when it has come to the end twice. */
  #cursor = 0;
  #endsLeft = 0;
  #sampled: Sampled = "all";
  readonly #place: number[] = [];

  constructor(databases: Databases, random: () => number) {
    this.#databases = databases;
    this.#random = random;
    this.db = databases.all[0]!;
  }

  /**
   * Finds about `count` keys.
   * @returns false when there is no key of this kind; true with no `entries`: ask again
   */
  sample(sampled: Sampled, count: number): boolean {
    this.entries.length = 0;
    if (this.#endsLeft === 0 || this.#sampled !== sampled) {
      if (!this.#chooseSlot(sampled)) return false;
    }
    for (let places = 0; places < PLACES_MAX && this.#endsLeft > 0; places++) {
      this.#place.length = 0;
      this.#cursor = this.db.scanSlot(this.slot, this.#cursor, this.#place);
      if (this.#cursor === 0) this.#endsLeft--;
      for (const entry of this.#place) {
        if (sampled === "all" || this.#isVolatile(entry)) this.entries.push(entry);
      }
      if (this.entries.length >= count) break;
    }
    // The next sample is of another slot, unless this one has yet to show what it has.
    if (this.entries.length > 0) this.#endsLeft = 0;
    return true;
  }

  #isVolatile(entry: number): boolean {
    return (entryFlags(this.#databases.arena, entry) & ENTRY_NUMBER) !== 0;
  }

  #chooseSlot(sampled: Sampled): boolean {
    const db = this.#chooseDatabase(sampled);
    if (db === undefined) return false;
    this.#weights[db.index] ??= new SlotWeights();
    this.db = db;
    this.slot = this.#weights[db.index]!.choose(db, sampled, this.#random);
    this.#sampled = sampled;
    this.#cursor = Math.floor(this.#random() * 2 ** 32);
    this.#endsLeft = 2;
    return true;
  }

  #chooseDatabase(sampled: Sampled): Keyspace | undefined {
    let total = 0;
    for (const db of this.#databases.all) total += sizeOf(db, sampled);
    let left = Math.floor(this.#random() * total);
    for (const db of this.#databases.all) {
      left -= sizeOf(db, sampled);
      if (left < 0) return db;
    }
    return undefined;
  }
}
