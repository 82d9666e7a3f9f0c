import { expect, test } from "bun:test";
import { Waits } from "../../src/dashboard/waits.ts";

test("Waits keep nothing of a wait that is over, and end together", async () => {
  const timers: (() => void)[] = [];
  const waits = new Waits((_ms) => new Promise((resolve) => timers.push(resolve)));
  let passed = 0;
  const wait = (): Promise<number> => waits.for(1_000).then(() => passed++);
  const first = wait();
  const others = [wait(), wait()];
  timers[0]!();
  await first;
  expect([waits.size, passed]).toEqual([2, 1]);
  waits.end();
  await Promise.all(others);
  await wait();
  expect([waits.size, passed, timers.length]).toEqual([0, 4, 3]);
  // Their timers end later, and find nobody.
  for (const fire of timers) fire();
  await Promise.resolve();
  expect(passed).toBe(4);
});
