import { describe, expect, test } from "bun:test";
import {
  compareBytes,
  copyBytes,
  digitCount,
  equalBytes,
  equalFold,
  indexOfByte,
  lowerByte,
  parseInt64,
  parseLenientInteger,
  parseSafeInteger,
  writeInteger,
} from "../../src/base/bytes.ts";
import { createPrng } from "../support/prng.ts";

const prng = createPrng();
const seed = `SEED=${prng.seed}`;

/** Lengths around every threshold between a loop and a call. */
const LENGTHS = [0, 1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 100];

function padded(text: string): [buf: Buffer, from: number, to: number] {
  return [Buffer.from(`7${text}7`, "latin1"), 1, 1 + text.length];
}

describe("ranges", () => {
  test("copyBytes copies just the range", () => {
    for (const length of LENGTHS) {
      const src = prng.bytes(length + 10);
      const dst = Buffer.alloc(length + 10, 0xee);
      copyBytes(src, 3, 3 + length, dst, 5);
      expect(dst.subarray(5, 5 + length).equals(src.subarray(3, 3 + length)), seed).toBe(true);
      expect([...dst.subarray(0, 5), ...dst.subarray(5 + length)]).toEqual(Array(10).fill(0xee));
    }
  });

  test("equalBytes sees a difference at every place and of every length", () => {
    for (const length of LENGTHS) {
      const a = prng.bytes(length);
      const b = Buffer.concat([Buffer.from("xx"), a, Buffer.from("y")]);
      expect(equalBytes(a, 0, length, b, 2, 2 + length), seed).toBe(true);
      expect(equalBytes(a, 0, length, b, 2, 3 + length), seed).toBe(false);
      for (let i = 0; i < length; i++) {
        a[i]! ^= 1;
        expect(equalBytes(a, 0, length, b, 2, 2 + length), seed).toBe(false);
        a[i]! ^= 1;
      }
    }
  });

  test("compareBytes orders as Buffer.compare does", () => {
    for (let round = 0; round < 5000; round++) {
      const a = prng.bytes(prng.pick(LENGTHS));
      const b = prng.oneIn(2) ? Buffer.from(a) : prng.bytes(prng.pick(LENGTHS));
      if (b.length > 0 && prng.oneIn(2)) b[prng.int(b.length)] = prng.int(256);
      const at = prng.int(5);
      const moved = Buffer.concat([Buffer.alloc(at, 0xff), b, Buffer.alloc(3, 0xff)]);
      const order = compareBytes(a, 0, a.length, moved, at, at + b.length);
      expect(Math.sign(order), seed).toBe(Buffer.compare(a, b));
    }
  });

  test("equalFold ignores the case of ASCII letters and nothing else", () => {
    const same = (text: string, lower: string) => equalFold(...padded(text), lower);
    expect(same("GeT", "get")).toBe(true);
    expect(same("slotsmgrt-exec", "slotsmgrt-exec")).toBe(true);
    expect(same("GET", "gets")).toBe(false);
    expect(same("", "")).toBe(true);
    // `[` and `{`, `@` and the backtick differ by the bit that letters differ by.
    expect(same("[", "{")).toBe(false);
    expect(same("@", "`")).toBe(false);
    for (let byte = 0; byte < 256; byte++) {
      const isUpper = byte >= 65 && byte <= 90;
      expect(lowerByte(byte)).toBe(isUpper ? byte + 32 : byte);
    }
  });

  test("indexOfByte stays in its range", () => {
    const buf = Buffer.from("axbxc");
    expect(indexOfByte(buf, 0x78, 0, 5)).toBe(1);
    expect(indexOfByte(buf, 0x78, 2, 5)).toBe(3);
    expect(indexOfByte(buf, 0x78, 2, 3)).toBe(-1);
    expect(indexOfByte(buf, 0x78, 4, 4)).toBe(-1);
  });
});

describe("integers", () => {
  const SAFE = [0, 1, -1, 9, 10, 99, 100, -100, 2147483646, 2147483647, 2147483648, 4294967296];
  const EDGES = [...SAFE, 21474836479, 999999999999999, 1e15, 2 ** 53 - 1, 1 - 2 ** 53, -(2 ** 31)];

  test("written and read back they are the same", () => {
    const random = Array.from({ length: 2000 }, () => {
      const n = prng.int(2 ** prng.int(32)) * prng.pick([1, 2 ** 10, 2 ** 21]) + prng.int(100);
      return prng.oneIn(2) ? -n : n;
    });
    for (const n of [...EDGES, ...random]) {
      const dst = Buffer.alloc(20, 0x78);
      const end = writeInteger(n, dst, 1);
      // 0 and -0 are the same number, with one text.
      expect(dst.latin1Slice(1, end), seed).toBe(String(n));
      expect(digitCount(n), seed).toBe(end - 1);
      expect(parseSafeInteger(dst, 1, end), seed).toBe(n + 0);
      expect(parseInt64(dst, 1, end), seed).toBe(BigInt(n));
      expect(dst[end], seed).toBe(0x78);
    }
  });

  test("what is not canonical is no integer", () => {
    const texts = ["", "-", "-0", "00", "01", "-01", "+1", " 1", "1 ", "1.0", "1e3", "0x1", "--1"];
    for (const text of [...texts, "abc", "1a", "\xb2", "12345678901234567890123"]) {
      expect({ text, n: parseSafeInteger(...padded(text)) }).toEqual({ text, n: Number.NaN });
      expect({ text, n: parseInt64(...padded(text)) }).toEqual({ text, n: undefined });
    }
  });

  test("parseLenientInteger takes signs and leading zeros, and no blanks", () => {
    const lenient = (text: string) => parseLenientInteger(...padded(text));
    expect(["+1", "-007", "0", "00", "42"].map(lenient)).toEqual([1, -7, 0, 0, 42]);
    expect(lenient("99999999999999999999")).toBeGreaterThan(2 ** 53);
    for (const text of ["", "+", "-", " 1", "1 ", "+-1", "1.0", "x"]) {
      expect(lenient(text)).toBeNaN();
    }
  });

  test("parseSafeInteger ends at 2^53 - 1, parseInt64 at the ends of int64", () => {
    const safe = (text: string) => parseSafeInteger(...padded(text));
    const int64 = (text: string) => parseInt64(...padded(text));
    expect(safe("9007199254740991")).toBe(2 ** 53 - 1);
    expect(safe("9007199254740992")).toBeNaN();
    expect(safe("-9007199254740992")).toBeNaN();
    expect(int64("9007199254740992")).toBe(9007199254740992n);
    expect(int64("9223372036854775807")).toBe(9223372036854775807n);
    expect(int64("9223372036854775808")).toBeUndefined();
    expect(int64("-9223372036854775808")).toBe(-9223372036854775808n);
    expect(int64("-9223372036854775809")).toBeUndefined();
    expect(int64("99999999999999999999")).toBeUndefined();
    expect(int64("922337203685477580x")).toBeUndefined();
    expect(int64("09223372036854775807")).toBeUndefined();
  });
});
