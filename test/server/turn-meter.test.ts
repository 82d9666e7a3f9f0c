import { expect, test } from "bun:test";
import { TurnMeter } from "../../src/server/turn-meter.ts";
import { startOwnServer } from "../support/own-server.ts";
import { RespClient } from "../support/resp-client.ts";

/** Works until the thread has used this much CPU time. */
function work(micros: number): void {
  const used = (): number => {
    const { user, system } = process.threadCpuUsage();
    return user + system;
  };
  const until = used() + micros;
  while (used() < until);
}

test("A turn meter keeps the CPU time of the longest turn, not of what came before the first", () => {
  const meter = new TurnMeter();
  work(30_000);
  meter.lap();
  work(12_000);
  meter.lap();
  work(1000);
  meter.lap();
  expect(meter.turns).toBe(2);
  expect(meter.overTenMs).toBe(1);
  expect(meter.longestMicros).toBeGreaterThanOrEqual(12_000);
  expect(meter.longestMicros).toBeLessThan(29_000);
  expect(meter.longestProcessMicros).toBeGreaterThanOrEqual(meter.longestMicros);
});

test("A server that was asked to measures its turns and tells them in INFO stats", async () => {
  process.env.CODIS_MEASURE_TURNS = "1";
  const server = await startOwnServer();
  delete process.env.CODIS_MEASURE_TURNS;
  try {
    const client = await RespClient.connect(server.port);
    for (let i = 0; i < 10; i++) await client.call("PING");
    const info = String(await client.call("INFO", "stats"));
    expect(Number(/^turns:(\d+)/m.exec(info)?.[1])).toBeGreaterThanOrEqual(9);
    expect(Number(/^longest_turn_cpu_usec:(\d+)/m.exec(info)?.[1])).toBeGreaterThan(0);
    client.close();
  } finally {
    await server.close();
  }
});

test("A server that was not asked does not measure; MEMORY PURGE is answered", async () => {
  const server = await startOwnServer();
  try {
    const client = await RespClient.connect(server.port);
    expect(String(await client.call("INFO", "stats"))).not.toContain("longest_turn");
    expect(await client.call("MEMORY", "PURGE")).toBe("OK");
    client.close();
  } finally {
    await server.close();
  }
});

test("A turn meter that is reset forgets all turns, the one under way too", () => {
  const meter = new TurnMeter();
  meter.lap();
  work(12_000);
  meter.lap();
  work(12_000);
  meter.reset();
  expect(meter.infoLines().map((line) => line.split(":")[1])).toEqual(["0", "0", "0", "0"]);
  meter.lap();
  expect(meter.turns).toBe(0);
  work(12_000);
  meter.lap();
  expect(meter.turns).toBe(1);
  expect(meter.overTenMs).toBe(1);
});
