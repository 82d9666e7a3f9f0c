/**
 * Pure: finds where a reply ends, in a stream cut anywhere, without making values of it. A reply
 * that spans chunks can so be passed on piece by piece: no byte is looked at again or kept.
 *
 *   type ──> line (+ - : , ( # _) ─────────────────────────> one reply less is missing
 *     └───> number ──> bytes of a bulk ($ = !) ────────────> one less
 *                └──> elements (* ~ > %) ──────────────────> one less, as many more as announced
 *                └──> attribute (|): a note on the reply that follows it, which stays missing
 *
 * Nesting is that one count of missing replies: a reply is over when none is missing.
 * Sources: RESP2 and RESP3 specifications; Codis pkg/proxy/redis/decoder.go for the limits.
 */

/** Answers of `scan` that are no index. */
export const REPLY_INCOMPLETE = -1;
export const REPLY_ERROR = -2;

/** Bytes of one bulk, and of one line. */
const REPLY_BULK_BYTES_MAX = 512 * 1024 * 1024;
/** Elements of one array, set or push, or pairs of a map. Redis counts them with an int. */
const REPLY_ELEMENTS_MAX = 2 ** 31 - 1;

const CR = 0x0d;
const LF = 0x0a;
const DOLLAR = 0x24;
const MINUS = 0x2d;
const ZERO = 0x30;

type Step =
  | 0 // the next byte is a type
  | 1 // in a line that is not a number; #count bytes so far
  | 2 // in a number; #count so far
  | 3 // its CR was seen
  | 4; // in the bytes of a bulk and their CR LF; #count bytes to go
const TYPE = 0;
const LINE = 1;
const NUMBER = 2;
const NUMBER_LF = 3;
const BULK = 4;

/** No digit of the number was seen yet. */
const NO_DIGITS = -1;

/** Whether buf[from..] is `-1\r\n`, what follows the type of a null. */
function isMinusOne(buf: Buffer, from: number, to: number): boolean {
  return (
    to - from >= 4 &&
    buf[from] === MINUS &&
    buf[from + 1] === ZERO + 1 &&
    buf[from + 2] === CR &&
    buf[from + 3] === LF
  );
}

/** Longest bulk that `endOfBulk` knows: a length of at most 5 digits. */
const SHORT_BULK_DIGITS = 5;

/**
 * The index after a short bulk, or a null, that lies whole in buf[from, to), `from` behind its `$`;
 * 0 when it does not or is anything else. Saves half of the time of going through the steps.
 */
function endOfBulk(buf: Buffer, from: number, to: number): number {
  let length = 0;
  let at = from;
  for (; at < to; at++) {
    const digit = buf[at]! - ZERO;
    if (digit < 0 || digit > 9) break;
    length = length * 10 + digit;
  }
  if (at === from) return isMinusOne(buf, from, to) ? from + 4 : 0;
  if (at - from > SHORT_BULK_DIGITS) return 0;
  const end = at + length + 4;
  if (end > to || buf[at] !== CR || buf[at + 1] !== LF) return 0;
  return buf[end - 2] === CR && buf[end - 1] === LF ? end : 0;
}

export class ReplyScanner {
  /** Why REPLY_ERROR; final until `reset`. */
  error = "";
  #missing = 0;
  #step: Step = TYPE;
  #type = 0;
  #count = 0;
  #isNegative = false;
  /** In a line: the byte before was a CR. */
  #sawCr = false;

  /** Forgets an unfinished reply, for a new connection. */
  reset(): void {
    this.error = "";
    this.#missing = 0;
    this.#step = TYPE;
  }

  /**
   * Goes on with the current reply, or begins one, at buf[from, to).
   * @returns the index after the reply's last byte; REPLY_INCOMPLETE: everything up to `to` belongs
   *   to it and it goes on; REPLY_ERROR: see `error`
   */
  scan(buf: Buffer, from: number, to: number): number {
    if (this.error !== "") return REPLY_ERROR;
    let at = from;
    while (at < to) {
      switch (this.#step) {
        case TYPE:
          at = this.#scanType(buf, at, to);
          break;
        case LINE:
          at = this.#scanLine(buf, at, to);
          break;
        case NUMBER:
        case NUMBER_LF:
          at = this.#scanNumber(buf, at, to);
          break;
        case BULK:
          at = this.#scanBulk(buf, at, to);
          break;
      }
      if (at < 0) return REPLY_ERROR;
      if (this.#missing === 0) return at;
    }
    return REPLY_INCOMPLETE;
  }

  #scanType(buf: Buffer, at: number, to: number): number {
    const type = buf[at]!;
    if (this.#missing === 0) this.#missing = 1;
    if (type === DOLLAR) {
      const end = endOfBulk(buf, at + 1, to);
      if (end > 0) return this.#endOne(end);
    }
    this.#type = type;
    switch (type) {
      case 0x24: // $
      case 0x2a: // *
      case 0x25: // %
      case 0x7e: // ~
      case 0x3e: // >
      case 0x3d: // =
      case 0x21: // !
      case 0x7c: // |
        this.#step = NUMBER;
        this.#count = NO_DIGITS;
        this.#isNegative = false;
        return at + 1;
      case 0x2b: // +
      case 0x2d: // -
      case 0x3a: // :
      case 0x2c: // ,
      case 0x28: // (
      case 0x23: // #
      case 0x5f: // _
        this.#step = LINE;
        this.#count = 0;
        this.#sawCr = false;
        return at + 1;
      default:
        return this.#fail(`invalid reply type '${String.fromCharCode(type)}'`);
    }
  }

  #scanLine(buf: Buffer, from: number, to: number): number {
    let sawCr = this.#sawCr;
    for (let at = from; at < to; at++) {
      const byte = buf[at]!;
      if (byte === LF) {
        if (!sawCr) return this.#fail("expected CRLF");
        return this.#endOne(at + 1);
      }
      sawCr = byte === CR;
    }
    this.#sawCr = sawCr;
    this.#count += to - from;
    if (this.#count > REPLY_BULK_BYTES_MAX) return this.#fail("too long line");
    return to;
  }

  #scanNumber(buf: Buffer, from: number, to: number): number {
    let at = from;
    if (this.#step === NUMBER) {
      let count = this.#count;
      for (; at < to; at++) {
        const byte = buf[at]!;
        const digit = byte - ZERO;
        if (digit >= 0 && digit <= 9) {
          count = count < 0 ? digit : count * 10 + digit;
          if (count > REPLY_ELEMENTS_MAX) return this.#fail("invalid length");
        } else if (byte === CR) {
          this.#step = NUMBER_LF;
          break;
        } else if (byte === MINUS && count === NO_DIGITS && !this.#isNegative) {
          this.#isNegative = true;
        } else {
          return this.#fail("invalid length");
        }
      }
      this.#count = count;
      if (at === to) return at;
      at++;
      if (at === to) return at;
    }
    if (buf[at] !== LF || this.#count === NO_DIGITS) return this.#fail("invalid length");
    return this.#endNumber(at + 1);
  }

  /** The length or count is known; `at` is the index after its line. */
  #endNumber(at: number): number {
    const count = this.#count;
    const type = this.#type;
    const isBulk = type === 0x24 || type === 0x3d || type === 0x21;
    if (this.#isNegative) {
      // Only `$-1` and `*-1` are replies: null.
      if (count !== 1 || (type !== 0x24 && type !== 0x2a)) return this.#fail("invalid length");
      return this.#endOne(at);
    }
    if (isBulk) {
      if (count > REPLY_BULK_BYTES_MAX) return this.#fail("invalid bulk length");
      this.#count = count + 2;
      this.#step = BULK;
      return at;
    }
    if (type === 0x7c) {
      this.#missing += 2 * count;
      this.#step = TYPE;
      return at;
    }
    this.#missing += type === 0x25 ? 2 * count : count;
    return this.#endOne(at);
  }

  #scanBulk(buf: Buffer, from: number, to: number): number {
    let left = this.#count;
    let at = from;
    if (left > 2) {
      const skipped = Math.min(left - 2, to - at);
      left -= skipped;
      at += skipped;
    }
    for (; left > 0 && at < to; at++, left--) {
      if (buf[at] !== (left === 2 ? CR : LF)) return this.#fail("expected CRLF after bulk");
    }
    this.#count = left;
    return left === 0 ? this.#endOne(at) : at;
  }

  #endOne(at: number): number {
    this.#missing--;
    this.#step = TYPE;
    return at;
  }

  #fail(error: string): number {
    this.error = error;
    return REPLY_ERROR;
  }
}
