import { expect, test } from "bun:test";
import { EvictionPool, POOL_MAX } from "../../src/server/eviction-pool.ts";
import { createPrng } from "../support/prng.ts";

test("The pool gives the best of all it was offered, best first", () => {
  const prng = createPrng(5);
  const pool = new EvictionPool();
  const ranks = Array.from({ length: 200 }, () => prng.int(1000) - 500);
  for (const [i, rank] of ranks.entries()) pool.offer(i % 3, i % 1024, ~i, i + 1, rank);
  const taken: number[] = [];
  while (pool.takeBest()) {
    const i = pool.entry - 1;
    expect([pool.rank, pool.slot, pool.hash, pool.dbIndex]).toEqual([
      ranks[i]!,
      i % 1024,
      ~i,
      i % 3,
    ]);
    taken.push(pool.rank);
  }
  expect(taken).toEqual(ranks.toSorted((a, b) => b - a).slice(0, POOL_MAX));
  expect(pool.takeBest()).toBe(false);
});

test("A key offered again counts once, with its new rank; in two databases it is two", () => {
  const pool = new EvictionPool();
  pool.offer(0, 1, 2, 77, 10);
  pool.offer(0, 1, 2, 88, 20);
  pool.offer(0, 1, 2, 77, 30);
  pool.offer(1, 1, 2, 77, 5);
  expect(pool.size).toBe(3);
  const order: number[][] = [];
  while (pool.takeBest()) order.push([pool.dbIndex, pool.entry]);
  expect(order).toEqual([
    [0, 77],
    [0, 88],
    [1, 77],
  ]);
});

test("A full pool keeps what it has before something worse, and is empty after clear", () => {
  const pool = new EvictionPool();
  for (let i = 0; i < POOL_MAX; i++) pool.offer(0, 0, 0, i + 1, 100 + i);
  pool.offer(0, 0, 0, 1000, 99);
  pool.offer(0, 0, 0, 1001, 100);
  pool.offer(0, 0, 0, 1002, 101.5);
  const entries: number[] = [];
  while (pool.takeBest()) entries.push(pool.entry);
  expect(entries).not.toContain(1);
  expect(entries.slice(-2)).toEqual([1002, 2]);
  pool.offer(0, 0, 0, 1, 1);
  pool.clear();
  expect(pool.takeBest()).toBe(false);
});
