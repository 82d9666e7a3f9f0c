import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Programs } from "../support/programs.ts";
import { runTool } from "./run-tool.ts";

/** All that Debian's redis-benchmark runs when no test is named. */
const DEFAULT_TESTS = [
  ..."PING_INLINE PING_MBULK SET GET INCR LPUSH RPUSH LPOP RPOP SADD HSET SPOP ZADD".split(" "),
  "ZPOPMIN",
  "LPUSH (needed to benchmark LRANGE)",
  ...[100, 300, 500, 600].map((n) => `LRANGE_${n} (first ${n} elements)`),
  "MSET (10 keys)",
];

const programs = new Programs();
const ports = new Map<string, number>();

beforeAll(async () => {
  const server = await programs.server();
  const ours = await programs.proxy({ backends: [server.port, (await programs.server()).port] });
  const stock = [await programs.redis(), await programs.redis()];
  const proxy = await programs.proxy({ backends: stock.map(({ port }) => port) });
  ports.set("our server", server.port);
  ports.set("our proxy before our servers", ours.port);
  ports.set("our proxy before redis-servers", proxy.port);
}, 60_000);

afterAll(() => programs.stop(), 60_000);

for (const name of [
  "our server",
  "our proxy before our servers",
  "our proxy before redis-servers",
]) {
  describe(`redis-benchmark runs all its default tests against ${name}`, () => {
    test("one request at a time", () => expectAllTests(name, []));
    test("pipelined, with random keys", () => expectAllTests(name, ["-P", "16", "-r", "1000"]));
    test("with larger values, two threads", () =>
      expectAllTests(name, ["-d", "1000", "-n", "500", "--threads", "2"]));
    test("asking for RESP3", () => expectAllTests(name, ["-3"]));
    test("with a new connection per request", () => expectAllTests(name, ["-k", "0", "-n", "300"]));
  });
}

async function expectAllTests(name: string, args: readonly string[]): Promise<void> {
  const port = String(ports.get(name));
  const argv = ["redis-benchmark", "-p", port, "--csv", "-n", "2000", "-c", "20", ...args];
  const { exitCode, stdout, stderr } = await runTool(argv);
  // A proxy refuses CONFIG: redis-benchmark says so and goes on. -k 0 makes it warn.
  expect(stderr.replace(/^WARNING: (Could not fetch server CONFIG|Keepalive).*\n/gm, "")).toBe("");
  const rows = [...stdout.matchAll(/^"(.*?)","([\d.]+)"/gm)];
  expect(rows.map(([, title]) => title)).toEqual(DEFAULT_TESTS);
  expect(rows.filter(([, , rate]) => !(Number(rate) > 0))).toEqual([]);
  expect(exitCode).toBe(0);
}
