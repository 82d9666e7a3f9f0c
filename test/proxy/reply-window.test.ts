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

test("A session is light after so many small replies, and heavy after a large one", () => {
  const window = new ReplyWindow(1000);
  for (let i = 1; i <= LIGHT_REPLIES; i++) {
    expect(window.isLight).toBe(false);
    window.add(LIGHT_BYTES, 1);
  }
  expect(window.isLight).toBe(true);
  window.add(LIGHT_BYTES + 1, 1);
  expect(window.isLight).toBe(false);
  for (let i = 1; i < LIGHT_REPLIES; i++) window.add(1, 1);
  window.add(LIGHT_BYTES + 1, 1);
  window.add(1, 1);
  expect(window.isLight).toBe(false);
});

test("A reply that comes in pieces is as large as all of them", () => {
  const window = new ReplyWindow(1000);
  for (let i = 0; i < 4 * LIGHT_REPLIES; i++) {
    window.addPiece(LIGHT_BYTES, 1);
    window.add(1, 1);
  }
  expect(window.isLight).toBe(false);
  for (let i = 0; i < LIGHT_REPLIES; i++) {
    window.addPiece(1, 1);
    window.add(1, 1);
  }
  expect(window.isLight).toBe(true);
  // It is told before it ends.
  window.addPiece(LIGHT_BYTES, 1);
  window.addPiece(1, 1);
  expect(window.isLight).toBe(false);
});

test("A split command has as many replies as parts, and their size", () => {
  const window = new ReplyWindow(1000);
  window.add(LIGHT_BYTES * LIGHT_REPLIES, LIGHT_REPLIES);
  expect(window.isLight).toBe(true);
  window.add((LIGHT_BYTES + 1) * 100, 100);
  expect(window.isLight).toBe(false);
});
