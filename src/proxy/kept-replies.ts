/**
 * Pure: where the replies of one session lie that came before their turn. Small ones share a buffer
 * of the pool, which goes back when none is left; what does not fit lies on its own.
 */

import { giveBuffer, takeBuffer } from "../base/buffer-pool.ts";
import { copyBytes } from "../base/bytes.ts";
import { gatherReply, type Request } from "./request.ts";

const SHARED_BYTES = 16 * 1024;

export class KeptReplies {
  #shared: Buffer | undefined;
  #length = 0;

  /** Copies buf[from, to), the whole reply of `request`, to request.reply[replyFrom, replyTo). */
  keep(request: Request, buf: Buffer, from: number, to: number): void {
    if (this.#length + to - from > SHARED_BYTES) {
      gatherReply(request, buf, from, to);
      return;
    }
    let shared = this.#shared;
    if (shared === undefined) {
      shared = takeBuffer(SHARED_BYTES);
      this.#shared = shared;
    }
    copyBytes(buf, from, to, shared, this.#length);
    request.reply = shared;
    request.replyFrom = this.#length;
    this.#length += to - from;
    request.replyTo = this.#length;
  }

  /** No request needs what is kept any more. */
  release(): void {
    this.#length = 0;
    if (this.#shared === undefined) return;
    giveBuffer(this.#shared);
    this.#shared = undefined;
  }
}
