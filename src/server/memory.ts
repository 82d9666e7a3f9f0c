/**
 * What memory is used for, as INFO and MEMORY STATS tell it.
 *
 *   used = data + overhead       overhead = tables and headers of keys, notes of their use,
 *                                           buffers of clients and of the append-only file
 *   allocated <= active <= rss   blocks handed out; chunks that hold them; all of the process
 *
 * Used is what grows with data and clients, so it begins at 0; the program itself is in rss.
 */

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
  readonly rss: number;
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
  return {
    used,
    peak: Math.max(stats.peakMemory, used),
    overhead,
    dataset: used - overhead,
    clients,
    journal: buffer,
    keys: filled.reduce((sum, db) => sum + db.size, 0),
    tables,
    allocated: arena.usedBytes,
    active: arena.chunkBytes,
    rss: process.memoryUsage.rss(),
  };
}

/** Quotients of counts that may be 0. */
export function ratio(part: number, whole: number): number {
  return part / Math.max(whole, 1);
}
