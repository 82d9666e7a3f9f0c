/** The original's flags against a stand-in dashboard: requests, stdout, exit code as recorded. */

import { afterAll, expect, test } from "bun:test";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { runOriginal } from "../../cmd/admin/original.ts";
import { topomXauth } from "../../src/api/xauth.ts";
import { assertRow, readGolden, rowsOf } from "../golden/load.ts";

interface Input {
  readonly overview: { readonly model: { product_name: string }; readonly stats: unknown };
  readonly slots: unknown;
  readonly plan: unknown;
}

type Seen = [method: string, path: string, body: unknown];

const input = readGolden<Input>("dashboard/admin-input.json");
const xauth = topomXauth(input.overview.model.product_name);
const seen: Seen[] = [];

const standIn = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks).toString();
    const path = request.url!.replace(xauth, "{xauth}");
    seen.push([request.method!, path, body === "" ? null : JSON.parse(body)]);
    response.end(JSON.stringify(answerOf(path)));
  });
});
standIn.listen(0, "127.0.0.1");
afterAll(() => standIn.close());

function answerOf(path: string): unknown {
  if (path === "/topom") return input.overview;
  if (path.endsWith("/model")) return input.overview.model;
  if (path.endsWith("/stats/{xauth}")) return input.overview.stats;
  if (path.endsWith("/slots/{xauth}")) return input.slots;
  if (path.includes("/rebalance/")) return input.plan;
  return "OK";
}

/** Printed JSON as a value: the original sorts the members of maps, ours keeps the sender's order. */
function withParsedOutput(stdout: string): unknown {
  return /^[[{]\n/.test(stdout) ? JSON.parse(stdout) : stdout;
}

interface Recorded {
  readonly args: readonly string[];
  readonly exit: number;
  readonly requests: readonly Seen[];
  readonly stdout: string;
}

for (const row of rowsOf("dashboard/admin.json")) {
  const recorded = row.record as unknown as Recorded;
  test(`codis admin --dashboard=ADDR ${recorded.args.join(" ")} does what the original did`, async () => {
    seen.length = 0;
    let stdout = "";
    const streams = {
      stdout: { write: (text: string) => (stdout += text) },
      stderr: { write: () => undefined },
    };
    const { port } = standIn.address() as AddressInfo;
    const exit = await runOriginal([`--dashboard=127.0.0.1:${port}`, ...recorded.args], streams);
    const { args, exit: wantedExit, requests, stdout: wantedStdout } = recorded;
    assertRow(
      {
        ...row,
        recorded: { args, exit: wantedExit, requests, stdout: withParsedOutput(wantedStdout) },
      },
      { args, exit, requests: [...seen], stdout: withParsedOutput(stdout) },
    );
    expect(exit).toBe(wantedExit);
  });
}
