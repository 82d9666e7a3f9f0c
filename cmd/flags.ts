/**
 * What every role's command line shares: the common options, reading the TOML file, the log, the
 * pid file, signals and exit codes. A role hands over a `RoleSpec`; `runRole` brings it up, waits
 * until it ends and returns the exit code: 0 done, 1 failed, 2 usage.
 *
 *   argv ──> commander ──> config (file, then flags) ──> spec.start() ──> RunningRole ──> exit code
 */

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import packageJson from "../package.json" with { type: "json" };
import { type ConfigOf, type ConfigTable, loadConfig, renderDefaults } from "../src/base/config.ts";
import { CodisError, errorText } from "../src/base/errors.ts";
import { createLog, LOG_LEVELS, type Log, type LogLevel, parseLogLevel } from "../src/base/log.ts";
import { connectServiceManager, type ServiceManager } from "./systemd.ts";

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

/**
 * A role that serves. `done` resolves with the exit code when it has ended, by itself or by close.
 */
export interface RunningRole {
  /** What it listens on, by purpose: `{ admin: "127.0.0.1:11080", proxy: "127.0.0.1:19000" }`. */
  readonly addresses: Readonly<Record<string, string>>;
  readonly done: Promise<number>;
  /** Drains and stops; idempotent. */
  close(): Promise<void>;
}

export interface RoleContext<T extends ConfigTable> {
  readonly config: ConfigOf<T>;
  /** The role's own options, as commander parsed them. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly log: Log;
}

export interface RoleSpec<T extends ConfigTable> {
  readonly name: string;
  readonly summary: string;
  /** One whole command line that works, shown under --help. */
  readonly example: string;
  readonly table: T;
  /** Adds the role's own options. */
  options?(command: Command): void;
  /**
   * Applies the role's own options on top of the file; throws CodisError "usage" when one is wrong.
   */
  override?(config: ConfigOf<T>, flags: Readonly<Record<string, unknown>>): ConfigOf<T>;
  start(context: RoleContext<T>): Promise<RunningRole>;
}

interface CommonFlags {
  config?: string;
  defaultConfig?: boolean;
  testConfig?: boolean;
  log?: string;
  logLevel: LogLevel;
  logFormat: "text" | "json";
  pidfile?: string;
  supervised?: boolean;
}

/**
 * Runs one role from its command line until it ends.
 * @param argv the words after the role's name
 * @returns the exit code
 */
export async function runRole<T extends ConfigTable>(
  spec: RoleSpec<T>,
  argv: readonly string[],
): Promise<number> {
  const command = roleCommand(spec);
  const usage = parse(command, argv);
  if (usage !== undefined) return usage;
  const flags = command.opts<CommonFlags & Record<string, unknown>>();
  if (flags.defaultConfig) {
    process.stdout.write(renderDefaults(spec.table));
    return EXIT_DONE;
  }
  try {
    const { config, warnings } = readConfig(spec, flags);
    if (flags.testConfig) return testConfig(flags, warnings);
    return await serve(spec, config, warnings, flags);
  } catch (error) {
    if (!(error instanceof CodisError)) throw error;
    process.stderr.write(`codis ${spec.name}: ${errorText(error)}\n`);
    return error.code === "usage" ? EXIT_USAGE : EXIT_FAILED;
  }
}

/** The commander command of one role: common options first, then its own. */
function roleCommand<T extends ConfigTable>(spec: RoleSpec<T>): Command {
  const command = newCommand(`codis ${spec.name}`, spec.summary, spec.example)
    .option("-c, --config <file>", "read this TOML file on top of the defaults")
    .option("--default-config", "print a commented file with the defaults and exit")
    .option("--test-config", "check the file and flags, say what is wrong, and exit")
    .option("-l, --log <file>", "log into this file instead of stderr")
    .addOption(
      new Option("--log-level <level>", "how much is logged")
        .choices([...LOG_LEVELS])
        .argParser(parseLevel)
        .default("INFO"),
    )
    .addOption(
      new Option("--log-format <format>", "text or JSON lines")
        .choices(["text", "json"])
        .default("text"),
    )
    .option("--pidfile <file>", "write the process id here, removed on an orderly exit")
    .addOption(new Option("--supervised").hideHelp());
  spec.options?.(command);
  return command;
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

/** In any case, and WARNING for WARN: what the original takes. */
function parseLevel(text: string): LogLevel {
  const level = parseLogLevel(text);
  if (level !== undefined) return level;
  throw new InvalidArgumentError(`it must be one of ${LOG_LEVELS.join(", ")}`);
}

function readConfig<T extends ConfigTable>(
  spec: RoleSpec<T>,
  flags: CommonFlags & Record<string, unknown>,
): { config: ConfigOf<T>; warnings: readonly string[] } {
  let text = "";
  if (flags.config !== undefined) {
    try {
      text = readFileSync(flags.config, "utf8");
    } catch (error) {
      throw new CodisError("usage", `Cannot read the config file ${flags.config}`, error);
    }
  }
  try {
    const loaded = loadConfig(spec.table, text);
    const config = spec.override?.(loaded.config, flags) ?? loaded.config;
    return { config, warnings: loaded.warnings };
  } catch (error) {
    if (!(error instanceof CodisError) || flags.config === undefined) throw error;
    throw new CodisError(error.code, `load config ${flags.config} failed`, error);
  }
}

function testConfig(flags: CommonFlags, warnings: readonly string[]): number {
  const name = flags.config ?? "the defaults";
  for (const warning of warnings) process.stderr.write(`${name}: ${warning}\n`);
  if (warnings.length > 0) return EXIT_FAILED;
  process.stdout.write(`${name}: ok\n`);
  return EXIT_DONE;
}

async function serve<T extends ConfigTable>(
  spec: RoleSpec<T>,
  config: ConfigOf<T>,
  warnings: readonly string[],
  flags: CommonFlags & Record<string, unknown>,
): Promise<number> {
  const log = createLog({
    role: spec.name,
    level: flags.logLevel,
    format: flags.logFormat,
    ...(flags.log === undefined ? {} : { file: flags.log }),
  });
  for (const warning of warnings) log.warn(warning);
  const manager = connectServiceManager();
  const role = await spec.start({ config, flags, log });
  const pidfile = flags.pidfile === undefined ? undefined : resolve(flags.pidfile);
  if (pidfile !== undefined) writePidfile(pidfile, log);
  const stopListening = closeOnSignals(role, log, manager, flags.supervised === true);
  manager.ready();
  if (flags.supervised) {
    process.stdout.write(`${JSON.stringify({ ready: true, addresses: role.addresses })}\n`);
  }
  try {
    return await role.done;
  } finally {
    stopListening();
    if (pidfile !== undefined) rmSync(pidfile, { force: true });
  }
}

function writePidfile(path: string, log: Log): void {
  try {
    writeFileSync(path, String(process.pid), { mode: 0o644 });
  } catch (error) {
    log.warn("cannot write the pid file, going on without", { path, error: errorText(error) });
  }
}

/**
 * SIGINT and SIGTERM close the role, SIGHUP reopens the log (for logrotate). A supervised role also
 * ends when its stdin does: that pipe's other end is the parent, so it dies with it however it
 * died.
 * @returns a function that stops listening
 */
export function closeOnSignals(
  role: RunningRole,
  log: Log,
  manager: ServiceManager,
  supervised = false,
): () => void {
  const close = (reason: string): void => {
    manager.stopping();
    log.info("stopping", { reason });
    // A failing close has nobody else to tell: the process must end all the same.
    role.close().catch((error: unknown) => {
      log.error("stop failed", { error: errorText(error) });
      process.exit(EXIT_FAILED);
    });
  };
  const onSignal = (signal: NodeJS.Signals): void => close(signal);
  const onHangup = (): void => {
    try {
      log.reopen();
    } catch (error) {
      log.error("cannot open the log file again, going on with the old one", {
        error: errorText(error),
      });
    }
  };
  const onParentGone = (): void => close("the parent process is gone");
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal).on("SIGHUP", onHangup);
  if (supervised) process.stdin.on("end", onParentGone).on("error", onParentGone).resume();
  return () => {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal).off("SIGHUP", onHangup);
    if (supervised) process.stdin.off("end", onParentGone).off("error", onParentGone).pause();
  };
}
