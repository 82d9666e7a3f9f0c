/**
 * Small collections, ours beside redis-server in the same run: CPU of the server's process per
 * request, at pipeline 16 over 8 connections, in collections of 10 and of 50; the median of the
 * rounds. What they take in memory is a part of `npm run bench`.
 *
 * `npm run build && bun run test/bench/compact.ts`
 */

import { createPrng } from "../support/prng.ts";
import { cpuMs } from "../support/proc.ts";
import { type Program, Programs } from "../support/programs.ts";
import { median } from "./contest.ts";
import { batchOf, converse, sendAll, type Words } from "./converse.ts";
import { ELEMENT_BYTES, MEASURED_CORE } from "./load.ts";
import { nameOf } from "./memory.ts";

const VALUE = "v".repeat(ELEMENT_BYTES);

const COLLECTIONS = 10_000;
const CONNECTIONS = 8;
const PIPELINE = 16;
const ROUNDS = 3;
/** A whole number of pipelines per connection. */
const REQUESTS = 204_800;
/** Different batches per connection, sent again and again. */
const BATCHES = 250;

interface Operation {
  readonly name: string;
  readonly lines: number;
  /** Element `i` of the collection with this number. */
  request(collection: number, i: number): Words;
}

const OPERATIONS: readonly Operation[] = [
  { name: "HSET", lines: 1, request: (c, i) => ["HSET", `h:${c}`, nameOf(i), VALUE] },
  { name: "HGET", lines: 2, request: (c, i) => ["HGET", `h:${c}`, nameOf(i)] },
  { name: "ZADD", lines: 1, request: (c, i) => ["ZADD", `z:${c}`, (c * 31 + i) % 97, nameOf(i)] },
  { name: "ZSCORE", lines: 2, request: (c, i) => ["ZSCORE", `z:${c}`, nameOf(i)] },
  { name: "SADD", lines: 1, request: (c, i) => ["SADD", `s:${c}`, nameOf(i)] },
  { name: "SISMEMBER", lines: 1, request: (c, i) => ["SISMEMBER", `s:${c}`, nameOf(i)] },
  { name: "LPUSH", lines: 1, request: (c) => ["LPUSH", `l:${c}`, VALUE] },
  { name: "LRANGE", lines: 21, request: (c) => ["LRANGE", `l:${c}`, 0, 9] },
];
/** Those that make the collections, each element once. */
const BUILDERS = OPERATIONS.filter(({ name }) => ["HSET", "ZADD", "SADD", "LPUSH"].includes(name));

/** CPU microseconds per request. */
async function costOf(program: Program, operation: Operation, size: number): Promise<number> {
  const random = createPrng(size);
  const conversations = Array.from({ length: CONNECTIONS }, () => {
    const batches = Array.from({ length: BATCHES }, () => {
      const requests = Array.from({ length: PIPELINE }, () =>
        operation.request(random.int(COLLECTIONS), random.int(size)),
      );
      return batchOf(requests, operation.lines);
    });
    let left = REQUESTS / CONNECTIONS / PIPELINE;
    return () => (left-- > 0 ? batches[left % BATCHES] : undefined);
  });
  const before = cpuMs(program.pid);
  await Promise.all(conversations.map((next) => converse(program.port, next)));
  return ((cpuMs(program.pid) - before) * 1000) / REQUESTS;
}

/** Makes the collections. Returns a row for each of the commands that did. */
async function build(program: Program, size: number): Promise<Map<string, number>> {
  const costs = new Map<string, number>();
  for (const operation of BUILDERS) {
    const before = cpuMs(program.pid);
    const count = COLLECTIONS * size;
    await sendAll(program.port, count, (i) =>
      operation.request(i % COLLECTIONS, Math.floor(i / COLLECTIONS)),
    );
    costs.set(`${operation.name}, new`, ((cpuMs(program.pid) - before) * 1000) / count);
  }
  return costs;
}

async function benchCpu(): Promise<void> {
  for (const size of [10, 50]) {
    process.stdout.write(`CPU microseconds per request, collections of ${size}\n`);
    await using programs = new Programs();
    const ours = await programs.server({ core: MEASURED_CORE });
    const redis = await programs.redis({ core: MEASURED_CORE });
    const costs = [ours, redis].map(() => new Map<string, number[]>());
    for (const [i, program] of [ours, redis].entries()) {
      for (const [name, cost] of await build(program, size)) costs[i]!.set(name, [cost]);
    }
    for (let round = 0; round < ROUNDS; round++) {
      for (const operation of OPERATIONS) {
        for (const [i, program] of [ours, redis].entries()) {
          const cost = await costOf(program, operation, size);
          costs[i]!.set(operation.name, [...(costs[i]!.get(operation.name) ?? []), cost]);
        }
      }
    }
    for (const [name, rounds] of costs[0]!) {
      const [own, stock] = [median(rounds), median(costs[1]!.get(name)!)];
      const cells = [name.padEnd(12), own.toFixed(2).padStart(6), stock.toFixed(2).padStart(6)];
      process.stdout.write(`${cells.join(" ")}   ${(own / stock).toFixed(2)}\n`);
    }
  }
}

await benchCpu();
