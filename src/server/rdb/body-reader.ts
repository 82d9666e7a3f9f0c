/**
 * Pure: reads the body of a value, of every type and form that Redis up to 8 writes, into a sink; a
 * bounded number of elements per call, so that a file's huge values can be spread over turns.
 *
 *   begin(source, type, sink) ─> more(limit) ─> more(limit) ... true: the source stands behind it
 *
 * Repeated members, NaN and structures that contradict themselves are malformed here, though some
 * Redis versions take them. Source: Redis 7.0 src/rdb.c (`rdbLoadObject`).
 */

import {
  RDB_TYPE_HASH,
  RDB_TYPE_HASH_LISTPACK,
  RDB_TYPE_HASH_ZIPLIST,
  RDB_TYPE_HASH_ZIPMAP,
  RDB_TYPE_LIST,
  RDB_TYPE_LIST_QUICKLIST,
  RDB_TYPE_LIST_QUICKLIST_2,
  RDB_TYPE_LIST_ZIPLIST,
  RDB_TYPE_SET,
  RDB_TYPE_SET_INTSET,
  RDB_TYPE_SET_LISTPACK,
  RDB_TYPE_STRING,
  RDB_TYPE_ZSET,
  RDB_TYPE_ZSET_2,
  RDB_TYPE_ZSET_LISTPACK,
  RDB_TYPE_ZSET_ZIPLIST,
  SCORE_INFINITY,
  SCORE_MINUS_INFINITY,
  SCORE_NAN,
} from "./format.ts";
import { IntsetReader } from "./intset.ts";
import { ListpackReader } from "./listpack.ts";
import { demand, type ElementReader, MalformedPayload, Slice, scoreOf } from "./slice.ts";
import { PlainReader, type StringReader } from "./string-reader.ts";
import { ZiplistReader } from "./ziplist.ts";
import { ZipmapReader } from "./zipmap.ts";

/** Containers of a quicklist 2 node. */
const NODE_PLAIN = 1;
const NODE_PACKED = 2;

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

// Two at once are enough (field and value); nothing keeps them from one call to the next.
const first = new Slice();
const second = new Slice();
const packed = new Slice();

const KINDS: ReadonlyMap<number, ValueKind> = new Map([
  [RDB_TYPE_STRING, "string"],
  [RDB_TYPE_LIST, "list"],
  [RDB_TYPE_LIST_ZIPLIST, "list"],
  [RDB_TYPE_LIST_QUICKLIST, "list"],
  [RDB_TYPE_LIST_QUICKLIST_2, "list"],
  [RDB_TYPE_SET, "set"],
  [RDB_TYPE_SET_INTSET, "set"],
  [RDB_TYPE_SET_LISTPACK, "set"],
  [RDB_TYPE_ZSET, "zset"],
  [RDB_TYPE_ZSET_2, "zset"],
  [RDB_TYPE_ZSET_ZIPLIST, "zset"],
  [RDB_TYPE_ZSET_LISTPACK, "zset"],
  [RDB_TYPE_HASH, "hash"],
  [RDB_TYPE_HASH_ZIPMAP, "hash"],
  [RDB_TYPE_HASH_ZIPLIST, "hash"],
  [RDB_TYPE_HASH_LISTPACK, "hash"],
]);

/** Whether a body of this type can be read. */
export function isValueType(type: number): boolean {
  return KINDS.has(type);
}

/** Where the scores of a sorted set stand. */
type Scores = "packed" | "text" | "double";

export class BodyReader {
  /** Elements read so far; a string is one. 0 at the end is a collection that cannot be. */
  count = 0;
  #source: StringReader | undefined;
  #sink: ValueSink | undefined;
  #kind: ValueKind = "string";
  #parts: ElementReader | undefined;
  #scores: Scores = "packed";

  /**
   * @param source stands behind the type byte (and, in a file, the key)
   * @throws MalformedPayload for a type that is not known, or a body that cannot begin like this
   */
  begin(source: StringReader, type: number, sink: ValueSink): void {
    const kind = KINDS.get(type);
    if (kind === undefined) throw new MalformedPayload(`type ${type}`);
    this.count = 0;
    this.#source = source;
    this.#sink = sink;
    this.#kind = kind;
    this.#parts = kind === "string" ? undefined : partsOf(source, type);
    this.#scores = type === RDB_TYPE_ZSET ? "text" : type === RDB_TYPE_ZSET_2 ? "double" : "packed";
    sink.begin(kind);
  }

  /**
   * Reads up to `limit` elements, at least 2.
   * @returns whether that was all of the value
   * @throws MalformedPayload
   */
  more(limit: number): boolean {
    const read = this.#read(limit, this.#sink!);
    this.count += read;
    return read < limit;
  }

  #read(limit: number, sink: ValueSink): number {
    const parts = this.#parts!;
    switch (this.#kind) {
      case "string":
        this.#source!.string(first);
        sink.string(first);
        return 1;
      case "list":
        return readItems(parts, sink, limit);
      case "set":
        return readMembers(parts, sink, limit);
      case "hash":
        return readFields(parts, sink, limit);
      case "zset":
        if (this.#scores === "packed") return readPackedScores(parts, sink, limit);
        return readPlainScores(parts, this.#source!, this.#scores === "double", sink, limit);
    }
  }
}

/** The elements of a collection: for hashes fields and values in turn, for packed scores likewise. */
function partsOf(source: StringReader, type: number): ElementReader {
  switch (type) {
    case RDB_TYPE_LIST:
    case RDB_TYPE_SET:
    case RDB_TYPE_ZSET:
    case RDB_TYPE_ZSET_2:
      return new PlainReader(source, source.length());
    case RDB_TYPE_HASH:
      return new PlainReader(source, 2 * source.length());
    case RDB_TYPE_LIST_QUICKLIST:
      return new QuicklistReader(source, ZiplistReader, false);
    case RDB_TYPE_LIST_QUICKLIST_2:
      return new QuicklistReader(source, ListpackReader, true);
    case RDB_TYPE_SET_INTSET:
      return packedReader(source, IntsetReader);
    case RDB_TYPE_HASH_ZIPMAP:
      return packedReader(source, ZipmapReader);
    case RDB_TYPE_LIST_ZIPLIST:
    case RDB_TYPE_ZSET_ZIPLIST:
    case RDB_TYPE_HASH_ZIPLIST:
      return packedReader(source, ZiplistReader);
    default:
      // RDB_TYPE_HASH_LISTPACK, RDB_TYPE_ZSET_LISTPACK, RDB_TYPE_SET_LISTPACK
      return packedReader(source, ListpackReader);
  }
}

type PackedReader = new (bytes: Buffer, start: number, end: number) => ElementReader;

/** A reader of the structure in the next string. */
function packedReader(source: StringReader, Reader: PackedReader): ElementReader {
  source.string(packed);
  return new Reader(packed.bytes, packed.start, packed.end);
}

/** The elements of a quicklist: those of its nodes, one after the other. */
class QuicklistReader implements ElementReader {
  readonly #source: StringReader;
  readonly #Reader: PackedReader;
  /** Each node says whether it is packed or one plain element. */
  readonly #isTagged: boolean;
  #nodes: number;
  #node: ElementReader | undefined;

  constructor(source: StringReader, Reader: PackedReader, isTagged: boolean) {
    this.#source = source;
    this.#Reader = Reader;
    this.#isTagged = isTagged;
    this.#nodes = source.length();
  }

  next(into: Slice): boolean {
    for (;;) {
      if (this.#node?.next(into)) return true;
      this.#node = undefined;
      if (this.#nodes === 0) return false;
      this.#nodes--;
      const container = this.#isTagged ? this.#source.length() : NODE_PACKED;
      if (container === NODE_PLAIN) {
        this.#source.string(into);
        return true;
      }
      demand(container === NODE_PACKED, "quicklist container");
      this.#node = packedReader(this.#source, this.#Reader);
    }
  }
}

function readItems(items: ElementReader, sink: ValueSink, limit: number): number {
  let count = 0;
  for (; count < limit && items.next(first); count++) sink.push(first);
  return count;
}

function readMembers(members: ElementReader, sink: ValueSink, limit: number): number {
  let count = 0;
  for (; count < limit && members.next(first); count++) {
    demand(sink.member(first), "repeated set member");
  }
  return count;
}

function readFields(parts: ElementReader, sink: ValueSink, limit: number): number {
  let count = 0;
  for (; count < limit && parts.next(first); count++) {
    demand(parts.next(second), "field without value");
    demand(sink.field(first, second), "repeated hash field");
  }
  return count;
}

function readPackedScores(parts: ElementReader, sink: ValueSink, limit: number): number {
  let count = 0;
  for (; count < limit && parts.next(first); count++) {
    demand(parts.next(second), "member without score");
    demand(sink.scored(first, scoreOf(second)), "repeated zset member");
  }
  return count;
}

function readPlainScores(
  members: ElementReader,
  source: StringReader,
  isDouble: boolean,
  sink: ValueSink,
  limit: number,
): number {
  let count = 0;
  for (; count < limit && members.next(first); count++) {
    const score = isDouble ? source.double() : readTextScore(source);
    demand(!Number.isNaN(score), "score is NaN");
    demand(sink.scored(first, score), "repeated zset member");
  }
  return count;
}

function readTextScore(source: StringReader): number {
  const length = source.byte();
  if (length === SCORE_INFINITY) return Infinity;
  if (length === SCORE_MINUS_INFINITY) return -Infinity;
  if (length === SCORE_NAN) return Number.NaN;
  const at = source.take(length);
  second.set(source.bytes, at, at + length);
  return scoreOf(second);
}
