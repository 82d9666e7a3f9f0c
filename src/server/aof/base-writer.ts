/**
 * Writes keys as commands, for the base of an append-only file: what a server that starts empty
 * must execute to have them. Several commands for a long value, each of a bounded number of
 * elements and bytes, so that the work can be spread over turns and a load needs no huge buffer.
 *
 *   string        SET key value [PXAT ms]
 *   list ...      RPUSH | SADD | HMSET | ZADD key element ...   (once or more)   [PEXPIREAT key ms]
 *
 * All commands exist since Redis 2.6, but for PXAT (6.2). Source: Redis 7.0 src/aof.c
 * `rewriteAppendOnlyFileRio`.
 */

import type { ReplyWriter } from "../../resp/encoder.ts";
import type { Arena } from "../arena/arena.ts";
import { entryKeyLength, entryKeyOffset, entryMemory } from "../arena/entry.ts";
import { formatDouble } from "../double.ts";
import type { Keyspace } from "../keyspace.ts";
import { ValueWalk } from "../rdb/value-walk.ts";
import type { KeyVisitor } from "../snapshot.ts";
import { HASH, LIST, SET, STRING, ZSET } from "../types/value-type.ts";

/** Elements in one command, as in Redis (AOF_REWRITE_ITEMS_PER_CMD). */
const ELEMENTS_PER_COMMAND = 64;
/** A command ends with the element that reaches this. */
const COMMAND_BYTES_MAX = 1024 * 1024;

const NAMES: Readonly<Record<number, string>> = {
  [LIST]: "RPUSH",
  [SET]: "SADD",
  [ZSET]: "ZADD",
  [HASH]: "HMSET",
};

/** Where commands go, and which database was selected last in it. */
export interface BaseOutput {
  readonly out: ReplyWriter;
  /** -1 before the first SELECT. */
  dbIndex: number;
}

/** One key at a time; two writers may share an output, their commands then alternate. */
export class BaseWriter implements KeyVisitor {
  readonly #output: BaseOutput;
  readonly #walk = new ValueWalk();
  #db: Keyspace | undefined;
  #arena: Arena | undefined;
  #entry = 0;
  /** Elements of the value that are not written yet. */
  #left = 0;
  #expiryMs = Number.NaN;

  constructor(output: BaseOutput) {
    this.#output = output;
  }

  begin(db: Keyspace, entry: number): void {
    this.#db = db;
    this.#arena = db.arena;
    this.#entry = entry;
    this.#expiryMs = db.expiryOf(entry);
    this.#walk.begin(db.arena, entry);
    this.#left = this.#walk.count;
  }

  more(): boolean {
    this.#select(this.#db!.index);
    if (this.#walk.type === STRING) {
      this.#writeString();
      return true;
    }
    this.#writeElements();
    if (this.#left > 0) return false;
    if (!Number.isNaN(this.#expiryMs)) {
      const { out } = this.#output;
      out.array(3);
      out.bulkText("PEXPIREAT");
      this.#writeKey();
      out.bulkInteger(this.#expiryMs);
    }
    return true;
  }

  #select(dbIndex: number): void {
    if (this.#output.dbIndex === dbIndex) return;
    this.#output.dbIndex = dbIndex;
    const { out } = this.#output;
    out.array(2);
    out.bulkText("SELECT");
    out.bulkInteger(dbIndex);
  }

  #writeKey(): void {
    const at = entryKeyOffset(this.#arena!, this.#entry);
    const end = at + entryKeyLength(this.#arena!, this.#entry);
    this.#output.out.bulk(entryMemory(this.#arena!, this.#entry), at, end);
  }

  #writeString(): void {
    const { out } = this.#output;
    const expires = !Number.isNaN(this.#expiryMs);
    out.array(expires ? 5 : 3);
    out.bulkText("SET");
    this.#writeKey();
    this.#walk.next();
    const { first } = this.#walk;
    out.bulk(first.bytes, first.start, first.end);
    if (!expires) return;
    out.bulkText("PXAT");
    out.bulkInteger(this.#expiryMs);
  }

  #writeElements(): void {
    const { out } = this.#output;
    const walk = this.#walk;
    const count = Math.min(this.#left, ELEMENTS_PER_COMMAND);
    const words = walk.type === HASH || walk.type === ZSET ? 2 : 1;
    const mark = out.length;
    out.array(2 + words * count);
    const bodyMark = out.length;
    out.bulkText(NAMES[walk.type]!);
    this.#writeKey();
    let written = 0;
    while (written < count && out.length - mark < COMMAND_BYTES_MAX && walk.next()) {
      written++;
      const { first, second } = walk;
      if (walk.type === ZSET) out.bulkText(formatDouble(walk.score));
      out.bulk(first.bytes, first.start, first.end);
      if (walk.type === HASH) out.bulk(second.bytes, second.start, second.end);
    }
    this.#left -= written;
    if (written < count) replaceHeader(out, mark, bodyMark, 2 + words * written);
  }
}

/** Puts the header of an array of `count` in place of out[mark, bodyMark), which is no shorter. */
function replaceHeader(out: ReplyWriter, mark: number, bodyMark: number, count: number): void {
  const header = `*${count}\r\n`;
  const saved = bodyMark - mark - header.length;
  if (saved > 0) out.buf.copyWithin(bodyMark - saved, bodyMark, out.length);
  out.buf.write(header, mark, "latin1");
  out.length -= saved;
}
