import { describe, expect, test } from "bun:test";
import { AssertionError } from "../../src/base/assert.ts";
import { giveBuffer, takeBuffer } from "../../src/base/buffer-pool.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

describe("buffer pool", () => {
  test("capacities are powers of two from 4 KiB that hold what was asked for", () => {
    const asked = [0, 1, 4 * KIB, 4 * KIB + 1, 8 * KIB, 100_000, MIB, MIB + 1, 3 * MIB, 4 * MIB];
    const capacities = asked.map((bytes) => takeBuffer(bytes).length);
    expect(capacities).toEqual([
      4 * KIB,
      4 * KIB,
      4 * KIB,
      8 * KIB,
      8 * KIB,
      128 * KIB,
      MIB,
      2 * MIB,
      4 * MIB,
      4 * MIB,
    ]);
  });

  test("a buffer given back is taken again", () => {
    const buffer = takeBuffer(50_000);
    giveBuffer(buffer);
    expect(takeBuffer(60_000)).toBe(buffer);
    expect(takeBuffer(60_000)).not.toBe(buffer);
  });

  test("buffers above 2 MiB are not kept", () => {
    const buffer = takeBuffer(4 * MIB);
    giveBuffer(buffer);
    expect(takeBuffer(4 * MIB)).not.toBe(buffer);
  });

  test("no more than 2 MiB of one size are kept", () => {
    const taken = Array.from({ length: 10 }, () => takeBuffer(MIB));
    for (const buffer of taken) giveBuffer(buffer);
    const again = Array.from({ length: 10 }, () => takeBuffer(MIB));
    expect(again.filter((buffer) => taken.includes(buffer))).toHaveLength(2);
  });

  test("what the pool never gave is a mistake of ours", () => {
    expect(() => giveBuffer(Buffer.alloc(10))).toThrow(AssertionError);
  });
});
