/**
 * Configuration as a table: one row per key says kind, default, rule and meaning; loading,
 * checking, the printed default file and the JSON shown by the admin API all read it.
 *
 *   TOML text ──> loadConfig(table) ──> typed object + warnings
 *   table ──> renderDefaults ──> commented TOML that loads back to the defaults
 *
 * Keys match without case. An unknown key is a warning naming the nearest known one; a wrong type
 * or a broken rule is CodisError "usage": `invalid <key>` (upstream's text) with value, rule and
 * line as its cause. Inside, sizes are bytes and durations milliseconds; in files and JSON both are
 * texts.
 */

import { isIP } from "node:net";
import { parseAddress } from "./address.ts";
import { assert } from "./assert.ts";
import { formatDuration, parseDuration } from "./duration.ts";
import { CodisError, errorText } from "./errors.ts";
import { nearest } from "./nearest.ts";
import { formatSize, parseSize } from "./size.ts";
import { parseToml, type WantedValue } from "./toml.ts";

export type ConfigValue = string | number | boolean;

interface RowOf<Kind extends string, Default, Value> {
  readonly kind: Kind;
  readonly default: Default;
  /** One or two sentences for the default file. */
  readonly comment: string;
  /**
   * A password: `"omit"` leaves it out of JSON, `"blank"` shows "" there. Never in an error text.
   */
  readonly secret?: "omit" | "blank";
  /** The rule `value` breaks, to be read after the value (`must not be empty`), or undefined. */
  check?(value: Value, config: Readonly<Record<string, ConfigValue>>): string | undefined;
  /** The error's text where upstream says something else than `invalid <key>`. */
  complaint?(value: Value): string;
}

type StringRow = RowOf<"string", string, string>;
type BoolRow = RowOf<"bool", boolean, boolean>;
type ChoiceRow = RowOf<"choice", string, string> & { readonly choices: readonly string[] };
interface IntRow extends RowOf<"int", number, number> {
  /** Least value; 0 when absent. */
  readonly min?: number;
  /** Greatest value; 2^31 - 1 when absent. */
  readonly max?: number;
}
/** Default as text (`"128kb"`); value in bytes. */
interface SizeRow extends RowOf<"size", string, number> {
  readonly min?: number;
  readonly max?: number;
}
/** Default as text (`"30s"`); value in milliseconds, may have a fraction. */
interface DurationRow extends RowOf<"duration", string, number> {
  readonly min?: number;
  readonly max?: number;
}

export type NumberRow = IntRow | SizeRow | DurationRow;
export type ConfigRow = StringRow | BoolRow | ChoiceRow | NumberRow;

/** Key (lower case) -> row, in the order of the default file and of the JSON. */
export type ConfigTable = Readonly<Record<string, ConfigRow>>;

type ValueOf<Row> = Row extends { kind: "choice"; choices: readonly (infer Choice)[] }
  ? Choice
  : Row extends { kind: "string" }
    ? string
    : Row extends { kind: "bool" }
      ? boolean
      : number;

/** The loaded object of a table. */
export type ConfigOf<T extends ConfigTable> = { readonly [Key in keyof T]: ValueOf<T[Key]> };

const INT_MAX = 0x7fff_ffff;

/**
 * Reads `text` on top of the defaults and checks every rule.
 * @param section read only this table of the file (`proxy` for `[proxy]`); "" reads the top level
 * @throws CodisError "usage" for bad TOML (with line and column), a wrong type or a broken rule
 */
export function loadConfig<T extends ConfigTable>(
  table: T,
  text: string,
  section = "",
): { config: ConfigOf<T>; warnings: string[] } {
  const { config, warnings, broken } = readKeys(table, text, section);
  if (broken.length > 0) throw broken[0]!;
  return { config: config as ConfigOf<T>, warnings };
}

/**
 * Everything that is wrong with `text`: each key with a wrong type or a broken rule, then each that
 * is not known.
 * @param section as for loadConfig
 * @throws CodisError "usage" for bad TOML (with line and column)
 */
export function configProblems(table: ConfigTable, text: string, section = ""): string[] {
  const { warnings, broken } = readKeys(table, text, section);
  return [...broken.map((error) => errorText(error)), ...warnings];
}

function readKeys(
  table: ConfigTable,
  text: string,
  section: string,
): { config: Record<string, ConfigValue>; warnings: string[]; broken: CodisError[] } {
  const file = new Source(text, section, (key) => wantedValue(table, key));
  const warnings: string[] = [];
  const broken: CodisError[] = [];
  const config = defaultValues(table);
  const seen = new Set<string>();
  for (const [name, value] of Object.entries(file.values)) {
    const key = name.toLowerCase();
    const row = Object.hasOwn(table, key) ? table[key] : undefined;
    if (row === undefined) {
      warnings.push(unknownKey(table, name, file.where(name)));
      continue;
    }
    if (seen.has(key)) {
      broken.push(brokenKey(key, "given twice", file.where(name)));
      continue;
    }
    seen.add(key);
    try {
      config[key] = readValue(row, key, value, file.where(name));
    } catch (error) {
      if (!(error instanceof CodisError)) throw error;
      broken.push(error);
    }
  }
  broken.push(...brokenRules(table, config, (key) => file.where(key)));
  return { config, warnings, broken };
}

/**
 * The names of the tables in `text` (`[proxy]` -> `proxy`). Throws CodisError "usage" on bad TOML.
 */
export function configSections(text: string): string[] {
  const values = parseToml(text);
  return Object.keys(values).filter((name) => isTable(values[name]));
}

/**
 * The first key of `text` that stands in no table, and where (`line 3`, or "").
 * @throws CodisError "usage" on bad TOML
 */
export function keyOutsideSections(text: string): { key: string; where: string } | undefined {
  const file = new Source(text, "");
  const key = Object.keys(file.values).find((name) => !isTable(file.values[name]));
  return key === undefined ? undefined : { key, where: file.where(key) };
}

/** The config nobody changed. */
export function defaultConfig<T extends ConfigTable>(table: T): ConfigOf<T> {
  return defaultValues(table) as ConfigOf<T>;
}

/**
 * Checks a config again after flags changed it.
 * @throws CodisError "usage" naming the first key whose rule is broken
 */
export function checkConfig<T extends ConfigTable>(table: T, config: ConfigOf<T>): void {
  const [first] = brokenRules(table, config, () => "");
  if (first !== undefined) throw first;
}

/** TOML with a comment per key, in table order; under `[section]` when one is named. */
export function renderDefaults(table: ConfigTable, section = ""): string {
  const head = section === "" ? "" : `[${section}]\n\n`;
  const rows = Object.entries(table).map(([key, row]) => {
    const choices = row.kind === "choice" ? ` One of: ${row.choices.map(quote).join(", ")}.` : "";
    const value = typeof row.default === "string" ? quote(row.default) : String(row.default);
    return `${wrapComment(row.comment + choices)}${key} = ${value}\n`;
  });
  return head + rows.join("\n");
}

/** The config as the admin API shows it: upstream's texts for sizes and times, no passwords. */
export function configToJson<T extends ConfigTable>(
  table: T,
  config: ConfigOf<T>,
): Record<string, ConfigValue> {
  const shown: Record<string, ConfigValue> = {};
  for (const [key, row] of Object.entries(table)) {
    if (row.secret === "omit") continue;
    const value: ConfigValue = config[key]!;
    shown[key] = row.secret === "blank" ? "" : showValue(row, value);
  }
  return shown;
}

/** The least and the greatest value of a number's row, both included. */
export function boundsOf(row: NumberRow): { readonly min: number; readonly max: number } {
  const { min = 0, max = row.kind === "int" ? INT_MAX : Number.MAX_SAFE_INTEGER } = row;
  return { min, max };
}

// -- rules that several tables have -------------------------------------------------------------

/** A `check` of texts: there must be something. */
export function notEmpty(value: string): string | undefined {
  return value === "" ? "must not be empty" : undefined;
}

/** A `check` of what is listened on with its port: `host:port`. */
export function addressWithPort(value: string): string | undefined {
  if (value === "") return notEmpty(value);
  try {
    parseAddress(value);
    return undefined;
  } catch (error) {
    return `must be host:port (${errorText(error)})`;
  }
}

/** A `check` of what is listened on: digits and dots alone are no name, so they must be an IP. */
export function addressOrName(value: string): string | undefined {
  const isName = /^[\w.-]+$/.test(value) && !/^[\d.]+$/.test(value);
  return isName || isIP(value) !== 0 ? undefined : "must be an IP address or a host name";
}

/** A `check` of credentials: nothing, or a name, a colon and a password. */
export function userAndPassword(value: string): string | undefined {
  return value === "" || value.indexOf(":") > 0 ? undefined : "must be user:password";
}

// ----------------------------------------------------------------------------------------------

function showValue(row: ConfigRow, value: ConfigValue): ConfigValue {
  if (row.kind === "size") return formatSize(value as number);
  if (row.kind === "duration") return formatDuration(value as number);
  return value;
}

/** One table of a parsed file, and where its keys stand in the text. */
class Source {
  readonly values: Readonly<Record<string, unknown>>;
  readonly #text: string;
  readonly #section: string;

  constructor(text: string, section: string, wantedOf?: (key: string) => WantedValue | undefined) {
    const values = parseToml(text, wantedOf);
    const chosen = section === "" ? values : (values[section] ?? {});
    if (!isTable(chosen)) {
      throw new CodisError("usage", `invalid ${section}: must be a table, [${section}]`);
    }
    this.values = chosen;
    this.#text = text;
    this.#section = section;
  }

  /** `line 12`, or "" when the key does not stand alone at the start of a line. */
  where(key: string): string {
    let section = "";
    const lines = this.#text.split("\n");
    for (const [i, line] of lines.entries()) {
      const header = /^\s*\[\s*"?([^\]"]*?)"?\s*\]/.exec(line);
      if (header !== null) section = header[1]!;
      const assigned = /^\s*["']?([\w.-]+)["']?\s*=/.exec(line);
      if (section !== this.#section || assigned === null) continue;
      if (assigned[1]!.toLowerCase() === key.toLowerCase()) return `line ${i + 1}`;
    }
    return "";
  }
}

function isTable(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date)
  );
}

function defaultValues(table: ConfigTable): Record<string, ConfigValue> {
  const values: Record<string, ConfigValue> = {};
  for (const [key, row] of Object.entries(table)) {
    values[key] = readValue(row, key, row.default, "in the defaults");
  }
  return values;
}

function wantedValue(table: ConfigTable, key: string): WantedValue | undefined {
  const name = key.toLowerCase();
  const row = Object.hasOwn(table, name) ? table[name]! : undefined;
  if (row === undefined) return undefined;
  const hasQuotes = row.kind !== "bool" && row.kind !== "int";
  const text = hasQuotes ? `${wantedType(row)}, in quotes` : wantedType(row);
  return { text, isSecret: row.secret !== undefined };
}

/** What a row's values are, to be read after "must be". */
function wantedType({ kind }: ConfigRow): string {
  switch (kind) {
    case "string":
    case "choice":
      return "a string";
    case "bool":
      return "true or false";
    case "int":
      return "an integer";
    case "size":
      return 'a size such as "128kb"';
    case "duration":
      return 'a time such as "30s"';
  }
}

function readValue(row: ConfigRow, key: string, value: unknown, where: string): ConfigValue {
  const wrongType = (): CodisError => {
    const rule = `${showRaw(row, value)} is ${typeOf(value)}, must be ${wantedType(row)}`;
    return brokenKey(key, rule, where);
  };
  switch (row.kind) {
    case "string":
    case "choice":
      if (typeof value !== "string") throw wrongType();
      return value;
    case "bool":
      if (typeof value !== "boolean") throw wrongType();
      return value;
    case "int":
      if (typeof value === "bigint" || Number.isInteger(value)) return Number(value);
      throw wrongType();
    case "size":
    case "duration": {
      if (typeof value !== "string" && typeof value !== "number") throw wrongType();
      try {
        return row.kind === "size" ? parseSize(value) : parseDuration(value);
      } catch (error) {
        throw brokenKey(key, `${showRaw(row, value)}: ${errorText(error)}`, where);
      }
    }
  }
}

function brokenRules(
  table: ConfigTable,
  config: Readonly<Record<string, ConfigValue>>,
  where: (key: string) => string,
): CodisError[] {
  const broken: CodisError[] = [];
  for (const [key, row] of Object.entries(table)) {
    const value = config[key];
    assert(value !== undefined, `config has the key ${key}`);
    const rule = brokenRule(row, value, config);
    if (rule === undefined) continue;
    const text = complaintOf(row, value) ?? `invalid ${key}`;
    const shown = row.secret === undefined ? quote(showValue(row, value)) : "its value";
    const reason = new Error(withPlace(`${shown} ${rule}`, where(key)));
    broken.push(new CodisError("usage", text, reason));
  }
  return broken;
}

function brokenRule(
  row: ConfigRow,
  value: ConfigValue,
  config: Readonly<Record<string, ConfigValue>>,
): string | undefined {
  switch (row.kind) {
    case "string":
      return row.check?.(value as string, config);
    case "bool":
      return row.check?.(value as boolean, config);
    case "choice":
      if (!row.choices.includes(value as string)) {
        return `must be one of ${row.choices.map(quote).join(", ")}`;
      }
      return row.check?.(value as string, config);
    case "int":
    case "size":
    case "duration": {
      const { min, max } = boundsOf(row);
      const number = value as number;
      if (number < min) return `must be at least ${String(showValue(row, min))}`;
      if (number > max) return `must be at most ${String(showValue(row, max))}`;
      return row.check?.(number, config);
    }
  }
}

function complaintOf(row: ConfigRow, value: ConfigValue): string | undefined {
  // The kind of `value` was settled when it was read; the union of rows cannot say so.
  return (row.complaint as ((value: ConfigValue) => string) | undefined)?.(value);
}

function brokenKey(key: string, rule: string, where: string): CodisError {
  return new CodisError("usage", `invalid ${key}`, new Error(withPlace(rule, where)));
}

function withPlace(text: string, where: string): string {
  return where === "" ? text : `${text} (${where})`;
}

function unknownKey(table: ConfigTable, name: string, where: string): string {
  const near = nearest(name, Object.keys(table));
  const hint = near === undefined ? "" : `, did you mean ${near}?`;
  return withPlace(`unknown key ${name}`, where) + hint;
}

function typeOf(value: unknown): string {
  if (typeof value === "string") return "a string";
  if (typeof value === "boolean") return "a boolean";
  if (typeof value === "bigint" || Number.isInteger(value)) return "an integer";
  if (typeof value === "number") return "a float";
  if (Array.isArray(value)) return "an array";
  return value instanceof Date ? "a date" : "a table";
}

function showRaw(row: ConfigRow, value: unknown): string {
  if (row.secret !== undefined) return "its value";
  if (isTable(value) || Array.isArray(value)) return "the value";
  return typeof value === "string" ? quote(value) : String(value);
}

/** A basic TOML string; JSON's escapes are a subset of TOML's. */
function quote(value: ConfigValue): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

const COMMENT_COLUMNS = 100;

function wrapComment(text: string): string {
  let line = "#";
  let lines = "";
  for (const word of text.split(/\s+/)) {
    if (line.length + 1 + word.length > COMMENT_COLUMNS) {
      lines += `${line}\n`;
      line = "#";
    }
    line += ` ${word}`;
  }
  return `${lines}${line}\n`;
}
