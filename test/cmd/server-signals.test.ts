/** How a server ends when it is told to by a signal and its last snapshot cannot be written. */

import { expect, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseAddress } from "../../src/base/address.ts";
import { RespClient } from "../support/resp-client.ts";
import { RoleProcess } from "./role-process.ts";

async function startOn(server: RoleProcess, ...args: readonly string[]): Promise<RespClient> {
  mkdirSync(join(server.folder, "data"));
  server.start("server", "--port", "0", "--dir", "data", "--supervised", ...args);
  const client = await RespClient.connect(parseAddress((await server.addresses()).server!).port);
  await client.call("SET", "a", "b");
  return client;
}

test("The first signal does not end a server whose changes no snapshot could take, the second does", async () => {
  await using server = new RoleProcess();
  const client = await startOn(server);
  rmSync(join(server.folder, "data"), { recursive: true });
  server.signal("SIGTERM");
  const said = await server.logged("not stopped");
  expect(said).toContain("changes would be lost; the next signal ends it");
  expect(said).toContain("Cannot save data/dump.rdb");
  expect(String(await client.call("GET", "a"))).toBe("b");
  server.signal("SIGTERM");
  expect(await server.ended()).toBe(1);
  client.close();
});

test("When the cause is gone the next signal saves and ends it, and the data is there again", async () => {
  await using server = new RoleProcess();
  const client = await startOn(server);
  rmSync(join(server.folder, "data"), { recursive: true });
  server.signal("SIGINT");
  await server.logged("not stopped");
  mkdirSync(join(server.folder, "data"));
  server.signal("SIGINT");
  expect(await server.ended()).toBe(0);
  client.close();
  await using again = new RoleProcess();
  again.start("server", "--port", "0", "--dir", join(server.folder, "data"), "--supervised");
  const { port } = parseAddress((await again.addresses()).server!);
  const reader = await RespClient.connect(port);
  expect(String(await reader.call("GET", "a"))).toBe("b");
  reader.close();
});

test("One without save points, or with nothing new, ends at once", async () => {
  for (const args of [
    ["--save", ""],
    ["--appendonly", "yes"],
  ]) {
    await using server = new RoleProcess();
    const client = await startOn(server, ...args);
    server.signal("SIGTERM");
    expect(await server.ended()).toBe(0);
    client.close();
  }
});
