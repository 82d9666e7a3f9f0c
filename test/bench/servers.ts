/** Our server beside redis-server: CPU per request, memory, and the longest turn while loading. */

import { residentBytes } from "../support/proc.ts";
import { Programs } from "../support/programs.ts";
import { contest, type Peer, ratioOf } from "./contest.ts";
import { COUNTERS, fill, KEYS } from "./fill.ts";
import { MEASURED_CORE, MEMORY_KEYS, SERVER_RUNS, TARGETS } from "./load.ts";
import { resultTable } from "./proxies.ts";
import type { Recorder } from "./record.ts";

const MIB = 1024 * 1024;

export async function benchServers(recorder: Recorder): Promise<void> {
  recorder.progress("servers: starting");
  await using programs = new Programs();
  const ours = await programs.server({ core: MEASURED_CORE });
  const redis = await programs.redis({ core: MEASURED_CORE });
  const peers: readonly Peer[] = [
    { name: "codis", port: ours.port, pid: ours.pid },
    { name: "redis-server", port: redis.port, pid: redis.pid },
  ];
  for (const { port } of peers) {
    await fill(port, SERVER_RUNS.keySpace, KEYS);
    await fill(port, SERVER_RUNS.keySpace, COUNTERS);
  }
  const results = await contest("servers", peers, SERVER_RUNS, recorder);
  recorder.tables.push(resultTable("Servers", results));
  for (const { pipeline } of SERVER_RUNS.pipelines) {
    for (const test of SERVER_RUNS.tests) {
      recorder.verdicts.push({
        what: `server ${test}, pipeline ${pipeline}: CPU per request, codis / redis-server`,
        measured: ratioOf(results, "codis", "redis-server", test, pipeline),
        limit: TARGETS.server.get(pipeline)!,
        unit: "x",
      });
    }
  }
}

export async function benchMemory(recorder: Recorder): Promise<void> {
  recorder.progress("memory: starting");
  await using programs = new Programs();
  const ours = await programs.server({ core: MEASURED_CORE });
  const redis = await programs.redis({ core: MEASURED_CORE });
  const rows: string[][] = [];
  const resident = new Map<string, number>();
  for (const [name, program] of [
    ["codis", ours],
    ["redis-server", redis],
  ] as const) {
    const empty = residentBytes(program.pid);
    await fill(program.port, MEMORY_KEYS);
    const full = residentBytes(program.pid);
    resident.set(name, full);
    rows.push([name, (empty / MIB).toFixed(1), (full / MIB).toFixed(1)]);
  }
  recorder.raw("memory", JSON.stringify(rows), {});
  recorder.tables.push({
    title: `Resident memory, ${MEMORY_KEYS} keys`,
    heading: ["of", "empty MiB", "full MiB"],
    rows,
  });
  recorder.verdicts.push({
    what: `memory of ${MEMORY_KEYS} keys, codis / redis-server`,
    measured: resident.get("codis")! / resident.get("redis-server")!,
    limit: TARGETS.memory,
    unit: "x",
  });
}
