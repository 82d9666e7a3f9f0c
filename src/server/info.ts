/**
 * The text of INFO: sections of `field:value` lines. Dashboards, Sentinel and monitors read it, so
 * fields that stock Redis has and that mean nothing here are there with the value that says so.
 * Layout and names: Redis 7.0 src/server.c `genRedisInfoString`.
 */

import { totalmem } from "node:os";
import { ALL_COMMANDS } from "../commands/lookup.ts";
import { REDIS_VERSION } from "../commands/redis-version.ts";
import { memoryReport, ratio } from "./memory.ts";
import type { ServerState } from "./state.ts";

type Section = (server: ServerState) => string[];

const SECOND_MS = 1000;
const DAY_S = 86_400;
const MICROSECONDS = 1e6;

/** Bytes as Redis prints them for people: `1.50M`. */
function human(bytes: number): string {
  if (bytes < 1024) return `${bytes}B`;
  const units = ["K", "M", "G", "T"];
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value.toFixed(2)}${units[unit]}`;
}

function serverSection(server: ServerState): string[] {
  const now = server.clock.now();
  const uptime = Math.floor((now - server.startedMs) / SECOND_MS);
  return [
    `redis_version:${REDIS_VERSION}`,
    "redis_git_sha1:00000000",
    "redis_git_dirty:0",
    "redis_build_id:0",
    "redis_mode:standalone",
    `os:${process.platform} ${process.arch}`,
    "arch_bits:64",
    "multiplexing_api:epoll",
    "gcc_version:0.0.0",
    `process_id:${process.pid}`,
    "process_supervised:no",
    `run_id:${server.runId}`,
    `tcp_port:${server.port}`,
    `server_time_usec:${Math.floor(now * 1000)}`,
    `uptime_in_seconds:${uptime}`,
    `uptime_in_days:${Math.floor(uptime / DAY_S)}`,
    "hz:10",
    "configured_hz:10",
    `lru_clock:${Math.floor(now / SECOND_MS) & 0xffffff}`,
    `executable:${process.execPath}`,
    "config_file:",
  ];
}

function clientsSection(server: ServerState): string[] {
  let longestOutput = 0;
  let biggestInput = 0;
  let blocked = 0;
  for (const client of server.clients.values()) {
    longestOutput = Math.max(longestOutput, client.port.backlogBytes());
    biggestInput = Math.max(biggestInput, client.port.pendingBytes());
    if (client.isWaiting) blocked++;
  }
  return [
    `connected_clients:${server.clients.size}`,
    "cluster_connections:0",
    `maxclients:${server.config.maxclients}`,
    `client_longest_output_list:${longestOutput}`,
    `client_biggest_input_buf:${biggestInput}`,
    `client_recent_max_input_buffer:${biggestInput}`,
    `client_recent_max_output_buffer:${longestOutput}`,
    `blocked_clients:${blocked}`,
    "tracking_clients:0",
    "clients_in_timeout_table:0",
  ];
}

/** `name` and `name_human`. */
function bytesLines(name: string, bytes: number): string[] {
  return [`${name}:${bytes}`, `${name}_human:${human(bytes)}`];
}

/** `name_ratio` and `name_bytes`: how much larger than `of` it is. */
function excessLines(name: string, bytes: number, of: number): string[] {
  return [`${name}_ratio:${ratio(bytes, of).toFixed(2)}`, `${name}_bytes:${bytes - of}`];
}

function memorySection(server: ServerState): string[] {
  const memory = memoryReport(server);
  const { used, peak, dataset, allocated, active, activeLeast, rss, rssLeast } = memory;
  return [
    ...bytesLines("used_memory", used),
    ...bytesLines("used_memory_rss", rss),
    ...bytesLines("used_memory_peak", peak),
    `used_memory_peak_perc:${(ratio(used, peak) * 100).toFixed(2)}%`,
    `used_memory_overhead:${memory.overhead}`,
    "used_memory_startup:0",
    `used_memory_dataset:${dataset}`,
    `used_memory_dataset_perc:${(ratio(dataset, used) * 100).toFixed(2)}%`,
    `allocator_allocated:${allocated}`,
    `allocator_active:${active}`,
    `allocator_resident:${active}`,
    ...bytesLines("total_system_memory", totalmem()),
    ...bytesLines("used_memory_lua", 0),
    ...bytesLines("maxmemory", server.config.maxmemory),
    `maxmemory_policy:${server.config["maxmemory-policy"]}`,
    `allocator_frag_ratio:${ratio(active, activeLeast).toFixed(2)}`,
    `allocator_frag_bytes:${active - allocated}`,
    ...excessLines("allocator_rss", active, active),
    ...excessLines("rss_overhead", rss, active),
    ...excessLines("mem_fragmentation", rss, rssLeast),
    `mem_not_counted_for_evict:${memory.journal}`,
    "mem_replication_backlog:0",
    "mem_total_replication_buffers:0",
    "mem_clients_slaves:0",
    `mem_clients_normal:${memory.clients}`,
    "mem_cluster_links:0",
    `mem_aof_buffer:${memory.journal}`,
    "mem_allocator:arena",
    "active_defrag_running:0",
    `lazyfree_pending_objects:${server.databases.hasToRelease ? 1 : 0}`,
  ];
}

function persistenceSection(server: ServerState): string[] {
  return [
    `loading:${server.isLoading ? 1 : 0}`,
    "async_loading:0",
    ...(server.saves?.infoLines() ?? []),
    `aof_enabled:${server.journal === undefined ? 0 : 1}`,
    ...(server.journal?.infoLines() ?? []),
  ];
}

function statsSection(server: ServerState): string[] {
  const { stats, databases, evictor } = server;
  return [
    `total_connections_received:${stats.connectionsReceived}`,
    `total_commands_processed:${stats.commandsProcessed}`,
    `instantaneous_ops_per_sec:${stats.opsPerSecond}`,
    `total_net_input_bytes:${stats.inputBytes}`,
    `total_net_output_bytes:${stats.outputBytes}`,
    "instantaneous_input_kbps:0.00",
    "instantaneous_output_kbps:0.00",
    `rejected_connections:${stats.rejectedConnections}`,
    "sync_full:0",
    "sync_partial_ok:0",
    "sync_partial_err:0",
    `expired_keys:${databases.expiredKeys}`,
    `evicted_keys:${databases.evictedKeys}`,
    `evicted_clients:${stats.evictedClients}`,
    `total_eviction_exceeded_time:${Math.floor(evictor.totalFullMs)}`,
    `current_eviction_exceeded_time:${Math.floor(evictor.currentFullMs)}`,
    `keyspace_hits:${databases.hits}`,
    `keyspace_misses:${databases.misses}`,
    "pubsub_channels:0",
    "pubsub_patterns:0",
    "latest_fork_usec:0",
    "total_forks:0",
    `total_error_replies:${stats.errorReplies}`,
    ...(server.turnMeter?.infoLines() ?? []),
  ];
}

function replicationSection(server: ServerState): string[] {
  return [
    "role:master",
    "connected_slaves:0",
    "master_failover_state:no-failover",
    `master_replid:${server.runId}`,
    "master_replid2:0000000000000000000000000000000000000000",
    "master_repl_offset:0",
    "second_repl_offset:-1",
    "repl_backlog_active:0",
    "repl_backlog_size:1048576",
    "repl_backlog_first_byte_offset:0",
    "repl_backlog_histlen:0",
  ];
}

function cpuSection(): string[] {
  const { user, system } = process.cpuUsage();
  return [
    `used_cpu_sys:${(system / MICROSECONDS).toFixed(6)}`,
    `used_cpu_user:${(user / MICROSECONDS).toFixed(6)}`,
    "used_cpu_sys_children:0.000000",
    "used_cpu_user_children:0.000000",
  ];
}

function commandStatsSection({ stats }: ServerState): string[] {
  return ALL_COMMANDS.flatMap(({ id, lower }) => {
    const calls = stats.calls[id]!;
    const rejected = stats.rejectedCalls[id]!;
    if (calls === 0 && rejected === 0) return [];
    const usec = Math.floor(stats.microseconds[id]!);
    const perCall = calls === 0 ? "0.00" : (usec / calls).toFixed(2);
    const failed = `rejected_calls=${rejected},failed_calls=${stats.failedCalls[id]}`;
    return `cmdstat_${lower}:calls=${calls},usec=${usec},usec_per_call=${perCall},${failed}`;
  });
}

function errorStatsSection({ stats }: ServerState): string[] {
  return [...stats.errors].map(([code, count]) => `errorstat_${code}:count=${count}`);
}

function keyspaceSection(server: ServerState): string[] {
  return (
    server.databases.all
      // A database with nothing but copies to be deleted elsewhere is not finished for a dashboard.
      .filter((db) => db.size > 0 || server.sentKeys.hasAny(db.index))
      .map((db) => `db${db.index}:keys=${db.size},expires=${db.volatileCount},avg_ttl=0`)
  );
}

/** By the word that asks for it, in the order of INFO. */
export const SECTIONS: ReadonlyMap<string, { readonly title: string; readonly lines: Section }> =
  new Map([
    ["server", { title: "Server", lines: serverSection }],
    ["clients", { title: "Clients", lines: clientsSection }],
    ["memory", { title: "Memory", lines: memorySection }],
    ["persistence", { title: "Persistence", lines: persistenceSection }],
    ["stats", { title: "Stats", lines: statsSection }],
    ["replication", { title: "Replication", lines: replicationSection }],
    ["cpu", { title: "CPU", lines: cpuSection }],
    ["modules", { title: "Modules", lines: () => [] }],
    ["commandstats", { title: "Commandstats", lines: commandStatsSection }],
    ["errorstats", { title: "Errorstats", lines: errorStatsSection }],
    ["cluster", { title: "Cluster", lines: () => ["cluster_enabled:0"] }],
    ["keyspace", { title: "Keyspace", lines: keyspaceSection }],
  ]);

/** What INFO without arguments shows. */
export const DEFAULT_SECTIONS: readonly string[] = [...SECTIONS.keys()].filter(
  (name) => name !== "commandstats",
);

/** The text for sections of SECTIONS: titles, lines that end in CR LF, an empty line between. */
export function infoText(server: ServerState, names: readonly string[]): string {
  return names
    .map((name) => {
      const { title, lines } = SECTIONS.get(name)!;
      return [`# ${title}`, ...lines(server), ""].join("\r\n");
    })
    .join("\r\n");
}
