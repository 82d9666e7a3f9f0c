/**
 * Pure: the option syntax of the original's programs. `--opt=value` and `--opt value` are equal, a
 * long option may be shortened to any unique prefix (an exact name wins), short options take their
 * value attached or as the next word, options and words stand in any order. Source: docopt, which
 * Codis 3.2 used.
 */

import { CodisError } from "../../src/base/errors.ts";
import { nearest } from "../../src/base/nearest.ts";

export interface OptionNames {
  /** Long options that take a value, without dashes. */
  readonly values: readonly string[];
  /** Long options that stand alone. */
  readonly switches: readonly string[];
  /** Short letter to long name: `{ x: "addr" }`. */
  readonly shorts: Readonly<Record<string, string>>;
  /** Words that some write as options: hints for an unknown one. */
  readonly verbs: readonly string[];
}

export interface ParsedOptions {
  readonly values: ReadonlyMap<string, string>;
  readonly switches: ReadonlySet<string>;
  /** What is no option, in order. */
  readonly words: readonly string[];
}

/** Throws CodisError "usage" for an unknown, ambiguous, repeated or valueless option. */
export function parseOptions(names: OptionNames, argv: readonly string[]): ParsedOptions {
  const values = new Map<string, string>();
  const switches = new Set<string>();
  const words: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (!word.startsWith("-") || word === "-") {
      words.push(word);
      continue;
    }
    const { name, attached } = splitOption(names, word);
    if (values.has(name) || switches.has(name)) throw usage(`option --${name} is repeated`);
    if (names.switches.includes(name)) {
      if (attached !== undefined) throw usage(`option --${name} takes no value`);
      switches.add(name);
      continue;
    }
    const value = attached ?? argv[++i];
    if (value === undefined || value === "") throw usage(`option --${name} requires an argument`);
    values.set(name, value);
  }
  return { values, switches, words };
}

function splitOption(
  names: OptionNames,
  word: string,
): { name: string; attached: string | undefined } {
  if (!word.startsWith("--")) {
    const name = names.shorts[word[1]!];
    if (name === undefined) throw usage(`unknown option ${word.slice(0, 2)}`);
    return { name, attached: word.length > 2 ? word.slice(2).replace(/^=/, "") : undefined };
  }
  const equals = word.indexOf("=");
  const given = equals < 0 ? word.slice(2) : word.slice(2, equals);
  const attached = equals < 0 ? undefined : word.slice(equals + 1);
  return { name: expandPrefix(names, given), attached };
}

function expandPrefix(names: OptionNames, given: string): string {
  const all = [...names.values, ...names.switches];
  if (all.includes(given)) return given;
  const matches = all.filter((name) => name.startsWith(given));
  if (matches.length === 1) return matches[0]!;
  if (matches.length === 0) {
    const near = nearest(given, [...names.verbs, ...all]);
    const shown = near !== undefined && names.verbs.includes(near) ? near : `--${near}`;
    throw usage(`unknown option --${given}${near === undefined ? "" : `, did you mean ${shown}?`}`);
  }
  throw usage(`option --${given} is ambiguous: --${matches.join(", --")}`);
}

/** The value of an option that must be there. */
export function requiredText(options: ParsedOptions, name: string): string {
  const value = options.values.get(name);
  if (value === undefined) throw usage(`option --${name} is required`);
  return value;
}

/** Likewise, a decimal integer. */
export function requiredInteger(options: ParsedOptions, name: string): number {
  const text = requiredText(options, name);
  if (!/^[+-]?\d{1,15}$/.test(text)) throw usage(`option --${name} isn't a valid integer`);
  return Number(text);
}

function usage(message: string): CodisError {
  return new CodisError("usage", message);
}
