/** The line of progress: what it says, and that it fits where it is written. */

import { expect, test } from "bun:test";
import { MoveProgress } from "../../cmd/admin/progress.ts";

/** Half of 1,000 slots have moved, in two seconds. */
function halfWay(columns?: number): string {
  const progress = new MoveProgress({ slotsLeft: 1000, keysMoved: 50 }, 0);
  return progress.line({ slotsLeft: 500, keysMoved: 2_000_050 }, 2_000, columns);
}

const BAR = "[############............] 500/1000 slots";

test("The line tells slots, keys, time left and speed, and no failure", () => {
  expect(halfWay()).toBe(`${BAR}, 2,000,000 keys  about 2 s left  1,000,000 keys/s, 250.0 slots/s`);
});

test("What does not fit is left out, whole and from the right", () => {
  expect(halfWay(79)).toBe(`${BAR}, 2,000,000 keys  about 2 s left`);
  expect(halfWay(50)).toBe(BAR);
  for (let columns = 0; columns < 120; columns++) {
    expect(halfWay(columns).length).toBeLessThanOrEqual(columns);
  }
});

test("Where nothing has moved no time left is told", () => {
  const state = { slotsLeft: 8, keysMoved: 0 };
  const progress = new MoveProgress(state, 0);
  expect(progress.line(state, 1_000)).toBe(
    "[........................] 0/8 slots, 0 keys  0 keys/s, 0.0 slots/s",
  );
});
