/**
 * `npm run soak`: what takes too long for every commit, on the executable of `npm run build`.
 *
 *   npm run soak                                        10,000,000 broken inputs, 400 rounds of
 *                                                       harm to disks and processes, moves and
 *                                                       kills of large values, then the bench
 *   bun run test/soak.ts fuzz --inputs 1000000          one part; other counts
 *   bun run test/soak.ts durability --rounds 100
 *   SEED=123 bun run test/soak.ts fuzz                  the same inputs again
 *
 * Inputs are dealt out to the three places where RESP from outside is read: four in ten as requests
 * to a server, four as requests to a proxy, two as replies to a proxy. Progress goes to stderr, the
 * summary to stdout. Exit code: 0 when all held, 1 when something failed, 2 usage.
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Outcome, soakBigKeys } from "./bigkeys/soak.ts";
import { HARMS, harmOf, runRound } from "./durability/campaign.ts";
import type { CampaignReport } from "./fuzz/campaign.ts";
import {
  type FuzzOptions,
  fuzzProxyReplies,
  fuzzProxyRequests,
  fuzzServer,
  MEMORY_GROWTH_MAX,
} from "./fuzz/fuzz.ts";
import { createPrng } from "./support/prng.ts";

const INPUTS_DEFAULT = 10_000_000;
const ROUNDS_DEFAULT = 400;
/** What takes longer has hung: this for inputs and rounds, and an hour for the rest. */
const HOURS_PER_MILLION = 0.5;
const HOURS_PER_ROUND = 1 / 60;
const HOUR_MS = 3_600_000;
const PROGRESS_EVERY_MS = 10_000;
const BYTEWISE_ONE_IN = 8;
const MIB = 1024 * 1024;

/** How much of it. */
interface Amount {
  readonly inputs: number;
  readonly rounds: number;
}

type Part = (amount: Amount) => Promise<readonly Outcome[]>;

const PARTS: Readonly<Record<string, Part>> = {
  fuzz: soakFuzz,
  durability: soakDurability,
  "big-keys": () => soakBigKeys(say),
  bench: soakBench,
};

async function soakFuzz({ inputs }: Amount): Promise<readonly Outcome[]> {
  const { seed } = createPrng();
  const outcomes: Outcome[] = [];
  const campaigns = [
    { part: "requests to a server", run: fuzzServer, share: 0.4 },
    { part: "requests to a proxy", run: fuzzProxyRequests, share: 0.4 },
    { part: "replies to a proxy", run: fuzzProxyReplies, share: 0.2 },
  ] as const;
  for (const { part, run, share } of campaigns) {
    outcomes.push(await soakCampaign(part, run, Math.round(inputs * share), seed));
  }
  return outcomes;
}

async function soakCampaign(
  part: string,
  run: (options: FuzzOptions) => Promise<CampaignReport>,
  inputs: number,
  seed: number,
): Promise<Outcome> {
  const beganMs = performance.now();
  let toldMs = beganMs;
  say(`${part}: ${inputs} inputs, SEED=${seed}`);
  const progress = (done: number): void => {
    const nowMs = performance.now();
    if (nowMs - toldMs < PROGRESS_EVERY_MS) return;
    toldMs = nowMs;
    const perSecond = (done * 1000) / (nowMs - beganMs);
    const leftMinutes = (inputs - done) / perSecond / 60;
    const percent = ((100 * done) / inputs).toFixed(1);
    say(`${part}: ${percent} %, ${perSecond.toFixed(0)}/s, ${leftMinutes.toFixed(0)} min left`);
  };
  try {
    const report = await run({ inputs, seed, progress, bytewiseOneIn: BYTEWISE_ONE_IN });
    const growth = report.residentAtEnd / report.residentAtTenth;
    const memory = `${(report.residentAtTenth / MIB).toFixed(1)} MiB after a tenth, ${(report.residentAtEnd / MIB).toFixed(1)} at the end`;
    const slowest = `slowest input ${report.slowestMs.toFixed(0)} ms, slowest other client ${report.slowestWatchMs.toFixed(0)} ms`;
    const text = `${inputs} inputs, SEED=${seed}; ${memory}; ${slowest}`;
    return { part, isGood: growth < MEMORY_GROWTH_MAX, text };
  } catch (error) {
    return { part, isGood: false, text: String(error) };
  }
}

/** Goes on after a round that fails: each says what another does not. */
async function soakDurability({ rounds }: Amount): Promise<readonly Outcome[]> {
  const { seed } = createPrng();
  const part = `durability of ${Object.keys(HARMS).join(", ")}`;
  const failures: string[] = [];
  say(`durability: ${rounds} rounds, SEED=${seed}`);
  for (let round = 0; round < rounds; round++) {
    try {
      say(`round ${round} of ${rounds}, ${harmOf(round)}: ${await runRound(round, seed)}`);
    } catch (error) {
      const { message, cause } = error as Error;
      failures.push(`${message}: ${String(cause)}`);
      say(`FAILED ${failures.at(-1)}`);
    }
  }
  const text = `${rounds} rounds, SEED=${seed}`;
  return [{ part, isGood: failures.length === 0, text: [text, ...failures].join("\n") }];
}

async function soakBench(): Promise<readonly Outcome[]> {
  const path = join(import.meta.dir, "bench/bench.ts");
  const child = Bun.spawn([process.execPath, "run", path], { stdout: "pipe", stderr: "inherit" });
  const text = await new Response(child.stdout).text();
  return [{ part: "bench", isGood: (await child.exited) === 0, text: `\n${text}` }];
}

function say(text: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
}

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    options: {
      inputs: { type: "string", default: String(INPUTS_DEFAULT) },
      rounds: { type: "string", default: String(ROUNDS_DEFAULT) },
    },
    allowPositionals: true,
  });
  const inputs = Number(values.inputs);
  const rounds = Number(values.rounds);
  const unknown = positionals.filter((word) => !Object.hasOwn(PARTS, word));
  const areGood = Number.isSafeInteger(inputs) && inputs >= 10 && Number.isSafeInteger(rounds);
  if (unknown.length > 0 || !areGood || rounds < 1) {
    const parts = Object.keys(PARTS).join(" ");
    process.stderr.write(`Usage: soak [--inputs N] [--rounds N] [part]..., parts are: ${parts}\n`);
    return 2;
  }
  const hoursMax = 1 + (inputs / 1e6) * HOURS_PER_MILLION + rounds * HOURS_PER_ROUND;
  const hung = setTimeout(() => {
    process.stderr.write(`soak: hung, given up after ${hoursMax.toFixed(1)} hours\n`);
    process.exit(1);
  }, hoursMax * HOUR_MS);
  const outcomes: Outcome[] = [];
  for (const [name, part] of Object.entries(PARTS)) {
    if (positionals.length > 0 && !positionals.includes(name)) continue;
    outcomes.push(...(await part({ inputs, rounds })));
  }
  clearTimeout(hung);
  for (const { part, isGood, text } of outcomes) {
    process.stdout.write(`${isGood ? "held  " : "FAILED"}  ${part}: ${text}\n`);
  }
  return outcomes.every(({ isGood }) => isGood) ? 0 : 1;
}

process.exit(await main(process.argv.slice(2)));
