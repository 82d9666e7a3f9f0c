/**
 * redis-benchmark as the load generator: its command line, and what its report says. The report for
 * people is read, not --csv, as that alone has the 99.9th percentile.
 */

import { programPath } from "../support/debian.ts";
import { CONNECTIONS, type TestName } from "./load.ts";

export interface LoadRun {
  readonly test: TestName;
  readonly pipeline: number;
  readonly requests: number;
  readonly keySpace: number;
  readonly valueBytes: number;
}

/** Latencies in milliseconds, from a request's write to its reply's read, queueing included. */
export interface LoadReport {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
}

/** Runs one test to its end. @returns the report and its raw text */
export async function runLoad(
  port: number,
  run: LoadRun,
): Promise<{ report: LoadReport; raw: string }> {
  const argv = [programPath("redis-benchmark"), "-p", String(port), "--precision", "3"];
  argv.push("-n", String(run.requests), "-c", String(CONNECTIONS), "-P", String(run.pipeline));
  argv.push("-r", String(run.keySpace), "-d", String(run.valueBytes), ...wordsOf(run.test));
  const child = Bun.spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  const raw = withoutProgress(stdout);
  const exitCode = await child.exited;
  if (exitCode !== 0) throw new Error(`redis-benchmark ended with ${exitCode}: ${stderr}${raw}`);
  return { report: parseReport(raw), raw };
}

/**
 * `-t lrange_100` would fill its list first, by as many requests as it is then asked for, and tell
 * of that too; so the request is spelled out.
 */
function wordsOf(test: TestName): readonly string[] {
  if (!test.startsWith("LRANGE_")) return ["-t", test.toLowerCase()];
  const elements = Number(test.slice("LRANGE_".length));
  return ["LRANGE", "mylist", "0", String(elements - 1)];
}

/** Progress lines are overwritten by carriage returns; what stays is after the last one. */
function withoutProgress(text: string): string {
  return text
    .split("\n")
    .map((line) => line.slice(line.lastIndexOf("\r") + 1))
    .filter((line) => line.trim() !== "")
    .join("\n");
}

/** @param raw one test's report. Throws when a figure is missing. */
export function parseReport(raw: string): LoadReport {
  const requestsPerSecond = Number(/throughput summary: ([\d.]+) requests/.exec(raw)?.[1]);
  const summary = /latency summary.*\n.*\n((?: +[\d.]+){6})/.exec(raw)?.[1]?.trim().split(/ +/);
  const report = {
    requestsPerSecond,
    p50Ms: Number(summary?.[2]),
    p99Ms: Number(summary?.[4]),
    p999Ms: percentileOf(raw, 99.9),
  };
  if (Object.values(report).some(Number.isNaN)) throw new Error(`No figures in: ${raw}`);
  return report;
}

/** The first step of the distribution that holds at least `percent` of the requests. */
function percentileOf(raw: string, percent: number): number {
  const section = raw.slice(raw.indexOf("Latency by percentile"), raw.indexOf("Cumulative dist"));
  for (const [, share, ms] of section.matchAll(/^([\d.]+)% <= ([\d.]+) milliseconds/gm)) {
    if (Number(share) >= percent) return Number(ms);
  }
  return Number.NaN;
}
