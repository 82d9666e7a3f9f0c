/**
 * Pure: how many bytes all clients of a thread hold, and whom to close when it is too much: replies
 * that wait, and requests that have not come whole or are not done with.
 *
 * A holder reports when it holds more than NOTICE_BYTES, and again until it holds less; what
 * clients hold below that is not counted. Nor is what the holder of most holds, up to `spareBytes`:
 * one client alone may do whatever is allowed to one, however small `maxBytes` is. So their memory
 * is at most
 *
 *   maxBytes + spareBytes + clients * NOTICE_BYTES + what is written between two reports
 */

import { assert } from "../base/assert.ts";

/** What a client may hold unnoticed. */
export const NOTICE_BYTES = 64 * 1024;

/** A client that holds much. */
export interface BudgetHolder {
  /** What it holds now; less than it reported when the socket took some since. */
  readonly heldBytes: number;
  /** Ends it at once and forgets what it holds; it then reports 0. */
  closeFor(limit: string): void;
}

export class ClientBudget {
  maxBytes: number;
  readonly #limit: string;
  readonly #spareBytes: number;
  #totalBytes = 0;
  readonly #holders = new Map<BudgetHolder, number>();
  /** Held most when that was last looked at, which is only when it matters. */
  #spared: BudgetHolder | undefined;

  /**
   * @param limit what the config calls `maxBytes`, for who is closed for it
   * @param spareBytes what the holder of most may hold beside it; if it has more, all of it counts
   */
  constructor(limit: string, maxBytes: number, spareBytes = 0) {
    this.#limit = limit;
    this.maxBytes = maxBytes;
    this.#spareBytes = spareBytes;
  }

  /** As reported. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** `holder` now holds `bytes`. While what counts is over the limit, closes who holds most. */
  report(holder: BudgetHolder, bytes: number): void {
    this.#set(holder, bytes);
    if (this.#countedBytes() > this.maxBytes) this.#refresh();
    while (this.#countedBytes() > this.maxBytes) {
      this.#spared = this.#largest();
      if (this.#countedBytes() > this.maxBytes) this.#spared.closeFor(this.#limit);
    }
  }

  #countedBytes(): number {
    if (this.#spared === undefined) return this.#totalBytes;
    const spared = this.#holders.get(this.#spared)!;
    return spared > this.#spareBytes ? this.#totalBytes : this.#totalBytes - spared;
  }

  #set(holder: BudgetHolder, bytes: number): void {
    this.#totalBytes += bytes - (this.#holders.get(holder) ?? 0);
    if (bytes > 0) {
      this.#holders.set(holder, bytes);
      return;
    }
    this.#holders.delete(holder);
    if (this.#spared === holder) this.#spared = undefined;
  }

  /** Sockets take bytes without a report. */
  #refresh(): void {
    for (const holder of this.#holders.keys()) this.#set(holder, holder.heldBytes);
  }

  #largest(): BudgetHolder {
    let largest: BudgetHolder | undefined;
    let most = 0;
    for (const [holder, bytes] of this.#holders) {
      if (bytes <= most) continue;
      largest = holder;
      most = bytes;
    }
    assert(largest !== undefined, "what is over the limit is held by someone");
    return largest;
  }
}
