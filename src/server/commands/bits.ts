/**
 * Bits of strings, the most significant of the first byte being bit 0. BITFIELD is in bitfield.ts.
 * Source of texts and details: Redis 7.0 src/bitops.c.
 */

import { entryMemory, entryValueLength, entryValueOffset } from "../arena/entry.ts";
import {
  type Bytes,
  combine,
  countOnes,
  firstOther,
  invert,
  type Operation,
  onesOfByte,
} from "../bit-words.ts";
import {
  argInteger,
  argIs,
  type Call,
  failSyntax,
  type Handler,
  insertKey,
  lookupWrite,
  readTyped,
  writeTyped,
} from "../call.ts";
import { NOT_INTEGER, ReplyError } from "../replies.ts";
import { STRING } from "../types/value-type.ts";
import { checkStringLength, growString } from "./strings.ts";

export const BIT_OFFSET_RULE = "ERR bit offset is not an integer or out of range";
/** Bits of the longest string. */
const BITS_MAX = 2 ** 32;

/** Argument `i` as the number of a bit. @throws ReplyError */
function argBitOffset(call: Call, i: number): number {
  const rule = new ReplyError(BIT_OFFSET_RULE);
  const offset = argInteger(call, i, rule);
  if (offset < 0 || offset >= BITS_MAX) throw rule;
  return offset;
}

/** @param text of the error for an integer that is no bit @param other for what is no integer */
function argBit(call: Call, i: number, text: string, other = text): 0 | 1 {
  const bit = argInteger(call, i, new ReplyError(other));
  if (bit !== 0 && bit !== 1) throw new ReplyError(text);
  return bit;
}

const NO_BYTES: Bytes = { memory: Buffer.alloc(0), start: 0, length: 0 };

/** @param entry of a string, or 0 for a key that does not exist */
export function bytesOf(call: Call, entry: number): Bytes {
  if (entry === 0) return NO_BYTES;
  return {
    memory: entryMemory(call.arena, entry),
    start: entryValueOffset(call.arena, entry),
    length: entryValueLength(call.arena, entry),
  };
}

function setBit(call: Call): void {
  const offset = argBitOffset(call, 2);
  const bit = argBit(call, 3, "ERR bit is not an integer or out of range");
  const entry = writeTyped(call, 1, STRING);
  const byte = Math.floor(offset / 8);
  checkStringLength(call, byte + 1);
  const grown = growString(call, 1, entry, byte + 1);
  const { memory, start } = bytesOf(call, grown);
  const old = memory[start + byte]!;
  const mask = 1 << (7 - (offset % 8));
  memory[start + byte] = bit === 1 ? old | mask : old & ~mask;
  call.dirty++;
  call.out.integer((old & mask) === 0 ? 0 : 1);
}

function getBit(call: Call): void {
  const offset = argBitOffset(call, 2);
  const { memory, start, length } = bytesOf(call, readTyped(call, 1, STRING));
  const byte = Math.floor(offset / 8);
  if (byte >= length) call.out.integer(0);
  else call.out.integer((memory[start + byte]! >>> (7 - (offset % 8))) & 1);
}

/** A range of bits, both ends in it; empty when first > last. */
interface BitRange {
  first: number;
  last: number;
}

/**
 * Start, end and unit (BYTE or BIT) in arguments `i`, `i + 1` and `i + 2`, negative ones from the
 * end.
 * @param hasEnd argument `i + 1` is there
 */
function readBitRange(call: Call, i: number, length: number, hasEnd = true): BitRange {
  // BITCOUNT alone takes -1 -5 for nothing, before it is known where that is in a short string.
  const isCount = i === 2;
  let start = argInteger(call, i);
  let end = hasEnd ? argInteger(call, i + 1) : length * 8 - 1;
  let isBits = false;
  if (call.argc > i + 2) {
    isBits = argIs(call, i + 2, "bit");
    if (!isBits && !argIs(call, i + 2, "byte")) failSyntax();
  }
  const total = isBits ? length * 8 : length;
  if (!hasEnd) end = total - 1;
  if (isCount && start < 0 && end < 0 && start > end) return { first: 0, last: -1 };
  if (start < 0) start = Math.max(0, total + start);
  if (end < 0) end = Math.max(0, total + end);
  end = Math.min(end, total - 1);
  if (start > end) return { first: 0, last: -1 };
  return isBits ? { first: start, last: end } : { first: start * 8, last: end * 8 + 7 };
}

function bitCount(call: Call): void {
  if (call.argc === 3 || call.argc > 5) failSyntax();
  if (call.argc > 2) readBitRange(call, 2, 0);
  const { memory, start, length } = bytesOf(call, readTyped(call, 1, STRING));
  if (call.argc === 2) {
    call.out.integer(countOnes(memory, start, start + length));
    return;
  }
  const { first, last } = readBitRange(call, 2, length);
  if (first > last) {
    call.out.integer(0);
    return;
  }
  const from = Math.floor(first / 8);
  const to = Math.floor(last / 8) + 1;
  let count = countOnes(memory, start + from, start + to);
  // What the first and last byte have outside of the range.
  count -= onesOfByte(memory[start + from]! & ~(0xff >> (first % 8)));
  count -= onesOfByte(memory[start + to - 1]! & (0xff >> ((last % 8) + 1)));
  call.out.integer(count);
}

function bitAt({ memory, start }: Bytes, bit: number): number {
  return (memory[start + Math.floor(bit / 8)]! >>> (7 - (bit % 8))) & 1;
}

/** The first bit of the range that is `bit`, or -1. */
function findBit(bytes: Bytes, bit: 0 | 1, { first, last }: BitRange): number {
  const { memory, start } = bytes;
  let i = first;
  for (const wholeFrom = 8 * Math.ceil(first / 8); i < wholeFrom && i <= last; i++) {
    if (bitAt(bytes, i) === bit) return i;
  }
  // The last byte is looked at bit by bit: not all of it may be in the range.
  const lastByte = Math.floor(last / 8);
  if (i < lastByte * 8) {
    const from = start + i / 8;
    i = 8 * (firstOther(memory, from, start + lastByte, bit === 1 ? 0x00 : 0xff) - start);
  }
  for (; i <= last; i++) if (bitAt(bytes, i) === bit) return i;
  return -1;
}

function bitPosition(call: Call): void {
  const bit = argBit(call, 2, "ERR The bit argument must be 1 or 0.", NOT_INTEGER);
  if (call.argc > 6) failSyntax();
  const hasEnd = call.argc > 4;
  if (call.argc > 3) readBitRange(call, 3, 0, hasEnd);
  const entry = readTyped(call, 1, STRING);
  if (entry === 0) {
    call.out.integer(bit === 1 ? -1 : 0);
    return;
  }
  const bytes = bytesOf(call, entry);
  const range =
    call.argc > 3
      ? readBitRange(call, 3, bytes.length, hasEnd)
      : { first: 0, last: bytes.length * 8 - 1 };
  if (range.first > range.last) {
    call.out.integer(-1);
    return;
  }
  const found = findBit(bytes, bit, range);
  // A string without an end given goes on with zeros.
  if (found < 0 && bit === 0 && !hasEnd) call.out.integer(range.last + 1);
  else call.out.integer(found);
}

function readOperation(call: Call): Operation | "not" {
  for (const operation of ["and", "or", "xor", "not"] as const) {
    if (argIs(call, 1, operation)) return operation;
  }
  return failSyntax();
}

function bitOperation(call: Call): void {
  const operation = readOperation(call);
  if (operation === "not" && call.argc !== 4) {
    throw new ReplyError("ERR BITOP NOT must be called with a single source key.");
  }
  const sources: Bytes[] = [];
  let length = 0;
  for (let i = 3; i < call.argc; i++) {
    const source = bytesOf(call, readTyped(call, i, STRING));
    sources.push(source);
    length = Math.max(length, source.length);
  }
  // Not in the arena: the destination may be one of the sources.
  const result = Buffer.from(new ArrayBuffer(length));
  const [first, ...others] = sources;
  first!.memory.copy(result, 0, first!.start, first!.start + first!.length);
  if (operation === "not") invert(result);
  else for (const other of others) combine(operation, result, other);
  storeResult(call, result);
  call.out.integer(length);
}

/** Sets the key in argument 2, or removes it when there is nothing to set. */
function storeResult(call: Call, result: Buffer): void {
  const old = lookupWrite(call, 2);
  if (result.length === 0) {
    if (old === 0) return;
    call.db.remove(old);
  } else {
    const entry =
      old === 0
        ? insertKey(call, 2, STRING, result.length)
        : call.db.overwrite(old, STRING, result.length, false, 0);
    result.copy(entryMemory(call.arena, entry), entryValueOffset(call.arena, entry));
  }
  call.dirty++;
}

export const BIT_HANDLERS = {
  BITCOUNT: bitCount,
  BITOP: bitOperation,
  BITPOS: bitPosition,
  GETBIT: getBit,
  SETBIT: setBit,
} as const satisfies Record<string, Handler>;
