/**
 * Pure: how many reply bytes all sessions of a thread hold, and whom to close when it is too much.
 *
 * A session reports when it holds more than OUTPUT_NOTICE_BYTES, and again until it holds less; what
 * sessions hold below that is not counted. So the memory of replies is at most
 *
 *   maxBytes + sessions * OUTPUT_NOTICE_BYTES + what one turn reads from the backends
 */

/** What a session may hold unnoticed. */
export const OUTPUT_NOTICE_BYTES = 64 * 1024;

/** A session that holds much. */
export interface OutputHolder {
  /** Ends it at once and forgets what it holds; it then reports 0. */
  closeFor(limit: string): void;
}

export class OutputBudget {
  readonly maxBytes: number;
  #totalBytes = 0;
  readonly #holders = new Map<OutputHolder, number>();

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** `holder` now holds `bytes`. Closes those who hold most while the total is over the limit. */
  report(holder: OutputHolder, bytes: number): void {
    const before = this.#holders.get(holder) ?? 0;
    this.#totalBytes += bytes - before;
    if (bytes === 0) this.#holders.delete(holder);
    else this.#holders.set(holder, bytes);
    while (this.#totalBytes > this.maxBytes) this.#largest()!.closeFor("proxy_max_offheap_size");
  }

  #largest(): OutputHolder | undefined {
    let largest: OutputHolder | undefined;
    let most = 0;
    for (const [holder, bytes] of this.#holders) {
      if (bytes <= most) continue;
      largest = holder;
      most = bytes;
    }
    return largest;
  }
}
