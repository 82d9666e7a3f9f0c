/**
 * `npm test`: everything that must hold, in the order that fails fastest: Debian packages present,
 * types, lint and format, the executable builds, then the tests. Stops at the first stage that
 * fails. The last line is `N passed, N failed`, summed over the stages that ran tests.
 *
 * `bun run test/run.ts unit e2e` runs only the stages named.
 */

import { missingPackages } from "./support/debian.ts";

interface Stage {
  readonly name: string;
  readonly command: readonly string[];
  /** Its output ends in bun test's summary, which is counted. */
  readonly isTest?: boolean;
}

/** One hanging test must not eat the time of all others. */
const TEST_TIMEOUT_MS = 120_000;

const UNIT_FOLDERS = [
  "support",
  "base",
  "resp",
  "slots",
  "commands",
  "model",
  "net",
  "store",
  "redis",
  "api",
  "bench",
  "bigkeys",
];
const ROLE_FOLDERS = ["proxy", "server", "dashboard", "scenarios", "golden", "cmd"];

const STAGES: readonly Stage[] = [
  { name: "types", command: ["tsc", "-p", "."] },
  { name: "lint", command: ["biome", "ci", "--colors=off", "."] },
  { name: "build", command: ["npm", "run", "--silent", "build"] },
  testStage("tidy", ["tidy.test.ts"]),
  testStage("unit", UNIT_FOLDERS),
  testStage("roles", ROLE_FOLDERS),
  testStage("fuzz", ["fuzz"]),
  testStage("durability", ["durability"]),
  testStage("compat", ["compat"]),
  testStage("e2e", ["e2e"]),
];

function testStage(name: string, paths: readonly string[]): Stage {
  const command = [
    "bun",
    "test",
    `--timeout=${TEST_TIMEOUT_MS}`,
    ...paths.map((p) => `./test/${p}`),
  ];
  return { name, command, isTest: true };
}

async function run(stage: Stage): Promise<{ exitCode: number; output: string }> {
  const child = Bun.spawn([...stage.command], { stdout: "pipe", stderr: "pipe", stdin: "ignore" });
  const output: string[] = [];
  await Promise.all([relay(child.stdout, output), relay(child.stderr, output)]);
  return { exitCode: await child.exited, output: output.join("") };
}

/** Shows what the stage prints while it prints it, and keeps it for the summary. */
async function relay(stream: ReadableStream<Uint8Array>, kept: string[]): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    process.stdout.write(chunk);
    kept.push(decoder.decode(chunk, { stream: true }));
  }
}

/** Reads ` 12 pass` and ` 1 fail` of bun test's summary. */
function countOf(word: "pass" | "fail", output: string): number {
  const matches = [...output.matchAll(new RegExp(`^ *(\\d+) ${word}$`, "gm"))];
  return matches.reduce((sum, match) => sum + Number(match[1]), 0);
}

async function main(wanted: readonly string[]): Promise<number> {
  const missing = missingPackages();
  if (missing.length > 0) {
    process.stderr.write(
      `The tests drive real programs that are not installed here.\nNext step, as root: apt-get install -y ${missing.join(" ")}\n`,
    );
    return 1;
  }
  const unknown = wanted.filter((name) => !STAGES.some((stage) => stage.name === name));
  if (unknown.length > 0) {
    const known = STAGES.map((stage) => stage.name).join(" ");
    process.stderr.write(`Unknown stage ${unknown.join(" ")}; stages are: ${known}\n`);
    return 2;
  }
  let passed = 0;
  let failed = 0;
  for (const stage of STAGES) {
    if (wanted.length > 0 && !wanted.includes(stage.name)) continue;
    const begin = performance.now();
    process.stdout.write(`\n== ${stage.name}: ${stage.command.join(" ")}\n`);
    const { exitCode, output } = await run(stage);
    const seconds = ((performance.now() - begin) / 1000).toFixed(1);
    process.stdout.write(`== ${stage.name}: ${exitCode === 0 ? "ok" : "FAILED"} in ${seconds} s\n`);
    if (stage.isTest) {
      passed += countOf("pass", output);
      failed += countOf("fail", output);
    }
    if (exitCode !== 0) {
      process.stdout.write(`${passed} passed, ${Math.max(1, failed)} failed\n`);
      return 1;
    }
  }
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed === 0 && (passed > 0 || wanted.length > 0) ? 0 : 1;
}

process.exit(await main(process.argv.slice(2)));
