/**
 * The three places where RESP from outside is read, each under its campaign of broken inputs, with
 * the built executable: requests to a server, requests to a proxy, replies to a proxy.
 *
 * ci runs them by fuzz.test.ts, the long form is `npm run soak`. A failure names its seed and
 * input: `SEED=123 bun test ./test/fuzz/fuzz.test.ts` draws the same inputs again.
 */

import { Programs } from "../support/programs.ts";
import { type CampaignOptions, type CampaignReport, runCampaign } from "./campaign.ts";
import { collectProxy, collectServer } from "./collect.ts";
import { createBackends, REPLY_SIDE_CONFIG, ReplySide } from "./reply-side.ts";
import { RequestSide } from "./request-side.ts";

/** Memory after the last input, at most, as a multiple of that after a tenth of them. */
export const MEMORY_GROWTH_MAX = 1.1;

export interface FuzzOptions extends CampaignOptions {
  /** One short input in this many goes byte by byte. */
  readonly bytewiseOneIn: number;
}

/** Requests to `codis server`. */
export async function fuzzServer(options: FuzzOptions): Promise<CampaignReport> {
  await using programs = new Programs();
  const reference = await programs.redis();
  const target = await programs.server();
  const collect = (): Promise<void> => collectServer(target);
  const { bytewiseOneIn } = options;
  const parts = { target, reference, servers: [target], collect, bytewiseOneIn };
  const side = await RequestSide.open({ dialect: "server", ...parts });
  try {
    return await runCampaign(side, options);
  } finally {
    side.close();
  }
}

/** Requests to `codis proxy` before two redis-servers. */
export async function fuzzProxyRequests(options: FuzzOptions): Promise<CampaignReport> {
  await using programs = new Programs();
  const reference = await programs.redis();
  const servers = [await programs.redis(), await programs.redis()];
  const target = await programs.proxy({ backends: servers.map((server) => server.port) });
  const collect = (): Promise<void> => collectProxy(target);
  const { bytewiseOneIn } = options;
  const parts = { target, reference, servers, collect, bytewiseOneIn };
  const side = await RequestSide.open({ dialect: "proxy", ...parts });
  try {
    return await runCampaign(side, options);
  } finally {
    side.close();
  }
}

/** Replies to `codis proxy` from scripted servers. */
export async function fuzzProxyReplies(options: FuzzOptions): Promise<CampaignReport> {
  await using programs = new Programs();
  const backends = createBackends();
  const proxy = await programs.proxy({
    backends: backends.map((backend) => backend.port),
    config: REPLY_SIDE_CONFIG,
  });
  const { bytewiseOneIn } = options;
  const side = await ReplySide.open({ proxy, backends, bytewiseOneIn });
  try {
    return await runCampaign(side, options);
  } finally {
    side.close();
  }
}
