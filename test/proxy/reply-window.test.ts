/** How many replies a session may be owed, and when it counts as light. */

import { expect, test } from "bun:test";
import {
  LIGHT_BYTES,
  LIGHT_REPLIES,
  ReplyWindow,
  WINDOW_START,
} from "../../src/proxy/reply-window.ts";

const LARGE = 256 * 1024;

/** Fills the window, then takes replies until it reopens. */
function halfOf(window: ReplyWindow, bytes: number): number {
  window.fill();
  for (let owed = window.size - 1; ; owed--) {
    window.add(bytes, 1);
    if (window.reopens(owed)) return window.size;
  }
}

test("A session is owed more while replies are small, and less while they are large", () => {
  const window = new ReplyWindow(300);
  expect(window.size).toBe(WINDOW_START);
  const bytes = [1, 1, 1, LARGE, LARGE, LARGE, LARGE, LARGE, LARGE, LARGE, 1];
  const sizes = bytes.map((each) => halfOf(window, each));
  // At 16 MiB, half of which is not much, it goes back and forth.
  expect(sizes).toEqual([128, 256, 300, 150, 75, 37, 18, 9, 18, 9, 18]);
});

/** Small replies, one by one. */
function take(window: ReplyWindow, count: number): void {
  for (let i = 0; i < count; i++) window.add(LIGHT_BYTES, 1);
}

test("A session is trusted after so many small replies, and not after a large one", () => {
  const window = new ReplyWindow(1000);
  take(window, LIGHT_REPLIES - 1);
  expect(window.trusts(1)).toBe(false);
  take(window, 1);
  expect(window.trusts(1)).toBe(true);
  window.add(LIGHT_BYTES + 1, 1);
  expect(window.trusts(1)).toBe(false);
  take(window, LIGHT_REPLIES - 1);
  window.add(LIGHT_BYTES + 1, 1);
  take(window, 1);
  expect(window.trusts(1)).toBe(false);
});

test("It is trusted with more only while it asks for more, up to what it may be owed", () => {
  const window = new ReplyWindow(10);
  take(window, 100 * LIGHT_REPLIES);
  expect(window.trusted).toBe(1);
  for (const [before, after] of [
    [1, 2],
    [2, 4],
    [4, 8],
    [8, 10],
    [10, 10],
  ] as const) {
    expect(window.trusts(before)).toBe(true);
    expect(window.trusts(before + 1)).toBe(false);
    take(window, before * LIGHT_REPLIES - 1);
    expect(window.trusted).toBe(before);
    take(window, 1);
    expect(window.trusted).toBe(after);
  }
});

test("A reply that comes in pieces is as large as all of them", () => {
  const window = new ReplyWindow(1000);
  for (let i = 0; i < 4 * LIGHT_REPLIES; i++) {
    window.addPiece(LIGHT_BYTES, 1);
    window.add(1, 1);
  }
  expect(window.trusts(1)).toBe(false);
  for (let i = 0; i < LIGHT_REPLIES; i++) {
    window.addPiece(1, 1);
    window.add(1, 1);
  }
  expect(window.trusts(1)).toBe(true);
  // It is told before it ends.
  window.addPiece(LIGHT_BYTES, 1);
  window.addPiece(1, 1);
  expect(window.trusts(1)).toBe(false);
});

test("A split command has as many replies as parts, and their size", () => {
  const window = new ReplyWindow(1000);
  window.add(LIGHT_BYTES * LIGHT_REPLIES, LIGHT_REPLIES);
  expect(window.trusts(1)).toBe(true);
  window.add((LIGHT_BYTES + 1) * 100, 100);
  expect(window.trusts(1)).toBe(false);
});
