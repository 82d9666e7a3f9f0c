/**
 * Byte ranges in place: copy, compare, integers as decimal text. Nothing here allocates, except
 * `parseInt64` for its bigint. A range is [from, to) of a Buffer; callers pass valid ranges.
 *
 * Short ranges are handled by byte loops because a call into the runtime costs about 12 ns: copies
 * of less than 16 bytes and comparisons of up to 32 are quicker so.
 */

const COPY_LOOP_BYTES = 16;
const COMPARE_LOOP_BYTES = 32;

const PLUS = 0x2b;
const MINUS = 0x2d;
const ZERO = 0x30;

/** 10 ** 15: every number of up to 15 digits, and every step towards it, is exact in a double. */
const SAFE_DIGITS = 15;
const SAFE_INTEGER_DIGITS = 16;
const INT64_DIGITS = 19;
export const INT64_MIN: bigint = -(2n ** 63n);
export const INT64_MAX: bigint = 2n ** 63n - 1n;

export const EMPTY_BYTES: Buffer = Buffer.alloc(0);

/**
 * Copies src[from, to) to dst at `at`; dst must have room. Ranges of one buffer must not overlap.
 */
export function copyBytes(src: Buffer, from: number, to: number, dst: Buffer, at: number): void {
  if (to - from < COPY_LOOP_BYTES) {
    for (let i = from, j = at; i < to; i++, j++) dst[j] = src[i]!;
  } else {
    src.copy(dst, at, from, to);
  }
}

/** Whether two ranges hold the same bytes. */
export function equalBytes(
  a: Buffer,
  aFrom: number,
  aTo: number,
  b: Buffer,
  bFrom: number,
  bTo: number,
): boolean {
  const length = aTo - aFrom;
  if (length !== bTo - bFrom) return false;
  if (length > COMPARE_LOOP_BYTES) return a.compare(b, bFrom, bTo, aFrom, aTo) === 0;
  for (let i = 0; i < length; i++) {
    if (a[aFrom + i] !== b[bFrom + i]) return false;
  }
  return true;
}

/** Whether buf[from, to) is `lower` (ASCII, lower case) when ASCII case is ignored. */
export function equalFold(buf: Buffer, from: number, to: number, lower: string): boolean {
  if (to - from !== lower.length) return false;
  for (let i = 0; i < lower.length; i++) {
    if (lowerByte(buf[from + i]!) !== lower.charCodeAt(i)) return false;
  }
  return true;
}

/** `A`..`Z` to `a`..`z`, every other byte as it is. */
export function lowerByte(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}

/** Negative, 0 or positive, as memcmp orders the ranges; a prefix comes before what it starts. */
export function compareBytes(
  a: Buffer,
  aFrom: number,
  aTo: number,
  b: Buffer,
  bFrom: number,
  bTo: number,
): number {
  const aLength = aTo - aFrom;
  const bLength = bTo - bFrom;
  const common = Math.min(aLength, bLength);
  if (common > COMPARE_LOOP_BYTES) return a.compare(b, bFrom, bTo, aFrom, aTo);
  for (let i = 0; i < common; i++) {
    const difference = a[aFrom + i]! - b[bFrom + i]!;
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}

/** Index of the first `byte` in buf[from, to), or -1. A loop: never looks beyond `to`. */
export function indexOfByte(buf: Buffer, byte: number, from: number, to: number): number {
  for (let i = from; i < to; i++) {
    if (buf[i] === byte) return i;
  }
  return -1;
}

/**
 * The integer written in buf[from, to), which must be canonical: an optional `-`, no `+`, no
 * blanks, no leading zeros, no `-0`. Source: Redis 7.0 util.c `string2ll`.
 * @returns NaN when it is anything else or beyond ±(2^53 - 1); for those ask `parseInt64`
 */
export function parseSafeInteger(buf: Buffer, from: number, to: number): number {
  const isNegative = from < to && buf[from] === MINUS;
  const first = isNegative ? from + 1 : from;
  const digits = to - first;
  if (digits < 1 || digits > SAFE_INTEGER_DIGITS) return Number.NaN;
  if (buf[first] === ZERO) return digits === 1 && !isNegative ? 0 : Number.NaN;
  let value = 0;
  for (let i = first; i < to; i++) {
    const digit = buf[i]! - ZERO;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  if (digits > SAFE_DIGITS && value > Number.MAX_SAFE_INTEGER) return Number.NaN;
  return isNegative ? -value : value;
}

/**
 * Like `parseSafeInteger`, for all of int64 (-2^63 .. 2^63 - 1).
 * @returns undefined when the text is not canonical or out of range
 */
export function parseInt64(buf: Buffer, from: number, to: number): bigint | undefined {
  const small = parseSafeInteger(buf, from, to);
  if (!Number.isNaN(small)) return BigInt(small);
  const isNegative = from < to && buf[from] === MINUS;
  const first = isNegative ? from + 1 : from;
  const digits = to - first;
  if (digits < SAFE_INTEGER_DIGITS || digits > INT64_DIGITS || buf[first] === ZERO) {
    return undefined;
  }
  for (let i = first; i < to; i++) {
    const digit = buf[i]! - ZERO;
    if (digit < 0 || digit > 9) return undefined;
  }
  const magnitude = BigInt(buf.latin1Slice(first, to));
  if (magnitude > (isNegative ? INT64_MAX + 1n : INT64_MAX)) return undefined;
  return isNegative ? -magnitude : magnitude;
}

/**
 * An optional sign and decimal digits, as Go's strconv reads them; leading zeros are fine.
 * @returns NaN for anything else; beyond 2^53 some number as large
 */
export function parseLenientInteger(buf: Buffer, from: number, to: number): number {
  const hasSign = from < to && (buf[from] === PLUS || buf[from] === MINUS);
  const first = hasSign ? from + 1 : from;
  if (first === to) return Number.NaN;
  let value = 0;
  for (let i = first; i < to; i++) {
    const digit = buf[i]! - ZERO;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return buf[from] === MINUS ? -value : value;
}

/** How many bytes `writeInteger` writes for `n`, the sign included. `n` is a safe integer. */
export function digitCount(n: number): number {
  let count = n < 0 ? 2 : 1;
  let rest = n < 0 ? -n : n;
  while (rest >= 10) {
    rest = rest < 0x7fffffff ? (rest / 10) | 0 : Math.floor(rest / 10);
    count++;
  }
  return count;
}

/**
 * Writes the safe integer `n` in decimal at dst[at..]; dst must have room (17 bytes are enough).
 * @returns the index after it
 */
export function writeInteger(n: number, dst: Buffer, at: number): number {
  if (n >= 0 && n < 10) {
    dst[at] = ZERO + n;
    return at + 1;
  }
  const end = at + digitCount(n);
  let rest = n;
  if (n < 0) {
    dst[at] = MINUS;
    rest = -n;
  }
  let i = end;
  while (rest > 0x7fffffff) {
    const next = Math.floor(rest / 10);
    dst[--i] = ZERO + (rest - next * 10);
    rest = next;
  }
  do {
    const next = (rest / 10) | 0;
    dst[--i] = ZERO + (rest - next * 10);
    rest = next;
  } while (rest > 0);
  return end;
}

/** What `allocate` makes; undefined when there is no memory for it. */
export function ifMemory<T>(allocate: () => T): T | undefined {
  try {
    return allocate();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
