/**
 * What memory is used for, as INFO and MEMORY STATS tell it.
 *
 *   used = data + overhead       overhead = tables and headers of keys, notes of their use,
 *                                           buffers of clients and of the append-only file
 *   allocated <= active <= rss   blocks handed out; chunks that hold them; all of the process
 *
 * Used is what grows with data and clients, so it begins at 0; the program itself is in rss. Redis
 * counts its program as used, so ratios of ours would be in the millions while there are few keys:
 * they take the program, and the fewest chunks that can be, into the divisor.
 */

import { CHUNK_BYTES } from "./arena/arena.ts";
import type { ServerState } from "./state.ts";

/** What Redis counts as overhead of a key: here the entry's header (arena/entry.ts). */
const KEY_HEADER_BYTES = 16;

export interface MemoryReport {
  readonly used: number;
  readonly peak: number;
  readonly overhead: number;
  readonly dataset: number;
  readonly clients: number;
  /** The append-only file's; not counted against maxmemory. */
  readonly journal: number;
  readonly keys: number;
  /** Overhead by database that has keys. */
  readonly tables: readonly { readonly index: number; readonly bytes: number }[];
  readonly allocated: number;
  readonly active: number;
  /** The least that `active` can be for what is allocated: whole chunks, and one when empty. */
  readonly activeLeast: number;
  readonly rss: number;
  /** What rss would be if nothing lay free: `used`, and the program as large as at the start. */
  readonly rssLeast: number;
}

/** Looks at the head of each slot's table, of every database that has keys. */
export function memoryReport(server: ServerState): MemoryReport {
  const { databases, stats, journal } = server;
  const { arena } = databases;
  const used = server.usedMemory;
  const clients = stats.outputBacklog + stats.inputBacklog;
  const buffer = journal?.bufferBytes ?? 0;
  const filled = databases.all.filter((db) => db.size > 0);
  const tables = filled.map((db) => ({
    index: db.index,
    bytes: db.tableBytes + db.size * KEY_HEADER_BYTES,
  }));
  const ofKeys = tables.reduce((sum, { bytes }) => sum + bytes, arena.noteBytes);
  const overhead = ofKeys + clients + buffer;
  const [allocated, rss] = [arena.usedBytes, process.memoryUsage.rss()];
  const active = arena.chunkBytes + arena.ahead.readyBytes;
  const chunks = Math.max(1, Math.ceil(allocated / CHUNK_BYTES));
  // When pages of the data are swapped out, rss is the smaller one, as the ratio must tell.
  const program = Math.max(0, Math.min(server.programBytes, rss - active));
  return {
    used,
    peak: Math.max(stats.peakMemory, used),
    overhead,
    dataset: used - overhead,
    clients,
    journal: buffer,
    keys: filled.reduce((sum, db) => sum + db.size, 0),
    tables,
    allocated,
    active,
    activeLeast: Math.min(active, chunks * CHUNK_BYTES),
    rss,
    rssLeast: used + program,
  };
}

/** Quotients of counts that may be 0. */
export function ratio(part: number, whole: number): number {
  return part / Math.max(whole, 1);
}
