import { expect, test } from "bun:test";
import { Turn } from "../../src/server/turn.ts";
import { OwnServer } from "../support/compare.ts";

function startTurns(restUs: number) {
  const { state, clock } = new OwnServer();
  state.journal = undefined;
  const rests: number[] = [];
  const turn = new Turn(state, (us) => rests.push(us));
  turn.restUs = restUs;
  return { turn, clock, rests };
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
