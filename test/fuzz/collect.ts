/** Garbage collection of a running process on demand, so that its resident memory can be compared. */

import { ProxyClient } from "../../src/api/proxy-client.ts";
import type { Program } from "../support/programs.ts";
import { RespClient } from "../support/resp-client.ts";

export async function collectServer(server: Program): Promise<void> {
  const client = await RespClient.connect(server.port);
  await client.call("MEMORY", "PURGE");
  client.close();
}

export async function collectProxy(proxy: Program): Promise<void> {
  const { client } = await ProxyClient.open(`127.0.0.1:${proxy.adminPort}`, "");
  await client.forceGc();
}
