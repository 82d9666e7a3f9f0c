/**
 * Collections of typical sizes, ours beside redis-server in the same run: what a million elements
 * take, and what a request costs.
 *
 *   memory  a million elements of 10-byte names and 20-byte values in collections of 10, of 100 and
 *           in one, added one by one to a server that is empty; how much more is resident and, as
 *           the server itself counts it, used
 *   CPU     of the server's process per request, at pipeline 16 over 8 connections, in collections
 *           of 10 and of 50; the median of the rounds
 *
 * `npm run build && bun run test/bench/compact.ts [memory | cpu] [elements]`
 */

import { encodeRequest } from "../../src/resp/encoder.ts";
import { createPrng } from "../support/prng.ts";
import { cpuMs, residentBytes } from "../support/proc.ts";
import { type Program, Programs } from "../support/programs.ts";
import { RespClient } from "../support/resp-client.ts";
import { median } from "./contest.ts";
import { MEASURED_CORE } from "./load.ts";

const MIB = 1024 * 1024;
const NEWLINE = 0x0a;
const VALUE = "v".repeat(20);

type Words = readonly (string | number)[];

/** A name of 10 bytes. */
function nameOf(i: number): string {
  return `n:${String(i).padStart(8, "0")}`;
}

// -- sending ------------------------------------------------------------------------------------

/**
 * Sends each batch when the one before is answered, until there are none.
 * @param next a batch of requests, and the lines their replies have together; undefined at the end
 */
async function converse(port: number, next: () => Batch | undefined): Promise<void> {
  const done = Promise.withResolvers<void>();
  let owed = 0;
  let unsent: Buffer = Buffer.alloc(0);
  const send = (socket: Bun.Socket<undefined>): void => {
    const taken = Math.max(0, socket.write(unsent));
    unsent = unsent.subarray(taken);
  };
  const sendNext = (socket: Bun.Socket<undefined>): void => {
    const batch = next();
    if (batch === undefined) {
      done.resolve();
      return;
    }
    owed = batch.lines;
    unsent = batch.bytes;
    send(socket);
  };
  const socket = await Bun.connect<undefined>({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(socket, chunk) {
        if (chunk[0] === 0x2d) done.reject(new Error(`refused: ${chunk.toString("latin1")}`));
        for (const byte of chunk) if (byte === NEWLINE) owed--;
        if (owed === 0) sendNext(socket);
      },
      drain: send,
      close: () => done.reject(new Error("connection lost")),
      error: (_, error) => done.reject(error),
    },
  });
  sendNext(socket);
  await done.promise;
  done.promise.catch(() => {});
  socket.end();
}

interface Batch {
  readonly bytes: Buffer;
  /** Of the replies. */
  readonly lines: number;
}

function batchOf(requests: readonly Words[], linesEach: number): Batch {
  const bytes = Buffer.concat(requests.map((words) => encodeRequest(words)));
  return { bytes, lines: requests.length * linesEach };
}

/** Requests 0 to `count` - 1, each answered by one line, in batches. */
async function sendAll(port: number, count: number, request: (i: number) => Words): Promise<void> {
  let at = 0;
  await converse(port, () => {
    if (at === count) return undefined;
    const first = at;
    at = Math.min(count, at + 1000);
    return batchOf(
      Array.from({ length: at - first }, (_, i) => request(first + i)),
      1,
    );
  });
}

// -- memory -------------------------------------------------------------------------------------

interface Shape {
  readonly name: string;
  /** Adds an element to the collection named `key`. */
  add(key: string, i: number): Words;
}

const SHAPES: readonly Shape[] = [
  { name: "hash", add: (key, i) => ["HSET", key, nameOf(i), VALUE] },
  { name: "set", add: (key, i) => ["SADD", key, nameOf(i)] },
  { name: "set of integers", add: (key, i) => ["SADD", key, 1_000_000 + i] },
  { name: "zset", add: (key, i) => ["ZADD", key, i, nameOf(i)] },
  { name: "zset, fractions", add: (key, i) => ["ZADD", key, i + 0.1, nameOf(i)] },
  { name: "list", add: (key) => ["RPUSH", key, VALUE] },
];

async function usedMemory(port: number): Promise<number> {
  const client = await RespClient.connect(port);
  const info = String(await client.call("INFO", "memory"));
  client.close();
  return Number(/^used_memory:(\d+)/m.exec(info)?.[1]);
}

/** Bytes that came to be resident, and used, by the requests. */
async function growth(
  program: Program,
  count: number,
  request: (i: number) => Words,
): Promise<readonly [resident: number, used: number]> {
  // What a server makes at its first requests is not the elements'.
  await sendAll(program.port, 20_000, (i) => ["SET", `warm:${i % 100}`, "1"]);
  const resident = residentBytes(program.pid);
  const used = await usedMemory(program.port);
  await sendAll(program.port, count, request);
  return [residentBytes(program.pid) - resident, (await usedMemory(program.port)) - used];
}

async function benchMemory(elements: number): Promise<void> {
  const rows: (readonly [string, (i: number) => Words])[] = [
    ["strings", (i) => ["SET", nameOf(i), VALUE]],
  ];
  for (const { name, add } of SHAPES) {
    for (const size of [10, 100, elements]) {
      const collections = elements / size;
      // One element to each in turn: no block has the one that was made just before beside it.
      const request = (i: number): Words =>
        add(`k:${i % collections}`, Math.floor(i / collections));
      rows.push([`${name} of ${size}`, request]);
    }
  }
  process.stdout.write(
    `${"memory, MiB".padEnd(28)} ours (used)     redis (used)    ratio (used)\n`,
  );
  for (const [name, request] of rows) {
    await using programs = new Programs();
    const ours = await growth(await programs.server({ core: MEASURED_CORE }), elements, request);
    const redis = await growth(await programs.redis({ core: MEASURED_CORE }), elements, request);
    const shown = [ours, redis].map(
      ([resident, used]) =>
        `${(resident / MIB).toFixed(1).padStart(6)} (${(used / MIB).toFixed(1)})`,
    );
    const ratio = `${(ours[0] / redis[0]).toFixed(2)} (${(ours[1] / redis[1]).toFixed(2)})`;
    process.stdout.write(
      `${name.padEnd(28)} ${shown[0]!.padEnd(15)} ${shown[1]!.padEnd(15)} ${ratio}\n`,
    );
  }
}

// -- CPU ----------------------------------------------------------------------------------------

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

const [what = "all", elements = "1000000"] = process.argv.slice(2);
if (what !== "cpu") await benchMemory(Number(elements));
if (what !== "memory") await benchCpu();
