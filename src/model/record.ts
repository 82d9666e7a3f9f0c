/**
 * Pure: JSON records as tables. A record is declared once, as an ordered list of fields with their
 * kinds; reading, writing and the TypeScript type all come from that list.
 *
 *   parsed JSON ──> record.read ──> object with every field set ──> record.write ──> JSON to encode
 *
 * Reading follows encoding/json of Go, which upstream uses: unknown keys are ignored, missing keys
 * and null become zero values ("", 0, false, [], a zero record), names match without case when none
 * matches exactly. A value of the wrong type throws, where upstream goes on with a half-read
 * record. Writing keeps the order of the table; `optional` fields are left out when zero.
 */

import { CodisError } from "../base/errors.ts";

export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json };

/** How one kind of value is read and written. */
export interface Codec<T> {
  /** A fresh zero value. */
  zero(): T;
  /**
   * @param value parsed JSON; undefined and null read as zero
   * @param at where the value stands, for the error text (`group.servers[1].server`)
   * @throws CodisError "usage" when the type is wrong
   */
  read(value: unknown, at: string): T;
  /** The value to encode; undefined leaves the field out. */
  write(value: T): Json | undefined;
}

export type ValueOf<C> = C extends Codec<infer T> ? T : never;

type Fields = Readonly<Record<string, Codec<unknown>>>;
type RecordOf<F extends Fields> = { [Key in keyof F]: ValueOf<F[Key]> };

export const text: Codec<string> = {
  zero: () => "",
  read: (value, at) => (typeof value === "string" ? value : zeroOr(value, "", at, "a string")),
  write: (value) => value,
};

/** An integer that a double holds exactly. */
export const integer: Codec<number> = {
  zero: () => 0,
  read: (value, at) =>
    Number.isSafeInteger(value) ? (value as number) : zeroOr(value, 0, at, "an integer"),
  write: (value) => value,
};

export const flag: Codec<boolean> = {
  zero: () => false,
  read: (value, at) =>
    typeof value === "boolean" ? value : zeroOr(value, false, at, "true or false"),
  write: (value) => value,
};

/** One of the given words; the first is the zero value. */
export function oneOf<const Words extends readonly [string, ...string[]]>(
  words: Words,
): Codec<Words[number]> {
  return {
    zero: () => words[0],
    read: (value, at) => {
      if (value === undefined || value === null) return words[0];
      if (words.includes(value as string)) return value as Words[number];
      throw misread(value, at, `one of ${words.map((word) => JSON.stringify(word)).join(", ")}`);
    },
    write: (value) => value,
  };
}

/** A list; null reads as the empty one. */
export function list<T>(element: Codec<T>): Codec<T[]> {
  return {
    zero: () => [],
    read: (value, at) => {
      if (value === undefined || value === null) return [];
      if (!Array.isArray(value)) throw misread(value, at, "an array");
      return value.map((item, i) => {
        if (item === null) throw misread(item, `${at}[${i}]`, "an element");
        return element.read(item, `${at}[${i}]`);
      });
    },
    write: (values) => values.map((value) => element.write(value) ?? null),
  };
}

/** The field is left out when it is "", 0, false or an empty list. */
export function optional<T>(codec: Codec<T>): Codec<T> {
  return {
    zero: () => codec.zero(),
    read: (value, at) => codec.read(value, at),
    write: (value) => {
      const json = codec.write(value);
      const empty = Array.isArray(json) ? json.length === 0 : !json;
      return empty ? undefined : json;
    },
  };
}

/** A record of the given fields, written in the order given. */
export function record<F extends Fields>(fields: F): Codec<RecordOf<F>> {
  const names = Object.keys(fields);
  const codecs: Fields = fields;
  return {
    zero: () =>
      Object.fromEntries(names.map((name) => [name, codecs[name]!.zero()])) as RecordOf<F>,
    read: (value, at) => {
      if (value !== undefined && value !== null && !isObject(value)) {
        throw misread(value, at, "an object");
      }
      const given = value ?? {};
      const values: Record<string, unknown> = {};
      for (const name of names)
        values[name] = codecs[name]!.read(fieldOf(given, name), `${at}.${name}`);
      return values as RecordOf<F>;
    },
    write: (value) => {
      const json: Record<string, Json> = {};
      for (const name of names) {
        const written = codecs[name]!.write(value[name as keyof F]);
        if (written !== undefined) json[name] = written;
      }
      return json;
    },
  };
}

function fieldOf(given: Readonly<Record<string, unknown>>, name: string): unknown {
  if (Object.hasOwn(given, name)) return given[name];
  for (const key of Object.keys(given)) if (key.toLowerCase() === name) return given[key];
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function zeroOr<T>(value: unknown, zero: T, at: string, wanted: string): T {
  if (value === undefined || value === null) return zero;
  throw misread(value, at, wanted);
}

function misread(value: unknown, at: string, wanted: string): CodisError {
  const shown = JSON.stringify(value) ?? String(value);
  const short = shown.length > 60 ? `${shown.slice(0, 57)}...` : shown;
  return new CodisError("usage", `Cannot read ${at}: ${short} must be ${wanted}`);
}
