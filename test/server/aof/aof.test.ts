/** Rewriting the append-only file while the data changes; what a kill or a power loss leaves. */

import { describe, expect, spyOn, test } from "bun:test";
import { ReplyWriter } from "../../../src/resp/encoder.ts";
import { EARLY_WRITE_BYTES } from "../../../src/server/aof/append-log.ts";
import { EXPIRY_MS_MAX } from "../../../src/server/commands/expiry-time.ts";
import { writePayload } from "../../../src/server/rdb/write.ts";
import { SNAPSHOT_TRIES_MAX } from "../../../src/server/snapshot.ts";
import { OwnServer, showReply } from "../../support/compare.ts";
import { MemoryFiles } from "../../support/memory-files.ts";
import { createPrng, type Prng } from "../../support/prng.ts";
import {
  anyCommand,
  digest,
  type LoggedServer,
  onlyBase,
  randomCommand,
  startLogged,
} from "./world.ts";

/** Long values, so that a slice of a rewrite ends inside them. */
function fillLong({ own }: LoggedServer, keys: number, elements: number): void {
  for (let i = 0; i < keys; i++) {
    const items = Array.from({ length: elements }, (_, k) => `element ${k}`);
    own.ask(["RPUSH", `l${i}`, ...items]);
    own.ask(["SADD", `t${i}`, ...items]);
    own.ask(["HSET", `h${i}`, ...items.flatMap((item, k) => [item, k])]);
    own.ask(["ZADD", `z${i}`, ...items.flatMap((item, k) => [k / 3, item])]);
  }
}

function fillRandom({ own }: LoggedServer, prng: Prng, commands: number): void {
  for (let i = 0; i < commands; i++) own.ask(randomCommand(prng));
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Runs a rewrite to its end, with `change` in every turn of it. Returns the number of turns. */
async function rewriteWith(server: LoggedServer, change: () => void): Promise<number> {
  let isOver = false;
  let turns = 0;
  server.journal.rewrite();
  void server.journal.settled().then(() => {
    isOver = true;
  });
  while (!isOver) {
    change();
    server.journal.commit();
    turns++;
    await nextTurn();
  }
  return turns;
}

async function expectSameAfterRestart(files: MemoryFiles, server: LoggedServer): Promise<void> {
  server.journal.commit();
  const restarted = await startLogged(files.afterKill());
  expect(digest(restarted.own.state)).toBe(digest(server.own.state));
}

test("What was written is there after a restart, of all types, in all databases", async () => {
  const files = new MemoryFiles();
  const server = await startLogged(files);
  fillRandom(server, createPrng(), 5000);
  fillLong(server, 3, 300);
  await expectSameAfterRestart(files, server);
});

test("A rewrite puts large elements into commands of their own", async () => {
  const files = new MemoryFiles();
  const server = await startLogged(files);
  const large = (i: number): string => String(i).repeat(700_000);
  const items = Array.from({ length: 9 }, (_, i) => large(i + 1));
  server.own.ask(["RPUSH", "l", "small", ...items, "small"]);
  server.own.ask(["SADD", "t", "small", ...items]);
  server.own.ask(["HSET", "h", ...items.flatMap((item) => [item, item]), "small", "small"]);
  server.own.ask(["ZADD", "z", ...items.flatMap((item, i) => [i, item]), 99, "small"]);
  server.own.ask(["PEXPIRE", "z", "100000"]);
  await rewriteWith(server, () => undefined);
  const base = files.list().find((name) => name.endsWith(".base.aof"))!;
  const text = files.readText(base)!;
  const starts = [...text.matchAll(/\*\d+\r\n\$\d+\r\n(RPUSH|SADD|HMSET|ZADD)/g)];
  const lengths = starts.map((start, i) => (starts[i + 1]?.index ?? text.length) - start.index);
  expect(Math.max(...lengths)).toBeLessThan(3_000_000);
  await expectSameAfterRestart(files, server);
});

test("Every command is logged so that a replay gives the same data", async () => {
  const seeds = createPrng();
  for (let run = 0; run < 20; run++) {
    const prng = createPrng(seeds.int(2 ** 32));
    const files = new MemoryFiles();
    const server = await startLogged(files);
    for (let i = 0; i < 500; i++) {
      server.own.ask(anyCommand(prng));
      if (i % 50 === 0) server.own.clock.advance(1);
    }
    server.journal.commit();
    const restarted = await startLogged(files.afterKill());
    const note = `seeds ${seeds.seed} run ${run}\n`;
    expect(note + digest(restarted.own.state)).toBe(note + digest(server.own.state));
  }
}, 30_000);

describe("The latest expiry that Redis takes is read back", () => {
  const latest = String(2n ** 63n - 1n);
  for (const words of [
    ["PEXPIREAT", "k", latest],
    ["SET", "k", "v", "PXAT", latest],
    ["GETEX", "k", "PXAT", latest],
    ["RESTORE", "k", latest, "payload", "REPLACE", "ABSTTL"],
  ]) {
    test(`from ${words[0]}, as the latest we keep, in the log and in its base`, async () => {
      const files = new MemoryFiles();
      const server = await startLogged(files);
      server.own.ask(["SET", "k", "v"]);
      const payload = writtenPayload(server, "k");
      server.own.ask(words.map((word) => (word === "payload" ? payload : word)));
      expect(server.own.show("PEXPIRETIME", "k")).toBe(`:${EXPIRY_MS_MAX}`);
      await expectSameAfterRestart(files, server);
      await rewriteWith(server, () => {});
      await expectSameAfterRestart(files, server);
    });
  }
});

function writtenPayload({ own }: LoggedServer, key: string): Buffer {
  const { arena, all } = own.state.databases;
  const name = Buffer.from(key);
  const out = new ReplyWriter();
  writePayload(arena, all[0]!.peek(name, 0, name.length), out);
  return out.take();
}

test("Names and manifest are those of Redis 7", async () => {
  const files = new MemoryFiles();
  const server = await startLogged(files);
  expect(new Set(files.list())).toEqual(
    new Set(["appendonly.aof.1.incr.aof", "appendonly.aof.manifest"]),
  );
  server.own.ask(["SET", "a", "1"]);
  await rewriteWith(server, () => {});
  expect(files.readText("appendonly.aof.manifest")).toStartWith(
    "file appendonly.aof.1.base.aof seq 1 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\n#",
  );
  expect(new Set(files.list())).toEqual(
    new Set(["appendonly.aof.1.base.aof", "appendonly.aof.2.incr.aof", "appendonly.aof.manifest"]),
  );
  server.own.ask(["SET", "b", "2"]);
  await rewriteWith(server, () => {});
  expect(files.readText("appendonly.aof.manifest")).toStartWith(
    "file appendonly.aof.2.base.aof seq 2 type b\nfile appendonly.aof.3.incr.aof seq 3 type i\n#",
  );
  await expectSameAfterRestart(files, server);
});

test("A rewrite under writes equals the live state, whatever is changed when", async () => {
  const prng = createPrng();
  const files = new MemoryFiles();
  const server = await startLogged(files);
  fillLong(server, 6, 2000);
  fillRandom(server, prng, 3000);
  for (let round = 0; round < 3; round++) {
    const turns = await rewriteWith(server, () => fillRandom(server, prng, 20));
    expect([`seed ${prng.seed}`, turns > 5]).toEqual([`seed ${prng.seed}`, true]);
    await expectSameAfterRestart(files, server);
  }
}, 30_000);

test("The base is the state of the instant the rewrite began", async () => {
  const prng = createPrng();
  const files = new MemoryFiles();
  const server = await startLogged(files);
  fillLong(server, 10, 2000);
  fillRandom(server, prng, 3000);
  let before = "";
  files.beforeChange = (what) => {
    if (what === "open appendonly.aof.2.incr.aof") before = digest(server.own.state);
  };
  await rewriteWith(server, () => fillRandom(server, prng, 20));
  expect(digest((await startLogged(onlyBase(files))).own.state)).toBe(before);
});

describe("A rewrite begins again", () => {
  for (const words of [["FLUSHALL"], ["FLUSHDB"], ["SWAPDB", 0, 1], ["SWAPDB", 2, 0]]) {
    test(`when ${words.join(" ")} comes in the middle`, async () => {
      const prng = createPrng();
      const files = new MemoryFiles();
      const server = await startLogged(files);
      fillLong(server, 10, 2000);
      fillRandom(server, prng, 1000);
      let turns = 0;
      await rewriteWith(server, () => {
        if (++turns === 4) server.own.ask(words);
        fillRandom(server, prng, 5);
      });
      expect(turns).toBeGreaterThan(4);
      await expectSameAfterRestart(files, server);
      await rewriteWith(server, () => fillRandom(server, prng, 5));
      await expectSameAfterRestart(files, server);
    });
  }
});

test("A rewrite gives up when it must begin again too often, loses nothing, and says so", async () => {
  const files = new MemoryFiles();
  const server = await startLogged(files);
  fillLong(server, 2, 2000);
  let swaps = 0;
  await rewriteWith(server, () => {
    swaps++;
    server.own.ask(["SWAPDB", 0, 1]);
  });
  expect(swaps).toBeGreaterThanOrEqual(SNAPSHOT_TRIES_MAX);
  expect(server.journal.infoLines()).toContain("aof_last_bgrewrite_status:err");
  // A new increment for each try, the first one, and the manifest.
  expect(files.list()).toHaveLength(SNAPSHOT_TRIES_MAX + 2);
  await expectSameAfterRestart(files, server);
  await rewriteWith(server, () => undefined);
  expect(server.journal.infoLines()).toContain("aof_last_bgrewrite_status:ok");
  expect(files.list()).toHaveLength(3);
  await expectSameAfterRestart(files, server);
}, 30_000);

test("A rewrite that cannot be written leaves the files in use and the next one succeeds", async () => {
  const prng = createPrng();
  const files = new MemoryFiles();
  const server = await startLogged(files);
  fillLong(server, 10, 2000);
  server.journal.commit();
  let turns = 0;
  await rewriteWith(server, () => {
    if (++turns === 3) files.writeError = new Error("ENOSPC: no space left on device");
  });
  files.writeError = undefined;
  expect(server.journal.infoLines()).toContain("aof_last_bgrewrite_status:err");
  fillRandom(server, prng, 100);
  await expectSameAfterRestart(files, server);
  await rewriteWith(server, () => fillRandom(server, prng, 5));
  expect(server.journal.infoLines()).toContain("aof_last_bgrewrite_status:ok");
  await expectSameAfterRestart(files, server);
});

test("A rewrite is asked for once at a time, and by itself when the log has grown", async () => {
  const files = new MemoryFiles();
  const server = await startLogged(files, (state) => {
    state.config["auto-aof-rewrite-min-size"] = 10_000;
  });
  const { journal, own } = server;
  expect(journal.rewrite()).toBe("Background append only file rewriting started");
  expect(() => journal.rewrite()).toThrow();
  await journal.settled();
  journal.tick();
  expect(journal.infoLines()).toContain("aof_rewrite_in_progress:0");
  for (let i = 0; i < 1000; i++) own.ask(["SET", "k", `value ${i}`]);
  journal.commit();
  journal.tick();
  expect(journal.infoLines()).toContain("aof_rewrite_in_progress:1");
  await journal.settled();
  expect(journal.totalBytes).toBeLessThan(200);
  journal.tick();
  expect(journal.infoLines()).toContain("aof_rewrite_in_progress:0");
  await expectSameAfterRestart(files, server);
});

describe("While the log cannot be written", () => {
  test("changes are refused with the text of Redis, reading goes on, nothing is lost", async () => {
    const files = new MemoryFiles();
    const { own, journal } = await startLogged(files);
    own.ask(["SET", "a", "1"]);
    files.writeError = Object.assign(new Error("write"), { code: "ENOSPC" });
    journal.commit();
    expect(own.show("SET", "a", "2")).toBe(
      "-MISCONF Errors writing to the AOF file: No space left on device",
    );
    expect(own.show("GET", "a")).toBe("$1");
    files.writeError = undefined;
    own.clock.advance(1000);
    journal.tick();
    expect(own.show("SET", "a", "3")).toBe("+OK");
    journal.commit();
    const restarted = await startLogged(files.afterKill());
    expect(restarted.own.show("GET", "a")).toBe("$3");
  });

  test("a failed sync heals by a rewrite that begins by itself", async () => {
    const files = new MemoryFiles();
    const { own, journal } = await startLogged(files, (state) => {
      state.config.appendfsync = "always";
    });
    own.ask(["SET", "a", "1"]);
    files.syncError = Object.assign(new Error("fdatasync"), { code: "EIO" });
    expect(journal.commit()).toBe(false);
    expect(own.show("SET", "b", "2")).toBe(
      "-MISCONF Errors writing to the AOF file: Input/output error",
    );
    files.syncError = undefined;
    journal.tick();
    await journal.settled();
    expect(own.show("SET", "b", "2")).toBe("+OK");
    expect(journal.commit()).toBe(true);
    const restarted = await startLogged(files.afterPowerLoss(() => 0));
    expect(restarted.own.show("MGET", "a", "b")).toEqual(["$1", "$2"]);
  });
});

test("Expired keys are logged as DEL, and live on while a log is read that needs them", async () => {
  const files = new MemoryFiles();
  const server = await startLogged(files);
  const { own, journal } = server;
  own.ask(["SET", "gone", "1", "PX", "10"]);
  own.ask(["SET", "kept", "1", "PX", "10"]);
  own.ask(["PERSIST", "kept"]);
  own.clock.advance(20);
  expect(own.show("GET", "gone")).toBe("$-1");
  journal.commit();
  expect(files.get("appendonly.aof.1.incr.aof").toString()).toEndWith(
    "*2\r\n$3\r\nDEL\r\n$4\r\ngone\r\n",
  );
  const restarted = await startLogged(files.afterKill());
  expect(restarted.own.show("MGET", "gone", "kept")).toEqual(["$-1", "$1"]);
});

test("After a power loss at any moment under always, all that was answered is there", async () => {
  const seeds = createPrng();
  for (let run = 0; run < 60; run++) {
    const prng = createPrng(seeds.int(2 ** 32));
    const files = new MemoryFiles();
    const server = await startLogged(files, (state) => {
      state.config.appendfsync = "always";
    });
    // A command of its own counts the others, so that the survivors tell how many they are.
    const commands: ReturnType<typeof randomCommand>[] = [];
    let answered = 0;
    let left = 200 + prng.int(600);
    files.beforeChange = () => {
      if (--left < 0) throw Object.assign(new Error("EIO: power is off"), { code: "EIO" });
    };
    const turn = (): void => {
      for (let i = prng.int(4); i >= 0; i--) {
        const words = prng.oneIn(3)
          ? randomCommand(prng)
          : ["SET", `s${prng.int(9)}`, prng.int(99)];
        if (words[0] === "SELECT" || words[0] === "MOVE") continue;
        const reply = showReply(server.own.ask(["INCR", "count"]));
        if (typeof reply === "string" && reply.startsWith("-MISCONF")) return;
        commands.push(words);
        server.own.ask(words);
      }
      if (server.journal.commit()) answered = commands.length;
    };
    for (let i = 0; left >= 0 && i < 400; i++) {
      turn();
      if (i % 50 === 10) {
        try {
          server.journal.rewrite();
        } catch {
          // One is running.
        }
      }
      await nextTurn();
    }
    const survivor = await startLogged(files.afterPowerLoss(() => prng.int(1000) / 1000));
    const shown = survivor.own.show("GET", "count");
    const count = shown === "$-1" ? 0 : Number(String(shown).slice(1));
    const note = `seed ${seeds.seed} run ${run}`;
    expect([note, count >= answered]).toEqual([note, true]);
    expect([note, matchesPrefix(commands, count, digest(survivor.own.state))]).toEqual([
      note,
      true,
    ]);
  }
}, 60_000);

/** Whether the digest is that of the first `count` commands, the last one done or not. */
function matchesPrefix(
  commands: readonly ReturnType<typeof randomCommand>[],
  count: number,
  actual: string,
): boolean {
  const own = new OwnServer();
  for (let i = 0; i < count; i++) {
    own.ask(["INCR", "count"]);
    if (i === count - 1 && digest(own.state) === actual) return true;
    own.ask(commands[i]!);
  }
  return digest(own.state) === actual;
}

test("On a full disk keys go on expiring, in bounded memory, and are gone after a restart", async () => {
  const files = new MemoryFiles();
  const server = await startLogged(files);
  const { own, journal } = server;
  const keys = Array.from({ length: 8 }, (_, i) => Buffer.alloc(16 * 1024 * 1024, `${i}`));
  for (const key of keys) own.ask(["SET", key, "1", "PX", "1000"]);
  own.ask(["SET", "kept", "1"]);
  journal.commit();
  files.room = 0;
  own.ask(["SET", "last", "1"]);
  journal.commit();
  own.clock.advance(2000);
  const failures = spyOn(own.state.log, "error");
  const ends = spyOn(own.state.log, "info");
  for (let i = 0; i < 3; i++) journal.tick();
  expect(failures.mock.calls.map(([, fields]) => fields?.text)).toEqual([
    "No space left on device",
  ]);
  for (const key of keys) expect(own.show("EXISTS", key)).toBe(":0");
  const waiting = /aof_buffer_length:(\d+)/.exec(journal.infoLines().join())!;
  expect(Number(waiting[1])).toBeLessThan(EARLY_WRITE_BYTES + keys[0]!.length + 1000);
  expect(own.show("SET", "more", "1")).toStartWith("-MISCONF");
  files.room = Number.POSITIVE_INFINITY;
  // Room alone is not enough: a key that was left out is still in the file.
  journal.commit();
  expect(own.show("SET", "more", "1")).toStartWith("-MISCONF");
  own.clock.advance(6000);
  journal.tick();
  await journal.settled();
  expect(own.show("SET", "more", "1")).toBe("+OK");
  journal.tick();
  expect(ends.mock.calls.at(-1)![0]).toBe("AOF can be written again");
  await expectSameAfterRestart(files, server);
});

test("A log that cannot be finished is told to whoever closes it, with what to do", async () => {
  const files = new MemoryFiles();
  const { own, journal } = await startLogged(files);
  files.room = 5;
  own.ask(["SET", "a", "1"]);
  journal.commit();
  await expect(journal.close()).rejects.toThrow(/may be lost, \d+ bytes are not written\. See to/);
});

test("What is replayed at the start counts as nobody's work", async () => {
  const files = new MemoryFiles();
  const first = await startLogged(files);
  for (let i = 0; i < 10; i++) first.own.ask(["APPEND", "a", "1"]);
  first.journal.commit();
  const { own } = await startLogged(files.afterKill(), ({ config }) => {
    config["slowlog-log-slower-than"] = 0;
  });
  expect([own.state.stats.commandsProcessed, own.state.slowlog.length]).toEqual([0, 0]);
  expect(own.show("INFO", "commandstats")).not.toContain("cmdstat_append");
  expect(own.show("STRLEN", "a")).toBe(":10");
});
