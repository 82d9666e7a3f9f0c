import { expect, test } from "bun:test";
import type { AdminRequest } from "../../src/api/http.ts";
import { createHandler } from "../../src/api/http.ts";
import { healthRoutes, metric, processMetrics, renderMetrics } from "../../src/api/metrics.ts";

const request = (target: string): AdminRequest => ({
  method: "GET",
  target,
  headers: {},
  readBody: async () => new Uint8Array(),
  remoteIp: "10.0.0.9",
  localIp: "10.0.0.1",
});

test("metrics are printed in Prometheus' form, labels escaped", () => {
  const labelled = {
    name: "codis_calls_total",
    help: "Calls\nof a \\ command.",
    type: "counter",
    samples: [{ labels: { cmd: 'a"b\\c\nd', node: "x" }, value: 3 }],
  } as const;
  const empty = { name: "none", help: "None.", type: "gauge", samples: [] } as const;
  expect(renderMetrics([metric("gauge", "up", "Is up.", 1), empty, labelled])).toBe(
    [
      "# HELP up Is up.",
      "# TYPE up gauge",
      "up 1",
      "# HELP codis_calls_total Calls\\nof a \\\\ command.",
      "# TYPE codis_calls_total counter",
      'codis_calls_total{cmd="a\\"b\\\\c\\nd",node="x"} 3',
      "",
    ].join("\n"),
  );
});

test("a role tells anybody whether it lives, whether it is ready, and its metrics", async () => {
  let reason: string | undefined = "not online";
  const handle = createHandler({
    home: "/",
    checkXauth: () => {},
    changesFromAnywhere: false,
    ownNames: [],
    routes: healthRoutes({
      notReady: () => reason,
      metrics: async () => [metric("gauge", "codis_slots", "Slots.", 1024)],
    }),
  });
  expect(await handle(request("/livez"))).toMatchObject({ status: 200, body: "ok\n" });
  expect(await handle(request("/readyz"))).toMatchObject({ status: 503, body: "not online\n" });
  reason = undefined;
  expect(await handle(request("/readyz"))).toMatchObject({ status: 200, body: "ok\n" });
  const metrics = await handle(request("/metrics"));
  expect(metrics.headers["Content-Type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(metrics.body).toContain("\ncodis_slots 1024\n");
  expect(metrics.body).toContain("\nprocess_cpu_seconds_total ");
});

test("the process' own metrics are numbers", () => {
  for (const { name, samples } of processMetrics()) {
    expect([name, samples[0]!.value > 0]).toEqual([name, true]);
  }
});
