/**
 * Pure: the CRC-64 that closes DUMP payloads and RDB files. "Jones" polynomial 0xad93d23594c935a9,
 * reflected in and out, start 0, no final xor: crc64("123456789") = 0xe9c6d914c4b8d9ca. Source:
 * Redis crc64.c. Kept as two 32-bit halves, since BigInt would cost fifty times as much, and eight
 * bytes a step ("slice by 8"): 430-900 MB/s against 360 for a byte at a time.
 */

/** The polynomial with its bits reversed, in halves. */
const REFLECTED_HIGH = 0x95ac9329;
const REFLECTED_LOW = 0xac4bc9b5;

/** Bytes of a checksum, little endian. */
export const CRC64_BYTES = 8;

/**
 * LOW[256 * k + b]: the CRC of byte b followed by k zero bytes, lower half; HIGH its upper half.
 */
const LOW = new Uint32Array(8 * 256);
const HIGH = new Uint32Array(8 * 256);

for (let byte = 0; byte < 256; byte++) {
  let low = byte;
  let high = 0;
  for (let bit = 0; bit < 8; bit++) {
    const odd = low & 1;
    low = (low >>> 1) | (high << 31);
    high >>>= 1;
    if (odd === 1) {
      low ^= REFLECTED_LOW;
      high ^= REFLECTED_HIGH;
    }
  }
  LOW[byte] = low;
  HIGH[byte] = high;
}
for (let i = 256; i < 8 * 256; i++) {
  const low = LOW[i - 256]!;
  const high = HIGH[i - 256]!;
  LOW[i] = ((low >>> 8) | (high << 24)) ^ LOW[low & 255]!;
  HIGH[i] = (high >>> 8) ^ HIGH[low & 255]!;
}

/** A checksum being taken, so that a file can be summed piece by piece. */
export interface Crc64 {
  low: number;
  high: number;
}

/** Adds `buf[from, to)` to `crc`, which starts as `{ low: 0, high: 0 }`. */
export function updateCrc64(crc: Crc64, buf: Uint8Array, from: number, to: number): void {
  let low = crc.low | 0;
  let high = crc.high | 0;
  let i = from;
  for (const end = to - 7; i < end; i += 8) {
    low ^= buf[i]! | (buf[i + 1]! << 8) | (buf[i + 2]! << 16) | (buf[i + 3]! << 24);
    high ^= buf[i + 4]! | (buf[i + 5]! << 8) | (buf[i + 6]! << 16) | (buf[i + 7]! << 24);
    const a = 1792 + (low & 255);
    const b = 1536 + ((low >>> 8) & 255);
    const c = 1280 + ((low >>> 16) & 255);
    const d = 1024 + (low >>> 24);
    const e = 768 + (high & 255);
    const f = 512 + ((high >>> 8) & 255);
    const g = 256 + ((high >>> 16) & 255);
    const h = high >>> 24;
    low = LOW[a]! ^ LOW[b]! ^ LOW[c]! ^ LOW[d]! ^ LOW[e]! ^ LOW[f]! ^ LOW[g]! ^ LOW[h]!;
    high = HIGH[a]! ^ HIGH[b]! ^ HIGH[c]! ^ HIGH[d]! ^ HIGH[e]! ^ HIGH[f]! ^ HIGH[g]! ^ HIGH[h]!;
  }
  for (; i < to; i++) {
    const index = (low ^ buf[i]!) & 255;
    low = ((low >>> 8) | (high << 24)) ^ LOW[index]!;
    high = (high >>> 8) ^ HIGH[index]!;
  }
  crc.low = low >>> 0;
  crc.high = high >>> 0;
}

const whole: Crc64 = { low: 0, high: 0 };

function sumWhole(buf: Uint8Array, from: number, to: number): void {
  whole.low = 0;
  whole.high = 0;
  updateCrc64(whole, buf, from, to);
}

/** Writes the checksum of `buf[from, to)` at `buf[to]`, 8 bytes little endian. */
export function sealCrc64(buf: Buffer, from: number, to: number): void {
  sumWhole(buf, from, to);
  buf.writeUInt32LE(whole.low, to);
  buf.writeUInt32LE(whole.high, to + 4);
}

/** Whether the 8 bytes at `buf[to]` are the checksum of `buf[from, to)`. */
export function matchesCrc64(buf: Buffer, from: number, to: number): boolean {
  sumWhole(buf, from, to);
  return buf.readUInt32LE(to) === whole.low && buf.readUInt32LE(to + 4) === whole.high;
}
