/**
 * Pure: inline requests, a line of words as a person types it. `RequestDecoder` rewrites them as
 * the RESP array they stand for. Lines of a few words without quotes, what programs send, take one
 * allocation, that array; the others are rare, and their words come out as Buffers.
 *
 * Sources: Redis 7.0 sds.c `sdssplitargs` (server), Codis pkg/proxy/redis/decoder.go
 * `decodeSingleLineMultiBulk` (proxy).
 */

import { copyBytes, digitCount, indexOfByte, lowerByte } from "../base/bytes.ts";
import { writeLengthLine } from "./encoder.ts";

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const STAR = 0x2a;
const DOLLAR = 0x24;
const DOUBLE_QUOTE = 0x22;
const SINGLE_QUOTE = 0x27;
const BACKSLASH = 0x5c;
const LETTER_X = 0x78;

/** What an escape letter between double quotes stands for; any other letter stands for itself. */
const ESCAPES: Readonly<Record<number, number>> = {
  110: 0x0a, // \n
  114: 0x0d, // \r
  116: 0x09, // \t
  98: 0x08, // \b
  97: 0x07, // \a
};

/** Words between spaces; tabs and quotes are ordinary bytes. */
export function splitSpaces(buf: Buffer, from: number, to: number): Buffer[] {
  const words: Buffer[] = [];
  let at = from;
  while (at < to) {
    if (buf[at] === SPACE) {
      at++;
      continue;
    }
    const space = indexOfByte(buf, SPACE, at, to);
    const end = space < 0 ? to : space;
    words.push(buf.subarray(at, end));
    at = end;
  }
  return words;
}

/**
 * Words between blanks, where `"..."` takes escapes (`\n`, `\x41`, ...) and `'...'` only `\'`; a
 * quote must be followed by a blank or the end. As in C, a NUL byte ends the line.
 * @returns undefined when quotes are unbalanced
 */
export function splitQuoted(buf: Buffer, from: number, to: number): Buffer[] | undefined {
  const nul = indexOfByte(buf, 0, from, to);
  const end = nul < 0 ? to : nul;
  const words: Buffer[] = [];
  // Escapes only shorten, so all words together fit in the length of the line.
  const text = Buffer.allocUnsafeSlow(end - from);
  let length = 0;
  let at = from;
  for (;;) {
    while (at < end && isBlank(buf[at]!)) at++;
    if (at === end) return words;
    const start = length;
    let quote = 0;
    for (; at < end; at++) {
      const byte = buf[at]!;
      if (quote === 0) {
        if (endsWord(byte)) break;
        if (byte === DOUBLE_QUOTE || byte === SINGLE_QUOTE) quote = byte;
        else text[length++] = byte;
      } else if (byte === quote) {
        if (at + 1 < end && !isBlank(buf[at + 1]!)) return undefined;
        quote = 0;
      } else if (byte === BACKSLASH && quote === SINGLE_QUOTE && buf[at + 1] === SINGLE_QUOTE) {
        text[length++] = SINGLE_QUOTE;
        at++;
      } else if (byte === BACKSLASH && quote === DOUBLE_QUOTE && at + 1 < end) {
        const hex = hexEscape(buf, at, end);
        text[length++] = hex >= 0 ? hex : (ESCAPES[buf[at + 1]!] ?? buf[at + 1]!);
        at += hex >= 0 ? 3 : 1;
      } else {
        text[length++] = byte;
      }
    }
    if (quote !== 0) return undefined;
    words.push(text.subarray(start, length));
  }
}

/**
 * The same for a line without quotes and NUL: word i becomes buf[words[2i], words[2i + 1]).
 * @returns how many words; -1 when the line has such bytes, or more words than there is room for
 */
export function findPlainWords(buf: Buffer, from: number, to: number, words: Int32Array): number {
  let count = 0;
  let at = from;
  for (;;) {
    while (at < to && isBlank(buf[at]!)) at++;
    if (at === to) return count;
    if (2 * count === words.length) return -1;
    words[2 * count] = at;
    for (; at < to && !endsWord(buf[at]!); at++) {
      const byte = buf[at]!;
      if (byte === DOUBLE_QUOTE || byte === SINGLE_QUOTE || byte === 0) return -1;
    }
    words[2 * count++ + 1] = at;
  }
}

/**
 * The RESP array of such words.
 * @param words where they lie in `buf`; changed to where they lie in the array
 */
export function encodePlainWords(buf: Buffer, words: Int32Array, count: number): Buffer {
  let bytes = digitCount(count) + 3;
  for (let i = 0; i < count; i++) {
    const length = words[2 * i + 1]! - words[2 * i]!;
    bytes += digitCount(length) + length + 5;
  }
  const request = Buffer.allocUnsafeSlow(bytes);
  let at = writeLengthLine(STAR, count, request, 0);
  for (let i = 0; i < count; i++) {
    const from = words[2 * i]!;
    const to = words[2 * i + 1]!;
    at = writeLengthLine(DOLLAR, to - from, request, at);
    copyBytes(buf, from, to, request, at);
    words[2 * i] = at;
    at += to - from;
    words[2 * i + 1] = at;
    request[at++] = CR;
    request[at++] = LF;
  }
  return request;
}

/** Fewer than are skipped before a word and taken behind a quote; Redis makes this difference. */
function endsWord(byte: number): boolean {
  return byte === SPACE || byte === TAB || byte === LF || byte === CR;
}

/** C's isspace. */
function isBlank(byte: number): boolean {
  return byte === SPACE || (byte >= 0x09 && byte <= 0x0d);
}

/** The byte that `\xHH` at `at` stands for, or -1 when it is no such escape. */
function hexEscape(buf: Buffer, at: number, end: number): number {
  if (at + 3 >= end || buf[at + 1] !== LETTER_X) return -1;
  const high = hexDigit(buf[at + 2]!);
  const low = hexDigit(buf[at + 3]!);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = lowerByte(byte);
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1;
}
