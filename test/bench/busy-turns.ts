/**
 * The longest turn of the server's loop while it has much to do at once: TURN_KEYS keys, writes of
 * many kinds, an append-only file synced every second, and during them BGSAVE, then BGREWRITEAOF,
 * which exclude each other. CPU time as the server measures it, counted from when the keys are
 * there; why the least disturbed of several loads gives the verdict is said in turns.ts.
 */

import { Programs } from "../support/programs.ts";
import { RespClient } from "../support/resp-client.ts";
import { fill } from "./fill.ts";
import { BUSY_LOADS, MEASURED_CORE, TARGETS, TURN_KEYS } from "./load.ts";
import { MixedLoad } from "./mixed-load.ts";
import type { Recorder } from "./record.ts";
import { readTurns, type TurnFigures } from "./turns.ts";

/** How often the server is asked whether it still saves. */
const POLL_MS = 100;
const SEED = 20_26;

/** Of one load. */
interface BusyFigures extends TurnFigures {
  readonly writesPerSecond: number;
  readonly saveSeconds: number;
  readonly rewriteSeconds: number;
}

export async function benchBusyTurns(recorder: Recorder): Promise<void> {
  const loads: BusyFigures[] = [];
  for (let load = 1; load <= BUSY_LOADS; load++) {
    recorder.progress(`busy turns: ${TURN_KEYS} keys, load ${load} of ${BUSY_LOADS}`);
    loads.push(await measureLoad(recorder, `busy-turns-${load}`, SEED + load));
  }
  recorder.tables.push({
    title: `Turns of the server's loop, ${TURN_KEYS} keys, mixed writes, BGSAVE, then BGREWRITEAOF`,
    heading: ["writes/s", "save s", "rewrite s", "turns", "over 10 ms", "longest, CPU ms"],
    rows: loads.map((load) => [
      load.writesPerSecond.toFixed(0),
      load.saveSeconds.toFixed(1),
      load.rewriteSeconds.toFixed(1),
      String(load.turns),
      String(load.overTenMs),
      load.longestMs.toFixed(2),
    ]),
  });
  recorder.verdicts.push({
    what: `longest turn, ${TURN_KEYS} keys, mixed writes, BGSAVE, BGREWRITEAOF, best of ${BUSY_LOADS}`,
    measured: Math.min(...loads.map((load) => load.longestMs)),
    limit: TARGETS.turnMs,
    unit: "ms",
  });
}

async function measureLoad(recorder: Recorder, title: string, seed: number): Promise<BusyFigures> {
  await using programs = new Programs();
  const server = await programs.server({
    core: MEASURED_CORE,
    env: { CODIS_MEASURE_TURNS: "1" },
    args: ["--appendonly", "yes"],
  });
  await fill(server.port, TURN_KEYS);
  const client = await RespClient.connect(server.port);
  await untilQuiet(client);
  const load = await MixedLoad.start(server.port, TURN_KEYS, seed);
  await client.call("CONFIG", "RESETSTAT");
  const beganMs = performance.now();
  const saveSeconds = await run(client, "BGSAVE", "rdb_last_bgsave_status");
  const rewriteSeconds = await run(client, "BGREWRITEAOF", "aof_last_bgrewrite_status");
  const seconds = (performance.now() - beganMs) / 1000;
  const info = String(await client.call("INFO", "stats"));
  await load.stop();
  client.close();
  recorder.raw(title, info, { seed, seconds, saveSeconds, rewriteSeconds });
  const writesPerSecond = load.answered / seconds;
  return { ...readTurns(info), writesPerSecond, saveSeconds, rewriteSeconds };
}

/** Begins a save or rewrite and waits for its end. @returns how long it took, seconds */
async function run(client: RespClient, word: string, statusName: string): Promise<number> {
  await untilQuiet(client);
  const beganMs = performance.now();
  const reply = String(await client.call(word));
  if (!reply.startsWith("Background")) throw new Error(`${word} answered ${reply}`);
  const info = await untilQuiet(client);
  if (!info.includes(`${statusName}:ok`)) throw new Error(`${word} failed: ${info}`);
  return (performance.now() - beganMs) / 1000;
}

/** Waits until neither kind of file is being written. @returns what INFO says then */
async function untilQuiet(client: RespClient): Promise<string> {
  for (;;) {
    const info = String(await client.call("INFO", "persistence"));
    if (/^rdb_bgsave_in_progress:0/m.test(info) && /^aof_rewrite_in_progress:0/m.test(info)) {
      return info;
    }
    await new Promise((again) => setTimeout(again, POLL_MS));
  }
}
