/** Pure: what a session knows of the rest of the data plane, and what it is allowed. */

import type { ClientBudget } from "../net/client-budget.ts";
import type { RequestDecoder } from "../resp/decoder.ts";
import type { Session } from "./session.ts";
import type { Stats } from "./stats.ts";
import type { Turn } from "./turn.ts";

/** All times in milliseconds; 0 turns a timeout off. */
export interface SessionLimits {
  readonly session_auth: string;
  readonly session_max_pipeline: number;
  readonly session_recv_bufsize: number;
  readonly session_recv_timeout: number;
  readonly session_send_timeout: number;
  readonly session_break_on_failure: boolean;
}

/** What a session asks of the rest of the data plane. */
export interface SessionPort {
  readonly turn: Turn;
  readonly stats: Stats;
  readonly budget: ClientBudget;
  readonly limits: SessionLimits;
  /** Bytes of replies one session may hold: `session_output_max`. */
  readonly sessionOutputMax: number;
  /**
   * Handles the request that `decoder` is at: answers it, or hands it to a backend.
   * @returns false when it must wait: the session's `resume` says when it is done with
   */
  dispatch(session: Session, decoder: RequestDecoder): boolean;
  /** The session is closed; `reason` for the log. */
  onSessionClosed(session: Session, reason: string): void;
}

/** The part of a dispatch that waits. */
export interface PendingDispatch {
  /** Goes on; false: waits again. */
  retry(): boolean;
  /** The session is gone. */
  cancel(): void;
}
