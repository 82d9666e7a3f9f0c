import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { INT64_MAX, INT64_MIN, parseInt64 } from "../../../src/base/bytes.ts";
import {
  INT64_TEXT_BYTES,
  type Int64,
  readInt64,
  writeInt64,
} from "../../../src/server/types/int64.ts";

const value: Int64 = { high: 0, low: 0 };
const text = Buffer.alloc(INT64_TEXT_BYTES + 2, "#");

function read(digits: string): bigint | undefined {
  const buf = Buffer.from(`[${digits}]`, "latin1");
  if (!readInt64(buf, 1, buf.length - 1, value)) return undefined;
  return BigInt.asIntN(64, (BigInt(value.high) << 32n) | BigInt(value.low >>> 0));
}

function roundTrip(digits: string): string {
  expect(read(digits)).toBe(BigInt(digits));
  return text.toString("latin1", 1, writeInt64(value, text, 1));
}

describe("An int64 in two words", () => {
  test("is read and written at every border", () => {
    const borders = [0n, 2n ** 15n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 10n ** 15n, 10n ** 18n];
    for (const border of [...borders, INT64_MAX, INT64_MIN]) {
      for (const near of [border - 1n, border, border + 1n, -border - 1n, -border, 1n - border]) {
        if (near > INT64_MAX || near < INT64_MIN) expect(read(String(near))).toBeUndefined();
        else expect(roundTrip(String(near))).toBe(String(near));
      }
    }
  });

  test("is read and written whatever it is", () => {
    fc.assert(
      fc.property(fc.bigInt(INT64_MIN, INT64_MAX), fc.integer({ min: 0, max: 62 }), (wide, cut) => {
        const shown = String(wide >> BigInt(cut));
        expect(roundTrip(shown)).toBe(shown);
      }),
    );
  });

  test("is what parseInt64 takes, and nothing else", () => {
    const odd = [
      "",
      "-",
      "+1",
      "01",
      "-0",
      "-01",
      " 1",
      "1 ",
      "1.0",
      "9".repeat(19),
      "1".repeat(20),
    ];
    const mangled = fc.stringMatching(/^-?[0-9]{1,20}[ 0-9a]?$/);
    for (const digits of odd)
      expect(read(digits)).toBe(parseInt64(Buffer.from(digits), 0, digits.length));
    fc.assert(
      fc.property(mangled, (digits) => {
        expect(read(digits)).toBe(parseInt64(Buffer.from(digits), 0, digits.length));
      }),
    );
  });
});
