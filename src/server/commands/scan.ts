/**
 * HSCAN, SSCAN and ZSCAN, and what SCAN shares with them: cursor, options and the reply, which is
 * written before it is known how long it gets. Source: Redis 7.0 src/db.c `scanGenericCommand`.
 */

import { argEnd, argInteger, argIs, argStart, type Call, failSyntax } from "../call.ts";
import { matchGlob } from "../glob.ts";
import { INVALID_CURSOR, ReplyError } from "../replies.ts";
import type { ByteRange } from "../types/byte-range.ts";
import { prependReply, readHead } from "./collections.ts";
import { Elements, type ElementsKind } from "./elements.ts";

const INVALID_CURSOR_ERROR = new ReplyError(INVALID_CURSOR);
const COUNT_DEFAULT = 10;
/** A step may find nothing; after so many for each element asked for the client gets its turn. */
const STEPS_PER_ELEMENT = 10;
const STAR = 0x2a;

/** A scan's options. */
export interface ScanOptions {
  /** Elements asked for, 1 or more. */
  count: number;
  /** Argument that is the pattern; 0 for none. */
  pattern: number;
  /** Argument that names the type of the keys asked for; 0 for any. Only of SCAN. */
  type: number;
}

/**
 * The cursor in argument `i`.
 * @param bits our cursors have no more (at most 53); other bits mean nothing
 * @throws ReplyError `invalid cursor`
 */
export function argCursor(call: Call, i: number, bits = 32): number {
  const text = call.buf.toString("latin1", argStart(call, i), argEnd(call, i));
  // strtoul over the whole argument: signs are taken, blanks in front are not, nothing at all is 0.
  if (!/^(?:[+-]?\d{1,20})?$/.test(text)) throw INVALID_CURSOR_ERROR;
  const value = BigInt(text.replace("+", ""));
  if (value >= 2n ** 64n || value <= -(2n ** 64n)) throw INVALID_CURSOR_ERROR;
  return Number(BigInt.asUintN(bits, value));
}

/** COUNT, MATCH and, if it `takesType`, TYPE from argument `from` on. @throws ReplyError */
export function readScanOptions(call: Call, from: number, takesType = false): ScanOptions {
  const options: ScanOptions = { count: COUNT_DEFAULT, pattern: 0, type: 0 };
  for (let i = from; i < call.argc; i += 2) {
    if (i + 1 === call.argc) failSyntax();
    if (argIs(call, i, "count")) {
      options.count = argInteger(call, i + 1);
      if (options.count < 1) failSyntax();
    } else if (argIs(call, i, "match")) {
      options.pattern = i + 1;
      const at = argStart(call, i + 1);
      if (argEnd(call, i + 1) - at === 1 && call.buf[at] === STAR) options.pattern = 0;
    } else if (takesType && argIs(call, i, "type")) {
      options.type = i + 1;
    } else failSyntax();
  }
  return options;
}

/** HSCAN, SSCAN, ZSCAN: `key cursor [MATCH pattern] [COUNT n]`. */
export function scanCollection(call: Call, kind: ElementsKind): void {
  const cursor = argCursor(call, 2);
  const head = readHead(call, 1, kind.type);
  if (head === 0) {
    replyEmptyScan(call);
    return;
  }
  const options = readScanOptions(call, 3);
  const elements = new Elements(call, head, kind, true);
  replyScan(call, cursor, options, new ElementScan(call, options, elements));
}

/** What a scan goes through, step by step. */
export interface Scannable {
  /** Writes the elements of one step that match; returns the next cursor. */
  step(cursor: number): number;
  /** Elements found so far, matching or not. */
  readonly found: number;
  /** Replies written so far. */
  readonly written: number;
}

/** Replies with the next cursor and the array of what the steps write. */
export function replyScan(
  call: Call,
  start: number,
  options: ScanOptions,
  collection: Scannable,
): void {
  const mark = call.out.length;
  let cursor = start;
  let steps = options.count * STEPS_PER_ELEMENT;
  do {
    cursor = collection.step(cursor);
  } while (cursor !== 0 && collection.found < options.count && --steps > 0);
  const digits = String(cursor);
  const head = `*2\r\n$${digits.length}\r\n${digits}\r\n*${collection.written}\r\n`;
  prependReply(call, mark, head);
}

/** The scan of one collection. */
class ElementScan implements Scannable {
  found = 0;
  written = 0;
  readonly #call: Call;
  readonly #options: ScanOptions;
  readonly #elements: Elements;

  constructor(call: Call, options: ScanOptions, elements: Elements) {
    this.#call = call;
    this.#options = options;
    this.#elements = elements;
  }

  step(cursor: number): number {
    const next = this.#elements.beginScan(cursor);
    for (; this.#elements.next(); this.found++) {
      if (!matchesScan(this.#call, this.#options, this.#elements.shown)) continue;
      this.#elements.reply();
      this.written += this.#elements.width;
    }
    return next;
  }
}

/** Whether the scan wants the element. */
export function matchesScan(call: Call, options: ScanOptions, element: ByteRange): boolean {
  const { pattern } = options;
  if (pattern === 0) return true;
  const from = argStart(call, pattern);
  const { bytes, start, end } = element;
  return matchGlob(call.buf, from, argEnd(call, pattern), bytes, start, end);
}

/** The reply of a scan of nothing. */
function replyEmptyScan(call: Call): void {
  call.out.array(2);
  call.out.bulkText("0");
  call.out.emptyArray();
}
