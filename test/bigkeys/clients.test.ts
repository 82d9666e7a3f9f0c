import { afterEach, expect, test } from "bun:test";
import { startOwnServer } from "../support/own-server.ts";
import { createPrng } from "../support/prng.ts";
import { RespClient } from "../support/resp-client.ts";
import { BigKeyClients } from "./clients.ts";
import { fieldName, HASH_KEY, LIST_KEY, writeBigValues } from "./values.ts";

const SHAPE = { fields: 2_000, listBytes: 2 * 1024 * 1024 };
const ACKED_MIN = 2_000;
const DAY_MS = 86_400_000;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A server with both values, and clients that have worked on them. */
async function workedOn(): Promise<{ clients: BigKeyClients; client: RespClient }> {
  const server = await startOwnServer();
  closers.push(() => server.close());
  await writeBigValues(server.port, SHAPE, Date.now() + DAY_MS);
  const client = await RespClient.connect(server.port);
  closers.push(() => client.close());
  const clients = new BigKeyClients(SHAPE, createPrng(7));
  const rules = { connections: 4, mayLoseConnections: false, mayFail: () => false };
  const running = clients.run(server.port, rules);
  while (clients.acked < ACKED_MIN) await client.call("PING");
  clients.stop();
  await running;
  return { clients, client };
}

test("Clients of large values find nothing wrong on a server that loses nothing", async () => {
  const { clients, client } = await workedOn();
  expect(clients.lost).toBe(0);
  expect(await clients.problems(client)).toEqual([]);
});

test.each([
  ["an element that was changed", ["LSET", LIST_KEY, 5, "x"], /^element 5 of the list is not/],
  ["a foreign element", ["RPUSH", LIST_KEY, "x"], /^element \d+ of the list was never sent/],
  ["a pushed element that is gone", ["RPOP", LIST_KEY], /^push \d+, .* is nowhere/],
  ["a base element that is gone", ["LPOP", LIST_KEY], /^element 0 of the list is not/],
  ["a field that is gone", ["HDEL", HASH_KEY, fieldName(3)], /^the hash has \d+ fields/],
  ["a counter that went back", ["HSET", HASH_KEY, "counter:0", 0], /^counter 0: /],
  ["a value of long ago", ["HSET", HASH_KEY, fieldName(0), "v0:aaaaa"], /but not all of it/],
  ["a hot field that is gone", ["HDEL", HASH_KEY, fieldName(10)], /^field 10: /],
] as const)("Clients of large values see %s", async (_, words, expected) => {
  const { clients, client } = await workedOn();
  await client.call(...words);
  const problems = await clients.problems(client);
  expect(
    problems.some((problem) => expected.test(problem)),
    problems.join("\n"),
  ).toBe(true);
});

test("Clients of large values see a pushed element that is there twice", async () => {
  const { clients, client } = await workedOn();
  await client.call("RPUSH", LIST_KEY, (await client.call("LINDEX", LIST_KEY, -1)) as Buffer);
  expect(await clients.problems(client)).toEqual([expect.stringMatching(/is there twice/)]);
});
