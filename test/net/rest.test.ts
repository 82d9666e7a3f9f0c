import { expect, test } from "bun:test";
import { restFor } from "../../src/net/rest.ts";

test("A thread rests only where many clients ask for little, and a tenth of the time they wait", () => {
  expect(restFor({ periodMs: 100, replies: 6000, replyMs: 3000 })).toBe(50);
  expect(restFor({ periodMs: 100, replies: 6000, replyMs: 1200 })).toBe(20);
  expect(restFor({ periodMs: 100, replies: 6000, replyMs: 300 })).toBe(0);
  expect(restFor({ periodMs: 100, replies: 400, replyMs: 400 })).toBe(0);
  expect(restFor({ periodMs: 0, replies: 0, replyMs: 0 })).toBe(0);
});
