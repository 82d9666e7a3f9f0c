/**
 * Our own mistakes stop the program: an assertion that fails is a bug here, never something a peer
 * sent. On in production. Caught only in `cmd/`, which logs it and exits.
 */

export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Throws `AssertionError` when `condition` is false. `message` names what should have held. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(`assertion failed: ${message}`);
}
