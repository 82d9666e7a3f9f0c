/**
 * A load whose every call and reply is kept, and the judge of it. Connections share registers,
 * counters, hash fields, lists, sets and sorted sets, some under hash tags; each also has a
 * register of its own that it writes and reads in one pipeline, which shows the order within a
 * connection.
 *
 *   run() on N connections ──> history ──> readBack() through the proxy ──> problems()
 *
 * A call without a reply, or (when `toleratesErrors`) with an error, may have happened or not.
 */

import { ErrorReply, type Reply } from "../../src/resp/reply.ts";
import {
  ABSENT,
  explainCounter,
  explainRegister,
  type Increment,
  type RegisterOperation,
} from "./history.ts";
import type { Prng } from "./prng.ts";
import { type Args, ConnectionLost, RespClient } from "./resp-client.ts";

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
  /** Keys begin with this. */
  readonly prefix: string;
}

/** Room for the part that makes a value unique. */
export const VALUE_BYTES_MIN = 24;

/** One request and what to do with its reply. */
interface Operation {
  readonly args: Args;
  readonly beginMs: number;
  settle(reply: Reply | undefined, endMs: number): void;
}

export class CheckedLoad {
  readonly #port: number;
  readonly #options: LoadOptions;
  readonly #random: Prng;
  readonly #registers = new Map<string, RegisterOperation[]>();
  readonly #counters = new Map<string, Increment[]>();
  /** Elements acknowledged, by key: RPUSH, SADD and ZADD of unique elements. */
  readonly #members = new Map<string, { acked: string[]; sent: Set<string> }>();
  readonly #problems: string[] = [];
  #isStopped = false;
  #nextValue = 0;
  #acked = 0;
  #lost = 0;

  constructor(port: number, options: LoadOptions, random: Prng) {
    this.#port = port;
    this.#options = options;
    this.#random = random;
  }

  /** Requests that got a good reply, and those that got none or an error. */
  get counts(): { acked: number; lost: number } {
    return { acked: this.#acked, lost: this.#lost };
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Resolves when every connection has stopped after stop(). */
  async run(): Promise<void> {
    const ids = Array.from({ length: this.#options.connections }, (_, id) => id);
    await Promise.all(ids.map((id) => this.#runConnection(id)));
  }

  async #runConnection(id: number): Promise<void> {
    let client: RespClient | undefined;
    while (!this.#isStopped) {
      client ??= await this.#connect();
      if (client === undefined) continue;
      try {
        await this.#runPipeline(client, id);
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw error;
        if (!this.#options.toleratesErrors)
          this.#problems.push(`connection ${id}: ${error.message}`);
        client = undefined;
      }
    }
    client?.close();
  }

  async #connect(): Promise<RespClient | undefined> {
    try {
      return await RespClient.connect(this.#port);
    } catch (error) {
      if (!this.#options.toleratesErrors) throw error;
      // The refusal came at once: give the restart a turn of the clock before asking again.
      await new Promise((again) => setTimeout(again, 20));
      return undefined;
    }
  }

  async #runPipeline(client: RespClient, id: number): Promise<void> {
    const operations: Operation[] = [];
    const length = 1 + this.#random.int(this.#options.pipelineMax);
    for (let i = 0; i < length; i++) operations.push(this.#draw());
    operations.push(...this.#ownPair(id));
    let replies: readonly Reply[] = [];
    try {
      replies = await client.pipeline(operations.map((operation) => operation.args));
    } catch (error) {
      if (error instanceof ConnectionLost) replies = error.replies;
      throw error;
    } finally {
      const endMs = performance.now();
      for (const [i, operation] of operations.entries()) this.#settle(operation, replies[i], endMs);
    }
  }

  #settle(operation: Operation, reply: Reply | undefined, endMs: number): void {
    if (reply instanceof ErrorReply && !this.#options.toleratesErrors) {
      this.#problems.push(`${operation.args.slice(0, 2).join(" ")} answered -${reply.text}`);
    }
    const isAnswered = reply !== undefined && !(reply instanceof ErrorReply);
    if (isAnswered) this.#acked++;
    else this.#lost++;
    operation.settle(isAnswered ? reply : undefined, isAnswered ? endMs : Infinity);
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
    const problems = [...this.#problems];
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
