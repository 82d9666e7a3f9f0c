/** A whole dashboard on a port and a folder of its own. */

import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { DashboardClient } from "../../src/api/dashboard-client.ts";
import { topomXauth } from "../../src/api/xauth.ts";
import { loadConfig } from "../../src/base/config.ts";
import { CodisError, errorText } from "../../src/base/errors.ts";
import { createLog } from "../../src/base/log.ts";
import { DASHBOARD_CONFIG } from "../../src/dashboard/config.ts";
import { type RunningDashboard, serveDashboard } from "../../src/dashboard/serve.ts";
import { failureOf } from "../support/failure.ts";

let root = "";
let running: RunningDashboard[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "codis-dashboard-"));
});

afterEach(async () => {
  for (const dashboard of running) await dashboard.close();
  running = [];
  rmSync(root, { recursive: true, force: true });
});

async function serve(toml = "", removeLock = false, folder = root): Promise<RunningDashboard> {
  const text = `coordinator_addr = ${JSON.stringify(folder)}\nadmin_addr = "127.0.0.1:0"\n${toml}`;
  const { config } = loadConfig(DASHBOARD_CONFIG, text);
  const log = createLog({ role: "dashboard", level: "NONE", format: "text" });
  const dashboard = await serveDashboard({
    config,
    hostAdmin: "",
    removeLock,
    version: "v",
    compile: "c",
    log,
  });
  running.push(dashboard);
  return dashboard;
}

const LOCK = "data/codis3/codis-demo/topom";

test("A dashboard serves its API over HTTP, and gives its lock back when it is told to end", async () => {
  const dashboard = await serve();
  const { client, model } = await DashboardClient.open(dashboard.adminAddr);
  expect(model.admin_addr).toBe(dashboard.adminAddr);
  expect(model.product_name).toBe("codis-demo");
  expect(existsSync(join(root, LOCK))).toBe(true);
  await client.xping();
  await client.createGroup(1);
  const again = client.createGroup(1);
  await expect(again).rejects.toThrow(
    new CodisError("conflict", "[Remote Error] group-[1] already exists"),
  );
  expect((await client.stats()).group.models.map((group) => group.id)).toEqual([1]);
  expect((await client.slots()).length).toBe(1024);
  await client.shutdown();
  expect(await dashboard.done).toBe(0);
  expect(existsSync(join(root, LOCK))).toBe(false);
});

test("What was stored is there at the next start, after a lock was left by an original", async () => {
  const first = await serve();
  const { client } = await DashboardClient.open(first.adminAddr);
  await client.createGroup(7);
  await first.close();
  writeFileSync(join(root, LOCK), '{"token": "theirs", "admin_addr": "h:1", "pid": 3}');
  const second = await serve("", true);
  const next = await DashboardClient.open(second.adminAddr);
  expect((await next.client.stats()).group.models.map((group) => group.id)).toEqual([7]);
});

test("A dashboard is changed under this machine's name, and under no name of a stranger", async () => {
  const { adminAddr } = await serve();
  const path = `/api/topom/group/create/${topomXauth("codis-demo")}`;
  const create = async (gid: number, host: string): Promise<string> => {
    const url = `http://${adminAddr}${path}/${gid}`;
    return (await fetch(url, { method: "PUT", headers: { Host: host } })).text();
  };
  expect(await create(1, `${hostname()}:18080`)).toBe('"OK"');
  const refusal = await create(2, "evil.example:18080");
  expect(refusal).toContain("changes with Host evil.example:18080 are refused");
  expect(refusal).toContain(`one of localhost, ${hostname().toLowerCase()}: call it so`);
});

test("A taken port is an error that names it, and leaves no lock", async () => {
  const first = await serve();
  const other = serve(`product_name = "other"`).then(
    () => undefined,
    (error) => error,
  );
  expect(await other).toBeUndefined();
  const { config } = loadConfig(
    DASHBOARD_CONFIG,
    `coordinator_addr = ${JSON.stringify(root)}\nproduct_name = "third"`,
  );
  const log = createLog({ role: "dashboard", level: "NONE", format: "text" });
  const taken = serveDashboard({
    config: { ...config, admin_addr: first.adminAddr },
    hostAdmin: "",
    removeLock: false,
    version: "v",
    compile: "c",
    log,
  });
  await expect(taken).rejects.toThrow(`Cannot listen on the admin address ${first.adminAddr}`);
  await taken.catch(() => undefined);
  expect(existsSync(join(root, "data/codis3/third"))).toBe(false);
});

test("A coordinator's folder that cannot be used ends the start with its name, the cause and a step", async () => {
  const file = join(root, "a-file");
  writeFileSync(file, "");
  const locked = join(root, "locked");
  mkdirSync(join(locked, "data.lck"), { recursive: true });
  for (const [folder, cause] of [
    [file, "EEXIST"],
    [join(file, "below"), "ENOTDIR"],
    [locked, "EISDIR"],
  ] as const) {
    const error = await failureOf(serve("", false, folder));
    expect(error.code).toBe("unavailable");
    expect(errorText(error)).toContain(`Cannot store the model in ${folder}; `);
    expect(errorText(error)).toContain("another place in coordinator_addr or --filesystem");
    expect(errorText(error)).toContain(cause);
  }
});
