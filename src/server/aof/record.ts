/**
 * Pure: finds the records of an append-only file: RESP arrays of bulk strings, nothing else, and
 * annotation lines that start with `#`. Stricter than what a client may send, because here every
 * deviation is damage: it decides between "cut short" (INCOMPLETE) and "not what was written"
 * (CORRUPT), and says where.
 *
 *   *3\r\n $3\r\nSET\r\n $1\r\nk\r\n $5\r\nhello\r\n
 */

/** The bytes up to the end are the beginning of a record. `neededBytes` says how many at least. */
export const RECORD_INCOMPLETE = -1;
/** No record can start like this. `badAt` says where it stops making sense. */
const RECORD_CORRUPT = -2;

/** As Redis: more arguments or longer ones are never written. */
const ARGUMENTS_MAX = 1024 * 1024;
const ARGUMENT_BYTES_MAX = 512 * 1024 * 1024;
/** `*` or `$`, ten digits, CR LF. */
const HEADER_BYTES_MAX = 13;
const ANNOTATION_BYTES_MAX = 1024;

const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;
const NINE = 0x39;
const STAR = 0x2a;
const DOLLAR = 0x24;
const HASH = 0x23;

export class RecordScanner {
  /**
   * args[2 * i] and args[2 * i + 1]: start and end of argument i, indexes of the scanned buffer.
   */
  args = new Int32Array(32);
  /** 0 for an annotation. */
  argc = 0;
  /** After INCOMPLETE: the record has at least this many bytes. */
  neededBytes = 0;
  /** After CORRUPT: index of the byte that cannot be. */
  badAt = 0;

  /** The number a header line holds, after `#header`. */
  #value = 0;

  /**
   * @param buf a record starts at `from`; bytes from `to` on are not looked at
   * @returns index after the record, RECORD_INCOMPLETE or RECORD_CORRUPT
   */
  scan(buf: Buffer, from: number, to: number): number {
    this.argc = 0;
    if (from >= to) return this.#incomplete(1);
    if (buf[from] === HASH) return this.#annotation(buf, from, to);
    let at = this.#header(buf, from, to, STAR, ARGUMENTS_MAX);
    if (at < 0) return this.#failed(at, from);
    const argc = this.#value;
    if (argc === 0) return this.#corrupt(from + 1);
    if (this.args.length < 2 * argc && to - at >= 5 * argc) this.#grow(argc);
    for (let i = 0; i < argc; i++) {
      const start = this.#header(buf, at, to, DOLLAR, ARGUMENT_BYTES_MAX);
      if (start < 0) return this.#failed(start, from);
      const end = start + this.#value;
      if (end + 2 > to) {
        if (end < to && buf[end] !== CR) return this.#corrupt(end);
        return this.#incomplete(end + 2 - from);
      }
      if (buf[end] !== CR) return this.#corrupt(end);
      if (buf[end + 1] !== LF) return this.#corrupt(end + 1);
      // Too many arguments for the bytes at hand: the array was not grown, and INCOMPLETE follows.
      if (2 * i + 1 < this.args.length) {
        this.args[2 * i] = start;
        this.args[2 * i + 1] = end;
      }
      at = end + 2;
    }
    this.argc = argc;
    return at;
  }

  #grow(argc: number): void {
    let length = this.args.length;
    while (length < 2 * argc) length *= 2;
    this.args = new Int32Array(length);
  }

  #incomplete(bytes: number): number {
    this.neededBytes = bytes;
    return RECORD_INCOMPLETE;
  }

  #corrupt(at: number): number {
    this.badAt = at;
    return RECORD_CORRUPT;
  }

  /** A header's failure seen from the record: `neededBytes` counts from the record's start. */
  #failed(outcome: number, from: number): number {
    if (outcome === RECORD_INCOMPLETE) this.neededBytes -= from;
    return outcome;
  }

  /**
   * Reads `<mark><decimal>\r\n` into `#value`. Returns the index after it; or INCOMPLETE, with the
   * index that must exist in `neededBytes`; or CORRUPT.
   */
  #header(buf: Buffer, from: number, to: number, mark: number, max: number): number {
    if (from >= to) return this.#incomplete(from + 1);
    if (buf[from] !== mark) return this.#corrupt(from);
    let value = 0;
    let at = from + 1;
    for (; at < to; at++) {
      const byte = buf[at]!;
      if (byte === CR && at > from + 1) {
        if (at + 1 >= to) return this.#incomplete(at + 2);
        if (buf[at + 1] !== LF) return this.#corrupt(at + 1);
        if (value > max) return this.#corrupt(from + 1);
        this.#value = value;
        return at + 2;
      }
      if (byte < ZERO || byte > NINE || at - from > HEADER_BYTES_MAX) return this.#corrupt(at);
      value = value * 10 + (byte - ZERO);
    }
    return this.#incomplete(to + 1);
  }

  #annotation(buf: Buffer, from: number, to: number): number {
    const limit = Math.min(to, from + ANNOTATION_BYTES_MAX);
    for (let at = from + 1; at < limit; at++) {
      if (buf[at] === LF) return at + 1;
    }
    if (limit < to) return this.#corrupt(limit);
    return this.#incomplete(to - from + 1);
  }
}

/**
 * Whether damage at `badAt` is only a tail that never reached the disk: nothing but zero bytes up
 * to the end. A file system may lengthen a file before it writes what belongs there.
 */
export function isZeroTail(buf: Buffer, badAt: number, to: number): boolean {
  for (let i = badAt; i < to; i++) {
    if (buf[i] !== 0) return false;
  }
  return true;
}

/**
 * Whether complete records lie inside `buf[from, to)`, which starts with a record that seems cut
 * short. Then it was not cut: a length in it is damaged, and what follows would be thrown away. A
 * value that happens to hold records itself, cut, looks the same; to stop is the safe mistake.
 */
export function hidesRecords(
  scanner: RecordScanner,
  buf: Buffer,
  from: number,
  to: number,
): boolean {
  for (let at = buf.indexOf("\r\n*", from); at >= 0 && at < to; at = buf.indexOf("\r\n*", at + 1)) {
    let next = at + 2;
    let records = 0;
    while (next < to) {
      const after = scanner.scan(buf, next, to);
      if (after < 0) break;
      records++;
      next = after;
    }
    const reachesEnd = next === to || scanner.scan(buf, next, to) === RECORD_INCOMPLETE;
    if (records > 0 && reachesEnd) return true;
  }
  return false;
}
