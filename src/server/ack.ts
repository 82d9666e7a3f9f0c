/**
 * What a target answers on a migration link: an ACK, which is itself a request in form.
 *
 *   *3  SLOTSRESTORE-ASYNC-ACK  <code>  <text>        code 0: done; any other: failed, link closed
 *
 * A source reads nothing but ACKs there, so every answer must be one, errors too.
 * Source: Codis extern/redis-3.2.11/src/slots_async.c.
 */

import type { Command } from "../commands/lookup.ts";
import type { ReplyWriter } from "../resp/encoder.ts";

export const ACK = "SLOTSRESTORE-ASYNC-ACK";
export const ACK_DONE = 0;
export const ACK_FAILED = -1;

export function writeAck(out: ReplyWriter, code: number, text: string): void {
  out.array(3);
  out.bulkText(ACK);
  out.bulkInteger(code);
  out.bulkText(text);
}

/** Whether a source sends this command on a link, and waits for its ACK. */
export function isAcknowledged(command: Command): boolean {
  return (
    command.name === "SLOTSRESTORE-ASYNC" ||
    command.name === "SLOTSRESTORE-ASYNC-SELECT" ||
    command.name === "SLOTSRESTORE-ASYNC-AUTH"
  );
}
