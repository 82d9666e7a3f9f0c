/**
 * What a million entries take, ours beside redis-server: keys with strings, and the elements of
 * collections of several sizes, added one by one to servers that are empty. What counts is how much
 * more is resident then, for each type at the size where we do worst; beside it stands what the
 * server itself says it uses. Of the keys all that is resident counts too, with the program.
 */

import { residentBytes } from "../support/proc.ts";
import { type Program, Programs } from "../support/programs.ts";
import { RespClient } from "../support/resp-client.ts";
import { sendAll, type Words } from "./converse.ts";
import { KEYS } from "./fill.ts";
import {
  ELEMENT_BYTES,
  KEY_BYTES,
  MEASURED_CORE,
  MEMBER_BYTES,
  MEMORY_ENTRIES,
  MEMORY_SIZES,
  TARGETS,
} from "./load.ts";
import type { Recorder } from "./record.ts";

const MIB = 1024 * 1024;
const ELEMENT = "v".repeat(ELEMENT_BYTES);
/**
 * Requests before the first figure, all about these few keys: what a process makes and compiles at
 * its first requests is not the entries'.
 */
const WARM_REQUESTS = 20_000;
const WARM_KEYS = 100;
/** Between two looks at what is resident. */
const POLL_MS = 500;

/** A type, and the forms it has. */
interface Shape {
  readonly type: string;
  /** Adds entry `i`, to the collection named `key` unless it is a key itself. */
  add(key: string, i: number): Words;
}

const STRINGS: Shape = {
  type: "strings",
  add: (_, i) => ["SET", KEYS.prefix + numbered(i, KEY_BYTES - KEYS.prefix.length), KEYS.value],
};
const COLLECTIONS: readonly Shape[] = [
  { type: "hashes", add: (key, i) => ["HSET", key, nameOf(i), ELEMENT] },
  { type: "sets", add: (key, i) => ["SADD", key, nameOf(i)] },
  { type: "sets of integers", add: (key, i) => ["SADD", key, 1_000_000 + i] },
  { type: "sorted sets", add: (key, i) => ["ZADD", key, i, nameOf(i)] },
  { type: "sorted sets, fractions", add: (key, i) => ["ZADD", key, i + 0.1, nameOf(i)] },
  { type: "lists", add: (key) => ["RPUSH", key, ELEMENT] },
];

/** A field or member of MEMBER_BYTES. */
export function nameOf(i: number): string {
  return `n:${numbered(i, MEMBER_BYTES - 2)}`;
}

function numbered(i: number, digits: number): string {
  return String(i).padStart(digits, "0");
}

/** Of one server, in bytes. */
interface Taken {
  /** What came to be resident by the entries. */
  readonly grown: number;
  readonly resident: number;
  /** By the server's own count, by the entries. */
  readonly used: number;
}

export async function benchMemory(recorder: Recorder): Promise<void> {
  const rows: string[][] = [];
  const measure = async (shape: Shape, size: number): Promise<readonly [Taken, Taken]> => {
    const name = size === 1 ? shape.type : `${shape.type} of ${size}`;
    recorder.progress(`memory: ${name}`);
    await using programs = new Programs();
    const ours = await takenBy(await programs.server({ core: MEASURED_CORE }), shape, size);
    const redis = await takenBy(await programs.redis({ core: MEASURED_CORE }), shape, size);
    const figures = [ours.grown, redis.grown, ours.used, redis.used];
    const mebibytes = figures.map((bytes) => (bytes / MIB).toFixed(1));
    rows.push([name, ...mebibytes, (ours.grown / redis.grown).toFixed(2)]);
    return [ours, redis];
  };

  const [ours, redis] = await measure(STRINGS, 1);
  const ratios = [{ type: STRINGS.type, ratio: ours.grown / redis.grown }];
  for (const shape of COLLECTIONS) {
    let ratio = 0;
    for (const size of MEMORY_SIZES) {
      const [own, stock] = await measure(shape, size);
      ratio = Math.max(ratio, own.grown / stock.grown);
    }
    ratios.push({ type: shape.type, ratio });
  }
  recorder.tables.push({
    title: `Memory that ${MEMORY_ENTRIES} entries take`,
    heading: ["entries", "codis MiB", "redis MiB", "codis used", "redis used", "ratio"],
    rows,
  });
  recorder.verdicts.push({
    what: `memory of a server with ${MEMORY_ENTRIES} keys, codis / redis-server`,
    measured: ours.resident / redis.resident,
    limit: TARGETS.memory,
    unit: "x",
  });
  for (const { type, ratio } of ratios) {
    const what = `memory of ${MEMORY_ENTRIES} entries, ${type}: codis / redis-server, worst size`;
    recorder.verdicts.push({ what, measured: ratio, limit: TARGETS.memoryOfType, unit: "x" });
  }
}

async function takenBy({ port, pid }: Program, shape: Shape, size: number): Promise<Taken> {
  await sendAll(port, WARM_REQUESTS, (i) => shape.add(`warm:${i % WARM_KEYS}`, i % WARM_KEYS));
  const resident = await residentAtRest(pid);
  const used = await usedMemory(port);
  const collections = MEMORY_ENTRIES / size;
  // One element to each in turn: no block has the one that was made just before beside it.
  await sendAll(port, MEMORY_ENTRIES, (i) =>
    shape.add(`k:${i % collections}`, size === 1 ? i : Math.floor(i / collections)),
  );
  const full = await residentAtRest(pid);
  return { grown: full - resident, resident: full, used: (await usedMemory(port)) - used };
}

/** What is resident once that has stopped falling: what was only kept ready is given back then. */
async function residentAtRest(pid: number): Promise<number> {
  for (let last = residentBytes(pid); ; ) {
    await new Promise((again) => setTimeout(again, POLL_MS));
    const now = residentBytes(pid);
    if (now >= last) return now;
    last = now;
  }
}

async function usedMemory(port: number): Promise<number> {
  const client = await RespClient.connect(port);
  const info = String(await client.call("INFO", "memory"));
  client.close();
  return Number(/^used_memory:(\d+)/m.exec(info)?.[1]);
}
