/**
 * What the one who asks for snapshots knows of them: instants, as numbers of commands, of the save
 * that said it is done, and of those under way, which may have reached the disk or not.
 */

export class SnapshotLedger {
  /** Commands the last finished save has; undefined when they are not in the stream any more. */
  saved: number | undefined;
  /** Instants of saves since. */
  readonly #begun = new Set<number>();
  /** The instant of the save in the background, or -1. */
  #running = -1;
  /** Databases were emptied while a save was under way: its instant is a later one, from here on. */
  #restartedFrom = Number.POSITIVE_INFINITY;

  constructor(saved: number | undefined) {
    this.saved = saved;
  }

  get isRunning(): boolean {
    return this.#running >= 0;
  }

  /** SAVE is asked for: the file may be there before anybody hears of it. */
  mayHave(instant: number): void {
    this.#begun.add(instant);
  }

  /** A save begins in the background. */
  began(instant: number): void {
    this.#running = instant;
    this.#begun.add(instant);
  }

  /** A command that empties or swaps databases; so many commands with it. */
  upheaval(count: number): void {
    if (this.isRunning) this.#restartedFrom = Math.min(this.#restartedFrom, count);
  }

  /** The save in the background is over. */
  ended(isGood: boolean): void {
    const instant = this.#running;
    this.#running = -1;
    if (isGood && this.#restartedFrom === Number.POSITIVE_INFINITY) this.done(instant);
  }

  done(instant: number): void {
    this.saved = instant;
    this.#begun.clear();
    this.#restartedFrom = Number.POSITIVE_INFINITY;
  }

  /** Whether the file may have the data of this instant. */
  allows(count: number): boolean {
    return count === this.saved || this.#begun.has(count) || count >= this.#restartedFrom;
  }
}

export function isUpheaval(words: readonly unknown[]): boolean {
  return words[0] === "FLUSHDB" || words[0] === "SWAPDB";
}
