/** The files of dist/config are what `--default-config` prints, and load back to the defaults. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileTable } from "../../cmd/role.ts";
import {
  type ConfigTable,
  configSections,
  defaultConfig,
  loadConfig,
  renderDefaults,
} from "../../src/base/config.ts";
import { DASHBOARD_CONFIG } from "../../src/dashboard/config.ts";
import { PROXY_CONFIG } from "../../src/proxy/config.ts";
import { SERVER_CONFIG } from "../../src/server/config.ts";

const ROOT = join(import.meta.dir, "../..");

const TABLES: Readonly<Record<string, ConfigTable>> = {
  server: fileTable({ table: SERVER_CONFIG }),
  dashboard: fileTable({ table: DASHBOARD_CONFIG }),
  proxy: fileTable({ table: PROXY_CONFIG }),
};

function shipped(name: string): string {
  return readFileSync(join(ROOT, "dist/config", `${name}.toml`), "utf8");
}

async function codis(...args: string[]): Promise<{ exitCode: number; out: string; err: string }> {
  const child = Bun.spawn([process.execPath, "cmd/codis.ts", ...args], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { exitCode: await child.exited, out, err };
}

for (const [role, table] of Object.entries(TABLES)) {
  test(`${role}.toml is what codis ${role} --default-config prints`, async () => {
    expect(await codis(role, "--default-config")).toEqual({
      exitCode: 0,
      out: shipped(role),
      err: "",
    });
    expect(shipped(role)).toBe(renderDefaults(table));
  });

  test(`${role}.toml loads back to the defaults, without a warning`, () => {
    const defaults = { config: defaultConfig(table), warnings: [] };
    expect(loadConfig(table, shipped(role))).toEqual(defaults);
  });
}

test("codis run --default-config prints a table per role, of those named or of all", async () => {
  const all = await codis("run", "--default-config");
  expect([all.exitCode, configSections(all.out)]).toEqual([0, Object.keys(TABLES)]);
  const two = await codis("run", "proxy", "dashboard", "--default-config");
  expect([two.exitCode, configSections(two.out)]).toEqual([0, ["proxy", "dashboard"]]);
});

test("all.toml is accepted by codis run, and every role has a table in it", async () => {
  const roles = Object.keys(TABLES);
  expect(configSections(shipped("all"))).toEqual(roles);
  const answer = await codis("run", ...roles, "--config", "dist/config/all.toml", "--test-config");
  expect(answer).toEqual({ exitCode: 0, out: "dist/config/all.toml: ok\n", err: "" });
});
