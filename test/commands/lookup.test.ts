/** Names in any case, and the keys of every form of request. */

import { expect, test } from "bun:test";
import {
  ALL_COMMANDS,
  arityFits,
  findKeys,
  flagNames,
  lookupCommand,
  type RequestArguments,
} from "../../src/commands/lookup.ts";

function lookup(name: string) {
  // Surrounded by other bytes, so that reading past the range shows.
  const buf = Buffer.from(`x${name}x`, "latin1");
  return lookupCommand(buf, 1, buf.length - 1);
}

/** `findKeys` of a request given as words. */
function keysOf(line: string, capacity = 64): { count: number; keys: number[] } {
  const words = line.split(" ").map((word) => (word === '""' ? "" : word));
  const request = requestOf(words);
  const command = lookup(words[0]!);
  if (command === undefined) throw new Error(`no such command: ${words[0]}`);
  const out = new Int32Array(capacity);
  const count = findKeys(command, request, out);
  return { count, keys: [...out.subarray(0, Math.max(0, count))] };
}

function requestOf(words: readonly string[]): RequestArguments {
  const args = new Int32Array(2 * words.length);
  let at = 0;
  words.forEach((word, i) => {
    args[2 * i] = at;
    at += Buffer.byteLength(word);
    args[2 * i + 1] = at;
  });
  return { buf: Buffer.from(words.join("")), args, argc: words.length };
}

test("Every row is found by its name in upper, lower and mixed case", () => {
  for (const command of ALL_COMMANDS) {
    const mixed = [...command.name].map((c, i) => (i % 2 ? c : c.toLowerCase())).join("");
    expect(lookup(command.name)).toBe(command);
    expect(lookup(command.lower)).toBe(command);
    expect(lookup(mixed)).toBe(command);
    expect(ALL_COMMANDS[command.id]).toBe(command);
  }
});

test("A name that differs from a row in one byte is not that row", () => {
  for (const command of ALL_COMMANDS) {
    for (let i = 0; i < command.name.length; i++) {
      for (const change of [0x20, 0x80, 0x01, 0x40]) {
        const bytes = Buffer.from(command.name, "latin1");
        bytes[i] = bytes[i]! ^ change;
        const found = lookupCommand(bytes, 0, bytes.length);
        expect(found?.name ?? "").not.toBe(
          bytes.toString("latin1").toUpperCase() === command.name ? "" : command.name,
        );
      }
    }
    expect(lookup(`${command.name}\0`)).toBeUndefined();
  }
});

test("Unknown, empty and overlong names are in no row", () => {
  for (const name of ["", "G", "GE", "GETT", "g\0t", "FOO", "a".repeat(33), "x".repeat(100_000)]) {
    expect(lookup(name)).toBeUndefined();
  }
});

test("Arity counts the name; negative is a minimum and 0 anything", () => {
  expect(arityFits(lookup("GET")!, 2)).toBe(true);
  expect(arityFits(lookup("GET")!, 1)).toBe(false);
  expect(arityFits(lookup("GET")!, 3)).toBe(false);
  expect(arityFits(lookup("MGET")!, 1)).toBe(false);
  expect(arityFits(lookup("MGET")!, 200)).toBe(true);
  expect(arityFits(lookup("SLOTSCHECK")!, 9)).toBe(true);
});

test("Flags are named in the order of COMMAND INFO", () => {
  expect(flagNames(lookup("SET")!.flags)).toEqual(["write", "denyoom"]);
  expect(flagNames(lookup("SLOTSSCAN")!.flags)).toEqual(["readonly", "random"]);
  expect(flagNames(lookup("ZUNIONSTORE")!.flags)).toEqual(["write", "denyoom", "movablekeys"]);
  expect(lookup("ZUNIONSTORE")!.shown).toEqual([1, 1, 1]);
  expect(lookup("SORT")!.shown).toEqual([1, 1, 1]);
  expect(lookup("OBJECT")!.shown).toEqual([0, 0, 0]);
});

const KEY_CASES: readonly [request: string, keys: readonly number[] | "cannot tell"][] = [
  ["GET a", [1]],
  ["GET", []],
  ["PING", []],
  ["MGET a b c", [1, 2, 3]],
  ["MGET", []],
  ["MSET a 1 b 2", [1, 3]],
  ["MSET a 1 b", [1, 3]],
  ["BLPOP a b 0", [1, 2]],
  ["BLPOP", []],
  ["RENAME a b", [1, 2]],
  ["RENAME a", [1]],
  ["SMOVE a b m", [1, 2]],
  ["BITOP AND dest a b", [2, 3, 4]],
  ["SLOTSRESTORE a 0 x b 0 y", [1, 4]],
  ["EVAL s 2 a b c", [3, 4]],
  ["EVAL s 0", []],
  ["EVAL s 3 a b", "cannot tell"],
  ["EVAL s -1", "cannot tell"],
  ["EVAL s x", "cannot tell"],
  ['EVAL s ""', "cannot tell"],
  ["EVAL s 99999999999999999999", "cannot tell"],
  ["EVAL s", []],
  ["ZUNIONSTORE dest 2 a b WEIGHTS 1 2", [1, 3, 4]],
  ["ZUNIONSTORE dest 9 a b", "cannot tell"],
  ["ZUNIONSTORE dest", [1]],
  ["ZINTER 2 a b WITHSCORES", [2, 3]],
  ["LMPOP 2 a b LEFT", [2, 3]],
  ["BLMPOP 0 2 a b LEFT", [3, 4]],
  ["SINTERCARD 1 a LIMIT 3", [2]],
  ["OBJECT ENCODING a", [2]],
  ["object freq a", [2]],
  ["OBJECT HELP", "cannot tell"],
  ["OBJECT", []],
  ["OBJECT ENCODING", []],
  ["MEMORY USAGE a SAMPLES 3", [2]],
  ["MEMORY DOCTOR", "cannot tell"],
  ["XINFO STREAM s", [2]],
  ["SORT a", [1]],
  ["SORT a BY nosort LIMIT 0 STORE GET # STORE b", [1, 10]],
  ["SORT a BY w_* GET o_*->f GET # store b", [1, 3, 5, 9]],
  ["SORT a STORE", [1]],
  ["GEORADIUS a 1 2 3 km", [1]],
  ["GEORADIUS a 1 2 3 km COUNT 3 store b", [1, 9]],
  ["GEORADIUSBYMEMBER a m 3 km STOREDIST b", [1, 6]],
  ["XREAD COUNT 2 BLOCK 0 STREAMS a b 0 0", [6, 7]],
  ["XREAD STREAMS a b 0", "cannot tell"],
  ["XREAD STREAMS", "cannot tell"],
  ["XREADGROUP GROUP g c streams a >", [5]],
  ["MIGRATE h 1 k 0 10", [3]],
  ['MIGRATE h 1 "" 0 10 COPY KEYS a b', [8, 9]],
];

for (const [request, keys] of KEY_CASES) {
  test(`Keys of ${request}: ${keys === "cannot tell" ? keys : `[${keys.join(" ")}]`}`, () => {
    const found = keysOf(request);
    if (keys === "cannot tell") expect(found.count).toBe(-1);
    else expect(found.keys).toEqual([...keys]);
  });
}

test("findKeys tells how many keys there are even when they do not fit", () => {
  for (const line of ["MGET a b c d", "ZINTER 4 a b c d", "XREAD STREAMS a b c d 0 0 0 0"]) {
    expect(keysOf(line, 2).count).toBe(4);
  }
});
