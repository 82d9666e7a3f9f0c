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
};
