/**
 * Pure: who waits for a slot to be unblocked or for room in a backend, in the order of coming.
 * Whoever leaves is forgotten at once: clients that come and go while a slot is locked must not
 * pile up here, each with what it sent.
 */

import type { Resumable } from "./turn.ts";

export class Waiters<Machine extends Resumable = Resumable> {
  readonly #machines = new Set<Machine>();

  get length(): number {
    return this.#machines.size;
  }

  /** `machine.resume` is called once, when what it waits for may be there. */
  add(machine: Machine): void {
    this.#machines.add(machine);
  }

  /** It waits no longer. */
  remove(machine: Machine): void {
    this.#machines.delete(machine);
  }

  some(test: (machine: Machine) => boolean): boolean {
    return this.#machines.values().some(test);
  }

  /** Wakes the first `count`; none of them may wait again before this returns. */
  wake(count: number): void {
    let left = count;
    for (const machine of this.#machines) {
      if (left-- <= 0) return;
      this.#machines.delete(machine);
      machine.resume();
    }
  }
}
