/**
 * Clients of the two large values, through the proxy, whose every call is kept, and the judge of
 * what they saw and of what is there at the end.
 *
 *   hash   a few hot fields are registers, some fields are counters, all others never change
 *   list   RPUSH tells where its element stands: there it must be found, and only there
 *
 * Histories go on from run to run: a value that came back in a later move would be found. A call
 * without a good reply may have happened, or not, or (a push) anywhere behind.
 */

import type { Reply } from "../../src/resp/reply.ts";
import {
  ABSENT,
  explainCounter,
  explainRegister,
  type Increment,
  type RegisterOperation,
} from "../support/history.ts";
import { type LoadRules, LoadRunner, type Operation } from "../support/load-runner.ts";
import type { Prng } from "../support/prng.ts";
import type { Args, RespClient } from "../support/resp-client.ts";
import {
  type BigShape,
  baseElement,
  baseValue,
  elementRanges,
  elementsOf,
  fieldName,
  fieldRanges,
  filled,
  HASH_KEY,
  LIST_KEY,
} from "./values.ts";

/** Fields that clients change, spread over the hash, and counters beside them. */
const HOT_FIELDS = 200;
const COUNTERS = 20;
const PIPELINE_MAX = 4;
/** Base elements that a LRANGE asks for, at most, and how far from the head of the list. */
const RANGE_MAX = 8;
const RANGE_DISTANCE_MAX = 500;
/** Sizes of what clients write, by number. */
const WRITTEN_BYTES = [24, 40, 1_000, 9_000] as const;
/** Pushed elements read at once when all is compared. */
const PUSHES_PER_REQUEST = 200;
/** Of one kind; the rest would say the same. */
const PROBLEMS_SHOWN_MAX = 20;

/** One RPUSH: where its reply says its element stands, undefined while unanswered. */
interface Push {
  position: number | undefined;
}

export class BigKeyClients {
  readonly #shape: BigShape;
  readonly #elements: number;
  readonly #random: Prng;
  readonly #fields = new Map<number, RegisterOperation[]>();
  readonly #counters = new Map<number, Increment[]>();
  readonly #pushes: Push[] = [];
  #pushesAcked = 0;
  #nextValue = 0;
  readonly #problems: string[] = [];
  #runner: LoadRunner | undefined;

  constructor(shape: BigShape, random: Prng) {
    this.#shape = shape;
    this.#elements = elementsOf(shape);
    this.#random = random;
    for (let hot = 0; hot < HOT_FIELDS; hot++) {
      const i = Math.floor((hot * shape.fields) / HOT_FIELDS);
      const write = { kind: "write", value: baseName(i), beginMs: 0, endMs: 0 } as const;
      this.#fields.set(i, [write]);
    }
    for (let i = 0; i < COUNTERS; i++) this.#counters.set(i, []);
  }

  /** Of the last run. */
  get acked(): number {
    return this.#runner?.acked ?? 0;
  }

  get lost(): number {
    return this.#runner?.lost ?? 0;
  }

  stop(): void {
    this.#runner?.stop();
  }

  /** Half of the connections write and read, the others only read. Resolves after stop(). */
  async run(port: number, rules: LoadRules): Promise<void> {
    this.#runner = new LoadRunner(port, rules, (id) => this.#drawPipeline(id % 2 === 0));
    await this.#runner.run();
    this.#problems.push(...this.#runner.problems);
  }

  #drawPipeline(isWriter: boolean): readonly Operation[] {
    const length = 1 + this.#random.int(PIPELINE_MAX);
    return Array.from({ length }, () =>
      isWriter && this.#random.oneIn(2) ? this.#drawWrite() : this.#drawRead(),
    );
  }

  #drawWrite(): Operation {
    switch (this.#random.int(3)) {
      case 0:
        return this.#setField();
      case 1:
        return this.#increment();
      default:
        return this.#push();
    }
  }

  #drawRead(): Operation {
    switch (this.#random.int(4)) {
      case 0:
        return this.#readHotField();
      case 1:
        return this.#readColdField();
      case 2:
        return this.#readRange();
      default:
        return this.#readLength();
    }
  }

  #problem(text: string): void {
    if (this.#problems.length < PROBLEMS_SHOWN_MAX) this.#problems.push(text);
  }

  // -- the hash ---------------------------------------------------------------------------------

  #hotField(): number {
    return Math.floor((this.#random.int(HOT_FIELDS) * this.#shape.fields) / HOT_FIELDS);
  }

  #setField(): Operation {
    const [i, n] = [this.#hotField(), this.#nextValue++];
    const beginMs = performance.now();
    return {
      args: ["HSET", HASH_KEY, fieldName(i), writtenBytes("w", n)],
      beginMs,
      settle: (reply, endMs) => {
        if (reply !== undefined && reply !== 0) this.#problem(`HSET of field ${i} said it was new`);
        this.#fields.get(i)!.push({ kind: "write", value: `w${n}`, beginMs, endMs });
      },
    };
  }

  #readHotField(): Operation {
    const i = this.#hotField();
    const beginMs = performance.now();
    return {
      args: ["HGET", HASH_KEY, fieldName(i)],
      beginMs,
      settle: (reply, endMs) => {
        if (reply !== undefined) this.#sawField(i, reply, beginMs, endMs);
      },
    };
  }

  #sawField(i: number, reply: Reply, beginMs: number, endMs: number): void {
    const value = this.#nameOf(i, reply);
    this.#fields.get(i)!.push({ kind: "read", value, beginMs, endMs });
  }

  /** The name of a hot field's value; a problem when it is not that value to the last byte. */
  #nameOf(i: number, reply: Reply): string {
    if (!(reply instanceof Buffer)) return ABSENT;
    const name = reply.toString("latin1", 0, reply.indexOf(":"));
    const n = Number(name.slice(1));
    const expected = name.startsWith("w") ? writtenBytes("w", n) : baseValue(i);
    if (!reply.equals(expected)) this.#problem(`field ${i} has value ${name}, but not all of it`);
    return name;
  }

  #readColdField(): Operation {
    let i = this.#random.int(this.#shape.fields);
    while (this.#fields.has(i)) i = this.#random.int(this.#shape.fields);
    return this.#read(["HGET", HASH_KEY, fieldName(i)], (reply) => {
      if (!isBytes(reply, baseValue(i))) this.#problem(`field ${i} is not what it was made`);
    });
  }

  #increment(): Operation {
    const i = this.#random.int(COUNTERS);
    const beginMs = performance.now();
    return {
      args: ["HINCRBY", HASH_KEY, counterName(i), 1],
      beginMs,
      settle: (reply, endMs) => {
        this.#counters.get(i)!.push({ beginMs, endMs, reply: reply as number | undefined });
      },
    };
  }

  // -- the list ---------------------------------------------------------------------------------

  #push(): Operation {
    const n = this.#pushes.length;
    const push: Push = { position: undefined };
    this.#pushes.push(push);
    return this.#read(["RPUSH", LIST_KEY, writtenBytes("p", n)], (reply) => {
      push.position = Number(reply) - 1;
      this.#pushesAcked++;
    });
  }

  /** A few base elements, not far from the head. */
  #readRange(): Operation {
    const begin = this.#random.int(Math.min(RANGE_DISTANCE_MAX, this.#elements - RANGE_MAX));
    const end = begin + 1 + this.#random.int(RANGE_MAX);
    return this.#read(["LRANGE", LIST_KEY, begin, end - 1], (reply) => {
      const found = Array.isArray(reply) ? reply : [];
      const isRight = found.every((element, k) => isBytes(element, baseElement(begin + k)));
      if (found.length !== end - begin || !isRight) {
        this.#problem(`LRANGE ${begin} ${end - 1} did not answer what is there`);
      }
    });
  }

  /** Not below what was acknowledged before, not above what was sent since. */
  #readLength(): Operation {
    const least = this.#elements + this.#pushesAcked;
    return this.#read(["LLEN", LIST_KEY], (reply) => {
      const most = this.#elements + this.#pushes.length;
      if (Number(reply) >= least && Number(reply) <= most) return;
      this.#problem(`LLEN answered ${reply}, which is not within ${least} and ${most}`);
    });
  }

  #read(args: Args, saw: (reply: Reply) => void): Operation {
    const settle = (reply: Reply | undefined): void => {
      if (reply !== undefined) saw(reply);
    };
    return { args, beginMs: performance.now(), settle };
  }

  // -- all of it --------------------------------------------------------------------------------

  /** Compares every field and element; then all that is wrong, so far. Nothing may run. */
  async problems(client: RespClient): Promise<readonly string[]> {
    await this.#compareHash(client);
    await this.#compareList(client);
    for (const [i, operations] of this.#fields) {
      const wrong = explainRegister(operations);
      if (wrong !== undefined) this.#problem(`field ${i}: ${wrong}`);
    }
    return this.#problems;
  }

  async #compareHash(client: RespClient): Promise<void> {
    let counters = 0;
    for (const [i, increments] of this.#counters) {
      const reply = await client.call("HGET", HASH_KEY, counterName(i));
      if (reply !== null) counters++;
      const wrong = explainCounter(increments, Number(reply ?? 0));
      if (wrong !== undefined) this.#problem(`counter ${i}: ${wrong}`);
    }
    const fields = await client.call("HLEN", HASH_KEY);
    if (fields !== this.#shape.fields + counters) this.#problem(`the hash has ${fields} fields`);
    for (const [begin, end] of fieldRanges(this.#shape.fields)) {
      const names = Array.from({ length: end - begin }, (_, k) => fieldName(begin + k));
      const beginMs = performance.now();
      const values = (await client.call("HMGET", HASH_KEY, ...names)) as Reply[];
      for (const [k, value] of values.entries()) {
        const i = begin + k;
        if (this.#fields.has(i)) this.#sawField(i, value, beginMs, performance.now());
        else if (!isBytes(value, baseValue(i))) this.#problem(`field ${i} is not what it was made`);
      }
    }
  }

  async #compareList(client: RespClient): Promise<void> {
    for (const [begin, end] of elementRanges(this.#elements)) {
      const found = (await client.call("LRANGE", LIST_KEY, begin, end - 1)) as Reply[];
      for (let i = begin; i < end; i++) {
        if (isBytes(found[i - begin], baseElement(i))) continue;
        this.#problem(`element ${i} of the list is not what it was made`);
      }
    }
    const places = new Map<number, number>();
    const length = Number(await client.call("LLEN", LIST_KEY));
    for (let begin = this.#elements; begin < length; begin += PUSHES_PER_REQUEST) {
      const last = begin + PUSHES_PER_REQUEST - 1;
      const found = (await client.call("LRANGE", LIST_KEY, begin, last)) as Reply[];
      for (const [k, element] of found.entries()) this.#place(places, begin + k, element);
    }
    for (const [n, { position }] of this.#pushes.entries()) {
      if (position === undefined || places.get(n) === position) continue;
      const where = places.has(n) ? `at ${places.get(n)}` : "nowhere";
      this.#problem(`push ${n}, acknowledged at ${position}, is ${where}`);
    }
  }

  /** Notes where a pushed element was found. */
  #place(places: Map<number, number>, position: number, element: Reply): void {
    const name = String(element).slice(0, String(element).indexOf(":"));
    const n = Number(name.slice(1));
    const isSent = name.startsWith("p") && n < this.#pushes.length;
    if (!isSent || !isBytes(element, writtenBytes("p", n))) {
      this.#problem(`element ${position} of the list was never sent`);
    } else if (places.has(n)) {
      this.#problem(`push ${n} is there twice, at ${places.get(n)} and ${position}`);
    } else {
      places.set(n, position);
    }
  }
}

function counterName(i: number): string {
  return `counter:${i}`;
}

function baseName(i: number): string {
  return `v${i}`;
}

/** A value or element of a client, told by its number. */
function writtenBytes(letter: "w" | "p", n: number): Buffer {
  return filled(`${letter}${n}:`, WRITTEN_BYTES[n % WRITTEN_BYTES.length]!, n);
}

function isBytes(reply: Reply | undefined, expected: Buffer): boolean {
  return reply instanceof Buffer && reply.equals(expected);
}
