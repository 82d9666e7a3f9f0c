/**
 * The campaign at full size, for `npm run soak`: moves with nothing killed, whose turns are
 * measured, then moves in which source, target and dashboard are killed.
 *
 * On a shared machine the kernel counts what the host takes away as the thread's CPU time: pieces
 * of some 4 ms, anywhere. So the verdict on turns is that of the least disturbed move, as in
 * `bench/turns.ts`; that nothing is lost or refused is demanded of every one.
 */

import { createPrng } from "../support/prng.ts";
import { BigKeyCampaign, drawKills, type Kill, type Round } from "./campaign.ts";
import { FULL_SHAPE } from "./values.ts";

const MEASURED_MOVES = 6;
const KILLS_PER_VICTIM = 10;
const TURN_MS_MAX = 10;

/** What came of a part of the soak, as its summary shows it. */
export interface Outcome {
  readonly part: string;
  readonly isGood: boolean;
  readonly text: string;
}

/** @param say tells of each round */
export async function soakBigKeys(say: (text: string) => void): Promise<readonly Outcome[]> {
  const random = createPrng();
  const seed = `SEED=${random.seed}`;
  say(`large values: ${seed}`);
  const kills = drawKills(random, KILLS_PER_VICTIM);
  await using campaign = await BigKeyCampaign.start(FULL_SHAPE, random, false);
  return [await soakMoves(campaign, seed, say), await soakKills(campaign, kills, seed, say)];
}

async function soakMoves(
  campaign: BigKeyCampaign,
  seed: string,
  say: (text: string) => void,
): Promise<Outcome> {
  const part = "large values move";
  const moves: Round[] = [];
  try {
    for (let i = 1; i <= MEASURED_MOVES; i++) {
      const move = await campaign.move();
      say(`move ${i} of ${MEASURED_MOVES}: ${shown(move)}`);
      moves.push(move);
    }
    await campaign.setRewrites(true);
  } catch (error) {
    return { part, isGood: false, text: `${seed}; ${error}` };
  }
  const longestMs = Math.min(...moves.map(longestTurnMs));
  const lost = moves.reduce((sum, move) => sum + move.lost, 0);
  const text = `${moves.length} moves, ${lost} errors, longest turn of the least disturbed one ${longestMs} ms, of at most ${TURN_MS_MAX}; ${seed}`;
  return { part, isGood: longestMs <= TURN_MS_MAX && lost === 0, text };
}

async function soakKills(
  campaign: BigKeyCampaign,
  kills: readonly Kill[],
  seed: string,
  say: (text: string) => void,
): Promise<Outcome> {
  const part = "large values survive kills";
  let done = 0;
  try {
    for (const kill of kills) {
      const round = await campaign.moveAndKill(kill);
      say(`kill ${++done} of ${kills.length}: ${shown(round)}`);
      if (kill.victim === "dashboard" && round.lost > 0) {
        throw new Error(`${round.lost} requests failed while only the dashboard was killed`);
      }
    }
  } catch (error) {
    return { part, isGood: false, text: `after ${done} kills: ${error}; ${seed}` };
  }
  return { part, isGood: true, text: `${done} kills, nothing lost; ${seed}` };
}

function longestTurnMs({ turns }: Round): number {
  return Math.max(turns!.source.longestMs, turns!.target.longestMs);
}

function shown({ killed, elementsSent, moveMs, acked, lost, turns }: Round): string {
  const when = killed && `${killed.victim} killed after ${elementsSent} elements of ${killed.key}`;
  const sides = turns && [turns.source, turns.target];
  const measured = sides?.map((side) => `${side.longestMs} ms (${side.overTenMs} over 10)`);
  const longest = measured && `longest turns of source and target ${measured.join(" and ")}`;
  const seconds = (moveMs / 1000).toFixed(1);
  return `${when ?? longest}; ${seconds} s, ${acked} replies, ${lost} errors`;
}
