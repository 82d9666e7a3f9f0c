/**
 * Builds the value of a payload in the arena, before any key has it: a payload that turns out
 * malformed leaves nothing behind, and several can be read before the first is stored.
 */

import type { Arena } from "../arena/arena.ts";
import { ENTRY_KEY_BYTES_MAX } from "../arena/entry.ts";
import type { Databases } from "../databases.ts";
import type { Keyspace } from "../keyspace.ts";
import { createHash, hashSet } from "../types/hash.ts";
import { createList, pushLast } from "../types/list.ts";
import { createSet, setAdd } from "../types/set.ts";
import { HASH, LIST, SET, STRING, ZSET } from "../types/value-type.ts";
import { createZset, MEMBER_ADDED, zsetSet } from "../types/zset.ts";
import type { ValueKind, ValueSink } from "./body-reader.ts";
import { type ReadOutcome, readPayload } from "./read.ts";
import { demand, NUMBER_TEXT_BYTES, type Slice } from "./slice.ts";

/** A value that no key has yet: it must be stored or discarded, once. */
export interface BuiltValue {
  /** STRING, LIST, ... of value-type.ts. */
  readonly type: number;
  /** The structure's ref, for types other than STRING. */
  readonly ref: number;
  /** A string's bytes are `bytes[start, end)`; they may be a part of the payload. */
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

const NO_BYTES = Buffer.alloc(0);

/** Builds one value; what it is fed and not stored must be discarded. */
export class ArenaSink implements ValueSink {
  type = STRING;
  /** 0 while there is no structure. */
  ref = 0;
  bytes: Buffer = NO_BYTES;
  start = 0;
  end = 0;
  readonly arena: Arena;

  constructor(arena: Arena) {
    this.arena = arena;
  }

  begin(kind: ValueKind): void {
    if (kind === "list") this.#begin(LIST, createList(this.arena));
    else if (kind === "set") this.#begin(SET, createSet(this.arena));
    else if (kind === "zset") this.#begin(ZSET, createZset(this.arena));
    else if (kind === "hash") this.#begin(HASH, createHash(this.arena));
  }

  #begin(type: number, ref: number): void {
    this.type = type;
    this.ref = ref;
  }

  string(value: Slice): void {
    this.bytes = value.bytes;
    this.start = value.start;
    this.end = value.end;
    if (value.end - value.start > NUMBER_TEXT_BYTES) return;
    // It may be the text of a number, which the next read overwrites.
    this.bytes = Buffer.from(value.bytes.subarray(value.start, value.end));
    this.start = 0;
    this.end = this.bytes.length;
  }

  push(item: Slice): void {
    pushLast(this.arena, this.ref, item.bytes, item.start, item.end);
  }

  member(member: Slice): boolean {
    demandShort(member);
    return setAdd(this.arena, this.ref, member.bytes, member.start, member.end);
  }

  scored(member: Slice, score: number): boolean {
    demandShort(member);
    const { bytes, start, end } = member;
    return zsetSet(this.arena, this.ref, bytes, start, end, score) === MEMBER_ADDED;
  }

  field(field: Slice, value: Slice): boolean {
    demandShort(field);
    const { bytes, start, end } = value;
    return hashSet(this.arena, this.ref, field.bytes, field.start, field.end, bytes, start, end);
  }
}

function demandShort(slice: Slice): void {
  demand(slice.end - slice.start <= ENTRY_KEY_BYTES_MAX, "member too long");
}

/**
 * Reads the payload `bytes[start, end)`.
 * @returns the value; or why there is none: "footer" (version, checksum) or "body"
 */
export function buildValue(
  databases: Databases,
  bytes: Buffer,
  start: number,
  end: number,
): BuiltValue | "footer" | "body" {
  const sink = new ArenaSink(databases.arena);
  const outcome: ReadOutcome = readPayload(bytes, start, end, sink);
  if (outcome === "ok") return sink;
  discardValue(databases, sink);
  return outcome;
}

/** Frees a value that no key gets. */
export function discardValue(databases: Databases, value: BuiltValue): void {
  if (value.ref !== 0) databases.release(value.type, value.ref);
}

/**
 * Gives the key `key[from, to)` the value, whatever it had before; an old expiry is dropped.
 * @param atMs unix ms when the key expires, NaN for never
 * @returns its entry
 */
export function storeValue(
  db: Keyspace,
  key: Buffer,
  from: number,
  to: number,
  value: BuiltValue,
  atMs: number,
): number {
  if (value.type === STRING) {
    return db.setString(key, from, to, value.bytes, value.start, value.end, atMs);
  }
  const old = db.lookupWrite(key, from, to);
  const entry =
    old === 0
      ? db.insert(key, from, to, value.type, value.ref)
      : db.overwrite(old, value.type, value.ref, false);
  return Number.isNaN(atMs) ? entry : db.setExpiry(entry, atMs);
}
