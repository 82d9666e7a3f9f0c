/**
 * Random numbers that can be had again: sfc32 seeded with one number. A test prints its seed and
 * takes it from SEED when that is set: `SEED=123 bun test ...` repeats a failure.
 */

export interface Prng {
  readonly seed: number;
  /** An integer in [0, below). */
  int(below: number): number;
  /** One of `items`. */
  pick<T>(items: readonly T[]): T;
  /** True once in `times`. */
  oneIn(times: number): boolean;
  bytes(length: number): Buffer;
}

/** @param seed 32 bits; the default differs from run to run unless SEED is set */
export function createPrng(seed: number = chooseSeed()): Prng {
  let a = seed | 0;
  let b = 0x9e3779b9 | 0;
  let c = 0x243f6a88 | 0;
  let counter = 1;
  function next(): number {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  }
  function int(below: number): number {
    return Math.floor((next() / 2 ** 32) * below);
  }
  for (let i = 0; i < 16; i++) next();
  return {
    seed,
    int,
    pick: (items) => items[int(items.length)]!,
    oneIn: (times) => int(times) === 0,
    bytes: (length) => Buffer.from(Array.from({ length }, () => int(256))),
  };
}

function chooseSeed(): number {
  const given = process.env.SEED;
  return given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given);
}
