/**
 * CONFIG: the server's configuration while it runs. Every key of the file can be read; those that
 * something looks at each time can be changed. Source of texts: Redis 7.0 src/config.c.
 */

import { boundsOf, type ConfigRow, type NumberRow } from "../../base/config.ts";
import { CodisError } from "../../base/errors.ts";
import { parseSize } from "../../base/size.ts";
import { argEnd, argStart, argText, type Call, type Handler } from "../call.ts";
import { type RuntimeConfig, SERVER_CONFIG } from "../config.ts";
import { matchGlob } from "../glob.ts";
import { parseSavePoints } from "../rdb/save-points.ts";
import { ReplyError, wrongArity } from "../replies.ts";
import type { ServerState } from "../state.ts";
import { helpReply, runSubcommand, type Subcommands } from "./container.ts";

type Key = keyof RuntimeConfig;
type Value = RuntimeConfig[Key];
/** No row is a duration: redis.conf counts in seconds or milliseconds, each key in its own. */
type ServerRow = Exclude<ConfigRow, { readonly kind: "duration" }>;

/** Keys that need no restart. */
const SETTABLE: ReadonlySet<string> = new Set<Key>([
  "appendfsync",
  "auto-aof-rewrite-min-size",
  "auto-aof-rewrite-percentage",
  "hash-max-listpack-entries",
  "hash-max-listpack-value",
  "list-max-listpack-size",
  "maxclients",
  "maxmemory",
  "lfu-decay-time",
  "lfu-log-factor",
  "maxmemory-clients",
  "maxmemory-eviction-tenacity",
  "maxmemory-policy",
  "maxmemory-samples",
  "proto-max-bulk-len",
  "protected-mode",
  "requirepass",
  "save",
  "set-max-intset-entries",
  "set-max-listpack-entries",
  "set-max-listpack-value",
  "slowlog-log-slower-than",
  "slowlog-max-len",
  "stop-writes-on-bgsave-error",
  "timeout",
  "zset-max-listpack-entries",
  "zset-max-listpack-value",
]);

/** Names that keys had before Redis 7, for CONFIG GET and SET. */
const OLD_NAMES: ReadonlyMap<string, Key> = new Map<string, Key>([
  ["hash-max-ziplist-entries", "hash-max-listpack-entries"],
  ["hash-max-ziplist-value", "hash-max-listpack-value"],
  ["list-max-ziplist-size", "list-max-listpack-size"],
  ["zset-max-ziplist-entries", "zset-max-listpack-entries"],
  ["zset-max-ziplist-value", "zset-max-listpack-value"],
]);

/** What clients and tools of stock Redis read, or set to what it is, and that is fixed here. */
const FIXED: ReadonlyMap<string, string> = new Map([
  ["masterauth", ""],
  // Files are written uncompressed, and the append-only file as commands; all forms are read.
  ["rdbcompression", "no"],
  ["aof-use-rdb-preamble", "no"],
  ["notify-keyspace-events", ""],
  [
    "client-output-buffer-limit",
    "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
  ],
]);

const CONFIG_HELP = [
  "GET <pattern>",
  "    Return parameters matching the glob-like <pattern> and their values.",
  "SET <directive> <value>",
  "    Set the configuration <directive> to <value>.",
  "RESETSTAT",
  "    Reset statistics reported by the INFO command.",
  "REWRITE",
  "    Rewrite the configuration file.",
];

/** A value as Redis prints it. */
function shown(value: Value): string {
  if (typeof value === "boolean") return value ? "yes" : "no";
  return String(value);
}

function* allKeys(config: RuntimeConfig): Generator<readonly [key: string, value: string]> {
  for (const key of Object.keys(SERVER_CONFIG) as Key[]) yield [key, shown(config[key])];
  for (const [name, key] of OLD_NAMES) yield [name, shown(config[key])];
  yield* FIXED;
}

function isAsked(call: Call, key: string): boolean {
  const bytes = Buffer.from(key);
  for (let i = 2; i < call.argc; i++) {
    const pattern = Buffer.from(call.buf.subarray(argStart(call, i), argEnd(call, i)));
    const lower = Buffer.from(pattern.toString("latin1").toLowerCase(), "latin1");
    if (matchGlob(lower, 0, lower.length, bytes, 0, bytes.length)) return true;
  }
  return false;
}

function get(call: Call): void {
  const found = [...allKeys(call.server.config)].filter(([key]) => isAsked(call, key));
  call.out.array(found.length * 2);
  for (const [key, value] of found) {
    call.out.bulkText(key);
    call.out.bulkText(value);
  }
}

function failSet(name: string, reason: string): never {
  throw new ReplyError(
    `ERR CONFIG SET failed (possibly related to argument '${name}') - ${reason}`,
  );
}

const NO_SIZE = "argument must be a memory value";

/**
 * `text` as a value of `key`, which was called `name`.
 * @throws ReplyError naming the rule it breaks
 */
function parseValue(key: Key, name: string, text: string): Value {
  const row: ServerRow = SERVER_CONFIG[key];
  switch (row.kind) {
    case "string":
      if (key === "save") return parseSave(text);
      return text;
    case "bool":
      if (text !== "yes" && text !== "no") failSet(name, "argument must be 'yes' or 'no'");
      return text === "yes";
    case "choice": {
      const choices: readonly string[] = row.choices;
      if (!choices.includes(text)) {
        failSet(name, `argument(s) must be one of the following: ${choices.join(", ")}`);
      }
      return text;
    }
    case "int": {
      const value = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
      if (Number.isNaN(value)) failSet(name, "argument couldn't be parsed into an integer");
      return checkBounds(name, value, row);
    }
    case "size":
      if (text.startsWith("-")) failSet(name, NO_SIZE);
      return checkBounds(name, sizeOf(name, text), row);
  }
}

function sizeOf(name: string, text: string): number {
  try {
    return parseSize(text);
  } catch (error) {
    if (!(error instanceof CodisError)) throw error;
    return failSet(name, NO_SIZE);
  }
}

/** @returns the save points as Redis prints them */
function parseSave(text: string): string {
  const points = parseSavePoints(text);
  if (points === undefined) return failSet("save", "Invalid save parameters");
  return points.map(({ seconds, changes }) => `${seconds} ${changes}`).join(" ");
}

function checkBounds(name: string, value: number, row: NumberRow): number {
  const { min, max } = boundsOf(row);
  if (value >= min && value <= max) return value;
  return failSet(name, `argument must be between ${min} and ${max} inclusive`);
}

/**
 * Gives a key another value while the server runs. False, and nothing is done, when that needs a
 * restart.
 * @param value one that the rules of SERVER_CONFIG allow
 */
export function changeConfig(server: ServerState, key: string, value: Value): boolean {
  if (!SETTABLE.has(key)) return false;
  (server.config as Record<string, Value>)[key] = value;
  server.configChanged(key as Key);
  return true;
}

/** All or nothing: every pair is checked before the first is applied. */
function set(call: Call): void {
  if (call.argc % 2 !== 0) throw new ReplyError(wrongArity("config|set"));
  const changes = new Map<string, Value>();
  const names = new Set<string>();
  for (let i = 2; i < call.argc; i += 2) {
    const name = argText(call, i).toLowerCase();
    const key: string = OLD_NAMES.get(name) ?? name;
    const text = call.buf.toString("utf8", argStart(call, i + 1), argEnd(call, i + 1));
    const fixed = FIXED.get(key);
    if (fixed === undefined && !Object.hasOwn(SERVER_CONFIG, key)) {
      const asked = argText(call, i);
      throw new ReplyError(`ERR Unknown option or number of arguments for CONFIG SET - '${asked}'`);
    }
    if (names.has(name)) failSet(name, "duplicate parameter");
    names.add(name);
    if (fixed !== undefined && fixed === text) continue;
    if (!SETTABLE.has(key)) failSet(name, "can't set immutable config");
    changes.set(key, parseValue(key as Key, name, text));
  }
  for (const [key, value] of changes) changeConfig(call.server, key, value);
  call.out.ok();
}

/** Redis writes its file anew; ours is TOML, with comments that are its owner's. */
const NOT_REWRITTEN =
  "ERR CONFIG REWRITE is not served: change the file that --config names, as CONFIG SET changed the server";

const SUBCOMMANDS: Subcommands = new Map([
  ["get", { arity: -3, run: get }],
  ["help", { arity: 2, run: (call) => helpReply(call, CONFIG_HELP) }],
  [
    "resetstat",
    {
      arity: 2,
      run: (call) => {
        call.server.resetStats();
        call.out.ok();
      },
    },
  ],
  [
    "rewrite",
    {
      arity: 2,
      run: () => {
        throw new ReplyError(NOT_REWRITTEN);
      },
    },
  ],
  ["set", { arity: -4, run: set }],
]);

export const CONFIG_HANDLERS = {
  CONFIG: (call) => runSubcommand(call, SUBCOMMANDS),
} as const satisfies Record<string, Handler>;
