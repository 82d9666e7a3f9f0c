/** Moving keys to another server: keys in flight, failing targets. */

import { afterEach, describe, expect, test } from "bun:test";
import { encodeRequest } from "../../src/resp/encoder.ts";
import { slotOf } from "../../src/slots/hash.ts";
import { ask, movingServers, replyText } from "../support/moving-servers.ts";

const servers = movingServers();
const { startServer, connect, startTarget } = servers;
afterEach(() => servers.stopAll());

describe("While keys are on their way", () => {
  /** A server with some keys, and a move of `{t}a` that the target has not answered. */
  async function inFlight() {
    const target = startTarget();
    const source = await startServer();
    const mover = await connect(source);
    const other = await connect(source);
    await ask(other, "MSET", "{t}a", "1", "{t}b", "2", "free", "3");
    mover.send(["SLOTSMGRTTAGONE", "127.0.0.1", target.port, 60_000, "{t}a"]);
    expect(await target.nextText()).toBe("SELECT 0");
    expect(await target.nextText()).toBe("SLOTSRESTORE {t}a 0 <payload> {t}b 0 <payload>");
    return { target, source, mover, other };
  }

  test("other keys are written and all keys are read", async () => {
    const { other } = await inFlight();
    expect(await ask(other, "GET", "{t}a")).toBe("$1\r\n1\r\n");
    expect(await ask(other, "INCR", "free")).toBe(":4\r\n");
    expect(await ask(other, "STRLEN", "{t}b")).toBe(":1\r\n");
  });

  test("a write to one of them waits for the end of the move, and is then a write to a new key", async () => {
    const { target, source, mover, other } = await inFlight();
    const reader = await connect(source);
    other.send(["APPEND", "{t}b", "x"]);
    other.send(["GET", "{t}b"]);
    expect(await ask(reader, "GET", "{t}b")).toBe("$1\r\n2\r\n");
    target.reply("+OK\r\n+OK\r\n");
    expect(await replyText(mover)).toBe(":2\r\n");
    expect(await replyText(other)).toBe(":1\r\n");
    expect(await replyText(other)).toBe("$1\r\nx\r\n");
  });

  test("a write to a new key of the same tag waits too", async () => {
    const { target, source, mover, other } = await inFlight();
    const reader = await connect(source);
    other.send(["SET", "{t}new", "1"]);
    expect(await ask(reader, "GET", "{t}new")).toBe("$-1\r\n");
    target.reply("+OK\r\n+OK\r\n");
    expect(await replyText(mover)).toBe(":2\r\n");
    expect(await replyText(other)).toBe("+OK\r\n");
    expect(await ask(reader, "GET", "{t}new")).toBe("$1\r\n1\r\n");
  });

  test("when the move fails they stay, and writes that waited are done on them", async () => {
    const { target, mover, other } = await inFlight();
    other.send(["APPEND", "{t}a", "x"]);
    target.reply("+OK\r\n-OOM command not allowed\r\n");
    expect(await replyText(mover)).toBe("-ERR error on slotsrestore, migration failed\r\n");
    expect(await replyText(other)).toBe(":2\r\n");
    expect(await ask(other, "MGET", "{t}a", "{t}b")).toBe("*2\r\n$2\r\n1x\r\n$1\r\n2\r\n");
  });

  test("and the append-only file cannot be written any more, they stay, and the caller hears why", async () => {
    const { target, source, mover, other } = await inFlight();
    const refusal = "MISCONF Errors writing to the AOF file: disk full";
    const appended: Buffer[] = [];
    source.state.journal = {
      refusal,
      commit: () => true,
      infoLines: () => [],
      append: (_db, buf, from, to) => void appended.push(Buffer.from(buf.subarray(from, to))),
      appendWords: (_db, words) => void appended.push(encodeRequest(words)),
      bufferBytes: 0,
      rewrite: () => "",
      tick() {},
      close: async () => {},
    };
    target.reply("+OK\r\n+OK\r\n");
    expect(await replyText(mover)).toBe(`-${refusal}\r\n`);
    expect(await ask(other, "MGET", "{t}a", "{t}b")).toBe("*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    expect(appended).toEqual([]);
    // What the target has is not to be taken for theirs when they go here.
    const slot = slotOf(Buffer.from("{t}a"));
    expect(source.state.sentKeys.ofSlot(source.state.databases.all[0]!, slot)).toHaveLength(2);
  });

  test("what the caller sends next is executed after the move, in order", async () => {
    const { target, mover } = await inFlight();
    mover.send(["GET", "{t}a"]);
    mover.send(["SET", "{t}a", "again"]);
    mover.send(["GET", "{t}a"]);
    target.reply("+OK\r\n+OK\r\n");
    expect(await replyText(mover)).toBe(":2\r\n");
    expect(await replyText(mover)).toBe("$-1\r\n");
    expect(await replyText(mover)).toBe("+OK\r\n");
    expect(await replyText(mover)).toBe("$5\r\nagain\r\n");
  });

  test("a second move of the same keys waits and finds them gone", async () => {
    const { target, other, mover } = await inFlight();
    other.send(["SLOTSMGRTTAGONE", "127.0.0.1", target.port, 60_000, "{t}b"]);
    target.reply("+OK\r\n+OK\r\n");
    expect(await replyText(mover)).toBe(":2\r\n");
    expect(await replyText(other)).toBe(":0\r\n");
  });

  test("other keys move beside them, on the same link", async () => {
    const { target, other, mover } = await inFlight();
    other.send(["SLOTSMGRTONE", "127.0.0.1", target.port, 60_000, "free"]);
    expect(await target.nextText()).toBe("SLOTSRESTORE free 0 <payload>");
    target.reply("+OK\r\n+OK\r\n+OK\r\n");
    expect(await replyText(mover)).toBe(":2\r\n");
    expect(await replyText(other)).toBe(":1\r\n");
    expect(target.connections).toBe(1);
  });

  test("a move by slot takes a key that is not on its way, or waits", async () => {
    const { target, source, mover, other } = await inFlight();
    const slot = slotOf(Buffer.from("t"));
    let i = 0;
    while (slotOf(Buffer.from(`k${i}`)) !== slot) i++;
    await ask(other, "SET", `k${i}`, "v");
    const third = await connect(source);
    other.send(["SLOTSMGRTTAGSLOT", "127.0.0.1", target.port, 60_000, slot]);
    expect(await target.nextText()).toBe(`SLOTSRESTORE k${i} 0 <payload>`);
    third.send(["SLOTSMGRTTAGSLOT", "127.0.0.1", target.port, 60_000, slot]);
    target.reply("+OK\r\n+OK\r\n");
    expect(await replyText(mover)).toBe(":2\r\n");
    target.reply("+OK\r\n");
    expect(await replyText(other)).toBe("*2\r\n:1\r\n:0\r\n");
    expect(await replyText(third)).toBe("*2\r\n:0\r\n:0\r\n");
  });

  test("the end of the caller's connection does not stop the move", async () => {
    const { target, mover, other } = await inFlight();
    mover.close();
    other.send(["SET", "{t}a", "new"]);
    target.reply("+OK\r\n+OK\r\n");
    expect(await replyText(other)).toBe("+OK\r\n");
    expect(await ask(other, "GET", "{t}b")).toBe("$-1\r\n");
  });

  for (const [command, reply] of [
    ["SWAPDB 0 1", "+OK\r\n"],
    ["FLUSHALL", "+OK\r\n"],
    ["FLUSHDB", "+OK\r\n"],
    ["SLOTSDEL 680", "*1\r\n*2\r\n:680\r\n:0\r\n"],
  ] as const) {
    test(`${command}, which changes keys it does not name, waits until they have arrived`, async () => {
      const { target, source, mover, other } = await inFlight();
      other.send(command.split(" "));
      const reader = await connect(source);
      expect(await ask(reader, "GET", "free")).toBe("$1\r\n3\r\n");
      expect(await ask(reader, "GET", "{t}b")).toBe("$1\r\n2\r\n");
      target.reply("+OK\r\n+OK\r\n");
      expect(await replyText(mover)).toBe(":2\r\n");
      expect(await replyText(other)).toBe(reply);
    });
  }

  test("moves that begin after FLUSHALL let it pass, and the keys it removed do not leave", async () => {
    const { target, source, mover, other } = await inFlight();
    const slot = slotOf(Buffer.from("free"));
    other.send(["FLUSHALL"]);
    const second = await connect(source);
    await ask(second, "PING");
    second.send(["SLOTSMGRTTAGSLOT", "127.0.0.1", target.port, 60_000, slot]);
    const third = await connect(source);
    third.send(["SET", "{t}a", "new"]);
    await ask(await connect(source), "PING");
    target.reply("+OK\r\n+OK\r\n");
    expect(await replyText(mover)).toBe(":2\r\n");
    expect(await replyText(other)).toBe("+OK\r\n");
    expect(await replyText(second)).toBe("*2\r\n:0\r\n:0\r\n");
    expect(await replyText(third)).toBe("+OK\r\n");
    expect(await ask(other, "GET", "{t}a")).toBe("$3\r\nnew\r\n");
  });

  test("a client that is killed while its write waits never writes", async () => {
    const { target, source, mover, other } = await inFlight();
    const id = (await ask(other, "CLIENT", "ID")).slice(1).trim();
    const reader = await connect(source);
    other.send(["SET", "{t}a", "never"]);
    await ask(reader, "PING");
    expect(await ask(reader, "CLIENT", "KILL", "ID", id)).toBe(":1\r\n");
    target.reply("+OK\r\n+OK\r\n");
    expect(await replyText(mover)).toBe(":2\r\n");
    expect(await ask(reader, "GET", "{t}a")).toBe("$-1\r\n");
  });
});

describe("Links", () => {
  test("A reply may come a byte at a time", async () => {
    const target = startTarget();
    const client = await connect(await startServer());
    await ask(client, "SET", "k", "v");
    client.send(["SLOTSMGRTONE", "127.0.0.1", target.port, 60_000, "k"]);
    await target.next();
    await target.next();
    for (const byte of "+OK\r\n+OK\r\n") {
      target.reply(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await replyText(client)).toBe(":1\r\n");
  });

  test("An idle link is used again, and closed after fifteen seconds", async () => {
    const target = startTarget();
    const source = await startServer();
    const client = await connect(source);
    for (const key of ["a", "b"]) {
      await ask(client, "SET", key, "v");
      client.send(["SLOTSMGRTONE", "127.0.0.1", target.port, 60_000, key]);
      if (key === "a") expect(await target.nextText()).toBe("SELECT 0");
      expect(await target.nextText()).toBe(`SLOTSRESTORE ${key} 0 <payload>`);
      target.reply(key === "a" ? "+OK\r\n+OK\r\n" : "+OK\r\n");
      expect(await replyText(client)).toBe(":1\r\n");
    }
    expect(target.connections).toBe(1);
    source.clock.advance(16_000);
    await target.disconnected();
  });

  test("A target that closes while it is idle costs nothing", async () => {
    const target = startTarget();
    const source = await startServer();
    const client = await connect(source);
    await ask(client, "MSET", "a", "1", "b", "2");
    client.send(["SLOTSMGRTONE", "127.0.0.1", target.port, 60_000, "a"]);
    await target.next();
    await target.next();
    target.reply("+OK\r\n+OK\r\n");
    expect(await replyText(client)).toBe(":1\r\n");
    target.drop();
    await target.disconnected();
    client.send(["SLOTSMGRTONE", "127.0.0.1", target.port, 60_000, "b"]);
    expect(await target.nextText()).toBe("SELECT 0");
    await target.next();
    target.reply("+OK\r\n+OK\r\n");
    expect(await replyText(client)).toBe(":1\r\n");
  });

  test("A large key is given more time than was asked for", async () => {
    const [target, silent] = [startTarget(), startTarget()];
    const source = await startServer();
    const [large, small] = [await connect(source), await connect(source)];
    await ask(small, "MSET", "large", "x".repeat(2 * 1024 * 1024), "small", "1");
    large.send(["SLOTSMGRTONE", "127.0.0.1", target.port, 50, "large"]);
    for (let i = 0; i < 2; i++) await target.next();
    const failed = await ask(small, "SLOTSMGRTONE", "127.0.0.1", silent.port, 60, "small");
    target.reply("+OK\r\n+OK\r\n");
    expect([failed.slice(0, 6), await replyText(large)]).toEqual(["-IOERR", ":1\r\n"]);
  });

  test("A target that closes in the middle fails the move", async () => {
    const target = startTarget();
    const client = await connect(await startServer());
    await ask(client, "SET", "a", "1");
    client.send(["SLOTSMGRTONE", "127.0.0.1", target.port, 60_000, "a"]);
    await target.next();
    target.reply("+OK\r\n");
    target.drop();
    expect(await replyText(client)).toBe("-IOERR error or timeout reading from target\r\n");
    expect(await ask(client, "GET", "a")).toBe("$1\r\n1\r\n");
  });

  test("An answer that is no line fails the move", async () => {
    const target = startTarget();
    const client = await connect(await startServer());
    await ask(client, "SET", "a", "1");
    client.send(["SLOTSMGRTONE", "127.0.0.1", target.port, 60_000, "a"]);
    await target.next();
    target.reply("$2\r\nOK\r\n");
    expect(await replyText(client)).toBe("-IOERR error or timeout reading from target\r\n");
    expect(await ask(client, "GET", "a")).toBe("$1\r\n1\r\n");
  });
});

describe("A target that knows no slots", () => {
  const UNKNOWN = "-ERR unknown command 'SLOTSRESTORE', with args beginning with: '{t}a' \r\n";

  /** A move of `{t}a` and `{t}b` that the target has refused and that was sent again. */
  async function sentAgain() {
    const target = startTarget();
    const source = await startServer();
    const mover = await connect(source);
    const other = await connect(source);
    await ask(other, "MSET", "{t}a", "1", "{t}b", "2", "free", "3");
    mover.send(["SLOTSMGRTTAGONE", "127.0.0.1", target.port, 60_000, "{t}a"]);
    expect(await target.nextText()).toBe("SELECT 0");
    expect(await target.nextText()).toBe("SLOTSRESTORE {t}a 0 <payload> {t}b 0 <payload>");
    target.reply(`+OK\r\n${UNKNOWN}`);
    expect(await target.nextText()).toBe("RESTORE {t}a 0 <payload> REPLACE");
    expect(await target.nextText()).toBe("RESTORE {t}b 0 <payload> REPLACE");
    return { target, mover, other };
  }

  test("gets a RESTORE per key, and later moves begin with that", async () => {
    const { target, mover, other } = await sentAgain();
    target.reply("+OK\r\n");
    expect(await ask(other, "MGET", "{t}a", "{t}b")).toBe("*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    target.reply("+OK\r\n");
    expect(await replyText(mover)).toBe(":2\r\n");
    expect(await ask(other, "DBSIZE")).toBe(":1\r\n");
    await ask(other, "PEXPIRE", "free", 600_000);
    mover.send(["SLOTSMGRTONE", "127.0.0.1", target.port, 60_000, "free"]);
    expect(await target.nextText()).toMatch(/^RESTORE free \d{6} <payload> REPLACE$/);
    target.reply("+OK\r\n");
    expect(await replyText(mover)).toBe(":1\r\n");
  });

  test("that refuses one of the keys leaves all of them at the source", async () => {
    const { target, mover, other } = await sentAgain();
    target.reply("+OK\r\n-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    expect(await replyText(mover)).toBe("-ERR error on slotsrestore, migration failed\r\n");
    expect(await ask(other, "MGET", "{t}a", "{t}b")).toBe("*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
  });

  test("that was asked by several moves at once gets each again", async () => {
    const target = startTarget();
    const source = await startServer();
    const first = await connect(source);
    const second = await connect(source);
    await ask(first, "MSET", "a", "1", "b", "2");
    first.send(["SLOTSMGRTONE", "127.0.0.1", target.port, 60_000, "a"]);
    for (let i = 0; i < 2; i++) await target.next();
    second.send(["SLOTSMGRTONE", "127.0.0.1", target.port, 60_000, "b"]);
    await target.next();
    target.reply(`+OK\r\n${UNKNOWN}${UNKNOWN}`);
    expect(await target.nextText()).toBe("RESTORE a 0 <payload> REPLACE");
    expect(await target.nextText()).toBe("RESTORE b 0 <payload> REPLACE");
    target.reply("+OK\r\n+OK\r\n");
    expect(await replyText(first)).toBe(":1\r\n");
    expect(await replyText(second)).toBe(":1\r\n");
  });

  test("and no RESTORE either fails the move", async () => {
    const { target, mover, other } = await sentAgain();
    target.reply("-ERR unknown command 'RESTORE'\r\n");
    expect(await replyText(mover)).toBe("-ERR error on slotsrestore, migration failed\r\n");
    expect(await ask(other, "DBSIZE")).toBe(":3\r\n");
  });
});

test("A key whose time is over when the target accepts the connection stays behind", async () => {
  const target = startTarget();
  const source = await startServer();
  const mover = await connect(source);
  await ask(mover, "SET", "k", "1", "PX", 60_000);
  const { clock } = source;
  const now = clock.now;
  // The first reading is of the turn in which the request arrives.
  let readings = 0;
  clock.now = () => now() + 60_000 * readings++;
  mover.send(["SLOTSMGRTONE", "127.0.0.1", target.port, 60_000, "k"]);
  expect(await replyText(mover)).toBe(":0\r\n");
});

test("Every increment is either in the value that moved or in the one that came after", async () => {
  const source = await startServer();
  const target = await startServer();
  const writer = await connect(source);
  const mover = await connect(source);
  const reader = await connect(target);
  for (let round = 0; round < 50; round++) {
    const key = `counter:${round}`;
    const before = round % 7;
    for (let i = 0; i < 12; i++) {
      if (i === before) mover.send(["SLOTSMGRTONE", "127.0.0.1", target.port, 60_000, key]);
      writer.send(["INCR", key]);
    }
    const values: number[] = [];
    for (let i = 0; i < 12; i++) values.push(Number((await replyText(writer)).slice(1)));
    await replyText(mover);
    const restart = values.indexOf(1, 1);
    const moved = await ask(reader, "GET", key);
    if (restart < 0) {
      // All before the move, or all after it.
      expect(values).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
      expect(["$-1\r\n", "$2\r\n12\r\n"]).toContain(moved);
    } else {
      const last = String(restart);
      expect(moved).toBe(`$${last.length}\r\n${last}\r\n`);
      expect(values.slice(restart)).toEqual(Array.from({ length: 12 - restart }, (_, i) => i + 1));
    }
  }
});
