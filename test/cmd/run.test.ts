/** `codis run`: several roles in one process, with what each can do by itself. */

import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { RoleProcess } from "./role-process.ts";

const TWO = `
[dashboard]
admin_addr = "127.0.0.1:0"
product_name = "overridden"
coordinator_addr = "store"
[proxy]
proxy_addr = "127.0.0.1:0"
admin_addr = "127.0.0.1:0"
`;

test("The proxy registers itself with the dashboard beside it", async () => {
  await using two = new RoleProcess();
  const config = two.write("two.toml", TWO);
  const flags = ["--filesystem", "store", "--product_name", "shop", "--ncpu", "1", "--supervised"];
  two.start("run", "proxy", "dashboard", "--config", config, ...flags);
  const addresses = await two.addresses();
  expect(Object.keys(addresses)).toEqual(["proxy.proxy", "proxy.admin", "dashboard.admin"]);
  const topom = await fetch(`http://${addresses["dashboard.admin"]}/api/topom/model`);
  expect(await topom.json()).toMatchObject({ product_name: "shop" });
  const said = await two.logged("proxy is online");
  // What each slot that moves would repeat is no news.
  expect(two.log).toContain("admin request method=PUT path=/api/proxy/start/");
  expect(two.log).not.toContain("fillslots");
  expect(said).not.toContain("forwarded");
});

test("A dashboard that is told to end ends alone; what fails ends all", async () => {
  await using two = new RoleProcess();
  const config = two.write("two.toml", TWO);
  const flags = ["--filesystem", "store", "--product_name", "shop", "--ncpu", "1", "--supervised"];
  two.start("run", "proxy", "dashboard", "--config", config, ...flags);
  const addresses = await two.addresses();
  await two.logged("proxy is online");

  // Of another product: the proxy is refused there.
  await using failing = new RoleProcess();
  const dashboard = addresses["dashboard.admin"]!;
  const wrong = failing.write(
    "wrong.toml",
    TWO.replace(/\[dashboard[\s\S]*(?=\[proxy)/, "[server]\nport = 0\n"),
  );
  failing.start("run", "server", "proxy", "--config", wrong, "--dashboard", dashboard);
  expect(await failing.ended()).toBe(1);
  expect(failing.log).not.toContain("serve on");

  await using admin = new RoleProcess();
  admin.start("admin", "shutdown", "--dashboard", dashboard);
  expect(await admin.ended()).toBe(0);
  await two.logged("dashboard has ended, the others serve on others=proxy");
  const proxy = await fetch(`http://${addresses["proxy.admin"]}/proxy/model`);
  expect(await proxy.json()).toMatchObject({ product_name: "shop" });
  two.signal("SIGTERM");
  expect(await two.ended()).toBe(0);
});

test("The log and the pid file are those of all roles", async () => {
  await using two = new RoleProcess();
  const config = two.write("two.toml", TWO);
  const [log, pidfile] = [join(two.folder, "codis.log"), join(two.folder, "codis.pid")];
  const flags = ["--log", log, "--log-format", "json", "--pidfile", pidfile, "--supervised"];
  two.start("run", "dashboard", "proxy", "--config", config, "--ncpu", "1", ...flags);
  await two.addresses();
  expect(existsSync(pidfile)).toBe(true);
  two.signal("SIGTERM");
  expect(await two.ended()).toBe(0);
  expect([existsSync(pidfile), two.log]).toEqual([false, ""]);
  const lines = readFileSync(log, "utf8").trimEnd().split("\n");
  const roles = new Set(lines.map((line) => (JSON.parse(line) as { role: string }).role));
  expect(roles).toEqual(new Set(["dashboard", "proxy", "run"]));
  expect(lines.at(-1)).toContain("dashboard is exiting");
});

test("SIGHUP reads every role's table again; an unknown key leaves all as it was", async () => {
  await using two = new RoleProcess();
  const config = two.write("two.toml", TWO);
  two.start("run", "dashboard", "proxy", "--config", config, "--ncpu", "1", "--supervised");
  await two.addresses();
  two.write("two.toml", `${TWO}log_level = "DEBUG"\nproxy_max_clients = 7\n`);
  const said = await two.hangup("log_level");
  expect(said).toContain("dashboard: [INFO] config read again: nothing changed");
  expect(said).toContain("proxy: [WARN] config changed: needs a restart key=proxy_max_clients");
  expect(said).toContain("proxy: [INFO] config changed: applied key=log_level value=DEBUG");
  two.write("two.toml", `${TWO}sesion_auth = ""\n`);
  const refused = await two.hangup("old settings stay");
  expect(refused).toContain("[proxy] unknown key sesion_auth");
  expect(refused).toContain(config);
});

test("A role's own file, with its keys in no table, is refused: nothing of it would count", async () => {
  const own = 'dir = "data"\nport = 0\n';
  for (const more of [["server"], ["server", "proxy"], ["server", "--test-config"]]) {
    await using process = new RoleProcess();
    process.start("run", ...more, "--config", process.write("server.toml", own));
    expect(await process.ended()).toBe(2);
    expect(process.log).toContain("Cannot use dir (line 1): it stands in no table");
    expect(process.log).toContain("write [server] above it");
  }
});

for (const [words, text] of [
  ["", "Nothing to run: name one or more of server, dashboard, proxy"],
  ["fe", "Cannot run 'fe': a role is one of server, dashboard, proxy"],
  ["server server", "Cannot run server twice"],
  ["server --fillslots x", "Cannot use --fillslots: it is an option of proxy, not of server"],
  ["dashboard proxy --host-admin h:1", "or run them as two processes"],
  ["proxy --ncpu 0", "it must be an integer, 1 to 256"],
  ["proxy --fillslots missing.json", "load slots from file failed"],
  ["dashboard --zookeeper h:1 --test-config", "coordinator zookeeper is not supported yet"],
  ["dashboard --etcd h:1 --test-config", "coordinator etcd is not supported yet"],
  ["proxy --zookeeper h:1 --test-config", "--zookeeper is not supported yet"],
  ["server --port 70000", "Cannot use --port 70000: a port is 0..65535"],
] as const) {
  test(`codis run ${words} ends with 2 and says why`, async () => {
    await using process = new RoleProcess();
    process.start("run", ...words.split(" ").filter((word) => word !== ""));
    expect(await process.ended()).toBe(2);
    expect(process.log).toContain(text);
  });
}

test("A folder that cannot hold the model ends the dashboard with 1: the command line is right", async () => {
  await using dashboard = new RoleProcess();
  const config = dashboard.write("dashboard.toml", 'admin_addr = "127.0.0.1:0"\n');
  dashboard.start("dashboard", "--config", config, "--filesystem", `${config}/below`);
  expect(await dashboard.ended()).toBe(1);
  expect(dashboard.log).toContain(`Cannot store the model in ${config}/below`);
});

test("A config file without an end is refused by name and rule", async () => {
  await using server = new RoleProcess();
  server.start("server", "--config", "/dev/zero");
  expect(await server.ended()).toBe(2);
  expect(server.log).toContain("Cannot read the config file /dev/zero: it must be a regular file");
});

test("An option whose value is empty is refused with a value that can be seen", async () => {
  await using server = new RoleProcess();
  server.start("server", "--port", "");
  expect(await server.ended()).toBe(2);
  expect(server.log).toContain("Cannot use --port '': a port is 0..65535");
});
