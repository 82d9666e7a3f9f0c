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

/** What an ACK of success begins with, up to the length of its text. */
const DONE_HEAD = Buffer.from(`*3\r\n$${ACK.length}\r\n${ACK}\r\n$1\r\n${ACK_DONE}\r\n$`);
/** Digits of the length of a text that is skipped unread. */
const DONE_LENGTH_DIGITS_MAX = 2;
const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;

/** As `writeAck` with ACK_DONE and the number as text, for an answer per key. */
export function writeDone(out: ReplyWriter, count: number): void {
  out.append(DONE_HEAD, 0, DONE_HEAD.length - 1);
  out.bulkInteger(count);
}

/**
 * @returns the index after the ACK of success that begins at `from`; -1 when there is none, it is
 * not whole, or its text is long: then it has to be read as any reply
 */
export function skipDone(buf: Buffer, from: number, to: number): number {
  const digitsStart = from + DONE_HEAD.length;
  if (digitsStart > to) return -1;
  for (let i = 0; i < DONE_HEAD.length; i++) if (buf[from + i] !== DONE_HEAD[i]) return -1;
  let at = digitsStart;
  let length = 0;
  const digitsEnd = Math.min(to, at + DONE_LENGTH_DIGITS_MAX);
  while (at < digitsEnd && buf[at] !== CR) {
    const digit = buf[at++]! - ZERO;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  const end = at + 2 + length + 2;
  const isWhole = at > digitsStart && end <= to && buf[at] === CR && buf[at + 1] === LF;
  return isWhole && buf[end - 2] === CR && buf[end - 1] === LF ? end : -1;
}

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
