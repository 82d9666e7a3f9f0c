/**
 * What commands make of data, told plainly: the state that a server must come back with. Shares
 * nothing with src/server, which it judges. It knows the commands of workload.ts, no more, and that
 * keys of one kind are asked only what fits them.
 *
 *   matches(commands, found)   every n for which the first n commands leave what was found
 *
 * Source: the documentation of Redis' commands.
 */

export type Word = string | number | Buffer;

/** Every key, by `database name`, with a text that says its value and expiry. */
export type State = ReadonlyMap<string, string>;

type Value =
  | { readonly kind: "string"; text: string }
  | { readonly kind: "list"; readonly items: string[] }
  | { readonly kind: "set"; readonly members: Set<string> }
  /** Scores and fields' values, by name. */
  | { readonly kind: "hash"; readonly entries: Map<string, string> }
  | { readonly kind: "zset"; readonly entries: Map<string, string> };

interface Entry {
  readonly value: Value;
  /** Unix ms; -1 for none. */
  expiryMs: number;
}

type Kind = Value["kind"];
type Database = Map<string, Entry>;

export const DATABASES = 3;

/** Of what is different, in messages. */
const SHOWN_KEYS = 5;
const SHOWN_CHARS = 200;

/** How a value is told apart from others; what has no order is put in one. */
export function showValue(kind: Kind, parts: readonly string[], expiryMs: number): string {
  return JSON.stringify([kind, parts, expiryMs]);
}

export class Model {
  readonly #databases: Database[] = Array.from({ length: DATABASES }, () => new Map());
  #selected = 0;
  /** `database name` of keys the last command may have changed. */
  readonly touched = new Set<string>();

  /** The text of a key, or undefined. @param place `database name` */
  show(place: string): string | undefined {
    const entry = this.#databases[Number(place[0])]!.get(place.slice(2));
    return entry && showValue(entry.value.kind, partsOf(entry.value), entry.expiryMs);
  }

  apply(words: readonly Word[]): void {
    this.touched.clear();
    const [name, ...args] = words.map(textOf);
    const command = COMMANDS[name!];
    if (command === undefined) throw new Error(`the model does not know ${name}`);
    command(this, args);
  }

  // -- what commands do with keys -------------------------------------------------------------------

  select(index: number): void {
    this.#selected = index;
  }

  get(key: string): Entry | undefined {
    this.#touch(this.#selected, key);
    return this.#databases[this.#selected]!.get(key);
  }

  put(key: string, entry: Entry, index = this.#selected): void {
    this.#touch(index, key);
    this.#databases[index]!.set(key, entry);
  }

  remove(key: string): Entry | undefined {
    const entry = this.get(key);
    this.#databases[this.#selected]!.delete(key);
    return entry;
  }

  has(key: string, index: number): boolean {
    return this.#databases[index]!.has(key);
  }

  get selected(): number {
    return this.#selected;
  }

  /** The value of `key`, a new one when there is none; dropped by `settle` if it stays empty. */
  value<K extends Kind>(key: string, kind: K): Extract<Value, { readonly kind: K }> {
    const found = this.get(key);
    if (found !== undefined && found.value.kind !== kind) {
      throw new Error(`the workload asks for a ${kind} where ${key} is a ${found.value.kind}`);
    }
    const entry = found ?? { value: emptyValue(kind), expiryMs: -1 };
    if (found === undefined) this.put(key, entry);
    return entry.value as Extract<Value, { readonly kind: K }>;
  }

  /** A collection without elements is no key. */
  settle(key: string): void {
    const entry = this.get(key);
    if (entry === undefined || entry.value.kind === "string") return;
    if (partsOf(entry.value).length === 0) this.remove(key);
  }

  flush(index: number): void {
    for (const key of this.#databases[index]!.keys()) this.#touch(index, key);
    this.#databases[index]!.clear();
  }

  swap(a: number, b: number): void {
    const [first, second] = [this.#databases[a]!, this.#databases[b]!];
    this.#databases[a] = second;
    this.#databases[b] = first;
    for (const key of [...first.keys(), ...second.keys()]) {
      this.#touch(a, key);
      this.#touch(b, key);
    }
  }

  #touch(index: number, key: string): void {
    this.touched.add(`${index} ${key}`);
  }
}

function textOf(word: Word): string {
  return typeof word === "object" ? word.toString("latin1") : String(word);
}

function emptyValue(kind: Kind): Value {
  if (kind === "string") return { kind, text: "" };
  if (kind === "list") return { kind, items: [] };
  if (kind === "set") return { kind, members: new Set() };
  return { kind, entries: new Map() };
}

function partsOf(value: Value): readonly string[] {
  if (value.kind === "string") return [value.text];
  if (value.kind === "list") return value.items;
  if (value.kind === "set") return [...value.members].sort(byText);
  return [...value.entries].map(([name, content]) => `${name}=${content}`).sort(byText);
}

/** The order in which unordered elements are shown. */
export function byText(a: string, b: string): number {
  return a < b ? -1 : 1;
}

function copyOf({ value, expiryMs }: Entry): Entry {
  return { value: structuredClone(value), expiryMs };
}

type Apply = (model: Model, args: readonly string[]) => void;

/** By name; arguments as text. */
const COMMANDS: Readonly<Record<string, Apply>> = {
  SELECT: (model, [index]) => model.select(Number(index)),
  SET: (model, [key, text, , atMs]) =>
    model.put(key!, { value: { kind: "string", text: text! }, expiryMs: Number(atMs ?? -1) }),
  // Gone before anybody looks: see workload.ts.
  PSETEX: () => {},
  MSET: (model, args) => {
    for (let i = 0; i < args.length; i += 2) COMMANDS.SET!(model, args.slice(i, i + 2));
  },
  APPEND: (model, [key, text]) => {
    model.value(key!, "string").text += text!;
  },
  INCRBY: (model, [key, by]) => {
    const value = model.value(key!, "string");
    value.text = String(Number(value.text) + Number(by));
  },
  RPUSH: (model, [key, ...items]) => void model.value(key!, "list").items.push(...items),
  LPUSH: (model, [key, ...items]) =>
    void model.value(key!, "list").items.unshift(...items.toReversed()),
  LPOP: (model, [key]) => {
    model.value(key!, "list").items.shift();
    model.settle(key!);
  },
  LTRIM: (model, [key, from, to]) => {
    const { items } = model.value(key!, "list");
    items.splice(0, items.length, ...items.slice(Number(from), Number(to) + 1));
    model.settle(key!);
  },
  /** From the left of one to the right of the other. */
  LMOVE: (model, [source, target]) => {
    const item = model.value(source!, "list").items.shift();
    if (item !== undefined) model.value(target!, "list").items.push(item);
    model.settle(source!);
  },
  HSET: (model, [key, ...pairs]) => {
    const { entries } = model.value(key!, "hash");
    for (let i = 0; i < pairs.length; i += 2) entries.set(pairs[i]!, pairs[i + 1]!);
  },
  HDEL: (model, [key, field]) => {
    model.value(key!, "hash").entries.delete(field!);
    model.settle(key!);
  },
  SADD: (model, [key, ...members]) => {
    for (const member of members) model.value(key!, "set").members.add(member);
  },
  SREM: (model, [key, ...members]) => {
    for (const member of members) model.value(key!, "set").members.delete(member);
    model.settle(key!);
  },
  SMOVE: (model, [source, target, member]) => {
    const wasThere = model.value(source!, "set").members.delete(member!);
    if (wasThere) model.value(target!, "set").members.add(member!);
    model.settle(source!);
  },
  ZADD: (model, [key, ...pairs]) => {
    const { entries } = model.value(key!, "zset");
    for (let i = 0; i < pairs.length; i += 2) entries.set(pairs[i + 1]!, pairs[i]!);
  },
  ZINCRBY: (model, [key, by, member]) => {
    const { entries } = model.value(key!, "zset");
    entries.set(member!, String(Number(entries.get(member!) ?? 0) + Number(by)));
  },
  ZREM: (model, [key, member]) => {
    model.value(key!, "zset").entries.delete(member!);
    model.settle(key!);
  },
  DEL: (model, keys) => {
    for (const key of keys) model.remove(key);
  },
  RENAME: (model, [source, target]) => {
    const entry = model.remove(source!);
    if (entry !== undefined) model.put(target!, entry);
  },
  COPY: (model, [source, target]) => {
    const entry = model.get(source!);
    if (entry !== undefined) model.put(target!, copyOf(entry));
  },
  MOVE: (model, [key, index]) => {
    const to = Number(index);
    if (to === model.selected || model.has(key!, to)) return;
    const entry = model.remove(key!);
    if (entry !== undefined) model.put(key!, entry, to);
  },
  PEXPIREAT: (model, [key, atMs]) => {
    const entry = model.get(key!);
    if (entry !== undefined) entry.expiryMs = Number(atMs);
  },
  PERSIST: (model, [key]) => {
    const entry = model.get(key!);
    if (entry !== undefined) entry.expiryMs = -1;
  },
  /** Payloads as `stringPayload` of workload.ts makes them. */
  SLOTSRESTORE: (model, args) => {
    for (let i = 0; i < args.length; i += 3) {
      const text = args[i + 2]!.slice(2, -10);
      model.put(args[i]!, { value: { kind: "string", text }, expiryMs: -1 });
    }
  },
  FLUSHDB: (model) => model.flush(model.selected),
  SWAPDB: (model, [a, b]) => model.swap(Number(a), Number(b)),
};

/** @returns every n, ascending, for which the first n commands leave exactly what was found */
export function matches(commands: readonly (readonly Word[])[], found: State): readonly number[] {
  const model = new Model();
  const different = new Set(found.keys());
  const counts = different.size === 0 ? [0] : [];
  for (const [i, words] of commands.entries()) {
    model.apply(words);
    for (const place of model.touched) {
      if (model.show(place) === found.get(place)) different.delete(place);
      else different.add(place);
    }
    if (different.size === 0) counts.push(i + 1);
  }
  return counts;
}

/** A few keys that are not as the first `count` commands leave them: for the message of a failure. */
export function differences(
  commands: readonly (readonly Word[])[],
  count: number,
  found: State,
): readonly string[] {
  const model = new Model();
  const places = new Set(found.keys());
  for (const words of commands.slice(0, count)) {
    model.apply(words);
    for (const place of model.touched) places.add(place);
  }
  const shown = (text: string | undefined): string => text?.slice(0, SHOWN_CHARS) ?? "nothing";
  return [...places]
    .filter((place) => model.show(place) !== found.get(place))
    .slice(0, SHOWN_KEYS)
    .map((place) => `${place}: ${shown(model.show(place))}, found ${shown(found.get(place))}`);
}
