/**
 * Pure: how many bytes all clients of a thread hold, and whom to close when it is too much: replies
 * that wait, and requests that have not come whole or are not done with.
 *
 * A holder reports when it holds more than OUTPUT_NOTICE_BYTES, and again until it holds less; what
 * clients hold below that is not counted. So their memory is at most
 *
 *   maxBytes + clients * OUTPUT_NOTICE_BYTES + what is written between two reports
 */

import { assert } from "../base/assert.ts";

/** What a client may hold unnoticed. */
export const OUTPUT_NOTICE_BYTES = 64 * 1024;

/** A client that holds much. */
export interface OutputHolder {
  /** What it holds now; less than it reported when the socket took some since. */
  readonly heldBytes: number;
  /** Ends it at once and forgets what it holds; it then reports 0. */
  closeFor(limit: string): void;
}

export class OutputBudget {
  maxBytes: number;
  readonly #limit: string;
  #totalBytes = 0;
  readonly #holders = new Map<OutputHolder, number>();

  /** @param limit what the config calls `maxBytes` */
  constructor(limit: string, maxBytes: number) {
    this.#limit = limit;
    this.maxBytes = maxBytes;
  }

  /** As reported. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** `holder` now holds `bytes`. While all together are over the limit, closes who holds most. */
  report(holder: OutputHolder, bytes: number): void {
    this.#set(holder, bytes);
    if (this.#totalBytes > this.maxBytes) this.#refresh();
    while (this.#totalBytes > this.maxBytes) this.#largest().closeFor(this.#limit);
  }

  #set(holder: OutputHolder, bytes: number): void {
    this.#totalBytes += bytes - (this.#holders.get(holder) ?? 0);
    if (bytes === 0) this.#holders.delete(holder);
    else this.#holders.set(holder, bytes);
  }

  /** Sockets take bytes without a report. */
  #refresh(): void {
    for (const holder of this.#holders.keys()) this.#set(holder, holder.heldBytes);
  }

  #largest(): OutputHolder {
    let largest: OutputHolder | undefined;
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
