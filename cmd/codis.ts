/**
 * `codis <role> ...`: the one executable. The first word says what runs; everything after it
 * belongs to that word. Exit codes: 0 done, 1 failed, 2 usage. A mistake of ours (an assertion, an
 * error nobody expected) is printed with its stack and ends the process with 1.
 */

import { AssertionError } from "../src/base/assert.ts";
import { errorText } from "../src/base/errors.ts";
import { nearest } from "../src/base/nearest.ts";
import { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, VERSION_TEXT } from "./flags.ts";

type Run = (argv: readonly string[]) => Promise<number>;

interface Word {
  readonly summary: string;
  load(): Promise<Run>;
}

/** Loaded on demand, so that `codis admin` starts without the server's code. */
const WORDS: Readonly<Record<string, Word>> = {
  up: {
    summary: "a whole cluster on this host, nothing to configure",
    load: async () => (await import("./up/up.ts")).runUp,
  },
  proxy: {
    summary: "the address clients connect to",
    load: async () => (await import("./proxy.ts")).runProxy,
  },
  server: {
    summary: "an in-memory Redis-compatible server with slots",
    load: async () => (await import("./server.ts")).runServer,
  },
  dashboard: {
    summary: "the control plane of one product",
    load: async () => (await import("./dashboard.ts")).runDashboard,
  },
  admin: {
    summary: "look at a cluster and change it",
    load: async () => (await import("./admin/admin.ts")).runAdmin,
  },
  run: {
    summary: "several roles in one process, from one TOML file",
    load: async () => (await import("./run.ts")).runSeveral,
  },
};

function helpText(): string {
  const width = Math.max(...Object.keys(WORDS).map((word) => word.length));
  const rows = Object.entries(WORDS).map(([word, { summary }]) => {
    return `  ${word.padEnd(width)}  ${summary}`;
  });
  return [
    "One address in front of many Redis servers.",
    "",
    "Usage: codis <word> [options]        codis <word> --help shows the options of one",
    "",
    ...rows,
    "",
    "Example:",
    "  codis up                 then: redis-cli -p 19000 set hello world",
    "",
  ].join("\n");
}

function nearestWord(text: string): string | undefined {
  const words = Object.keys(WORDS);
  return words.find((word) => word.startsWith(text)) ?? nearest(text, words);
}

async function main(argv: readonly string[]): Promise<number> {
  const [first, ...rest] = argv;
  if (first === undefined || first === "--help" || first === "-h" || first === "help") {
    process.stdout.write(helpText());
    return first === undefined ? EXIT_USAGE : EXIT_DONE;
  }
  if (first === "--version" || first === "version") {
    process.stdout.write(`${VERSION_TEXT}\n`);
    return EXIT_DONE;
  }
  const word = Object.hasOwn(WORDS, first) ? WORDS[first] : undefined;
  if (word === undefined) {
    const nearest = nearestWord(first);
    const hint = nearest === undefined ? "" : ` (did you mean ${nearest}?)`;
    process.stderr.write(`codis: unknown word '${first}'${hint}; codis --help lists them\n`);
    return EXIT_USAGE;
  }
  return (await word.load())(rest);
}

function crash(error: unknown): never {
  const isOurs = error instanceof AssertionError || !(error instanceof Error);
  process.stderr.write(`codis: ${isOurs ? "this is a bug: " : ""}${errorText(error)}\n`);
  if (error instanceof Error && error.stack !== undefined) process.stderr.write(`${error.stack}\n`);
  process.exit(EXIT_FAILED);
}

/**
 * Ends `stream` and waits until a pipe has taken everything: `process.exit` drops what it has not.
 */
function ended(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((done) => {
    // A reader that went away, as `| head` does, has read what it wanted.
    stream.once("error", () => done());
    stream.end(() => done());
  });
}

process.on("uncaughtException", crash).on("unhandledRejection", crash);
const exitCode = await main(process.argv.slice(2));
await ended(process.stdout);
process.exit(exitCode);
