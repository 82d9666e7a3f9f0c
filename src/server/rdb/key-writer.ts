/**
 * Writes keys as an RDB file has them, a piece at a time: a huge value is spread over turns, and no
 * more than a piece of it is held in memory.
 *
 *   key = [select database] [0xfc, when it expires] type, name, body of types 0 to 4
 *
 * A key is one run of bytes: two writers must not share an output while one is inside a key.
 * Source: Redis 7.0 src/rdb.c (`rdbSaveKeyValuePair`).
 */

import type { ReplyWriter } from "../../resp/encoder.ts";
import { entryKeyLength, entryKeyOffset, entryMemory } from "../arena/entry.ts";
import type { Keyspace } from "../keyspace.ts";
import type { KeyVisitor } from "../snapshot.ts";
import type { ByteRange } from "../types/byte-range.ts";
import { HASH, STRING, ZSET } from "../types/value-type.ts";
import { OPCODE_EXPIRETIME_MS, OPCODE_SELECTDB } from "./format.ts";
import { beginString, writeByte, writeLength, writeScore } from "./string-writer.ts";
import { ValueWalk } from "./value-walk.ts";
import { RDB_TYPES } from "./write.ts";

/** One call of `more` ends with the element, or the piece of a long string, that reaches this ... */
const PIECE_BYTES = 32 * 1024;
/** ... or after so many of them. */
const PARTS_PER_PIECE = 64;

/** Where the bytes of keys go. */
export interface KeyOutput {
  readonly out: ReplyWriter;
  /** The database that was selected last; -1 when that is to be said again. */
  dbIndex: number;
  /** A piece is done: takes what is in `out` when it is enough to be worth it. Does not throw. */
  pieceDone(): void;
}

export class KeyWriter implements KeyVisitor {
  /** A key was begun and is not done. */
  isInside = false;
  readonly #output: KeyOutput;
  readonly #walk = new ValueWalk();
  #db: Keyspace | undefined;
  #entry = 0;
  #hasHead = false;
  /** The value or score that belongs to the element written last has its turn. */
  #owesSecond = false;
  /** What is left of a long string: #rest[#restAt, #restEnd). */
  #rest: Buffer | undefined;
  #restAt = 0;
  #restEnd = 0;

  constructor(output: KeyOutput) {
    this.#output = output;
  }

  begin(db: Keyspace, entry: number): void {
    this.isInside = true;
    this.#db = db;
    this.#entry = entry;
    this.#hasHead = false;
    this.#owesSecond = false;
    this.#walk.begin(db.arena, entry);
  }

  more(): boolean {
    const { out } = this.#output;
    const mark = out.length;
    if (!this.#hasHead) this.#writeHead();
    let isDone = false;
    for (let i = 0; !isDone && i < PARTS_PER_PIECE && out.length - mark < PIECE_BYTES; i++) {
      isDone = !this.#writePart();
    }
    this.isInside = !isDone;
    this.#output.pieceDone();
    return isDone;
  }

  #writeHead(): void {
    const { out, dbIndex } = this.#output;
    const db = this.#db!;
    this.#hasHead = true;
    if (dbIndex !== db.index) {
      this.#output.dbIndex = db.index;
      writeByte(OPCODE_SELECTDB, out);
      writeLength(db.index, out);
    }
    const expiryMs = db.expiryOf(this.#entry);
    if (!Number.isNaN(expiryMs)) {
      writeByte(OPCODE_EXPIRETIME_MS, out);
      out.reserve(8);
      out.length = out.buf.writeBigInt64LE(BigInt(expiryMs), out.length);
    }
    writeByte(RDB_TYPES[this.#walk.type]!, out);
    const at = entryKeyOffset(db.arena, this.#entry);
    const end = at + entryKeyLength(db.arena, this.#entry);
    this.#beginString(entryMemory(db.arena, this.#entry), at, end);
    // Names are short; one that is not is written whole, so that the count can follow it.
    this.#writeRest(Number.POSITIVE_INFINITY);
    if (this.#walk.type !== STRING) writeLength(this.#walk.count, out);
  }

  /** @returns false when there is nothing left */
  #writePart(): boolean {
    if (this.#rest !== undefined) {
      this.#writeRest(PIECE_BYTES);
      return true;
    }
    const walk = this.#walk;
    if (this.#owesSecond) {
      this.#owesSecond = false;
      if (walk.type === ZSET) writeScore(walk.score, this.#output.out);
      else this.#beginRange(walk.second);
      return true;
    }
    if (!walk.next()) return false;
    this.#owesSecond = walk.type === ZSET || walk.type === HASH;
    this.#beginRange(walk.first);
    return true;
  }

  #beginRange({ bytes, start, end }: ByteRange): void {
    this.#beginString(bytes, start, end);
    this.#writeRest(PIECE_BYTES);
  }

  #beginString(bytes: Buffer, start: number, end: number): void {
    if (!beginString(bytes, start, end, this.#output.out)) return;
    this.#rest = bytes;
    this.#restAt = start;
    this.#restEnd = end;
  }

  #writeRest(bytesMax: number): void {
    if (this.#rest === undefined) return;
    const end = Math.min(this.#restEnd, this.#restAt + bytesMax);
    this.#output.out.append(this.#rest, this.#restAt, end);
    this.#restAt = end;
    if (end === this.#restEnd) this.#rest = undefined;
  }
}
