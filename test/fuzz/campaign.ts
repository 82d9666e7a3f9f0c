/**
 * Many inputs through one target, several at a time, and what must hold over all of them: each
 * passes its own judgement, a client that has nothing to do with them is served, memory does not
 * grow.
 *
 *   batch of inputs ─ lanes side by side ─> candidates ─ alone, everything emptied ─> problems
 *
 * Lanes have keys of their own, but a mutated key may be another lane's, and a busy machine may
 * make an input late; so what looks wrong is tried again alone, and only then counts.
 */

import { createPrng, type Prng } from "../support/prng.ts";
import { residentBytes } from "../support/proc.ts";

/** Inputs between two looks at candidates and memory. */
const BATCH = 2000;
export const LANES = 64;
/**
 * Inputs before memory counts: a young process still compiles what it meets and fills its caches,
 * some 6 of 60 MiB, and then no more.
 */
const RUN_IN = 16_000;
/** Inputs per question of the client that watches. */
const WATCH_EVERY = 100;
/** Between two looks at memory that is being given back. */
const SETTLE_MS = 300;
/** How long that client may wait; it is not tried again alone, so this allows for a busy machine. */
const WATCH_MS_MAX = 5000;

export interface CampaignTarget {
  /** The measured process. */
  readonly pid: number;
  /**
   * Tries input `index`, drawn from `prng`.
   * @returns what was wrong, or undefined
   */
  attempt(index: number, lane: number, prng: Prng): Promise<Attempt>;
  /** Empties every server. */
  reset(): Promise<void>;
  /** Collects the garbage of the measured process. */
  collect(): Promise<void>;
  /** One request of a client that is always there. Throws when it is not answered right. */
  watch(): Promise<void>;
}

export interface Attempt {
  readonly kind: string;
  readonly problem?: string;
  readonly tookMs: number;
}

export interface CampaignReport {
  readonly inputs: number;
  readonly kinds: ReadonlyMap<string, number>;
  readonly slowestMs: number;
  readonly slowestWatchMs: number;
  /** Resident memory when a tenth of the inputs was through, after the run-in, and at the end. */
  readonly residentAtTenth: number;
  readonly residentAtEnd: number;
  readonly retried: number;
}

export interface CampaignOptions {
  /** After the run-in. */
  readonly inputs: number;
  readonly seed: number;
  progress?(done: number): void;
}

/** Throws with the seed and the input's number at the first input that fails alone. */
export async function runCampaign(
  target: CampaignTarget,
  { inputs, seed, progress }: CampaignOptions,
): Promise<CampaignReport> {
  const kinds = new Map<string, number>();
  const tally = { slowestMs: 0, slowestWatchMs: 0, retried: 0 };
  const tenth = RUN_IN + Math.ceil(inputs / 10);
  const total = RUN_IN + inputs;
  let residentAtTenth = 0;
  for (let done = 0; done < total; ) {
    const end = Math.min(done < tenth ? tenth : total, done + BATCH);
    const candidates = await runBatch(target, done, end, seed, kinds, tally);
    for (const index of candidates) {
      tally.retried++;
      await target.reset();
      const { kind, problem } = await target.attempt(index, index % LANES, prngOf(seed, index));
      if (problem === undefined) continue;
      throw new Error(`SEED=${seed}, input ${index} (${kind}): ${problem}`);
    }
    await target.reset();
    done = end;
    if (done === tenth) residentAtTenth = await residentAfterCollection(target);
    progress?.(Math.max(0, done - RUN_IN));
  }
  const residentAtEnd = await residentAfterCollection(target);
  return { inputs, kinds, ...tally, residentAtTenth, residentAtEnd };
}

/**
 * Without a collection, what is compared is how long ago the collector happened to run. The
 * allocator gives pages back a little later, so it is asked until there is no less.
 */
async function residentAfterCollection(target: CampaignTarget): Promise<number> {
  let resident = Number.POSITIVE_INFINITY;
  for (;;) {
    await target.collect();
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const now = residentBytes(target.pid);
    if (now > resident * 0.99) return Math.min(now, resident);
    resident = now;
  }
}

/** The random numbers of one input, so that it can be had again without those before it. */
function prngOf(seed: number, index: number): Prng {
  return createPrng((seed + Math.imul(index, 0x9e3779b1)) >>> 0);
}

async function runBatch(
  target: CampaignTarget,
  from: number,
  to: number,
  seed: number,
  kinds: Map<string, number>,
  tally: { slowestMs: number; slowestWatchMs: number },
): Promise<readonly number[]> {
  const candidates: number[] = [];
  async function runLane(lane: number): Promise<void> {
    for (let index = from + lane; index < to; index += LANES) {
      const { kind, problem, tookMs } = await target.attempt(
        index,
        index % LANES,
        prngOf(seed, index),
      );
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      tally.slowestMs = Math.max(tally.slowestMs, tookMs);
      if (problem !== undefined) candidates.push(index);
      if (index % WATCH_EVERY === 0) {
        tally.slowestWatchMs = Math.max(tally.slowestWatchMs, await watch(target));
      }
    }
  }
  await Promise.all(Array.from({ length: LANES }, (_, lane) => runLane(lane)));
  return candidates;
}

async function watch(target: CampaignTarget): Promise<number> {
  const beganMs = performance.now();
  await target.watch();
  const tookMs = performance.now() - beganMs;
  if (tookMs > WATCH_MS_MAX) throw new Error(`another client waited ${tookMs.toFixed(0)} ms`);
  return tookMs;
}
