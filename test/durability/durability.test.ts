/** The durability campaign, as many rounds as a commit has time for; `npm run soak` runs more. */

import { expect, test } from "bun:test";
import { createPrng } from "../support/prng.ts";
import { harmOf, runRound } from "./campaign.ts";
import { matches, type Word } from "./model.ts";

const ROUNDS = 20;
const { seed } = createPrng();

for (let round = 0; round < ROUNDS; round++) {
  test(`Round ${round}: what a server owes is there after ${harmOf(round)}`, async () => {
    expect(await runRound(round, seed)).not.toBe("");
  }, 60_000);
}

test("The model tells a prefix from what is lost, out of order, half done or out of thin air", () => {
  const commands: Word[][] = [
    ["SET", "a", "1"],
    ["RPUSH", "l", "x"],
    ["MSET", "a", "2", "b", "3"],
    ["DEL", "l"],
    ["SELECT", 1],
    ["SET", "a", "4"],
  ];
  const text = (value: string): string => JSON.stringify(["string", [value], -1]);
  const list = JSON.stringify(["list", ["x"], -1]);
  const found = (...keys: [string, string][]): readonly number[] =>
    matches(commands, new Map(keys));
  expect(found()).toEqual([0]);
  expect(found(["0 a", text("1")], ["0 l", list])).toEqual([2]);
  expect(found(["0 a", text("2")], ["0 b", text("3")])).toEqual([4, 5]);
  expect(found(["0 a", text("2")], ["0 b", text("3")], ["1 a", text("4")])).toEqual([6]);
  // Lost in the middle, half a command, unknown, in another database.
  expect(found(["0 l", list])).toEqual([]);
  expect(found(["0 a", text("2")], ["0 l", list])).toEqual([]);
  expect(found(["0 a", text("1")], ["0 c", text("1")])).toEqual([]);
  expect(found(["0 a", text("4")], ["0 b", text("3")])).toEqual([]);
});
