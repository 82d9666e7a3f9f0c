/**
 * `npm run bench`: how much CPU time a request costs and how fast slots move, ours against the
 * peers, and the targets that must be met. Needs two cores with nobody else on them, redis-server,
 * redis-benchmark, nutcracker and taskset, and `npm run build`; the load is described in load.ts.
 *
 *   npm run bench                               everything
 *   bun run test/bench/bench.ts proxy memory    some of PARTS
 *   bun run test/bench/bench.ts --json          for machines
 *
 * Exit code: 0 every target met, 1 one missed, 2 usage.
 */

import { programPath } from "../support/debian.ts";
import { benchBusyTurns } from "./busy-turns.ts";
import { benchCommands, benchJournal } from "./commands.ts";
import { OTHER_CORE } from "./load.ts";
import { benchMemory } from "./memory.ts";
import { benchMigration } from "./migration.ts";
import { benchProxies } from "./proxies.ts";
import { Recorder } from "./record.ts";
import { benchServers } from "./servers.ts";
import { benchTurns } from "./turns.ts";

const PARTS: Readonly<Record<string, (recorder: Recorder) => Promise<void>>> = {
  proxy: benchProxies,
  server: benchServers,
  commands: benchCommands,
  journal: benchJournal,
  memory: benchMemory,
  turns: benchTurns,
  "busy-turns": benchBusyTurns,
  migration: benchMigration,
};

async function main(argv: readonly string[]): Promise<number> {
  const asJson = argv.includes("--json");
  const wanted = argv.filter((word) => word !== "--json");
  const unknown = wanted.filter((word) => !Object.hasOwn(PARTS, word));
  if (unknown.length > 0) {
    const parts = Object.keys(PARTS).join(" ");
    process.stderr.write(`Unknown part ${unknown.join(" ")}; parts are: ${parts}\n`);
    return 2;
  }
  pinSelf();
  const recorder = new Recorder();
  for (const [name, bench] of Object.entries(PARTS)) {
    if (wanted.length === 0 || wanted.includes(name)) await bench(recorder);
  }
  return recorder.finish(asJson) ? 0 : 1;
}

/** This process, all its threads, and so the load generators it starts. */
function pinSelf(): void {
  const argv = [programPath("taskset"), "-a", "-p", "-c", String(OTHER_CORE), String(process.pid)];
  const { exitCode, stderr } = Bun.spawnSync(argv);
  if (exitCode !== 0) throw new Error(`Cannot use core ${OTHER_CORE}: ${stderr.toString()}`);
}

process.exit(await main(process.argv.slice(2)));
