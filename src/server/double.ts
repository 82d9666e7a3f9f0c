/**
 * Pure: doubles as Redis reads and prints them (sorted set scores, distances).
 *
 * Reading is C's `strtod` over the whole argument: decimal, hexadecimal (`0x1.8p3`), `inf`,
 * `infinity` with sign and in any case. Printing is `%.17g` as Redis 7.0 answers in RESP2
 * (`3.2999999999999998`), and `%.17f` without trailing zeros for coordinates.
 * Source: redis 7.0 src/util.c `string2d`, src/networking.c `addReplyDouble`.
 */

const ZERO = 0x30;
const NINE = 0x39;
const DOT = 0x2e;
const MINUS = 0x2d;

/** More digits than this and the sum of digit values may be inexact. */
const EXACT_DIGITS = 15;

const SPECIAL = /^[+-]?inf(?:inity)?$/i;
const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const HEXADECIMAL = /^([+-]?)0x(?:([\da-f]+)\.?([\da-f]*)|\.([\da-f]+))(?:p([+-]?\d+))?$/i;

/**
 * The double written in `buf[from, to)`, or NaN when that is no number Redis takes: empty, spaces,
 * rest behind it, `nan`, or out of a double's range (to infinity or to zero).
 */
export function parseDouble(buf: Buffer, from: number, to: number): number {
  const length = to - from;
  if (length > 0 && length <= EXACT_DIGITS) {
    const fast = parsePlain(buf, from, to);
    if (!Number.isNaN(fast)) return fast;
  }
  const text = buf.toString("latin1", from, to);
  const value = readNumber(text);
  return isOutOfRange(text, value) ? Number.NaN : value;
}

/**
 * The double that bounds a range of scores: as `parseDouble`, but blanks in front are skipped,
 * nothing is 0, and a number out of range is infinite or 0. Source: redis 7.0 src/t_zset.c
 * `zslParseRange`.
 */
export function parseBound(buf: Buffer, from: number, to: number): number {
  if (from === to) return 0;
  return readNumber(buf.toString("latin1", from, to).replace(/^[ \t\n\v\f\r]+/, ""));
}

/** `-12.5` of at most 15 characters without a regex; NaN for anything else, valid or not. */
function parsePlain(buf: Buffer, from: number, to: number): number {
  const negative = buf[from] === MINUS;
  let value = 0;
  let scale = 0;
  let digits = 0;
  for (let i = negative ? from + 1 : from; i < to; i++) {
    const byte = buf[i]!;
    if (byte >= ZERO && byte <= NINE) {
      value = value * 10 + (byte - ZERO);
      scale *= 10;
      digits++;
    } else if (byte === DOT && scale === 0) {
      scale = 1;
    } else {
      return Number.NaN;
    }
  }
  if (digits === 0) return Number.NaN;
  // Both are exact below 10^15, so one division rounds once, as strtod does.
  const size = scale > 1 ? value / scale : value;
  return negative ? -size : size;
}

/** As strtod reads it; NaN when that is not all of it. */
function readNumber(text: string): number {
  if (DECIMAL.test(text)) return Number(text);
  if (SPECIAL.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  return parseHexadecimal(text);
}

/** `value` is infinite or 0 because what `text` says is too large or too small. */
function isOutOfRange(text: string, value: number): boolean {
  if (Number.isFinite(value) && value !== 0) return false;
  if (SPECIAL.test(text)) return false;
  return !Number.isFinite(value) || /[1-9a-f]/i.test(text.replace(/^[+-]?0x|[ep].*$/gi, ""));
}

function parseHexadecimal(text: string): number {
  const parts = HEXADECIMAL.exec(text);
  if (parts === null) return Number.NaN;
  const fraction = parts[3] ?? parts[4] ?? "";
  const mantissa = BigInt(`0x0${parts[2] ?? ""}${fraction}`);
  const exponent = Number(parts[5] ?? "0") - 4 * fraction.length;
  // In two steps, so that neither power leaves the range before the product does.
  const half = Math.trunc(exponent / 2);
  const value = mantissa === 0n ? 0 : Number(mantissa) * 2 ** half * 2 ** (exponent - half);
  return parts[1] === "-" ? -value : value;
}

/** `value` as `%.17g`; `inf`, `-inf`, `nan`. */
export function formatDouble(value: number): string {
  if (Number.isSafeInteger(value)) return Object.is(value, -0) ? "-0" : String(value);
  if (!Number.isFinite(value)) return formatSpecial(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e17) return BigInt(value).toString();
  const rounded = roundHalfEven(value.toPrecision(17), value, false);
  const mark = rounded.indexOf("e");
  const mantissa = mark < 0 ? rounded : rounded.slice(0, mark);
  const exponent = mark < 0 ? 0 : Number(rounded.slice(mark + 1));
  if (mark < 0) {
    // %g turns to exponents below 1e-4, JavaScript below 1e-6.
    return Math.abs(value) < 1e-4 ? smallToExponent(mantissa) : trimZeros(mantissa);
  }
  return withExponent(trimZeros(mantissa), exponent);
}

/** `value` as `%.17f` without trailing zeros: `13.36138933897018433`, `15`. */
export function formatFixed17(value: number): string {
  if (!Number.isFinite(value)) return formatSpecial(value);
  if (Math.abs(value) >= 1e21) return BigInt(value).toString();
  const text = trimZeros(roundHalfEven(value.toFixed(17), value, true));
  return text === "-0" ? "0" : text;
}

/** `value` as `%.4f`: `166274.1516`. */
export function formatFixed4(value: number): string {
  if (!Number.isFinite(value)) return formatSpecial(value);
  if (Math.abs(value) >= 1e21) return `${BigInt(value)}.0000`;
  return roundHalfEven(value.toFixed(4), value, true);
}

function formatSpecial(value: number): string {
  if (Number.isNaN(value)) return "nan";
  return value > 0 ? "inf" : "-inf";
}

/**
 * JavaScript rounds an exact tie up, C to the even digit: `rounded` is put right where the digits
 * behind it are exactly 5. `fixed`: it came from `toFixed`, not from `toPrecision`.
 */
function roundHalfEven(rounded: string, value: number, fixed: boolean): string {
  const mark = rounded.indexOf("e");
  const last = (mark < 0 ? rounded.length : mark) - 1;
  const digit = rounded.charCodeAt(last) - ZERO;
  if (digit % 2 === 0) return rounded;
  const exact = fixed ? value.toFixed(100) : value.toPrecision(100);
  if (!/^50*(?:e|$)/.test(exact.slice(last + 1))) return rounded;
  return rounded.slice(0, last) + String(digit - 1) + rounded.slice(last + 1);
}

function trimZeros(text: string): string {
  if (!text.includes(".")) return text;
  return text.replace(/\.?0+$/, "");
}

/** `0.0000123` as `1.23e-05`. */
function smallToExponent(text: string): string {
  const negative = text.startsWith("-");
  const digits = text.slice(negative ? 3 : 2);
  const first = digits.search(/[1-9]/);
  const mantissa = trimZeros(`${digits[first]!}.${digits.slice(first + 1)}`);
  return (negative ? "-" : "") + withExponent(mantissa, -first - 1);
}

function withExponent(mantissa: string, exponent: number): string {
  const size = String(Math.abs(exponent)).padStart(2, "0");
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${size}`;
}
