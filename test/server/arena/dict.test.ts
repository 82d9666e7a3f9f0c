import { describe, expect, test } from "bun:test";
import { Arena } from "../../../src/server/arena/arena.ts";
import {
  createDict,
  dictBucket,
  dictBuckets,
  dictCount,
  dictDrain,
  dictFind,
  dictInsert,
  dictRandom,
  dictRemove,
  dictReplace,
  dictScan,
} from "../../../src/server/arena/dict.ts";
import {
  createEntry,
  ENTRY_LINKS,
  ENTRY_NUMBER,
  entryFlags,
  entryKeyLength,
  entryKeyOffset,
  entryLink,
  entryMemory,
  entryNext,
  entryNumber,
  entryValueLength,
  entryValueOffset,
  resizeEntry,
  setEntryLink,
  setEntryNumber,
} from "../../../src/server/arena/entry.ts";
import { createPrng, type Prng } from "../../support/prng.ts";

/** Numbers in [0, 1). */
function fractions(prng: Prng): () => number {
  return () => prng.int(2 ** 30) / 2 ** 30;
}

const hashOf = (key: Buffer): number => Bun.hash.crc32(key) | 0;

function add(arena: Arena, head: number, text: string): number {
  const key = Buffer.from(text);
  const entry = createEntry(arena, hashOf(key), 0, key, 0, key.length, 0);
  dictInsert(arena, head, entry);
  return entry;
}

function find(arena: Arena, head: number, text: string): number {
  const key = Buffer.from(text);
  return dictFind(arena, head, hashOf(key), key, 0, key.length);
}

function keyText(arena: Arena, entry: number): string {
  const at = entryKeyOffset(arena, entry);
  return entryMemory(arena, entry).toString("latin1", at, at + entryKeyLength(arena, entry));
}

describe("dict", () => {
  test("agrees with a Map over random inserts and removals, growing and shrinking", () => {
    const random = fractions(createPrng(11));
    const arena = new Arena();
    const head = createDict(arena);
    const model = new Map<string, number>();
    for (let round = 0; round < 200_000; round++) {
      const grows = round % 100_000 < 50_000;
      const text = `k${Math.floor(random() * 30_000)}`;
      const entry = find(arena, head, text);
      expect(entry).toBe(model.get(text) ?? 0);
      if (entry !== 0 && random() < (grows ? 0.2 : 0.9)) {
        dictRemove(arena, head, entry);
        arena.free(entry);
        model.delete(text);
      } else if (entry === 0 && random() < (grows ? 0.9 : 0.1)) {
        model.set(text, add(arena, head, text));
      }
    }
    expect(dictCount(arena, head)).toBe(model.size);
    const seen = new Set<string>();
    for (let i = 0; i < dictBuckets(arena, head); i++) {
      for (let e = dictBucket(arena, head, i); e !== 0; e = entryNext(arena, e)) {
        seen.add(keyText(arena, e));
      }
    }
    expect(seen).toEqual(new Set(model.keys()));
    expect(dictDrain(arena, head, 1e9, (entry) => arena.free(entry))).toBeGreaterThanOrEqual(0);
    expect(arena.usedBytes).toBe(0);
  });

  test("a scan sees every entry that stays, while the table grows and shrinks under it", () => {
    for (const seed of [1, 2, 3, 4]) {
      const random = fractions(createPrng(seed));
      const arena = new Arena();
      const head = createDict(arena);
      for (let i = 0; i < 3000; i++) add(arena, head, `stays${i}`);
      const extra: number[] = [];
      const seen = new Set<string>();
      let cursor = 0;
      do {
        const found: number[] = [];
        cursor = dictScan(arena, head, cursor, found);
        for (const entry of found) seen.add(keyText(arena, entry));
        const grows = random() < 0.5;
        for (let i = 0; i < 40; i++) {
          if (grows) extra.push(add(arena, head, `extra${seed}.${extra.length}.${random()}`));
          const gone = grows ? undefined : extra.pop();
          if (gone === undefined) continue;
          dictRemove(arena, head, gone);
          arena.free(gone);
        }
      } while (cursor !== 0);
      for (let i = 0; i < 3000; i++) expect(seen.has(`stays${i}`)).toBe(true);
    }
  });

  test("no insert or removal moves more than a few entries of a large table", () => {
    const arena = new Arena();
    const head = createDict(arena);
    let before = dictBuckets(arena, head);
    for (let i = 0; i < 20_000; i++) {
      add(arena, head, `key:${i}`);
      const buckets = dictBuckets(arena, head);
      expect(buckets <= 256 || buckets - before <= 1).toBe(true);
      before = buckets;
    }
  });

  test("random reaches every entry", () => {
    const arena = new Arena();
    const head = createDict(arena);
    for (let i = 0; i < 50; i++) add(arena, head, `key:${i}`);
    const random = fractions(createPrng(5));
    const seen = new Set<number>();
    for (let i = 0; i < 5000; i++) seen.add(dictRandom(arena, head, random));
    expect(seen.size).toBe(50);
  });

  test("drains in parts, each within its budget", () => {
    const arena = new Arena();
    const head = createDict(arena);
    for (let i = 0; i < 5000; i++) add(arena, head, `key:${i}`);
    let dropped = 0;
    let parts = 0;
    let left = -1;
    while (left < 0) {
      const before = dropped;
      left = dictDrain(arena, head, 100, (entry) => {
        dropped++;
        arena.free(entry);
      });
      expect(dropped - before).toBeLessThan(120);
      parts++;
    }
    expect(dropped).toBe(5000);
    expect(parts).toBeGreaterThan(40);
    expect(arena.usedBytes).toBe(0);
  });
});

describe("entry", () => {
  test("keeps key, number, links and value through every change of layout and length", () => {
    const random = fractions(createPrng(3));
    const arena = new Arena();
    const head = createDict(arena);
    const key = Buffer.from("some key");
    let entry = createEntry(arena, hashOf(key), 0, key, 0, key.length, 5);
    entryMemory(arena, entry).write("value", entryValueOffset(arena, entry));
    dictInsert(arena, head, entry);
    let value = "value";
    for (let round = 0; round < 3000; round++) {
      const flags = Math.floor(random() * 4) & (ENTRY_NUMBER | ENTRY_LINKS);
      const length = Math.floor(random() * (random() < 0.1 ? 100_000 : 60));
      const kept = Math.min(length, value.length);
      const old = entryFlags(arena, entry);
      const moved = resizeEntry(arena, entry, flags, length, Number.POSITIVE_INFINITY);
      if (moved !== entry) dictReplace(arena, head, entry, moved);
      entry = moved;
      if (old & flags & ENTRY_NUMBER) expect(entryNumber(arena, entry)).toBe(round - 1);
      if (old & flags & ENTRY_LINKS) expect(entryLink(arena, entry, 1)).toBe(round - 1);
      const at = entryValueOffset(arena, entry);
      const memory = entryMemory(arena, entry);
      expect(memory.toString("latin1", at, at + kept)).toBe(value.slice(0, kept));
      value = value.slice(0, kept).padEnd(length, String(round));
      memory.write(value, at, "latin1");
      if (flags & ENTRY_NUMBER) setEntryNumber(arena, entry, round);
      if (flags & ENTRY_LINKS) {
        setEntryLink(arena, entry, 0, 77);
        setEntryLink(arena, entry, 1, round);
      }
      expect(keyText(arena, entry)).toBe("some key");
      expect(entryValueLength(arena, entry)).toBe(length);
      expect(dictFind(arena, head, hashOf(key), key, 0, key.length)).toBe(entry);
    }
  });
});
