/**
 * Writes of many kinds, as many as the server takes: connections that each have one pipeline on the
 * way, as in fill.ts. SET meets keys that exist as often as new ones, DEL and EXPIRE any of them.
 * All replies are one line, so lines are what is counted.
 */

import { encodeRequest } from "../../src/resp/encoder.ts";
import { createPrng, type Prng } from "../support/prng.ts";
import { BUSY_COLLECTIONS, BUSY_WRITES, FILL, VALUE_BYTES } from "./load.ts";

const KEY_DIGITS = 12;
const MEMBER_DIGITS = 2;
const MEMBERS = 10 ** MEMBER_DIGITS;
const LF = 0x0a;
const MINUS = 0x2d;
const ZERO = 0x30;

const NUMBER = "0".repeat(KEY_DIGITS);
const MEMBER = `m${"0".repeat(MEMBER_DIGITS)}`;
const VALUE = "x".repeat(VALUE_BYTES);
const EXPIRE_SECONDS = "600";

/** Arguments of each word, and what its keys begin with. */
const WORDS: Readonly<Record<string, { readonly prefix: string; readonly rest: string[] }>> = {
  SET: { prefix: "key:", rest: [VALUE] },
  INCR: { prefix: "counter:", rest: [] },
  HSET: { prefix: "hash:", rest: [MEMBER, VALUE] },
  LPUSH: { prefix: "list:", rest: [VALUE] },
  ZADD: { prefix: "zset:", rest: ["1", MEMBER] },
  SADD: { prefix: "set:", rest: [MEMBER] },
  DEL: { prefix: "key:", rest: [] },
  EXPIRE: { prefix: "key:", rest: [EXPIRE_SECONDS] },
};

/** A request whose numbers are to be written. */
interface Template {
  readonly bytes: Buffer;
  /** Keys are drawn from 0 to this - 1. */
  readonly keys: number;
  readonly keyEnd: number;
  /** 0 for none. */
  readonly memberEnd: number;
}

function templateOf(word: string, stringKeys: number): Template {
  const { prefix, rest } = WORDS[word]!;
  const bytes = encodeRequest([word, prefix + NUMBER, ...rest]);
  const member = bytes.indexOf(MEMBER);
  return {
    bytes,
    keys: prefix === "key:" ? 2 * stringKeys : BUSY_COLLECTIONS,
    keyEnd: bytes.indexOf(NUMBER) + KEY_DIGITS,
    memberEnd: member < 0 ? 0 : member + MEMBER.length,
  };
}

/** Writes `number` so that its last digit stands before `end`. */
function writeNumber(number: number, digits: number, buf: Buffer, end: number): void {
  let rest = number;
  for (let i = 1; i <= digits; i++) {
    buf[end - i] = ZERO + (rest % 10);
    rest = Math.floor(rest / 10);
  }
}

export class MixedLoad {
  /** Requests answered. */
  answered = 0;
  readonly #templates: readonly Template[];
  readonly #prng: Prng;
  readonly #ends: Promise<void>[] = [];
  #isStopped = false;

  private constructor(stringKeys: number, seed: number) {
    this.#templates = BUSY_WRITES.map((word) => templateOf(word, stringKeys));
    this.#prng = createPrng(seed);
  }

  /** @param stringKeys strings that exist: `key:` and 0 to this - 1 */
  static async start(port: number, stringKeys: number, seed: number): Promise<MixedLoad> {
    const load = new MixedLoad(stringKeys, seed);
    for (let i = 0; i < FILL.connections; i++) await load.#connect(port);
    return load;
  }

  /** Resolves when what was sent is answered. @throws when a request was refused */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#ends);
  }

  async #connect(port: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    promise.catch(() => undefined);
    this.#ends.push(promise);
    let unsent = this.#pipeline();
    let owed = FILL.pipeline;
    const send = (socket: Bun.Socket<undefined>): void => {
      if (unsent.length > 0) unsent = unsent.subarray(Math.max(0, socket.write(unsent)));
    };
    await Bun.connect<undefined>({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: send,
        drain: send,
        data: (socket, chunk) => {
          if (chunk.includes(MINUS)) reject(new Error(`a write was refused: ${chunk.toString()}`));
          for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, at + 1)) owed--;
          if (owed > 0) return;
          this.answered += FILL.pipeline;
          if (this.#isStopped) {
            resolve();
            socket.end();
            return;
          }
          owed = FILL.pipeline;
          unsent = this.#pipeline();
          send(socket);
        },
        close: () => reject(new Error("a connection was lost")),
        error: (_, error) => reject(error),
      },
    });
  }

  #pipeline(): Buffer {
    const chosen = Array.from({ length: FILL.pipeline }, () => this.#prng.pick(this.#templates));
    const pipeline = Buffer.concat(chosen.map(({ bytes }) => bytes));
    let start = 0;
    for (const { bytes, keys, keyEnd, memberEnd } of chosen) {
      writeNumber(this.#prng.int(keys), KEY_DIGITS, pipeline, start + keyEnd);
      if (memberEnd > 0) {
        writeNumber(this.#prng.int(MEMBERS), MEMBER_DIGITS, pipeline, start + memberEnd);
      }
      start += bytes.length;
    }
    return pipeline;
  }
}
