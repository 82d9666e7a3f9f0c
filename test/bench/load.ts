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
/** Many and short, as what disturbs lasts for seconds: a round of the same peers varies by 12 %. */
export const ROUNDS = 24;

/**
 * What redis-benchmark runs when it is not told what to run, in its order, which matters: LPUSH and
 * RPUSH put in what LPOP and RPOP take out, SADD what SPOP and ZADD what ZPOPMIN takes.
 */
export const DEFAULT_TESTS = [
  "PING_INLINE",
  "PING_MBULK",
  "SET",
  "GET",
  "INCR",
  "LPUSH",
  "RPUSH",
  "LPOP",
  "RPOP",
  "SADD",
  "HSET",
  "SPOP",
  "ZADD",
  "ZPOPMIN",
  "LRANGE_100",
  "LRANGE_300",
  "LRANGE_500",
  "LRANGE_600",
  "MSET",
] as const;
export type TestName = (typeof DEFAULT_TESTS)[number];

/** Where a test differs from the others of its runs. */
export interface Exception {
  /** So many times fewer requests, as each takes longer. */
  readonly fewer?: number;
  readonly keySpace?: number;
}

export interface Runs {
  readonly tests: readonly TestName[];
  /** Keys are drawn evenly from this many; each of them exists before the first run. */
  readonly keySpace: number;
  readonly valueBytes: number;
  readonly rounds: number;
  /** One entry per pipeline length: requests of one run, for half a second of CPU or more. */
  readonly pipelines: readonly PipelineRun[];
  /** Before the first round every peer goes through every test like this, unmeasured. */
  readonly warmUp?: PipelineRun;
  readonly exceptions?: Readonly<Partial<Record<TestName, Exception>>>;
}

export interface PipelineRun {
  readonly pipeline: number;
  readonly requests: number;
}

/** Every proxy stands before the same two stock redis-servers, with one thread. */
export const PROXY_RUNS: Runs = {
  tests: ["SET", "GET"],
  keySpace: 100_000,
  valueBytes: VALUE_BYTES,
  rounds: ROUNDS,
  pipelines: [
    { pipeline: 1, requests: 25_000 },
    { pipeline: 32, requests: 250_000 },
  ],
};

/** Neither server keeps anything on disk. */
export const SERVER_RUNS: Runs = {
  tests: ["SET", "GET", "INCR"],
  keySpace: 1_000_000,
  valueBytes: VALUE_BYTES,
  rounds: ROUNDS,
  pipelines: [
    { pipeline: 1, requests: 40_000 },
    { pipeline: 32, requests: 300_000 },
  ],
};

/** Elements of sets and sorted sets are hardly ever drawn twice, so that one is added each time. */
const ONCE = { keySpace: 1_000_000_000 };

/**
 * The default tests, values of 3 bytes as by default; without -r, every request would be about the
 * same key and element. A young process is no measure: until a handler is compiled, a request of it
 * costs several times as much.
 */
export const COMMAND_RUNS: Runs = {
  tests: DEFAULT_TESTS,
  keySpace: 100_000,
  valueBytes: 3,
  rounds: 3,
  pipelines: [
    { pipeline: 1, requests: 60_000 },
    { pipeline: 16, requests: 400_000 },
  ],
  warmUp: { pipeline: 32, requests: 600_000 },
  exceptions: {
    SADD: ONCE,
    ZADD: ONCE,
    // Fields are new as often as not.
    HSET: { keySpace: 2_000_000 },
    MSET: { fewer: 4 },
    LRANGE_100: { fewer: 5 },
    LRANGE_300: { fewer: 10 },
    LRANGE_500: { fewer: 15 },
    LRANGE_600: { fewer: 20 },
  },
};
/** Elements that list, set and sorted set have beyond those that are put in and taken out. */
export const SURPLUS_ELEMENTS = 10_000;

/** Those that change something, with an append-only file synced each second. */
export const JOURNAL_RUNS: Runs = {
  ...COMMAND_RUNS,
  tests: DEFAULT_TESTS.filter((test) => !/^(PING|GET|LRANGE)/.test(test)),
  pipelines: [{ pipeline: 16, requests: 400_000 }],
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

/** Memory: this many keys, or elements of collections of each of these sizes. */
export const MEMORY_ENTRIES = 1_000_000;
export const MEMORY_SIZES = [10, 100, MEMORY_ENTRIES];
/** Of fields, members and elements of lists; of keys and their values see above. */
export const MEMBER_BYTES = 10;
export const ELEMENT_BYTES = 20;

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
  /** Of the default tests together, by pipeline: the median of their ratios, and the worst. */
  commands: new Map([
    [1, { median: 1.1, worst: 1.3 }],
    [16, { median: 0.9, worst: 1.5 }],
  ]),
  /** The median of those that change something, while an append-only file is kept. */
  journal: 1.0,
  /** A million keys, all that is resident. */
  memory: 0.9,
  /** What a million entries of a type add to what is resident. */
  memoryOfType: 1.1,
  /** CPU milliseconds of one turn of the server's loop. */
  turnMs: 10,
  /** Time per key of 32 bytes: 1.5 times as many keys a second as MIGRATE moves. */
  migration: 0.667,
  /** p99.9 of clients while slots move, over that of before. */
  migrationClients: 2,
};
