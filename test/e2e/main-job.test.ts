/**
 * The main job, on the built executable: three clients of today fill a cluster made by `codis up`,
 * two groups join and slots move to them under a checked load, and nobody notices.
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { CheckedLoad, VALUE_BYTES_MIN } from "../support/checked-load.ts";
import { type DataClient, verifyDataset, writeCommand, writeDataset } from "../support/dataset.ts";
import { createPrng } from "../support/prng.ts";
import { RespClient } from "../support/resp-client.ts";
import { ExtraServer, UpCluster } from "../support/up-cluster.ts";

const KEYS = 200_000;
const IOREDIS_END = 90_000;
const NODE_REDIS_END = 180_000;
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);

let cluster: UpCluster;
const extras: ExtraServer[] = [];

beforeAll(async () => {
  cluster = await UpCluster.start({ servers: 4 });
}, 60_000);

afterAll(async () => {
  await cluster.stop();
  for (const extra of extras) await extra.stop();
}, 60_000);

function ioredisClient(port: number): DataClient & { close(): void } {
  const redis = new Redis({ port, host: "127.0.0.1" });
  return {
    batch: async (commands) => {
      const pipeline = redis.pipeline();
      for (const [name, ...args] of commands) pipeline.call(name!, ...args);
      return ((await pipeline.exec()) ?? []).map(([error, reply]) => {
        if (error !== null) throw error;
        return reply;
      });
    },
    close: () => redis.disconnect(),
  };
}

async function nodeRedisClient(port: number): Promise<DataClient & { close(): void }> {
  const redis = createClient({ socket: { port, host: "127.0.0.1" } });
  await redis.connect();
  return {
    batch: (commands) => Promise.all(commands.map((command) => redis.sendCommand([...command]))),
    close: () => redis.destroy(),
  };
}

/** redis-cli reads commands on stdin and prints each reply raw; --pipe writes the data. */
async function redisCliWrite(port: number, begin: number, end: number): Promise<string> {
  const cli = Bun.spawn(["redis-cli", "-p", String(port), "--pipe"], {
    stdin: "pipe",
    stdout: "pipe",
  });
  for (let index = begin; index < end; index++) {
    const words = writeCommand(index, begin).map((word) => `$${word.length}\r\n${word}\r\n`);
    cli.stdin.write(`*${words.length}\r\n${words.join("")}`);
    if (index % 1_000 === 0) await cli.stdin.flush();
  }
  await cli.stdin.end();
  return new Response(cli.stdout).text();
}

test("ioredis, node-redis and redis-cli fill the cluster with all five types", async () => {
  const ioredis = ioredisClient(cluster.port);
  await writeDataset(ioredis, 0, IOREDIS_END);
  const nodeRedis = await nodeRedisClient(cluster.port);
  await writeDataset(nodeRedis, IOREDIS_END, NODE_REDIS_END);
  const report = await redisCliWrite(cluster.port, NODE_REDIS_END, KEYS);
  expect(report).toContain(`errors: 0, replies: ${KEYS - NODE_REDIS_END}`);
  // Each client reads what another wrote.
  await verifyDataset(nodeRedis, 0, IOREDIS_END);
  await verifyDataset(ioredis, IOREDIS_END, NODE_REDIS_END);
  await verifyDataset(ioredis, NODE_REDIS_END, KEYS);
  ioredis.close();
  nodeRedis.close();
}, 300_000);

test("two groups join and slots move to them under a checked load, unnoticed", async () => {
  const random = createPrng(SEED);
  const load = new CheckedLoad(
    cluster.port,
    {
      connections: 50,
      sharedKeys: 400,
      pipelineMax: 8,
      valueBytes: [VALUE_BYTES_MIN, 100, 1_000, 20_000],
      toleratesErrors: false,
      prefix: "load:",
    },
    random,
  );
  const running = load.run();
  for (const gid of [5, 6]) {
    const extra = await ExtraServer.start();
    extras.push(extra);
    await expectDone(cluster.admin("group", "create", String(gid)));
    await expectDone(cluster.admin("group", "add", String(gid), extra.address));
  }
  const shown = await expectDone(cluster.admin("rebalance", "--json"));
  const { plan: planned } = JSON.parse(shown) as { plan: Plan };
  expect(Object.keys(planned).length).toBeGreaterThan(300);
  await expectDone(cluster.admin("rebalance", "--confirm", "--json"));
  load.stop();
  await running;
  expect(load.counts.lost, `seed ${SEED}`).toBe(0);
  expect(load.counts.acked).toBeGreaterThan(1_000);
  expect(await load.problems(), `seed ${SEED}`).toEqual([]);

  await expectSlotsWherePlanned(planned);
  const client = ioredisClient(cluster.port);
  await verifyDataset(client, 0, IOREDIS_END);
  await verifyDataset(client, IOREDIS_END, NODE_REDIS_END);
  await verifyDataset(client, NODE_REDIS_END, KEYS);
  client.close();
}, 600_000);

type Plan = Readonly<Record<string, number>>;

async function expectDone(result: ReturnType<UpCluster["admin"]>): Promise<string> {
  const { exitCode, stdout, stderr } = await result;
  expect(exitCode, stderr + cluster.logs()).toBe(0);
  return stdout;
}

/** The model says so, and the servers: a moved slot has keys at its new server only. */
async function expectSlotsWherePlanned(plan: Plan): Promise<void> {
  const stdout = await expectDone(cluster.admin("slot", "list", "--json"));
  const mappings = JSON.parse(stdout) as { id: number; group_id: number; action: object }[];
  for (const { id, group_id, action } of mappings) {
    expect(action, `slot ${id}`).toEqual({});
    if (plan[id] !== undefined) expect(group_id, `slot ${id}`).toBe(plan[id]);
  }
  const owners = new Map(mappings.map(({ id, group_id }) => [id, group_id]));
  const ports = [1, 2, 3, 4].map((id) => cluster.serverPort(id));
  for (const [index, port] of [...ports, ...extras.map((extra) => extra.port)].entries()) {
    const client = await RespClient.connect(port);
    const filled = (await client.call("SLOTSINFO")) as [number, number][];
    client.close();
    const foreign = filled.filter(([slot]) => owners.get(slot) !== index + 1);
    expect(foreign, `server of group ${index + 1}`).toEqual([]);
  }
}
