/** How long slots rest after failures, and what is told of them. */

import { expect, test } from "bun:test";
import { Rests } from "../../src/dashboard/rests.ts";

test("A slot rests twice as long each time, 5 s at most, until it has ended", () => {
  const rests = new Rests();
  const fail = (): number => rests.begin([7], "EOF", 0);
  expect([1, 2, 3, 4, 5, 6, 7, 8].map(fail)).toEqual([
    100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000,
  ]);
  // That it gets on in between does not make it shorter.
  rests.noteRecovery(7);
  expect(fail()).toBe(5_000);
  rests.end(7);
  expect(rests.slotIds).toEqual([]);
  expect(fail()).toBe(100);
});

test("Slots that fail together rest as long as the one that failed most often", () => {
  const rests = new Rests();
  rests.begin([1], "EOF", 0);
  expect(rests.begin([1, 2], "EOF", 50)).toBe(200);
  expect(rests.resting(249)).toEqual(new Set([1, 2]));
  expect(rests.nextMs(240)).toBe(10);
  expect(rests.resting(250)).toEqual(new Set());
  expect(rests.nextMs(250)).toBe(Number.POSITIVE_INFINITY);
  // Each by what it failed itself, when they fail apart again.
  expect([rests.begin([1], "EOF", 300), rests.begin([2], "EOF", 300)]).toEqual([400, 200]);
});

test("A reason is told until its slot gets on, also while it is tried again", () => {
  const rests = new Rests();
  rests.begin([1], "EOF", 0);
  rests.begin([2], "dial failed", 0);
  rests.interrupt(10);
  expect(rests.resting(10)).toEqual(new Set());
  expect(rests.failing()).toEqual({ 1: "EOF", 2: "dial failed" });
  expect([rests.noteRecovery(1), rests.noteRecovery(1), rests.noteRecovery(3)]).toEqual([
    true,
    false,
    false,
  ]);
  expect(rests.failing()).toEqual({ 2: "dial failed" });
});
