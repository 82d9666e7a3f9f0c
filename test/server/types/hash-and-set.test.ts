import { describe, expect, test } from "bun:test";
import { Arena } from "../../../src/server/arena/arena.ts";
import { type ByteRange, createByteRange } from "../../../src/server/types/byte-range.ts";
import {
  createHash,
  HASH_TYPE,
  HashWalk,
  hashGet,
  hashLength,
  hashRandom,
  hashRemove,
  hashSet,
} from "../../../src/server/types/hash.ts";
import {
  createSet,
  SET_TYPE,
  SetWalk,
  setAdd,
  setHas,
  setLength,
  setRandom,
  setRemove,
} from "../../../src/server/types/set.ts";
import { createPrng } from "../../support/prng.ts";

function bytesOf(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

function textOf(range: ByteRange): string {
  return range.bytes.toString("latin1", range.start, range.end);
}

function hashContents(arena: Arena, head: number): Map<string, string> {
  const walk = new HashWalk();
  const found = new Map<string, string>();
  walk.begin(arena, head);
  while (walk.next()) found.set(textOf(walk.field), textOf(walk.value));
  return found;
}

function setContents(arena: Arena, head: number): Set<string> {
  const walk = new SetWalk();
  const found = new Set<string>();
  walk.begin(arena, head);
  while (walk.next()) found.add(textOf(walk.member));
  return found;
}

describe("A hash", () => {
  test("equals a map after any sequence of edits, and is freed to the last byte", () => {
    const random = createPrng();
    const arena = new Arena();
    const before = arena.usedBytes;
    const head = createHash(arena);
    const model = new Map<string, string>();
    const value = createByteRange();
    for (let step = 0; step < 30_000; step++) {
      const field = "f".repeat(random.int(90)) + random.int(400);
      const buf = bytesOf(field);
      if (step % 6000 < 4000 ? random.oneIn(4) : !random.oneIn(4)) {
        expect(hashRemove(arena, head, buf, 0, buf.length)).toBe(model.delete(field));
      } else {
        const text = String(step).repeat(random.int(random.oneIn(10) ? 500 : 10));
        const isNew = hashSet(arena, head, buf, 0, buf.length, bytesOf(text), 0, text.length);
        expect(isNew).toBe(!model.has(field));
        model.set(field, text);
      }
      const there = hashGet(arena, head, buf, 0, buf.length, value);
      expect(there ? textOf(value) : undefined).toBe(model.get(field));
      if (step % 1000 === 0)
        expect(hashContents(arena, head), `seed ${random.seed}`).toEqual(model);
    }
    expect(hashLength(arena, head)).toBe(model.size);
    const copy = HASH_TYPE.copy(arena, head);
    expect(HASH_TYPE.bytes(arena, head, 0)).toBeGreaterThan(model.size * 32);
    expect(HASH_TYPE.release(arena, head, Number.MAX_SAFE_INTEGER)).toBeGreaterThan(0);
    expect(hashContents(arena, copy)).toEqual(model);
    let steps = 1;
    while (HASH_TYPE.release(arena, copy, 100) < 0) steps++;
    expect(steps).toBeGreaterThan(5);
    expect(arena.usedBytes).toBe(before);
  });

  test("gives fields at random and all of them to a scan", () => {
    const arena = new Arena();
    const head = createHash(arena);
    for (let i = 0; i < 100; i++) {
      hashSet(arena, head, bytesOf(`f${i}`), 0, `f${i}`.length, bytesOf("v"), 0, 1);
    }
    const field = createByteRange();
    const value = createByteRange();
    const picked = new Set<string>();
    for (let i = 0; i < 5000; i++) {
      hashRandom(arena, head, Math.random, field, value);
      picked.add(textOf(field));
    }
    expect(picked.size).toBe(100);
    const walk = new HashWalk();
    const scanned = new Set<string>();
    let cursor = 0;
    do {
      cursor = walk.beginScan(arena, head, cursor);
      while (walk.next()) scanned.add(textOf(walk.field));
    } while (cursor !== 0);
    expect(scanned).toEqual(picked);
  });
});

describe("A set", () => {
  test("equals a Set after any sequence of edits, and is freed to the last byte", () => {
    const random = createPrng();
    const arena = new Arena();
    const before = arena.usedBytes;
    const head = createSet(arena);
    const model = new Set<string>();
    for (let step = 0; step < 30_000; step++) {
      const member = `${random.int(2000)}`;
      const buf = bytesOf(member);
      if (step % 6000 < 4000 ? random.oneIn(4) : !random.oneIn(4)) {
        expect(setRemove(arena, head, buf, 0, buf.length)).toBe(model.delete(member));
      } else {
        expect(setAdd(arena, head, buf, 0, buf.length)).toBe(!model.has(member));
        model.add(member);
      }
      expect(setHas(arena, head, buf, 0, buf.length)).toBe(model.has(member));
      if (step % 1000 === 0) expect(setContents(arena, head), `seed ${random.seed}`).toEqual(model);
    }
    expect(setLength(arena, head)).toBe(model.size);
    const copy = SET_TYPE.copy(arena, head);
    expect(SET_TYPE.release(arena, head, Number.MAX_SAFE_INTEGER)).toBeGreaterThan(0);
    expect(setContents(arena, copy)).toEqual(model);
    while (SET_TYPE.release(arena, copy, 100) < 0);
    expect(arena.usedBytes).toBe(before);
  });

  test("gives members at random and all of them to a scan", () => {
    const arena = new Arena();
    const head = createSet(arena);
    for (let i = 0; i < 100; i++) setAdd(arena, head, bytesOf(`m${i}`), 0, `m${i}`.length);
    const member = createByteRange();
    const picked = new Set<string>();
    for (let i = 0; i < 5000; i++) {
      setRandom(arena, head, Math.random, member);
      picked.add(textOf(member));
    }
    expect(picked.size).toBe(100);
    const walk = new SetWalk();
    const scanned = new Set<string>();
    let cursor = 0;
    do {
      cursor = walk.beginScan(arena, head, cursor);
      while (walk.next()) scanned.add(textOf(walk.member));
    } while (cursor !== 0);
    expect(scanned).toEqual(picked);
  });

  test("picks all members about as often, also after most of them were removed", () => {
    const random = createPrng();
    const fraction = () => random.int(2 ** 30) / 2 ** 30;
    const arena = new Arena();
    const head = createSet(arena);
    // Between two powers of two, so that some buckets are split already and others are not.
    for (let i = 0; i < 1500; i++) setAdd(arena, head, bytesOf(`m${i}`), 0, `m${i}`.length);
    const member = createByteRange();
    for (const left of [1500, 700, 400]) {
      for (let i = setLength(arena, head) - 1; i >= left; i--) {
        setRemove(arena, head, bytesOf(`m${i}`), 0, `m${i}`.length);
      }
      const picks = new Map<string, number>();
      for (let i = 0; i < left * 200; i++) {
        setRandom(arena, head, fraction, member);
        picks.set(textOf(member), (picks.get(textOf(member)) ?? 0) + 1);
      }
      // 40 % is more than five standard deviations; those far down in a chain are further away.
      const far = [...picks.values()].filter((times) => Math.abs(times - 200) > 80).length;
      expect([picks.size, far < left / 25], `seed ${random.seed}, far ${far}`).toEqual([
        left,
        true,
      ]);
    }
  });
});
