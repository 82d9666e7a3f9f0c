/**
 * A load whose every call and reply is kept, and the judge of it. Connections share registers,
 * counters, hash fields, lists, sets and sorted sets, some under hash tags; each also has a
 * register of its own that it writes and reads in one pipeline, which shows the order within a
 * connection.
 *
 *   run() on N connections ──> history ──> readBack() through the proxy ──> problems()
 *
 * A call without a reply, or with an error that may be, may have happened or not.
 */

import type { Reply } from "../../src/resp/reply.ts";
import {
  ABSENT,
  explainCounter,
  explainRegister,
  type Increment,
  type RegisterOperation,
} from "./history.ts";
import { LoadRunner, type Operation } from "./load-runner.ts";
import type { Prng } from "./prng.ts";
import { RespClient } from "./resp-client.ts";

export interface LoadOptions {
  readonly connections: number;
  /** Keys per kind that all connections share. */
  readonly sharedKeys: number;
  /** Requests in one pipeline, at most. */
  readonly pipelineMax: number;
  /** Sizes of values in bytes, drawn evenly. At least VALUE_BYTES_MIN. */
  readonly valueBytes: readonly number[];
  /** Errors and lost connections are part of the test (something is killed). */
  readonly toleratesErrors: boolean;
  /** Otherwise, keys whose requests may be answered by an error; none when absent. */
  readonly mayFail?: (key: string) => boolean;
  /** Keys begin with this. */
  readonly prefix: string;
}

/** Room for the part that makes a value unique. */
export const VALUE_BYTES_MIN = 24;

export class CheckedLoad {
  readonly #port: number;
  readonly #runner: LoadRunner;
  readonly #options: LoadOptions;
  readonly #random: Prng;
  readonly #registers = new Map<string, RegisterOperation[]>();
  readonly #counters = new Map<string, Increment[]>();
  /** Elements acknowledged, by key: RPUSH, SADD and ZADD of unique elements. */
  readonly #members = new Map<string, { acked: string[]; sent: Set<string> }>();
  readonly #problems: string[] = [];
  #nextValue = 0;

  constructor(port: number, options: LoadOptions, random: Prng) {
    this.#port = port;
    this.#options = options;
    this.#random = random;
    const { connections, toleratesErrors, mayFail = () => toleratesErrors } = options;
    const rules = { connections, mayLoseConnections: toleratesErrors, mayFail };
    this.#runner = new LoadRunner(port, rules, (id) => this.#drawPipeline(id));
  }

  /** Requests that got a good reply, and those that got none or an error. */
  get counts(): { acked: number; lost: number } {
    return { acked: this.#runner.acked, lost: this.#runner.lost };
  }

  stop(): void {
    this.#runner.stop();
  }

  /** Resolves when every connection has stopped after stop(). */
  run(): Promise<void> {
    return this.#runner.run();
  }

  #drawPipeline(id: number): readonly Operation[] {
    const operations: Operation[] = [];
    const length = 1 + this.#random.int(this.#options.pipelineMax);
    for (let i = 0; i < length; i++) operations.push(this.#draw());
    operations.push(...this.#ownPair(id));
    return operations;
  }

  #draw(): Operation {
    const index = this.#random.int(this.#options.sharedKeys);
    const tag = this.#random.oneIn(2) ? "" : `{tag${index % 7}}`;
    const key = (kind: string): string => `${this.#options.prefix}${tag}${kind}:${index}`;
    switch (this.#random.int(8)) {
      case 0:
      case 1:
        return this.#write(key("register"));
      case 2:
      case 3:
        return this.#read(key("register"));
      case 4:
        return this.#increment(key("counter"));
      case 5:
        return this.#random.oneIn(2)
          ? this.#write(key("hash"), "field")
          : this.#read(key("hash"), "field");
      case 6:
        return this.#add(key("list"), "RPUSH");
      default:
        return this.#random.oneIn(2)
          ? this.#add(key("set"), "SADD")
          : this.#add(key("zset"), "ZADD");
    }
  }

  /** SET and GET of the connection's own key in one pipeline: the read must see the write. */
  #ownPair(id: number): readonly Operation[] {
    const key = `${this.#options.prefix}own:${id}`;
    const write = this.#write(key);
    const read = this.#read(key);
    const written = String(write.args[2]);
    let isWritten = false;
    return [
      {
        ...write,
        settle: (reply, endMs) => {
          isWritten = reply !== undefined;
          write.settle(reply, endMs);
        },
      },
      {
        ...read,
        settle: (reply, endMs) => {
          read.settle(reply, endMs);
          if (!isWritten || reply === undefined || String(reply) === written) return;
          this.#problems.push(`connection ${id}: GET after SET in one pipeline saw another value`);
        },
      },
    ];
  }

  #write(key: string, field?: string): Operation {
    const value = this.#value();
    const beginMs = performance.now();
    const args = field === undefined ? ["SET", key, value] : ["HSET", key, field, value];
    const settle = (_: Reply | undefined, endMs: number): void => {
      listAt(this.#registers, key).push({ kind: "write", value: digest(value), beginMs, endMs });
    };
    return { args, beginMs, settle };
  }

  #read(key: string, field?: string): Operation {
    const beginMs = performance.now();
    const args = field === undefined ? ["GET", key] : ["HGET", key, field];
    const settle = (reply: Reply | undefined, endMs: number): void => {
      if (reply === undefined) return;
      const value = reply === null ? ABSENT : digest(String(reply));
      listAt(this.#registers, key).push({ kind: "read", value, beginMs, endMs });
    };
    return { args, beginMs, settle };
  }

  #increment(key: string): Operation {
    const beginMs = performance.now();
    const settle = (reply: Reply | undefined, endMs: number): void => {
      listAt(this.#counters, key).push({ beginMs, endMs, reply: reply as number | undefined });
    };
    return { args: ["INCR", key], beginMs, settle };
  }

  #add(key: string, command: "RPUSH" | "SADD" | "ZADD"): Operation {
    const element = `e${this.#nextValue++}`;
    const members = this.#members.get(key) ?? { acked: [], sent: new Set<string>() };
    this.#members.set(key, members);
    members.sent.add(element);
    const settle = (reply: Reply | undefined): void => {
      if (reply !== undefined) members.acked.push(element);
    };
    const args =
      command === "ZADD" ? [command, key, this.#nextValue, element] : [command, key, element];
    return { args, beginMs: performance.now(), settle };
  }

  #value(): string {
    const sizes = this.#options.valueBytes;
    const size = this.#random.pick(sizes);
    return `v${this.#nextValue++}:`.padEnd(size, "x");
  }

  /** Reads every key once more; then all that is wrong, at most a few words per key. */
  async problems(): Promise<readonly string[]> {
    const client = await RespClient.connect(this.#port);
    const problems = [...this.#runner.problems, ...this.#problems];
    const note = (key: string, problem: string | undefined): void => {
      if (problem !== undefined) problems.push(`${key}: ${problem}`);
    };
    for (const [key, operations] of this.#registers) {
      const isHash = key.includes("hash:");
      const beginMs = performance.now();
      const reply = isHash
        ? await client.call("HGET", key, "field")
        : await client.call("GET", key);
      const value = reply === null ? ABSENT : digest(String(reply));
      operations.push({ kind: "read", value, beginMs, endMs: performance.now() });
      note(key, explainRegister(operations));
    }
    for (const [key, increments] of this.#counters) {
      note(key, explainCounter(increments, Number((await client.call("GET", key)) ?? 0)));
    }
    for (const [key, { acked, sent }] of this.#members) {
      note(key, explainMembers(await readMembers(client, key), acked, sent));
    }
    client.close();
    return problems;
  }
}

function listAt<T>(map: Map<string, T[]>, key: string): T[] {
  let list = map.get(key);
  if (list === undefined) {
    list = [];
    map.set(key, list);
  }
  return list;
}

/**
 * What a value is known by: its number and its length. Through a number, because a part of a string
 * would keep the whole value in memory for as long as the history lives.
 */
function digest(value: string): string {
  return `v${Number(value.slice(1, value.indexOf(":")))}/${value.length}`;
}

async function readMembers(client: RespClient, key: string): Promise<string[]> {
  const args = key.includes("list:")
    ? ["LRANGE", key, 0, -1]
    : key.includes("zset:")
      ? ["ZRANGE", key, 0, -1]
      : ["SMEMBERS", key];
  return ((await client.call(...args)) as Reply[]).map(String);
}

function explainMembers(
  found: readonly string[],
  acked: readonly string[],
  sent: ReadonlySet<string>,
): string | undefined {
  const present = new Set(found);
  if (present.size !== found.length)
    return `${found.length - present.size} elements are there twice`;
  const missing = acked.find((element) => !present.has(element));
  if (missing !== undefined) return `acknowledged element ${missing} is not there`;
  const foreign = found.find((element) => !sent.has(element));
  return foreign === undefined ? undefined : `element ${foreign} was never sent`;
}
