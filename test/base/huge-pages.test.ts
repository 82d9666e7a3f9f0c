import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { allocateHuge, HUGE_PAGE_BYTES, MemoryAhead } from "../../src/base/huge-pages.ts";
import { residentBytes } from "../support/proc.ts";

const MIB = 1024 * 1024;

test("Memory is zeroed, of the asked length and all of it usable", () => {
  for (const bytes of [HUGE_PAGE_BYTES, HUGE_PAGE_BYTES + 1, 5_000_000]) {
    const view = new Uint8Array(allocateHuge(bytes));
    expect(view.length).toBe(bytes);
    expect(view.every((byte) => byte === 0)).toBe(true);
    view.fill(7);
    expect(view[bytes - 1]).toBe(7);
    view.buffer.transfer(0);
  }
});

test("A buffer that is transferred gives its memory back at once, views of it are empty", () => {
  const before = residentBytes(process.pid);
  const view = new Uint8Array(allocateHuge(64 * MIB)).fill(1);
  expect(residentBytes(process.pid) - before).toBeGreaterThan(60 * MIB);
  view.buffer.transfer(0);
  expect(view.length).toBe(0);
  expect(residentBytes(process.pid) - before).toBeLessThan(10 * MIB);
});

test("Buffers that nobody knows any more are collected", () => {
  const before = residentBytes(process.pid);
  for (let i = 0; i < 200; i++) {
    new Uint8Array(allocateHuge(8 * MIB)).fill(1);
    if (i % 10 === 9) Bun.gc(true);
  }
  expect(residentBytes(process.pid) - before).toBeLessThan(800 * MIB);
});

test("The kernel gives huge pages where it has them", () => {
  const setting = readFileSync("/sys/kernel/mm/transparent_hugepage/enabled", "utf8");
  const view = new Uint8Array(allocateHuge(16 * MIB)).fill(1);
  const maps = readFileSync("/proc/self/smaps_rollup", "utf8");
  const kib = Number(/^AnonHugePages: *(\d+)/m.exec(maps)?.[1]);
  if (setting.includes("[never]")) expect(kib).toBe(0);
  else expect(kib).toBeGreaterThan(0);
  view.buffer.transfer(0);
});

test("What cannot be mapped is a RangeError", () => {
  expect(() => allocateHuge(2 ** 50)).toThrow(RangeError);
});

/** One that is asked for much, and has its next piece under way. */
function aheadOf(bytes: number): MemoryAhead {
  const ahead = new MemoryAhead(bytes);
  ahead.use(bytes / 8);
  ahead.look();
  return ahead;
}

async function isReady(ahead: MemoryAhead): Promise<void> {
  while (ahead.readyBytes === 0) await new Promise((resolve) => setImmediate(resolve));
}

test("Memory made ahead is touched by another thread, zeroed, and each piece given once", async () => {
  const before = residentBytes(process.pid);
  const ahead = aheadOf(64 * MIB);
  await isReady(ahead);
  const setting = readFileSync("/sys/kernel/mm/transparent_hugepage/enabled", "utf8");
  const grown = residentBytes(process.pid) - before;
  if (!setting.includes("[never]")) expect(grown).toBeGreaterThan(60 * MIB);
  expect(grown).toBeLessThan(100 * MIB);
  const first = new Uint8Array(ahead.take());
  const second = new Uint8Array(ahead.take());
  first.fill(1);
  expect(second.every((byte) => byte === 0)).toBe(true);
  // The next one is under way since the first was taken.
  await isReady(ahead);
  ahead.look();
  first.buffer.transfer(0);
  second.buffer.transfer(0);
});

test("A piece is ready only while an eighth of one is used between two looks", async () => {
  const ahead = new MemoryAhead(8 * MIB);
  ahead.use(MIB - 1);
  ahead.look();
  ahead.use(MIB);
  expect(ahead.readyBytes).toBe(0);
  ahead.look();
  await isReady(ahead);
  expect(ahead.readyBytes).toBe(8 * MIB);
  ahead.look();
  expect(ahead.readyBytes).toBe(0);
});

test("Memory that is not wanted any more is given back, also while it is touched", async () => {
  const before = residentBytes(process.pid);
  const ahead = aheadOf(64 * MIB);
  ahead.look();
  ahead.use(64 * MIB);
  ahead.look();
  await isReady(ahead);
  ahead.look();
  // The first piece may still be touched by its thread.
  while (residentBytes(process.pid) - before > 30 * MIB) {
    await new Promise((resolve) => setImmediate(resolve));
  }
});

test("Memory that cannot be made ahead is missed by who takes it only", () => {
  const ahead = aheadOf(2 ** 50);
  expect(() => ahead.take()).toThrow(RangeError);
});
