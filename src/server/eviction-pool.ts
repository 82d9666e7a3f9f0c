/**
 * Pure: the best keys to evict that samples have come by so far. A handful of random keys seldom
 * holds one of the oldest; those it holds are kept from one eviction to the next, so that the best
 * of many samples goes first. The idea is that of Redis (src/evict.c `EvictionPoolLRU`).
 *
 *   offer ──> [ worst ... best ] ──> takeBest
 *
 * A key is named by its entry, slot and hash: the owner asks its slot whether it is still there.
 */

/** Keys kept. */
export const POOL_MAX = 16;

export class EvictionPool {
  /** Places in use, from 0; ranks ascend. */
  #count = 0;
  readonly #ranks = new Float64Array(POOL_MAX);
  readonly #entries = new Int32Array(POOL_MAX);
  readonly #hashes = new Int32Array(POOL_MAX);
  readonly #slots = new Uint16Array(POOL_MAX);
  readonly #dbs = new Uint16Array(POOL_MAX);

  /** What `takeBest` took. */
  rank = 0;
  entry = 0;
  hash = 0;
  slot = 0;
  dbIndex = 0;

  get size(): number {
    return this.#count;
  }

  /** Keeps a key if it is among the best. @param rank the greater, the sooner it goes */
  offer(dbIndex: number, slot: number, hash: number, entry: number, rank: number): void {
    if (this.#count === POOL_MAX && rank <= this.#ranks[0]!) return;
    this.#forget(dbIndex, entry);
    if (this.#count === POOL_MAX) this.#remove(0);
    let at = this.#count++;
    for (; at > 0 && this.#ranks[at - 1]! > rank; at--) this.#copy(at - 1, at);
    this.#ranks[at] = rank;
    this.#entries[at] = entry;
    this.#hashes[at] = hash;
    this.#slots[at] = slot;
    this.#dbs[at] = dbIndex;
  }

  /** Takes the best key out, into the fields above. @returns false when there is none */
  takeBest(): boolean {
    if (this.#count === 0) return false;
    const at = --this.#count;
    this.rank = this.#ranks[at]!;
    this.entry = this.#entries[at]!;
    this.hash = this.#hashes[at]!;
    this.slot = this.#slots[at]!;
    this.dbIndex = this.#dbs[at]!;
    return true;
  }

  /** Ranks mean something else from now on. */
  clear(): void {
    this.#count = 0;
  }

  #forget(dbIndex: number, entry: number): void {
    for (let i = 0; i < this.#count; i++) {
      if (this.#entries[i] === entry && this.#dbs[i] === dbIndex) {
        this.#remove(i);
        return;
      }
    }
  }

  #remove(at: number): void {
    this.#count--;
    for (let i = at; i < this.#count; i++) this.#copy(i + 1, i);
  }

  #copy(from: number, to: number): void {
    this.#ranks[to] = this.#ranks[from]!;
    this.#entries[to] = this.#entries[from]!;
    this.#hashes[to] = this.#hashes[from]!;
    this.#slots[to] = this.#slots[from]!;
    this.#dbs[to] = this.#dbs[from]!;
  }
}
