import { expect, test } from "bun:test";
import {
  addLongDoubles,
  formatLongDouble,
  isInfinite,
  LONG_DOUBLE_BYTES_MAX,
  type LongDouble,
  parseLongDouble,
} from "../../src/server/long-double.ts";

function parse(text: string): LongDouble | undefined {
  const buf = Buffer.from(`9${text}9`, "latin1");
  return parseLongDouble(buf, 1, buf.length - 1);
}

const sums: readonly (readonly [string, string, string])[] = [
  ["10.5", "0.1", "10.6"],
  ["5.0e3", "200", "5200"],
  ["3.0e3", "-5000", "-2000"],
  ["0.1", "0.2", "0.3"],
  ["1", "-1", "0"],
  ["0", "1e-18", "0"],
  ["-1e-18", "0", "0"],
  ["9223372036854775807", "1", "9223372036854775808"],
  ["18446744073709551615", "0.5", "18446744073709551616"],
  ["0x1.8p3", "0", "12"],
  ["1.23456789012345678901", "0", "1.23456789012345679"],
];

// The expected texts are those of C: printf("%.17Lf", strtold(a) + strtold(b)), zeros cut.
test.each(sums)("%s + %s prints as %s", (a, b, sum) => {
  const result = addLongDoubles(parse(a)!, parse(b)!);
  expect(formatLongDouble(result!)).toBe(sum);
});

test.each(["", " 1", "1 ", "abc", ".", "1e", "nan", "1e5000", "1e-5000", "1e999999999999"])(
  "%j is no valid float",
  (text) => {
    expect(parse(text)).toBeUndefined();
  },
);

test("Infinities are read and add up unless they cancel out", () => {
  const up = parse("inf")!;
  const down = parse("-Infinity")!;
  expect(isInfinite(up) && isInfinite(down)).toBe(true);
  expect(addLongDoubles(up, down)).toBeUndefined();
  expect(addLongDoubles(parse("1")!, down)).toEqual(down);
  expect(addLongDoubles(parse("1e4932")!, parse("1e4932")!)).toEqual({ infinite: 1 });
});

test("Texts longer than Redis reads are refused", () => {
  expect(parse("1".repeat(4900))).toBeDefined();
  expect(parse(`0.${"1".repeat(LONG_DOUBLE_BYTES_MAX)}`)).toBeUndefined();
});

test("Integers are rounded to 64 bits", () => {
  expect(formatLongDouble(parse(String(2n ** 64n + 1n))!)).toBe("18446744073709551616");
});
