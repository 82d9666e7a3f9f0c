/**
 * How the proxy of Codis 3.2 treated a command, for `compat = "codis"`: there a name it did not
 * know went to the primary of the slot of its first argument, and no arity was checked.
 *
 * Its 197 names fell into four classes; whatever is not listed here was, and is, a write. The
 * twelve names with a dash that it meant to refuse and let pass (a fault in its table) are refused:
 * they put a shared backend connection into the hands of a client.
 * Source: Codis pkg/proxy/mapper.go.
 */

import { ALL_COMMANDS, type Command } from "./lookup.ts";
import type { ProxyPolicy } from "./spec.ts";
import type { CommandName } from "./table.ts";

/**
 * - `R`: a read that a replica may answer.
 * - `M`: a read for the primary alone (a cursor belongs to one server).
 * - `W`: a write, and every unknown name.
 * - `X`: not allowed.
 */
export type CodisClass = "R" | "M" | "W" | "X";

// biome-ignore format: words fill their lines
const REPLICA_READS: readonly CommandName[] = [
  "AUTH", "BITCOUNT", "BITPOS", "COMMAND", "DUMP", "ECHO", "EXISTS", "GEODIST", "GEOHASH", "GEOPOS",
  "GET", "GETBIT", "GETRANGE", "HEXISTS", "HGET", "HGETALL", "HKEYS", "HLEN", "HMGET", "HSTRLEN",
  "HVALS", "INFO", "LINDEX", "LLEN", "LRANGE", "MGET", "PFCOUNT", "PFSELFTEST", "PING", "PTTL",
  "PUBSUB", "QUIT", "ROLE", "SCARD", "SDIFF", "SELECT", "SINTER", "SISMEMBER", "SLOTSHASHKEY",
  "SLOTSMAPPING", "SMEMBERS", "SRANDMEMBER", "STRLEN", "SUBSTR", "SUNION", "TTL", "TYPE", "ZCARD",
  "ZCOUNT", "ZLEXCOUNT", "ZRANGE", "ZRANGEBYLEX", "ZRANGEBYSCORE", "ZRANK", "ZREVRANGE",
  "ZREVRANGEBYLEX", "ZREVRANGEBYSCORE", "ZREVRANK", "ZSCORE",
];

const MASTER_READS: readonly CommandName[] = ["HSCAN", "SLOTSINFO", "SLOTSSCAN", "SSCAN", "ZSCAN"];

// biome-ignore format: words fill their lines
const REFUSED: readonly CommandName[] = [
  "ASKING", "BGREWRITEAOF", "BGSAVE", "BITOP", "BLPOP", "BRPOP", "BRPOPLPUSH", "CLIENT", "CLUSTER",
  "CONFIG", "DBSIZE", "DEBUG", "DISCARD", "EXEC", "FLUSHALL", "FLUSHDB", "HOST:", "KEYS",
  "LASTSAVE", "LATENCY", "MIGRATE", "MONITOR", "MOVE", "MSETNX", "MULTI", "OBJECT", "POST", "PSUBSCRIBE",
  "PSYNC", "PUBLISH", "PUNSUBSCRIBE", "RANDOMKEY", "READONLY", "READWRITE", "RENAME", "RENAMENX",
  "REPLCONF", "RESTORE", "SAVE", "SCAN", "SCRIPT", "SHUTDOWN", "SLAVEOF", "SLOTSCHECK", "SLOTSDEL",
  "SLOTSMGRTONE", "SLOTSMGRTSLOT", "SLOTSMGRTTAGONE", "SLOTSMGRTTAGSLOT", "SLOWLOG", "SUBSCRIBE",
  "SYNC", "TIME", "UNSUBSCRIBE", "UNWATCH", "WAIT", "WATCH",
];

// biome-ignore format: words fill their lines
const DASHED: readonly CommandName[] = [
  "RESTORE-ASKING", "SLOTSMGRTONE-ASYNC", "SLOTSMGRTSLOT-ASYNC", "SLOTSMGRTTAGONE-ASYNC",
  "SLOTSMGRTTAGSLOT-ASYNC", "SLOTSMGRT-ASYNC-FENCE", "SLOTSMGRT-ASYNC-CANCEL",
  "SLOTSMGRT-ASYNC-STATUS", "SLOTSMGRT-EXEC-WRAPPER", "SLOTSRESTORE-ASYNC",
  "SLOTSRESTORE-ASYNC-AUTH", "SLOTSRESTORE-ASYNC-ACK",
];

/** Answered by the original itself; and HELLO, without which clients of today cannot connect. */
// biome-ignore format: words fill their lines
const LOCAL: readonly CommandName[] = [
  "AUTH", "HELLO", "INFO", "PING", "QUIT", "SELECT", "SLOTSINFO", "SLOTSMAPPING", "SLOTSSCAN",
];

const SPLIT: readonly CommandName[] = ["DEL", "EXISTS", "MGET", "MSET"];

/** The key is argument 3: of a script its first key, of these two the first source. */
const THIRD_IS_KEY: readonly CommandName[] = ["EVAL", "EVALSHA", "ZINTERSTORE", "ZUNIONSTORE"];

const CLASSES: readonly CodisClass[] = ALL_COMMANDS.map(({ name }) => {
  if (REFUSED.includes(name) || DASHED.includes(name)) return "X";
  if (REPLICA_READS.includes(name)) return "R";
  return MASTER_READS.includes(name) ? "M" : "W";
});

const POLICIES: readonly ProxyPolicy[] = ALL_COMMANDS.map(({ id, name }) => {
  if (CLASSES[id] === "X") return "refuse";
  if (LOCAL.includes(name)) return "local";
  return SPLIT.includes(name) ? "split" : "forward";
});

const KEY_INDEXES = Uint8Array.from(ALL_COMMANDS, ({ name }) =>
  THIRD_IS_KEY.includes(name) ? 3 : 1,
);

/** The class of a command, or of a name that is in no row. */
export function codisClass(command: Command | undefined): CodisClass {
  return command === undefined ? "W" : CLASSES[command.id]!;
}

/** What the proxy does with it under `compat = "codis"`: `forward`, `split`, `local`, `refuse`. */
export function codisPolicy(command: Command | undefined): ProxyPolicy {
  return command === undefined ? "forward" : POLICIES[command.id]!;
}

/** The argument that decides the slot; where a request has none there, the key is empty: slot 0. */
export function codisKeyIndex(command: Command | undefined): 1 | 3 {
  return command !== undefined && KEY_INDEXES[command.id] === 3 ? 3 : 1;
}
