/**
 * Pure: TOML to values, by smol-toml, with errors that say what the line at fault should be.
 *
 *   appendonly = yes   ──> ...; appendonly = yes: it must be true or false
 *   appendonly yes     ──> ...; a line is `appendonly = value` ...: what redis.conf looks like
 */

import { parse, TomlError } from "smol-toml";
import { CodisError } from "./errors.ts";

/** Of a value in an error text, in characters. */
const SHOWN_VALUE_MAX = 60;
/** Key and value of a line. */
const ASSIGNMENT = /^\s*["']?([\w.-]+)["']?\s*=(.*)$/;

/** What a key takes, for error texts. */
export interface WantedValue {
  /** To be read after "must be". */
  readonly text: string;
  /** The value must not be shown. */
  readonly isSecret: boolean;
}

/**
 * @param wantedOf what a key takes; undefined for one that is not known
 * @throws CodisError "usage" with line and column
 */
export function parseToml(
  text: string,
  wantedOf: (key: string) => WantedValue | undefined = () => undefined,
): Record<string, unknown> {
  try {
    return parse(text, { integersAsBigInt: "asNeeded" });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = error.message.split("\n")[0]!;
    const line = text.split("\n")[error.line - 1] ?? "";
    // Such a line is right by itself.
    const isSecond = reason.includes("already defined");
    const step = isSecond ? keyOf(line) : stepFor(line, wantedOf);
    throw new CodisError(
      "usage",
      `bad TOML at line ${error.line}, column ${error.column}: ${reason}${step}`,
    );
  }
}

/** `: key` of a line that assigns one; "" of another. */
function keyOf(line: string): string {
  const [, assigned] = ASSIGNMENT.exec(line) ?? [];
  return assigned === undefined ? "" : `: ${assigned}`;
}

/**
 * What to do about a line that is no TOML, as far as it shows. Only the value of a key that is
 * known and no password is shown: a key misspelt may be one.
 */
function stepFor(line: string, wantedOf: (key: string) => WantedValue | undefined): string {
  const [, assigned, value] = ASSIGNMENT.exec(line) ?? [];
  if (assigned !== undefined) {
    const wanted = wantedOf(assigned);
    if (wanted === undefined) {
      return `; the value of ${assigned} must be a text in quotes, a number, or true or false`;
    }
    const shown = wanted.isSecret ? "" : ` = ${shorten(value!.trim())}`;
    return `; ${assigned}${shown}: it must be ${wanted.text}`;
  }
  const [, named] = /^\s*([\w.-]+)\s+\S/.exec(line) ?? [];
  if (named === undefined) return "";
  return (
    `; a line is \`${named} = value\`, texts in quotes: a file of redis-server cannot be used as it ` +
    "is, `--default-config` prints one to begin with"
  );
}

function shorten(text: string): string {
  return text.length <= SHOWN_VALUE_MAX ? text : `${text.slice(0, SHOWN_VALUE_MAX)}...`;
}
