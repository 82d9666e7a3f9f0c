/**
 * The durability campaign: rounds of harm to servers under random load, each with its policy, its
 * way of keeping data and what is written anew meanwhile drawn by chance. After each the server
 * starts again and has what it owes: see the files of the harms. A round that fails says its seed.
 */

import { createPrng, type Prng } from "../support/prng.ts";
import { flippedBitRound, tornTailRound } from "./damage.ts";
import { failingDiskRound, fullDiskRound } from "./failing.ts";
import { killRound } from "./kill.ts";
import { powerLossRound } from "./power-loss.ts";

/** @returns what was tried; throws when a server has not what it owes */
type Round = (prng: Prng) => Promise<string>;

export const HARMS = {
  "power loss": powerLossRound,
  "kill -9": killRound,
  "a torn tail": tornTailRound,
  "a flipped bit": flippedBitRound,
  "a failing disk": failingDiskRound,
  "a full disk": fullDiskRound,
} as const satisfies Readonly<Record<string, Round>>;

export type HarmName = keyof typeof HARMS;

/** The harm of a round: each comes up after all others. */
export function harmOf(round: number): HarmName {
  const names = Object.keys(HARMS) as HarmName[];
  return names[round % names.length]!;
}

/** @param seed of the campaign @returns what was tried */
export async function runRound(round: number, seed: number): Promise<string> {
  const name = harmOf(round);
  const prng = createPrng(seed + round);
  try {
    return await HARMS[name](prng);
  } catch (error) {
    throw new Error(`Round ${round}, ${name}, SEED=${seed}`, { cause: error });
  }
}
