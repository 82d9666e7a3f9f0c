/**
 * Pure: reads a serialised value, of every type and form that Redis up to 8 writes, into a sink.
 *
 *   payload  = type byte, body, RDB version (u16 LE), CRC-64 of all before (8 bytes LE)
 *   body     = per type; strings as in string-reader.ts, inside which the compact structures lie
 *
 * The sink is fed while the body is read, so it must be able to throw away what it has: a payload
 * may turn out malformed at its last byte. Empty collections, repeated members, NaN, and bytes left
 * over are malformed here, though some Redis versions take them. Source: Redis 7.0 src/rdb.c
 * (`rdbLoadObject`), src/cluster.c (`verifyDumpPayload`).
 */

import { CRC64_BYTES, matchesCrc64 } from "./crc64.ts";
import { IntsetReader } from "./intset.ts";
import { ListpackReader } from "./listpack.ts";
import { demand, type ElementReader, MalformedPayload, Slice, scoreOf } from "./slice.ts";
import { PlainReader, StringReader } from "./string-reader.ts";
import { ZiplistReader } from "./ziplist.ts";
import { ZipmapReader } from "./zipmap.ts";

/** The newest RDB version whose payloads are understood (Redis 8.0). */
const RDB_VERSION_MAX = 12;

/** The version and the checksum behind a body. */
const FOOTER_BYTES = 2 + CRC64_BYTES;

/** Type bytes, with Redis' names. */
export const RDB_TYPE_STRING = 0;
export const RDB_TYPE_LIST = 1;
export const RDB_TYPE_SET = 2;
export const RDB_TYPE_ZSET = 3;
export const RDB_TYPE_HASH = 4;
const RDB_TYPE_ZSET_2 = 5;
const RDB_TYPE_HASH_ZIPMAP = 9;
const RDB_TYPE_LIST_ZIPLIST = 10;
const RDB_TYPE_SET_INTSET = 11;
const RDB_TYPE_ZSET_ZIPLIST = 12;
const RDB_TYPE_HASH_ZIPLIST = 13;
const RDB_TYPE_LIST_QUICKLIST = 14;
const RDB_TYPE_HASH_LISTPACK = 16;
const RDB_TYPE_ZSET_LISTPACK = 17;
const RDB_TYPE_LIST_QUICKLIST_2 = 18;
const RDB_TYPE_SET_LISTPACK = 20;

/** Containers of a quicklist 2 node. */
const NODE_PLAIN = 1;
const NODE_PACKED = 2;

/** First bytes of a type 3 score that are no length. */
const SCORE_NAN = 253;
export const SCORE_INFINITY = 254;
export const SCORE_MINUS_INFINITY = 255;

export type ValueKind = "string" | "list" | "set" | "zset" | "hash";

/**
 * Takes a value as it is read: `begin` once, then its parts. A slice is valid during the call only.
 * `member`, `scored` and `field` answer false when the member or field was there already.
 */
export interface ValueSink {
  begin(kind: ValueKind): void;
  string(value: Slice): void;
  push(item: Slice): void;
  member(member: Slice): boolean;
  scored(member: Slice, score: number): boolean;
  field(field: Slice, value: Slice): boolean;
}

/** "footer": wrong version or checksum. "body": the rest. */
export type ReadOutcome = "ok" | "footer" | "body";

/** Whether `bytes[start, end)` ends in a footer we accept: version at most 12, checksum right. */
function hasValidFooter(bytes: Buffer, start: number, end: number): boolean {
  const footer = end - FOOTER_BYTES;
  if (footer < start) return false;
  if (bytes.readUInt16LE(footer) > RDB_VERSION_MAX) return false;
  return matchesCrc64(bytes, start, footer + 2);
}

/**
 * Reads the payload `bytes[start, end)` into `sink`. When the answer is not "ok", what the sink was
 * given so far is to be thrown away.
 */
export function readPayload(
  bytes: Buffer,
  start: number,
  end: number,
  sink: ValueSink,
): ReadOutcome {
  if (!hasValidFooter(bytes, start, end)) return "footer";
  try {
    const source = new StringReader(bytes, start, end - FOOTER_BYTES);
    readBody(source, bytes[source.take(1)]!, sink);
    demand(source.at === source.end, "bytes after the body");
    return "ok";
  } catch (error) {
    if (error instanceof MalformedPayload) return "body";
    throw error;
  }
}

// Two at once are enough (field and value); nothing here waits or calls itself.
const first = new Slice();
const second = new Slice();
const packed = new Slice();

/**
 * Reads one body of the given type, and stops behind it.
 * @throws MalformedPayload
 */
function readBody(source: StringReader, type: number, sink: ValueSink): void {
  demand(readParts(source, type, sink) > 0, "empty collection");
}

/** How many parts the value has. */
function readParts(source: StringReader, type: number, sink: ValueSink): number {
  switch (type) {
    case RDB_TYPE_STRING:
      sink.begin("string");
      source.string(first);
      sink.string(first);
      return 1;
    case RDB_TYPE_LIST:
      return readList(new PlainReader(source, source.length()), sink);
    case RDB_TYPE_LIST_ZIPLIST:
      return readList(packedReader(source, ZiplistReader), sink);
    case RDB_TYPE_LIST_QUICKLIST:
    case RDB_TYPE_LIST_QUICKLIST_2:
      return readQuicklist(source, type === RDB_TYPE_LIST_QUICKLIST_2, sink);
    case RDB_TYPE_SET:
      return readSet(new PlainReader(source, source.length()), sink);
    case RDB_TYPE_SET_INTSET:
      return readSet(packedReader(source, IntsetReader), sink);
    case RDB_TYPE_SET_LISTPACK:
      return readSet(packedReader(source, ListpackReader), sink);
    case RDB_TYPE_ZSET:
    case RDB_TYPE_ZSET_2:
      return readPlainZset(source, type === RDB_TYPE_ZSET_2, sink);
    case RDB_TYPE_ZSET_ZIPLIST:
      return readPackedZset(packedReader(source, ZiplistReader), sink);
    case RDB_TYPE_ZSET_LISTPACK:
      return readPackedZset(packedReader(source, ListpackReader), sink);
    case RDB_TYPE_HASH:
      return readHash(new PlainReader(source, 2 * source.length()), sink);
    case RDB_TYPE_HASH_ZIPMAP:
      return readHash(packedReader(source, ZipmapReader), sink);
    case RDB_TYPE_HASH_ZIPLIST:
      return readHash(packedReader(source, ZiplistReader), sink);
    case RDB_TYPE_HASH_LISTPACK:
      return readHash(packedReader(source, ListpackReader), sink);
    default:
      throw new MalformedPayload(`type ${type}`);
  }
}

type PackedReader = new (bytes: Buffer, start: number, end: number) => ElementReader;

/** A reader of the structure in the next string. */
function packedReader(source: StringReader, Reader: PackedReader): ElementReader {
  source.string(packed);
  return new Reader(packed.bytes, packed.start, packed.end);
}

function readList(items: ElementReader, sink: ValueSink): number {
  sink.begin("list");
  return pushAll(items, sink);
}

function pushAll(items: ElementReader, sink: ValueSink): number {
  let count = 0;
  for (; items.next(first); count++) sink.push(first);
  return count;
}

function readQuicklist(source: StringReader, tagged: boolean, sink: ValueSink): number {
  sink.begin("list");
  let count = 0;
  for (let nodes = source.length(); nodes > 0; nodes--) {
    const container = tagged ? source.length() : NODE_PACKED;
    if (container === NODE_PLAIN) {
      source.string(first);
      sink.push(first);
      count++;
    } else {
      demand(container === NODE_PACKED, "quicklist container");
      count += pushAll(packedReader(source, tagged ? ListpackReader : ZiplistReader), sink);
    }
  }
  return count;
}

function readSet(members: ElementReader, sink: ValueSink): number {
  sink.begin("set");
  let count = 0;
  for (; members.next(first); count++) demand(sink.member(first), "repeated set member");
  return count;
}

function readHash(parts: ElementReader, sink: ValueSink): number {
  sink.begin("hash");
  let count = 0;
  for (; parts.next(first); count++) {
    demand(parts.next(second), "field without value");
    demand(sink.field(first, second), "repeated hash field");
  }
  return count;
}

function readPackedZset(parts: ElementReader, sink: ValueSink): number {
  sink.begin("zset");
  let count = 0;
  for (; parts.next(first); count++) {
    demand(parts.next(second), "member without score");
    demand(sink.scored(first, scoreOf(second)), "repeated zset member");
  }
  return count;
}

function readPlainZset(source: StringReader, binary: boolean, sink: ValueSink): number {
  sink.begin("zset");
  const count = source.length();
  for (let i = 0; i < count; i++) {
    source.string(first);
    const score = binary ? source.bytes.readDoubleLE(source.take(8)) : readTextScore(source);
    demand(!Number.isNaN(score), "score is NaN");
    demand(sink.scored(first, score), "repeated zset member");
  }
  return count;
}

function readTextScore(source: StringReader): number {
  const length = source.bytes[source.take(1)]!;
  if (length === SCORE_INFINITY) return Infinity;
  if (length === SCORE_MINUS_INFINITY) return -Infinity;
  if (length === SCORE_NAN) return Number.NaN;
  const at = source.take(length);
  second.set(source.bytes, at, at + length);
  return scoreOf(second);
}
