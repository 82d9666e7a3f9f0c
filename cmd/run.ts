/**
 * `codis run <role>... --config FILE`: several roles in one process, from one TOML file with a
 * table per role, and with the options of each. They start in the order given and stop in reverse;
 * one that is told to end ends alone, one that fails ends all.
 *
 * An option goes to every role that is run and has it: --product_name is the dashboard's and the
 * proxy's, --filesystem where the one stores and the other looks.
 */

import { Command, type Option } from "commander";
import { configSections, keyOutsideSections } from "../src/base/config.ts";
import { CodisError } from "../src/base/errors.ts";
import { DASHBOARD_ROLE } from "./dashboard.ts";
import { addCommonOptions, type CommonFlags, newCommand, parse } from "./flags.ts";
import { PROXY_ROLE } from "./proxy.ts";
import { type AnyRoleSpec, type Flags, fileTable, Role } from "./role.ts";
import { runJob } from "./run-roles.ts";
import { SERVER_ROLE } from "./server.ts";

const ROLES: readonly AnyRoleSpec[] = [SERVER_ROLE, DASHBOARD_ROLE, PROXY_ROLE];
const NAMES = ROLES.map((spec) => spec.name).join(", ");

/** Options that name one port, so that two roles cannot share what is given. */
const OF_ONE_ROLE = ["hostAdmin"];

/** An option, and the roles that have it. */
interface Owned {
  readonly option: Option;
  readonly owners: readonly string[];
}

/** @returns the exit code, after the roles have ended */
export async function runSeveral(argv: readonly string[]): Promise<number> {
  const command = newCommand(
    "codis run",
    "Several roles in one process, from one TOML file with a table per role.",
    "codis run server dashboard proxy --config codis.toml --dashboard 127.0.0.1:18080",
  ).argument("[roles...]", `one or more of: ${NAMES}`);
  addCommonOptions(command, "a TOML file with a [table] per role");
  const owned = roleOptions();
  for (const { option } of owned) command.addOption(option);
  const usage = parse(command, argv);
  if (usage !== undefined) return usage;
  const flags = command.opts<CommonFlags & Flags>();
  return runJob("run", () => {
    const specs = chooseRoles(command.args, flags.defaultConfig === true);
    const names = specs.map((spec) => spec.name);
    checkOptions(owned, flags, names);
    return {
      name: "run",
      flags,
      roles: specs.map((spec) => new Role(spec, flags, spec.name)),
      check: (text) => {
        checkSections(text, names);
        checkOutside(text, specs);
      },
    };
  });
}

/** The options of all roles, each once; its help says what it is to whom. */
function roleOptions(): Owned[] {
  const found = new Map<string, { option: Option; owners: string[]; help: string[] }>();
  // From the last to the first: the proxy's options read what they are given most strictly.
  for (const spec of ROLES.toReversed()) {
    const command = new Command();
    spec.options?.(command);
    for (const option of command.options) {
      const known = found.get(option.attributeName()) ?? { option, owners: [], help: [] };
      known.owners.push(spec.name);
      known.help.push(`${spec.name}: ${option.description}`);
      found.set(option.attributeName(), known);
    }
  }
  return [...found.values()].map(({ option, owners, help }) => {
    option.description = help.join("; ");
    return { option, owners };
  });
}

/** All roles when none is named and only their defaults are asked for. */
function chooseRoles(names: readonly string[], isDefaults: boolean): readonly AnyRoleSpec[] {
  if (names.length === 0 && isDefaults) return ROLES;
  if (names.length === 0) {
    throw new CodisError("usage", `Nothing to run: name one or more of ${NAMES}`);
  }
  return names.map((name, i) => {
    const spec = ROLES.find((candidate) => candidate.name === name);
    if (spec === undefined) {
      throw new CodisError("usage", `Cannot run '${name}': a role is one of ${NAMES}`);
    }
    if (names.indexOf(name) === i) return spec;
    throw new CodisError("usage", `Cannot run ${name} twice in one process: name it once`);
  });
}

function checkOptions(owned: readonly Owned[], flags: Flags, names: readonly string[]): void {
  for (const { option, owners } of owned) {
    const key = option.attributeName();
    if (flags[key] === undefined) continue;
    const takers = owners.filter((owner) => names.includes(owner));
    if (takers.length === 0) {
      throw new CodisError(
        "usage",
        `Cannot use ${option.long}: it is an option of ${owners.join(" and ")}, not of ${names.join(", ")}; name the role or leave it out`,
      );
    }
    if (takers.length > 1 && OF_ONE_ROLE.includes(key)) {
      throw new CodisError(
        "usage",
        `Cannot give ${option.long} to ${takers.join(" and ")}: it names one port; bind addresses that others reach, or run them as two processes`,
      );
    }
  }
}

/** A table for a role that is not run is likely a forgotten role or a misspelt name. */
function checkSections(text: string, names: readonly string[]): void {
  const stray = configSections(text).find((section) => !names.includes(section));
  if (stray === undefined) return;
  throw new CodisError(
    "usage",
    `The file has a table [${stray}], but the roles to run are ${names.join(", ")}; name the role or remove the table`,
  );
}

/** A role's own file has its keys in no table: read as this one's, it would count for nothing. */
function checkOutside(text: string, specs: readonly AnyRoleSpec[]): void {
  const stray = keyOutsideSections(text);
  if (stray === undefined) return;
  const { key, where } = stray;
  const owners = specs.filter((spec) => Object.hasOwn(fileTable(spec), key.toLowerCase()));
  const tables = (owners.length > 0 ? owners : specs).map((spec) => `[${spec.name}]`);
  throw new CodisError(
    "usage",
    `Cannot use ${key}${where === "" ? "" : ` (${where})`}: it stands in no table, and codis run ` +
      `reads only those of its roles; write ${tables.join(" or ")} above it`,
  );
}
