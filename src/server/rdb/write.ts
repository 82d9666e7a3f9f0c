/**
 * Writes a value as a DUMP payload that every server since Redis 2.6 reads: types 0 to 4, version 6,
 * nothing compressed, numbers in strings as the 8, 16 and 32 bit specials.
 * Source: Redis 2.6 src/rdb.c.
 */

import { parseSafeInteger } from "../../base/bytes.ts";
import type { ReplyWriter } from "../../resp/encoder.ts";
import type { Arena } from "../arena/arena.ts";
import { formatDouble } from "../double.ts";
import { HASH, LIST, SET, STRING, ZSET } from "../types/value-type.ts";
import { CRC64_BYTES, sealCrc64 } from "./crc64.ts";
import {
  RDB_TYPE_HASH,
  RDB_TYPE_LIST,
  RDB_TYPE_SET,
  RDB_TYPE_STRING,
  RDB_TYPE_ZSET,
  SCORE_INFINITY,
  SCORE_MINUS_INFINITY,
} from "./format.ts";
import { ValueWalk } from "./value-walk.ts";

const RDB_VERSION = 6;
/** Longest decimal text of an int32. */
const SPECIAL_CHARS_MAX = 11;

/** By type of value (value-type.ts). */
const RDB_TYPES: Readonly<Record<number, number>> = {
  [STRING]: RDB_TYPE_STRING,
  [LIST]: RDB_TYPE_LIST,
  [SET]: RDB_TYPE_SET,
  [ZSET]: RDB_TYPE_ZSET,
  [HASH]: RDB_TYPE_HASH,
};

const walk = new ValueWalk();

/** No payload is larger; a client could not send it back in a request. */
export const PAYLOAD_BYTES_MAX = 1024 * 1024 * 1024;

/**
 * Appends the payload of the value of the key in `entry` to `out`: raw bytes, no RESP around it.
 * Stops when `out` is overfull, which callers look at.
 */
export function writePayload(arena: Arena, entry: number, out: ReplyWriter): void {
  const start = out.length;
  walk.begin(arena, entry);
  writeByte(RDB_TYPES[walk.type]!, out);
  if (walk.type !== STRING) writeLength(walk.count, out);
  while (walk.next()) {
    writeString(walk.first.bytes, walk.first.start, walk.first.end, out);
    if (walk.type === HASH) writeString(walk.second.bytes, walk.second.start, walk.second.end, out);
    else if (walk.type === ZSET) writeScore(walk.score, out);
    if (out.isOverfull) return;
  }
  writeByte(RDB_VERSION, out);
  writeByte(0, out);
  out.reserve(CRC64_BYTES);
  sealCrc64(out.buf, start, out.length);
  out.length += CRC64_BYTES;
}

function writeByte(byte: number, out: ReplyWriter): void {
  out.reserve(1);
  out.buf[out.length++] = byte;
}

function writeLength(length: number, out: ReplyWriter): void {
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

function writeString(bytes: Buffer, start: number, end: number, out: ReplyWriter): void {
  if (end - start <= SPECIAL_CHARS_MAX) {
    const value = parseSafeInteger(bytes, start, end);
    if (value === (value | 0)) {
      writeSpecial(value, out);
      return;
    }
  }
  writeLength(end - start, out);
  out.append(bytes, start, end);
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

function writeScore(score: number, out: ReplyWriter): void {
  if (Number.isFinite(score)) {
    const text = formatDouble(score);
    out.reserve(1 + text.length);
    out.buf[out.length] = text.length;
    out.length += 1 + out.buf.write(text, out.length + 1, "latin1");
  } else {
    writeByte(score > 0 ? SCORE_INFINITY : SCORE_MINUS_INFINITY, out);
  }
}
