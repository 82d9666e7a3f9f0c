/**
 * Sizes as people write them in files: `"64kb"`, `"1.5mb"`, `"1536"`. Units are lower case and
 * powers of 1024. Inside the program a size is a number of bytes.
 *
 * Source: Codis pkg/utils/bytesize.
 */

import { CodisError } from "./errors.ts";

const UNIT_BYTES: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 2 ** 10,
  kb: 2 ** 10,
  m: 2 ** 20,
  mb: 2 ** 20,
  g: 2 ** 30,
  gb: 2 ** 30,
  t: 2 ** 40,
  tb: 2 ** 40,
  p: 2 ** 50,
  pb: 2 ** 50,
};

/** Largest first, for `formatSize`. */
const SHOWN_UNITS = ["pb", "tb", "gb", "mb", "kb"] as const;

const SIZE = /^\s*(-?(?:\d+\.?\d*|\.\d+))\s*([kmgtp]?b?)\s*$/;

/**
 * @param text a size as text, or a bare number of bytes
 * @returns whole bytes, a fraction cut off; negative and beyond 2^53 are the caller's to refuse
 * @throws CodisError "usage", `invalid bytesize`
 */
export function parseSize(text: string | number): number {
  const match = SIZE.exec(String(text));
  if (match === null) throw new CodisError("usage", "invalid bytesize");
  return Math.trunc(Number(match[1]) * UNIT_BYTES[match[2]!]!);
}

/** In the largest unit that divides `bytes`: 1048576 is `"1mb"`, 1536 is `"1536"`, 0 is `"0"`. */
export function formatSize(bytes: number): string {
  const unit = bytes === 0 ? undefined : SHOWN_UNITS.find((u) => bytes % UNIT_BYTES[u]! === 0);
  return unit === undefined ? String(bytes) : `${bytes / UNIT_BYTES[unit]!}${unit}`;
}
