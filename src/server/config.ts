/**
 * The server's configuration: keys as in redis.conf, in TOML (`maxmemory = "1gb"`). The table gives
 * the file's rules and defaults; commands/config-command.ts says which keys CONFIG SET may change.
 */

import { addressOrName, type ConfigOf, type ConfigTable } from "../base/config.ts";
import { DEFAULT_LIMITS } from "./arena/compact-limits.ts";
import { parseSavePoints } from "./rdb/save-points.ts";

function fileName(value: string): string | undefined {
  return /^[^/]+$/.test(value) ? undefined : "must be a file name, not a path";
}

export const SERVER_CONFIG = {
  bind: {
    kind: "string",
    default: "127.0.0.1",
    comment: "Address to listen on; one. 0.0.0.0 means all of IPv4.",
    check: addressOrName,
  },
  port: {
    kind: "int",
    default: 6379,
    max: 65535,
    comment: "TCP port; 0 takes any that is free.",
  },
  "protected-mode": {
    kind: "bool",
    default: true,
    comment: "Without a password, refuse clients that are not on this host.",
  },
  requirepass: {
    kind: "string",
    default: "",
    secret: "omit",
    comment: "Password that clients must give with AUTH; empty for none.",
  },
  databases: {
    kind: "int",
    default: 16,
    min: 1,
    max: 1024,
    comment: "Number of databases; SELECT takes 0 to one less.",
  },
  dir: {
    kind: "string",
    default: ".",
    comment: "Directory of snapshots and of the append-only file. It must exist.",
  },
  maxmemory: {
    kind: "size",
    default: "0",
    comment:
      "Above this many bytes of data, keys give way as maxmemory-policy says, and when none can, commands that may need more are refused; 0 for no limit.",
  },
  "maxmemory-policy": {
    kind: "choice",
    default: "noeviction",
    choices: [
      "volatile-lru",
      "volatile-lfu",
      "volatile-random",
      "volatile-ttl",
      "allkeys-lru",
      "allkeys-lfu",
      "allkeys-random",
      "noeviction",
    ],
    comment:
      "What gives way when memory is full: keys with an expiry or all; of some taken at random, the one not used for longest (lru), used least (lfu; either costs 1/16 of the data's memory), any, or next to expire (ttl).",
  },
  "maxmemory-samples": {
    kind: "int",
    default: 5,
    min: 1,
    max: 64,
    comment: "Keys looked at to find one that gives way: more choose better and take longer.",
  },
  "maxmemory-eviction-tenacity": {
    kind: "int",
    default: 10,
    max: 100,
    comment:
      "How long a request may wait while keys give way: 10 is 0.5 ms, each step more 15 % longer; 100 is until there is room.",
  },
  "lfu-log-factor": {
    kind: "int",
    default: 10,
    comment: "How many uses a key needs to count as often used (lfu): 10 tells up to a million.",
  },
  "lfu-decay-time": {
    kind: "int",
    default: 1,
    comment: "Minutes without use after which a key counts as used less (lfu); 0 for never.",
  },
  maxclients: {
    kind: "int",
    default: 10000,
    min: 1,
    max: 1000000,
    comment: "Connections served at the same time; more are told so and closed.",
  },
  "maxmemory-clients": {
    kind: "size",
    default: "1gb",
    comment:
      "Replies that wait and requests that have come in part, over all clients: above it whoever holds most is closed; 0 for no limit.",
  },
  timeout: {
    kind: "int",
    default: 0,
    comment: "Seconds after which a silent client is closed; 0 for never.",
  },
  "tcp-keepalive": {
    kind: "int",
    default: 300,
    comment: "Seconds of silence before TCP probes a peer; 0 for never.",
  },
  save: {
    kind: "string",
    default: "3600 1 300 100 60 10000",
    comment:
      'When to save a snapshot by itself: pairs of seconds and changes; "" for never. It is loaded at the start, unless there is an append-only file.',
    check: (value) =>
      parseSavePoints(value) === undefined ? "must be pairs of seconds and changes" : undefined,
  },
  dbfilename: {
    kind: "string",
    default: "dump.rdb",
    comment: "Name of the snapshot, an RDB file, inside dir.",
    check: fileName,
  },
  rdbchecksum: {
    kind: "bool",
    default: true,
    comment: "Give snapshots a checksum, and check that of one that is loaded.",
  },
  "stop-writes-on-bgsave-error": {
    kind: "bool",
    default: true,
    comment: "Refuse changes while snapshots are to be saved and saving them fails.",
  },
  appendonly: {
    kind: "bool",
    default: false,
    comment: "Keep an append-only file, so that data survives a restart.",
  },
  appendfsync: {
    kind: "choice",
    default: "everysec",
    choices: ["everysec", "always", "no"],
    comment:
      "When the append-only file is forced to disk: before each reply, each second, or by the system.",
  },
  appendfilename: {
    kind: "string",
    default: "appendonly.aof",
    comment: "Base of the names of the append-only file's parts.",
    check: fileName,
  },
  appenddirname: {
    kind: "string",
    default: "appendonlydir",
    comment: "Directory, inside dir, of the append-only file's parts.",
    check: fileName,
  },
  "auto-aof-rewrite-percentage": {
    kind: "int",
    default: 100,
    comment:
      "Rewrite the append-only file when it has grown by this much since the last time; 0 for never.",
  },
  "auto-aof-rewrite-min-size": {
    kind: "size",
    default: "64mb",
    comment: "Do not rewrite an append-only file smaller than this by itself.",
  },
  "aof-load-truncated": {
    kind: "bool",
    default: true,
    comment: "Start with an append-only file whose end is torn, cutting it; else refuse to start.",
  },
  "proto-max-bulk-len": {
    kind: "size",
    default: "512mb",
    min: 1024 * 1024,
    max: 512 * 1024 * 1024,
    comment: "The longest argument and string value.",
  },
  "client-query-buffer-limit": {
    kind: "size",
    default: "1gb",
    min: 1024 * 1024,
    max: 1024 * 1024 * 1024,
    comment: "A client whose unfinished request is longer is closed.",
  },
  "enable-debug-command": {
    kind: "choice",
    default: "no",
    choices: ["no", "yes", "local"],
    comment: "Who may use DEBUG, which can stop the server: no one, all, or clients on this host.",
  },
  "hash-max-listpack-entries": {
    kind: "int",
    default: DEFAULT_LIMITS["hash-max-listpack-entries"],
    comment:
      "Fields up to which a hash is kept in one compact block, which is small but searched through.",
  },
  "hash-max-listpack-value": {
    kind: "size",
    default: String(DEFAULT_LIMITS["hash-max-listpack-value"]),
    comment: "Bytes of the longest field or value of such a hash.",
  },
  "list-max-listpack-size": {
    kind: "int",
    default: DEFAULT_LIMITS["list-max-listpack-size"],
    min: -(2 ** 31),
    comment:
      "How much of a list is kept in one block: that many elements, or with -1 to -5 up to 4, 8, 16, 32 or 64 KiB.",
  },
  "set-max-intset-entries": {
    kind: "int",
    default: DEFAULT_LIMITS["set-max-intset-entries"],
    comment: "Members up to which a set of integers is kept as a compact sorted block of them.",
  },
  "set-max-listpack-entries": {
    kind: "int",
    default: DEFAULT_LIMITS["set-max-listpack-entries"],
    comment: "Members up to which any other set is kept in one compact block.",
  },
  "set-max-listpack-value": {
    kind: "size",
    default: String(DEFAULT_LIMITS["set-max-listpack-value"]),
    comment: "Bytes of the longest member of such a set.",
  },
  "zset-max-listpack-entries": {
    kind: "int",
    default: DEFAULT_LIMITS["zset-max-listpack-entries"],
    comment: "Members up to which a sorted set is kept in one compact block.",
  },
  "zset-max-listpack-value": {
    kind: "size",
    default: String(DEFAULT_LIMITS["zset-max-listpack-value"]),
    comment: "Bytes of the longest member of such a sorted set.",
  },
  "slowlog-log-slower-than": {
    kind: "int",
    default: 10000,
    min: -1,
    comment: "Microseconds from which a command is in the slow log; 0 logs all, -1 none.",
  },
  "slowlog-max-len": {
    kind: "int",
    default: 128,
    comment: "Entries the slow log keeps.",
  },
} as const satisfies ConfigTable;

export type ServerConfig = ConfigOf<typeof SERVER_CONFIG>;
/** The same, as CONFIG SET changes it. */
export type RuntimeConfig = { -readonly [Key in keyof ServerConfig]: ServerConfig[Key] };
