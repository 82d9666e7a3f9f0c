/**
 * Large values that leave one server for another while clients work on them: a tenth of what
 * `npm run soak` moves. First with nothing killed, there and back, then with source, target and
 * dashboard each killed -9 in the middle of a move.
 */

import { afterAll, expect, test } from "bun:test";
import { BigKeyCampaign, drawKills } from "../bigkeys/campaign.ts";
import { TENTH_SHAPE } from "../bigkeys/values.ts";
import { createPrng } from "../support/prng.ts";
import { Programs } from "../support/programs.ts";
import { RespClient } from "../support/resp-client.ts";

const STRING_BYTES = 64 * 1024 * 1024;
/** Good replies while both values moved; how long that takes is not asserted. */
const ACKED_MIN = 100;

const programs = new Programs();
afterAll(() => programs.stop());

test("A large hash and a large list move under load, whatever is killed, and nothing is lost", async () => {
  const random = createPrng();
  const why = `SEED=${random.seed}`;
  process.stderr.write(`big keys: ${why}\n`);
  await using campaign = await BigKeyCampaign.start(TENTH_SHAPE, random, true);
  for (let i = 0; i < 2; i++) {
    const { acked, lost } = await campaign.move();
    expect(lost, why).toBe(0);
    expect(acked, why).toBeGreaterThan(ACKED_MIN);
  }
  for (const kill of drawKills(random, 1)) {
    const { killed, acked, lost } = await campaign.moveAndKill(kill);
    expect(killed, why).toEqual(kill);
    expect(acked, why).toBeGreaterThan(ACKED_MIN);
    if (kill.victim === "dashboard") expect(lost, why).toBe(0);
  }
}, 300_000);

test("A string of 64 MiB leaves its source in parts: another client is served meanwhile", async () => {
  const [from, to] = [await programs.server(), await programs.server()];
  const [source, mover] = [
    await RespClient.connect(from.port),
    await RespClient.connect(from.port),
  ];
  const target = await RespClient.connect(to.port);
  await source.call("SETRANGE", "string", STRING_BYTES - 1, "x");
  const moved = mover.call("SLOTSMGRTONE-ASYNC", "127.0.0.1", to.port, 30_000, 0, 0, "string");
  let isMoving = true;
  void moved.finally(() => {
    isMoving = false;
  });
  let served = 0;
  while (isMoving) {
    if ((await source.call("STRLEN", "string")) === STRING_BYTES) served++;
  }
  expect(await moved).toBe(1);
  expect(served).toBeGreaterThan(1);
  expect(await target.call("STRLEN", "string")).toBe(STRING_BYTES);
}, 60_000);
