/** The commands that work on the coordinator itself: as recorded, and a dump that restores. */

import { afterEach, beforeEach, expect, test } from "bun:test";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runOriginal } from "../../cmd/admin/original.ts";
import { assertRow, goldenPath, readGolden, rowsOf } from "../golden/load.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "codis-offline-"));
});

afterEach(() => rmSync(folder, { recursive: true }));

interface Result {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr_first_line?: string;
}

async function run(...argv: string[]): Promise<Result> {
  let stdout = "";
  let stderr = "";
  const exit = await runOriginal(argv, {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
  });
  const firstLine = /\[PANIC\] .*/.exec(stderr)?.[0];
  return { exit, stdout, ...(firstLine !== undefined && { stderr_first_line: firstLine }) };
}

function jsonFile(value: unknown): string {
  const path = join(folder, "input.json");
  writeFileSync(path, JSON.stringify(value));
  return path;
}

const A_GROUP = { id: 1, servers: [{ server: "10.0.0.1:6379" }] };

/** Rows about a coordinator that is not there yet run on the filesystem: the text is the same. */
function argumentsOf(args: readonly string[], input: unknown): string[] {
  return args.map((arg) =>
    arg
      .replace(/=FILE$|=v1\.json$/, () => `=${jsonFile(input)}`)
      .replace(/^--(?:filesystem|etcd)=\w+$/, `--filesystem=${join(folder, "root")}`),
  );
}

for (const row of rowsOf("storage/admin-offline.json")) {
  const { args, input, input_part, when, exit, stdout, stderr_first_line } = row.record as {
    args: string[];
    input?: unknown;
    input_part?: object;
    when?: string;
    exit: number;
    stdout?: string;
    stderr_first_line?: string;
  };
  test(`codis admin ${args.join(" ")}${when ? `, when ${when},` : ""} does as recorded`, async () => {
    if (when?.includes("rst") || when?.includes("already")) {
      const filled = jsonFile({ group: [A_GROUP] });
      const product = ["--product=rst", `--filesystem=${join(folder, "root")}`];
      await run(`--config-restore=${filled}`, ...product, "--confirm");
    }
    const actual = await run(...argumentsOf(args, input ?? { group: [A_GROUP], ...input_part }));
    const recorded = {
      exit,
      stdout: stdout ?? "",
      ...(stderr_first_line && { stderr_first_line }),
    };
    assertRow({ ...row, recorded }, actual);
  });
}

test("A dump of a tree the original wrote equals the original's dump", async () => {
  cpSync(goldenPath("storage/fs-demo"), join(folder, "root"), { recursive: true });
  const { stdout } = await run(
    "--config-dump",
    "--product=demo",
    `--filesystem=${join(folder, "root")}`,
  );
  expect(JSON.parse(stdout)).toEqual(readGolden("storage/fs-demo.config-dump.json"));
});

test("A dump restored into another product dumps equal", async () => {
  const store = `--filesystem=${join(folder, "root")}`;
  const dump = {
    slots: [
      { id: 0, group_id: 1, action: {} },
      { id: 9, group_id: 0, action: {} },
    ],
    group: [A_GROUP],
  };
  const first = await run(`--config-restore=${jsonFile(dump)}`, "--product=a", store, "--confirm");
  expect(first).toEqual({ exit: 0, stdout: "" });
  const { stdout } = await run("--config-dump", "--product=a", store);
  await run(`--config-restore=${jsonFile(JSON.parse(stdout))}`, "--product=b", store, "--confirm");
  expect(await run("--config-dump", "--product=b", store)).toEqual({ exit: 0, stdout });
});
