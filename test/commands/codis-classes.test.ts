/** What the original proxy did with each of its 197 names, against the recorded table. */

import { expect, test } from "bun:test";
import { codisClass, codisKeyIndex, codisPolicy } from "../../src/commands/codis-classes.ts";
import { lookupCommand } from "../../src/commands/lookup.ts";
import recorded from "../golden/proxy/command-table.json" with { type: "json" };

function commandOf(name: string) {
  return lookupCommand(Buffer.from(name), 0, name.length);
}

test("Every name of the original has a row, and its class", () => {
  expect(recorded.length).toBe(197);
  for (const row of recorded) {
    const command = commandOf(row.command);
    expect(command?.name as string).toBe(row.command);
    const expected = row.listed_as_rejected ? "X" : row.class;
    expect([row.command, codisClass(command)]).toEqual([row.command, expected as "R"]);
  }
});

test("What the original let pass is passed, but for twelve names it meant to refuse", () => {
  const differing: string[] = [];
  for (const row of recorded) {
    const isRefused = codisPolicy(commandOf(row.command)) === "refuse";
    if (isRefused !== (row.observed === "rejected")) differing.push(row.command);
    if (isRefused) expect(row.listed_as_rejected).toBe(true);
  }
  expect(differing.every((name) => name.includes("-"))).toBe(true);
  expect(differing.length).toBe(12);
});

test("Reads that went to a replica are class R, the others not", () => {
  for (const row of recorded) {
    if (row.observed === "replica") expect(codisClass(commandOf(row.command))).toBe("R");
    if (row.observed === "primary") expect(codisClass(commandOf(row.command))).not.toBe("R");
  }
});

test("An unknown name is forwarded as a write by its first argument", () => {
  expect(commandOf("FOO")).toBeUndefined();
  expect(codisClass(undefined)).toBe("W");
  expect(codisPolicy(undefined)).toBe("forward");
  expect(codisKeyIndex(undefined)).toBe(1);
  expect(codisPolicy(commandOf("BZPOPMIN"))).toBe("forward");
  expect(codisPolicy(commandOf("TOUCH"))).toBe("forward");
});

test("Four commands have their key at argument 3", () => {
  for (const name of ["EVAL", "evalsha", "ZUNIONSTORE", "zinterstore"]) {
    expect(codisKeyIndex(commandOf(name))).toBe(3);
  }
  for (const name of ["GET", "EVAL_RO", "ZUNION"]) expect(codisKeyIndex(commandOf(name))).toBe(1);
});

test("What our table lets a replica answer, the original let it answer too", () => {
  for (const row of recorded) {
    const command = commandOf(row.command)!;
    if (!command.replica || command.proxy !== "forward") continue;
    expect([row.command, row.class]).toEqual([row.command, "R"]);
  }
});
