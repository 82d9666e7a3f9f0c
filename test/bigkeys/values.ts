/**
 * The two large values of the campaign and what each part of them must be, told by its number
 * alone, so that 512 MiB can be compared byte by byte without being kept.
 *
 *   hash   field:0 .. field:N-1 with base values; later also counters
 *   list   base elements 0 .. M-1, of 1 KiB, 64 KiB and 1 MiB; behind them what clients push
 */

import { slotOf } from "../../src/slots/hash.ts";
import { type Args, RespClient } from "../support/resp-client.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

export interface BigShape {
  /** Of the hash. */
  readonly fields: number;
  /** Of all base elements of the list together, at least. */
  readonly listBytes: number;
}

export const FULL_SHAPE: BigShape = { fields: 1_000_000, listBytes: 512 * MIB };
export const TENTH_SHAPE: BigShape = { fields: 100_000, listBytes: Math.ceil(51.2 * MIB) };

/** Elements by size: most are small, half of the bytes are in the largest. */
const LARGEST_ONE_IN = 512;
const LARGE_ONE_IN = 64;
/** Values of the hash: one of these is longer. */
const LONG_FIELD_ONE_IN = 1000;
const FIELD_BYTES = 40;
const LONG_FIELD_BYTES = 10 * KIB;
/** Bytes of one request that writes or reads base elements, about; and fields in one. */
const REQUEST_BYTES = MIB;
const FIELDS_PER_REQUEST = 500;

/** Both keys lie in slots of the first of two groups. */
const FIRST_GROUP_SLOTS = 512;
export const HASH_KEY = keyInFirstGroup("big:hash");
export const LIST_KEY = keyInFirstGroup("big:list");

function keyInFirstGroup(name: string): string {
  for (let i = 0; ; i++) {
    const key = `${name}:${i}`;
    if (slotOf(Buffer.from(key)) < FIRST_GROUP_SLOTS) return key;
  }
}

export function fieldName(i: number): string {
  return `field:${i}`;
}

export function baseValue(i: number): Buffer {
  return filled(
    `v${i}:`,
    i % LONG_FIELD_ONE_IN === LONG_FIELD_ONE_IN - 1 ? LONG_FIELD_BYTES : FIELD_BYTES,
    i,
  );
}

export function baseElement(i: number): Buffer {
  return filled(`e${i}:`, elementBytes(i), i);
}

function elementBytes(i: number): number {
  if (i % LARGEST_ONE_IN === LARGEST_ONE_IN - 1) return MIB;
  return i % LARGE_ONE_IN === LARGE_ONE_IN - 1 ? 64 * KIB : KIB;
}

/** `head`, then a letter that differs from number to number. */
export function filled(head: string, bytes: number, i: number): Buffer {
  const buffer = Buffer.alloc(bytes, 97 + (i % 26));
  buffer.write(head, "latin1");
  return buffer;
}

export function elementsOf({ listBytes }: BigShape): number {
  let count = 0;
  for (let bytes = 0; bytes < listBytes; bytes += elementBytes(count++));
  return count;
}

/** Ranges of base elements that fill a request each: [begin, end). */
export function* elementRanges(count: number): Generator<readonly [number, number]> {
  for (let begin = 0; begin < count; ) {
    let end = begin;
    for (let bytes = 0; end < count && bytes < REQUEST_BYTES; bytes += elementBytes(end++));
    yield [begin, end];
    begin = end;
  }
}

/** Ranges of fields that fill a request each: [begin, end). */
export function* fieldRanges(count: number): Generator<readonly [number, number]> {
  for (let begin = 0; begin < count; begin += FIELDS_PER_REQUEST) {
    yield [begin, Math.min(count, begin + FIELDS_PER_REQUEST)];
  }
}

/** Writes both values through the proxy at `port`; the list ends at unix time `listEndMs`. */
export async function writeBigValues(
  port: number,
  shape: BigShape,
  listEndMs: number,
): Promise<void> {
  const client = await RespClient.connect(port);
  for (const [begin, end] of fieldRanges(shape.fields)) {
    const words: (string | Buffer)[] = ["HSET", HASH_KEY];
    for (let i = begin; i < end; i++) words.push(fieldName(i), baseValue(i));
    await expectReply(client, words, end - begin);
  }
  for (const [begin, end] of elementRanges(elementsOf(shape))) {
    const words: (string | Buffer)[] = ["RPUSH", LIST_KEY];
    for (let i = begin; i < end; i++) words.push(baseElement(i));
    await expectReply(client, words, end);
  }
  await expectReply(client, ["PEXPIREAT", LIST_KEY, listEndMs], 1);
  client.close();
}

async function expectReply(client: RespClient, words: Args, expected: number): Promise<void> {
  const reply = await client.call(...words);
  if (reply !== expected) throw new Error(`${words.slice(0, 2).join(" ")} answered ${reply}`);
}
