/**
 * Random changes for the campaign, and what was heard of them. A stream is what one connection
 * sends; its keys begin with its name, so that streams do not meet. All five types, several
 * databases, expiries, and one command of two keys that is logged as a transaction.
 *
 *   commands   0 ......... acknowledged ......... sent
 *              must survive what the policy covers | may
 */

import { sealed } from "../server/rdb/collect.ts";
import type { Prng } from "../support/prng.ts";
import { DATABASES, differences, matches, type State, type Word } from "./model.ts";

const FAR_MS = 4_000_000_000_000;
const KEYS_PER_KIND = 8;
const MEMBERS = 40;
/** Long enough for a write to be cut inside, and for a rewrite to take several turns. */
const LONG_BYTES_MAX = 20_000;
const LONG_ELEMENTS = 1500;
/** Their time is over before anybody can look, whatever happens to the server meanwhile. */
const SHORT_MS_MAX = 20;

/** Whether a key is one of those. */
export function isShortLived(key: string): boolean {
  return /:x\d+$/.test(key);
}

export class Stream {
  readonly name: string;
  readonly commands: (readonly Word[])[] = [];
  /** So many of them were answered well. */
  acknowledged = 0;
  readonly #prng: Prng;
  /** Nobody else uses the server: databases may be emptied and swapped. */
  readonly #isAlone: boolean;
  #short = 0;

  constructor(name: string, prng: Prng, isAlone: boolean) {
    this.name = name;
    this.#prng = prng;
    this.#isAlone = isAlone;
  }

  /** Adds a command, and returns it. */
  next(): readonly Word[] {
    const words = this.#isAlone && this.#prng.oneIn(150) ? this.#upheaval() : this.#change();
    this.commands.push(words);
    return words;
  }

  /** Commands that make a few long values. */
  fill(): readonly (readonly Word[])[] {
    const items = Array.from({ length: LONG_ELEMENTS }, (_, i) => `element ${i}`);
    const commands: (readonly Word[])[] = [
      ["RPUSH", this.#key("l", 0), ...items],
      ["SADD", this.#key("t", 0), ...items],
      ["HSET", this.#key("h", 0), ...items.flatMap((item, i) => [item, i])],
      ["ZADD", this.#key("z", 0), ...items.flatMap((item, i) => [i / 4, item])],
    ];
    this.commands.push(...commands);
    return commands;
  }

  /** A new connection: the database is 0 again for whoever sends, so the stream says which. */
  reconnect(): readonly Word[] {
    const words = ["SELECT", this.#prng.int(DATABASES)];
    this.commands.push(words);
    return words;
  }

  /** What survived is the first `count` commands: the stream goes on from there. */
  rewind(count: number): void {
    this.commands.length = count;
    this.acknowledged = Math.min(this.acknowledged, count);
  }

  /** The keys of a state that are this stream's. */
  own(found: State): State {
    return new Map([...found].filter(([place]) => place.slice(2).startsWith(`${this.name}:`)));
  }

  /**
   * How many commands survived.
   * @param isAllowed says of a count whether the policy allows it
   * @throws when what was found is no prefix that is allowed
   */
  survived(found: State, isAllowed: (count: number) => boolean): number {
    const counts = matches(this.commands, this.own(found));
    const count = counts.findLast(isAllowed);
    if (count !== undefined) return count;
    const has = `stream ${this.name} of ${this.commands.length} commands, ${this.acknowledged} acknowledged`;
    if (counts.length > 0) throw new Error(`${has}: came back as after ${counts}, not allowed`);
    const nearest = differences(this.commands, this.acknowledged, this.own(found));
    throw new Error(
      `${has}: what came back is no prefix. After what was acknowledged:\n${nearest.join("\n")}`,
    );
  }

  #key(kind: string, index = this.#prng.int(KEYS_PER_KIND)): string {
    const tag = ["", "{tag}", "{other}"][index % 3];
    return `${this.name}:${tag}${kind}${index}`;
  }

  #value(): string {
    const prng = this.#prng;
    if (prng.oneIn(40)) return "v".repeat(prng.int(LONG_BYTES_MAX));
    // What looks like the log's own structure must not be taken for it.
    return prng.oneIn(20) ? "*1\r\n$4\r\nPING\r\n" : String(prng.int(1_000_000));
  }

  #upheaval(): readonly Word[] {
    const prng = this.#prng;
    return prng.oneIn(3) ? ["FLUSHDB"] : ["SWAPDB", prng.int(DATABASES), prng.int(DATABASES)];
  }

  #change(): readonly Word[] {
    const prng = this.#prng;
    const [text, list, hash, set, zset] = [..."slhtz"].map((kind) => this.#key(kind)) as [
      string,
      string,
      string,
      string,
      string,
    ];
    const member = `m${prng.int(MEMBERS)}`;
    const value = this.#value();
    const kind = prng.pick([..."slhtzn"]);
    const some = this.#key(kind);
    const atMs = FAR_MS + prng.int(1000);
    return prng.pick<readonly Word[]>([
      ["SET", text, value],
      ["SET", text, value, "PXAT", atMs],
      ["PSETEX", `${this.name}:x${++this.#short}`, 1 + prng.int(SHORT_MS_MAX), value],
      ["MSET", text, value, this.#key("s"), member],
      ["APPEND", text, value],
      ["INCRBY", this.#key("n"), prng.int(100) - 50],
      ["RPUSH", list, value, member],
      ["LPUSH", list, value, member],
      ["LPOP", list],
      ["LTRIM", list, 1, 30],
      ["LMOVE", list, this.#key("l"), "LEFT", "RIGHT"],
      ["HSET", hash, member, value, "again", value],
      ["HDEL", hash, member],
      ["SADD", set, member, value],
      ["SREM", set, member],
      ["SMOVE", set, this.#key("t"), member],
      ["ZADD", zset, prng.int(1000) / 4, member],
      ["ZINCRBY", zset, prng.int(100) / 4, member],
      ["ZREM", zset, member],
      ["DEL", some, this.#key("s")],
      ["RENAME", some, this.#key(kind)],
      ["COPY", some, this.#key(kind), "REPLACE"],
      ["MOVE", some, prng.int(DATABASES)],
      ["PEXPIREAT", some, atMs],
      ["PERSIST", some],
      ["SELECT", prng.int(DATABASES)],
      ["SLOTSRESTORE", text, 0, stringPayload(member), this.#key("s"), 0, stringPayload(value)],
    ]);
  }
}

/** A DUMP payload: type, length in 6 bits, text of less than 64 bytes, version, checksum. */
function stringPayload(text: string): Buffer {
  const bytes = Buffer.from(text.slice(0, 60), "latin1");
  return sealed(Buffer.concat([Buffer.of(0, bytes.length), bytes]));
}
