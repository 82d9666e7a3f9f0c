/**
 * Pure: values to RESP bytes. `encodeRequest` makes one request; `ReplyWriter` collects the output
 * of one connection.
 *
 *   buf:  | sent | waiting to be sent | room |
 *         0      head                 length buf.length
 *
 * The buffer comes from a pool at the first byte and goes back when everything is consumed. What
 * lies in [head, length) stays where it is until `consume`, so a length is a good mark to
 * `truncate` to within one turn.
 *
 * What would need more than WRITER_BYTES_MAX makes the writer overfull: it forgets what it has and
 * goes on from the start, so that whoever writes needs no check, and memory stays bounded. Its
 * owner looks at `isOverfull` before using what is in it.
 */

import { BUFFER_BYTES_MAX, giveBuffer, takeBuffer } from "../base/buffer-pool.ts";
import { copyBytes, digitCount, EMPTY_BYTES, writeInteger } from "../base/bytes.ts";
import { EMPTY_ARRAY, NIL, NIL_ARRAY, OK } from "./reply.ts";

const CR = 0x0d;
const LF = 0x0a;
const STAR = 0x2a;
const PLUS = 0x2b;
const MINUS = 0x2d;
const COLON = 0x3a;
const DOLLAR = 0x24;

/** Type byte, sign, 19 digits, CR LF. */
const INTEGER_LINE_BYTES = 23;
/** Texts this short are written by a loop; longer ones by `latin1Write`. */
const TEXT_LOOP_CHARS = 16;
/** Sent bytes that may lie before what waits. */
const SENT_KEPT_BYTES = 64 * 1024;
/** A writer holds at most this; one piece written into it is smaller. */
export const WRITER_BYTES_MAX = BUFFER_BYTES_MAX;

/** The words of a request: its command's name, then its arguments. */
export type RequestArgs = readonly (string | Buffer | number)[];

/** A request as an array of bulks: strings as UTF-8, numbers in decimal. */
export function encodeRequest(args: RequestArgs): Buffer {
  const request = Buffer.allocUnsafeSlow(requestBytes(args));
  writeRequest(args, request, 0);
  return request;
}

function requestBytes(args: RequestArgs): number {
  let bytes = digitCount(args.length) + 3;
  for (const arg of args) {
    const length = argBytes(arg);
    bytes += digitCount(length) + length + 5;
  }
  return bytes;
}

/** Writes a request; returns the index after it. */
function writeRequest(args: RequestArgs, dst: Buffer, from: number): number {
  let at = writeLengthLine(STAR, args.length, dst, from);
  for (const arg of args) {
    at = writeLengthLine(DOLLAR, argBytes(arg), dst, at);
    if (typeof arg === "object") at += arg.copy(dst, at);
    else at += dst.write(String(arg), at);
    dst[at++] = CR;
    dst[at++] = LF;
  }
  return at;
}

function argBytes(arg: string | Buffer | number): number {
  return typeof arg === "object" ? arg.length : Buffer.byteLength(String(arg));
}

/** Writes `<type>N\r\n`; returns the index after it. */
export function writeLengthLine(type: number, n: number, dst: Buffer, at: number): number {
  dst[at] = type;
  const end = writeInteger(n, dst, at + 1);
  dst[end] = CR;
  dst[end + 1] = LF;
  return end + 2;
}

/** Writes latin1 text; returns the index after it. */
function writeText(text: string, dst: Buffer, at: number): number {
  if (text.length > TEXT_LOOP_CHARS) return at + dst.latin1Write(text, at, text.length);
  for (let i = 0; i < text.length; i++) dst[at + i] = text.charCodeAt(i);
  return at + text.length;
}

function hasLineBreak(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === CR || code === LF) return true;
  }
  return false;
}

/**
 * The output of one connection: replies, or requests by `append`. Limits are its owner's business:
 * `pendingBytes` says how much waits.
 */
export class ReplyWriter {
  /** Replaced when it grows or is given back: read the field again after every call. */
  buf: Buffer = EMPTY_BYTES;
  /** End of what is written. */
  length = 0;
  /** Start of what is not consumed. */
  head = 0;
  /** More was written than fits; what is here means nothing any more. `clear` ends it. */
  isOverfull = false;

  readonly #bytesMax: number;

  /** @param bytesMax where it becomes overfull; less in tests */
  constructor(bytesMax = WRITER_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes written and not consumed. */
  get pendingBytes(): number {
    return this.length - this.head;
  }

  /** Makes room for `bytes` behind `length`, for a caller that writes into `buf` itself. */
  reserve(bytes: number): void {
    if (this.length + bytes > this.buf.length) this.#grow(bytes);
  }

  /** `+OK` */
  ok(): void {
    this.raw(OK);
  }

  /** `+text`, latin1; line ends in it become blanks. */
  simple(text: string): void {
    this.#textLine(PLUS, text);
  }

  /** `-text`, latin1, such as `ERR syntax error`; line ends in it become blanks. */
  error(text: string): void {
    this.#textLine(MINUS, text);
  }

  /** `:n`, a safe integer. */
  integer(n: number): void {
    this.#lengthLine(COLON, n);
  }

  /** `:n`, any int64. */
  bigInteger(n: bigint): void {
    this.#textLine(COLON, n.toString());
  }

  /** `$length`, then src[from, to). */
  bulk(src: Buffer, from: number, to: number): void {
    const length = to - from;
    this.reserve(INTEGER_LINE_BYTES + length + 2);
    const at = writeLengthLine(DOLLAR, length, this.buf, this.length);
    copyBytes(src, from, to, this.buf, at);
    this.#endLine(at + length);
  }

  /** A bulk from a latin1 string. */
  bulkText(text: string): void {
    this.reserve(INTEGER_LINE_BYTES + text.length + 2);
    const at = writeLengthLine(DOLLAR, text.length, this.buf, this.length);
    this.#endLine(writeText(text, this.buf, at));
  }

  /** An integer as a bulk, `$2\r\n42`. */
  bulkInteger(n: number): void {
    this.reserve(2 * INTEGER_LINE_BYTES);
    const at = writeLengthLine(DOLLAR, digitCount(n), this.buf, this.length);
    this.#endLine(writeInteger(n, this.buf, at));
  }

  /** A request, as `encodeRequest` makes it. */
  request(args: RequestArgs): void {
    this.reserve(requestBytes(args));
    this.length = writeRequest(args, this.buf, this.length);
  }

  /** Null bulk. */
  nil(): void {
    this.raw(NIL);
  }

  /** Null array. */
  nilArray(): void {
    this.raw(NIL_ARRAY);
  }

  emptyArray(): void {
    this.raw(EMPTY_ARRAY);
  }

  /** Head of an array; `count` replies must follow. */
  array(count: number): void {
    this.#lengthLine(STAR, count);
  }

  /** Bytes that already are RESP. */
  raw(bytes: Buffer): void {
    this.append(bytes, 0, bytes.length);
  }

  /** src[from, to), bytes that already are RESP. */
  append(src: Buffer, from: number, to: number): void {
    const bytes = to - from;
    if (this.length + bytes > this.buf.length) this.#grow(bytes);
    copyBytes(src, from, to, this.buf, this.length);
    this.length += bytes;
  }

  /**
   * Takes back what was written after `length`, an earlier value of the field, in the same turn.
   */
  truncate(length: number): void {
    this.length = length;
  }

  /** The first `bytes` pending bytes are sent. Gives the buffer back when nothing is left. */
  consume(bytes: number): void {
    this.head += bytes;
    const rest = this.length - this.head;
    if (rest === 0) {
      this.clear();
    } else if (this.head >= rest && this.head >= SENT_KEPT_BYTES) {
      // At least as much was sent as is moved now, so moving costs no more than sending.
      this.#moveRest(rest);
    }
  }

  /** Forgets everything. */
  clear(): void {
    if (this.buf !== EMPTY_BYTES) giveBuffer(this.buf);
    this.buf = EMPTY_BYTES;
    this.length = 0;
    this.head = 0;
    this.isOverfull = false;
  }

  /** A copy of everything pending, which is then consumed. */
  take(): Buffer {
    const taken = Buffer.from(this.buf.subarray(this.head, this.length));
    this.clear();
    return taken;
  }

  #moveRest(rest: number): void {
    if (rest * 4 < this.buf.length) {
      const smaller = takeBuffer(rest * 2);
      this.buf.copy(smaller, 0, this.head, this.length);
      giveBuffer(this.buf);
      this.buf = smaller;
    } else {
      this.buf.copyWithin(0, this.head, this.length);
    }
    this.head = 0;
    this.length = rest;
  }

  /** Makes room for `bytes` behind `length`, which are more than there is. */
  #grow(bytes: number): void {
    if (this.length + bytes > this.#bytesMax) {
      this.isOverfull = true;
      this.length = 0;
      this.head = 0;
      if (bytes <= this.buf.length) return;
    }
    const capacity = this.length + bytes;
    const larger = takeBuffer(capacity);
    // All of it, also what is sent: whoever holds a mark still finds it.
    this.buf.copy(larger, 0, 0, this.length);
    if (this.buf !== EMPTY_BYTES) giveBuffer(this.buf);
    this.buf = larger;
  }

  #lengthLine(type: number, n: number): void {
    this.reserve(INTEGER_LINE_BYTES);
    this.length = writeLengthLine(type, n, this.buf, this.length);
  }

  #textLine(type: number, text: string): void {
    const clean = hasLineBreak(text) ? text.replace(/[\r\n]/g, " ") : text;
    this.reserve(clean.length + 3);
    this.buf[this.length] = type;
    this.#endLine(writeText(clean, this.buf, this.length + 1));
  }

  #endLine(at: number): void {
    this.buf[at] = CR;
    this.buf[at + 1] = LF;
    this.length = at + 2;
  }
}
