/** Words at any alignment give what single bytes give. */

import { expect, test } from "bun:test";
import { combine, countOnes, firstOther, invert, onesOfByte } from "../../src/server/bit-words.ts";
import { createPrng } from "../support/prng.ts";

const ROUNDS = 500;
/** Longer than the pieces in which sources are combined. */
const LONG_BYTES = 200_001;

test("every byte has as many ones as its binary text", () => {
  for (let byte = 0; byte < 256; byte++) {
    expect(onesOfByte(byte)).toBe(byte.toString(2).replaceAll("0", "").length);
  }
});

test("ones are counted at any alignment and length", () => {
  const prng = createPrng();
  console.log(`seed ${prng.seed}`);
  const memory = prng.bytes(300);
  for (let round = 0; round < ROUNDS; round++) {
    const from = prng.int(memory.length);
    const to = from + prng.int(memory.length - from + 1);
    const expected = memory.subarray(from, to).reduce((sum, byte) => sum + onesOfByte(byte), 0);
    expect([from, to, countOnes(memory, from, to)]).toEqual([from, to, expected]);
  }
});

test("the first byte that differs is found wherever it is, or the end", () => {
  for (const byte of [0x00, 0xff] as const) {
    for (let from = 0; from < 9; from++) {
      for (let to = from; to < 40; to++) {
        for (let other = from; other <= to; other++) {
          const memory = Buffer.alloc(50, byte);
          // Bytes before and behind do not count.
          memory[other] = 0x10;
          if (from > 0) memory[from - 1] = 0x20;
          expect(firstOther(memory, from, to, byte)).toBe(other);
        }
      }
    }
  }
});

test.each(["and", "or", "xor"] as const)("%s of strings of any length", (operation) => {
  const prng = createPrng();
  console.log(`seed ${prng.seed}`);
  const combineBytes = {
    and: (a: number, b: number) => a & b,
    or: (a: number, b: number) => a | b,
  };
  const byByte = { ...combineBytes, xor: (a: number, b: number) => a ^ b }[operation];
  for (const length of [0, 1, 3, 4, 5, 64, LONG_BYTES]) {
    for (const sourceLength of [0, Math.floor(length / 2), length]) {
      const start = prng.int(7);
      const target = Buffer.from(new ArrayBuffer(length));
      prng.bytes(length).copy(target);
      const memory = prng.bytes(start + sourceLength + 8);
      const expected = target.map((byte, i) =>
        byByte(byte, i < sourceLength ? memory[start + i]! : 0),
      );
      combine(operation, target, { memory, start, length: sourceLength });
      expect(target.equals(expected)).toBe(true);
    }
  }
});

test("every bit is turned, at any length", () => {
  for (let length = 0; length < 20; length++) {
    const target = Buffer.from(new ArrayBuffer(length)).fill(0x0f);
    invert(target);
    expect([...target]).toEqual(Array(length).fill(0xf0));
  }
});
