import { describe, expect, test } from "bun:test";
import { Arena } from "../../../src/server/arena/arena.ts";
import { createByteRange } from "../../../src/server/types/byte-range.ts";
import {
  copyZset,
  createZset,
  freeZset,
  MEMBER_ADDED,
  SCORE_CHANGED,
  SCORE_SAME,
  ZSET_TYPE,
  ZsetWalk,
  zsetCountBelowMember,
  zsetCountBelowScore,
  zsetLength,
  zsetRandom,
  zsetRank,
  zsetRemove,
  zsetRemoveRanks,
  zsetScore,
  zsetSet,
} from "../../../src/server/types/zset.ts";
import { createPrng } from "../../support/prng.ts";

type Pair = readonly [member: string, score: number];

function bytesOf(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

function set(arena: Arena, head: number, member: string, score: number): number {
  return zsetSet(arena, head, bytesOf(member), 0, member.length, score);
}

function contents(arena: Arena, head: number, rank = 0, backward = false): Pair[] {
  const walk = new ZsetWalk();
  const found: Pair[] = [];
  walk.begin(arena, head, rank, backward);
  while (walk.next()) {
    const { bytes, start, end } = walk.member;
    found.push([bytes.toString("latin1", start, end), walk.score]);
  }
  return found;
}

/** By score, then by bytes. */
function ordered(model: ReadonlyMap<string, number>): Pair[] {
  return [...model].sort((a, b) => a[1] - b[1] || Buffer.compare(bytesOf(a[0]), bytesOf(b[0])));
}

describe("A sorted set", () => {
  test("says what setting a score did", () => {
    const arena = new Arena();
    const head = createZset(arena);
    expect(set(arena, head, "a", 1)).toBe(MEMBER_ADDED);
    expect(set(arena, head, "a", 1)).toBe(SCORE_SAME);
    expect(set(arena, head, "a", 2)).toBe(SCORE_CHANGED);
    expect(zsetScore(arena, head, bytesOf("a"), 0, 1)).toBe(2);
    expect(zsetScore(arena, head, bytesOf("b"), 0, 1)).toBeNaN();
    expect(zsetRank(arena, head, bytesOf("b"), 0, 1)).toBe(-1);
    expect(zsetRemove(arena, head, bytesOf("b"), 0, 1)).toBe(false);
  });

  test("orders by score, then by member bytes, with infinities at the ends", () => {
    const arena = new Arena();
    const head = createZset(arena);
    const scores: Pair[] = [
      ["low", -Infinity],
      ["", 0],
      ["a", 0],
      ["ab", 0],
      ["b", 0],
      ["\xff", 0],
      ["high", Infinity],
    ];
    for (const [member, score] of scores.toReversed()) set(arena, head, member, score);
    expect(contents(arena, head)).toEqual(scores);
    expect(contents(arena, head, 6, true)).toEqual(scores.toReversed());
    expect(zsetCountBelowScore(arena, head, 0, false)).toBe(1);
    expect(zsetCountBelowScore(arena, head, 0, true)).toBe(6);
    expect(zsetCountBelowScore(arena, head, Infinity, true)).toBe(7);
  });

  test("counts members below another when all scores are the same", () => {
    const arena = new Arena();
    const head = createZset(arena);
    for (const member of ["a", "c", "e"]) set(arena, head, member, 7);
    const below = (member: string, orEqual: boolean): number =>
      zsetCountBelowMember(arena, head, bytesOf(member), 0, member.length, orEqual);
    expect([below("a", false), below("a", true), below("b", false)]).toEqual([0, 1, 1]);
    expect([below("e", true), below("z", true), below("", true)]).toEqual([3, 3, 0]);
  });

  test("is freed a part at a time, down to the last byte", () => {
    const arena = new Arena();
    const before = arena.usedBytes;
    const head = createZset(arena);
    for (let i = 0; i < 20_000; i++) set(arena, head, `member ${i}`, i % 100);
    expect(Math.abs(ZSET_TYPE.bytes(arena, head, 0) - (arena.usedBytes - before))).toBeLessThan(
      20_000,
    );
    let steps = 1;
    while (freeZset(arena, head, 1000) < 0) steps++;
    expect(steps).toBeGreaterThan(10);
    expect(arena.usedBytes).toBe(before);
  });

  test("is copied whole", () => {
    const arena = new Arena();
    const head = createZset(arena);
    for (let i = 0; i < 3000; i++) set(arena, head, `member ${i}`, i / 7);
    const expected = contents(arena, head);
    const copy = copyZset(arena, head);
    freeZset(arena, head, Number.MAX_SAFE_INTEGER);
    expect(contents(arena, copy)).toEqual(expected);
  });

  test("is seen whole by a scan, and by random picks", () => {
    const arena = new Arena();
    const head = createZset(arena);
    for (let i = 0; i < 1000; i++) set(arena, head, `member ${i}`, i);
    const walk = new ZsetWalk();
    const scanned = new Map<string, number>();
    let cursor = 0;
    do {
      cursor = walk.beginScan(arena, head, cursor);
      while (walk.next()) {
        const { bytes, start, end } = walk.member;
        scanned.set(bytes.toString("latin1", start, end), walk.score);
      }
    } while (cursor !== 0);
    expect(ordered(scanned)).toEqual(contents(arena, head));
    const random = createPrng();
    const picked = new Set<number>();
    const member = createByteRange();
    for (let i = 0; i < 10_000; i++) {
      picked.add(zsetRandom(arena, head, () => random.int(2 ** 30) / 2 ** 30, member));
    }
    expect(picked.size, `seed ${random.seed}`).toBeGreaterThan(900);
  });
});

test("A sorted set equals a sorted array after any sequence of edits", () => {
  const random = createPrng();
  const seed = `seed ${random.seed}`;
  const arena = new Arena();
  const before = arena.usedBytes;
  const head = createZset(arena);
  const model = new Map<string, number>();
  for (let step = 0; step < 20_000; step++) {
    const member = `${random.int(600)}`;
    const buf = bytesOf(member);
    const growing = step % 5000 < 3500;
    const choice = random.int(growing ? 4 : 7);
    if (choice < 3) {
      const score = random.int(40) / 4;
      const old = model.get(member);
      const expected =
        old === undefined ? MEMBER_ADDED : old === score ? SCORE_SAME : SCORE_CHANGED;
      expect(set(arena, head, member, score), seed).toBe(expected);
      model.set(member, score);
    } else if (choice < 6) {
      expect(zsetRemove(arena, head, buf, 0, buf.length), seed).toBe(model.delete(member));
    } else {
      const rank = random.int(model.size);
      const count = Math.min(model.size - rank, random.int(10));
      for (const [gone] of ordered(model).slice(rank, rank + count)) model.delete(gone);
      zsetRemoveRanks(arena, head, rank, count);
    }
    expect(zsetLength(arena, head), seed).toBe(model.size);
    if (step % 200 !== 0) continue;
    const expected = ordered(model);
    expect(contents(arena, head), seed).toEqual(expected);
    const rank = random.int(model.size);
    expect(contents(arena, head, rank, true), seed).toEqual(
      expected.slice(0, rank + 1).toReversed(),
    );
    for (const [i, [name]] of expected.entries()) {
      expect(zsetRank(arena, head, bytesOf(name), 0, name.length), seed).toBe(i);
    }
    const bound = random.int(40) / 4;
    const below = expected.filter(([, score]) => score < bound).length;
    expect(zsetCountBelowScore(arena, head, bound, false), seed).toBe(below);
  }
  freeZset(arena, head, Number.MAX_SAFE_INTEGER);
  expect(arena.usedBytes).toBe(before);
});
