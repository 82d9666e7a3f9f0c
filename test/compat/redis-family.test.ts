/**
 * A cluster that begins with two stock redis-servers and grows by a third and a `codis server`: slots
 * move between the families in every direction under a checked load, and nobody notices.
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { SLOT_COUNT, slotOf } from "../../src/slots/hash.ts";
import { CheckedLoad, VALUE_BYTES_MIN } from "../support/checked-load.ts";
import { type DataClient, verifyDataset, writeDataset } from "../support/dataset.ts";
import { createPrng } from "../support/prng.ts";
import { type Program, Programs } from "../support/programs.ts";
import { RespClient } from "../support/resp-client.ts";
import { runCodis } from "../support/up-cluster.ts";

const KEYS = 100_000;
const OTHER_DATABASE = 3;
const OTHER_KEYS = 2_000;
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);

const programs = new Programs();
/** The server of group i + 1. */
const servers: Program[] = [];
let dashboard: Program;
let proxy: Program;

async function admin(...words: string[]): Promise<string> {
  const address = `127.0.0.1:${dashboard.adminPort}`;
  const { exitCode, stdout, stderr } = await runCodis("admin", ...words, "--dashboard", address);
  expect({ words, exitCode, stderr: exitCode === 0 ? "" : stderr }).toEqual({
    words,
    exitCode: 0,
    stderr: "",
  });
  return stdout;
}

async function join(server: Program): Promise<void> {
  servers.push(server);
  const gid = String(servers.length);
  await admin("group", "create", gid);
  await admin("group", "add", gid, `127.0.0.1:${server.port}`);
}

beforeAll(async () => {
  dashboard = await programs.dashboard();
  proxy = await programs.proxy({ backends: [], config: `product_name = "test"\n`, threads: 2 });
  await join(await programs.redis());
  await join(await programs.redis());
  await admin("slot", "assign", "0-511", "1");
  await admin("slot", "assign", "512-1023", "2");
  await admin("proxy", "create", `127.0.0.1:${proxy.adminPort}`);
}, 60_000);

afterAll(async () => {
  await programs.stop();
}, 60_000);

/** Keys in database 0 of all five types up to 8 MiB, and small ones in another. */
async function writeKeys(): Promise<void> {
  await usingDatabase(0, (client) => writeDataset(client, 0, KEYS));
  await usingDatabase(OTHER_DATABASE, (client) => writeDataset(client, KEYS, KEYS + OTHER_KEYS));
}

async function verifyKeys(): Promise<void> {
  await usingDatabase(0, (client) => verifyDataset(client, 0, KEYS));
  await usingDatabase(OTHER_DATABASE, (client) => verifyDataset(client, KEYS, KEYS + OTHER_KEYS));
}

async function usingDatabase(
  database: number,
  work: (client: DataClient) => Promise<void>,
): Promise<void> {
  const client = await RespClient.connect(proxy.port);
  await client.call("SELECT", database);
  await work({ batch: (commands) => client.pipeline(commands) });
  client.close();
}

/** Runs `work` under the load, and demands that no client saw anything of it. */
async function underLoad(prefix: string, work: () => Promise<void>): Promise<void> {
  const load = new CheckedLoad(
    proxy.port,
    {
      connections: 50,
      sharedKeys: 400,
      pipelineMax: 8,
      valueBytes: [VALUE_BYTES_MIN, 100, 1_000, 20_000],
      toleratesErrors: false,
      prefix,
    },
    createPrng(SEED),
  );
  const running = load.run();
  await work();
  load.stop();
  await running;
  expect(load.counts.lost, `seed ${SEED}`).toBe(0);
  expect(load.counts.acked).toBeGreaterThan(1_000);
  expect(await load.problems(), `seed ${SEED}`).toEqual([]);
}

/** The group of every slot, when no action is left. */
async function owners(): Promise<number[]> {
  const mappings = JSON.parse(await admin("slot", "list", "--json")) as {
    id: number;
    group_id: number;
    action: object;
  }[];
  expect(mappings.filter(({ action }) => Object.keys(action).length > 0)).toEqual([]);
  const groups: number[] = [];
  for (const { id, group_id } of mappings) groups[id] = group_id;
  return groups;
}

/** A server holds keys of its group's slots only, in all databases. */
async function expectKeysAtTheirOwners(): Promise<void> {
  const groups = await owners();
  for (const [i, { port }] of servers.entries()) {
    const client = await RespClient.connect(port);
    for (const database of [0, OTHER_DATABASE]) {
      await client.call("SELECT", database);
      const keys = (await client.call("KEYS", "*")) as Buffer[];
      const foreign = keys.filter((key) => groups[slotOf(key)] !== i + 1);
      expect(foreign.map(String), `group ${i + 1} database ${database}`).toEqual([]);
    }
    client.close();
  }
}

test("stock servers hold values of all five types, in two databases", async () => {
  await writeKeys();
  await verifyKeys();
}, 120_000);

test("slots move to a third stock server and to a codis server under load, unnoticed", async () => {
  let plan: Record<string, number> = {};
  await underLoad("grow:", async () => {
    await join(await programs.redis());
    await join(await programs.server());
    plan = JSON.parse(await admin("rebalance", "--json")) as Record<string, number>;
    await admin("rebalance", "--confirm", "--json");
  });
  const groups = await owners();
  expect(Object.keys(plan).length).toBe(SLOT_COUNT / 2);
  for (const [slot, gid] of Object.entries(plan)) expect(groups[Number(slot)]).toBe(gid);
  await expectKeysAtTheirOwners();
  await verifyKeys();
}, 300_000);

test("slots of the codis server move to a stock server under load, unnoticed", async () => {
  await underLoad("shrink:", async () => {
    await admin("slot", "migrate", "--from", "4", "--to", "1", "--count", "256", "--json");
  });
  expect((await owners()).filter((gid) => gid === 4)).toEqual([]);
  await expectKeysAtTheirOwners();
  await verifyKeys();
}, 300_000);
