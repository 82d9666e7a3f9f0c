/**
 * BITFIELD: integers of 1 to 64 bits at any bit of a string. Values are bigint: nobody does this a
 * million times a second. Source of texts and details: Redis 7.0 src/bitops.c `bitfieldGeneric`.
 */

import type { Bytes } from "../bit-words.ts";
import {
  argInt64,
  argIs,
  argText,
  type Call,
  type Handler,
  readTyped,
  writeTyped,
} from "../call.ts";
import { ReplyError, SYNTAX } from "../replies.ts";
import { STRING } from "../types/value-type.ts";
import { BIT_OFFSET_RULE, bytesOf } from "./bits.ts";
import { checkStringLength, growString } from "./strings.ts";

const TYPE_RULE =
  "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";
const BITS_MAX = 2n ** 32n;

interface IntegerType {
  readonly isSigned: boolean;
  readonly bits: number;
}

type Overflow = "wrap" | "sat" | "fail";

interface Step {
  readonly kind: "get" | "set" | "incrby";
  readonly type: IntegerType;
  /** Number of the first bit. */
  readonly offset: number;
  readonly value: bigint;
  readonly overflow: Overflow;
}

function readType(call: Call, i: number): IntegerType {
  const parts = /^([iu])(\d{1,2})$/.exec(argText(call, i));
  const isSigned = parts?.[1] === "i";
  const bits = Number(parts?.[2] ?? 0);
  if (bits < 1 || bits > (isSigned ? 64 : 63)) throw new ReplyError(TYPE_RULE);
  return { isSigned, bits };
}

/** A bit, or with `#` in front the number of an integer of that width. */
function readOffset(call: Call, i: number, { bits }: IntegerType): number {
  const text = argText(call, i);
  const parts = /^(#?)(\d{1,19})$/.exec(text);
  if (parts === null) throw new ReplyError(BIT_OFFSET_RULE);
  const offset = BigInt(parts[2]!) * (parts[1] === "#" ? BigInt(bits) : 1n);
  if (offset >= BITS_MAX) throw new ReplyError(BIT_OFFSET_RULE);
  return Number(offset);
}

function readOverflow(call: Call, i: number): Overflow {
  for (const overflow of ["wrap", "sat", "fail"] as const) {
    if (argIs(call, i, overflow)) return overflow;
  }
  throw new ReplyError("ERR Invalid OVERFLOW type specified");
}

function readSteps(call: Call): Step[] {
  const steps: Step[] = [];
  let overflow: Overflow = "wrap";
  for (let i = 2; i < call.argc; ) {
    const more = call.argc - i - 1;
    if (argIs(call, i, "overflow") && more >= 1) {
      overflow = readOverflow(call, i + 1);
      i += 2;
      continue;
    }
    const kind = readKind(call, i, more);
    const type = readType(call, i + 1);
    const offset = readOffset(call, i + 2, type);
    const value = kind === "get" ? 0n : argInt64(call, i + 3);
    steps.push({ kind, type, offset, value, overflow });
    i += kind === "get" ? 3 : 4;
  }
  return steps;
}

function readKind(call: Call, i: number, more: number): Step["kind"] {
  if (argIs(call, i, "get") && more >= 2) return "get";
  if (argIs(call, i, "set") && more >= 3) return "set";
  if (argIs(call, i, "incrby") && more >= 3) return "incrby";
  throw new ReplyError(SYNTAX);
}

function loadInteger({ memory, start, length }: Bytes, offset: number, type: IntegerType): bigint {
  let value = 0n;
  for (let i = offset; i < offset + type.bits; i++) {
    const byte = Math.floor(i / 8);
    const bit = byte < length ? (memory[start + byte]! >>> (7 - (i % 8))) & 1 : 0;
    value = (value << 1n) | BigInt(bit);
  }
  return type.isSigned ? BigInt.asIntN(type.bits, value) : value;
}

function storeInteger({ memory, start }: Bytes, offset: number, bits: number, value: bigint): void {
  for (let i = 0; i < bits; i++) {
    const bit = Number((value >> BigInt(bits - 1 - i)) & 1n);
    const at = start + Math.floor((offset + i) / 8);
    const mask = 1 << (7 - ((offset + i) % 8));
    memory[at] = bit === 1 ? memory[at]! | mask : memory[at]! & ~mask;
  }
}

/** `value` brought into the type's range as `overflow` says; undefined when it must not be. */
function fit(
  value: bigint,
  { isSigned, bits }: IntegerType,
  overflow: Overflow,
): bigint | undefined {
  const width = BigInt(bits);
  const min = isSigned ? -(1n << (width - 1n)) : 0n;
  const max = isSigned ? (1n << (width - 1n)) - 1n : (1n << width) - 1n;
  if (value >= min && value <= max) return value;
  if (overflow === "fail") return undefined;
  if (overflow === "sat") return value < min ? min : max;
  return isSigned ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
}

function runSteps(call: Call, steps: readonly Step[]): void {
  /** Bits up to the end of what is written furthest; 0 when nothing is. */
  let end = 0;
  for (const { kind, offset, type } of steps) {
    if (kind !== "get") end = Math.max(end, offset + type.bits);
  }
  let entry: number;
  if (end === 0) {
    entry = readTyped(call, 1, STRING);
  } else {
    entry = writeTyped(call, 1, STRING);
    checkStringLength(call, Math.ceil(end / 8));
    entry = growString(call, 1, entry, Math.ceil(end / 8));
  }
  const bytes = bytesOf(call, entry);
  call.out.array(steps.length);
  for (const step of steps) {
    const old = loadInteger(bytes, step.offset, step.type);
    if (step.kind === "get") {
      call.out.bigInteger(old);
      continue;
    }
    const wanted = step.kind === "set" ? step.value : old + step.value;
    const value = fit(wanted, step.type, step.overflow);
    if (value === undefined) {
      call.out.nil();
      continue;
    }
    storeInteger(bytes, step.offset, step.type.bits, value);
    call.out.bigInteger(step.kind === "set" ? old : value);
    call.dirty++;
  }
}

function bitfield(call: Call): void {
  runSteps(call, readSteps(call));
}

function bitfieldReadOnly(call: Call): void {
  const steps = readSteps(call);
  if (steps.some((step) => step.kind !== "get")) {
    throw new ReplyError("ERR BITFIELD_RO only supports the GET subcommand");
  }
  runSteps(call, steps);
}

export const BITFIELD_HANDLERS = {
  BITFIELD: bitfield,
  BITFIELD_RO: bitfieldReadOnly,
} as const satisfies Record<string, Handler>;
