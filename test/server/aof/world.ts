/** Servers with an append-only file on a disk in memory, random commands for them, and digests. */

import { ReplyWriter } from "../../../src/resp/encoder.ts";
import type { AppendOnly } from "../../../src/server/aof/aof.ts";
import { openAppendOnly } from "../../../src/server/aof/open.ts";
import { entryKeyLength, entryKeyOffset, entryMemory } from "../../../src/server/arena/entry.ts";
import { readPayload } from "../../../src/server/rdb/read.ts";
import { writePayload } from "../../../src/server/rdb/write.ts";
import type { ServerState } from "../../../src/server/state.ts";
import { SLOT_COUNT } from "../../../src/slots/hash.ts";
import { OwnServer, type Word } from "../../support/compare.ts";
import type { MemoryFiles } from "../../support/memory-files.ts";
import type { Prng } from "../../support/prng.ts";
import { CollectingSink } from "../rdb/collect.ts";

export interface LoggedServer {
  readonly own: OwnServer;
  readonly journal: AppendOnly;
}

/** A server that has loaded what is on the disk, and goes on writing there. */
export async function startLogged(
  files: MemoryFiles,
  configure: (state: ServerState) => void = () => {},
): Promise<LoggedServer> {
  const own = new OwnServer();
  own.state.journal = undefined;
  // Time flies, so that a slice of a rewrite is short.
  own.clock.monotonic = () => performance.now() * 20;
  configure(own.state);
  const journal = await openAppendOnly(own.state, files);
  return { own, journal };
}

/** The base of the first rewrite, without what came after it. */
export function onlyBase(files: MemoryFiles): MemoryFiles {
  const only = files.afterKill();
  const manifest = only.readText("appendonly.aof.manifest")!;
  only.set("appendonly.aof.manifest", `${manifest.split("\n")[0]!}\n`);
  only.set("appendonly.aof.2.incr.aof", "");
  return only;
}

/** All keys with values and expiry, in an order of its own: equal data, equal text. */
export function digest(state: ServerState): string {
  const lines: string[] = [];
  const { arena, all } = state.databases;
  const out = new ReplyWriter();
  for (const db of all) {
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      if (db.slotSize(slot) === 0) continue;
      const found: number[] = [];
      let cursor = 0;
      do {
        cursor = db.scanSlot(slot, cursor, found);
      } while (cursor !== 0);
      for (const entry of found) {
        const at = entryKeyOffset(arena, entry);
        const end = at + entryKeyLength(arena, entry);
        const key = entryMemory(arena, entry).toString("latin1", at, end);
        out.clear();
        writePayload(arena, entry, out);
        const sink = new CollectingSink();
        readPayload(out.buf, 0, out.length, sink);
        const entries = [...sink.entries].toSorted(([a], [b]) => (a < b ? -1 : 1));
        const value = [sink.kind, sink.text, sink.items, entries, db.expiryOf(entry)];
        lines.push(`${db.index} ${JSON.stringify(key)} ${JSON.stringify(value)}`);
      }
    }
  }
  return lines.toSorted((a, b) => (a < b ? -1 : 1)).join("\n");
}

const FAR_MS = 4_000_000_000_000;

const PREFIXES = ["", "{tag}", "{other}"];

function randomKey(prng: Prng, kinds: string): string {
  return `${prng.pick(PREFIXES)}${prng.pick([...kinds])}${prng.int(40)}`;
}

function randomValue(prng: Prng): string {
  return prng.oneIn(50) ? "v".repeat(prng.int(5000)) : String(prng.int(1_000_000));
}

/** A change of any kind among few keys; the same on every server that had the same before. */
export function randomCommand(prng: Prng): Word[] {
  const key = randomKey(prng, "slhtz");
  const member = `m${prng.int(300)}`;
  const value = randomValue(prng);
  const commands: (() => Word[])[] = [
    () => ["SET", key, value],
    () => ["SET", key, value, "PXAT", FAR_MS + prng.int(1000)],
    () => ["APPEND", key, value],
    () => ["INCR", key],
    () => ["RPUSH", key, value, member],
    () => ["LPUSH", key, value],
    () => ["LPOP", key],
    () => ["HSET", key, member, value],
    () => ["HDEL", key, member],
    () => ["SADD", key, member, value],
    () => ["SREM", key, member],
    () => ["ZADD", key, prng.int(1000) / 4, member],
    () => ["ZREM", key, member],
    () => ["DEL", key],
    () => ["RENAME", key, `${key}2`],
    () => ["PEXPIREAT", key, FAR_MS + prng.int(1000)],
    () => ["PERSIST", key],
    () => ["SELECT", prng.int(3)],
    () => ["MOVE", key, prng.int(3)],
    () => ["COPY", key, `${key}3`, "REPLACE"],
  ];
  return prng.pick(commands)();
}

/** Also changes that depend on the clock, on chance, or on how numbers are added. */
export function anyCommand(prng: Prng): Word[] {
  if (prng.oneIn(2)) return randomCommand(prng);
  const text = randomKey(prng, "s");
  const list = randomKey(prng, "l");
  const set = randomKey(prng, "t");
  const zset = randomKey(prng, "z");
  const hash = randomKey(prng, "h");
  const other = (kind: string): string => randomKey(prng, kind);
  const member = `m${prng.int(300)}`;
  const value = randomValue(prng);
  const seconds = 10_000 + prng.int(10_000);
  const commands: Word[][] = [
    ["SETEX", text, seconds, value],
    ["PSETEX", text, seconds * 1000, value],
    ["SET", text, value, "EX", seconds, "NX"],
    ["SET", text, value, "KEEPTTL"],
    ["SETNX", text, value],
    ["MSET", text, value, other("s"), value],
    ["MSETNX", text, value, other("s"), value],
    ["GETSET", text, value],
    ["GETDEL", text],
    ["GETEX", text, "EX", seconds],
    ["GETEX", text, "PERSIST"],
    ["INCRBYFLOAT", text, "0.1"],
    ["SETRANGE", text, prng.int(50), value],
    ["SETBIT", text, prng.int(2000), 1],
    ["BITOP", "XOR", text, other("s"), other("s")],
    ["BITFIELD", text, "INCRBY", "u5", prng.int(100), 1],
    ["EXPIRE", other("slhtz"), seconds],
    ["EXPIRE", other("slhtz"), -1],
    ["PEXPIRE", other("slhtz"), seconds * 1000, "GT"],
    ["UNLINK", other("slhtz"), other("slhtz")],
    ["LMOVE", list, other("l"), "LEFT", "RIGHT"],
    ["RPOPLPUSH", list, list],
    ["LINSERT", list, "BEFORE", member, value],
    ["LREM", list, 1, member],
    ["LSET", list, 0, value],
    ["LTRIM", list, 1, 10],
    ["LPUSHX", list, value],
    ["RPOP", list, 2],
    ["SPOP", set],
    ["SPOP", set, 3],
    ["SMOVE", set, other("t"), member],
    ["SINTERSTORE", other("t"), set, other("t")],
    ["SUNIONSTORE", other("t"), set, other("t")],
    ["SDIFFSTORE", other("t"), set, other("t")],
    ["HINCRBY", hash, member, 3],
    ["HINCRBYFLOAT", hash, member, "0.3"],
    ["HSETNX", hash, member, value],
    ["HMSET", hash, member, value, `${member}x`, value],
    ["ZINCRBY", zset, "0.7", member],
    ["ZADD", zset, "GT", "CH", prng.int(300), member, 1, `${member}x`],
    ["ZADD", zset, "INCR", 2, member],
    ["ZPOPMIN", zset],
    ["ZPOPMAX", zset, 2],
    ["ZREMRANGEBYRANK", zset, 0, 1],
    ["ZREMRANGEBYSCORE", zset, 1, 5],
    ["ZREMRANGEBYLEX", zset, "[m1", "[m2"],
    ["ZRANGESTORE", other("z"), zset, 0, 5],
    ["ZUNIONSTORE", other("z"), 2, zset, other("z"), "WEIGHTS", 2, 1],
    ["ZINTERSTORE", other("z"), 2, zset, other("t")],
    ["SORT", list, "ALPHA", "STORE", other("l")],
    ["GEOADD", zset, "13.361389", "38.115556", member],
    ["RENAMENX", other("slhtz"), other("slhtz")],
    ["SWAPDB", prng.int(3), prng.int(3)],
    ["SLOTSDEL", prng.int(1024)],
    ...(prng.oneIn(30) ? [["FLUSHDB"]] : []),
  ];
  return prng.pick(commands);
}
