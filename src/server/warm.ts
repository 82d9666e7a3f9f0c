/**
 * Pure: finds the keys of requests that are about to be executed, so that the key space can have
 * the memory they lie in brought to the processor's cache all at once. A lookup among millions of
 * keys is two or three waits for memory, one after the other; for a window of pipelined requests
 * those waits overlap: about half the time of a lookup (test/bench/warm.ts).
 *
 * The same for the keys of one request that has several.
 *
 * A hint only: what looks unusual ends the window, and nothing depends on it being right.
 */

/** Requests looked at together: as many waits as the processor can have under way, and some. */
export const WARM_WINDOW = 32;
/** A longer key is no longer a matter of one wait. */
const KEY_BYTES_MAX = 512;
/** With fewer bytes than this behind a request, there is too little to overlap with. */
export const WARM_BYTES_MIN = 32;

const STAR = 0x2a;
const DOLLAR = 0x24;
const CR = 0x0d;
const ZERO = 0x30;

/** The keys of a window: key i is buf[from[i], to[i]). */
export interface WarmKeys {
  buf: Buffer;
  readonly from: Int32Array;
  readonly to: Int32Array;
  count: number;
}

/**
 * The key of a request with a name so long is argument 2. Of other commands only SLOTSMGRTONE-ASYNC
 * has such a name, and is rare.
 */
const RESTORE_NAME_BYTES = "SLOTSRESTORE-ASYNC".length;

export function createWarmKeys(): WarmKeys {
  return {
    buf: Buffer.alloc(0),
    from: new Int32Array(WARM_WINDOW),
    to: new Int32Array(WARM_WINDOW),
    count: 0,
  };
}

/** Where the line that `readLength` read ends. */
let lineEnd = 0;

/** The number in a line `<type>123\r\n` at `at`, -1 when it is none or not whole. */
function readLength(buf: Buffer, at: number, limit: number, type: number): number {
  if (at + 4 > limit || buf[at] !== type) return -1;
  let value = 0;
  for (let i = at + 1; i + 1 < limit; i++) {
    const digit = buf[i]! - ZERO;
    if (digit >= 0 && digit <= 9 && value < 1e8) {
      value = value * 10 + digit;
    } else {
      lineEnd = i + 2;
      return buf[i] === CR && i > at + 1 ? value : -1;
    }
  }
  return -1;
}

/**
 * Notes argument 1 of up to WARM_WINDOW requests in buf[at, limit), of those of a migration link
 * argument 2. Nothing depends on its being a key.
 */
export function findKeysAhead(keys: WarmKeys, buf: Buffer, at: number, limit: number): void {
  keys.buf = buf;
  let count = 0;
  let next = at;
  for (let seen = 0; seen < WARM_WINDOW && next < limit; seen++) {
    const argc = readLength(buf, next, limit, STAR);
    if (argc < 1) break;
    next = lineEnd;
    let key = 1;
    for (let i = 0; i < argc; i++) {
      const length = readLength(buf, next, limit, DOLLAR);
      if (length < 0) {
        next = limit;
        break;
      }
      next = lineEnd + length + 2;
      if (i === 0 && length === RESTORE_NAME_BYTES) key = 2;
      if (i !== key || length > KEY_BYTES_MAX || next > limit) continue;
      keys.from[count] = lineEnd;
      keys.to[count++] = lineEnd + length;
    }
  }
  keys.count = count;
}

/**
 * Notes arguments `first`, `first + step`, ... of one request, up to WARM_WINDOW of them.
 * @param args where argument i starts and ends, at 2i and 2i + 1
 * @returns how many
 */
export function takeKeysOf(
  keys: WarmKeys,
  buf: Buffer,
  args: Int32Array,
  argc: number,
  first: number,
  step: number,
): number {
  keys.buf = buf;
  let count = 0;
  for (let i = first; i < argc && count < WARM_WINDOW; i += step) {
    keys.from[count] = args[2 * i]!;
    keys.to[count++] = args[2 * i + 1]!;
  }
  keys.count = count;
  return count;
}
