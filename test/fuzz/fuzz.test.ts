import { expect, test } from "bun:test";
import { createPrng } from "../support/prng.ts";
import type { CampaignReport } from "./campaign.ts";
import {
  type FuzzOptions,
  fuzzProxyReplies,
  fuzzProxyRequests,
  fuzzServer,
  MEMORY_GROWTH_MAX,
} from "./fuzz.ts";

/** 100,000 in all. */
const REQUEST_INPUTS = 40_000;
const REPLY_INPUTS = 20_000;
const BYTEWISE_ONE_IN = 4;
/** Of one campaign; it takes some 15 s where nothing else runs. */
const CAMPAIGN_MS_MAX = 300_000;

function options(inputs: number): FuzzOptions {
  const { seed } = createPrng();
  process.stdout.write(`SEED=${seed} for ${inputs} inputs\n`);
  return { inputs, seed, bytewiseOneIn: BYTEWISE_ONE_IN };
}

function expectSteadyMemory({ residentAtTenth, residentAtEnd }: CampaignReport): void {
  expect(residentAtEnd / residentAtTenth).toBeLessThan(MEMORY_GROWTH_MAX);
}

test(
  "A server answers, or names the protocol error, whatever is sent to it",
  async () => {
    expectSteadyMemory(await fuzzServer(options(REQUEST_INPUTS)));
  },
  CAMPAIGN_MS_MAX,
);

test(
  "A proxy answers, or closes, whatever a client sends to it",
  async () => {
    expectSteadyMemory(await fuzzProxyRequests(options(REQUEST_INPUTS)));
  },
  CAMPAIGN_MS_MAX,
);

test(
  "A proxy passes on whole replies only, whatever a server sends to it",
  async () => {
    expectSteadyMemory(await fuzzProxyReplies(options(REPLY_INPUTS)));
  },
  CAMPAIGN_MS_MAX,
);
