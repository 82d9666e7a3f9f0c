/**
 * Writes a value as a DUMP payload that every server since Redis 2.6 reads: types 0 to 4,
 * version 6. Source: Redis 2.6 src/rdb.c.
 */

import type { ReplyWriter } from "../../resp/encoder.ts";
import type { Arena } from "../arena/arena.ts";
import { HASH, LIST, SET, STRING, ZSET } from "../types/value-type.ts";
import { CRC64_BYTES, sealCrc64 } from "./crc64.ts";
import {
  RDB_TYPE_HASH,
  RDB_TYPE_LIST,
  RDB_TYPE_SET,
  RDB_TYPE_STRING,
  RDB_TYPE_ZSET,
} from "./format.ts";
import { writeByte, writeLength, writeScore, writeString } from "./string-writer.ts";
import { ValueWalk } from "./value-walk.ts";

const RDB_VERSION = 6;

/** By type of value (value-type.ts). */
export const RDB_TYPES: Readonly<Record<number, number>> = {
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
