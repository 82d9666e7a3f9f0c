/** Small collections against a Map or a sorted array, with the borders to their tables moved. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Arena } from "../../../src/server/arena/arena.ts";
import { type CompactLimits, DEFAULT_LIMITS } from "../../../src/server/arena/compact-limits.ts";
import { type ByteRange, createByteRange } from "../../../src/server/types/byte-range.ts";
import {
  createHash,
  HASH_TYPE,
  HashWalk,
  hashGet,
  hashLength,
  hashRemove,
  hashSet,
} from "../../../src/server/types/hash.ts";
import { createList, LIST_TYPE, pushFirst, pushLast } from "../../../src/server/types/list.ts";
import { PACKED_BYTES_MAX } from "../../../src/server/types/packed.ts";
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
import type { ValueType } from "../../../src/server/types/value-type.ts";
import {
  createZset,
  ZSET_TYPE,
  ZsetWalk,
  zsetCountBelowMember,
  zsetCountBelowScore,
  zsetLength,
  zsetRank,
  zsetRemove,
  zsetRemoveRanks,
  zsetScore,
  zsetSet,
} from "../../../src/server/types/zset.ts";

function bytesOf(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

function textOf(range: ByteRange): string {
  return range.bytes.toString("latin1", range.start, range.end);
}

function arenaWith(limits: Partial<CompactLimits>): Arena {
  const arena = new Arena();
  arena.limits = { ...DEFAULT_LIMITS, ...limits };
  return arena;
}

/** What a structure says it weighs is what it took; and freeing it gives all of that back. */
function expectExactBytes(arena: Arena, type: ValueType, head: number, before: number): void {
  expect(type.bytes(arena, head, 0)).toBe(arena.usedBytes - before);
  const copyBefore = arena.usedBytes;
  const copy = type.copy(arena, head);
  expect(type.encoding(arena, copy)).toBe(type.encoding(arena, head));
  expect(type.bytes(arena, copy, 0)).toBe(arena.usedBytes - copyBefore);
  while (type.release(arena, copy, 100) < 0);
  expect(arena.usedBytes).toBe(copyBefore);
  while (type.release(arena, head, 100) < 0);
  expect(arena.usedBytes).toBe(before);
}

/** Names of every way in which a length is written, few enough to be met again. */
const NAMES = ["", "a", "b", "ab", "-0", "01", "m".repeat(254), "m".repeat(255), "n".repeat(300)];
const name = fc.constantFrom(...NAMES, ...Array.from({ length: 30 }, (_, i) => `field:${i}`));
const text = fc.oneof(
  fc.string({ unit: "binary-ascii", maxLength: 40 }),
  fc.constantFrom("v".repeat(254), "v".repeat(255), "v".repeat(2000)),
);
/** With these all of a run stays packed; and with these it crosses the border, by either limit. */
const entriesMax = fc.constantFrom(1000, 12, 0);
const valueMax = fc.constantFrom(4000, 300, 8);

describe("A small hash", () => {
  const edit = fc.record({ name, text, removes: fc.nat(3) });
  test("equals a Map, in the order of its fields' first coming", () => {
    fc.assert(
      fc.property(
        fc.array(edit, { maxLength: 120 }),
        entriesMax,
        valueMax,
        (edits, entries, bytes) => {
          const arena = arenaWith({
            "hash-max-listpack-entries": entries,
            "hash-max-listpack-value": bytes,
          });
          const before = arena.usedBytes;
          const head = createHash(arena);
          const model = new Map<string, string>();
          let isTable = false;
          const shown = createByteRange();
          for (const { name, text, removes } of edits) {
            const field = bytesOf(name);
            if (removes === 0) {
              expect(hashRemove(arena, head, field, 0, field.length)).toBe(model.delete(name));
            } else {
              const value = bytesOf(text);
              const isNew = !model.has(name);
              const set = hashSet(arena, head, field, 0, field.length, value, 0, value.length);
              expect(set).toBe(isNew);
              model.set(name, text);
              isTable ||= model.size > entries || Math.max(name.length, text.length) > bytes;
            }
            const isThere = hashGet(arena, head, field, 0, field.length, shown);
            expect(isThere ? textOf(shown) : undefined).toBe(model.get(name));
            expect(HASH_TYPE.encoding(arena, head)).toBe(isTable ? "hashtable" : "listpack");
            expect(hashLength(arena, head)).toBe(model.size);
          }
          const walk = new HashWalk();
          const found: [string, string][] = [];
          walk.begin(arena, head);
          while (walk.next()) found.push([textOf(walk.field), textOf(walk.value)]);
          if (isTable) expect(new Map(found)).toEqual(model);
          else expect(found).toEqual([...model]);
          expectExactBytes(arena, HASH_TYPE, head, before);
        },
      ),
    );
  });

  test("takes half a block or more of what it uses, also after most of it is removed", () => {
    const arena = arenaWith({ "hash-max-listpack-entries": 2000 });
    const head = createHash(arena);
    const nameOf = (i: number): Buffer => bytesOf(`field:${i}`);
    for (let i = 0; i < 1000; i++) {
      hashSet(arena, head, nameOf(i), 0, nameOf(i).length, bytesOf("value"), 0, 5);
    }
    const full = HASH_TYPE.bytes(arena, head, 0);
    expect(full).toBeLessThan(1000 * 16 * 1.2);
    for (let i = 0; i < 990; i++) hashRemove(arena, head, nameOf(i), 0, nameOf(i).length);
    expect(HASH_TYPE.encoding(arena, head)).toBe("listpack");
    expect(HASH_TYPE.bytes(arena, head, 0)).toBeLessThan(10 * 16 * 2 + 64);
  });

  test("is never larger than PACKED_BYTES_MAX, whatever the limits are", () => {
    const arena = arenaWith({ "hash-max-listpack-value": 2 ** 30 });
    const head = createHash(arena);
    const value = Buffer.alloc(PACKED_BYTES_MAX - 16);
    hashSet(arena, head, bytesOf("a"), 0, 1, value, 0, value.length);
    expect(HASH_TYPE.encoding(arena, head)).toBe("listpack");
    hashSet(arena, head, bytesOf("b"), 0, 1, value, 0, 16);
    expect(HASH_TYPE.encoding(arena, head)).toBe("hashtable");
    const shown = createByteRange();
    expect(hashGet(arena, head, bytesOf("a"), 0, 1, shown)).toBe(true);
    expect(shown.end - shown.start).toBe(value.length);
  });
});

describe("A small set", () => {
  const integer = fc.oneof(
    fc.integer({ min: -20, max: 20 }).map(String),
    fc.integer().map(String),
    fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(String),
  );
  const member = fc.oneof({ weight: 6, arbitrary: integer }, { weight: 1, arbitrary: name });
  const edit = fc.record({ member, removes: fc.nat(3) });

  test("equals a Set; integers alone are sorted, other members come as they came", () => {
    fc.assert(
      fc.property(
        fc.array(edit, { maxLength: 80 }),
        entriesMax,
        valueMax,
        (edits, entries, bytes) => {
          const arena = arenaWith({
            "set-max-intset-entries": 30,
            "set-max-listpack-entries": entries,
            "set-max-listpack-value": bytes,
          });
          const before = arena.usedBytes;
          const head = createSet(arena);
          const model = new Set<string>();
          for (const { member, removes } of edits) {
            const buf = bytesOf(member);
            if (removes === 0) {
              expect(setRemove(arena, head, buf, 0, buf.length)).toBe(model.delete(member));
            } else {
              expect(setAdd(arena, head, buf, 0, buf.length)).toBe(!model.has(member));
              model.add(member);
            }
            expect(setHas(arena, head, buf, 0, buf.length)).toBe(model.has(member));
            expect(setLength(arena, head)).toBe(model.size);
          }
          const walk = new SetWalk();
          const found: string[] = [];
          const encoding = SET_TYPE.encoding(arena, head);
          if (encoding !== "hashtable") expect(walk.beginScan(arena, head, 7)).toBe(0);
          walk.begin(arena, head);
          while (walk.next()) found.push(textOf(walk.member));
          expect(new Set(found)).toEqual(model);
          expect(found.length).toBe(model.size);
          if (encoding === "intset") {
            expect(found).toEqual(found.toSorted((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1)));
          }
          const shown = createByteRange();
          if (model.size > 0) {
            setRandom(arena, head, Math.random, shown);
            expect(model.has(textOf(shown))).toBe(true);
          }
          expectExactBytes(arena, SET_TYPE, head, before);
        },
      ),
    );
  });

  const encodings: readonly (readonly [string, readonly string[], Partial<CompactLimits>])[] = [
    ["intset", [], {}],
    ["intset", ["1", "-7", "9223372036854775807"], {}],
    ["listpack", ["1", "a"], {}],
    ["listpack", ["a", "1"], {}],
    ["listpack", ["01"], {}],
    ["listpack", ["9223372036854775808"], {}],
    ["hashtable", ["a", "x".repeat(65)], {}],
    ["hashtable", ["1", "2", "3"], { "set-max-intset-entries": 2 }],
    ["hashtable", ["1", "2", "a"], { "set-max-listpack-entries": 2 }],
    ["hashtable", ["a", "b", "c"], { "set-max-listpack-entries": 2 }],
    ["hashtable", ["123456", "a"], { "set-max-listpack-value": 5 }],
    ["listpack", ["12345", "a"], { "set-max-listpack-value": 5 }],
  ];
  for (const [encoding, members, limits] of encodings) {
    test(`of ${JSON.stringify(members)} with ${JSON.stringify(limits)} is a ${encoding}`, () => {
      const arena = arenaWith(limits);
      const head = createSet(arena);
      for (const member of members) setAdd(arena, head, bytesOf(member), 0, member.length);
      expect(SET_TYPE.encoding(arena, head)).toBe(encoding);
      for (const member of members) {
        expect(setHas(arena, head, bytesOf(member), 0, member.length)).toBe(true);
      }
    });
  }
});

type Pair = readonly [member: string, score: number];

/** By score, then by bytes. */
function ordered(model: ReadonlyMap<string, number>): Pair[] {
  return [...model].sort((a, b) => a[1] - b[1] || Buffer.compare(bytesOf(a[0]), bytesOf(b[0])));
}

function zsetContents(arena: Arena, head: number, rank: number, backward: boolean): Pair[] {
  const walk = new ZsetWalk();
  const found: Pair[] = [];
  walk.begin(arena, head, rank, backward);
  while (walk.next()) found.push([textOf(walk.member), walk.score]);
  return found;
}

describe("A small sorted set", () => {
  const whole = fc.constantFrom(0, 1, 2, -1, 2 ** 31 - 1, -(2 ** 31));
  const wide = fc.constantFrom(0.5, 2 ** 31, -1e300, Infinity, -Infinity, 1);
  const edit = fc.record({
    name,
    score: fc.oneof({ weight: 30, arbitrary: whole }, { weight: 1, arbitrary: wide }),
    action: fc.nat(9),
  });

  test("equals a sorted array", () => {
    fc.assert(
      fc.property(
        fc.array(edit, { maxLength: 120 }),
        entriesMax,
        valueMax,
        (edits, entries, bytes) => {
          const arena = arenaWith({
            "zset-max-listpack-entries": entries,
            "zset-max-listpack-value": bytes,
          });
          const before = arena.usedBytes;
          const head = createZset(arena);
          const model = new Map<string, number>();
          let isTable = false;
          for (const { name, score, action } of edits) {
            const buf = bytesOf(name);
            if (action === 0) {
              const rank = Math.floor(model.size / 3);
              const count = Math.min(2, model.size - rank);
              for (const [gone] of ordered(model).slice(rank, rank + count)) model.delete(gone);
              zsetRemoveRanks(arena, head, rank, count);
            } else if (action < 3) {
              expect(zsetRemove(arena, head, buf, 0, buf.length)).toBe(model.delete(name));
            } else {
              const old = model.get(name);
              const expected = old === undefined ? 2 : old === score ? 0 : 1;
              expect(zsetSet(arena, head, buf, 0, buf.length, score)).toBe(expected);
              model.set(name, score);
              if (old === undefined) isTable ||= model.size > entries || name.length > bytes;
            }
            expect(zsetLength(arena, head)).toBe(model.size);
            expect(zsetScore(arena, head, buf, 0, buf.length)).toBe(model.get(name) ?? Number.NaN);
            expect(ZSET_TYPE.encoding(arena, head)).toBe(isTable ? "skiplist" : "listpack");
          }
          const expected = ordered(model);
          expect(zsetContents(arena, head, 0, false)).toEqual(expected);
          const last = expected.length - 1;
          expect(zsetContents(arena, head, last, true)).toEqual(expected.toReversed());
          expect(zsetContents(arena, head, 1, false)).toEqual(expected.slice(1));
          for (const [rank, [member, score]] of expected.entries()) {
            expect(zsetRank(arena, head, bytesOf(member), 0, member.length)).toBe(rank);
            const below = expected.filter((pair) => pair[1] < score).length;
            expect(zsetCountBelowScore(arena, head, score, false)).toBe(below);
            const upTo = expected.filter((pair) => pair[1] <= score).length;
            expect(zsetCountBelowScore(arena, head, score, true)).toBe(upTo);
          }
          expectExactBytes(arena, ZSET_TYPE, head, before);
        },
      ),
    );
  });

  test("counts members below another when all scores are the same", () => {
    const arena = new Arena();
    const head = createZset(arena);
    const names = NAMES.filter((name) => name.length < 64).toSorted((a, b) => (a < b ? -1 : 1));
    for (const name of names) zsetSet(arena, head, bytesOf(name), 0, name.length, 7);
    expect(ZSET_TYPE.encoding(arena, head)).toBe("listpack");
    for (const bound of [...names, "aa", "zz", "c"]) {
      const buf = bytesOf(bound);
      const below = names.filter((name) => name < bound).length;
      const upTo = names.filter((name) => name <= bound).length;
      expect(zsetCountBelowMember(arena, head, buf, 0, buf.length, false)).toBe(below);
      expect(zsetCountBelowMember(arena, head, buf, 0, buf.length, true)).toBe(upTo);
    }
  });
});

describe("A list", () => {
  for (const limit of [-2, -1, -5, 1, 3, 0]) {
    test(`takes little more than its elements with a limit of ${limit}`, () => {
      const arena = arenaWith({ "list-max-listpack-size": limit });
      for (const [push, count] of [
        [pushFirst, 100],
        [pushLast, 400],
        [pushLast, 5000],
      ] as const) {
        const before = arena.usedBytes;
        const head = createList(arena);
        for (let i = 0; i < count; i++) push(arena, head, Buffer.alloc(100), 0, 100);
        const bytes = arena.usedBytes - before;
        // Of few elements a node is more than them, and rounded up.
        expect(bytes / (count * 102)).toBeLessThan(limit >= 0 && limit < 3 ? 1.6 : 1.3);
        expectExactBytes(arena, LIST_TYPE, head, before);
      }
    });
  }
});
