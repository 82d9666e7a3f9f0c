/**
 * `codis run <role>... --config FILE`: several roles in one process, from one TOML file with a
 * table per role. They start in the order given and stop in reverse; the first that ends ends all.
 */

import { readFileSync } from "node:fs";
import {
  type ConfigTable,
  configSections,
  loadConfig,
  renderDefaults,
} from "../src/base/config.ts";
import { CodisError, errorText } from "../src/base/errors.ts";
import { createLog } from "../src/base/log.ts";
import { DASHBOARD_ROLE } from "./dashboard.ts";
import {
  closeOnSignals,
  EXIT_DONE,
  EXIT_FAILED,
  EXIT_USAGE,
  newCommand,
  parse,
  type RoleSpec,
  type RunningRole,
} from "./flags.ts";
import { PROXY_ROLE } from "./proxy.ts";
import { SERVER_ROLE } from "./server.ts";
import { connectServiceManager } from "./systemd.ts";

/** Each role behind the one shape that this file needs, whatever its table. */
interface RunnableRole {
  readonly name: string;
  defaults(): string;
  /** Reads `[name]` of the file. Throws CodisError "usage" for a wrong value or an unknown key. */
  check(text: string): void;
  start(text: string): Promise<RunningRole>;
}

const ROLES: readonly RunnableRole[] = [
  runnable(SERVER_ROLE),
  runnable(DASHBOARD_ROLE),
  runnable(PROXY_ROLE),
];

interface RunFlags {
  config?: string;
  defaultConfig?: boolean;
  testConfig?: boolean;
}

/** @returns the exit code, after the roles have ended */
export async function runSeveral(argv: readonly string[]): Promise<number> {
  const names = ROLES.map((role) => role.name);
  const command = newCommand(
    "codis run",
    "Several roles in one process, from one TOML file with a table per role.",
    "codis run server dashboard proxy --config codis.toml",
  )
    .argument("<roles...>", `one or more of: ${names.join(", ")}`)
    .option("-c, --config <file>", "a TOML file with a [table] per role")
    .option("--default-config", "print a commented file with the defaults of the roles and exit")
    .option("--test-config", "check the file, say what is wrong, and exit");
  const usage = parse(command, argv);
  if (usage !== undefined) return usage;
  try {
    const flags = command.opts<RunFlags>();
    const roles = command.args.map(roleNamed);
    if (flags.defaultConfig) {
      process.stdout.write(roles.map((role) => role.defaults()).join("\n"));
      return EXIT_DONE;
    }
    const text = readText(flags.config);
    checkFile(text, roles);
    if (!flags.testConfig) return await serve(roles, text);
    process.stdout.write(`${flags.config ?? "the defaults"}: ok\n`);
    return EXIT_DONE;
  } catch (error) {
    if (!(error instanceof CodisError)) throw error;
    process.stderr.write(`codis run: ${errorText(error)}\n`);
    return error.code === "usage" ? EXIT_USAGE : EXIT_FAILED;
  }
}

function runnable<T extends ConfigTable>(spec: RoleSpec<T>): RunnableRole {
  return {
    name: spec.name,
    defaults: () => renderDefaults(spec.table, spec.name),
    check: (text) => {
      const { warnings } = loadConfig(spec.table, text, spec.name);
      if (warnings.length > 0) throw new CodisError("usage", `[${spec.name}] ${warnings[0]}`);
    },
    start: (text) => {
      const { config } = loadConfig(spec.table, text, spec.name);
      const log = createLog({ role: spec.name, level: "INFO", format: "text" });
      return spec.start({ config, flags: {}, log });
    },
  };
}

function roleNamed(name: string): RunnableRole {
  const role = ROLES.find((candidate) => candidate.name === name);
  if (role !== undefined) return role;
  const known = ROLES.map((candidate) => candidate.name).join(", ");
  throw new CodisError("usage", `Cannot run '${name}': a role is one of ${known}`);
}

function readText(path: string | undefined): string {
  if (path === undefined) return "";
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new CodisError("usage", `Cannot read the config file ${path}`, error);
  }
}

/** A table for a role that is not run is likely a forgotten role or a misspelt name. */
function checkFile(text: string, roles: readonly RunnableRole[]): void {
  const names = roles.map((role) => role.name);
  const stray = configSections(text).find((section) => !names.includes(section));
  if (stray !== undefined) {
    throw new CodisError(
      "usage",
      `The file has a table [${stray}], but the roles to run are ${names.join(", ")}; name the role or remove the table`,
    );
  }
  for (const role of roles) role.check(text);
}

async function serve(roles: readonly RunnableRole[], text: string): Promise<number> {
  const running: RunningRole[] = [];
  const manager = connectServiceManager();
  const log = createLog({ role: "run", level: "INFO", format: "text" });
  const closeAll = async (): Promise<void> => {
    for (const role of running.toReversed()) await role.close();
  };
  try {
    for (const role of roles) running.push(await role.start(text));
    const all: RunningRole = {
      addresses: {},
      done: Promise.race(running.map((role) => role.done)),
      close: closeAll,
    };
    const stopListening = closeOnSignals(all, log, manager);
    manager.ready();
    const exitCode = await all.done;
    stopListening();
    return exitCode;
  } finally {
    await closeAll();
  }
}
