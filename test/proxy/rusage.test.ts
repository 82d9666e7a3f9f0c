import { expect, test } from "bun:test";
import { parseProcStat, RusageSampler, runtimeStats } from "../../src/proxy/rusage.ts";
import { ManualClock } from "../support/manual-clock.ts";

const STAT =
  "8849 (a (b) c) S 1 8849 8849 0 -1 4194304 100 200 0 0 40 10 5 1 20 0 6 0 123 1417498624 6087 x";

test("the process' line of /proc is read whatever the program is called", () => {
  expect(parseProcStat(STAT)).toEqual({
    utime: 400_000_000,
    stime: 100_000_000,
    cutime: 50_000_000,
    cstime: 10_000_000,
    num_threads: 6,
    vm_size: 1417498624,
    vm_rss: 6087 * 4096,
  });
});

test("usage is CPU seconds per second since the sample before, and empty before the first", () => {
  const clock = new ManualClock();
  const raw = { ...parseProcStat(STAT) };
  const sampler = new RusageSampler(clock, () => ({ ...raw }));
  expect(sampler.latest).toEqual({ now: "", cpu: 0, mem: 0 });
  sampler.sample();
  expect(sampler.latest.now).toBe("");
  clock.advance(2000);
  raw.utime += 1e9;
  sampler.sample();
  expect(sampler.latest.cpu).toBeCloseTo(0.5, 9);
  expect(sampler.latest).toMatchObject({ mem: raw.vm_rss, raw });
  expect(sampler.latest.now).toEndWith(" +0000 UTC");
});

test("this process can be sampled", () => {
  const clock = new ManualClock();
  const sampler = new RusageSampler(clock);
  clock.advance(1000);
  sampler.sample();
  expect(sampler.latest.mem).toBeGreaterThan(1_000_000);
  expect(runtimeStats(3).num_procs).toBe(3);
});
