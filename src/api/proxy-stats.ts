/**
 * Pure: what a proxy tells about itself through its API, with upstream's names, in the order sent.
 * Source: Codis pkg/proxy/proxy.go `Stats`, `Overview`.
 */

import type { ProxyModel } from "../model/proxy.ts";
import type { Slot } from "../model/slot.ts";

/** Bits of the `flags` of a stats request. */
export const STATS_CMDS = 1;
const STATS_SLOTS = 2;
export const STATS_RUNTIME = 4;
export const STATS_ALL = STATS_CMDS | STATS_SLOTS | STATS_RUNTIME;

export interface CommandStats {
  /** Name in upper case. */
  readonly opstr: string;
  readonly calls: number;
  /** Microseconds from decoded to answered, in all. */
  readonly usecs: number;
  readonly usecs_percall: number;
  readonly fails: number;
  readonly redis_errtype: number;
}

export interface RawUsage {
  /** CPU times in nanoseconds since the process began. */
  readonly utime: number;
  readonly stime: number;
  readonly cutime: number;
  readonly cstime: number;
  readonly num_threads: number;
  /** Bytes. */
  readonly vm_size: number;
  readonly vm_rss: number;
}

export interface RuntimeStats {
  readonly general: {
    readonly alloc: number;
    readonly sys: number;
    readonly lookups: number;
    readonly mallocs: number;
    readonly frees: number;
  };
  readonly heap: {
    readonly alloc: number;
    readonly sys: number;
    readonly idle: number;
    readonly inuse: number;
    readonly objects: number;
  };
  readonly gc: {
    readonly num: number;
    readonly cpu_fraction: number;
    readonly total_pausems: number;
  };
  readonly num_procs: number;
  readonly num_goroutines: number;
  readonly num_cgo_call: number;
  readonly mem_offheap: number;
}

export interface ProxyStats {
  readonly online: boolean;
  readonly closed: boolean;
  readonly sentinels: {
    readonly servers?: readonly string[];
    readonly masters?: Readonly<Record<string, string>>;
    readonly switched?: boolean;
  };
  readonly ops: {
    readonly total: number;
    readonly fails: number;
    readonly redis: { readonly errors: number };
    readonly qps: number;
    readonly cmd?: readonly CommandStats[];
  };
  readonly sessions: { readonly total: number; readonly alive: number };
  readonly rusage: {
    /** Free text of the sample's time; "" before the first. */
    readonly now: string;
    /** CPU seconds per second. */
    readonly cpu: number;
    /** Resident bytes. */
    readonly mem: number;
    readonly raw?: RawUsage;
  };
  readonly backend: { readonly primary_only: boolean };
  readonly runtime?: RuntimeStats;
}

export interface ProxyOverview {
  readonly version: string;
  readonly compile: string;
  readonly config: Readonly<Record<string, string | number | boolean>>;
  readonly model: ProxyModel;
  readonly stats: ProxyStats;
  readonly slots: readonly Slot[];
}
