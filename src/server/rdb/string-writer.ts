/**
 * Pure: lengths, strings and scores as RDB writes them, the forms that every server since Redis 2.6
 * reads: nothing compressed, numbers in strings as the 8, 16 and 32 bit specials, scores as text.
 * Source: Redis 2.6 src/rdb.c.
 */

import { parseSafeInteger } from "../../base/bytes.ts";
import type { ReplyWriter } from "../../resp/encoder.ts";
import { formatDouble } from "../double.ts";
import { SCORE_INFINITY, SCORE_MINUS_INFINITY } from "./format.ts";

/** Longest decimal text of an int32. */
const SPECIAL_CHARS_MAX = 11;

export function writeByte(byte: number, out: ReplyWriter): void {
  out.reserve(1);
  out.buf[out.length++] = byte;
}

export function writeLength(length: number, out: ReplyWriter): void {
  out.reserve(5);
  const { buf } = out;
  if (length < 0x40) {
    buf[out.length++] = length;
  } else if (length < 0x4000) {
    buf[out.length++] = 0x40 | (length >>> 8);
    buf[out.length++] = length & 255;
  } else {
    buf[out.length] = 0x80;
    buf.writeUInt32BE(length, out.length + 1);
    out.length += 5;
  }
}

/**
 * Begins the string `bytes[start, end)`.
 * @returns whether its bytes must follow; a number is whole already
 */
export function beginString(bytes: Buffer, start: number, end: number, out: ReplyWriter): boolean {
  if (end - start <= SPECIAL_CHARS_MAX) {
    const value = parseSafeInteger(bytes, start, end);
    if (value === (value | 0)) {
      writeSpecial(value, out);
      return false;
    }
  }
  writeLength(end - start, out);
  return true;
}

export function writeString(bytes: Buffer, start: number, end: number, out: ReplyWriter): void {
  if (beginString(bytes, start, end, out)) out.append(bytes, start, end);
}

function writeSpecial(value: number, out: ReplyWriter): void {
  out.reserve(5);
  const { buf, length } = out;
  if (value === (value << 24) >> 24) {
    buf[length] = 0xc0;
    out.length = buf.writeInt8(value, length + 1);
  } else if (value === (value << 16) >> 16) {
    buf[length] = 0xc1;
    out.length = buf.writeInt16LE(value, length + 1);
  } else {
    buf[length] = 0xc2;
    out.length = buf.writeInt32LE(value, length + 1);
  }
}

export function writeScore(score: number, out: ReplyWriter): void {
  if (Number.isFinite(score)) {
    const text = formatDouble(score);
    out.reserve(1 + text.length);
    out.buf[out.length] = text.length;
    out.length += 1 + out.buf.write(text, out.length + 1, "latin1");
  } else {
    writeByte(score > 0 ? SCORE_INFINITY : SCORE_MINUS_INFINITY, out);
  }
}
