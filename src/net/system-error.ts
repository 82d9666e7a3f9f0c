/**
 * Why a system call failed, as people know it: Bun's messages name what was tried, not the reason.
 */

import { getSystemErrorMap } from "node:util";

/**
 * `connection refused`, `address already in use`, ...; the error's own message when it has none.
 */
export function systemErrorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { errno, code } = error as NodeJS.ErrnoException;
  if (errno === undefined) return error.message;
  const known = getSystemErrorMap().get(-Math.abs(errno));
  // Failed name lookups have numbers of their own: ENOTFOUND is 4, which is also EINTR.
  return known !== undefined && known[0] === code ? known[1] : error.message;
}
