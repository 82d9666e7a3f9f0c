import { expect, test } from "bun:test";
import { matchesCrc64, sealCrc64, updateCrc64 } from "../../../src/server/rdb/crc64.ts";

/** Bit by bit, as the definition says. */
function slowCrc64(bytes: Buffer): bigint {
  let crc = 0n;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) {
      crc = (crc & 1n) === 1n ? (crc >> 1n) ^ 0x95ac9329ac4bc9b5n : crc >> 1n;
    }
  }
  return crc;
}

test("The check value of the Jones polynomial comes out", () => {
  const buf = Buffer.alloc(17);
  buf.write("123456789", 0, "latin1");
  sealCrc64(buf, 0, 9);
  expect(buf.readBigUInt64LE(9)).toBe(0xe9c6d914c4b8d9can);
  expect(matchesCrc64(buf, 0, 9)).toBe(true);
  buf[3]! ^= 1;
  expect(matchesCrc64(buf, 0, 9)).toBe(false);
});

test("Every length and start agrees with the sum taken bit by bit", () => {
  const bytes = Buffer.from(Array.from({ length: 64 }, (_, i) => (i * 151 + 7) & 255));
  for (let from = 0; from < 9; from++) {
    for (let to = from; to <= bytes.length; to++) {
      const crc = { low: 0, high: 0 };
      updateCrc64(crc, bytes, from, to);
      const value = (BigInt(crc.high) << 32n) | BigInt(crc.low);
      expect(value).toBe(slowCrc64(bytes.subarray(from, to)));
    }
  }
});

test("A sum taken in pieces is the sum of the whole", () => {
  const bytes = Buffer.from("the quick brown fox jumps over the lazy dog");
  const whole = { low: 0, high: 0 };
  updateCrc64(whole, bytes, 0, bytes.length);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const crc = { low: 0, high: 0 };
    updateCrc64(crc, bytes, 0, cut);
    updateCrc64(crc, bytes, cut, bytes.length);
    expect(crc).toEqual(whole);
  }
});
