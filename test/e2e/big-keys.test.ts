/**
 * Large values that leave one server for another while both serve: how long their turns get, and
 * that clients are answered meanwhile. HASH_FIELDS=1000000 measures the size that is asked for.
 */

import { afterAll, expect, test } from "bun:test";
import { Programs } from "../support/programs.ts";
import { RespClient } from "../support/resp-client.ts";

const FIELDS = Number(process.env.HASH_FIELDS ?? 100_000);
const FIELDS_PER_REQUEST = 100;
const STRING_BYTES = 64 * 1024 * 1024;
/** CPU time of one turn; a move in one piece takes some hundred of it. */
const TURN_MS_MAX = 25;

const programs = new Programs();
afterAll(() => programs.stop());

async function startPair(): Promise<{
  source: RespClient;
  mover: RespClient;
  target: RespClient;
  port: number;
}> {
  const env = { CODIS_MEASURE_TURNS: "1" };
  const [from, to] = [await programs.server({ env }), await programs.server({ env })];
  const source = await RespClient.connect(from.port);
  const mover = await RespClient.connect(from.port);
  const target = await RespClient.connect(to.port);
  return { source, mover, target, port: to.port };
}

async function longestTurnMs(client: RespClient): Promise<number> {
  const info = String(await client.call("INFO", "stats"));
  return Number(/longest_turn_cpu_usec:(\d+)/.exec(info)![1]) / 1000;
}

test(`A hash of ${FIELDS} fields moves in short turns, and reads are answered meanwhile`, async () => {
  const { source, mover, target, port } = await startPair();
  for (let i = 0; i < FIELDS; i += FIELDS_PER_REQUEST) {
    const pairs = Array.from({ length: FIELDS_PER_REQUEST }, (_, k) => [
      `field:${i + k}`,
      `value:${i + k}`,
    ]);
    await source.call("HSET", "hash", ...pairs.flat());
  }
  const moved = mover.call("SLOTSMGRTONE-ASYNC", "127.0.0.1", port, 30_000, 200, 33554432, "hash");
  let isMoving = true;
  void moved.finally(() => {
    isMoving = false;
  });
  let reads = 0;
  while (isMoving) {
    const reply = await source.call("HGET", "hash", "field:7");
    if (reply !== null) reads++;
  }
  expect(await moved).toBe(1);
  expect(reads).toBeGreaterThan(10);
  expect(await target.call("HLEN", "hash")).toBe(FIELDS);
  expect(String(await target.call("HGET", "hash", `field:${FIELDS - 1}`))).toBe(
    `value:${FIELDS - 1}`,
  );
  expect(await target.call("TTL", "hash")).toBe(-1);
  expect(await longestTurnMs(source)).toBeLessThan(TURN_MS_MAX);
  expect(await longestTurnMs(target)).toBeLessThan(TURN_MS_MAX);
}, 120_000);

test("A string of 64 MiB leaves its source in parts", async () => {
  const { source, target, port } = await startPair();
  await source.call("SETRANGE", "string", STRING_BYTES - 1, "x");
  const before = await longestTurnMs(source);
  expect(await source.call("SLOTSMGRTONE-ASYNC", "127.0.0.1", port, 30_000, 0, 0, "string")).toBe(
    1,
  );
  expect(await target.call("STRLEN", "string")).toBe(STRING_BYTES);
  // Making it took longer than any turn of sending it.
  expect(await longestTurnMs(source)).toBeLessThanOrEqual(Math.max(before, TURN_MS_MAX));
}, 60_000);
