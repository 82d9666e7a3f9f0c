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

/** A change of any kind among few keys; the same on every server that had the same before. */
export function randomCommand(prng: Prng): Word[] {
  const key = `${prng.pick(["", "{tag}", "{other}"])}${prng.pick(["s", "l", "h", "t", "z"])}${prng.int(40)}`;
  const member = `m${prng.int(300)}`;
  const value = prng.oneIn(50) ? "v".repeat(prng.int(5000)) : String(prng.int(1_000_000));
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
