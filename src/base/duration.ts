/**
 * Durations as people write them in files: `"30s"`, `"1.5s"`, `"100ms"`; a bare number is seconds.
 * Inside the program a duration is a number of milliseconds, with a fraction below that.
 *
 * Source: Codis pkg/utils/timesize, Go time.Duration for what is finer than a microsecond.
 */

import { CodisError } from "./errors.ts";

const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  "\u00b5s": 1e3, // micro sign
  "\u03bcs": 1e3, // Greek mu
  ms: 1e6,
  "": 1e9,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Largest first, for `formatDuration`. */
const SHOWN_UNITS = ["h", "m", "s", "ms", "us"] as const;

const DURATION = /^\s*(-?(?:\d+\.?\d*|\.\d+))\s*([a-z\u00b5\u03bc]*)\s*$/;

const NS_PER_MS = 1e6;

/**
 * @param text one number and one unit out of `ns us ms s m h`, or a bare number of seconds
 * @returns milliseconds, exact to the nanosecond; negative ones are the caller's to refuse
 * @throws CodisError "usage", `invalid timesize` or Go's text for an unknown unit
 */
export function parseDuration(text: string | number): number {
  const match = DURATION.exec(String(text));
  if (match === null) throw new CodisError("usage", "invalid timesize");
  const [, amount, unit] = match as unknown as [string, string, string];
  const unitNs = UNIT_NS[unit];
  if (unitNs === undefined) {
    const shown = `time: unknown unit "${unit}" in duration "${amount}${unit}"`;
    throw new CodisError("usage", shown);
  }
  return Math.round(Number(amount) * unitNs) / NS_PER_MS;
}

/** In the largest unit that divides it: 90000 is `"90s"`, 60000 `"1m"`; 0.0015 is `"1.5µs"`. */
export function formatDuration(ms: number): string {
  const ns = Math.round(ms * NS_PER_MS);
  if (ns === 0) return "0";
  const unit = SHOWN_UNITS.find((u) => ns % UNIT_NS[u]! === 0);
  return unit === undefined ? formatLikeGo(ns) : `${ns / UNIT_NS[unit]!}${unit}`;
}

/** Go's Duration.String: `100ns`, `1.5µs`, `1m0.000000001s`. */
function formatLikeGo(ns: number): string {
  if (ns < 0) return `-${formatLikeGo(-ns)}`;
  if (ns < 1e3) return `${ns}ns`;
  if (ns < 1e6) return `${ns / 1e3}\u00b5s`;
  if (ns < 1e9) return `${ns / 1e6}ms`;
  const hours = Math.floor(ns / 3600e9);
  const minutes = Math.floor(ns / 60e9) % 60;
  const fraction = String(ns % 1e9)
    .padStart(9, "0")
    .replace(/0+$/, "");
  const seconds = `${Math.floor(ns / 1e9) % 60}.${fraction}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}
