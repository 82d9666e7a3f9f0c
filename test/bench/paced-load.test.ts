import { expect, test } from "bun:test";
import { startOwnServer } from "../support/own-server.ts";
import { RespClient } from "../support/resp-client.ts";
import { fill } from "./fill.ts";
import { BUSY_WRITES } from "./load.ts";
import { MixedLoad } from "./mixed-load.ts";
import { PacedLoad } from "./paced-load.ts";

const KEYS = 100;
const SEED = 7;

/** Resolves when `isSo` holds; asked in every turn of the loop. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((again) => setImmediate(again));
}

test("A paced load counts what was answered since it was told to measure", async () => {
  const server = await startOwnServer();
  try {
    await fill(server.port, KEYS);
    const options = { perSecond: 10_000, keySpace: KEYS, seed: SEED };
    const load = await PacedLoad.start(server.port, options);
    await until(() => load.figures().requests >= 200);
    const { requests, p50Ms, p99Ms, p999Ms, longestMs } = load.figures();
    expect(requests).toBeGreaterThanOrEqual(200);
    expect(p50Ms).toBeGreaterThan(0);
    expect([p50Ms, p99Ms, p999Ms, longestMs]).toEqual(
      [p50Ms, p99Ms, p999Ms, longestMs].sort((a, b) => a - b),
    );
    load.measure();
    expect(load.figures().requests).toBe(0);
    load.stop();
  } finally {
    await server.close();
  }
});

test("A paced load says when a request was refused, or its connection lost", async () => {
  const server = await startOwnServer({ requirepass: "secret" });
  const load = await PacedLoad.start(server.port, { perSecond: 1000, keySpace: KEYS, seed: SEED });
  const failed = (): boolean => {
    try {
      load.figures();
      return false;
    } catch {
      return true;
    }
  };
  await until(failed);
  expect(() => load.figures()).toThrow("a request was refused: -NOAUTH");
  load.stop();
  await server.close();
});

test("A mixed load writes with each of its words, to keys of the right type", async () => {
  const server = await startOwnServer();
  try {
    await fill(server.port, KEYS);
    const load = await MixedLoad.start(server.port, KEYS, SEED);
    await until(() => load.answered >= 10_000);
    await load.stop();
    const client = await RespClient.connect(server.port);
    const info = String(await client.call("INFO", "commandstats"));
    client.close();
    for (const word of new Set(BUSY_WRITES)) {
      expect(info).toMatch(new RegExp(`cmdstat_${word.toLowerCase()}:calls=\\d{3,}`));
    }
    expect(info).not.toMatch(/failed_calls=[1-9]/);
  } finally {
    await server.close();
  }
});
