/**
 * Peers taken in turn through the same tests. CPU time is that of the peer's process over a run,
 * divided by the run's requests; see load.ts for what a round is.
 */

import { cpuMs } from "../support/proc.ts";
import { ROUNDS, type Runs, type TestName } from "./load.ts";
import type { Recorder } from "./record.ts";
import { type LoadReport, runLoad } from "./redis-benchmark.ts";

export interface Peer {
  readonly name: string;
  readonly port: number;
  /** The process whose CPU time counts; absent when there is none between client and servers. */
  readonly pid?: number;
}

/** One test of one peer over all rounds. */
export interface Result extends LoadReport {
  readonly peer: string;
  readonly test: TestName;
  readonly pipeline: number;
  /** CPU microseconds per request, one per round; empty when there is no process to measure. */
  readonly cpuRounds: readonly number[];
  /** CPU seconds of the measured process, all rounds together. */
  readonly cpuSeconds: number;
}

/** @param title what progress lines and raw files begin with */
export async function contest(
  title: string,
  peers: readonly Peer[],
  runs: Runs,
  recorder: Recorder,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (const { pipeline, requests } of runs.pipelines) {
    const reports = new Map<string, { report: LoadReport; cpuMicros: number }[]>();
    for (let round = 0; round < ROUNDS; round++) {
      recorder.progress(`${title}: pipeline ${pipeline}, round ${round + 1} of ${ROUNDS}`);
      for (const test of runs.tests) {
        for (const peer of peers) {
          const before = peer.pid === undefined ? 0 : cpuMs(peer.pid);
          const run = { test, pipeline, requests, keySpace: runs.keySpace };
          const { report, raw } = await runLoad(peer.port, run);
          const usedMs = peer.pid === undefined ? 0 : cpuMs(peer.pid) - before;
          recorder.raw(`${title}-${peer.name}-${test}-P${pipeline}-${round}`, raw, { usedMs });
          const key = `${peer.name} ${test}`;
          const entry = { report, cpuMicros: (usedMs * 1000) / requests };
          reports.set(key, [...(reports.get(key) ?? []), entry]);
        }
      }
    }
    for (const test of runs.tests) {
      for (const peer of peers) {
        const rounds = reports.get(`${peer.name} ${test}`)!;
        const medianOf = (figure: keyof LoadReport): number =>
          median(rounds.map(({ report }) => report[figure]));
        const cpuRounds = peer.pid === undefined ? [] : rounds.map(({ cpuMicros }) => cpuMicros);
        results.push({
          peer: peer.name,
          test,
          pipeline,
          cpuRounds,
          cpuSeconds: (cpuRounds.reduce((sum, micros) => sum + micros, 0) * requests) / 1e6,
          requestsPerSecond: medianOf("requestsPerSecond"),
          p50Ms: medianOf("p50Ms"),
          p99Ms: medianOf("p99Ms"),
          p999Ms: medianOf("p999Ms"),
        });
      }
    }
  }
  return results;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The median over the rounds of ours / theirs: CPU time per request. */
export function ratioOf(
  results: readonly Result[],
  ours: string,
  theirs: string,
  test: TestName,
  pipeline: number,
): number {
  const roundsOf = (peer: string): readonly number[] =>
    results.find((r) => r.peer === peer && r.test === test && r.pipeline === pipeline)!.cpuRounds;
  const others = roundsOf(theirs);
  return median(roundsOf(ours).map((micros, round) => micros / others[round]!));
}
