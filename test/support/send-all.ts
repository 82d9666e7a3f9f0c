/** Sends requests larger than the kernel takes at once. */

import { encodeRequest } from "../../src/resp/encoder.ts";
import type { RawConnection } from "./raw-connection.ts";

const PIECE_BYTES = 256 * 1024;

export async function sendAll(
  connection: RawConnection,
  args: readonly (string | Buffer | number)[],
): Promise<void> {
  const bytes = encodeRequest(args);
  for (let from = 0; from < bytes.length; ) {
    const taken = connection.sendBytes(bytes.subarray(from, from + PIECE_BYTES));
    from += taken;
    if (taken < PIECE_BYTES && from < bytes.length) await connection.drained();
  }
}
