import { expect, test } from "bun:test";
import { matchGlob } from "../../src/server/glob.ts";

function matches(pattern: string, subject: string): boolean {
  // Both stand between other bytes, so that reading past either end shows.
  const p = Buffer.from(`*${pattern}*`, "latin1");
  const s = Buffer.from(`x${subject}x`, "latin1");
  return matchGlob(p, 1, p.length - 1, s, 1, s.length - 1);
}

const rows: readonly (readonly [string, string, boolean])[] = [
  ["abc", "abc", true],
  ["abc", "abcd", false],
  ["a?c", "abc", true],
  ["a?", "a", false],
  ["*", "x", true],
  ["a*", "a", true],
  ["a**", "a", true],
  ["*c", "abcabc", true],
  ["a*b*c", "aXXbYYc", true],
  ["a*b*c", "aXXbYY", false],
  ["*?", "a", true],
  ["[ab]x", "bx", true],
  ["[^ab]x", "bx", false],
  ["[^ab]x", "cx", true],
  ["[a-c]", "b", true],
  ["[c-a]", "b", true],
  ["[a-c]", "d", false],
  ["[\\]]", "]", true],
  ["[ab", "b", true],
  ["[^", "a", true],
  ["\\*", "*", true],
  ["\\*", "a", false],
  ["\\", "\\", true],
  ["h[^e]llo", "hello", false],
  ["", "", true],
  ["", "a", false],
  // Redis never lets a star match an empty subject: its callers skip a lone `*`.
  ["*", "", false],
];

test.each(rows)("Pattern %p on %p gives %p", (pattern, subject, expected) => {
  expect(matches(pattern, subject)).toBe(expected);
});

test("A pattern of many stars costs no more than pattern times subject", () => {
  expect(matches("a*".repeat(200), "a".repeat(5000).concat("b"))).toBe(true);
  expect(matches(`${"a*".repeat(200)}c`, "a".repeat(5000))).toBe(false);
});
