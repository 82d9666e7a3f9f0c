/** Whom the budget closes, when, and whom it spares. */

import { expect, test } from "bun:test";
import { type BudgetHolder, ClientBudget } from "../../src/net/client-budget.ts";

class Holder implements BudgetHolder {
  heldBytes = 0;
  /** What it was closed for. */
  limit = "";
  readonly #budget: ClientBudget;

  constructor(budget: ClientBudget) {
    this.#budget = budget;
  }

  hold(bytes: number): void {
    this.heldBytes = bytes;
    this.#budget.report(this, bytes);
  }

  closeFor(limit: string): void {
    this.limit = limit;
    this.hold(0);
  }
}

function holders(budget: ClientBudget, ...bytes: number[]): Holder[] {
  return bytes.map((held) => {
    const holder = new Holder(budget);
    holder.hold(held);
    return holder;
  });
}

function closedOf(all: readonly Holder[]): number[] {
  return all.flatMap(({ limit }, i) => (limit === "" ? [] : [i]));
}

test("Over the limit whoever holds most is closed, until the rest is within it", () => {
  const budget = new ClientBudget("max", 100);
  const all = holders(budget, 30, 40, 30);
  expect(closedOf(all)).toEqual([]);
  all[0]!.hold(31);
  expect(closedOf(all)).toEqual([1]);
  all[2]!.hold(101);
  expect(closedOf(all)).toEqual([1, 2]);
  expect([all[1]!.limit, budget.totalBytes]).toEqual(["max", 31]);
});

test("What a socket took since the last report is no reason to close", () => {
  const budget = new ClientBudget("max", 100);
  const all = holders(budget, 60, 40);
  all[0]!.heldBytes = 10;
  all[1]!.hold(90);
  expect(closedOf(all)).toEqual([]);
  expect(budget.totalBytes).toBe(100);
});

test("The holder of most may hold what is spared beside the limit, and no more", () => {
  const budget = new ClientBudget("max", 100, 1000);
  const all = holders(budget, 1000, 60, 40);
  expect(closedOf(all)).toEqual([]);
  all[0]!.hold(1001);
  expect(closedOf(all)).toEqual([0]);
  // Another one takes its place.
  all[2]!.hold(1000);
  expect(closedOf(all)).toEqual([0]);
  expect(budget.totalBytes).toBe(1060);
});

test("Only one is spared, and not once the others are over the limit by themselves", () => {
  const budget = new ClientBudget("max", 100, 1000);
  const all = holders(budget, 500, 90);
  all[1]!.hold(400);
  expect(closedOf(all)).toEqual([0]);
  const more = holders(budget, 90, 90);
  expect([closedOf(all), closedOf(more)]).toEqual([[0, 1], []]);
  expect(budget.totalBytes).toBe(180);
});

test("While one is spared, reports do not look at all holders", () => {
  const budget = new ClientBudget("max", 100, 1_000_000);
  let looks = 0;
  const watched = {
    get heldBytes() {
      looks++;
      return 10;
    },
    closeFor() {},
  };
  budget.report(watched, 10);
  const large = new Holder(budget);
  for (let bytes = 1000; bytes < 1_000_000; bytes += 1000) large.hold(bytes);
  expect(looks).toBe(1);
});
