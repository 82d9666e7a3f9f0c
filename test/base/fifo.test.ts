import { describe, expect, test } from "bun:test";
import { Fifo } from "../../src/base/fifo.ts";
import { createPrng } from "../support/prng.ts";

describe("Fifo", () => {
  test("is empty at first", () => {
    const fifo = new Fifo<number>();
    expect(fifo.length).toBe(0);
    expect(fifo.shift()).toBeUndefined();
    expect(fifo.peek()).toBeUndefined();
    expect(fifo.at(0)).toBeUndefined();
  });

  test("behaves as an array does, through any mix of operations", () => {
    const prng = createPrng();
    const fifo = new Fifo<number>();
    let model: number[] = [];
    for (let step = 0; step < 50_000; step++) {
      // Swings between growing and shrinking, so that the ring wraps at many sizes.
      const growing = Math.floor(step / 5000) % 2 === 0;
      const choice = prng.int(100);
      if (choice < (growing ? 60 : 40)) {
        fifo.push(step);
        model.push(step);
      } else if (choice < 99) {
        expect(fifo.shift()).toBe(model.shift());
      } else if (prng.oneIn(200)) {
        fifo.clear();
        model = [];
      }
      expect({ seed: prng.seed, length: fifo.length }).toEqual({
        seed: prng.seed,
        length: model.length,
      });
      expect(fifo.peek()).toBe(model[0]);
      const index = prng.int(model.length + 2) - 1;
      expect(fifo.at(index)).toBe(model[index]);
    }
    expect([...fifo]).toEqual(model);
  });

  test("holds undefined and null as items", () => {
    const fifo = new Fifo<undefined | null>();
    fifo.push(undefined);
    fifo.push(null);
    expect(fifo.length).toBe(2);
    expect(fifo.shift()).toBeUndefined();
    expect(fifo.shift()).toBeNull();
    expect(fifo.length).toBe(0);
  });

  test("does not keep alive what was taken out", async () => {
    const fifo = new Fifo<object>();
    let collected = 0;
    const registry = new FinalizationRegistry(() => collected++);
    (() => {
      for (let i = 0; i < 100; i++) {
        const item = { i };
        registry.register(item, i);
        fifo.push(item);
      }
      while (fifo.shift() !== undefined);
    })();
    for (let i = 0; i < 100 && collected < 50; i++) {
      Bun.gc(true);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(collected).toBeGreaterThan(50);
    expect(fifo.length).toBe(0);
  });
});
