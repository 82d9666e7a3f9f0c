/** Copies that failed moves leave at their targets: never seen by who asks for a key that has gone. */

import { afterEach, describe, expect, test } from "bun:test";
import { Databases } from "../../src/server/databases.ts";
import { SENT_KEYS_MAX, SentKeys, TOO_MANY_SENT } from "../../src/server/sent-keys.ts";
import { slotOf } from "../../src/slots/hash.ts";
import { CuttingRelay } from "../support/cutting-relay.ts";
import { ask, movingServers } from "../support/moving-servers.ts";
import type { RawConnection } from "../support/raw-connection.ts";

const servers = movingServers();
const { closers, startServer, connect, startTarget } = servers;
afterEach(() => servers.stopAll());

const ON_ITS_WAY = "*2\r\n:1\r\n-ERR the specified key is being migrated\r\n";
const GONE = "*2\r\n:0\r\n-ERR the specified key doesn't exist\r\n";
const SLOT = slotOf(Buffer.from("{t}"));

/** What a proxy asks for `GET key`. */
function wrappedGet(connection: RawConnection, key: string): Promise<string> {
  return ask(connection, "SLOTSMGRT-EXEC-WRAPPER", key, "GET", key);
}

/** `{t}a`, `{t}b` and `{t}s`, whose batch failed when the target had all of them. */
async function afterFailedBatch() {
  const [source, target] = [await startServer(), await startServer()];
  const relay = new CuttingRelay(target.port);
  closers.push(() => relay.stop());
  const [from, to] = [await connect(source), await connect(target)];
  await ask(from, "MSET", "{t}a", "1", "{t}b", "2");
  await ask(from, "SADD", "{t}s", "m");
  const call = ["SLOTSMGRTTAGSLOT-ASYNC", "127.0.0.1", relay.port, 20_000, 0, 0, SLOT, 100];
  relay.cut = { passed: 5, losesAnswer: true };
  expect(await ask(from, ...call)).toBe("-ERR interrupted: connection closed\r\n");
  relay.cut = undefined;
  expect(await ask(to, "EXISTS", "{t}a", "{t}b", "{t}s")).toBe(":3\r\n");
  return { source, target, from, to, call };
}

describe("A key that goes after its batch failed does not come back", () => {
  type Flight = Awaited<ReturnType<typeof afterFailedBatch>>;
  const ways: Record<string, (flight: Flight) => unknown> = {
    "a wrapped DEL": ({ from }) => ask(from, "SLOTSMGRT-EXEC-WRAPPER", "{t}a", "DEL", "{t}a"),
    "a DEL by itself": ({ from }) => ask(from, "DEL", "{t}a"),
    RENAME: ({ from }) => ask(from, "RENAME", "{t}a", "{t}new"),
    "a time that was over when it was set": ({ from }) => ask(from, "PEXPIRE", "{t}a", -1),
    "its time": async ({ from, source }) => {
      await ask(from, "SET", "{t}a", "newer", "PX", 1000);
      source.clock.advance(2000);
    },
    FLUSHALL: ({ from }) => ask(from, "FLUSHALL"),
  };
  test.each(Object.keys(ways))("by %s", async (way) => {
    const flight = await afterFailedBatch();
    const { from, to, call } = flight;
    await ways[way]!(flight);
    expect(await wrappedGet(from, "{t}a")).toBe(ON_ITS_WAY);
    // Copies are deleted first; a dashboard asks until nothing is left.
    expect(await ask(from, ...call)).toStartWith("*2\r\n:0\r\n");
    expect(await ask(to, "EXISTS", "{t}a", "{t}b", "{t}s")).toBe(":0\r\n");
    expect(await wrappedGet(from, "{t}a")).toBe(GONE);
    for (let calls = 0; calls < 2; calls++) await ask(from, ...call);
    expect(await ask(from, ...call)).toBe("*2\r\n:0\r\n:0\r\n");
    expect(await ask(to, "EXISTS", "{t}a")).toBe(":0\r\n");
  });

  test("by its last element, in the synchronous family too", async () => {
    const { from, to, call } = await afterFailedBatch();
    await ask(from, "SREM", "{t}s", "m");
    const key = ["127.0.0.1", call[2]!, 20_000, "{t}s"];
    expect(await ask(from, "SLOTSMGRTTAGONE", ...key)).toBe(":2\r\n");
    expect(await ask(to, "EXISTS", "{t}a", "{t}b", "{t}s")).toBe(":2\r\n");
    const wrapped = ["SLOTSMGRT-EXEC-WRAPPER", "{t}s", "SCARD", "{t}s"];
    expect(await ask(from, ...wrapped)).toBe(GONE);
  });

  test("when a dashboard looks for databases, and calls for a slot without keys", async () => {
    const { from, to, call } = await afterFailedBatch();
    await ask(from, "DEL", "{t}a", "{t}b", "{t}s");
    expect(await ask(from, "INFO", "keyspace")).toContain("db0:keys=0,");
    const sync = ["SLOTSMGRTTAGSLOT", "127.0.0.1", call[2]!, 20_000, SLOT];
    expect(await ask(from, ...sync)).toBe("*2\r\n:0\r\n:0\r\n");
    expect(await ask(to, "DBSIZE")).toBe(":0\r\n");
    expect(await ask(from, "INFO", "keyspace")).not.toContain("db0");
  });
});

test("What is set anew after its batch failed is moved, and keys that stayed are too", async () => {
  const { from, to, call } = await afterFailedBatch();
  await ask(from, "DEL", "{t}a");
  expect(await ask(from, "SET", "{t}a", "newer")).toBe("+OK\r\n");
  expect(await wrappedGet(from, "{t}a")).toBe("*2\r\n:2\r\n$5\r\nnewer\r\n");
  expect(await ask(from, ...call)).toBe("*2\r\n:0\r\n:3\r\n");
  expect(await ask(from, ...call)).toBe("*2\r\n:3\r\n:0\r\n");
  expect(await ask(to, "MGET", "{t}a", "{t}b")).toBe("*2\r\n$5\r\nnewer\r\n$1\r\n2\r\n");
});

test("A batch that fails again while it deletes copies sends no other key of the slot", async () => {
  const source = await startServer();
  const [mover, other] = [await connect(source), await connect(source)];
  const target = startTarget();
  const call = ["SLOTSMGRTTAGSLOT-ASYNC", "127.0.0.1", target.port, 20_000, 0, 0, SLOT, 100];
  await ask(other, "SET", "{t}a", "1");
  mover.send(call);
  for (let i = 0; i < 3; i++) await target.next();
  target.drop();
  await mover.reply();
  await ask(other, "SET", "{t}b", "2");
  mover.send(call);
  expect(await target.nextText()).toBe("SLOTSRESTORE-ASYNC-SELECT 0");
  expect(await target.nextText()).toBe("SLOTSRESTORE-ASYNC delete {t}a");
  expect(source.state.sentKeys.size).toBe(1);
  // A write while the copy is being deleted waits: another move must not bring the key meanwhile.
  const wrapped = ["SLOTSMGRT-EXEC-WRAPPER", "{t}a", "APPEND", "{t}a", "x"];
  expect(await ask(other, ...wrapped)).toBe(ON_ITS_WAY);
  target.drop();
  await mover.reply();
  expect(source.state.sentKeys.size).toBe(1);
});

test("A key that goes after its synchronous move failed does not come back", async () => {
  const target = startTarget();
  const source = await startServer();
  const [mover, other] = [await connect(source), await connect(source)];
  await ask(other, "SET", "{t}a", "1");
  const slot = ["SLOTSMGRTTAGSLOT", "127.0.0.1", target.port, 20_000, SLOT];
  mover.send(slot);
  for (let i = 0; i < 2; i++) await target.next();
  target.drop();
  expect((await mover.reply()).toString()).toStartWith("-IOERR");
  await ask(other, "DEL", "{t}a");
  expect(await wrappedGet(other, "{t}a")).toBe(ON_ITS_WAY);
  mover.send(slot);
  expect(await target.nextText()).toBe("SELECT 0");
  expect(await target.nextText()).toBe("DEL {t}a");
  expect(await wrappedGet(other, "{t}a")).toBe(ON_ITS_WAY);
  target.reply("+OK\r\n:1\r\n");
  expect((await mover.reply()).toString()).toBe("*2\r\n:0\r\n:0\r\n");
  expect(await wrappedGet(other, "{t}a")).toBe(GONE);
});

test("When too many keys are noted no other is sent, by either family", async () => {
  const source = await startServer();
  const client = await connect(source);
  const db = source.state.databases.all[0]!;
  const keys = Array.from({ length: SENT_KEYS_MAX - 1 }, (_, i) => Buffer.from(`k${i}`));
  source.state.sentKeys.note(db, keys);
  const target = startTarget();
  const to = ["127.0.0.1", target.port, 20_000];
  await ask(client, "SET", "{t}a", "1");
  const other = await connect(source);
  client.send(["SLOTSMGRTONE", ...to, "{t}a"]);
  for (let i = 0; i < 2; i++) await target.next();
  target.drop();
  await client.reply();
  expect(source.state.sentKeys.size).toBe(SENT_KEYS_MAX);
  await ask(other, "SET", "{t}b", "1");
  expect(await ask(other, "SLOTSMGRTONE-ASYNC", ...to, 0, 0, "{t}b")).toBe(`-${TOO_MANY_SENT}\r\n`);
  other.send(["SLOTSMGRTONE", ...to, "{t}b"]);
  expect((await other.reply()).toString()).toBe(`-${TOO_MANY_SENT}\r\n`);
  expect(source.state.sentKeys.size).toBe(SENT_KEYS_MAX);
});

test("Notes are kept by database and key, once each, and leave nothing behind", () => {
  const { all } = new Databases(2, 0);
  const sent = new SentKeys();
  const [a, b] = [Buffer.from("{t}a"), Buffer.from("{t}b")];
  sent.note(all[1]!, [a, b, a]);
  expect(sent.size).toBe(2);
  expect([sent.hasAny(0), sent.hasAny(1)]).toEqual([false, true]);
  expect(sent.has(0, a, 0, 4)).toBe(false);
  expect(sent.has(1, a, 0, 4)).toBe(true);
  expect(sent.leftOf(all[1]!, SLOT)).toBe(2);
  sent.end(all[1]!, [a], [b, a]);
  expect(sent.size).toBe(0);
  expect(sent.hasAny(1)).toBe(false);
});
