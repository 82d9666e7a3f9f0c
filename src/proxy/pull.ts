/**
 * Pure: the ways to have keys of a migrating slot moved by their source: what is sent, and what the
 * answers mean.
 *
 *   WRAPPER  SLOTSMGRT-EXEC-WRAPPER key request  semi-async: moves the tag of a key, or executes
 *              [0 gone: go on] [1 on its way: ask again] [2 here is the client's reply]
 *   TAG_ONE  SLOTSMGRTTAGONE host port 3000 key  sync: moves the tag of a key; an integer: go on
 *   MIGRATE  MIGRATE host port "" db 3000 KEYS . servers without slots; a status: go on
 *
 * A server that has to MIGRATE serves nobody until the target took the keys. Source: Codis
 * pkg/proxy/forward.go, texts to the letter; for MIGRATE commands/family.ts.
 */

import { parseAddress } from "../base/address.ts";
import { indexOfByte } from "../base/bytes.ts";
import {
  isBusyKey,
  isRefusedValue,
  isUnknownCommand,
  migrateRequest,
  withoutArguments,
} from "../commands/family.ts";
import { encodeRequest } from "../resp/encoder.ts";
import type { Message } from "./forward.ts";
import { typeTag } from "./replies.ts";

/** The ways, as bits: a source's unknown ones are remembered together. */
export const WRAPPER = 1;
export const TAG_ONE = 2;
export const MIGRATE = 4;
export type PullWay = typeof WRAPPER | typeof TAG_ONE | typeof MIGRATE;

/** Milliseconds a source may take for one SLOTSMGRTTAGONE or MIGRATE, as their argument says. */
const MIGRATE_TIMEOUT_MS = 3000;

// -- what is sent -------------------------------------------------------------------------------

/** `SLOTSMGRT-EXEC-WRAPPER key` and then name and arguments of the message, as they came. */
export function wrapperRequest({ prefix, buf, from, to, argc }: Message, key: Buffer): Buffer {
  const head = encodeRequest(["SLOTSMGRT-EXEC-WRAPPER", key]);
  const name = prefix === undefined ? [] : [behindFirstLine(prefix, 0, prefix.length)];
  const rest = prefix === undefined ? behindFirstLine(buf, from, to) : buf.subarray(from, to);
  const count = Buffer.from(`*${argc + 2}\r\n`);
  return Buffer.concat([count, behindFirstLine(head, 0, head.length), ...name, rest]);
}

function behindFirstLine(buf: Buffer, from: number, to: number): Buffer {
  return buf.subarray(indexOfByte(buf, 0x0a, from, to) + 1, to);
}

export function tagOneRequest(address: string, key: Buffer): Buffer {
  const { host, port } = parseAddress(address);
  return encodeRequest(["SLOTSMGRTTAGONE", host, port, MIGRATE_TIMEOUT_MS, key]);
}

/** Where keys are to go with MIGRATE. */
export interface PullTarget {
  readonly address: string;
  readonly auth: string;
  readonly database: number;
  readonly replace: boolean;
}

/** MIGRATE of all keys but the empty one, which is never pulled. */
export function pullAllRequest(
  { address, auth, database, replace }: PullTarget,
  keys: readonly Buffer[],
): Buffer {
  const { host, port } = parseAddress(address);
  const timeoutMs = MIGRATE_TIMEOUT_MS;
  const named = keys.filter((key) => key.length > 0);
  return encodeRequest(migrateRequest({ host, port, database, timeoutMs, auth, replace }, named));
}

// -- what the source answers --------------------------------------------------------------------

const PLUS = 0x2b;
const MINUS = 0x2d;
const COLON = 0x3a;
const STAR = 0x2a;
const CRLF_BYTES = 2;

export type PullVerdict =
  /** What was asked for is not at the source any more. */
  | { readonly next: "forward" }
  /** It is on its way: ask again. */
  | { readonly next: "retry" }
  /** The target has a key already: ask again, with REPLACE. */
  | { readonly next: "replace" }
  /** The client's reply is the rest from `from`. */
  | { readonly next: "answer"; readonly from: number }
  /** The source knows no such command. */
  | { readonly next: "unknown"; readonly text: string }
  | { readonly next: "fail"; readonly text: string };

/**
 * What the reply to a request of this way means.
 * @param isReplacing MIGRATE was sent with REPLACE
 */
export function judgePull(way: PullWay, isReplacing: boolean, reply: Buffer): PullVerdict {
  const isError = reply[0] === MINUS;
  if (isError && isUnknownCommand(lineText(reply, 0))) {
    const text = withoutArguments(lineText(reply, 0));
    return { next: "unknown", text: `bad slotsmgrt resp: ${text}` };
  }
  if (way === WRAPPER) return judgeWrapped(reply);
  if (reply[0] === (way === TAG_ONE ? COLON : PLUS)) return { next: "forward" };
  if (!isError) {
    const wanted = way === TAG_ONE ? "integer" : "string";
    return badPull(`should be ${wanted}, but got ${typeTag(reply[0]!)}`);
  }
  const text = lineText(reply, 0);
  if (way === MIGRATE && !isReplacing && isBusyKey(text)) return { next: "replace" };
  if (way === MIGRATE && isRefusedValue(text)) return badPull(`${REFUSED_VALUE} (${text})`);
  return badPull(text);
}

/** A key cannot follow its slot; the original, which knew one family only, has no word for it. */
const REFUSED_VALUE = "the slot is moving to a server that cannot hold the type of this key";

function badPull(text: string): PullVerdict {
  return { next: "fail", text: `bad slotsmgrt resp: ${text}` };
}

function judgeWrapped(reply: Buffer): PullVerdict {
  if (reply[0] === MINUS) return badWrapped(lineText(reply, 0));
  if (reply[0] !== STAR) return badWrapped(`should be integer, but got ${typeTag(reply[0]!)}`);
  const count = Math.max(0, Number(lineText(reply, 0)));
  if (count !== 2) return badWrapped(`array.len = ${count}`);
  const first = indexOfByte(reply, 0x0a, 0, reply.length) + 1;
  const word = valueText(reply, first);
  if (reply[first] !== COLON || word.length !== 1) {
    return badWrapped(
      `type(array[0]) = ${typeTag(reply[first]!)}, len(array[0].value) = ${word.length}`,
    );
  }
  const second = indexOfByte(reply, 0x0a, first, reply.length) + 1;
  if (word === "0") return { next: "forward" };
  if (word === "1") return { next: "retry" };
  if (word === "2") return { next: "answer", from: second };
  return badWrapped(`[${word}] ${valueText(reply, second)}`);
}

function badWrapped(text: string): PullVerdict {
  return { next: "fail", text: `bad slotsmgrt-exec-wrapper resp: ${text}` };
}

/** The line at `at` without its type byte. */
function lineText(buf: Buffer, at: number): string {
  return buf.latin1Slice(at + 1, indexOfByte(buf, 0x0a, at, buf.length) - 1);
}

/** What the original calls the value of a reply: line, bytes of a bulk, nothing of an array. */
export function valueText(buf: Buffer, at: number): string {
  const type = buf[at];
  if (type === PLUS || type === MINUS || type === COLON) return lineText(buf, at);
  if (type === STAR) return "";
  const length = Math.max(0, Number(lineText(buf, at)));
  const from = indexOfByte(buf, 0x0a, at, buf.length) + 1;
  return buf.latin1Slice(from, Math.min(from + length, buf.length - CRLF_BYTES));
}
