/**
 * One role between its part of the config file and its end: read, started, and read again on
 * SIGHUP, which changes what can change while it runs and says what needs a restart.
 *
 *   file ──> table of the role, or its [section] ──> flags on top ──> Reading ──> start
 *                                                                            └──> reload
 */

import type { Command } from "commander";
import {
  type ConfigOf,
  type ConfigTable,
  type ConfigValue,
  configProblems,
  configToJson,
  loadConfig,
  renderDefaults,
} from "../src/base/config.ts";
import { CodisError } from "../src/base/errors.ts";
import { createLog, LOG_LEVELS, type Log, parseLogLevel } from "../src/base/log.ts";
import type { CommonFlags } from "./flags.ts";

/**
 * A role that serves. `done` resolves with the exit code when it has ended, by itself or by close.
 */
export interface RunningRole {
  /** What it listens on, by purpose: `{ admin: "127.0.0.1:11080", proxy: "127.0.0.1:19000" }`. */
  readonly addresses: Readonly<Record<string, string>>;
  readonly done: Promise<number>;
  /**
   * Gives a key of the config another value, one its rules allow. False, or no such method: the
   * key is read at the start only.
   */
  change?(key: string, value: ConfigValue): boolean;
  /** Why it should not be closed now: something would be lost. Undefined when nothing would. */
  refusalToClose?(): string | undefined;
  /** Drains and stops; idempotent. */
  close(): Promise<void>;
}

export type Flags = Readonly<Record<string, unknown>>;

export interface RoleContext<T extends ConfigTable> {
  readonly config: ConfigOf<T>;
  /** The role's own options, as commander parsed them. */
  readonly flags: Flags;
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
  override?(config: ConfigOf<T>, flags: Flags): ConfigOf<T>;
  /**
   * Throws CodisError where this host does not have what the config names, as a start would.
   */
  checkHost?(config: ConfigOf<T>): void;
  start(context: RoleContext<T>): Promise<RunningRole>;
}

/** Whatever its table: what runs roles needs none of their types. */
export type AnyRoleSpec = RoleSpec<ConfigTable>;

/** Keys of every role's file, after its own. */
const COMMON_TABLE = {
  log_level: {
    kind: "string",
    default: "INFO",
    comment: `How much is logged: ${LOG_LEVELS.join(", ")}.`,
    check: (value) =>
      parseLogLevel(value) === undefined ? `must be one of ${LOG_LEVELS.join(", ")}` : undefined,
  },
} as const satisfies ConfigTable;

/** The keys of a role's file. */
export function fileTable(spec: Pick<AnyRoleSpec, "table">): ConfigTable {
  return { ...spec.table, ...COMMON_TABLE };
}

/** What a file and the flags ask of a role. */
export interface Reading {
  readonly config: Readonly<Record<string, ConfigValue>>;
  readonly warnings: readonly string[];
}

export class Role {
  readonly name: string;
  readonly #spec: AnyRoleSpec;
  readonly #table: ConfigTable;
  readonly #section: string;
  readonly #flags: CommonFlags & Flags;
  /** What it runs with. */
  #config: Readonly<Record<string, ConfigValue>> = {};
  #log: Log | undefined;
  #running: RunningRole | undefined;

  /** @param section its table in a file for several roles; "" when the file is its own */
  constructor(spec: AnyRoleSpec, flags: CommonFlags & Flags, section: string) {
    this.name = spec.name;
    this.#spec = spec;
    this.#table = fileTable(spec);
    this.#section = section;
    this.#flags = flags;
  }

  defaults(): string {
    return renderDefaults(this.#table, this.#section);
  }

  /** All that is wrong with its part of a file; throws CodisError "usage" for bad TOML. */
  problems(text: string): string[] {
    const found = configProblems(this.#table, text, this.#section);
    return this.#section === "" ? found : found.map((each) => `[${this.#section}] ${each}`);
  }

  /** @throws CodisError "usage" for a wrong value, or a key in a section that is not known */
  read(text: string): Reading {
    const { config, warnings } = loadConfig(this.#table, text, this.#section);
    if (this.#section !== "" && warnings.length > 0) {
      throw new CodisError("usage", `[${this.#section}] ${warnings[0]}`);
    }
    const { logLevel } = this.#flags;
    return {
      config: {
        ...config,
        ...this.#spec.override?.(config, this.#flags),
        ...(logLevel !== undefined && { log_level: logLevel }),
      },
      warnings,
    };
  }

  /** Throws CodisError where this host does not have what `reading` names. */
  checkHost({ config }: Reading): void {
    this.#spec.checkHost?.(config);
  }

  /** Its log, from the first call on; `reading` says the level. */
  openLog({ config, warnings }: Reading): Log {
    const { log: file, logFormat: format } = this.#flags;
    const level = parseLogLevel(String(config.log_level))!;
    const log = createLog({ role: this.name, level, format, ...(file !== undefined && { file }) });
    for (const warning of warnings) log.warn(warning);
    this.#config = config;
    this.#log = log;
    return log;
  }

  async start(): Promise<RunningRole> {
    const [config, flags, log] = [this.#config, this.#flags, this.#log!];
    this.#running = await this.#spec.start({ config, flags, log });
    return this.#running;
  }

  /** One line per key that is another than what it runs with. */
  reload({ config, warnings }: Reading): void {
    const log = this.#log!;
    for (const warning of warnings) log.warn(warning);
    const shown = configToJson(this.#table, config);
    const changed = Object.keys(this.#table).filter((key) => config[key] !== this.#config[key]);
    if (changed.length === 0) log.info("config read again: nothing changed");
    for (const key of changed) {
      const isSecret = this.#table[key]!.secret !== undefined;
      const fields = isSecret ? { key } : { key, value: shown[key] };
      if (this.#change(key, config[key]!)) {
        this.#config = { ...this.#config, [key]: config[key]! };
        log.info("config changed: applied", fields);
      } else {
        log.warn("config changed: needs a restart", fields);
      }
    }
  }

  #change(key: string, value: ConfigValue): boolean {
    if (key !== "log_level") return this.#running?.change?.(key, value) ?? false;
    this.#log!.setLevel(parseLogLevel(String(value))!);
    return true;
  }
}
