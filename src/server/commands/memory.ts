/**
 * MEMORY: what takes how much. Source of the subcommands and of the fields of STATS: Redis 7.0
 * src/object.c `memoryCommand`.
 */

import { entryBlockBytes, entryKind, entryValueWord } from "../arena/entry.ts";
import {
  argEnd,
  argInteger,
  argIs,
  argStart,
  type Call,
  failSyntax,
  type Handler,
} from "../call.ts";
import { type MemoryReport, memoryReport, ratio } from "../memory.ts";
import { STRING, VALUE_TYPES } from "../types/value-type.ts";
import { helpReply, runSubcommand, type Subcommands } from "./container.ts";

const MEMORY_HELP = [
  "DOCTOR",
  "    Return memory problems reports.",
  "MALLOC-STATS",
  "    Return internal statistics report from the memory allocator.",
  "PURGE",
  "    Attempt to purge dirty pages for reclamation by the allocator.",
  "STATS",
  "    Return information about the memory usage of the server.",
  "USAGE <key> [SAMPLES <count>]",
  "    Return memory in bytes used by <key> and its value. Nested values are",
  "    sampled up to <count> times (default: 5, 0 means sample all).",
];

const SAMPLES_DEFAULT = 5;

function usage(call: Call): void {
  let samples = SAMPLES_DEFAULT;
  for (let i = 3; i < call.argc; i += 2) {
    if (!argIs(call, i, "samples") || i + 1 === call.argc) failSyntax();
    samples = argInteger(call, i + 1);
    if (samples < 0) failSyntax();
  }
  const entry = call.db.peek(call.buf, argStart(call, 2), argEnd(call, 2));
  if (entry === 0) {
    call.out.nil();
    return;
  }
  const type = entryKind(call.arena, entry);
  let bytes = entryBlockBytes(call.arena, entry);
  if (type !== STRING) {
    const ref = entryValueWord(call.arena, entry);
    bytes += VALUE_TYPES.get(type)!.bytes(call.arena, ref, samples);
  }
  call.out.integer(Math.round(bytes));
}

/** In Redis the allocator's pages; here what the collector has not come to yet. */
function purge(call: Call): void {
  Bun.gc(true);
  call.out.ok();
}

// -- STATS ----------------------------------------------------------------------------------------

/** Integers, and texts of fractions; databases come between the two halves. */
function statsBefore(memory: MemoryReport): readonly [string, number][] {
  return [
    ["peak.allocated", memory.peak],
    ["total.allocated", memory.used],
    ["startup.allocated", 0],
    ["replication.backlog", 0],
    ["clients.slaves", 0],
    ["clients.normal", memory.clients],
    ["cluster.links", 0],
    ["aof.buffer", memory.journal],
    ["lua.caches", 0],
    ["functions.caches", 0],
  ];
}

function statsBehind(memory: MemoryReport): readonly [string, number | string][] {
  const { used, peak, overhead, dataset, keys, allocated, active, rss, rssLeast } = memory;
  return [
    ["overhead.total", overhead],
    ["keys.count", keys],
    ["keys.bytes-per-key", Math.floor(keys === 0 ? 0 : used / keys)],
    ["dataset.bytes", dataset],
    ["dataset.percentage", String(ratio(dataset, used) * 100)],
    ["peak.percentage", String(ratio(used, peak) * 100)],
    ["allocator.allocated", allocated],
    ["allocator.active", active],
    ["allocator.resident", active],
    ["allocator-fragmentation.ratio", String(ratio(active, memory.activeLeast))],
    ["allocator-fragmentation.bytes", active - allocated],
    ["allocator-rss.ratio", "1"],
    ["allocator-rss.bytes", 0],
    ["rss-overhead.ratio", String(ratio(rss, active))],
    ["rss-overhead.bytes", rss - active],
    ["fragmentation", String(ratio(rss, rssLeast))],
    ["fragmentation.bytes", rss - rssLeast],
  ];
}

function writeFields({ out }: Call, fields: readonly (readonly [string, number | string])[]): void {
  for (const [name, value] of fields) {
    out.bulkText(name);
    if (typeof value === "number") out.integer(value);
    else out.bulkText(value);
  }
}

function stats(call: Call): void {
  const memory = memoryReport(call.server);
  const before = statsBefore(memory);
  const behind = statsBehind(memory);
  call.out.array(2 * (before.length + memory.tables.length + behind.length));
  writeFields(call, before);
  for (const { index, bytes } of memory.tables) {
    call.out.bulkText(`db.${index}`);
    call.out.array(6);
    writeFields(call, [
      ["overhead.hashtable.main", bytes],
      ["overhead.hashtable.expires", 0],
      ["overhead.hashtable.slot-to-keys", 0],
    ]);
  }
  writeFields(call, behind);
}

// -- DOCTOR ---------------------------------------------------------------------------------------

const MIB = 1024 * 1024;
/** With less data nothing can be said. */
const JUDGED_BYTES_MIN = 5 * MIB;
const PEAK_RATIO_MAX = 1.5;
const FREE_RATIO_MAX = 1.1;
const FREE_BYTES_MAX = 10 * MIB;
const CLIENT_BYTES_MAX = 200 * 1024;

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}

/** What is worth an operator's look, each with what helps. */
function findings(memory: MemoryReport, clientCount: number): string[] {
  const { used, peak, allocated, active, clients } = memory;
  const found: string[] = [];
  if (peak > used * PEAK_RATIO_MAX) {
    found.push(
      `Peak: ${mib(peak)} were used once, ${mib(used)} are now. What was given back lies free until ` +
        "it is used again; nothing is wrong.",
    );
  }
  if (active > allocated * FREE_RATIO_MAX && active - allocated > FREE_BYTES_MAX) {
    found.push(
      `Fragmentation: ${mib(active - allocated)} lie free between what is stored. New data is put ` +
        "there; a restart packs what is there now.",
    );
  }
  if (clients > clientCount * CLIENT_BYTES_MAX) {
    found.push(
      `Clients: ${clientCount} hold ${mib(clients)} of replies and unfinished requests. CLIENT LIST ` +
        "shows whose (omem, qbuf); maxmemory-clients bounds it.",
    );
  }
  return found;
}

function doctor(call: Call): void {
  const memory = memoryReport(call.server);
  if (memory.used < JUDGED_BYTES_MIN) {
    call.out.bulkText(`There is nothing to judge: less than ${mib(JUDGED_BYTES_MIN)} are used.\n`);
    return;
  }
  const found = findings(memory, call.server.clients.size);
  const lines = found.map((text) => ` * ${text}\n`);
  call.out.bulkText(found.length === 0 ? "No problem was found.\n" : lines.join(""));
}

const SUBCOMMANDS: Subcommands = new Map([
  ["doctor", { arity: 2, run: doctor }],
  ["help", { arity: 2, run: (call) => helpReply(call, MEMORY_HELP) }],
  [
    "malloc-stats",
    {
      arity: 2,
      run: (call) => call.out.bulkText("Stats not supported for the current allocator"),
    },
  ],
  ["purge", { arity: 2, run: purge }],
  ["stats", { arity: 2, run: stats }],
  ["usage", { arity: -3, run: usage }],
]);

export const MEMORY_HANDLERS = {
  MEMORY: (call) => runSubcommand(call, SUBCOMMANDS),
} as const satisfies Record<string, Handler>;
