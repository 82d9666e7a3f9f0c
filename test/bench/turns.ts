/**
 * The longest turn of the server's loop, in CPU time as the server itself measures it, while it is
 * loaded from empty.
 *
 * On a shared machine the kernel counts what the host takes away as the thread's CPU time: pieces
 * of some 4 ms, anywhere. What the server does itself comes at the same place of every load, so of
 * several loads the one with the shortest longest turn says how long its own turns are.
 */

import { Programs } from "../support/programs.ts";
import { RespClient } from "../support/resp-client.ts";
import { fill } from "./fill.ts";
import { MEASURED_CORE, TARGETS, TURN_KEYS, TURN_LOADS } from "./load.ts";
import type { Recorder } from "./record.ts";

const MICROS_PER_MS = 1000;

/** Of one load, as INFO stats tells them. */
export interface TurnFigures {
  readonly turns: number;
  readonly overTenMs: number;
  readonly longestMs: number;
  /** What the collector's and compiler's threads used during a turn too. */
  readonly longestProcessMs: number;
}

export async function benchTurns(recorder: Recorder): Promise<void> {
  const loads: (TurnFigures & { keysPerSecond: number })[] = [];
  for (let load = 1; load <= TURN_LOADS; load++) {
    recorder.progress(`turns: loading ${TURN_KEYS} keys, ${load} of ${TURN_LOADS}`);
    loads.push(await measureLoad(recorder, `turns-${load}`));
  }
  recorder.tables.push({
    title: `Turns of the server's loop while it is loaded to ${TURN_KEYS} keys`,
    heading: ["keys/s", "turns", "over 10 ms", "longest, CPU ms", "with all threads, CPU ms"],
    rows: loads.map((load) => [
      load.keysPerSecond.toFixed(0),
      String(load.turns),
      String(load.overTenMs),
      load.longestMs.toFixed(2),
      load.longestProcessMs.toFixed(2),
    ]),
  });
  recorder.verdicts.push({
    what: `longest turn while loading ${TURN_KEYS} keys, least disturbed of ${TURN_LOADS} loads`,
    measured: Math.min(...loads.map((load) => load.longestMs)),
    limit: TARGETS.turnMs,
    unit: "ms",
  });
}

async function measureLoad(
  recorder: Recorder,
  title: string,
): Promise<TurnFigures & { keysPerSecond: number }> {
  await using programs = new Programs();
  const server = await programs.server({ core: MEASURED_CORE, env: { CODIS_MEASURE_TURNS: "1" } });
  const beganMs = performance.now();
  await fill(server.port, TURN_KEYS);
  const seconds = (performance.now() - beganMs) / 1000;
  const client = await RespClient.connect(server.port);
  const info = String(await client.call("INFO", "stats"));
  const keys = Number(await client.call("DBSIZE"));
  client.close();
  if (keys !== TURN_KEYS) throw new Error(`the server holds ${keys} keys, not ${TURN_KEYS}`);
  recorder.raw(title, info, { seconds });
  return { ...readTurns(info), keysPerSecond: TURN_KEYS / seconds };
}

/** @param info INFO stats of a server that measures its turns */
export function readTurns(info: string): TurnFigures {
  const figure = (name: string): number =>
    Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1]);
  return {
    turns: figure("turns"),
    overTenMs: figure("turns_over_10ms"),
    longestMs: figure("longest_turn_cpu_usec") / MICROS_PER_MS,
    longestProcessMs: figure("longest_turn_process_cpu_usec") / MICROS_PER_MS,
  };
}
