/** How a readable verb finds its dashboard, and what it says when there is none. */

import { expect, test } from "bun:test";
import { openDashboard } from "../../cmd/admin/dashboard.ts";
import { jsonAnswer } from "../../src/api/http.ts";
import { serveAdmin } from "../../src/api/serve-admin.ts";
import { TOPOM } from "../../src/model/topom.ts";
import { failureOf } from "../support/failure.ts";

const READ_TIMEOUT_MS = 30;
/** A busy machine may need some time to open. */
const OPENING_MS_MAX = 500;

test("A dashboard that is stopped is named when a read's time is over, with what to look at", async () => {
  const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const dashboard = `127.0.0.1:${silent.port}`;
  const error = await failureOf(openDashboard({ dashboard }, READ_TIMEOUT_MS));
  silent.stop(true);
  expect([error.code, error.message]).toEqual([
    "timeout",
    `Get "http://${dashboard}/api/topom/model": no answer within ${READ_TIMEOUT_MS} ms\n` +
      `The dashboard at ${dashboard} does not answer: its process is stopped or hangs, or the way ` +
      "to it; look at it and at its log",
  ]);
});

test("A change may take longer than a read", async () => {
  const answer = Promise.withResolvers<void>();
  const server = await serveAdmin("127.0.0.1:0", async ({ method, target }) => {
    if (method === "PUT") await answer.promise;
    if (target.startsWith("/api/topom/stats")) await new Promise(() => {});
    return jsonAnswer(200, { ...TOPOM.zero(), product_name: "demo" });
  });
  const dashboard = await openDashboard({ dashboard: server.address }, OPENING_MS_MAX);
  const change = dashboard.createGroup(1);
  expect((await failureOf(dashboard.stats())).message).toContain(`within ${OPENING_MS_MAX} ms`);
  answer.resolve();
  await change;
  await server.close();
});
