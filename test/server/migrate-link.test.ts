/**
 * What opens a link for moving keys. No copy of a key that was on its way when a link or its server
 * died may arrive over a value written since.
 */

import { afterEach, describe, expect, test } from "bun:test";
import { slotOf } from "../../src/slots/hash.ts";
import { HoldingRelay } from "../support/holding-relay.ts";
import { type OwnServerProcess, startOwnServer } from "../support/own-server.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { ScriptedTarget } from "../support/scripted-target.ts";
import { TcpRedis } from "../support/tcp-redis.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startServer(
  changes: Record<string, string | number> = {},
): Promise<OwnServerProcess> {
  const server = await startOwnServer(changes);
  closers.push(() => server.close());
  return server;
}

function startScripted(): ScriptedTarget {
  const target = new ScriptedTarget();
  closers.push(() => target.stop());
  return target;
}

async function connect({ port }: { readonly port: number }): Promise<RawConnection> {
  const connection = await RawConnection.open(port);
  closers.push(() => connection.close());
  return connection;
}

async function ask(connection: RawConnection, ...words: (string | number)[]): Promise<string> {
  return (await connection.ask(words)).toString("latin1");
}

async function replyText(connection: RawConnection): Promise<string> {
  return (await connection.reply()).toString("latin1");
}

async function startRedis(): Promise<TcpRedis> {
  const redis = await TcpRedis.start();
  closers.push(() => redis.stop());
  return redis;
}

describe("A new link", () => {
  // By the address that the target's list shows; by our own when it shows none.
  test.each([
    ["all", /^203\.0\.113\.9:40001$/],
    ["refused", /^127\.0\.0\.1:\d+$/],
  ] as const)(
    "No answer in time is an error, all that was sent fails, and the next link first closes the old one (list: %s)",
    async (list, killed) => {
      const target = startScripted();
      target.list = list;
      const source = await startServer();
      const first = await connect(source);
      const second = await connect(source);
      await ask(first, "MSET", "a", "1", "b", "2");
      first.send(["SLOTSMGRTONE", "127.0.0.1", target.port, 50, "a"]);
      second.send(["SLOTSMGRTONE", "127.0.0.1", target.port, 60_000, "b"]);
      const failure = "-IOERR error or timeout reading from target\r\n";
      expect(await replyText(first)).toBe(failure);
      expect(await replyText(second)).toBe(failure);
      expect(await ask(first, "MGET", "a", "b")).toBe("*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
      for (let i = 0; i < 3; i++) await target.next();
      first.send(["SLOTSMGRTONE", "127.0.0.1", target.port, 60_000, "a"]);
      const kill = await target.next();
      expect(kill.slice(0, 2).join(" ")).toBe("CLIENT KILL");
      expect(String(kill[2])).toMatch(killed);
      // No key leaves before that is answered.
      target.reply("-ERR No such client\r\n");
      expect(await target.nextText()).toBe("SELECT 0");
      expect(await target.nextText()).toBe("SLOTSRESTORE a 0 <payload>");
      target.reply("+OK\r\n+OK\r\n");
      expect(await replyText(first)).toBe(":1\r\n");
      const hidden = source.log.lines.filter((line) => line.includes("does not show"));
      expect(hidden.length).toBe(list === "refused" ? 2 : 0);
    },
  );

  test("A slot that a failed move left empty is not called so before the old link is closed", async () => {
    const target = startScripted();
    target.list = "all";
    const source = await startServer();
    const [mover, other] = [await connect(source), await connect(source)];
    const slot = slotOf(Buffer.from("a"));
    await ask(other, "SET", "a", "1");
    const words = ["SLOTSMGRTSLOT", "127.0.0.1", target.port];
    expect((await ask(mover, ...words, 50, slot)).slice(0, 6)).toBe("-IOERR");
    for (let i = 0; i < 2; i++) await target.next();
    await ask(other, "DEL", "a");
    mover.send([...words, 60_000, slot]);
    expect(await target.nextText()).toBe("CLIENT KILL 203.0.113.9:40001");
    target.reply("+OK\r\n");
    expect(await target.nextText()).toBe("SELECT 0");
    expect(await target.nextText()).toBe("DEL a");
    target.reply("+OK\r\n:1\r\n");
    expect(await replyText(mover)).toBe("*2\r\n:0\r\n:0\r\n");
  });

  test("A target that wants a password nobody gave gets no key", async () => {
    const source = await startServer();
    const target = await startServer({ requirepass: "secret" });
    const client = await connect(source);
    await ask(client, "SET", "a", "1");
    const reply = await ask(client, "SLOTSMGRTONE", "127.0.0.1", target.port, 60_000, "a");
    expect(reply).toBe("-ERR error on slotsrestore, select failed\r\n");
    expect(await ask(client, "GET", "a")).toBe("$1\r\n1\r\n");
  });

  test("A target that does not even greet gets no key, and nothing to close later", async () => {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const source = await startServer();
    const client = await connect(source);
    await ask(client, "SET", "a", "1");
    client.send(["SLOTSMGRTONE", "127.0.0.1", listener.port, 50, "a"]);
    expect(await replyText(client)).toBe("-IOERR error or timeout reading from target\r\n");
    expect(await ask(client, "GET", "a")).toBe("$1\r\n1\r\n");
    listener.stop(true);
  });

  test("What opens a link is understood between two servers of ours", async () => {
    const source = await startServer();
    const target = await startServer();
    const client = await connect(source);
    await ask(client, "SET", "a", "1");
    expect(await ask(client, "SLOTSMGRTONE", "127.0.0.1", String(target.port), "1000", "a")).toBe(
      ":1\r\n",
    );
    expect(target.state.stats.errorReplies).toBe(0);
  });
});

for (const kind of ["own", "redis"] as const) {
  test(`What a server that died had sent to a target (${kind}) is not executed after its next link`, async () => {
    const target = await (kind === "own" ? startServer() : startRedis());
    const relay = await HoldingRelay.start(target.port);
    closers.push(() => relay.stop());
    const pull = (key: string) => ["SLOTSMGRTTAGONE", "127.0.0.1", relay.port, 60_000, key];

    const first = await startOwnServer();
    const before = await connect(first);
    await ask(before, "MSET", "victim", "v1", "other", "1");
    expect(await ask(before, ...pull("other"))).toBe(":1\r\n");
    const arrived = relay.hold();
    before.send(pull("victim"));
    await arrived;
    await first.close();

    // The same server again, with what its append-only file would have kept.
    const second = await startServer({ port: first.port });
    const after = await connect(second);
    await ask(after, "SET", "victim", "v1");
    expect(await ask(after, ...pull("victim"))).toBe(":1\r\n");
    const client = await connect(target);
    expect(await ask(client, "SET", "victim", "v2")).toBe("+OK\r\n");
    await relay.release();
    expect(await ask(client, "GET", "victim")).toBe("$2\r\nv2\r\n");
  });
}
