/** SIGHUP: what changes while a role runs, what needs a restart, and what a bad file does. */

import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { parseAddress } from "../../src/base/address.ts";
import { RespClient } from "../support/resp-client.ts";
import { RoleProcess } from "./role-process.ts";

/** The lines without time and role. */
function events(log: string): string[] {
  return log
    .trimEnd()
    .split("\n")
    .map((line) => line.slice(line.indexOf("[")));
}

async function maxmemoryOf(client: RespClient): Promise<number> {
  const answer = (await client.call("CONFIG", "GET", "maxmemory")) as readonly Buffer[];
  return Number(answer[1]);
}

const RESTART = "config changed: needs a restart";
const APPLIED = "config changed: applied";

test("A server takes what CONFIG SET takes, and names what needs a restart, each time", async () => {
  await using server = new RoleProcess();
  const config = server.write("server.toml", "port = 0\n");
  server.start("server", "--config", config, "--supervised");
  const { port } = parseAddress((await server.addresses()).server!);
  const client = await RespClient.connect(port);
  server.write("server.toml", 'port = 0\ndatabases = 4\nmaxmemory = "1gb"\nlog_level = "debug"\n');
  expect(events(await server.hangup("log_level"))).toEqual([
    `[WARN] ${RESTART} key=databases value=4`,
    `[INFO] ${APPLIED} key=maxmemory value=1gb`,
    `[INFO] ${APPLIED} key=log_level value=debug`,
  ]);
  expect(await maxmemoryOf(client)).toBe(2 ** 30);
  server.write("server.toml", 'port = 0\ndatabases = 4\nrequirepass = "pw"\n');
  expect(events(await server.hangup("log_level"))).toEqual([
    `[INFO] ${APPLIED} key=requirepass`,
    `[WARN] ${RESTART} key=databases value=4`,
    `[INFO] ${APPLIED} key=maxmemory value=0`,
    `[INFO] ${APPLIED} key=log_level value=INFO`,
  ]);
  server.write("server.toml", 'port = 0\nrequirepass = "pw"\n');
  expect(events(await server.hangup("nothing"))).toEqual([
    "[INFO] config read again: nothing changed",
  ]);
  client.close();
});

test("A flag goes before the file, then as at the start", async () => {
  await using server = new RoleProcess();
  const config = server.write("server.toml", "port = 0\n");
  const flags = ["--maxmemory", "1mb", "--log-level", "INFO"];
  server.start("server", "--config", config, ...flags, "--supervised");
  await server.addresses();
  server.write("server.toml", 'port = 0\nmaxmemory = "2mb"\nlog_level = "ERROR"\n');
  expect(await server.hangup("nothing changed")).toContain("config read again: nothing changed");
});

test("A file that cannot be used is named, the old settings stay, and nothing ends", async () => {
  await using server = new RoleProcess();
  const config = server.write("server.toml", 'port = 0\nmaxmemory = "1mb"\n');
  server.start("server", "--config", config, "--supervised");
  const { port } = parseAddress((await server.addresses()).server!);
  const bad = [
    () => server.write("server.toml", 'port = 0\nmaxmemory = "2mb"\ntimeout = -1\n'),
    () => server.write("server.toml", "maxmemory ="),
    () => rmSync(config),
  ];
  for (const spoil of bad) {
    spoil();
    const said = events(await server.hangup("old settings stay"));
    expect(said.length).toBe(1);
    expect(said[0]).toStartWith("[WARN] config not read again, the old settings stay");
    expect(said[0]).toContain(config);
  }
  const client = await RespClient.connect(port);
  expect(await maxmemoryOf(client)).toBe(2 ** 20);
  client.close();
  server.signal("SIGTERM");
  expect(await server.ended()).toBe(0);
});

test("A proxy takes the log level; passwords are not logged; a misspelt key is", async () => {
  await using proxy = new RoleProcess();
  const ports = 'proxy_addr = "127.0.0.1:0"\nadmin_addr = "127.0.0.1:0"\n';
  const config = proxy.write("proxy.toml", ports);
  proxy.start("proxy", "--config", config, "--ncpu", "1", "--supervised");
  await proxy.addresses();
  const changed =
    'session_auth = "pw"\nproxy_max_clients = 5\nlog_level = "WARN"\nsesion_auth = ""';
  proxy.write("proxy.toml", `${ports}${changed}\n`);
  expect(events(await proxy.hangup("proxy_max_clients"))).toEqual([
    "[WARN] unknown key sesion_auth (line 6), did you mean session_auth?",
    `[WARN] ${RESTART} key=session_auth`,
    `[WARN] ${RESTART} key=proxy_max_clients value=5`,
  ]);
});
