/**
 * A fixed data set for end-to-end tests: key `i` has one of the five types, every third a hash tag,
 * and values from 1 byte to 8 MiB (a few). What was written follows from the number alone, so that
 * any client can read it back without having written it.
 */

import { expect } from "bun:test";

/** How a client sends a batch of commands; replies as that client gives them, text as strings. */
export interface DataClient {
  batch(commands: readonly (readonly string[])[]): Promise<readonly unknown[]>;
}

const TYPES = ["string", "list", "hash", "set", "zset"] as const;
const BATCH = 1_000;
const MEBIBYTE = 1024 * 1024;

/** Sizes of the large string values, spread over the first keys of a range. */
const LARGE_BYTES = [64 * 1024, MEBIBYTE, 8 * MEBIBYTE];

function typeOf(index: number): (typeof TYPES)[number] {
  return TYPES[index % TYPES.length]!;
}

function keyOf(index: number): string {
  return index % 3 === 0 ? `{user${index % 997}}:data:${index}` : `data:${index}`;
}

/** The commands that write key `index`. */
export function writeCommand(index: number, largeFrom = 0): string[] {
  const key = keyOf(index);
  switch (typeOf(index)) {
    case "string":
      return ["SET", key, stringValue(index, largeFrom)];
    case "list":
      return ["RPUSH", key, ...elementsOf(index)];
    case "hash":
      return ["HSET", key, ...elementsOf(index).flatMap((element, n) => [`f${n}`, element])];
    case "set":
      return ["SADD", key, ...elementsOf(index)];
    default:
      return ["ZADD", key, ...elementsOf(index).flatMap((element, n) => [String(n), element])];
  }
}

function readCommand(index: number): string[] {
  const key = keyOf(index);
  switch (typeOf(index)) {
    case "string":
      return ["GET", key];
    case "list":
      return ["LRANGE", key, "0", "-1"];
    case "hash":
      return ["HVALS", key];
    case "set":
      return ["SMEMBERS", key];
    default:
      return ["ZRANGE", key, "0", "-1"];
  }
}

/** Writes keys [begin, end). */
export async function writeDataset(client: DataClient, begin: number, end: number): Promise<void> {
  for (let at = begin; at < end; at += BATCH) {
    const indexes = rangeOf(at, Math.min(at + BATCH, end));
    const replies = await client.batch(indexes.map((index) => writeCommand(index, begin)));
    for (const [i, index] of indexes.entries()) {
      const wanted = typeOf(index) === "string" ? "OK" : elementsOf(index).length;
      if (replies[i] !== wanted) throw new Error(`${keyOf(index)}: write answered ${replies[i]}`);
    }
  }
}

/** Reads keys [begin, end) back and compares every one. */
export async function verifyDataset(client: DataClient, begin: number, end: number): Promise<void> {
  for (let at = begin; at < end; at += BATCH) {
    const indexes = rangeOf(at, Math.min(at + BATCH, end));
    const replies = await client.batch(indexes.map(readCommand));
    for (const [i, index] of indexes.entries()) {
      if (typeOf(index) === "string") {
        // Not expect(): it would print 8 MiB when it fails.
        const isEqual = String(replies[i]) === stringValue(index, begin);
        expect(isEqual ? keyOf(index) : `${keyOf(index)} has another value`).toBe(keyOf(index));
        continue;
      }
      const found = (replies[i] as readonly unknown[]).map(String);
      if (["set", "hash"].includes(typeOf(index))) found.sort();
      expect(found, keyOf(index)).toEqual(elementsOf(index));
    }
  }
}

function rangeOf(begin: number, end: number): number[] {
  return Array.from({ length: end - begin }, (_, i) => begin + i);
}

function stringValue(index: number, largeFrom: number): string {
  const ordinal = (index - largeFrom) / TYPES.length;
  const size = LARGE_BYTES[ordinal] ?? 1 + (index % 200);
  return `${index}:`.padEnd(size, "abcdefgh").slice(0, size);
}

/** 1 to 5 elements, ascending as text. */
function elementsOf(index: number): string[] {
  return Array.from({ length: 1 + (index % 5) }, (_, n) => `${n}:${index}`);
}
