/**
 * Keeps what the sockets leave behind from piling up. Bun hands over every received chunk in a
 * buffer of its own; the collector counts the arena as part of the heap and lets garbage grow in
 * proportion to it, so a server with a gigabyte of keys would carry hundreds of megabytes of old
 * requests. Large chunks are therefore freed at once, and after so many bytes of small ones the
 * collector is asked to run beside the loop: keys are not objects, so there is little to look at.
 */

/** A chunk of at least this many bytes is freed by itself: cheaper than collecting it. */
const FREED_BYTES_MIN = 16 * 1024;
/** What a chunk's objects take besides its bytes. */
const CHUNK_OBJECT_BYTES = 256;
/** The collector runs when this much may have piled up. */
const GARBAGE_BYTES_MAX = 12 * 1024 * 1024;

export class Garbage {
  #bytes = 0;

  /**
   * A received chunk of which nothing is needed any more.
   * @param isLastUse nobody has a reference to it, not even for a request that is not finished
   */
  add(chunk: Buffer, isLastUse: boolean): void {
    if (isLastUse && chunk.length >= FREED_BYTES_MIN && chunk.length === chunk.buffer.byteLength) {
      (chunk.buffer as ArrayBuffer).transfer(0);
    } else {
      this.#bytes += chunk.length + CHUNK_OBJECT_BYTES;
    }
  }

  /** Called some ten times a second. */
  collectIfDue(): void {
    if (this.#bytes < GARBAGE_BYTES_MAX) return;
    this.#bytes = 0;
    Bun.gc(false);
  }
}
