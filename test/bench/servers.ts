/** Our server beside redis-server: CPU per request of SET, GET and INCR on a million keys. */

import { Programs } from "../support/programs.ts";
import { contest, type Peer, ratioOf } from "./contest.ts";
import { COUNTERS, fill, KEYS } from "./fill.ts";
import { MEASURED_CORE, SERVER_RUNS, TARGETS } from "./load.ts";
import { resultTable } from "./proxies.ts";
import type { Recorder } from "./record.ts";

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
