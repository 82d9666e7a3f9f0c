/**
 * A cluster that begins with two stock redis-servers and grows by a third and a `codis server`:
 * slots move between the families in every direction under a checked load, and nobody notices.
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { SLOT_COUNT, slotOf } from "../../src/slots/hash.ts";
import { verifyDataset, writeDataset } from "../support/dataset.ts";
import { OperatedCluster } from "../support/operated-cluster.ts";
import { RespClient } from "../support/resp-client.ts";

const KEYS = 100_000;
const OTHER_DATABASE = 3;
const OTHER_KEYS = 2_000;
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);

let cluster: OperatedCluster;

beforeAll(async () => {
  cluster = await OperatedCluster.start();
  await cluster.join(await cluster.programs.redis());
  await cluster.join(await cluster.programs.redis());
  await cluster.open();
}, 60_000);

afterAll(async () => {
  await cluster.stop();
}, 60_000);

async function expectAllInPlace(): Promise<void> {
  await cluster.expectKeysAtTheirOwners([0, OTHER_DATABASE]);
  await cluster.usingDatabase(0, (client) => verifyDataset(client, 0, KEYS));
  await cluster.usingDatabase(OTHER_DATABASE, (client) =>
    verifyDataset(client, KEYS, KEYS + OTHER_KEYS),
  );
}

test("stock servers hold values of all five types up to 8 MiB, in two databases", async () => {
  await cluster.usingDatabase(0, (client) => writeDataset(client, 0, KEYS));
  await cluster.usingDatabase(OTHER_DATABASE, (client) =>
    writeDataset(client, KEYS, KEYS + OTHER_KEYS),
  );
  await expectAllInPlace();
}, 120_000);

test("slots move to a third stock server and to a codis server under load, unnoticed", async () => {
  let plan: Record<string, number> = {};
  await cluster.underLoad("grow:", SEED, async () => {
    await cluster.join(await cluster.programs.redis());
    await cluster.join(await cluster.programs.server());
    ({ plan } = JSON.parse(await cluster.admin("rebalance", "--json")) as { plan: typeof plan });
    await cluster.admin("rebalance", "--confirm", "--json");
  });
  const groups = await cluster.owners();
  expect(Object.keys(plan).length).toBe(SLOT_COUNT / 2);
  for (const [slot, gid] of Object.entries(plan)) expect(groups[Number(slot)]).toBe(gid);
  await expectAllInPlace();
}, 300_000);

test("slots of the codis server move to a stock server under load, unnoticed", async () => {
  await cluster.underLoad("shrink:", SEED, async () => {
    await cluster.admin("slot", "migrate", "--from", "4", "--to", "1", "--count", "256", "--json");
  });
  expect((await cluster.owners()).filter((gid) => gid === 4)).toEqual([]);
  await expectAllInPlace();
}, 300_000);

test("a stream, which the codis server cannot hold, is named; the slot moves when it is gone", async () => {
  await using mixed = await OperatedCluster.start();
  const stock = await mixed.programs.redis();
  const ours = await mixed.programs.server();
  await mixed.join(stock);
  await mixed.open();
  await mixed.join(ours);
  const slot = slotOf(Buffer.from("events"));
  await mixed.usingDatabase(0, async (client) => {
    await client.batch([["XADD", "events", "*", "field", "value"]]);
    await mixed.admin("slot", "migrate", String(slot), "2", "--no-wait");
    let status = "";
    while (!status.includes("type stream")) status = await mixed.admin("status");
    expect(status).toContain(`slot ${slot} waits, and is tried again: key "events" is of type`);
    expect(status).toContain(`the server 127.0.0.1:${ours.port} cannot hold it`);
    expect(status).toContain(`remove it at 127.0.0.1:${stock.port}, database 0`);
    const [refused] = (await client.batch([["XLEN", "events"]])) as { text: string }[];
    expect(refused!.text).toContain("a server that cannot hold the type of this key");
    const source = await RespClient.connect(stock.port);
    await source.call("DEL", "events");
    source.close();
    await mixed.admin("slot", "wait", "--json");
  });
  expect((await mixed.owners())[slot]).toBe(2);
}, 60_000);

test("all of it works with a password too", async () => {
  const password = "a secret";
  await using guarded = await OperatedCluster.start(password);
  const { programs } = guarded;
  const config = join(programs.directory, "server.toml");
  writeFileSync(config, `requirepass = "${password}"\n`);
  await guarded.join(await programs.redis({ args: ["--requirepass", password] }));
  await guarded.open();
  await guarded.usingDatabase(0, (client) => writeDataset(client, 0, 2_000));
  await guarded.join(await programs.redis({ args: ["--requirepass", password] }));
  await guarded.join(await programs.server({ args: ["--config", config] }));
  for (const [from, to] of ["12", "13", "31", "21"]) {
    await guarded.underLoad(`${from}${to}:`, SEED, async () => {
      await guarded.admin("slot", "migrate", "--from", from!, "--to", to!, "--count", "32");
    });
  }
  await guarded.expectKeysAtTheirOwners([0]);
  await guarded.usingDatabase(0, (client) => verifyDataset(client, 0, 2_000));
}, 300_000);
