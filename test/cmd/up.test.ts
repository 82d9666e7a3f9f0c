/** What `codis up` refuses before it touches anything: the value, the rule and what to do. */

import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MAIN = join(import.meta.dir, "../../cmd/codis.ts");

async function refused(args: readonly string[]): Promise<{ code: number; err: string }> {
  const cwd = mkdtempSync(join(tmpdir(), "codis-up-"));
  try {
    const child = Bun.spawn([process.execPath, MAIN, "up", ...args], {
      cwd,
      stdout: "ignore",
      stderr: "pipe",
      timeout: 10_000,
    });
    const err = await new Response(child.stderr).text();
    const code = await child.exited;
    expect(readdirSync(cwd)).toEqual([]);
    return { code, err };
  } finally {
    rmSync(cwd, { recursive: true });
  }
}

test("An empty --dir is not the current directory", async () => {
  expect(await refused(["--dir", ""])).toEqual({
    code: 2,
    err: "codis up: Cannot use --dir '': it must name a directory; leave --dir out for ./codis-data\n",
  });
});

test("A taken port is refused, and --dir is not made", async () => {
  const holder = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const { code, err } = await refused(["--port", String(holder.port)]);
  holder.stop();
  // Another program may have one of the ports behind it, which are looked at first.
  const text =
    /^codis up: Cannot listen on 127\.0\.0\.1:\d+: address already in use; stop who has it/;
  expect([code, err]).toEqual([1, expect.stringMatching(text)]);
});

test("A port too high for the servers is refused, and --dir is not made", async () => {
  const { code, err } = await refused(["--port", "65000"]);
  expect([code, err]).toEqual([2, expect.stringContaining("choose a lower --port")]);
});

for (const [flag, value, bounds] of [
  ["--servers", "-1", "1..1024"],
  ["--servers", "0", "1..1024"],
  ["--servers", "1e9", "1..1024"],
  ["--servers", "1000000000", "1..1024"],
  ["--servers", "abc", "1..1024"],
  ["--servers", "1.5", "1..1024"],
  ["--servers", "NaN", "1..1024"],
  ["--proxies", "101", "1..100"],
  ["--port", "abc", "1..65535"],
  ["--port", "70000", "1..65535"],
] as const) {
  test(`${flag} ${value} is named as it was given, with its bounds`, async () => {
    const err = `codis up: Cannot use ${flag} ${value}: it must be ${bounds}\n`;
    expect(await refused([flag, value])).toEqual({ code: 2, err });
  });
}
