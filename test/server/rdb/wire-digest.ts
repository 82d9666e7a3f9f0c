/** What a server has, ours or redis-server, asked for over the wire. */

import { expect } from "bun:test";
import { readPayload } from "../../../src/server/rdb/read.ts";
import type { RespClient } from "../../support/resp-client.ts";
import { CollectingSink } from "./collect.ts";

/** All keys of the databases 0 to 2 with their values and expiry; equal data, equal text. */
export async function digest(client: RespClient): Promise<string> {
  const lines: string[] = [];
  for (let db = 0; db < 3; db++) {
    await client.call("SELECT", db);
    const keys = (await client.call("KEYS", "*")) as Buffer[];
    for (const key of keys) {
      const [payload, ttl] = await client.pipeline([
        ["DUMP", key],
        ["PEXPIRETIME", key],
      ]);
      const sink = new CollectingSink();
      const bytes = payload as Buffer;
      expect(readPayload(bytes, 0, bytes.length, sink)).toBe("ok");
      const entries = [...sink.entries].toSorted(([a], [b]) => (a < b ? -1 : 1));
      const value = [sink.kind, sink.text, sink.items, entries, ttl];
      lines.push(`${db} ${key.toString("latin1")} ${JSON.stringify(value)}`);
    }
  }
  return lines.toSorted((a, b) => (a < b ? -1 : 1)).join("\n");
}
