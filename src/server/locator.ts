/**
 * From key bytes to the place where a key lives: its slot, its hash within the slot, its tag.
 *
 * Keys of a window of requests can be located ahead (`locateAll`); `locate` then takes what is
 * known. A buffer that was given never changes its bytes (resp/decoder.ts), so what is known stays
 * right.
 */

import { crc32, hashTag, slotOfCrc, tagEnd, tagStart } from "../slots/hash.ts";
import { WARM_WINDOW, type WarmKeys } from "./warm.ts";

/** Keys of one slot share these low bits of their CRC. */
const SLOT_BITS = 10;

/** The slot of a key without a tag, from its hash. */
export function slotOfHash(hash: number): number {
  return hash >>> (32 - SLOT_BITS);
}

export class Locator {
  /** About the key that was located last. */
  slot = 0;
  /** CRC32 of the whole key, int32, rotated so that its bits below those of the slot come first. */
  hash = 0;
  /** CRC32 of the tag, or of all of a key without one; int32. */
  tagCrc = 0;
  isTagged = false;

  /** The same about keys that were located ahead, and which of them is expected next. */
  #buf: Buffer | undefined;
  #next = 0;
  readonly #from = new Int32Array(WARM_WINDOW);
  readonly #to = new Int32Array(WARM_WINDOW);
  readonly #hashes = new Int32Array(WARM_WINDOW);
  readonly #tagCrcs = new Int32Array(WARM_WINDOW);
  readonly #areTagged = new Uint8Array(WARM_WINDOW);

  /** Finds out about the key [from, to). */
  locate(key: Buffer, from: number, to: number): void {
    if (this.#buf === key && this.#take(from, to)) return;
    const isTagged = hashTag(key, from, to);
    const crc = crc32(key, tagStart, tagEnd) | 0;
    const whole = isTagged ? crc32(key, from, to) | 0 : crc;
    this.isTagged = isTagged;
    this.tagCrc = crc;
    this.slot = slotOfCrc(crc);
    this.hash = (whole >>> SLOT_BITS) | (whole << (32 - SLOT_BITS));
  }

  /** Commands look up keys in the order of their requests, some of them more than once. */
  #take(from: number, to: number): boolean {
    let i = this.#next;
    if (this.#from[i] !== from && ++i < WARM_WINDOW && this.#from[i] !== from) return false;
    if (i === WARM_WINDOW || this.#to[i] !== to) return false;
    this.#next = i;
    this.tagCrc = this.#tagCrcs[i]!;
    this.slot = slotOfCrc(this.tagCrc);
    this.hash = this.#hashes[i]!;
    this.isTagged = this.#areTagged[i] === 1;
    return true;
  }

  /** Locates keys that are about to be looked up. */
  locateAll({ buf, from, to, count }: WarmKeys): void {
    this.#buf = undefined;
    for (let i = 0; i < count; i++) {
      this.locate(buf, from[i]!, to[i]!);
      this.#from[i] = from[i]!;
      this.#to[i] = to[i]!;
      this.#hashes[i] = this.hash;
      this.#tagCrcs[i] = this.tagCrc;
      this.#areTagged[i] = this.isTagged ? 1 : 0;
    }
    // A window that is not full ends with positions no key has.
    this.#from.fill(-1, count);
    this.#buf = buf;
    this.#next = 0;
  }

  /** Slot and hash of the key number `i` of `locateAll`. */
  slotAhead(i: number): number {
    return slotOfCrc(this.#tagCrcs[i]!);
  }

  hashAhead(i: number): number {
    return this.#hashes[i]!;
  }
}
