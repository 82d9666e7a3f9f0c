/**
 * The same with kill -9, on the built executable: of the dashboard, of a proxy, of a server, and of
 * `up` itself, while slots move under a checked load. `up` restarts what died, the migration ends,
 * and every acknowledged write is there.
 */

import { expect, test } from "bun:test";
import { CheckedLoad, VALUE_BYTES_MIN } from "../support/checked-load.ts";
import { createPrng } from "../support/prng.ts";
import { UpCluster } from "../support/up-cluster.ts";

const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);

/** A load that expects errors: something dies under it. */
function newLoad(cluster: UpCluster): CheckedLoad {
  const options = {
    connections: 50,
    sharedKeys: 300,
    pipelineMax: 4,
    valueBytes: [VALUE_BYTES_MIN, 200, 5_000],
    toleratesErrors: true,
    prefix: "load:",
  };
  return new CheckedLoad(cluster.port, options, createPrng(SEED));
}

async function withCluster(run: (cluster: UpCluster) => Promise<void>): Promise<void> {
  const cluster = await UpCluster.start({ servers: 2, proxies: 1 });
  try {
    await run(cluster);
  } finally {
    await cluster.stop();
  }
}

/** Starts moving all slots of group 1 to group 2, without waiting. */
async function startMoving(cluster: UpCluster): Promise<void> {
  const move = ["slot", "migrate", "--from", "1", "--to", "2", "--count", "512", "--no-wait"];
  const { exitCode, stderr } = await cluster.admin(...move);
  expect(exitCode, stderr).toBe(0);
}

/** Resolves when no slot has an action any more. */
async function moveEnds(cluster: UpCluster): Promise<void> {
  const { exitCode, stderr } = await cluster.admin("slot", "wait");
  expect(exitCode, stderr + cluster.logs()).toBe(0);
}

async function expectAllMoved(cluster: UpCluster): Promise<void> {
  const { stdout } = await cluster.admin("slot", "list", "--json");
  const mappings = JSON.parse(stdout) as { id: number; group_id: number }[];
  expect(mappings.filter(({ group_id }) => group_id !== 2)).toEqual([]);
}

for (const victim of ["dashboard", "proxy-1", "server-1", "server-2"]) {
  test(`kill -9 of ${victim} in the middle of a migration loses no acknowledged write`, async () => {
    await withCluster(async (cluster) => {
      const load = newLoad(cluster);
      const running = load.run();
      await startMoving(cluster);
      await cluster.killAndWait(victim);
      await moveEnds(cluster);
      load.stop();
      await running;
      expect(load.counts.acked).toBeGreaterThan(100);
      expect(await load.problems(), `seed ${SEED}`).toEqual([]);
      await expectAllMoved(cluster);
    });
  }, 300_000);
}

test("kill -9 of up ends its children, and the next start finds data and migration again", async () => {
  await withCluster(async (cluster) => {
    const load = newLoad(cluster);
    const running = load.run();
    await startMoving(cluster);
    await cluster.killUp();
    load.stop();
    await running;
    await cluster.up();
    await moveEnds(cluster);
    expect(await load.problems(), `seed ${SEED}`).toEqual([]);
    await expectAllMoved(cluster);
  });
}, 300_000);
