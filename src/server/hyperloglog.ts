/**
 * Pure: HyperLogLogs as Redis keeps them in strings, so that they can be moved to and from any
 * other server. 16384 registers, each the longest run of zeros seen plus one.
 *
 *   "HYLL" | encoding | 3 unused | cardinality, 8 bytes LE, top bit: out of date | registers
 *   dense:  6 bits per register, least significant first
 *   sparse: 00nnnnnn            n + 1 registers of 0
 *           01nnnnnn nnnnnnnn   n + 1 registers of 0
 *           1vvvvvnn            n + 1 registers of v + 1
 *
 * Source: Redis 7.0 src/hyperloglog.c; the estimate is Ertl's (arXiv 1702.01284).
 */

export const REGISTERS = 16384;
const HEADER_BYTES = 16;
const DENSE_BYTES = HEADER_BYTES + (REGISTERS * 6) / 8;
/** A sparse one that would be longer becomes dense: hll-sparse-max-bytes. */
const SPARSE_BYTES_MAX = 3000;
const SPARSE_VALUE_MAX = 32;
const REGISTER_MAX = 63;

const DENSE = 0;
const SPARSE = 1;
const ENCODING_AT = 4;
const CARD_AT = 8;
const STALE = 0x80;

const MAGIC = Buffer.from("HYLL", "latin1");

/** What kind of value the bytes are. */
export function isHyperLogLog(buf: Buffer, from: number, to: number): boolean {
  if (to - from < HEADER_BYTES || buf.compare(MAGIC, 0, 4, from, from + 4) !== 0) return false;
  const encoding = buf[from + ENCODING_AT]!;
  return encoding === DENSE ? to - from === DENSE_BYTES : encoding === SPARSE;
}

export function isDense(buf: Buffer, from: number): boolean {
  return buf[from + ENCODING_AT] === DENSE;
}

/** The cardinality noted in the header, or -1 when it is out of date. */
export function notedCount(buf: Buffer, from: number): number {
  if ((buf[from + CARD_AT + 7]! & STALE) !== 0) return -1;
  return Number(buf.readBigUInt64LE(from + CARD_AT));
}

/** The cardinality in the header is not right any more. */
export function markStale(buf: Buffer, from: number): void {
  buf[from + CARD_AT + 7]! |= STALE;
}

/** One dense register; `from` is where the value starts. */
export function denseRegister(buf: Buffer, from: number, index: number): number {
  const bit = index * 6;
  const at = from + HEADER_BYTES + (bit >>> 3);
  const low = buf[at]! >>> (bit & 7);
  // The last register ends with the last byte: nothing is read behind it.
  const high = (bit & 7) > 2 ? buf[at + 1]! << (8 - (bit & 7)) : 0;
  return (low | high) & REGISTER_MAX;
}

export function setDenseRegister(buf: Buffer, from: number, index: number, value: number): void {
  const bit = index * 6;
  const at = from + HEADER_BYTES + (bit >>> 3);
  const shift = bit & 7;
  buf[at] = (buf[at]! & ~(REGISTER_MAX << shift)) | (value << shift);
  if (shift <= 2) return;
  const over = 8 - shift;
  buf[at + 1] = (buf[at + 1]! & ~(REGISTER_MAX >>> over)) | (value >>> over);
}

/**
 * Raises `registers` to those of a value.
 * @returns false when the value is damaged; then some registers may be raised already
 */
export function mergeRegisters(
  registers: Uint8Array,
  buf: Buffer,
  from: number,
  to: number,
): boolean {
  if (isDense(buf, from)) {
    for (let i = 0; i < REGISTERS; i++) raise(registers, i, denseRegister(buf, from, i));
    return true;
  }
  let index = 0;
  for (let at = from + HEADER_BYTES; at < to; at++) {
    const code = buf[at]!;
    let run: number;
    if (code >= 0x80) {
      run = (code & 3) + 1;
      if (index + run > REGISTERS) return false;
      const value = ((code >>> 2) & 31) + 1;
      for (let i = index; i < index + run; i++) raise(registers, i, value);
    } else if (code >= 0x40) {
      if (++at === to) return false;
      run = (((code & 63) << 8) | buf[at]!) + 1;
    } else {
      run = code + 1;
    }
    index += run;
  }
  return index === REGISTERS;
}

function raise(registers: Uint8Array, index: number, value: number): void {
  if (registers[index]! < value) registers[index] = value;
}

/**
 * The registers as a value, cardinality out of date. @param wantsDense even where sparse would do
 */
export function encodeRegisters(registers: Uint8Array, wantsDense: boolean): Buffer {
  return (wantsDense ? undefined : encodeSparse(registers)) ?? encodeDense(registers);
}

function header(encoding: number): number[] {
  const bytes = new Array<number>(HEADER_BYTES).fill(0);
  for (let i = 0; i < MAGIC.length; i++) bytes[i] = MAGIC[i]!;
  bytes[ENCODING_AT] = encoding;
  bytes[CARD_AT + 7] = STALE;
  return bytes;
}

function encodeDense(registers: Uint8Array): Buffer {
  const value = Buffer.alloc(DENSE_BYTES);
  value.set(header(DENSE));
  for (let i = 0; i < REGISTERS; i++) setDenseRegister(value, 0, i, registers[i]!);
  return value;
}

function encodeSparse(registers: Uint8Array): Buffer | undefined {
  const bytes = header(SPARSE);
  for (let i = 0; i < REGISTERS; ) {
    const value = registers[i]!;
    if (value > SPARSE_VALUE_MAX) return undefined;
    const longest = value === 0 ? REGISTERS : 4;
    let run = 1;
    while (run < longest && registers[i + run] === value) run++;
    if (value > 0) bytes.push(0x80 | ((value - 1) << 2) | (run - 1));
    else if (run > 64) bytes.push(0x40 | ((run - 1) >>> 8), (run - 1) & 0xff);
    else bytes.push(run - 1);
    if (bytes.length > SPARSE_BYTES_MAX) return undefined;
    i += run;
  }
  return Buffer.from(bytes);
}

// -- estimate -------------------------------------------------------------------------------------

/** Bits of the hash behind the register's index. */
const Q = 50;
const ALPHA_INFINITY = 0.7213475204444817;

/** How many different elements were added, within about 0.8 %. */
export function estimateCount(registers: Uint8Array): number {
  const histogram = new Float64Array(REGISTER_MAX + 1);
  for (let i = 0; i < REGISTERS; i++) histogram[registers[i]!]!++;
  let z = REGISTERS * tau((REGISTERS - histogram[Q + 1]!) / REGISTERS);
  for (let j = Q; j >= 1; j--) z = (z + histogram[j]!) * 0.5;
  z += REGISTERS * sigma(histogram[0]! / REGISTERS);
  return Math.round((ALPHA_INFINITY * REGISTERS * REGISTERS) / z);
}

function tau(x: number): number {
  if (x === 0 || x === 1) return 0;
  let root = x;
  let y = 1;
  let z = 1 - x;
  for (let last = Number.NaN; last !== z; ) {
    root = Math.sqrt(root);
    last = z;
    y *= 0.5;
    z -= (1 - root) ** 2 * y;
  }
  return z / 3;
}

function sigma(x: number): number {
  if (x === 1) return Number.POSITIVE_INFINITY;
  let power = x;
  let y = 1;
  let z = x;
  for (let last = Number.NaN; last !== z; ) {
    power *= power;
    last = z;
    z += power * y;
    y += y;
  }
  return z;
}

// -- hash: MurmurHash64A in halves of 32 bits -----------------------------------------------------

const M_LOW = 0x5bd1e995;
const M_HIGH = 0xc6a4a793 | 0;
const SEED = 0xadc83b19 | 0;

/** The 64-bit number being worked on. */
let low = 0;
let high = 0;

/** The high 32 bits of the unsigned product. */
function multiplyHigh(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const other = a0 * b1 + (middle & 0xffff);
  return (a1 * b1 + Math.floor(middle / 65536) + Math.floor(other / 65536)) | 0;
}

/** (low, high) *= M */
function multiply(): void {
  const carried = multiplyHigh(low, M_LOW);
  high = (carried + Math.imul(low, M_HIGH) + Math.imul(high, M_LOW)) | 0;
  low = Math.imul(low, M_LOW);
}

/** (low, high) ^= (low, high) >>> 47 */
function fold(): void {
  low ^= high >>> 15;
}

function hash(buf: Buffer, from: number, to: number): void {
  const length = to - from;
  low = length;
  high = 0;
  multiply();
  let hashLow = low ^ SEED;
  let hashHigh = high;
  let at = from;
  for (; at + 8 <= to; at += 8) {
    low = buf.readInt32LE(at);
    high = buf.readInt32LE(at + 4);
    multiply();
    fold();
    multiply();
    low ^= hashLow;
    high ^= hashHigh;
    multiply();
    hashLow = low;
    hashHigh = high;
  }
  if (at < to) {
    for (let i = 0; at + i < to; i++) {
      if (i < 4) hashLow ^= buf[at + i]! << (8 * i);
      else hashHigh ^= buf[at + i]! << (8 * (i - 4));
    }
    low = hashLow;
    high = hashHigh;
    multiply();
  } else {
    low = hashLow;
    high = hashHigh;
  }
  fold();
  multiply();
  fold();
}

/** The register an element belongs to, and the value it asks for, after `locateElement`. */
export let elementRegister = 0;
export let elementValue = 0;

/** Finds register and value of the element `buf[from, to)`. */
export function locateElement(buf: Buffer, from: number, to: number): void {
  hash(buf, from, to);
  elementRegister = low & (REGISTERS - 1);
  // The 50 bits above the index, with a one behind them so that the run ends.
  const restLow = (low >>> 14) | (high << 18);
  const restHigh = (high >>> 14) | (1 << 18);
  elementValue = restLow === 0 ? 33 + trailingZeros(restHigh) : 1 + trailingZeros(restLow);
}

function trailingZeros(value: number): number {
  return 31 - Math.clz32(value & -value);
}
