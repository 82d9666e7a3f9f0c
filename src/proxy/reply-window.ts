/**
 * Pure: how many replies a session may be owed, and whether it is light: known to ask for little.
 *
 * Servers answer a connection in order, so whoever is owed much makes everybody behind wait; and
 * how much it will be shows only in the replies. So a session starts small, as TCP does, doubles
 * while half a window of replies is little, and halves while it is much. Where one client asks for
 * 3000 values of 1 MiB and never reads, the slowest reply to another took 0.2 s; without a window
 * 11 s.
 *
 * Many sessions have many windows; so those that are not light share a server connection by
 * heavy-gate.ts. A session is light after LIGHT_REPLIES replies in a row that were small, until one
 * is large.
 */

/** What a new session may be owed. */
export const WINDOW_START = 64;
const WINDOW_MIN = 4;
/** Bytes of replies that a full window should be at most. */
const WINDOW_BYTES = 4 * 1024 * 1024;

/** Small replies in a row that make a session light; each of a split command counts. */
export const LIGHT_REPLIES = 16;
/** A larger reply is not small. */
export const LIGHT_BYTES = 64 * 1024;

export class ReplyWindow {
  /** Replies that may be owed. */
  size: number;
  isLight = false;
  /** Bytes of replies since the window was last full. */
  #bytes = 0;
  /** Of a reply that is not complete. */
  #partBytes = 0;
  /** Small replies that are missing until the session is light. */
  #missing = LIGHT_REPLIES;
  readonly #max: number;

  /** @param max the largest size ever */
  constructor(max: number) {
    this.#max = max;
    this.size = Math.min(WINDOW_START, max);
  }

  /** A reply has come, or its last piece; it is that of so many `parts`. */
  add(bytes: number, parts: number): void {
    const whole = this.#partBytes + bytes;
    this.#bytes += bytes;
    this.#partBytes = 0;
    if (!this.isLight || whole > LIGHT_BYTES) this.#weigh(whole / parts, parts);
  }

  /** A piece of a reply has come, and more will. */
  addPiece(bytes: number, parts: number): void {
    this.#bytes += bytes;
    this.#partBytes += bytes;
    if (this.#partBytes > LIGHT_BYTES * parts) this.#weigh(LIGHT_BYTES + 1, parts);
  }

  #weigh(partBytes: number, parts: number): void {
    if (partBytes > LIGHT_BYTES) {
      this.isLight = false;
      this.#missing = LIGHT_REPLIES;
      return;
    }
    this.#missing -= parts;
    if (this.#missing <= 0) this.isLight = true;
  }

  /** As many as may be owed are: the session waits until `reopens`. */
  fill(): void {
    this.#bytes = 0;
  }

  /** @returns whether `length` replies, which are still owed, are half a window; it then changes */
  reopens(length: number): boolean {
    if (length !== this.size >> 1) return false;
    const isMuch = this.#bytes > WINDOW_BYTES / 2;
    this.size = Math.min(isMuch ? Math.max(this.size >> 1, WINDOW_MIN) : this.size * 2, this.#max);
    return true;
  }
}
