/**
 * Pure: 64-bit integers as two words, between their decimal text and memory: members of sets are
 * often ids that a double cannot hold, and a bigint would be an allocation each.
 *
 *   value = high * 2^32 + (low >>> 0), both int32
 */

import { parseSafeInteger, writeInteger } from "../../base/bytes.ts";

export interface Int64 {
  high: number;
  low: number;
}

/** The longest text: 19 digits and a sign. */
export const INT64_TEXT_BYTES = 20;

const TWO_32 = 2 ** 32;
const BILLION = 1_000_000_000;
const BILLION_DIGITS = 9;
const DIGITS_MAX = 19;
const MINUS = 0x2d;
const ZERO = 0x30;

/**
 * Reads `buf[from, to)` when it is a canonical int64, as `parseInt64` of base/bytes.ts takes it.
 * @returns whether it is; `into` is spoilt when not
 */
export function readInt64(buf: Buffer, from: number, to: number, into: Int64): boolean {
  const small = parseSafeInteger(buf, from, to);
  if (!Number.isNaN(small)) {
    into.high = Math.floor(small / TWO_32);
    into.low = small | 0;
    return true;
  }
  const isNegative = from < to && buf[from] === MINUS;
  const first = isNegative ? from + 1 : from;
  const digits = to - first;
  if (digits <= BILLION_DIGITS || digits > DIGITS_MAX || buf[first] === ZERO) return false;
  const billions = readDigits(buf, first, to - BILLION_DIGITS);
  const rest = readDigits(buf, to - BILLION_DIGITS, to);
  if (Number.isNaN(billions + rest)) return false;
  return compose(billions, rest, isNegative, into);
}

/** Up to 10 digits; NaN when there is something else. */
function readDigits(buf: Buffer, from: number, to: number): number {
  let value = 0;
  for (let i = from; i < to; i++) {
    const digit = buf[i]! - ZERO;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

/** The words of `billions` * 10^9 + `rest`, or of its negative. False when they are not enough. */
function compose(billions: number, rest: number, isNegative: boolean, into: Int64): boolean {
  // In pieces of 16 bits, so that no product is beyond what a double holds.
  const lowPart = (billions % 65536) * BILLION + rest;
  const highPart = Math.floor(billions / 65536) * BILLION;
  const lower = (highPart % 65536) * 65536 + lowPart;
  const high = Math.floor(highPart / 65536) + Math.floor(lower / TWO_32);
  const low = lower | 0;
  const isLeast = isNegative && high === 2 ** 31 && low === 0;
  if (high >= 2 ** 31 && !isLeast) return false;
  into.high = isNegative ? negatedHigh(high, low) : high;
  into.low = isNegative ? -low | 0 : low;
  return true;
}

function negatedHigh(high: number, low: number): number {
  return (~high + (low === 0 ? 1 : 0)) | 0;
}

/**
 * Writes the decimal text of an int64 at dst[at..], which has room for INT64_TEXT_BYTES.
 * @returns the index after it
 */
export function writeInt64(value: Int64, dst: Buffer, at: number): number {
  const small = value.high * TWO_32 + (value.low >>> 0);
  if (Number.isSafeInteger(small)) return writeInteger(small, dst, at);
  if (value.high >= 0) return writeLarge(value.high, value.low >>> 0, dst, at);
  dst[at] = MINUS;
  // Unsigned: the least int64 has no positive twin.
  const high = negatedHigh(value.high, value.low) >>> 0;
  return writeLarge(high, -value.low >>> 0, dst, at + 1);
}

/** @param high 0 .. 2^31 @param low 0 .. 2^32 - 1; together at least 2^53 - 1 */
function writeLarge(high: number, low: number, dst: Buffer, at: number): number {
  const middle = (high % BILLION) * 65536 + (low >>> 16);
  const last = (middle % BILLION) * 65536 + (low & 0xffff);
  const billions =
    Math.floor(high / BILLION) * TWO_32 +
    Math.floor(middle / BILLION) * 65536 +
    Math.floor(last / BILLION);
  const start = writeInteger(billions, dst, at);
  const end = start + BILLION_DIGITS;
  let rest = last % BILLION;
  for (let i = end - 1; i >= start; i--) {
    dst[i] = ZERO + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  return end;
}
