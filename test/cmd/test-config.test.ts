/** `codis server --test-config` says of the folder what a start says, and leaves nothing there. */

import { expect, test } from "bun:test";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { RoleProcess } from "./role-process.ts";

/**
 * @returns the exit code, and the error up to the system call that failed: a start tries to make
 * the folder of the log, a check does not
 */
async function said(server: RoleProcess, ...args: readonly string[]): Promise<[number, string]> {
  const before = server.log.length;
  server.start("server", "--port", "0", ...args);
  const code = await server.ended();
  const text = server.log.slice(before).replace(/^[^:]*: /, "");
  return [code, text.replace(/, (?:mkdir|open) '[^']*'/, "")];
}

for (const [name, dir, text, options] of [
  ["missing, for snapshots", "missing", "Cannot write to missing, where snapshots", []],
  [
    "missing, for a log",
    "missing",
    "Cannot use missing/appendonlydir: dir must be",
    ["--save", ""],
  ],
  ["a file", "a-file", "Cannot use a-file: dir must be a directory", ["--save", ""]],
] as const) {
  test(`A folder that is ${name} is refused by --test-config as by a start`, async () => {
    await using server = new RoleProcess();
    server.write("a-file", "");
    const args = ["--dir", dir, ...options, "--appendonly", "yes"];
    const [code, problem] = await said(server, ...args, "--test-config");
    expect([code, problem]).toEqual([2, expect.stringContaining(text)]);
    expect(await said(server, ...args)).toEqual([1, problem]);
    expect(readdirSync(server.folder)).toEqual(["a-file"]);
  });
}

test("A folder that can be used is left as it was", async () => {
  await using server = new RoleProcess();
  mkdirSync(join(server.folder, "data"));
  const args = ["--dir", "data", "--appendonly", "yes", "--test-config"];
  expect(await said(server, ...args)).toEqual([0, ""]);
  expect(readdirSync(join(server.folder, "data"))).toEqual([]);
});
