import { expect, test } from "bun:test";
import { median, type Result, ratioOf } from "./contest.ts";
import { formatTable } from "./record.ts";
import { parseReport } from "./redis-benchmark.ts";

const RAW = `====== SET ======
  100000 requests completed in 1.41 seconds
  50 parallel clients

Latency by percentile distribution:
0.000% <= 0.127 milliseconds (cumulative count 4)
50.000% <= 0.455 milliseconds (cumulative count 50112)
99.805% <= 2.575 milliseconds (cumulative count 99806)
99.902% <= 2.751 milliseconds (cumulative count 99904)
100.000% <= 3.415 milliseconds (cumulative count 100000)

Cumulative distribution of latencies:
0.000% <= 0.103 milliseconds (cumulative count 0)
100.000% <= 4.103 milliseconds (cumulative count 100000)

Summary:
  throughput summary: 70921.98 requests per second
  latency summary (msec):
          avg       min       p50       p95       p99       max
        0.471     0.120     0.455     0.671     0.975     3.415
`;

test("The report of redis-benchmark is read, the 99.9th percentile from its distribution", () => {
  expect(parseReport(RAW)).toEqual({
    requestsPerSecond: 70921.98,
    p50Ms: 0.455,
    p99Ms: 0.975,
    p999Ms: 2.751,
  });
  expect(() => parseReport("Could not connect")).toThrow("No figures");
});

test("A ratio is the median of the rounds' ratios", () => {
  const result = (peer: string, cpuRounds: number[]): Result => ({
    ...parseReport(RAW),
    peer,
    test: "SET",
    pipeline: 1,
    cpuRounds,
    cpuSeconds: 1,
  });
  const results = [result("ours", [1, 6, 3]), result("theirs", [2, 2, 2])];
  expect(ratioOf(results, "ours", "theirs", "SET", 1)).toBe(1.5);
  expect(median([4, 1, 3, 2])).toBe(2.5);
});

test("A table aligns words to the left and numbers to the right", () => {
  const table = {
    title: "T",
    heading: ["of", "n"],
    rows: [
      ["a", "1.5"],
      ["long", "10"],
    ],
  };
  expect(formatTable(table)).toBe("T\nof      n\na     1.5\nlong   10");
});
