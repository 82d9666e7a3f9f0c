import { describe, expect, test } from "bun:test";
import { formatDouble, formatFixed17, parseDouble } from "../../src/server/double.ts";

function parse(text: string): number {
  // Between other bytes, so that reading past either end shows.
  const buf = Buffer.from(`9${text}9`, "latin1");
  return parseDouble(buf, 1, buf.length - 1);
}

describe("parseDouble", () => {
  const valid: readonly (readonly [string, number])[] = [
    ["0", 0],
    ["-0", -0],
    ["+5", 5],
    ["1.", 1],
    [".5", 0.5],
    ["-.5", -0.5],
    ["3.3", 3.3],
    ["1e3", 1000],
    ["1E-2", 0.01],
    ["123456789012345", 123456789012345],
    ["123456789012345678", 123456789012345680],
    ["0.1234567890123456789", 0.12345678901234568],
    ["0x10", 16],
    ["0x1.8p3", 12],
    ["-0X.8", -0.5],
    ["inf", Infinity],
    ["+Infinity", Infinity],
    ["-INF", -Infinity],
    ["5e-324", 5e-324],
    ["0e-999", 0],
  ];
  test.each(valid)("%s is read as strtod reads it", (text, value) => {
    expect(parse(text)).toBe(value);
  });

  const invalid = ["", " 1", "1 ", ".", "-", "+", "e5", "1e", "1e+", "1.2.3", "abc", "nan", "--1"];
  test.each([...invalid, "1e400", "-1e400", "1e-400", "0x", "0xp1", "infin", "1\0"])(
    "%j is no number",
    (text) => {
      expect(parse(text)).toBeNaN();
    },
  );
});

describe("formatDouble", () => {
  const printed: readonly (readonly [number, string])[] = [
    [0, "0"],
    [-0, "-0"],
    [17, "17"],
    [-1.5, "-1.5"],
    [3.3, "3.2999999999999998"],
    [0.1, "0.10000000000000001"],
    [1e16, "10000000000000000"],
    [58036040779840568, "58036040779840568"],
    [1e17, "1e+17"],
    [1e-4, "0.0001"],
    [1e-5, "1.0000000000000001e-05"],
    [-1.5e-7, "-1.4999999999999999e-07"],
    [5e-324, "4.9406564584124654e-324"],
    [1.7976931348623157e308, "1.7976931348623157e+308"],
    [Infinity, "inf"],
    [-Infinity, "-inf"],
    [NaN, "nan"],
  ];
  test.each(printed)("%p prints as %%.17g", (value, text) => {
    expect(formatDouble(value)).toBe(text);
  });

  test("An exact tie goes to the even digit as in C", () => {
    expect(formatDouble(0.5 + 2 ** -18)).toBe("0.50000381469726562");
    expect(formatDouble(2 ** 50 + 2 ** -2)).toBe("1125899906842624.2");
    expect(formatFixed17(0.5 + 2 ** -18)).toBe("0.50000381469726562");
  });

  test("What is printed reads back as the same double", () => {
    let state = 7;
    for (let i = 0; i < 5000; i++) {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      const value = (state - 2 ** 31) / 10 ** (i % 25);
      expect(parse(formatDouble(value))).toBe(value);
    }
  });
});

test("formatFixed17 prints 17 decimals without trailing zeros", () => {
  expect(formatFixed17(13.361389338970184)).toBe("13.36138933897018433");
  expect(formatFixed17(15)).toBe("15");
  expect(formatFixed17(-1e-20)).toBe("0");
  expect(formatFixed17(1e22)).toBe("10000000000000000000000");
});
