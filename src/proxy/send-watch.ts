/** Pure: the clock of a write timeout: how long a peer has taken nothing of what waits for it. */
export class SendWatch {
  /** When what waits last got less, or was nothing. */
  #sinceMs: number;
  #backlogBytes = 0;

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  /** A new connection. */
  restart(nowMs: number): void {
    this.#sinceMs = nowMs;
  }

  /**
   * Looks at the clock; called a few times a second.
   * @param backlogBytes what waits now
   * @param timeoutMs 0 for none
   */
  isOverdue(backlogBytes: number, nowMs: number, timeoutMs: number): boolean {
    if (this.#backlogBytes === 0 || backlogBytes < this.#backlogBytes) this.#sinceMs = nowMs;
    this.#backlogBytes = backlogBytes;
    return timeoutMs > 0 && backlogBytes > 0 && nowMs - this.#sinceMs > timeoutMs;
  }
}
