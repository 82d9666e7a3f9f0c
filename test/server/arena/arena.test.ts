import { describe, expect, test } from "bun:test";
import {
  Arena,
  blockBytes,
  CHUNK_BYTES,
  CHUNK_SHIFT,
  GRANULE_MASK,
  noteIndex,
} from "../../../src/server/arena/arena.ts";
import { createPrng, type Prng } from "../../support/prng.ts";

/** Numbers in [0, 1). */
function fractions(prng: Prng): () => number {
  return () => prng.int(2 ** 30) / 2 ** 30;
}

function fill(arena: Arena, ref: number, bytes: number, value: number): void {
  const at = (ref & GRANULE_MASK) << 4;
  arena.bytes[ref >>> CHUNK_SHIFT]!.fill(value, at, at + bytes);
}

function holds(arena: Arena, ref: number, bytes: number, value: number): boolean {
  const at = (ref & GRANULE_MASK) << 4;
  return arena.bytes[ref >>> CHUNK_SHIFT]!.subarray(at, at + bytes).every((b) => b === value);
}

describe("Arena", () => {
  test("the next chunk is ready while much is asked for, and given back when no more is", async () => {
    const arena = new Arena();
    const { ahead } = arena;
    ahead.look();
    for (let i = 0; i < 100; i++) arena.alloc(8192);
    ahead.look();
    while (ahead.readyBytes === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(arena.chunkBytes).toBe(CHUNK_BYTES);
    ahead.look();
    expect(ahead.readyBytes).toBe(0);
  });

  test("blocks of any size, made and freed in random order, never overlap", () => {
    const random = fractions(createPrng(7));
    const arena = new Arena();
    const live: { ref: number; bytes: number; value: number }[] = [];
    for (let round = 0; round < 20_000; round++) {
      if (live.length > 0 && random() < 0.48) {
        const i = Math.floor(random() * live.length);
        const block = live[i]!;
        expect(holds(arena, block.ref, block.bytes, block.value)).toBe(true);
        arena.free(block.ref);
        live[i] = live.at(-1)!;
        live.pop();
      } else {
        const bytes = 1 + Math.floor(2 ** (random() * (random() < 0.02 ? 22 : 13)));
        const ref = arena.alloc(bytes);
        expect(arena.capacity(ref)).toBeGreaterThanOrEqual(bytes);
        expect(arena.fits(ref, bytes)).toBe(true);
        const value = round & 255;
        fill(arena, ref, bytes, value);
        live.push({ ref, bytes, value });
      }
    }
    for (const block of live) {
      expect(holds(arena, block.ref, block.bytes, block.value)).toBe(true);
      arena.free(block.ref);
    }
    expect(arena.usedBytes).toBe(0);
    expect(arena.chunkBytes).toBeLessThanOrEqual(2 * CHUNK_BYTES);
  });

  test("pages freed by one size class serve another", () => {
    const arena = new Arena();
    const small = Array.from({ length: 200_000 }, () => arena.alloc(64));
    const held = arena.chunkBytes;
    for (const ref of small) arena.free(ref);
    for (let i = 0; i < 10_000; i++) arena.alloc(1000);
    expect(arena.chunkBytes).toBeLessThanOrEqual(held);
  });

  test("a block above half a chunk takes a chunk of its own size and gives it back", () => {
    const arena = new Arena();
    const ref = arena.alloc(20 * 1024 * 1024 + 1);
    expect(arena.chunkBytes).toBe(CHUNK_BYTES + 20 * 1024 * 1024 + 16);
    fill(arena, ref, 20 * 1024 * 1024 + 1, 9);
    arena.free(ref);
    expect(arena.chunkBytes).toBe(CHUNK_BYTES);
  });

  test("is full before the last chunk is taken; beyond that a block is refused", () => {
    const arena = new Arena(32);
    const refs: number[] = [];
    // Chunk 0 is there from the start.
    while (refs.length < 29) refs.push(arena.alloc(CHUNK_BYTES));
    expect(arena.isFull).toBe(false);
    refs.push(arena.alloc(CHUNK_BYTES));
    expect(arena.isFull).toBe(true);
    refs.push(arena.alloc(CHUNK_BYTES));
    const { usedBytes, chunkBytes } = arena;
    expect(() => arena.alloc(CHUNK_BYTES)).toThrow(RangeError);
    expect([arena.usedBytes, arena.chunkBytes]).toEqual([usedBytes, chunkBytes]);
    arena.free(refs.pop()!);
    refs.push(arena.alloc(CHUNK_BYTES));
    for (const ref of refs.splice(0, 2)) arena.free(ref);
    expect(arena.isFull).toBe(false);
  });

  test("what a block takes is at most an eighth more than asked, from 128 bytes on", () => {
    for (let bytes = 128; bytes <= 32_768; bytes += 7) {
      expect(blockBytes(bytes)).toBeGreaterThanOrEqual(bytes);
      expect(blockBytes(bytes)).toBeLessThanOrEqual(bytes * 1.125 + 16);
    }
  });

  test("reset gives everything back and starts anew", () => {
    const arena = new Arena();
    for (let i = 0; i < 50_000; i++) arena.alloc(200);
    arena.alloc(3 * 1024 * 1024);
    arena.reset();
    expect(arena.usedBytes).toBe(0);
    expect(arena.chunkBytes).toBe(CHUNK_BYTES);
    const refs = new Set<number>();
    for (let i = 0; i < 50_000; i++) refs.add(arena.alloc(200));
    expect(refs.size).toBe(50_000);
    expect(refs.has(0)).toBe(false);
  });

  test("notes of blocks are each block's own, last while they are kept, and begin as 0", () => {
    const random = fractions(createPrng(8));
    const arena = new Arena();
    const early = arena.alloc(64);
    expect(arena.noteBytes).toBe(0);
    arena.keepNotes(true);
    const noteOf = (ref: number): number => arena.notes[ref >>> CHUNK_SHIFT]![noteIndex(ref)]!;
    const setNote = (ref: number, note: number): void => {
      arena.notes[ref >>> CHUNK_SHIFT]![noteIndex(ref)] = note;
    };
    expect(noteOf(early)).toBe(0);
    const refs = Array.from({ length: 40_000 }, () =>
      arena.alloc(random() < 0.0005 ? 3_000_000 : 17 + Math.floor(2 ** (random() * 12))),
    );
    expect(arena.noteBytes).toBe(arena.usedBytes / 16);
    for (const [i, ref] of refs.entries()) setNote(ref, i & 0xffff);
    expect(refs.findIndex((ref, i) => noteOf(ref) !== (i & 0xffff))).toBe(-1);
    // Chunks that are given back and come again have notes too.
    for (const ref of refs) arena.free(ref);
    const again = Array.from({ length: 200 }, () => arena.alloc(3_000_000));
    for (const [i, ref] of again.entries()) setNote(ref, i);
    expect(again.findIndex((ref, i) => noteOf(ref) !== i)).toBe(-1);
    arena.keepNotes(false);
    expect(arena.noteBytes).toBe(0);
    expect(arena.notes.every((notes) => notes.length === 0)).toBe(true);
    arena.keepNotes(true);
    expect(noteOf(again[7]!)).toBe(0);
    arena.reset();
    const fresh = arena.alloc(5_000_000);
    setNote(fresh, 9);
    expect(noteOf(fresh)).toBe(9);
  });
});
