import { describe, expect, test } from "bun:test";
import {
  entryKeyLength,
  entryKeyOffset,
  entryMemory,
  entryValueLength,
  entryValueOffset,
  setEntryMark,
} from "../../src/server/arena/entry.ts";
import { Databases } from "../../src/server/databases.ts";
import type { Keyspace } from "../../src/server/keyspace.ts";
import { SLOT_COUNT, slotOf } from "../../src/slots/hash.ts";
import { createPrng, type Prng } from "../support/prng.ts";

/** Numbers in [0, 1). */
function fractions(prng: Prng): () => number {
  return () => prng.int(2 ** 30) / 2 ** 30;
}

function set(db: Keyspace, key: string, value: string): number {
  const k = Buffer.from(key);
  const v = Buffer.from(value);
  return db.setString(k, 0, k.length, v, 0, v.length, Number.NaN);
}

function find(db: Keyspace, key: string): number {
  const k = Buffer.from(key);
  return db.lookupWrite(k, 0, k.length);
}

function valueText(db: Keyspace, entry: number): string {
  const at = entryValueOffset(db.arena, entry);
  const memory = entryMemory(db.arena, entry);
  return memory.toString("latin1", at, at + entryValueLength(db.arena, entry));
}

function keyText(db: Keyspace, entry: number): string {
  const at = entryKeyOffset(db.arena, entry);
  const memory = entryMemory(db.arena, entry);
  return memory.toString("latin1", at, at + entryKeyLength(db.arena, entry));
}

interface ModelKey {
  value: string;
  expiry: number;
}

/** Slot sizes, tag groups, volatile counts and values agree with the model. */
function checkAgainst(db: Keyspace, model: Map<string, ModelKey>): void {
  expect(db.size).toBe(model.size);
  const slots = new Array<number>(SLOT_COUNT).fill(0);
  const groups = new Map<number, Set<string>>();
  let volatile = 0;
  for (const [key, { value, expiry }] of model) {
    const entry = find(db, key);
    expect(valueText(db, entry)).toBe(value);
    expect(db.expiryOf(entry)).toBe(expiry);
    if (!Number.isNaN(expiry)) volatile++;
    slots[slotOf(Buffer.from(key))]!++;
    const tag = /\{([^}]*)\}/.exec(key);
    if (tag === null) continue;
    const crc = Bun.hash.crc32(tag[1]!) | 0;
    groups.set(crc, (groups.get(crc) ?? new Set()).add(key));
  }
  expect(db.volatileCount).toBe(volatile);
  for (let slot = 0; slot < SLOT_COUNT; slot++) expect(db.slotSize(slot)).toBe(slots[slot]!);
  for (const [crc, keys] of groups) {
    const linked = new Set<string>();
    for (let e = db.firstOfTag(crc); e !== 0; e = db.nextOfTag(e)) linked.add(keyText(db, e));
    expect(linked).toEqual(keys);
  }
}

describe("Keyspace", () => {
  test("agrees with a model over random sets, expiries and removals, tags included", () => {
    const random = fractions(createPrng(21));
    const databases = new Databases(2, 1000);
    const db = databases.all[0]!;
    const model = new Map<string, ModelKey>();
    const never = Number.NaN;
    for (let round = 0; round < 20_000; round++) {
      const n = Math.floor(random() * 400);
      const key = random() < 0.5 ? `{t${n % 20}}${n}` : `key${n}`;
      const dice = random();
      const known = model.get(key);
      if (dice < 0.5) {
        const value = "v".repeat(Math.floor(random() * 90)) + round;
        set(db, key, value);
        model.set(key, { value, expiry: never });
      } else if (dice < 0.7 && known !== undefined) {
        known.expiry = 2000 + round;
        db.setExpiry(find(db, key), known.expiry);
      } else if (dice < 0.8 && known !== undefined) {
        known.expiry = never;
        db.persist(find(db, key));
      } else if (known !== undefined) {
        db.remove(find(db, key));
        model.delete(key);
      }
      if (round % 2000 === 1999) checkAgainst(db, model);
    }
    for (const key of model.keys()) db.remove(find(db, key));
    expect(databases.arena.usedBytes).toBe(0);
  });

  test("a key whose time is over is gone at the next lookup, and the hook hears of it", () => {
    const databases = new Databases(1, 1000);
    const db = databases.all[0]!;
    const gone: string[] = [];
    databases.hooks.expired = (_db, key, from, to) => {
      gone.push(key.toString("latin1", from, to));
    };
    db.setExpiry(set(db, "soon", "1"), 1500);
    databases.nowMs = 1499;
    expect(find(db, "soon")).not.toBe(0);
    databases.nowMs = 1500;
    expect(find(db, "soon")).toBe(0);
    expect(gone).toEqual(["soon"]);
    expect(db.size).toBe(0);
    expect(databases.expiredKeys).toBe(1);
  });

  test("the snapshot hook sees each old key once, before its first change, and no new key", () => {
    const databases = new Databases(1, 1000);
    const db = databases.all[0]!;
    set(db, "a", "old");
    set(db, "b", "old");
    const seen: string[] = [];
    databases.epoch = 4;
    databases.snapshotRuns = true;
    databases.hooks.beforeChange = (keyspace, entry) => {
      seen.push(`${keyText(keyspace, entry)}=${valueText(keyspace, entry)}`);
      setEntryMark(keyspace.arena, entry, databases.epoch !== 0);
    };
    set(db, "a", "new");
    set(db, "a", "newer");
    set(db, "c", "new");
    set(db, "c", "newer");
    db.remove(find(db, "b"));
    expect(seen).toEqual(["a=old", "b=old"]);
  });

  test("flush empties one database and gives its memory back in parts", () => {
    const databases = new Databases(2, 1000);
    const [first, second] = databases.all;
    for (let i = 0; i < 5000; i++) set(first!, i % 2 ? `{t${i % 7}}${i}` : `key${i}`, "value");
    set(second!, "stays", "here");
    first!.flush();
    expect(first!.size).toBe(0);
    expect(find(first!, "key2")).toBe(0);
    let parts = 0;
    while (databases.hasToRelease) {
      databases.releaseSome(500);
      parts++;
    }
    expect(parts).toBeGreaterThan(5);
    expect(valueText(second!, find(second!, "stays"))).toBe("here");
    second!.remove(find(second!, "stays"));
    expect(databases.arena.usedBytes).toBe(0);
  });

  test("flushAll gives everything back at once", () => {
    const databases = new Databases(2, 1000);
    for (let i = 0; i < 5000; i++) set(databases.all[i % 2]!, `{t}key${i}`, "value");
    databases.flushAll();
    expect(databases.arena.usedBytes).toBe(0);
    set(databases.all[1]!, "{t}again", "1");
    expect(databases.all[1]!.size).toBe(1);
  });

  test("swap exchanges the keys of two databases", () => {
    const databases = new Databases(2, 1000);
    const [first, second] = databases.all;
    first!.setExpiry(set(first!, "{a}1", "one"), 9000);
    set(second!, "b", "two");
    first!.swap(second!);
    expect(valueText(second!, find(second!, "{a}1"))).toBe("one");
    expect(second!.volatileCount).toBe(1);
    expect(first!.volatileCount).toBe(0);
    expect(valueText(first!, find(first!, "b"))).toBe("two");
  });
});
