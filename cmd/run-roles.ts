/**
 * Runs one role or several in this process until they end: config, log, pid file, service manager,
 * signals, exit code. What `codis <role>` and `codis run` share.
 *
 *   Job ──> readings of the file ──> logs ──> start, in order ──> ready ──> all have ended, or one
 *                       SIGHUP ──> readings ──> reload       has failed and ends all, in reverse
 */

import { rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { ConfigTable } from "../src/base/config.ts";
import { CodisError, errorText } from "../src/base/errors.ts";
import { readTextFile } from "../src/base/files.ts";
import { createLog, type Log } from "../src/base/log.ts";
import {
  addCommonOptions,
  type CommonFlags,
  EXIT_DONE,
  EXIT_FAILED,
  EXIT_USAGE,
  newCommand,
  parse,
} from "./flags.ts";
import { type Flags, type Reading, Role, type RoleSpec, type RunningRole } from "./role.ts";
import { connectServiceManager, type ServiceManager } from "./systemd.ts";

/** Of a config file; those of all roles together, with every comment, take 40 KiB. */
export const CONFIG_BYTES_MAX = 1024 * 1024;

/** What a command line asks for. */
export interface Job {
  /** The word: `proxy`, `run`. */
  readonly name: string;
  readonly flags: CommonFlags;
  /** In the order in which they start. */
  readonly roles: readonly Role[];
  /** Looks at the whole file; throws CodisError "usage". */
  check?(text: string): void;
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
  const command = newCommand(`codis ${spec.name}`, spec.summary, spec.example);
  addCommonOptions(command, "read this TOML file on top of the defaults");
  spec.options?.(command);
  const usage = parse(command, argv);
  if (usage !== undefined) return usage;
  const flags = command.opts<CommonFlags & Flags>();
  return runJob(spec.name, () => ({ name: spec.name, flags, roles: [new Role(spec, flags, "")] }));
}

/**
 * @param name for errors
 * @param plan may throw CodisError "usage"
 * @returns the exit code
 */
export async function runJob(name: string, plan: () => Job): Promise<number> {
  try {
    const job = plan();
    if (job.flags.defaultConfig) {
      process.stdout.write(job.roles.map((role) => role.defaults()).join("\n"));
      return EXIT_DONE;
    }
    return job.flags.testConfig ? testConfig(job) : await serve(job, readFile(job));
  } catch (error) {
    if (!(error instanceof CodisError)) throw error;
    process.stderr.write(`codis ${name}: ${errorText(error)}\n`);
    return error.code === "usage" ? EXIT_USAGE : EXIT_FAILED;
  }
}

/** What the file, as it is now, asks of each role. Throws CodisError naming the file. */
function readFile(job: Job): Reading[] {
  return withFile(job, (text) => job.roles.map((role) => role.read(text)));
}

/** Does `work` on the file's text, "" when none is given. Throws CodisError naming the file. */
function withFile<T>({ flags, check }: Job, work: (text: string) => T): T {
  const { config: path } = flags;
  let text = "";
  if (path !== undefined) {
    try {
      text = readTextFile(path, CONFIG_BYTES_MAX);
    } catch (error) {
      throw new CodisError("usage", `Cannot read the config file ${path}`, error);
    }
  }
  try {
    check?.(text);
    return work(text);
  } catch (error) {
    if (!(error instanceof CodisError) || path === undefined) throw error;
    throw new CodisError(error.code, `load config ${path} failed`, error);
  }
}

/**
 * Names all that is wrong with the file, then the first that is wrong with the flags on top of it,
 * then the first that this host does not have.
 */
function testConfig(job: Job): number {
  const name = job.flags.config ?? "the defaults";
  const problems = withFile(job, (text) => job.roles.flatMap((role) => role.problems(text)));
  for (const problem of problems) process.stderr.write(`${name}: ${problem}\n`);
  if (problems.length > 0) return EXIT_USAGE;
  const readings = readFile(job);
  try {
    for (const [i, role] of job.roles.entries()) role.checkHost(readings[i]!);
  } catch (error) {
    if (!(error instanceof CodisError)) throw error;
    process.stderr.write(`${name}: ${errorText(error)}\n`);
    return EXIT_USAGE;
  }
  process.stdout.write(`${name}: ok\n`);
  return EXIT_DONE;
}

async function serve(job: Job, readings: readonly Reading[]): Promise<number> {
  const { roles, flags } = job;
  const roleLogs = roles.map((role, i) => role.openLog(readings[i]!));
  const ownLog = roles[0]!.name === job.name ? undefined : openOwnLog(job);
  const log = ownLog ?? roleLogs[0]!;
  const logs = ownLog === undefined ? roleLogs : [ownLog, ...roleLogs];
  // From here on, so that a role that loads its data for long outlives a logrotate.
  const onHangup = (): void => reload(job, log, logs);
  process.on("SIGHUP", onHangup);
  const manager = connectServiceManager();
  const running: RunningRole[] = [];
  let isClosing = false;
  const close = async (): Promise<void> => {
    isClosing = true;
    for (const role of running.toReversed()) {
      await role.close();
      await role.done;
    }
  };
  const pidfile = flags.pidfile === undefined ? undefined : resolve(flags.pidfile);
  let stopListening: (() => void) | undefined;
  try {
    for (const role of roles) running.push(await role.start());
    if (pidfile !== undefined) writePidfile(pidfile, log);
    const refusal = (): string | undefined =>
      running.map((role) => role.refusalToClose?.()).find((why) => why !== undefined);
    stopListening = closeOnSignals(close, refusal, log, manager, flags.supervised === true);
    manager.ready();
    if (flags.supervised) printReady(job, running);
    const exitCode = await allEnded(job, running, (name, others) => {
      if (!isClosing) log.info(`${name} has ended, the others serve on`, { others });
    });
    // One that has ended by itself needs no closing, and one that died cannot be closed in order.
    if (running.length > 1) await close();
    return exitCode;
  } catch (error) {
    await close();
    throw error;
  } finally {
    stopListening?.();
    process.off("SIGHUP", onHangup);
    if (pidfile !== undefined) rmSync(pidfile, { force: true });
  }
}

/**
 * Resolves with 0 when every role has ended in order, as one does that is told to over its API, or
 * with the exit code of the first that fails: what it was to the others, nobody is.
 * @param onEnd told of each that ends in order while others go on, with the names of these
 */
function allEnded(
  { roles }: Job,
  running: readonly RunningRole[],
  onEnd: (name: string, others: string) => void,
): Promise<number> {
  const left = new Set(roles.map(({ name }) => name));
  return new Promise((resolve) => {
    for (const [i, { done }] of running.entries()) {
      const { name } = roles[i]!;
      void done.then((exitCode) => {
        left.delete(name);
        if (exitCode !== EXIT_DONE || left.size === 0) resolve(exitCode);
        else onEnd(name, [...left].join(", "));
      });
    }
  });
}

/** Of `codis run` itself. */
function openOwnLog({ name, flags }: Job): Log {
  const { log: file, logFormat: format, logLevel: level = "INFO" } = flags;
  return createLog({ role: name, level, format, ...(file !== undefined && { file }) });
}

/** For the parent of a supervised process: `{"ready":true,"addresses":{"admin":"127.0.0.1:1"}}`. */
function printReady({ roles }: Job, running: readonly RunningRole[]): void {
  const entries = running.flatMap(({ addresses }, i) =>
    Object.entries(addresses).map(([purpose, address]) => {
      return [roles.length === 1 ? purpose : `${roles[i]!.name}.${purpose}`, address];
    }),
  );
  const addresses = Object.fromEntries(entries) as Record<string, string>;
  process.stdout.write(`${JSON.stringify({ ready: true, addresses })}\n`);
}

function writePidfile(path: string, log: Log): void {
  try {
    writeFileSync(path, String(process.pid), { mode: 0o644 });
  } catch (error) {
    log.warn("cannot write the pid file, going on without", { path, error: errorText(error) });
  }
}

// -- signals -------------------------------------------------------------------------------------

/** SIGHUP: logs are opened again, as logrotate wants, and the file is read again. Ends nothing. */
function reload(job: Job, log: Log, logs: readonly Log[]): void {
  try {
    for (const each of logs) each.reopen();
  } catch (error) {
    log.error("cannot open the log file again, going on with the old one", {
      error: errorText(error),
    });
  }
  if (job.flags.config === undefined) return;
  let readings: readonly Reading[];
  try {
    readings = readFile(job);
  } catch (error) {
    if (!(error instanceof CodisError)) throw error;
    log.warn("config not read again, the old settings stay", { error: errorText(error) });
    return;
  }
  for (const [i, role] of job.roles.entries()) role.reload(readings[i]!);
}

/**
 * SIGINT and SIGTERM close, the second one whatever is lost by it. A supervised process also ends
 * when its stdin does: that pipe's other end is the parent, so it dies with it however it died.
 * @returns a function that stops listening
 */
function closeOnSignals(
  closeRoles: () => Promise<void>,
  refusal: () => string | undefined,
  log: Log,
  manager: ServiceManager,
  supervised: boolean,
): () => void {
  const close = (reason: string): void => {
    manager.stopping();
    log.info("stopping", { reason });
    // A failing close has nobody else to tell: the process must end all the same.
    closeRoles().catch((error: unknown) => {
      log.error("stop failed", { error: errorText(error) });
      process.exit(EXIT_FAILED);
    });
  };
  let hasRefused = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    const why = hasRefused ? undefined : refusal();
    hasRefused = why !== undefined;
    if (why === undefined) close(signal);
    else log.error("not stopped: changes would be lost; the next signal ends it", { error: why });
  };
  const onParentGone = (): void => close("the parent process is gone");
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  if (supervised) process.stdin.on("end", onParentGone).on("error", onParentGone).resume();
  return () => {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
    if (supervised) process.stdin.off("end", onParentGone).off("error", onParentGone).pause();
  };
}
