import { expect, test } from "bun:test";
import { Turn } from "../../src/server/turn.ts";
import { OwnServer } from "../support/compare.ts";

function startTurns(restUs: number) {
  const { state, clock } = new OwnServer();
  state.journal = undefined;
  const rests: number[] = [];
  const turn = new Turn(state, (us) => rests.push(us));
  turn.restUs = restUs;
  return { turn, state, clock, rests };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function restsAfter(turns: readonly number[], restUs: number): Promise<number[]> {
  const { turn, rests } = startTurns(restUs);
  for (const chunks of turns) {
    for (let i = 0; i < chunks; i++) turn.beginChunk();
    await nextTurn();
  }
  return rests;
}

test("The thread rests after a turn that served some clients, and not after one alone or many", async () => {
  expect(await restsAfter([1, 2, 1, 15, 16, 1], 30)).toEqual([30, 30]);
  expect(await restsAfter([2, 15], 0)).toEqual([]);
});

test("The thread does not rest while a session waits for the next turn, nor after a long turn", async () => {
  const { turn, clock, rests } = startTurns(30);
  let went = 0;
  turn.beginChunk();
  turn.beginChunk();
  turn.defer({ flush: () => {}, goOn: () => went++ });
  while (went === 0) await nextTurn();
  expect(rests).toEqual([]);
  turn.beginChunk();
  turn.beginChunk();
  for (let i = 0; i < 64; i++) turn.isOverAfter(1, 100);
  clock.advance(1);
  await nextTurn();
  expect(rests).toEqual([]);
});

test("A turn that took long before its second part leaves that to the next one, and only once", async () => {
  const { turn, clock } = startTurns(0);
  let went = 0;
  const session = { flush: () => {}, goOn: () => went++ };
  turn.defer(session);
  await nextTurn();
  clock.advance(4);
  await nextTurn();
  expect(went).toBe(0);
  // Its end, and the second part of the next one.
  for (let i = 0; i < 2; i++) {
    clock.advance(4);
    await nextTurn();
  }
  expect(went).toBe(1);
  turn.defer(session);
  await nextTurn();
  clock.advance(1);
  await nextTurn();
  expect(went).toBe(2);
});

test("The clock is looked at the more often the longer requests take", async () => {
  const { turn, clock } = startTurns(0);
  /** Requests of one part. */
  const execute = async (ms: number): Promise<number> => {
    let count = 0;
    do {
      clock.advance(ms);
      count++;
    } while (!turn.isOverAfter(1, 100) && count < 10_000);
    await nextTurn();
    return count;
  };
  // A process that has just started: a part is over soon after its time.
  expect(await execute(0.1)).toBeLessThan(20);
  // As fast as they come later: some 700 us and the first ones, before which nobody looked.
  await execute(0.001);
  expect(await execute(0.001)).toBeGreaterThan(600);
  await execute(0.1);
  expect(await execute(0.1)).toBeLessThan(40);
});

test("A part is over after a command that took long, and after a large reply", async () => {
  const { turn, state, clock } = startTurns(0);
  for (const pass of [1, 2]) {
    // Many quick ones before: the clock is seldom looked at.
    for (let i = 0; i < 600; i++) turn.isOverAfter(1, 100);
    clock.advance(6);
    state.timedMicros += 6000;
    expect(turn.isOverAfter(2, 30), `pass ${pass}`).toBe(true);
    await nextTurn();
    expect(turn.isOver).toBe(false);
  }
  const other = startTurns(0).turn;
  other.received(2 * 1024 * 1024);
  expect(other.isOverAfter(2, 2 * 1024 * 1024)).toBe(true);
});
