import { describe, expect, test } from "bun:test";
import { Arena } from "../../../src/server/arena/arena.ts";
import {
  compactList,
  copyList,
  createList,
  freeList,
  insertAtShown,
  LIST_TYPE,
  ListWalk,
  listLength,
  pushFirst,
  pushLast,
  removeFirst,
  removeLast,
  removeShown,
  replaceShown,
} from "../../../src/server/types/list.ts";
import { createPrng } from "../../support/prng.ts";

function bytesOf(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

function contents(arena: Arena, head: number, from = 0, backward = false): string[] {
  const walk = new ListWalk();
  const found: string[] = [];
  walk.begin(arena, head, from, backward);
  while (walk.next()) {
    found.push(walk.element.bytes.toString("latin1", walk.element.start, walk.element.end));
  }
  return found;
}

function push(arena: Arena, head: number, ...items: string[]): void {
  for (const item of items) pushLast(arena, head, bytesOf(item), 0, item.length);
}

describe("A list", () => {
  test("keeps elements of every length class in order, from both sides", () => {
    const arena = new Arena();
    const head = createList(arena);
    const items = [0, 1, 254, 255, 256, 8000, 9000, 70_000, 3_000_000].map((n) => "x".repeat(n));
    for (const item of items) {
      pushLast(arena, head, bytesOf(item), 0, item.length);
      pushFirst(arena, head, bytesOf(item), 0, item.length);
    }
    const expected = [...items.toReversed(), ...items];
    expect(contents(arena, head)).toEqual(expected);
    expect(contents(arena, head, expected.length - 1, true)).toEqual(expected.toReversed());
  });

  test("shows nothing from an index that does not exist", () => {
    const arena = new Arena();
    const head = createList(arena);
    push(arena, head, "a", "b");
    expect(contents(arena, head, 2)).toEqual([]);
    expect(contents(arena, head, -1)).toEqual([]);
  });

  test("used as a queue stays in few nodes", () => {
    const arena = new Arena();
    const head = createList(arena);
    push(arena, head, ...Array.from({ length: 50 }, (_, i) => `start ${i}`));
    for (let i = 0; i < 10_000; i++) {
      push(arena, head, `element ${i}`);
      removeFirst(arena, head, 1);
    }
    expect(listLength(arena, head)).toBe(50);
    expect(contents(arena, head)[0]).toBe("element 9950");
    expect(LIST_TYPE.bytes(arena, head, 0)).toBeLessThan(20_000);
  });

  test("gives large blocks back when few elements are left", () => {
    const arena = new Arena();
    const head = createList(arena);
    push(arena, head, ...Array.from({ length: 100_000 }, (_, i) => `element ${i}`));
    removeFirst(arena, head, 99_998);
    expect(contents(arena, head)).toEqual(["element 99998", "element 99999"]);
    expect(LIST_TYPE.bytes(arena, head, 0)).toBeLessThan(300);
  });

  test("joins nodes that removals from within left nearly empty", () => {
    const arena = new Arena();
    const head = createList(arena);
    push(arena, head, ...Array.from({ length: 50_000 }, (_, i) => `element ${i}`));
    const walk = new ListWalk();
    walk.begin(arena, head, 0, false);
    for (let i = 0; walk.next(); i++) if (i % 500 !== 0) removeShown(arena, head, walk);
    compactList(arena, head);
    expect(listLength(arena, head)).toBe(100);
    expect(contents(arena, head)[99]).toBe("element 49500");
    expect(LIST_TYPE.bytes(arena, head, 0)).toBeLessThan(6000);
  });

  test("takes any number of inserts at one place of full nodes", () => {
    const arena = new Arena();
    const head = createList(arena);
    push(arena, head, ...Array.from({ length: 5000 }, (_, i) => `element ${i}`));
    const walk = new ListWalk();
    for (let i = 0; i < 5000; i++) {
      walk.begin(arena, head, 2500, false);
      walk.next();
      insertAtShown(arena, head, walk, i % 2 === 0, bytesOf("inserted here"), 0, 13);
    }
    expect(listLength(arena, head)).toBe(10_000);
    expect(LIST_TYPE.bytes(arena, head, 0)).toBeLessThan(400_000);
  });

  test("is freed a part at a time, down to the last byte", () => {
    const arena = new Arena();
    const before = arena.usedBytes;
    const head = createList(arena);
    push(arena, head, ...Array.from({ length: 100_000 }, (_, i) => `element ${i}`));
    let steps = 1;
    while (freeList(arena, head, 10) < 0) steps++;
    expect(steps).toBeGreaterThan(10);
    expect(arena.usedBytes).toBe(before);
  });

  test("is copied whole", () => {
    const arena = new Arena();
    const head = createList(arena);
    push(arena, head, ...Array.from({ length: 3000 }, (_, i) => `element ${i}`));
    const copy = copyList(arena, head);
    removeFirst(arena, head, 3000);
    expect(listLength(arena, copy)).toBe(3000);
    expect(contents(arena, copy)[2999]).toBe("element 2999");
  });
});

test("A list equals an array after any sequence of edits", () => {
  const random = createPrng();
  const seed = random.seed;
  const arena = new Arena();
  const before = arena.usedBytes;
  const head = createList(arena);
  const model: string[] = [];
  const walk = new ListWalk();
  const makeItem = (): string =>
    String(random.int(1000)).repeat(random.int(random.oneIn(20) ? 3000 : 30));
  for (let step = 0; step < 20_000; step++) {
    const item = makeItem();
    const buf = bytesOf(item);
    const at = random.int(model.length + 1);
    const isBackward = random.oneIn(2);
    const growing = step % 4000 < 2500;
    walk.begin(arena, head, at, isBackward);
    switch (random.int(7)) {
      case 0:
        pushLast(arena, head, buf, 0, buf.length);
        model.push(item);
        break;
      case 1:
        pushFirst(arena, head, buf, 0, buf.length);
        model.unshift(item);
        break;
      case 2: {
        const count = Math.min(model.length, random.int(growing ? 2 : 8));
        if (isBackward) {
          removeLast(arena, head, count);
          model.splice(model.length - count, count);
        } else {
          removeFirst(arena, head, count);
          model.splice(0, count);
        }
        break;
      }
      case 3:
        if (!walk.next()) break;
        removeShown(arena, head, walk);
        model.splice(at, 1);
        // The walk goes on at the neighbour.
        expect(walk.next()).toBe(isBackward ? at > 0 : at < model.length);
        if (!growing) compactList(arena, head);
        break;
      case 4:
        if (!walk.next()) break;
        insertAtShown(arena, head, walk, isBackward, buf, 0, buf.length);
        model.splice(isBackward ? at : at + 1, 0, item);
        break;
      case 5:
        if (!walk.next()) break;
        replaceShown(arena, head, walk, buf, 0, buf.length);
        model[at] = item;
        break;
      default: {
        const shown: string[] = [];
        for (let i = 0; i < 5 && walk.next(); i++) {
          shown.push(walk.element.bytes.toString("latin1", walk.element.start, walk.element.end));
        }
        const expected = isBackward
          ? model.slice(Math.max(0, at - 4), at + 1).toReversed()
          : model.slice(at, at + 5);
        expect(shown, `seed ${seed}`).toEqual(at < model.length ? expected : []);
      }
    }
    expect(listLength(arena, head), `seed ${seed}`).toBe(model.length);
    if (step % 500 === 0) expect(contents(arena, head), `seed ${seed}`).toEqual(model);
  }
  expect(contents(arena, head), `seed ${seed}`).toEqual(model);
  expect(freeList(arena, head, Number.MAX_SAFE_INTEGER)).toBeGreaterThan(0);
  expect(arena.usedBytes).toBe(before);
});
