/**
 * What the process uses, sampled once per second as the original does: its text of the time, CPU
 * seconds per second, resident bytes and the raw numbers. Before the first sample `now` is "" and
 * there is no `raw`. Source: Codis pkg/proxy/stats.go, pkg/utils/usage_linux.go.
 */

import { readFileSync } from "node:fs";
import { timeText } from "../api/identity.ts";
import type { ProxyStats, RawUsage, RuntimeStats } from "../api/proxy-stats.ts";
import type { Clock } from "../base/clock.ts";

export const SAMPLE_PERIOD_MS = 1000;

/**
 * Linux counts CPU time in ticks of 10 ms and memory in pages for /proc; both are fixed on amd64,
 * arm64.
 */
const TICK_NS = 10_000_000;
const PAGE_BYTES = 4096;

export type Rusage = ProxyStats["rusage"];

export class RusageSampler {
  readonly #clock: Clock;
  readonly #read: () => RawUsage;
  #sampledMs: number;
  #cpuNs: number;
  #latest: Rusage = { now: "", cpu: 0, mem: 0 };

  /** @param read the raw numbers of this moment; /proc when absent */
  constructor(clock: Clock, read: () => RawUsage = readProc) {
    this.#clock = clock;
    this.#read = read;
    this.#sampledMs = clock.monotonic();
    this.#cpuNs = cpuOf(read());
  }

  get latest(): Rusage {
    return this.#latest;
  }

  /** Call once per SAMPLE_PERIOD_MS. */
  sample(): void {
    const nowMs = this.#clock.monotonic();
    const passedNs = (nowMs - this.#sampledMs) * 1e6;
    if (passedNs <= 0) return;
    const raw = this.#read();
    const cpu = (cpuOf(raw) - this.#cpuNs) / passedNs;
    this.#sampledMs = nowMs;
    this.#cpuNs = cpuOf(raw);
    this.#latest = { now: timeText(this.#clock.now()), cpu, mem: raw.vm_rss, raw };
  }
}

function cpuOf(raw: RawUsage): number {
  return raw.utime + raw.stime + raw.cutime + raw.cstime;
}

/** Numbers from the text of /proc/self/stat, see proc(5). */
export function parseProcStat(text: string): RawUsage {
  // The second field is the program's name in parentheses and may hold anything.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const field = (n: number): number => Number(fields[n - 3] ?? 0);
  return {
    utime: field(14) * TICK_NS,
    stime: field(15) * TICK_NS,
    cutime: field(16) * TICK_NS,
    cstime: field(17) * TICK_NS,
    num_threads: field(20),
    vm_size: field(23),
    vm_rss: field(24) * PAGE_BYTES,
  };
}

function readProc(): RawUsage {
  return parseProcStat(readFileSync("/proc/self/stat", "utf8"));
}

/**
 * The original shows its memory manager's figures; ours are the nearest of Bun's. What has no
 * counterpart is 0, because readers expect every key to be a number.
 * @param threads threads of the data plane
 */
export function runtimeStats(threads: number): RuntimeStats {
  const { heapUsed, heapTotal, external, arrayBuffers } = process.memoryUsage();
  const sys = Math.max(heapTotal, heapUsed);
  return {
    general: { alloc: heapUsed, sys: sys + external, lookups: 0, mallocs: 0, frees: 0 },
    heap: { alloc: heapUsed, sys, idle: sys - heapUsed, inuse: heapUsed, objects: 0 },
    gc: { num: 0, cpu_fraction: 0, total_pausems: 0 },
    num_procs: threads,
    num_goroutines: 0,
    num_cgo_call: 0,
    mem_offheap: arrayBuffers,
  };
}
