/**
 * Pure: the 80-bit floating point of x86 that INCRBYFLOAT and HINCRBYFLOAT count in. With doubles
 * 10.5 + 0.1 would be answered as 10.59999999999999964 where Redis says 10.6.
 *
 * A finite number is `mantissa * 2^exponent`, |mantissa| < 2^64, rounded half to even after reading
 * and after adding; printed as `%.17f` without trailing zeros.
 * Source: redis 7.0 src/util.c `string2ld`, `ld2string` (LD_STR_HUMAN).
 */

import { assert } from "../base/assert.ts";

export type LongDouble =
  | { readonly mantissa: bigint; readonly exponent: number }
  | { readonly infinite: 1 | -1 };

/** Longest text that is read at all, as in Redis. */
export const LONG_DOUBLE_BYTES_MAX = 5 * 1024 - 1;

const MANTISSA_BITS = 64;
/** 2^16384 and above is infinite; below half of 2^-16445 is zero. */
const EXPONENT_MAX = 16384;
const EXPONENT_MIN = -16446;
/** Decimal exponents beyond this are out of range whatever the digits (5 KiB of them at most). */
const DECIMAL_EXPONENT_MAX = 12_000;
const FRACTION_DIGITS = 17;

const DECIMAL = /^([+-]?)(?:(\d+)\.?(\d*)|\.(\d+))(?:e([+-]?\d+))?$/i;
const HEXADECIMAL = /^([+-]?)0x(?:([\da-f]+)\.?([\da-f]*)|\.([\da-f]+))(?:p([+-]?\d+))?$/i;
const SPECIAL = /^([+-]?)inf(?:inity)?$/i;

/** The number written in `buf[from, to)`; undefined where Redis says it is no valid float. */
export function parseLongDouble(buf: Buffer, from: number, to: number): LongDouble | undefined {
  if (to - from > LONG_DOUBLE_BYTES_MAX) return undefined;
  const text = buf.toString("latin1", from, to);
  const decimal = DECIMAL.exec(text);
  if (decimal !== null) return parseDecimal(decimal);
  const hexadecimal = HEXADECIMAL.exec(text);
  if (hexadecimal !== null) return parseHexadecimal(hexadecimal);
  const special = SPECIAL.exec(text);
  return special === null ? undefined : { infinite: special[1] === "-" ? -1 : 1 };
}

function parseDecimal(parts: RegExpExecArray): LongDouble | undefined {
  const fraction = parts[3] ?? parts[4] ?? "";
  const digits = BigInt(`0${parts[2] ?? ""}${fraction}`);
  if (digits === 0n) return { mantissa: 0n, exponent: 0 };
  const exponent = Number(parts[5] ?? "0") - fraction.length;
  if (Math.abs(exponent) > DECIMAL_EXPONENT_MAX) return undefined;
  const signed = parts[1] === "-" ? -digits : digits;
  if (exponent >= 0) return inRange(round(signed * 10n ** BigInt(exponent), 0));
  const divisor = 10n ** BigInt(-exponent);
  // Enough bits for the mantissa, one to round by, and one that says whether anything is behind.
  const shift = Math.max(0, MANTISSA_BITS + 2 + bitLength(divisor) - bitLength(digits));
  const scaled = signed << BigInt(shift);
  const quotient = scaled / divisor;
  const sticky = quotient * divisor === scaled ? 0n : 1n;
  return inRange(round(quotient * 2n + (quotient < 0n ? -sticky : sticky), -shift - 1));
}

function parseHexadecimal(parts: RegExpExecArray): LongDouble | undefined {
  const fraction = parts[3] ?? parts[4] ?? "";
  const digits = BigInt(`0x0${parts[2] ?? ""}${fraction}`);
  if (digits === 0n) return { mantissa: 0n, exponent: 0 };
  const exponent = Number(parts[5] ?? "0") - 4 * fraction.length;
  return inRange(round(parts[1] === "-" ? -digits : digits, exponent));
}

/** What is read must neither overflow nor vanish. */
function inRange(value: LongDouble): LongDouble | undefined {
  if (isInfinite(value)) return undefined;
  return value.mantissa === 0n ? undefined : value;
}

/** `mantissa * 2^exponent` with at most 64 bits, half to even. */
function round(mantissa: bigint, exponent: number): LongDouble {
  const negative = mantissa < 0n;
  let size = negative ? -mantissa : mantissa;
  let power = exponent;
  const excess = bitLength(size) - MANTISSA_BITS;
  if (excess > 0) {
    const kept = size >> BigInt(excess);
    const rest = size - (kept << BigInt(excess));
    const half = 1n << BigInt(excess - 1);
    const up = rest > half || (rest === half && (kept & 1n) === 1n);
    size = up ? kept + 1n : kept;
    power += excess;
  }
  if (size !== 0n && bitLength(size) + power > EXPONENT_MAX) {
    return { infinite: negative ? -1 : 1 };
  }
  if (size === 0n || bitLength(size) + power < EXPONENT_MIN) return { mantissa: 0n, exponent: 0 };
  return { mantissa: negative ? -size : size, exponent: power };
}

/** Whether `value` is an infinity. */
export function isInfinite(value: LongDouble): value is { readonly infinite: 1 | -1 } {
  return "infinite" in value;
}

/** The rounded sum; undefined for infinity minus infinity. */
export function addLongDoubles(a: LongDouble, b: LongDouble): LongDouble | undefined {
  if (isInfinite(a)) return isInfinite(b) && a.infinite !== b.infinite ? undefined : a;
  if (isInfinite(b)) return b;
  if (a.mantissa === 0n) return b;
  if (b.mantissa === 0n) return a;
  const exponent = Math.min(a.exponent, b.exponent);
  const left = a.mantissa << BigInt(a.exponent - exponent);
  const right = b.mantissa << BigInt(b.exponent - exponent);
  return round(left + right, exponent);
}

/** `value` (finite) as `%.17f` without trailing zeros. */
export function formatLongDouble(value: LongDouble): string {
  assert(!isInfinite(value), "only finite numbers are printed");
  const negative = value.mantissa < 0n;
  const size = negative ? -value.mantissa : value.mantissa;
  const scaled = scaleToDigits(size, value.exponent);
  if (scaled === 0n) return "0";
  const digits = scaled.toString().padStart(FRACTION_DIGITS + 1, "0");
  const whole = digits.slice(0, -FRACTION_DIGITS);
  const fraction = digits.slice(-FRACTION_DIGITS).replace(/0+$/, "");
  const text = fraction === "" ? whole : `${whole}.${fraction}`;
  return negative ? `-${text}` : text;
}

/** `size * 2^exponent * 10^17` as the nearest integer, half to even. */
function scaleToDigits(size: bigint, exponent: number): bigint {
  const scaled = size * 10n ** BigInt(FRACTION_DIGITS);
  if (exponent >= 0) return scaled << BigInt(exponent);
  const shift = BigInt(-exponent);
  const kept = scaled >> shift;
  const rest = scaled - (kept << shift);
  const half = 1n << (shift - 1n);
  return rest > half || (rest === half && (kept & 1n) === 1n) ? kept + 1n : kept;
}

function bitLength(value: bigint): number {
  const size = value < 0n ? -value : value;
  return size === 0n ? 0 : size.toString(2).length;
}
