/**
 * PFADD, PFCOUNT, PFMERGE. A dense value is changed where it lies; a sparse one is unpacked, raised
 * and packed again. Counting notes nothing in the value: it is a read.
 * Source of texts: Redis 7.0 src/hyperloglog.c.
 */

import { entryMemory, entryValueLength, entryValueOffset } from "../arena/entry.ts";
import {
  argEnd,
  argStart,
  type Call,
  type Handler,
  insertKey,
  readTyped,
  writeTyped,
} from "../call.ts";
import {
  denseRegister,
  elementRegister,
  elementValue,
  encodeRegisters,
  estimateCount,
  isDense,
  isHyperLogLog,
  locateElement,
  markStale,
  mergeRegisters,
  notedCount,
  REGISTERS,
  setDenseRegister,
} from "../hyperloglog.ts";
import { ReplyError } from "../replies.ts";
import { STRING } from "../types/value-type.ts";

const NOT_HYPERLOGLOG = new ReplyError("WRONGTYPE Key is not a valid HyperLogLog string value.");
const DAMAGED = new ReplyError("INVALIDOBJ Corrupted HLL object detected");

/** Unpacked registers, used by one call at a time. */
const registers = new Uint8Array(REGISTERS);

/** @throws ReplyError when the entry (not 0) holds something else */
function checkValue(call: Call, entry: number): void {
  const at = entryValueOffset(call.arena, entry);
  const end = at + entryValueLength(call.arena, entry);
  if (!isHyperLogLog(entryMemory(call.arena, entry), at, end)) throw NOT_HYPERLOGLOG;
}

/** Raises the unpacked registers to those of the entry; none for 0. @throws ReplyError */
function unpack(call: Call, entry: number): void {
  if (entry === 0) return;
  checkValue(call, entry);
  const at = entryValueOffset(call.arena, entry);
  const end = at + entryValueLength(call.arena, entry);
  if (!mergeRegisters(registers, entryMemory(call.arena, entry), at, end)) throw DAMAGED;
}

/** Makes the unpacked registers the value of argument 1's key, whose entry is `entry` or 0. */
function pack(call: Call, entry: number, wantsDense: boolean): void {
  const value = encodeRegisters(registers, wantsDense);
  const kept =
    entry === 0
      ? insertKey(call, 1, STRING, value.length)
      : call.db.overwrite(entry, STRING, value.length, true, 0);
  value.copy(entryMemory(call.arena, kept), entryValueOffset(call.arena, kept));
}

function addDense(call: Call, entry: number): boolean {
  const memory = entryMemory(call.arena, entry);
  const at = entryValueOffset(call.arena, entry);
  let isChanged = false;
  for (let i = 2; i < call.argc; i++) {
    locateElement(call.buf, argStart(call, i), argEnd(call, i));
    if (denseRegister(memory, at, elementRegister) >= elementValue) continue;
    setDenseRegister(memory, at, elementRegister, elementValue);
    isChanged = true;
  }
  if (isChanged) markStale(memory, at);
  return isChanged;
}

function addSparse(call: Call, entry: number): boolean {
  registers.fill(0);
  unpack(call, entry);
  let isChanged = entry === 0;
  for (let i = 2; i < call.argc; i++) {
    locateElement(call.buf, argStart(call, i), argEnd(call, i));
    if (registers[elementRegister]! >= elementValue) continue;
    registers[elementRegister] = elementValue;
    isChanged = true;
  }
  if (isChanged) pack(call, entry, false);
  return isChanged;
}

function add(call: Call): void {
  const entry = writeTyped(call, 1, STRING);
  if (entry !== 0) checkValue(call, entry);
  const isDenseValue =
    entry !== 0 && isDense(entryMemory(call.arena, entry), entryValueOffset(call.arena, entry));
  const isChanged = isDenseValue ? addDense(call, entry) : addSparse(call, entry);
  if (isChanged) call.dirty++;
  call.out.integer(isChanged ? 1 : 0);
}

function count(call: Call): void {
  if (call.argc === 2) {
    countOne(call);
    return;
  }
  registers.fill(0);
  for (let i = 1; i < call.argc; i++) unpack(call, readTyped(call, i, STRING));
  call.out.integer(estimateCount(registers));
}

function countOne(call: Call): void {
  const entry = readTyped(call, 1, STRING);
  if (entry === 0) {
    call.out.integer(0);
    return;
  }
  checkValue(call, entry);
  const noted = notedCount(entryMemory(call.arena, entry), entryValueOffset(call.arena, entry));
  if (noted >= 0) {
    call.out.integer(noted);
    return;
  }
  registers.fill(0);
  unpack(call, entry);
  call.out.integer(estimateCount(registers));
}

function merge(call: Call): void {
  registers.fill(0);
  let wantsDense = false;
  for (let i = 1; i < call.argc; i++) {
    const source = readTyped(call, i, STRING);
    unpack(call, source);
    if (source === 0) continue;
    const at = entryValueOffset(call.arena, source);
    wantsDense ||= isDense(entryMemory(call.arena, source), at);
  }
  pack(call, writeTyped(call, 1, STRING), wantsDense);
  call.dirty++;
  call.out.ok();
}

export const HYPERLOGLOG_HANDLERS = {
  PFADD: add,
  PFCOUNT: count,
  PFMERGE: merge,
} as const satisfies Record<string, Handler>;
