/**
 * redis-benchmark's default tests, our server beside redis-server: CPU time per request, first with
 * nothing kept on disk, then with an append-only file synced each second. What must hold is said of
 * all tests together: the median of their ratios, and the worst of them.
 */

import { type Program, Programs } from "../support/programs.ts";
import { RespClient } from "../support/resp-client.ts";
import { contest, median, type Peer, type Result, ratioOf } from "./contest.ts";
import { COUNTERS, fill, KEYS } from "./fill.ts";
import {
  COMMAND_RUNS,
  JOURNAL_RUNS,
  MEASURED_CORE,
  type Runs,
  SURPLUS_ELEMENTS,
  TARGETS,
  type TestName,
} from "./load.ts";
import type { Recorder, Table } from "./record.ts";
import { runLoad } from "./redis-benchmark.ts";

/** What CONFIG SET gives both servers. */
type Settings = Readonly<Record<string, string>>;

/** A rewrite would be measured too, now at this server and then at that: there is none. */
const JOURNAL: Settings = {
  appendfsync: "everysec",
  "auto-aof-rewrite-percentage": "0",
};

export async function benchCommands(recorder: Recorder): Promise<void> {
  const ratios = await compare("commands", COMMAND_RUNS, undefined, recorder);
  for (const { pipeline } of COMMAND_RUNS.pipelines) {
    const limits = TARGETS.commands.get(pipeline)!;
    const ofPipeline = ratios.filter((ratio) => ratio.pipeline === pipeline);
    const worst = ofPipeline.toSorted((a, b) => b.ratio - a.ratio)[0]!;
    const what = `default tests, pipeline ${pipeline}: CPU per request, codis / redis-server`;
    recorder.verdicts.push(
      {
        what: `${what}, median of ${ofPipeline.length}`,
        measured: median(ofPipeline.map(({ ratio }) => ratio)),
        limit: limits.median,
        unit: "x",
      },
      { what: `${what}, ${worst.test}`, measured: worst.ratio, limit: limits.worst, unit: "x" },
    );
  }
}

export async function benchJournal(recorder: Recorder): Promise<void> {
  const ratios = await compare("journal", JOURNAL_RUNS, JOURNAL, recorder);
  for (const { pipeline } of JOURNAL_RUNS.pipelines) {
    const what = `default tests that write, pipeline ${pipeline}, appendfsync everysec`;
    recorder.verdicts.push({
      what: `${what}: codis / redis-server, median of ${ratios.length}`,
      measured: median(ratios.map(({ ratio }) => ratio)),
      limit: TARGETS.journal,
      unit: "x",
    });
  }
}

interface Ratio {
  readonly test: TestName;
  readonly pipeline: number;
  readonly ratio: number;
}

/** Takes both servers through the tests, and adds a table. @param journal absent: none is kept */
async function compare(
  title: string,
  runs: Runs,
  journal: Settings | undefined,
  recorder: Recorder,
): Promise<readonly Ratio[]> {
  recorder.progress(`${title}: starting`);
  await using programs = new Programs();
  const options = { core: MEASURED_CORE, args: ["--appendonly", journal ? "yes" : "no"] };
  const ours = await programs.server(options);
  const redis = await programs.redis(options);
  for (const program of [ours, redis]) await prepare(program, runs, journal ?? {});
  const peers: readonly Peer[] = [
    { name: "codis", port: ours.port, pid: ours.pid },
    { name: "redis-server", port: redis.port, pid: redis.pid },
  ];
  const results = await contest(title, peers, runs, recorder);
  const ratios = runs.pipelines.flatMap(({ pipeline }) =>
    runs.tests.map((test) => {
      const ratio = ratioOf(results, "codis", "redis-server", test, pipeline);
      return { test, pipeline, ratio };
    }),
  );
  const words = ["Default tests of redis-benchmark", ...Object.entries(journal ?? {}).flat()].join(
    " ",
  );
  recorder.tables.push(ratioTable(words, results, ratios));
  return ratios;
}

/** Keys that are read exist, and nothing is ever taken from what is empty. */
async function prepare({ port }: Program, runs: Runs, settings: Settings): Promise<void> {
  const client = await RespClient.connect(port);
  for (const [name, value] of Object.entries(settings)) {
    const reply = await client.call("CONFIG", "SET", name, value);
    if (reply !== "OK") throw new Error(`Cannot set ${name} to ${value}: ${String(reply)}`);
  }
  client.close();
  await fill(port, runs.keySpace, KEYS);
  await fill(port, runs.keySpace, COUNTERS);
  for (const test of ["LPUSH", "SADD", "ZADD"] as const) {
    const keySpace = runs.exceptions?.[test]?.keySpace ?? runs.keySpace;
    const { valueBytes } = runs;
    await runLoad(port, { test, pipeline: 32, requests: SURPLUS_ELEMENTS, keySpace, valueBytes });
  }
}

function ratioTable(title: string, results: readonly Result[], ratios: readonly Ratio[]): Table {
  return {
    title,
    heading: ["pipeline", "test", "codis us/req", "redis us/req", "ratio", "p99 ms", "redis p99"],
    rows: ratios.map(({ test, pipeline, ratio }) => {
      const [ours, redis] = ["codis", "redis-server"].map((peer) => {
        return results.find(
          (result) => result.peer === peer && result.test === test && result.pipeline === pipeline,
        )!;
      });
      return [
        String(pipeline),
        test,
        median(ours!.cpuRounds).toFixed(2),
        median(redis!.cpuRounds).toFixed(2),
        ratio.toFixed(2),
        ours!.p99Ms.toFixed(3),
        redis!.p99Ms.toFixed(3),
      ];
    }),
  };
}
