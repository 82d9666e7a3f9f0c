/** What users of the original's flags are told of what the dashboard does not serve yet. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { runOriginal } from "../../cmd/admin/original.ts";
import { DashboardWorld } from "../support/dashboard-world.ts";

const world = new DashboardWorld();

/** The routes of the world on a port. */
const dashboard = createServer((request, response) => {
  const { method = "", url = "" } = request;
  void world.request(method, url).then(({ status, headers, body }) => {
    response.writeHead(status, { ...headers }).end(body);
  });
});

beforeAll(async () => {
  await world.start();
  await new Promise<void>((listening) => dashboard.listen(0, "127.0.0.1", listening));
});
afterAll(() => dashboard.close());

const FLAGS: readonly (readonly [flags: string, text: string])[] = [
  ["--promote-server --gid=1 --addr=127.0.0.1:6379", "promoting a server is not served yet"],
  [
    "--replica-groups --gid=1 --addr=127.0.0.1:6379 --enable",
    "reading from replicas is not served yet",
  ],
  ["--sync-action --create --addr=127.0.0.1:6379", "sync actions are not served yet"],
  ["--sync-action --remove --addr=127.0.0.1:6379", "sync actions are not served yet"],
  ["--sentinel-add --addr=127.0.0.1:6379", "sentinels are not served yet"],
  ["--sentinel-del --addr=127.0.0.1:6379 --force", "sentinels are not served yet"],
  ["--sentinel-resync", "sentinels are not served yet"],
];

for (const [flags, text] of FLAGS) {
  test(`codis admin ${flags} says that it is not served yet, and what to do`, async () => {
    let stderr = "";
    const streams = {
      stdout: { write: () => undefined },
      stderr: { write: (line: string) => (stderr += line) },
    };
    const { port } = dashboard.address() as AddressInfo;
    const exit = await runOriginal([`--dashboard=127.0.0.1:${port}`, ...flags.split(" ")], streams);
    expect(exit).toBe(1);
    const [, cause = ""] = stderr.split("\n[error]: ");
    expect(cause).toInclude(text);
    // The next step stands behind a colon.
    expect(cause).toMatch(/: \w+ .*\n$/);
  });
}

const OTHER_ROUTES: readonly (readonly [method: string, path: string])[] = [
  ["PUT", "group/replica-groups-all/{xauth}/1"],
  ["GET", "sentinels/info/127.0.0.1:6379"],
  ["GET", "sentinels/info/127.0.0.1:6379/monitored"],
];

for (const [method, path] of OTHER_ROUTES) {
  test(`${method} ${path} answers a cause, not 404`, async () => {
    const { status, body } = await world.request(method, `/api/topom/${path}`);
    expect(status).toBe(800);
    expect(JSON.parse(String(body)).Cause).toInclude("not served yet");
  });
}

test("The key is checked before anything is said", async () => {
  const { body } = await world.request("PUT", "/api/topom/group/promote/wrong/1/127.0.0.1:6379");
  expect(JSON.parse(String(body)).Cause).toStartWith("invalid xauth");
});
