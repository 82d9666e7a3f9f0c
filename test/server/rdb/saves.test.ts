/** Saving while the data changes, on disks that fail, and what a start finds. */

import { describe, expect, test } from "bun:test";
import { SNAPSHOT_TRIES_MAX } from "../../../src/server/snapshot.ts";
import { OwnServer, type Word } from "../../support/compare.ts";
import { MemoryFiles } from "../../support/memory-files.ts";
import { createPrng, type Prng } from "../../support/prng.ts";
import { anyCommand, digest, randomCommand } from "../aof/world.ts";
import {
  fillLong,
  infoField,
  nextTurn,
  type SavingServer,
  saveWith,
  startSaving,
} from "./world.ts";

function fillRandom({ own }: SavingServer, prng: Prng, commands: number): void {
  for (let i = 0; i < commands; i++) own.ask(anyCommand(prng));
}

async function loadedDigest(files: MemoryFiles): Promise<string> {
  return digest((await startSaving(files.afterKill())).own.state);
}

function diskError(code: string): Error {
  return Object.assign(new Error(code), { code });
}

test("What was saved is there after a start, of all types, in all databases", async () => {
  const prng = createPrng();
  const files = new MemoryFiles();
  const server = await startSaving(files);
  fillRandom(server, prng, 5000);
  fillLong(server, 2, 300);
  expect(server.own.show("SAVE")).toBe("+OK");
  expect(await loadedDigest(files), `SEED=${prng.seed}`).toBe(digest(server.own.state));
  expect(files.list()).toEqual(["dump.rdb"]);
  expect(files.get("dump.rdb").toString("latin1", 0, 9)).toBe("REDIS0007");
});

test("Sizes around every border of the format come back", async () => {
  const files = new MemoryFiles();
  const server = await startSaving(files);
  const sizes = [0, 1, 11, 12, 63, 64, 16_383, 16_384, 32_767, 32_768, 65_536, 1_000_000];
  const numbers = [0, -1, 127, 128, -128, -129, 32_767, 32_768, -32_769, 2 ** 31 - 1, 2 ** 31];
  for (const size of sizes) {
    server.own.ask(["SET", `s${size}`, Buffer.alloc(size, "ab")]);
    server.own.ask(["SET", Buffer.alloc(size, "k"), "v"]);
    server.own.ask(["RPUSH", "list", Buffer.alloc(size, "x")]);
    server.own.ask(["HSET", "hash", Buffer.alloc(size, "f"), Buffer.alloc(size, "v")]);
    server.own.ask(["ZADD", "zset", size / 7, Buffer.alloc(size, "m")]);
  }
  for (const number of numbers) server.own.ask(["RPUSH", "numbers", number, `0${number}`]);
  server.own.ask([
    "ZADD",
    "scores",
    "inf",
    "a",
    "-inf",
    "b",
    "1e308",
    "c",
    "5e-324",
    "d",
    "-0",
    "e",
  ]);
  server.own.ask(["SET", Buffer.of(0, 255, 13, 10), Buffer.of(0xff, 0xfe, 0, 0xc3)]);
  for (const count of [63, 64, 16_383, 16_384]) {
    server.own.ask(["SADD", `set${count}`, ...Array.from({ length: count }, (_, i) => i)]);
  }
  server.own.ask(["SAVE"]);
  expect(await loadedDigest(files)).toBe(digest(server.own.state));
});

test("A background save is of the instant it began, whatever is changed when", async () => {
  const prng = createPrng();
  const files = new MemoryFiles();
  const server = await startSaving(files);
  fillLong(server, 6, 2000);
  fillRandom(server, prng, 2000);
  let before = "";
  files.beforeChange = (what) => {
    if (what.startsWith("open temp-") && !what.includes("aside")) before = digest(server.own.state);
  };
  for (let round = 0; round < 3; round++) {
    const turns = await saveWith(server, () => {
      for (let i = 0; i < 15; i++) {
        const words = anyCommand(prng);
        // Those have the save begin again.
        if (!["SWAPDB", "FLUSHDB"].includes(String(words[0]))) server.own.ask(words);
      }
      server.own.clock.advance(1);
    });
    expect([`SEED=${prng.seed}`, turns > 5]).toEqual([`SEED=${prng.seed}`, true]);
    expect(await loadedDigest(files), `SEED=${prng.seed}`).toBe(before);
  }
}, 60_000);

test("A change for which there is no memory while a save runs fails alone, and the save is whole", async () => {
  const files = new MemoryFiles();
  const server = await startSaving(files);
  fillLong(server, 6, 2000);
  const before = digest(server.own.state);
  const { arena } = server.own.state.databases;
  const alloc = arena.alloc.bind(arena);
  let refused = 0;
  await saveWith(server, () => {
    arena.alloc = () => {
      throw new RangeError("Out of memory");
    };
    const answer = server.own.show("SET", `l${refused % 6}`, "x".repeat(100));
    expect(answer).toBe("-ERR 'set' needs more than the server can give (Out of memory)");
    refused++;
    arena.alloc = alloc;
  });
  expect(refused).toBeGreaterThan(5);
  expect(await loadedDigest(files)).toBe(before);
});

test("A background save is what a replay of the stream gives up to one offset", async () => {
  const prng = createPrng();
  const files = new MemoryFiles();
  const server = await startSaving(files);
  const stream: Word[][] = [];
  let offset = 0;
  const change = (words: Word[]): void => {
    stream.push(words);
    server.own.ask(words);
  };
  files.beforeChange = (what) => {
    if (what.startsWith("open temp-") && !what.includes("aside")) offset = stream.length;
  };
  for (let i = 0; i < 3000; i++) change(randomCommand(prng));
  const items = Array.from({ length: 5000 }, (_, k) => `element ${k}`);
  for (let i = 0; i < 8; i++) change(["RPUSH", `long${i}`, ...items]);
  let turns = 0;
  await saveWith(server, () => {
    if (++turns === 4) change(["SWAPDB", 0, 1]);
    if (turns === 9) change(["FLUSHDB"]);
    for (let i = 0; i < 15; i++) change(randomCommand(prng));
    change(["RENAME", `long${prng.int(8)}`, `long${prng.int(8)}`]);
    change(["RPUSH", `long${prng.int(8)}`, "more"]);
  });
  expect([offset > 3008, offset < stream.length]).toEqual([true, true]);
  const replay = new OwnServer();
  for (const words of stream.slice(0, offset)) replay.ask(words);
  expect(await loadedDigest(files), `SEED=${prng.seed}`).toBe(digest(replay.state));
}, 60_000);

test("Keys changed while one huge value is written wait in a file, not in memory", async () => {
  const files = new MemoryFiles();
  const server = await startSaving(files);
  const { own } = server;
  own.ask(["SELECT", 1]);
  for (let i = 0; i < 40; i++) {
    own.ask(["SET", `large${i}`, `${i}`.repeat(500_000)]);
    own.ask(["HSET", `hash${i}`, "field", `${i}`.repeat(400_000)]);
  }
  own.ask(["SELECT", 0]);
  for (let i = 0; i < 40; i++) {
    own.ask(["RPUSH", "huge", ...Array.from({ length: 10_000 }, (_, k) => `element ${i} ${k}`)]);
  }
  const before = digest(own.state);
  let isInside = false;
  let sawAside = false;
  files.beforeChange = (what) => {
    // The list's elements fill the first writes: the walk is inside of it.
    if (what === "write") isInside = true;
    sawAside ||= what.includes("aside");
  };
  let changed = 0;
  await saveWith(server, () => {
    if (!isInside || changed === 40) return;
    own.ask(["SELECT", 1]);
    own.ask(["SET", `large${changed}`, "new"]);
    own.ask(["DEL", `hash${changed}`]);
    changed++;
    own.ask(["SELECT", 0]);
    own.ask(["SET", `small${changed}`, "new"]);
  });
  expect([changed, sawAside]).toEqual([40, true]);
  expect((await loadedDigest(files)) === before).toBe(true);
  expect(files.list()).toEqual(["dump.rdb"]);
}, 60_000);

describe("A background save begins again", () => {
  for (const words of [["FLUSHALL"], ["FLUSHDB"], ["SWAPDB", 0, 1]]) {
    test(`when ${words.join(" ")} comes in the middle`, async () => {
      const prng = createPrng();
      const files = new MemoryFiles();
      const server = await startSaving(files);
      fillLong(server, 8, 2000);
      let turns = 0;
      let before = "";
      files.beforeChange = (what) => {
        if (what.startsWith("open temp-")) before = digest(server.own.state);
      };
      await saveWith(server, () => {
        if (++turns === 3) server.own.ask(words);
        server.own.ask(["SET", `k${prng.int(100)}`, turns]);
      });
      expect(turns).toBeGreaterThan(3);
      expect(await loadedDigest(files)).toBe(before);
      await saveWith(server, () => server.own.ask(["SET", `k${prng.int(100)}`, turns]));
      expect(await loadedDigest(files)).toBe(before);
    }, 30_000);
  }
});

test("A background save gives up when it must begin again too often, and says so", async () => {
  const files = new MemoryFiles();
  const server = await startSaving(files);
  fillLong(server, 2, 2000);
  // More than a turn goes through: a try that was given up has to end too.
  for (let i = 0; i < 20_000; i++) server.own.ask(["SET", `key ${i}`, "v"]);
  const turns = await saveWith(server, () => server.own.ask(["SWAPDB", 0, 1]));
  expect(turns).toBeGreaterThan(2 * SNAPSHOT_TRIES_MAX);
  expect(infoField(server, "rdb_last_bgsave_status")).toBe("err");
  expect(files.list()).toEqual([]);
  // With changes refused, swaps among them, the next one succeeds.
  expect(server.own.show("SWAPDB", 0, 1)).toStartWith("-MISCONF");
  await saveWith(server, () => undefined);
  expect(await loadedDigest(files)).toBe(digest(server.own.state));
}, 30_000);

describe("A save that fails leaves the file before it, nothing else, and says so", () => {
  const failures: Record<string, (files: MemoryFiles) => void> = {
    "no space": (files) => {
      files.room = 20_000;
    },
    "an error of writing": (files) => {
      files.writeError = diskError("EIO");
    },
    "an error of syncing": (files) => {
      files.syncError = diskError("EIO");
    },
    "a file that cannot be made": (files) => {
      files.beforeChange = (what) => {
        if (what.startsWith("open")) throw diskError("EACCES");
      };
    },
    "a name that cannot be changed": (files) => {
      files.beforeChange = (what) => {
        if (what.startsWith("rename")) throw diskError("EACCES");
      };
    },
  };
  for (const [name, fail] of Object.entries(failures)) {
    test(name, async () => {
      const files = new MemoryFiles();
      const server = await startSaving(files);
      const { own, saves } = server;
      fillLong(server, 2, 2000);
      own.ask(["SAVE"]);
      const old = files.get("dump.rdb");
      fail(files);
      expect(own.show("SAVE")).toMatch(/^-ERR Cannot save disk\/dump\.rdb: /);
      expect(own.show("SET", "a", "1")).toBe("+OK");
      await saveWith(server, () => own.ask(["INCR", "count"]));
      expect(infoField(server, "rdb_last_bgsave_status")).toBe("err");
      expect(own.show("SET", "a", "2")).toMatch(/^-MISCONF Redis is configured to save RDB snap/);
      expect(own.show("GET", "a")).toBe("$1");
      files.room = Number.POSITIVE_INFINITY;
      files.writeError = undefined;
      files.syncError = undefined;
      files.beforeChange = () => {};
      expect(files.get("dump.rdb")).toEqual(old);
      expect(files.list()).toEqual(["dump.rdb"]);
      own.ask(["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]);
      expect(own.show("SET", "a", "3")).toBe("+OK");
      own.ask(["CONFIG", "SET", "stop-writes-on-bgsave-error", "yes"]);
      // It is tried again by itself after five seconds, if a save point is due.
      own.ask(["CONFIG", "SET", "save", "1 1"]);
      saves.tick();
      expect(infoField(server, "rdb_bgsave_in_progress")).toBe("0");
      own.clock.advance(5000);
      saves.tick();
      expect(infoField(server, "rdb_bgsave_in_progress")).toBe("1");
      await saves.settled();
      expect(own.show("SET", "a", "4")).toBe("+OK");
      expect(infoField(server, "rdb_changes_since_last_save")).toBe("1");
      expect((await startSaving(files.afterKill())).own.show("GET", "a")).toBe("$3");
    });
  }
});

test("After a power loss at any moment the file is one that was saved, whole", async () => {
  const prng = createPrng();
  for (let run = 0; run < 40; run++) {
    const files = new MemoryFiles();
    const server = await startSaving(files);
    server.own.ask(["SET", "n", "1"]);
    server.own.ask(["SAVE"]);
    fillRandom(server, prng, 300);
    server.own.ask(["SELECT", 0]);
    server.own.ask(["SET", "n", "2"]);
    let left = prng.int(12);
    files.beforeChange = () => {
      if (--left < 0) throw diskError("EIO");
    };
    await saveWith(server, () => undefined);
    const survivor = await startSaving(files.afterPowerLoss(() => prng.int(1000) / 1000));
    const isSaved = infoField(server, "rdb_last_bgsave_status") === "ok";
    const found = survivor.own.show("GET", "n");
    expect([`SEED=${prng.seed}`, found]).toEqual([
      `SEED=${prng.seed}`,
      isSaved ? "$2" : expect.stringMatching(/^\$[12]$/),
    ]);
  }
}, 30_000);

describe("When to save", () => {
  test("save points are looked at with the time since the last save", async () => {
    const server = await startSaving(new MemoryFiles());
    const { own, saves } = server;
    own.ask(["CONFIG", "SET", "save", "100 1 10 5"]);
    const isDue = (): boolean => {
      saves.tick();
      return infoField(server, "rdb_bgsave_in_progress") === "1";
    };
    own.ask(["SET", "a", "1"]);
    own.clock.advance(99_000);
    expect(isDue()).toBe(false);
    own.clock.advance(2000);
    expect(isDue()).toBe(true);
    await saves.settled();
    expect(Number(infoField(server, "rdb_last_save_time"))).toBe(
      Math.floor(own.clock.now() / 1000),
    );
    expect(own.show("LASTSAVE")).toBe(`:${Math.floor(own.clock.now() / 1000)}`);
    own.clock.advance(11_000);
    expect(isDue()).toBe(false);
    own.ask(["RPUSH", "l", 1, 2, 3, 4, 5]);
    expect(isDue()).toBe(true);
    await saves.settled();
    own.ask(["CONFIG", "SET", "save", ""]);
    own.ask(["RPUSH", "l", 1, 2, 3, 4, 5]);
    own.clock.advance(1_000_000);
    expect(isDue()).toBe(false);
    expect(infoField(server, "rdb_saves")).toBe("2");
  });

  test("FLUSHALL has what is empty saved soon, so that the old keys do not come back", async () => {
    const files = new MemoryFiles();
    const { own, saves } = await startSaving(files);
    own.ask(["SET", "a", "1"]);
    own.ask(["SAVE"]);
    own.ask(["FLUSHALL"]);
    saves.tick();
    await saves.settled();
    expect((await startSaving(files.afterKill())).own.show("DBSIZE")).toBe(":0");
  });

  test("a save and a rewrite of the append-only file wait for each other, with Redis' texts", async () => {
    const files = new MemoryFiles();
    const configure = ({ config }: SavingServer["own"]["state"]): void => {
      config.appendonly = true;
    };
    const server = await startSaving(files, configure);
    const { own, saves } = server;
    const journal = own.state.journal!;
    fillLong(server, 2, 500);
    expect(own.show("BGREWRITEAOF")).toBe("+Background append only file rewriting started");
    expect(own.show("BGSAVE")).toBe(
      "-ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE " +
        "in order to schedule a BGSAVE whenever possible.",
    );
    expect(own.show("BGSAVE", "SCHEDULE")).toBe("+Background saving scheduled");
    expect(own.show("SAVE")).toBe("+OK");
    while (infoField(server, "aof_rewrite_in_progress") === "1") {
      saves.tick();
      expect(infoField(server, "rdb_bgsave_in_progress")).toBe("0");
      await nextTurn();
    }
    saves.tick();
    expect(infoField(server, "rdb_bgsave_in_progress")).toBe("1");
    expect(own.show("BGSAVE")).toBe("-ERR Background save already in progress");
    expect(own.show("SAVE")).toBe("-ERR Background save already in progress");
    expect(own.show("BGREWRITEAOF")).toBe("+Background append only file rewriting scheduled");
    expect(infoField(server, "aof_rewrite_scheduled")).toBe("1");
    journal.tick();
    expect(infoField(server, "aof_rewrite_in_progress")).toBe("0");
    await saves.settled();
    journal.tick();
    expect(infoField(server, "aof_rewrite_in_progress")).toBe("1");
    while (infoField(server, "aof_rewrite_in_progress") === "1") await nextTurn();
    expect(infoField(server, "aof_last_bgrewrite_status")).toBe("ok");
    expect(infoField(server, "rdb_saves")).toBe("2");
  });

  test("the last save is of the end, also when one was under way, and not without save points", async () => {
    for (const [points, expected] of [
      ["3600 1", "$2"],
      ["", "$1"],
    ] as const) {
      const files = new MemoryFiles();
      const server = await startSaving(files);
      const { own, saves } = server;
      own.ask(["CONFIG", "SET", "save", points]);
      own.ask(["SET", "a", "1"]);
      own.ask(["SAVE"]);
      fillLong(server, 2, 2000);
      own.ask(["BGSAVE"]);
      await nextTurn();
      own.ask(["SET", "a", "2"]);
      await saves.close(true);
      expect(files.list()).toEqual(["dump.rdb"]);
      expect((await startSaving(files.afterKill())).own.show("GET", "a")).toBe(expected);
    }
  });
});
