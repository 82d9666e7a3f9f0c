/** The checker must find what it is there to find: each rule once kept, once broken. */

import { expect, test } from "bun:test";
import { ABSENT, explainCounter, explainRegister, type RegisterOperation } from "./history.ts";

function write(value: string, beginMs: number, endMs = beginMs + 1): RegisterOperation {
  return { kind: "write", value, beginMs, endMs };
}

function read(value: string, beginMs: number, endMs = beginMs + 1): RegisterOperation {
  return { kind: "read", value, beginMs, endMs };
}

test("A register read in the order it was written is explained", () => {
  const operations = [read(ABSENT, 0), write("a", 2), read("a", 4), write("b", 6), read("b", 8)];
  expect(explainRegister(operations)).toBeUndefined();
});

test("Overlapping operations may take effect in either order", () => {
  expect(explainRegister([write("a", 0, 10), write("b", 0, 10), read("a", 11)])).toBeUndefined();
  expect(explainRegister([write("a", 0, 10), write("b", 0, 10), read("b", 11)])).toBeUndefined();
});

test("A lost acknowledged write is found", () => {
  expect(explainRegister([write("a", 0), write("b", 2), read("a", 4)])).toContain("middle of a");
  expect(explainRegister([write("a", 0), read(ABSENT, 2)])).toContain("middle of (absent)");
});

test("A value that comes back after another was read is found", () => {
  const operations = [
    write("a", 0, 9),
    write("b", 0, 9),
    read("a", 10),
    read("b", 12),
    read("a", 14),
  ];
  expect(explainRegister(operations)).toContain("at one time");
});

test("Two values held alternately are found", () => {
  const operations = [
    write("a", 0, 9),
    write("b", 0, 9),
    read("a", 10),
    read("b", 12),
    read("a", 14),
    read("b", 16),
  ];
  expect(explainRegister(operations)).toContain("at one time");
});

test("A value nobody wrote, and one read before its write, are found", () => {
  expect(explainRegister([read("x", 0)])).toContain("never written");
  expect(explainRegister([read("x", 0), write("x", 5)])).toContain("before its write");
});

test("An unanswered write may have happened or not, but not before it was sent", () => {
  const lost = write("b", 2, Infinity);
  expect(explainRegister([write("a", 0), lost, read("a", 9)])).toBeUndefined();
  expect(explainRegister([write("a", 0), lost, read("a", 4), read("b", 9)])).toBeUndefined();
  expect(explainRegister([write("a", 0), lost, read("b", 4), read("a", 9)])).toContain(
    "middle of a",
  );
});

test("A counter must answer every number once, in the order of time", () => {
  const at = (beginMs: number, reply?: number) => ({ beginMs, endMs: beginMs + 1, reply });
  expect(explainCounter([at(0, 1), at(2, 2), at(4, undefined)], 3)).toBeUndefined();
  expect(explainCounter([at(0, 1), at(2, 1)], 2)).toContain("twice");
  expect(explainCounter([at(0, 2), at(2, 1)], 2)).toContain("before");
  expect(explainCounter([at(0, 1), at(2, 2)], 1)).toContain("the counter is 1");
  expect(explainCounter([at(0, 1)], 5)).toContain("the counter is 5");
});
