/** Our proxy beside twemproxy, a bare forwarder and a direct connection, before the same servers. */

import { join } from "node:path";
import { Programs } from "../support/programs.ts";
import { contest, median, type Peer, type Result, ratioOf } from "./contest.ts";
import { fill } from "./fill.ts";
import { MEASURED_CORE, NUTCRACKER_POOL, OTHER_CORE, PROXY_RUNS, TARGETS } from "./load.ts";
import type { Recorder } from "./record.ts";

export async function benchProxies(recorder: Recorder): Promise<void> {
  recorder.progress("proxies: starting");
  await using programs = new Programs();
  const backends = [
    await programs.redis({ core: OTHER_CORE }),
    await programs.redis({ core: OTHER_CORE }),
  ];
  const ports = backends.map((backend) => backend.port);
  const core = MEASURED_CORE;
  const ours = await programs.proxy({ backends: ports, core });
  const nutcracker = await programs.nutcracker(ports, NUTCRACKER_POOL, { core });
  const forwarder = await programs.script(join(import.meta.dir, "forwarder.ts"), {
    core,
    args: ports.map(String),
  });
  const peers: readonly Peer[] = [
    { name: "codis", port: ours.port, pid: ours.pid },
    { name: "nutcracker", port: nutcracker.port, pid: nutcracker.pid },
    { name: "forwarder", port: forwarder.port, pid: forwarder.pid },
    { name: "direct", port: backends[0]!.port },
  ];
  // Through each of them, as each puts a key on the server of its own choice; and so all are warm.
  for (const port of new Set([...peers.map((peer) => peer.port), ...ports])) {
    await fill(port, PROXY_RUNS.keySpace);
  }
  const results = await contest("proxies", peers, PROXY_RUNS, recorder);
  recorder.tables.push(resultTable("Proxies, two redis-servers behind each", results));
  for (const { pipeline } of PROXY_RUNS.pipelines) {
    for (const test of PROXY_RUNS.tests) {
      recorder.verdicts.push({
        what: `proxy ${test}, pipeline ${pipeline}: CPU per request, codis / nutcracker`,
        measured: ratioOf(results, "codis", "nutcracker", test, pipeline),
        limit: TARGETS.proxy.get(pipeline)!,
        unit: "x",
      });
    }
  }
}

/** A row per test and peer. */
export function resultTable(
  title: string,
  results: readonly Result[],
): { title: string; heading: string[]; rows: string[][] } {
  const sorted = [...results].sort((a, b) => a.pipeline - b.pipeline || compare(a.test, b.test));
  return {
    title,
    heading: ["pipeline", "test", "of", "CPU us/req", "req/s", "p50 ms", "p99 ms", "p99.9 ms"],
    rows: sorted.map((result) => [
      String(result.pipeline),
      result.test,
      result.peer,
      result.cpuRounds.length === 0 ? "-" : median(result.cpuRounds).toFixed(2),
      result.requestsPerSecond.toFixed(0),
      result.p50Ms.toFixed(3),
      result.p99Ms.toFixed(3),
      result.p999Ms.toFixed(3),
    ]),
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
