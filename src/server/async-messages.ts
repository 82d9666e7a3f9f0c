/**
 * What a source sends for keys in an asynchronous move: one message at a time, so that a value of
 * any size leaves in small steps.
 *
 *   prepare ── delete ──> payload ── string | object ─────────────────────────> done
 *                            └─> chunked ── list|hash|dict|zset ... ──> fill ── expire ──> done
 *
 * Before them, a delete for each key that failed moves have left at the target (sent-keys.ts).
 * The value must not change meanwhile (key-locks.ts); that it is gone, because its time is over, is
 * seen at every step. A piece larger than PIECE_BYTES leaves in parts, straight from the arena.
 * Source: Codis extern/redis-3.2.11/src/slots_async.c (messages, order, when a chunk is full).
 */

import { parseSafeInteger } from "../base/bytes.ts";
import { ReplyWriter } from "../resp/encoder.ts";
import { entryKind, entryValueLength, entryValueWord } from "./arena/entry.ts";
import type { Keyspace } from "./keyspace.ts";
import { ValueWalk } from "./rdb/value-walk.ts";
import { writePayload } from "./rdb/write.ts";
import type { ByteRange } from "./types/byte-range.ts";
import { hashLength } from "./types/hash.ts";
import { listLength } from "./types/list.ts";
import { setLength } from "./types/set.ts";
import { HASH, LIST, SET, STRING, VALUE_TYPES, ZSET } from "./types/value-type.ts";
import { zsetLength } from "./types/zset.ts";

const RESTORE = "SLOTSRESTORE-ASYNC";
/** Requests up to their key, as every small key has them. */
const DELETE_HEAD = headOf(3, "delete");
const STRING_HEAD = headOf(5, "string");
const OBJECT_HEAD = headOf(5, "object");
/** Of one message, written in one step: about 0.1 ms of copying. */
const PIECE_BYTES = 256 * 1024;
/** A value larger than this is sent in chunks: to read a payload takes its target one turn. */
const OBJECT_BYTES_MAX = 512 * 1024;
/** A chunk is full with so many elements, whatever was asked: about 1 ms at the target. */
const CHUNK_BULKS_MAX = 4096;
const CHUNK_BYTES_MAX = 512 * 1024;
/** What an element that is an integer counts. */
const INTEGER_BYTES = 8;
/** A key sent in chunks lives this many times the call's timeout at its target, until it is whole. */
const LIFE_FACTOR = 3;
/** Forms that are never sent in chunks, as they are small. */
const COMPACT_FORMS: ReadonlySet<string> = new Set(["listpack", "intset", "ziplist"]);

const SCORE_BYTES = 8;
const scoreBytes = Buffer.alloc(SCORE_BYTES);
const scratch = new ReplyWriter();

/** Numbers as STATUS shows them. */
export const STAGE_PREPARE = 0;
export const STAGE_PAYLOAD = 1;
export const STAGE_CHUNKED = 2;
export const STAGE_FILL = 3;
export const STAGE_DONE = 4;
type Stage =
  | typeof STAGE_PREPARE
  | typeof STAGE_PAYLOAD
  | typeof STAGE_CHUNKED
  | typeof STAGE_FILL
  | typeof STAGE_DONE;

export interface MessageLimits {
  readonly timeoutMs: number;
  /** Elements of a chunk; a value with more is sent in chunks. */
  readonly maxBulks: number;
}

/**
 * What a step did: a whole message, both messages of a small value, or the next part of one, is
 * written; nothing is left to send; or the key went in the middle of a message, so that the link is
 * of no use any more.
 */
export type Written = "message" | "both" | "part" | "end" | "lost";

/** How many messages a step has completed. */
export function messagesIn(written: Written): number {
  if (written === "both") return 2;
  return written === "message" ? 1 : 0;
}

/** Words and names of a type of value on the wire. */
const CHUNK_WORDS: Readonly<Record<number, string>> = {
  [LIST]: "list",
  [SET]: "dict",
  [ZSET]: "zset",
  [HASH]: "hash",
};

/** Bulks of a value in chunks; 0 for what is never sent so. */
function bulksOf(db: Keyspace, entry: number): number {
  const { arena } = db;
  const type = entryKind(arena, entry);
  if (type === STRING) return 0;
  const ref = entryValueWord(arena, entry);
  if (COMPACT_FORMS.has(VALUE_TYPES.get(type)!.encoding(arena, ref))) return 0;
  if (type === LIST) return listLength(arena, ref);
  if (type === SET) return setLength(arena, ref);
  return 2 * (type === HASH ? hashLength(arena, ref) : zsetLength(arena, ref));
}

function bulksMax({ maxBulks }: MessageLimits): number {
  return Math.min(maxBulks, CHUNK_BULKS_MAX);
}

/** About how many messages the value of a key needs. */
export function estimateMessages(db: Keyspace, entry: number, limits: MessageLimits): number {
  return Math.max(1, Math.ceil(bulksOf(db, entry) / bulksMax(limits)));
}

/** The messages for one key after the other. */
export class BatchMessages {
  readonly keys: readonly Buffer[];
  readonly limits: MessageLimits;
  /** Keys that are done. */
  index = 0;
  /** Of these, how many were there to be sent. */
  sentKeys = 0;
  /** How many were sent in chunks. */
  chunkedKeys = 0;
  /** Of the current key; for STATUS. */
  stage: Stage = STAGE_PREPARE;
  type = -1;
  elementsSent = 0;
  chunksSent = 0;

  /** Keys only to be deleted at the target. */
  readonly stale: readonly Buffer[];
  /** How many of them a message was written for. */
  #deleted = 0;

  readonly #db: Keyspace;
  readonly #walk = new ValueWalk();
  /** Of the current key, while it is sent. */
  #entry = 0;
  /** The walk shows an element that is in no message yet. */
  #isShown = false;
  /** Of the current message, what is still to be written. */
  #parts: ByteRange[] = [];

  constructor(
    db: Keyspace,
    keys: readonly Buffer[],
    limits: MessageLimits,
    stale: readonly Buffer[] = [],
  ) {
    this.#db = db;
    this.keys = keys;
    this.limits = limits;
    this.stale = stale;
  }

  /** Nothing is left to be written. */
  get isDone(): boolean {
    return this.key === undefined && this.#deleted === this.stale.length;
  }

  /** The current key, or undefined. */
  get key(): Buffer | undefined {
    return this.keys[this.index];
  }

  /** The current key's expiry: unix ms, NaN for none. */
  get expiryMs(): number {
    const entry = this.#find();
    return entry === 0 ? Number.NaN : this.#db.expiryOf(entry);
  }

  /**
   * Appends the next message, or a part of it, to `out`.
   * @param roomBytes a chunk is full with so many, or with CHUNK_BYTES_MAX
   */
  write(out: ReplyWriter, roomBytes: number): Written {
    if (this.#parts.length > 0) return this.#writePart(out);
    if (this.#deleted < this.stale.length) {
      this.#begin(out, 3, "delete", this.stale[this.#deleted++]!);
      return "message";
    }
    while (this.index < this.keys.length) {
      const entry = this.#find();
      if (entry === 0) {
        const isBegun = this.stage === STAGE_CHUNKED || this.stage === STAGE_FILL;
        if (isBegun) this.#begin(out, 3, "delete");
        this.#next(false);
        if (isBegun) return "message";
        continue;
      }
      return this.#writeFor(entry, out, roomBytes);
    }
    return "end";
  }

  #find(): number {
    const { key } = this;
    return key === undefined ? 0 : this.#db.peek(key, 0, key.length);
  }

  #next(isSent: boolean): void {
    if (isSent) this.sentKeys++;
    this.index++;
    this.stage = this.index < this.keys.length ? STAGE_PREPARE : STAGE_DONE;
    this.type = -1;
    this.elementsSent = 0;
    this.chunksSent = 0;
    this.#isShown = false;
  }

  #writeFor(entry: number, out: ReplyWriter, roomBytes: number): Written {
    switch (this.stage) {
      case STAGE_PREPARE:
        this.#beginSmall(out, DELETE_HEAD);
        this.stage = STAGE_PAYLOAD;
        if (!isSmallString(this.#db, entry)) return "message";
        this.#entry = entry;
        this.type = STRING;
        this.#writeString(out);
        return "both";
      case STAGE_PAYLOAD:
        this.#entry = entry;
        this.type = entryKind(this.#db.arena, entry);
        if (this.type === STRING) return this.#writeString(out);
        if (this.#fitsObject()) return this.#writeObject(out);
        this.#walk.begin(this.#db.arena, entry, true);
        this.stage = STAGE_CHUNKED;
        this.chunkedKeys++;
        return this.#writeChunk(out, roomBytes);
      case STAGE_CHUNKED:
        // A lock keeps it from changing; one that goes and comes again would be another value.
        if (entry !== this.#entry) return "lost";
        return this.#writeChunk(out, roomBytes);
      default:
        this.#begin(out, 4, "expire");
        out.bulkInteger(this.#ttl());
        this.#next(true);
        return "message";
    }
  }

  /** As `#begin`, with what is before the key. */
  #beginSmall(out: ReplyWriter, head: Buffer): void {
    const key = this.key!;
    out.append(head, 0, head.length);
    out.bulk(key, 0, key.length);
  }

  /** `SLOTSRESTORE-ASYNC word key`, of a message with so many bulks. */
  #begin(out: ReplyWriter, bulks: number, word: string, key = this.key!): void {
    out.array(bulks);
    out.bulkText(RESTORE);
    out.bulkText(word);
    out.bulk(key, 0, key.length);
  }

  /** What is left of the key's time: milliseconds, 0 for a key that stays. */
  #ttl(entry = this.#find()): number {
    const expiryMs = entry === 0 ? Number.NaN : this.#db.expiryOf(entry);
    if (Number.isNaN(expiryMs)) return 0;
    return Math.max(1, Math.round(expiryMs - this.#db.databases.nowMs));
  }

  #writeString(out: ReplyWriter): Written {
    const { arena } = this.#db;
    this.#beginSmall(out, STRING_HEAD);
    out.bulkInteger(this.#ttl(this.#entry));
    this.#walk.begin(arena, this.#entry);
    this.#walk.next();
    const { bytes, start, end } = this.#walk.first;
    if (entryValueLength(arena, this.#entry) > PIECE_BYTES) {
      this.#pushBulk(this.#walk.first);
      return this.#writePart(out);
    }
    out.bulk(bytes, start, end);
    this.#next(true);
    return "message";
  }

  /** Whether the value is few and small enough to go in one message. */
  #fitsObject(): boolean {
    const walk = this.#walk;
    const bulks = bulksOf(this.#db, this.#entry);
    if (bulks > bulksMax(this.limits)) return false;
    walk.begin(this.#db.arena, this.#entry);
    let bytes = 0;
    while (bytes <= OBJECT_BYTES_MAX && walk.next()) {
      bytes += walk.first.end - walk.first.start;
      if (this.type === HASH) bytes += walk.second.end - walk.second.start;
    }
    return bytes <= OBJECT_BYTES_MAX;
  }

  #writeObject(out: ReplyWriter): Written {
    this.#beginSmall(out, OBJECT_HEAD);
    out.bulkInteger(this.#ttl(this.#entry));
    scratch.clear();
    writePayload(this.#db.arena, this.#entry, scratch);
    out.bulk(scratch.buf, 0, scratch.length);
    scratch.clear();
    this.#next(true);
    return "message";
  }

  #beginChunk(out: ReplyWriter, bulks: number): void {
    this.#begin(out, 5 + bulks, CHUNK_WORDS[this.type]!);
    out.bulkInteger(LIFE_FACTOR * this.limits.timeoutMs);
    out.bulkInteger(this.#walk.count);
    this.chunksSent++;
  }

  /** As in the original, the end is noticed by looking for one more: the last chunk may be empty. */
  #writeChunk(out: ReplyWriter, roomBytes: number): Written {
    const walk = this.#walk;
    const step = this.type === HASH || this.type === ZSET ? 2 : 1;
    const most = bulksMax(this.limits);
    const room = Math.min(roomBytes, CHUNK_BYTES_MAX);
    let bulks = 0;
    let bytes = 0;
    scratch.clear();
    while (bulks === 0 || (bulks < most && bytes < room)) {
      if (!this.#isShown && !walk.next()) {
        this.stage = STAGE_FILL;
        break;
      }
      const size = this.#shownBytes();
      if (size > PIECE_BYTES) {
        // It goes alone, after what was before it.
        this.#isShown = bulks > 0;
        if (!this.#isShown) return this.#writeLarge(out, step);
        break;
      }
      this.#isShown = false;
      this.#writeShown();
      this.elementsSent++;
      bulks += step;
      bytes += size;
    }
    this.#beginChunk(out, bulks);
    out.append(scratch.buf, 0, scratch.length);
    scratch.clear();
    return "message";
  }

  #shownBytes(): number {
    const { first, second } = this.#walk;
    if (this.type === HASH) return countedBytes(first) + countedBytes(second);
    return countedBytes(first) + (this.type === ZSET ? SCORE_BYTES : 0);
  }

  #writeShown(): void {
    const { first, second, score } = this.#walk;
    scratch.bulk(first.bytes, first.start, first.end);
    if (this.type === HASH) scratch.bulk(second.bytes, second.start, second.end);
    if (this.type !== ZSET) return;
    scoreBytes.writeDoubleLE(score);
    scratch.bulk(scoreBytes, 0, SCORE_BYTES);
  }

  /** A chunk of one element, in parts. */
  #writeLarge(out: ReplyWriter, step: number): Written {
    const { first, second, score } = this.#walk;
    this.elementsSent++;
    this.#beginChunk(out, step);
    this.#pushBulk(first);
    if (this.type === HASH) this.#pushBulk(second);
    if (this.type === ZSET) {
      const bytes = Buffer.alloc(SCORE_BYTES);
      bytes.writeDoubleLE(score);
      this.#pushBulk({ bytes, start: 0, end: SCORE_BYTES });
    }
    return this.#writePart(out);
  }

  #pushBulk({ bytes, start, end }: ByteRange): void {
    const head = Buffer.from(`$${end - start}\r\n`);
    this.#parts.push(wholeOf(head), { bytes, start, end }, wholeOf(Buffer.from("\r\n")));
  }

  #writePart(out: ReplyWriter): Written {
    if (this.#find() !== this.#entry) return "lost";
    let room = PIECE_BYTES;
    while (room > 0 && this.#parts.length > 0) {
      const part = this.#parts[0]!;
      const end = Math.min(part.end, part.start + room);
      out.append(part.bytes, part.start, end);
      room -= end - part.start;
      part.start = end;
      if (end === part.end) this.#parts.shift();
    }
    if (this.#parts.length > 0) return "part";
    if (this.type === STRING) this.#next(true);
    return "message";
  }
}

/** Written in one step. */
function isSmallString(db: Keyspace, entry: number): boolean {
  const isString = entryKind(db.arena, entry) === STRING;
  return isString && entryValueLength(db.arena, entry) <= PIECE_BYTES;
}

/** What a request of so many bulks has before its key. */
function headOf(bulks: number, word: string): Buffer {
  const length = `$${word.length}`;
  return Buffer.from(`*${bulks}\r\n$${RESTORE.length}\r\n${RESTORE}\r\n${length}\r\n${word}\r\n`);
}

function wholeOf(bytes: Buffer): ByteRange {
  return { bytes, start: 0, end: bytes.length };
}

/** What an element counts towards the bytes of a chunk. */
function countedBytes({ bytes, start, end }: ByteRange): number {
  if (end - start > 20) return end - start;
  return Number.isNaN(parseSafeInteger(bytes, start, end)) ? end - start : INTEGER_BYTES;
}
