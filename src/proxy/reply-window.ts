/**
 * Pure: how many replies a session may be owed. Servers answer a connection in order, so whoever is
 * owed much makes everybody behind wait; and how much it will be shows only in the replies. So a
 * session starts small, as TCP does, doubles while half a window of replies is little, and halves
 * while it is much. Where one client asks for 3000 values of 1 MiB and never reads, the slowest
 * reply to another took 0.2 s; without a window 11 s.
 */

/** What a new session may be owed. */
export const WINDOW_START = 64;
const WINDOW_MIN = 4;
/** Bytes of replies that a full window should be at most. */
const WINDOW_BYTES = 4 * 1024 * 1024;

export class ReplyWindow {
  /** Replies that may be owed. */
  size: number;
  /** Bytes of replies since the window was last full; its session adds them. */
  bytes = 0;
  readonly #max: number;

  /** @param max the largest size ever */
  constructor(max: number) {
    this.#max = max;
    this.size = Math.min(WINDOW_START, max);
  }

  /** As many as may be owed are: the session waits until `reopens`. */
  fill(): void {
    this.bytes = 0;
  }

  /** @returns whether `length` replies, which are still owed, are half a window; it then changes */
  reopens(length: number): boolean {
    if (length !== this.size >> 1) return false;
    const isMuch = this.bytes > WINDOW_BYTES / 2;
    this.size = Math.min(isMuch ? Math.max(this.size >> 1, WINDOW_MIN) : this.size * 2, this.#max);
    return true;
  }
}
