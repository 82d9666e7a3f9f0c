/**
 * Pure: for whose sake a server is not read, and for how long. A client that is behind may have its
 * backends wait for it, at no cost while nobody else waits for them; while others do, or for a
 * slot's requests to be answered, for HOLD_BURST_MS at once and HOLD_SHARE of the time.
 */

import type { HeavyGate, HeavyWaiter } from "./heavy-gate.ts";
import type { Request, RequestOwner } from "./request.ts";
import { BLOCKED } from "./slot.ts";

/** How long clients that are behind may keep the others waiting, at once ... */
export const HOLD_BURST_MS = 100;
/** ... and over time, as a share of it. */
const HOLD_SHARE = 0.05;

export class Hold {
  readonly #holders = new Set<RequestOwner>();
  /** How long it may still last while others wait. */
  #leftMs = HOLD_BURST_MS;

  /** The server is not to be read. */
  get isOn(): boolean {
    return this.#holders.size > 0;
  }

  /** @returns whether the hold begins with this one */
  add(owner: RequestOwner): boolean {
    if (this.#leftMs <= 0) return false;
    this.#holders.add(owner);
    return this.#holders.size === 1;
  }

  /** @returns whether the hold ends with this one */
  remove(owner: RequestOwner): boolean {
    return this.#holders.delete(owner) && this.#holders.size === 0;
  }

  /**
   * Time has passed: while others wait too, being held uses up what is granted, else it comes back.
   * @param head the backend's queue
   * @param gate before which others may wait too
   * @returns whether the hold ends because nothing is left
   */
  pass(ms: number, head: Request | undefined, gate: HeavyGate): boolean {
    if (this.#holders.size === 0) {
      this.#leftMs = Math.min(HOLD_BURST_MS, this.#leftMs + ms * HOLD_SHARE);
      return false;
    }
    if (!this.#hasOthers(head) && !gate.waiters.some(this.#isOther)) return false;
    this.#leftMs -= ms;
    if (this.#leftMs > 0) return false;
    this.#holders.clear();
    return true;
  }

  readonly #isOther = ({ client }: HeavyWaiter): boolean => !this.#holders.has(client);

  #hasOthers(head: Request | undefined): boolean {
    for (let request = head; request !== undefined; request = request.behind) {
      if (request.owner !== undefined && !this.#holders.has(request.owner)) return true;
      if (request.slot?.mode === BLOCKED) return true;
    }
    return false;
  }
}
