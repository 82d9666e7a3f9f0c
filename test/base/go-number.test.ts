/** Integers as Go reads them; texts as Go 1.8 and later print them. */

import { expect, test } from "bun:test";
import { goNumberError, parseGoInteger } from "../../src/base/go-number.ts";

test("A decimal with optional sign that fits 64 bits is a number", () => {
  expect(["7", "+7", "-07", "9223372036854775807"].map(parseGoInteger)).toEqual([
    7,
    7,
    -7,
    2 ** 63,
  ]);
  for (const text of ["", "+", "abc", "1e3", "0x1", " 1", "1 "]) {
    expect(parseGoInteger(text)).toBe("invalid syntax");
  }
  for (const text of ["9223372036854775808", "-9223372036854775809"]) {
    expect(parseGoInteger(text)).toBe("value out of range");
  }
});

test("What is no number is quoted as %q does", () => {
  expect(goNumberError("Atoi", 'a"\\\n\x01\x07\x7f \u00e9', "invalid syntax")).toBe(
    'strconv.Atoi: parsing "a\\"\\\\\\n\\x01\\a\\x7f \u00e9": invalid syntax',
  );
});
