/**
 * Pure: requests, scanned where they lie. Chunks of a stream go in, the positions of one request's
 * arguments come out; no argument is copied or becomes a value.
 *
 *   buf:  | handled | *2\r\n $3\r\n GET\r\n $3\r\n key\r\n | next request ... | room
 *                   start          [0    1)       [2   3)  end               limit
 *
 * The scan can stop at any byte and goes on there after the next `feed`: it remembers the argument
 * awaited, its end once that is known, and how far the line was searched. Nothing is scanned twice.
 *
 * Two dialects. "proxy": what the original Codis proxy takes, except null bulks. "server": Redis
 * 7.0 (quotes in inline requests, `*0` and `*-1` ignored), except that the two bytes after a bulk
 * and the byte after a CR must be right: a stream that is out of step ends instead of running as
 * commands.
 * Sources: Codis pkg/proxy/redis/decoder.go; Redis 7.0 networking.c `processInputBuffer`.
 */

import {
  digitCount,
  EMPTY_BYTES,
  ifMemory,
  indexOfByte,
  parseLenientInteger,
  parseSafeInteger,
} from "../base/bytes.ts";
import { encodeRequest } from "./encoder.ts";
import { joinChunkIfMemory } from "./gather.ts";
import { encodePlainWords, findPlainWords, splitQuoted, splitSpaces } from "./inline.ts";
import {
  type Dialect,
  PROXY_LIMITS,
  type RequestLimits,
  SERVER_LIMITS,
  UNAUTHENTICATED_ARGUMENTS,
  UNAUTHENTICATED_BULK_BYTES,
} from "./request-limits.ts";

/** What `next` found. */
export const REQUEST_READY = 1;
export const REQUEST_INCOMPLETE = 0;
export const REQUEST_ERROR = -1;
export type RequestStatus = typeof REQUEST_READY | typeof REQUEST_INCOMPLETE | typeof REQUEST_ERROR;

/** Between the steps of one request: go on with the next. */
const CONTINUE = 2;
type StepStatus = RequestStatus | typeof CONTINUE;

/** Answers of #findLineEnd that are no index. */
const LINE_OPEN = -1;
const LINE_TOO_LONG = -2;

/** Entries of `args`, two per argument: at first, and at most kept for an idle connection. */
const ARGS_INITIAL = 16;
const ARGS_KEPT = 2048;

/** Handled bytes that may lie before an incomplete request. */
const HANDLED_KEPT_BYTES = 64 * 1024;

const TOO_BIG = "too big request";

const CR = 0x0d;
const LF = 0x0a;
const STAR = 0x2a;
const DOLLAR = 0x24;
const ZERO = 0x30;

/**
 * ```
 * decoder.feed(chunk);
 * while ((status = decoder.next()) === REQUEST_READY) handle(decoder);
 * if (status === REQUEST_ERROR) close(decoder.error);
 * ```
 * Never throws. The public fields describe the last READY request until the following `next`, also
 * when more is fed meanwhile. Bytes never change once they can be seen through `buf`, so a
 * reference taken to it stays good for as long as it is kept.
 */
export class RequestDecoder {
  /** Holds the request, or what it was rewritten to: inline requests, numbers such as `+01`. */
  buf: Buffer = EMPTY_BYTES;
  /** The whole request is buf[start, end): a RESP array of bulks that any server takes. */
  start = 0;
  end = 0;
  /** How many arguments, at least 1 when READY. */
  argc = 0;
  /** Argument i is buf[args[2i], args[2i+1]). Replaced when it grows: read the field again. */
  args: Int32Array = new Int32Array(ARGS_INITIAL);
  /** Why REQUEST_ERROR, which is final. Server: what follows `-ERR Protocol error: `. */
  error = "";

  readonly #isServer: boolean;
  readonly #limits: RequestLimits;
  #argumentsMax: number;
  #bulkMax: number;

  /** What was fed: raw[#from, #limit) belongs to requests not yet handed out. */
  #raw: Buffer = EMPTY_BYTES;
  #from = 0;
  #limit = 0;
  /** Of the current request, everything before this index is scanned. */
  #at = 0;
  /** The line that starts at #at has no LF before this index. */
  #searched = 0;
  /** Arguments announced, 0 between requests; `argc` of them are scanned. */
  #expected = 0;
  /** Where the argument that is being received ends, -1 while its length is not known. */
  #bulkEnd = -1;
  /** False when a number has a sign or leading zeros: servers refuse that, so it is rewritten. */
  #isCanonical = true;

  constructor(dialect: Dialect, limits: Partial<RequestLimits> = {}) {
    this.#isServer = dialect === "server";
    this.#limits = { ...(this.#isServer ? SERVER_LIMITS : PROXY_LIMITS), ...limits };
    this.#argumentsMax = this.#limits.arguments;
    this.#bulkMax = this.#limits.bulkBytes;
  }

  /** Bytes fed and not yet handed out; the current READY request does not count. */
  get pendingBytes(): number {
    return this.#limit - this.#from;
  }

  /** Bytes it has in memory: what waits, and handled ones that lie before it. */
  get heldBytes(): number {
    return this.#limit;
  }

  /** Forgets what has not been handed out; nothing more is fed. */
  drop(): void {
    this.#release();
  }

  /** While true, only requests small enough for AUTH and HELLO are taken. */
  setUnauthenticated(owesPassword: boolean): void {
    this.#argumentsMax = owesPassword ? UNAUTHENTICATED_ARGUMENTS : this.#limits.arguments;
    this.#bulkMax = owesPassword ? UNAUTHENTICATED_BULK_BYTES : this.#limits.bulkBytes;
  }

  /**
   * Takes `chunk` over: the caller must not change it. Copied only behind an unfinished request;
   * when there is no memory for that, `next` says so, and the current request stays as it is.
   */
  feed(chunk: Buffer): void {
    if (this.error !== "") return;
    const from = this.#from;
    if (from === this.#limit) {
      this.#raw = chunk;
      this.#from = 0;
      this.#at = 0;
      this.#searched = 0;
      this.#limit = chunk.length;
      return;
    }
    const expected = this.#bulkEnd < 0 ? 0 : this.#bulkEnd + 2 - from;
    const joined = joinChunkIfMemory(this.#raw, from, this.#limit, chunk, expected);
    if (joined === undefined) {
      this.error = this.#noMemory();
      this.#dropPending();
      return;
    }
    this.#limit += chunk.length;
    if (joined !== this.#raw) {
      this.#raw = joined;
      this.#shift(from);
    }
  }

  /** Moves on to the next request; empty ones (a blank line, the server's `*0`) are passed over. */
  next(): RequestStatus {
    while (this.#expected === 0) {
      const at = this.#from;
      const raw = this.#raw;
      this.argc = 0;
      // `*1` to `*9` is nearly every request: no call, no loop over digits.
      if (this.#limit - at >= 4 && raw[at] === STAR && raw[at + 2] === CR && raw[at + 3] === LF) {
        const digit = raw[at + 1]! - ZERO;
        if (digit >= 1 && digit <= 9) {
          this.#expected = digit;
          this.#at = at + 4;
          this.#searched = at + 4;
          break;
        }
      }
      const status = this.#beginSlowly();
      if (status !== CONTINUE) return status;
    }
    return this.#scanArguments();
  }

  /** Scans `$L\r\n<L bytes>\r\n` as often as announced. */
  #scanArguments(): RequestStatus {
    const raw = this.#raw;
    const limit = this.#limit;
    const expected = this.#expected;
    let args = this.args;
    let argc = this.argc;
    let at = this.#at;
    let bulkEnd = this.#bulkEnd;
    while (argc < expected) {
      if (bulkEnd < 0) {
        // Before the scan: when the rest has not come, what is scanned may be moved.
        this.argc = argc;
        const status = this.#scanBulkLength(raw, at, limit);
        if (status !== CONTINUE) return status;
        at = this.#at;
        bulkEnd = this.#bulkEnd;
      }
      if (bulkEnd + 2 > limit) {
        this.argc = argc;
        return this.#incomplete();
      }
      if (raw[bulkEnd] !== CR || raw[bulkEnd + 1] !== LF)
        return this.#fail("expected CRLF after bulk");
      if (argc * 2 === args.length) {
        if (!this.#growArgs()) return this.#fail(this.#noMemory());
        args = this.args;
      }
      args[argc * 2] = at;
      args[argc * 2 + 1] = bulkEnd;
      argc++;
      at = bulkEnd + 2;
      bulkEnd = -1;
    }
    this.argc = argc;
    this.buf = raw;
    this.start = this.#from;
    this.end = at;
    if (!this.#isCanonical) {
      const word = (_: unknown, i: number) => raw.subarray(args[2 * i], args[2 * i + 1]);
      this.#rewrite(Array.from({ length: argc }, word));
    }
    this.#finish(at);
    return REQUEST_READY;
  }

  /** CONTINUE: the argument's bytes are [#at, #bulkEnd). */
  #scanBulkLength(raw: Buffer, at: number, limit: number): StepStatus {
    // One and two digits: most keys, names and small values. A leading zero is the slow path's.
    if (limit - at >= 5 && raw[at] === DOLLAR) {
      const first = raw[at + 1]! - ZERO;
      const second = raw[at + 2]! - ZERO;
      if (first >= 0 && first <= 9) {
        if (second === CR - ZERO && raw[at + 3] === LF) {
          this.#at = at + 4;
          this.#bulkEnd = at + 4 + first;
          return CONTINUE;
        }
        if (first > 0 && second >= 0 && second <= 9 && raw[at + 3] === CR && raw[at + 4] === LF) {
          this.#at = at + 5;
          this.#bulkEnd = at + 5 + first * 10 + second;
          return CONTINUE;
        }
      }
    }
    return this.#scanBulkLengthSlowly(at);
  }

  #scanBulkLengthSlowly(at: number): StepStatus {
    if (this.#at !== at) {
      this.#at = at;
      this.#searched = at;
    }
    this.#bulkEnd = -1;
    if (at === this.#limit) return this.#incomplete();
    const raw = this.#raw;
    if (raw[at] !== DOLLAR) {
      const got = String.fromCharCode(raw[at]!).replace(/[\r\n]/, " ");
      return this.#fail(`expected '$', got '${got}'`);
    }
    const lineEnd = this.#findLineEnd(at, this.#limits.lineBytes);
    if (lineEnd === LINE_OPEN) return this.#incomplete();
    if (lineEnd === LINE_TOO_LONG) return this.#fail("too big bulk count string");
    const length = this.#parseLength(at + 1, lineEnd);
    if (!(length >= 0 && length <= this.#limits.bulkBytes)) {
      return this.#fail("invalid bulk length");
    }
    if (length > this.#bulkMax) return this.#fail("unauthenticated bulk length");
    this.#at = lineEnd + 1;
    this.#bulkEnd = lineEnd + 1 + length;
    if (this.#bulkEnd - this.#from > this.#limits.requestBytes) return this.#fail(TOO_BIG);
    return CONTINUE;
  }

  /** What is not `*1` to `*9`. CONTINUE: the count is known, or the request was an empty one. */
  #beginSlowly(): StepStatus {
    if (this.error !== "") return this.#fail(this.error);
    const from = this.#from;
    if (from === this.#limit) return this.#release();
    const isArray = this.#raw[from] === STAR;
    const limits = this.#limits;
    const lineEnd = this.#findLineEnd(from, isArray ? limits.lineBytes : limits.inlineBytes);
    if (lineEnd === LINE_OPEN) return this.#incomplete();
    if (lineEnd === LINE_TOO_LONG) {
      return this.#fail(isArray ? "too big mbulk count string" : "too big inline request");
    }
    if (!isArray) return this.#takeInline(from, lineEnd);
    const count = this.#parseLength(from + 1, lineEnd);
    if (!(count <= limits.arguments) || (count < 1 && !this.#isServer)) {
      return this.#fail("invalid multibulk length");
    }
    if (count > this.#argumentsMax) return this.#fail("unauthenticated multibulk length");
    if (count < 1) {
      this.#finish(lineEnd + 1);
    } else {
      this.#expected = count;
      this.#at = lineEnd + 1;
      this.#searched = lineEnd + 1;
    }
    return CONTINUE;
  }

  /** READY, or CONTINUE when the line is blank. */
  #takeInline(from: number, lineEnd: number): StepStatus {
    const raw = this.#raw;
    const hasCr = lineEnd > from && raw[lineEnd - 1] === CR;
    if (!hasCr && !this.#isServer) return this.#fail("expected CRLF after inline request");
    const to = hasCr ? lineEnd - 1 : lineEnd;
    if (this.#isServer) {
      const count = findPlainWords(raw, from, to, this.args);
      if (count >= 0) return this.#takePlain(raw, count, lineEnd);
    }
    const words = this.#isServer ? splitQuoted(raw, from, to) : splitSpaces(raw, from, to);
    if (words === undefined) return this.#fail("unbalanced quotes in request");
    if (words.length === 0 && to > from && !this.#isServer) return this.#fail("blank request");
    this.#finish(lineEnd + 1);
    if (words.length === 0) return CONTINUE;
    if (words.length > this.#limits.arguments) return this.#fail("invalid multibulk length");
    this.#rewrite(words);
    return REQUEST_READY;
  }

  /** READY, or CONTINUE when there are none: `count` words of `raw`, whose places are in `args`. */
  #takePlain(raw: Buffer, count: number, lineEnd: number): StepStatus {
    this.#finish(lineEnd + 1);
    if (count === 0) return CONTINUE;
    if (count > this.#limits.arguments) return this.#fail("invalid multibulk length");
    this.buf = encodePlainWords(raw, this.args, count);
    this.start = 0;
    this.end = this.buf.length;
    this.argc = count;
    return REQUEST_READY;
  }

  /** Makes the request the array of `words`, in a buffer of its own. */
  #rewrite(words: readonly Buffer[]): void {
    this.buf = encodeRequest(words);
    this.start = 0;
    this.end = this.buf.length;
    this.argc = words.length;
    if (this.args.length < words.length * 2) this.args = new Int32Array(words.length * 2);
    // A line such as `*12` has its type, CR and LF beside the digits.
    let at = digitCount(words.length) + 3;
    for (const [i, word] of words.entries()) {
      at += digitCount(word.length) + 3;
      this.args[i * 2] = at;
      this.args[i * 2 + 1] = at + word.length;
      at += word.length + 2;
    }
  }

  /** Index of the LF that ends the line at `from`, or LINE_OPEN or LINE_TOO_LONG. */
  #findLineEnd(from: number, lineMax: number): number {
    const lineEnd = indexOfByte(this.#raw, LF, this.#searched, this.#limit);
    const seen = lineEnd < 0 ? this.#limit : lineEnd;
    if (seen - from > lineMax) return LINE_TOO_LONG;
    if (lineEnd >= 0) return lineEnd;
    this.#searched = this.#limit;
    return LINE_OPEN;
  }

  /** The number in raw[from, lineEnd - 1), a CR behind it; NaN when it is none. */
  #parseLength(from: number, lineEnd: number): number {
    if (lineEnd === from || this.#raw[lineEnd - 1] !== CR) return Number.NaN;
    const canonical = parseSafeInteger(this.#raw, from, lineEnd - 1);
    if (this.#isServer || !Number.isNaN(canonical)) return canonical;
    this.#isCanonical = false;
    return parseLenientInteger(this.#raw, from, lineEnd - 1);
  }

  /** The current request ends at `end`; the next starts there. */
  #finish(end: number): void {
    this.#from = end;
    this.#at = end;
    this.#searched = end;
    this.#expected = 0;
    this.#bulkEnd = -1;
    this.#isCanonical = true;
  }

  #incomplete(): RequestStatus {
    const pending = this.pendingBytes;
    if (pending > this.#limits.requestBytes) return this.#fail(TOO_BIG);
    if (this.#from > HANDLED_KEPT_BYTES && this.#from > pending) {
      // Else the rest of a request that may never come holds those before it, as without memory.
      const rest = ifMemory(() => Buffer.allocUnsafeSlow(pending));
      if (rest === undefined) return REQUEST_INCOMPLETE;
      this.#raw.copy(rest, 0, this.#from, this.#limit);
      this.#raw = rest;
      this.buf = EMPTY_BYTES;
      this.#shift(this.#from);
    }
    return REQUEST_INCOMPLETE;
  }

  #fail(error: string): RequestStatus {
    this.error = error;
    this.#release();
    return REQUEST_ERROR;
  }

  /** Lets go of all buffers: nothing is pending, and an idle connection should cost little. */
  #release(): RequestStatus {
    this.buf = EMPTY_BYTES;
    this.start = 0;
    this.end = 0;
    this.argc = 0;
    this.#dropPending();
    if (this.args.length > ARGS_KEPT) this.args = new Int32Array(ARGS_INITIAL);
    return REQUEST_INCOMPLETE;
  }

  #dropPending(): void {
    this.#raw = EMPTY_BYTES;
    this.#limit = 0;
    this.#finish(0);
  }

  /** The unfinished request now starts `distance` bytes earlier. */
  #shift(distance: number): void {
    this.#from -= distance;
    this.#limit -= distance;
    this.#at -= distance;
    this.#searched -= distance;
    if (this.#bulkEnd >= 0) this.#bulkEnd -= distance;
    if (distance === 0 || this.#expected === 0) return;
    const args = this.args;
    for (let i = this.argc * 2 - 1; i >= 0; i--) args[i]! -= distance;
  }

  /** @returns false when there is no memory */
  #growArgs(): boolean {
    const grown = ifMemory(() => new Int32Array(this.args.length * 2));
    grown?.set(this.args);
    if (grown !== undefined) this.args = grown;
    return grown !== undefined;
  }

  #noMemory(): string {
    return `no memory for a request of ${this.pendingBytes} bytes so far`;
  }
}
