/**
 * Pure: waits that their owner ends together when it closes. A race of each wait against one
 * promise of the closing would leave a reaction on it per wait, until the very end: a dashboard
 * waits for each of its members every second.
 */

export class Waits {
  readonly #wait: (ms: number) => Promise<void>;
  /** Ends one wait that is under way. */
  readonly #pending = new Set<() => void>();
  #isEnded = false;

  /** @param wait resolves after `ms` */
  constructor(wait: (ms: number) => Promise<void>) {
    this.#wait = wait;
  }

  /** Waits under way. */
  get size(): number {
    return this.#pending.size;
  }

  /** Resolves after `ms`, at once when ended. */
  for(ms: number): Promise<void> {
    if (this.#isEnded) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        this.#pending.delete(end);
        resolve();
      };
      this.#pending.add(end);
      void this.#wait(ms).then(end);
    });
  }

  /** Ends those under way and all that are to come. Idempotent. */
  end(): void {
    this.#isEnded = true;
    for (const end of this.#pending) end();
  }
}
