/**
 * Peers taken in turn through the same tests. CPU time is that of the peer's process over a run,
 * divided by the run's requests; see load.ts for what a round is.
 */

import { cpuMs } from "../support/proc.ts";
import type { PipelineRun, Runs, TestName } from "./load.ts";
import type { Recorder } from "./record.ts";
import { type LoadReport, type LoadRun, runLoad } from "./redis-benchmark.ts";

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

/** One run of one peer. */
interface Measured {
  readonly report: LoadReport;
  readonly usedMs: number;
}

/** @param title what progress lines and raw files begin with */
export async function contest(
  title: string,
  peers: readonly Peer[],
  runs: Runs,
  recorder: Recorder,
): Promise<readonly Result[]> {
  if (runs.warmUp !== undefined) {
    recorder.progress(`${title}: warming up`);
    for (const test of runs.tests) {
      for (const peer of peers) await measure(peer, runOf(runs, runs.warmUp, test));
    }
  }
  const results: Result[] = [];
  for (const pipelineRun of runs.pipelines) {
    const { pipeline } = pipelineRun;
    const measured = new Map<string, Measured[]>();
    for (let round = 0; round < runs.rounds; round++) {
      recorder.progress(`${title}: pipeline ${pipeline}, round ${round + 1} of ${runs.rounds}`);
      for (const test of runs.tests) {
        for (const peer of peers) {
          const { raw, ...figures } = await measure(peer, runOf(runs, pipelineRun, test));
          const { usedMs } = figures;
          recorder.raw(`${title}-${peer.name}-${test}-P${pipeline}-${round}`, raw, { usedMs });
          const key = `${peer.name} ${test}`;
          measured.set(key, [...(measured.get(key) ?? []), figures]);
        }
      }
    }
    for (const test of runs.tests) {
      for (const peer of peers) {
        const rounds = measured.get(`${peer.name} ${test}`)!;
        results.push(resultOf(peer, runOf(runs, pipelineRun, test), rounds));
      }
    }
  }
  return results;
}

function runOf(runs: Runs, { pipeline, requests }: PipelineRun, test: TestName): LoadRun {
  const { fewer = 1, keySpace = runs.keySpace } = runs.exceptions?.[test] ?? {};
  const { valueBytes } = runs;
  return { test, pipeline, requests: Math.ceil(requests / fewer), keySpace, valueBytes };
}

async function measure(peer: Peer, run: LoadRun): Promise<Measured & { readonly raw: string }> {
  const before = peer.pid === undefined ? 0 : cpuMs(peer.pid);
  const { report, raw } = await runLoad(peer.port, run);
  return { report, raw, usedMs: peer.pid === undefined ? 0 : cpuMs(peer.pid) - before };
}

function resultOf(peer: Peer, run: LoadRun, rounds: readonly Measured[]): Result {
  const medianOf = (figure: keyof LoadReport): number =>
    median(rounds.map(({ report }) => report[figure]));
  const usedMs = peer.pid === undefined ? [] : rounds.map((round) => round.usedMs);
  return {
    peer: peer.name,
    test: run.test,
    pipeline: run.pipeline,
    cpuRounds: usedMs.map((ms) => (ms * 1000) / run.requests),
    cpuSeconds: usedMs.reduce((sum, ms) => sum + ms, 0) / 1000,
    requestsPerSecond: medianOf("requestsPerSecond"),
    p50Ms: medianOf("p50Ms"),
    p99Ms: medianOf("p99Ms"),
    p999Ms: medianOf("p999Ms"),
  };
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
