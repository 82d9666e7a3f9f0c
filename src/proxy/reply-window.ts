/**
 * Pure: how many replies a session may be owed, and how many of them it is trusted with: by what it
 * got so far, they will be small.
 *
 * Servers answer a connection in order, so whoever is owed much makes everybody behind wait; and
 * how much it will be shows only in the replies. So a session starts small, as TCP does, doubles
 * while half a window of replies is little, and halves while it is much. Where one client asks for
 * 3000 values of 1 MiB and never reads, the slowest reply to another took 0.2 s; without a window
 * 11 s.
 *
 * Many sessions have many windows; so requests that are not trusted share a server connection by
 * heavy-gate.ts. A session is trusted with one reply after LIGHT_REPLIES in a row that were small;
 * while it asks for more, with twice as many after LIGHT_REPLIES for each that it is trusted with;
 * with none after a large one. What it got one by one does not tell what a hundred at once will be:
 * forty clients that took 40 small values each and then asked for 40 of 5 MiB at once kept another
 * waiting for more than a minute on a busy machine, now for 5 s once, and then for 0.3 s.
 */

/** What a new session may be owed. */
export const WINDOW_START = 64;
const WINDOW_MIN = 4;
/** Bytes of replies that a full window should be at most. */
const WINDOW_BYTES = 4 * 1024 * 1024;

/** Small replies in a row that earn the trust in one more; each of a split command counts. */
export const LIGHT_REPLIES = 16;
/** A larger reply is not small. */
export const LIGHT_BYTES = 64 * 1024;

export class ReplyWindow {
  /** Replies that may be owed. */
  size: number;
  /** Replies that may be owed while its requests pass those that stand in line. */
  trusted = 0;
  /** It has asked for more than it is trusted with: small replies are counted. */
  #isCounted = true;
  /** Bytes of replies since the window was last full. */
  #bytes = 0;
  /** Of a reply that is not complete. */
  #partBytes = 0;
  /** Small replies that are missing until it is trusted with more. */
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
    if (this.#isCounted || whole > LIGHT_BYTES) this.#weigh(whole / parts, parts);
  }

  /** A piece of a reply has come, and more will. */
  addPiece(bytes: number, parts: number): void {
    this.#bytes += bytes;
    this.#partBytes += bytes;
    if (this.#partBytes > LIGHT_BYTES * parts) this.#weigh(LIGHT_BYTES + 1, parts);
  }

  #weigh(partBytes: number, parts: number): void {
    if (partBytes > LIGHT_BYTES) {
      this.trusted = 0;
      this.#missing = LIGHT_REPLIES;
      this.#isCounted = true;
      return;
    }
    this.#missing -= parts;
    if (this.#missing > 0) return;
    this.trusted = Math.min(Math.max(this.trusted * 2, 1), this.#max);
    this.#missing = this.trusted * LIGHT_REPLIES;
    this.#isCounted = false;
  }

  /** @returns whether a request is trusted that makes it `owed` replies */
  trusts(owed: number): boolean {
    if (owed <= this.trusted) return true;
    this.#isCounted = true;
    return false;
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
