/**
 * The load of `npm run bench`, all of it: what is asked of whom, how often, and how the peers are
 * set up. Everything else in this folder only carries it out.
 *
 *   core 0: redis-benchmark, the two backends, the bench itself
 *   core 1: the measured process, alone; peers wait there idle for their turn
 *
 * A round takes every peer in turn through one test before the next test begins, so that whatever
 * disturbs the machine disturbs all of them. A figure is the median over the rounds, a ratio the
 * median of the rounds' ratios.
 */

/** Where the measured process runs, with all its threads. */
export const MEASURED_CORE = 1;
/** Where everything else runs. */
export const OTHER_CORE = 0;

/** Clients of redis-benchmark, each with one connection. */
export const CONNECTIONS = 50;
export const VALUE_BYTES = 32;
/** `key:` and 12 digits, what redis-benchmark uses; INCR has `counter:` in front instead. */
export const KEY_BYTES = 16;
export const ROUNDS = 5;

export type TestName = "SET" | "GET" | "INCR";

export interface Runs {
  readonly tests: readonly TestName[];
  /** Keys are drawn evenly from this many; each of them exists before the first run. */
  readonly keySpace: number;
  /** One entry per pipeline length: requests of one run, enough for about a second of CPU. */
  readonly pipelines: readonly { readonly pipeline: number; readonly requests: number }[];
}

/** Every proxy stands before the same two stock redis-servers, with one thread. */
export const PROXY_RUNS: Runs = {
  tests: ["SET", "GET"],
  keySpace: 100_000,
  pipelines: [
    { pipeline: 1, requests: 100_000 },
    { pipeline: 32, requests: 1_000_000 },
  ],
};

/** Neither server keeps anything on disk. */
export const SERVER_RUNS: Runs = {
  tests: ["SET", "GET", "INCR"],
  keySpace: 1_000_000,
  pipelines: [
    { pipeline: 1, requests: 150_000 },
    { pipeline: 32, requests: 1_200_000 },
  ],
};

/** twemproxy's pool: one connection per server, as ours; no ejection, so that no request is lost. */
export const NUTCRACKER_POOL = [
  "  redis: true",
  "  hash: fnv1a_64",
  "  distribution: modula",
  "  preconnect: true",
  "  server_connections: 1",
  "  auto_eject_hosts: false",
].join("\n");

/** Memory: this many keys of KEY_BYTES with VALUE_BYTES, then what is resident. */
export const MEMORY_KEYS = 1_000_000;

/** Turns: the longest one while the server is loaded from empty to this many keys. */
export const TURN_KEYS = 5_000_000;
/** So often, each time from empty; see turns.ts. */
export const TURN_LOADS = 5;

/** Busy turns: the same keys, then mixed writes while both kinds of files are written. */
export const BUSY_LOADS = 3;
/** Hashes, lists, sets, sorted sets and counters, each; written evenly, so that they stay small. */
export const BUSY_COLLECTIONS = 1_000_000;
/** Words of the mixed writes; each is drawn as often as it stands here. */
export const BUSY_WRITES = [
  ["SET", "SET", "SET", "SET", "INCR", "INCR", "HSET", "HSET"],
  ["LPUSH", "LPUSH", "ZADD", "ZADD", "SADD", "SADD", "DEL", "EXPIRE"],
].flat();

/**
 * Migration: slots 0 to `slots` - 1 of a server with so many keys are moved to another, and back.
 * Source on the measured core; target, dashboard, proxy and clients on the other. A round moves by
 * each way in turn; the first one, in which programs get warm, does not count.
 */
export const MIGRATION = {
  slots: 64,
  rounds: 4,
  /** Keys in one MIGRATE; the best one is what ours is held against. */
  stockBatches: [100, 1000],
  /** Keys in all 1024 slots, by kind of value; the first is the one with targets. */
  kinds: [
    { name: "32 B strings", keys: 2_000_000 },
    { name: "1 KiB strings", keys: 200_000 },
    { name: "64 KiB strings", keys: 16_000 },
    { name: "hashes of 100 fields", keys: 50_000 },
  ],
  /** Clients meanwhile: CONNECTIONS of them, GET and SET in turn over all keys, at a fixed rate. */
  requestsPerSecond: 2000,
  /** How long the same clients are measured without a migration, before each move. */
  idleSeconds: 5,
  clientRounds: 3,
} as const;

/** How `fill` writes keys: connections, and requests in one write of each. */
export const FILL = { connections: CONNECTIONS, pipeline: 32 };

/** What must hold. A ratio is ours over the peer's, CPU time per request or memory. */
export const TARGETS = {
  proxy: new Map([
    [1, 0.95],
    [32, 0.4],
  ]),
  server: new Map([
    [1, 1.1],
    [32, 0.9],
  ]),
  memory: 0.9,
  /** CPU milliseconds of one turn of the server's loop. */
  turnMs: 10,
  /** Time per key of 32 bytes: 1.5 times as many keys a second as MIGRATE moves. */
  migration: 0.667,
  /** p99.9 of clients while slots move, over that of before. */
  migrationClients: 2,
};
