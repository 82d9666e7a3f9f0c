/**
 * Pure: what the proxy's machines use of a connection. `src/net/connection.ts` has this shape;
 * tests have one that records.
 */

import type { ReplyWriter } from "../resp/encoder.ts";

export interface Wire {
  /** Bytes to send, by one write at the end of the turn. */
  readonly out: ReplyWriter;
  /** Bytes in `out`. */
  readonly backlogBytes: number;
  /** There is something in `out`. */
  markDirty(): void;
  /** As `markDirty`, when more is likely to join within a few turns. */
  markDirtyLate(): void;
  /** Sends what can be sent now. */
  flush(): void;
  /** Stop and go on reading; both idempotent. */
  pause(): void;
  resume(): void;
  /** Sends what is in `out`, then ends. */
  close(): void;
  /** Ends now. */
  destroy(): void;
}
