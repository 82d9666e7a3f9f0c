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
  const known = errno === undefined ? undefined : getSystemErrorMap().get(-Math.abs(errno));
  // Errors of name lookups (ENOTFOUND, 4) count differently.
  return known?.[0] === code && known !== undefined ? known[1] : error.message;
}
