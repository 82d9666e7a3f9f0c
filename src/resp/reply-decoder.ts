/**
 * Pure: replies as values, from a stream cut anywhere; for clients and tests. The end of a reply is
 * found by `ReplyScanner`, then its bytes become a `Reply` in one go.
 */

import { EMPTY_BYTES, indexOfByte, parseInt64, parseSafeInteger } from "../base/bytes.ts";
import { CodisError } from "../base/errors.ts";
import { joinChunk } from "./gather.ts";
import { ErrorReply, type Reply } from "./reply.ts";
import { REPLY_ERROR, REPLY_INCOMPLETE, ReplyScanner } from "./reply-scanner.ts";

/** One reply with everything in it, unless its reader takes less. */
const REPLY_BYTES_MAX = 1024 * 1024 * 1024;
/** Replies within replies. */
const REPLY_DEPTH_MAX = 256;

const LF = 0x0a;
const LETTER_T = 0x74;

export class ReplyDecoder {
  readonly #scanner = new ReplyScanner();
  readonly #bytesMax: number;
  /** Bytes [#from, #limit) are not handed out; those before #scanned were seen by the scanner. */
  #buf: Buffer = EMPTY_BYTES;
  #from = 0;
  #limit = 0;
  #scanned = 0;

  /** @param bytesMax of one reply; looked at while it comes, so no more is kept of it */
  constructor(bytesMax = REPLY_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes fed and not yet handed out. */
  get pendingBytes(): number {
    return this.#limit - this.#from;
  }

  /** Takes `chunk` over: bulks of replies are views of it. */
  feed(chunk: Buffer): void {
    if (this.#from === this.#limit) {
      this.#buf = chunk;
      this.#from = 0;
      this.#scanned = 0;
      this.#limit = chunk.length;
      return;
    }
    const joined = joinChunk(this.#buf, this.#from, this.#limit, chunk, 0);
    if (joined !== this.#buf) {
      this.#buf = joined;
      this.#limit -= this.#from;
      this.#scanned -= this.#from;
      this.#from = 0;
    }
    this.#limit += chunk.length;
  }

  /**
   * The next whole reply, or undefined when it has not all come yet.
   * @throws CodisError "unavailable" when what came is no RESP (the stream is of no use any more),
   *   "limit" when a reply is too large or too deep
   */
  next(): Reply | undefined {
    const end = this.#scanner.scan(this.#buf, this.#scanned, this.#limit);
    if (end === REPLY_ERROR) {
      throw new CodisError("unavailable", `bad reply from the server: ${this.#scanner.error}`);
    }
    if (end === REPLY_INCOMPLETE) {
      this.#scanned = this.#limit;
      if (this.pendingBytes > this.#bytesMax) {
        throw new CodisError("limit", `a reply is longer than ${this.#bytesMax} bytes`);
      }
      return undefined;
    }
    const reader = new ReplyReader(this.#buf, this.#from);
    this.#from = end;
    this.#scanned = end;
    return reader.read(0);
  }
}

/** Reads one reply that is known to be whole and well formed in its structure. */
class ReplyReader {
  readonly #buf: Buffer;
  #at: number;

  constructor(buf: Buffer, at: number) {
    this.#buf = buf;
    this.#at = at;
  }

  read(depth: number): Reply {
    if (depth > REPLY_DEPTH_MAX) {
      throw new CodisError("limit", `a reply is nested more than ${REPLY_DEPTH_MAX} deep`);
    }
    const buf = this.#buf;
    const type = String.fromCharCode(buf[this.#at]!);
    const from = this.#at + 1;
    const lineEnd = indexOfByte(buf, LF, from, buf.length) - 1;
    this.#at = lineEnd + 2;
    switch (type) {
      case "+":
        return buf.latin1Slice(from, lineEnd);
      case "-":
        return new ErrorReply(buf.latin1Slice(from, lineEnd));
      case ":":
        return integerOf(buf, from, lineEnd);
      case "_":
        return null;
      case "#":
        return buf[from] === LETTER_T;
      case ",":
        return { type: "double", value: doubleOf(buf.latin1Slice(from, lineEnd)) };
      case "(":
        return { type: "bignumber", value: bigNumberOf(buf.latin1Slice(from, lineEnd)) };
    }
    const count = Number(buf.latin1Slice(from, lineEnd));
    if (count < 0) return null;
    switch (type) {
      case "$":
        return this.#takeBytes(count);
      case "!":
        return new ErrorReply(this.#takeBytes(count).latin1Slice());
      case "=": {
        const bytes = this.#takeBytes(count);
        return { type: "verbatim", format: bytes.latin1Slice(0, 3), bytes: bytes.subarray(4) };
      }
      case "~":
        return { type: "set", items: this.#readItems(count, depth) };
      case ">":
        return { type: "push", items: this.#readItems(count, depth) };
      case "%": {
        const pairs: [Reply, Reply][] = [];
        for (let i = 0; i < count; i++) pairs.push([this.read(depth + 1), this.read(depth + 1)]);
        return { type: "map", pairs };
      }
      case "|":
        this.#readItems(2 * count, depth);
        return this.read(depth + 1);
      default:
        return this.#readItems(count, depth);
    }
  }

  #takeBytes(length: number): Buffer {
    const bytes = this.#buf.subarray(this.#at, this.#at + length);
    this.#at += length + 2;
    return bytes;
  }

  #readItems(count: number, depth: number): Reply[] {
    const items: Reply[] = [];
    for (let i = 0; i < count; i++) items.push(this.read(depth + 1));
    return items;
  }
}

function integerOf(buf: Buffer, from: number, to: number): number | bigint {
  const small = parseSafeInteger(buf, from, to);
  if (!Number.isNaN(small)) return small;
  const large = parseInt64(buf, from, to);
  if (large !== undefined) return large;
  throw new CodisError("unavailable", "bad reply from the server: invalid integer");
}

function doubleOf(text: string): number {
  if (text === "inf") return Number.POSITIVE_INFINITY;
  if (text === "-inf") return Number.NEGATIVE_INFINITY;
  return text === "" ? Number.NaN : Number(text);
}

function bigNumberOf(text: string): bigint {
  if (/^-?\d+$/.test(text)) return BigInt(text);
  throw new CodisError("unavailable", "bad reply from the server: invalid big number");
}
