/**
 * Operational errors: what can go wrong while everything of ours is right (a refused connection, a
 * lost coordinator, a bad value in a file). `code` is for programs, `message` for people.
 */

export type ErrorCode =
  | "usage" // a flag, an argument or a file's value breaks a rule
  | "conflict" // the state of the cluster forbids it (already exists, is promoting, ...)
  | "missing" // the named thing does not exist
  | "denied" // wrong xauth or password
  | "unavailable" // a peer, coordinator or file cannot be reached or read
  | "timeout"
  | "closed" // used after close
  | "limit"; // a named limit was reached

export class CodisError extends Error {
  override readonly name = "CodisError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** The text of anything thrown, without stack, its causes behind it: `read x: no such file`. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause === undefined) return error.message;
  return `${error.message}: ${errorText(error.cause)}`;
}
