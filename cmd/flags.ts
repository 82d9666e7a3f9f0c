/**
 * What every command line shares: exit codes, version, help layout, and the options that all roles
 * have.
 */

import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import packageJson from "../package.json" with { type: "json" };
import { LOG_LEVELS, type LogLevel, parseLogLevel } from "../src/base/log.ts";

export const EXIT_DONE = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

/** What the roles tell about themselves through their APIs. */
export const BUILD = {
  version: packageJson.version,
  compile: `bun ${Bun.version} ${process.platform}-${process.arch}`,
} as const;
/** Two lines, as the original printed them. */
export const VERSION_TEXT = `version: ${BUILD.version}\ncompile: ${BUILD.compile}`;

/** Options that every role has, and `codis run`. */
export interface CommonFlags {
  readonly config?: string;
  readonly defaultConfig?: boolean;
  readonly testConfig?: boolean;
  readonly log?: string;
  /** Absent: what the file says. */
  readonly logLevel?: LogLevel;
  readonly logFormat: "text" | "json";
  readonly pidfile?: string;
  readonly supervised?: boolean;
}

/** @param file what `--config` reads, for the help */
export function addCommonOptions(command: Command, file: string): void {
  command
    .option("-c, --config <file>", file)
    .option("--default-config", "print a commented file with the defaults and exit")
    .option("--test-config", "check the file and flags, say what is wrong, and exit")
    .option("-l, --log <file>", "log into this file instead of stderr")
    .addOption(
      new Option("--log-level <level>", "how much is logged, whatever the file says")
        .choices([...LOG_LEVELS])
        .argParser(parseLevel),
    )
    .addOption(
      new Option("--log-format <format>", "text or JSON lines")
        .choices(["text", "json"])
        .default("text"),
    )
    .option("--pidfile <file>", "write the process id here, removed on an orderly exit")
    .addOption(new Option("--supervised").hideHelp());
}

/**
 * A commander command that throws instead of exiting, with version, example and our help layout.
 */
export function newCommand(name: string, summary: string, example: string): Command {
  return new Command(name)
    .description(summary)
    .version(VERSION_TEXT, "--version", "print version and exit")
    .helpOption("-h, --help", "show this help")
    .addHelpText("after", `\nExample:\n  ${example}`)
    .showSuggestionAfterError()
    .showHelpAfterError("(--help shows all options)")
    .allowExcessArguments(false)
    .exitOverride();
}

/**
 * Parses; an exit code when there is nothing to run (help, version, usage error), else undefined.
 */
export function parse(command: Command, argv: readonly string[]): number | undefined {
  try {
    command.parse([...argv], { from: "user" });
    return undefined;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT_DONE : EXIT_USAGE;
  }
}

/** An option's value in an error text: one that is empty must be seen too. */
export function shownValue(text: string): string {
  return text === "" ? "''" : text;
}

/** In any case, and WARNING for WARN: what the original takes. */
function parseLevel(text: string): LogLevel {
  const level = parseLogLevel(text);
  if (level !== undefined) return level;
  throw new InvalidArgumentError(`it must be one of ${LOG_LEVELS.join(", ")}`);
}
