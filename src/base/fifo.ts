/**
 * A queue in a ring: every operation takes constant time (amortised where it grows), and items cost
 * no allocation of their own. Takes back memory when a burst is over. Limits are its owner's
 * business.
 *
 *   #ring:  | . . c d e . . . |      #head: index of c      length: 3
 */

const CAPACITY_MIN = 16;

export class Fifo<T> {
  /** Capacity is a power of two, so that an index wraps by a mask. */
  #ring: (T | undefined)[] = [];
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: T): void {
    if (this.#length === this.#ring.length) {
      this.#resize(Math.max(CAPACITY_MIN, this.#length * 2));
    }
    this.#ring[(this.#head + this.#length) & (this.#ring.length - 1)] = item;
    this.#length++;
  }

  /** Removes and returns the oldest item. */
  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#ring[this.#head];
    // Else the ring would keep what was taken alive.
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#length--;
    const capacity = this.#ring.length;
    if (capacity > CAPACITY_MIN && this.#length < capacity >> 3) this.#resize(capacity >> 1);
    return item;
  }

  /** The oldest item, left where it is. */
  peek(): T | undefined {
    return this.#length === 0 ? undefined : this.#ring[this.#head];
  }

  /** The item that `index` others come before; undefined when there is none. */
  at(index: number): T | undefined {
    if (index < 0 || index >= this.#length) return undefined;
    return this.#ring[(this.#head + index) & (this.#ring.length - 1)];
  }

  clear(): void {
    this.#ring = [];
    this.#head = 0;
    this.#length = 0;
  }

  /** From the oldest to the newest; the queue must not change meanwhile. */
  *[Symbol.iterator](): Generator<T> {
    for (let i = 0; i < this.#length; i++) yield this.at(i) as T;
  }

  #resize(capacity: number): void {
    const ring: (T | undefined)[] = new Array(capacity).fill(undefined);
    for (let i = 0; i < this.#length; i++) ring[i] = this.at(i);
    this.#ring = ring;
    this.#head = 0;
  }
}
