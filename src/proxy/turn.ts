/**
 * Pure: what all machines of one thread share about the current turn of the event loop: the time,
 * read once, and who is to go on.
 *
 * A machine that is freed (a slot unlocked, room in a backend) is not run where that is noticed, in
 * the middle of somebody else's work, but from the list here, by the loop's owner, when that is
 * done.
 */

/** A machine that can go on. */
export interface Resumable {
  resume(): void;
}

export class Turn {
  /** Monotonic milliseconds, with a fraction; set by the loop's owner. */
  nowMs = 0;
  #waking: Resumable[] = [];
  #later: Resumable[] = [];

  /** `machine.resume` is called before the turn ends. */
  wake(machine: Resumable): void {
    this.#waking.push(machine);
  }

  /** `machine.resume` is called after the output of this turn was written. */
  wakeLater(machine: Resumable): void {
    this.#later.push(machine);
  }

  get hasLater(): boolean {
    return this.#later.length > 0;
  }

  /** Runs who was woken, and whom they wake, until nobody is left. */
  run(): void {
    while (this.#waking.length > 0) {
      const machines = this.#waking;
      this.#waking = [];
      for (const machine of machines) machine.resume();
    }
  }

  /** The output of the turn was written. */
  runLater(): void {
    const machines = this.#later;
    this.#later = [];
    for (const machine of machines) machine.resume();
    this.run();
  }
}
