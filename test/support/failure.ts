/** Waiting for what must go wrong. */

import { CodisError } from "../../src/base/errors.ts";

/** The CodisError that `work` fails with; throws when it succeeds or fails with something else. */
export async function failureOf(work: Promise<unknown>): Promise<CodisError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason) => reason,
  );
  if (!(error instanceof CodisError)) throw new Error(`expected a CodisError, got ${error}`);
  return error;
}
