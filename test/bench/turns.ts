/**
 * The longest turn of the server's loop, in CPU time as the server itself measures it, while it is
 * loaded from empty.
 */

import { Programs } from "../support/programs.ts";
import { RespClient } from "../support/resp-client.ts";
import { fill } from "./fill.ts";
import { MEASURED_CORE, TARGETS, TURN_KEYS } from "./load.ts";
import type { Recorder } from "./record.ts";

const MICROS_PER_MS = 1000;

export async function benchTurns(recorder: Recorder): Promise<void> {
  recorder.progress(`turns: loading ${TURN_KEYS} keys`);
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
  recorder.raw("turns", info, { seconds });
  const figure = (name: string): number =>
    Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1]);
  const longestMs = figure("longest_turn_cpu_usec") / MICROS_PER_MS;
  recorder.tables.push({
    title: `Turns of the server's loop while it is loaded to ${TURN_KEYS} keys`,
    heading: ["keys/s", "turns", "over 10 ms", "longest, CPU ms", "with all threads, CPU ms"],
    rows: [
      [
        (TURN_KEYS / seconds).toFixed(0),
        String(figure("turns")),
        String(figure("turns_over_10ms")),
        longestMs.toFixed(2),
        (figure("longest_turn_process_cpu_usec") / MICROS_PER_MS).toFixed(2),
      ],
    ],
  });
  recorder.verdicts.push({
    what: `longest turn while loading ${TURN_KEYS} keys`,
    measured: longestMs,
    limit: TARGETS.turnMs,
    unit: "ms",
  });
}
