/** What a start finds: snapshots of others, damaged ones, a log that begins with one. */

import { describe, expect, test } from "bun:test";
import { MemoryFiles } from "../../support/memory-files.ts";
import { createPrng } from "../../support/prng.ts";
import { digest, randomCommand } from "../aof/world.ts";
import { keyBytes, rdbFile } from "./files.ts";
import { fillLong, infoField, type SavingServer, saveWith, startSaving } from "./world.ts";

function diskError(code: string): Error {
  return Object.assign(new Error(code), { code });
}

describe("A file that this server knows nothing of", () => {
  const foreign = rdbFile([keyBytes("theirs", 0, [1, 0x61])]);

  test("is loaded at the start, and then replaced by saves", async () => {
    const files = new MemoryFiles();
    files.set("dump.rdb", foreign);
    const server = await startSaving(files);
    expect(server.own.show("GET", "theirs")).toBe("$a");
    expect(infoField(server, "rdb_last_load_keys_loaded")).toBe("1");
    expect(server.own.show("SAVE")).toBe("+OK");
    expect(server.own.show("SAVE")).toBe("+OK");
  });

  test("is not replaced when it came later", async () => {
    const files = new MemoryFiles();
    const server = await startSaving(files);
    server.own.ask(["SAVE"]);
    server.own.ask(["SET", "since", "1"]);
    files.set("dump.rdb", foreign);
    expect(server.own.show("SAVE")).toContain("put there by another program");
    await saveWith(server, () => undefined);
    expect(server.own.show("SET", "a", "1")).toStartWith("-MISCONF");
    await expect(server.saves.close(true)).rejects.toThrow("Cannot save disk/dump.rdb");
    expect(files.get("dump.rdb")).toEqual(foreign);
    files.remove("dump.rdb");
    expect(server.own.show("SAVE")).toBe("+OK");
  });

  test("is not replaced when it came while a save was under way", async () => {
    const files = new MemoryFiles();
    const server = await startSaving(files);
    fillLong(server, 1, 2000);
    let turns = 0;
    await saveWith(server, () => {
      if (++turns === 2) files.set("dump.rdb", foreign);
    });
    expect(infoField(server, "rdb_last_bgsave_status")).toBe("err");
    expect(files.get("dump.rdb")).toEqual(foreign);
    expect(files.list()).toEqual(["dump.rdb"]);
  });

  test("stops the start when it is damaged, and stays as it is", async () => {
    const files = new MemoryFiles();
    const damaged = Buffer.from(foreign);
    damaged[12]! ^= 1;
    files.set("dump.rdb", damaged);
    await expect(startSaving(files)).rejects.toThrow("Cannot load disk/dump.rdb");
    expect(files.get("dump.rdb")).toEqual(damaged);
  });
});

test("A directory that cannot be written to stops the start of a server that is to save", async () => {
  const files = new MemoryFiles();
  files.beforeChange = () => {
    throw diskError("EROFS");
  };
  await expect(startSaving(files)).rejects.toThrow(
    /^Cannot write to disk, where snapshots are to be saved \(EROFS\)\. Set dir .* save = ""/,
  );
  const server = await startSaving(files, ({ config }) => {
    config.save = "";
  });
  expect(server.own.show("SET", "a", "1")).toBe("+OK");
});

describe("The append-only file that begins with a snapshot", () => {
  const logged = ({ config }: SavingServer["own"]["state"]): void => {
    config.appendonly = true;
  };

  test("loses nothing when the power goes at any moment of its beginning", async () => {
    const prng = createPrng();
    const files = new MemoryFiles();
    const first = await startSaving(files);
    for (let i = 0; i < 500; i++) first.own.ask(randomCommand(prng));
    first.own.ask(["SAVE"]);
    const expected = digest(first.own.state);
    let isWhole = false;
    for (let stop = 0; !isWhole; stop++) {
      const logFiles = new MemoryFiles();
      let left = stop;
      logFiles.beforeChange = () => {
        if (--left < 0) throw diskError("EIO");
      };
      const started = startSaving(files.afterKill(), logged, logFiles);
      isWhole = await started.then(
        () => true,
        () => false,
      );
      const survivor = logFiles.afterPowerLoss(() => prng.int(1000) / 1000);
      const again = await startSaving(files.afterKill(), logged, survivor);
      expect(digest(again.own.state), `SEED=${prng.seed} stop ${stop}`).toBe(expected);
    }
  }, 30_000);

  test("is refused when its RDB part is damaged or cut, and stays as it is", async () => {
    const content = rdbFile([keyBytes("a", 0, [1, 0x61]), keyBytes("l", 1, [2, 1, 0x61, 1, 0x62])]);
    const base = "appendonly.aof.1.base.rdb";
    const start = async (bytes: Buffer): Promise<string> => {
      const logFiles = new MemoryFiles();
      logFiles.set("appendonly.aof.manifest", `file ${base} seq 1 type b\n`);
      logFiles.set(base, bytes);
      const text = await startSaving(new MemoryFiles(), logged, logFiles).then(
        ({ own }) => String(own.show("GET", "a")),
        (error: Error) => error.message,
      );
      expect(logFiles.get(base)).toEqual(bytes);
      return text;
    };
    expect(await start(content)).toBe("$a");
    for (let i = 0; i < content.length; i++) {
      const damaged = Buffer.from(content);
      damaged[i]! ^= 1 << (i % 8);
      expect(await start(damaged)).toStartWith("Cannot load disk/");
      if (i >= 5) expect(await start(content.subarray(0, i))).toStartWith("Cannot load disk/");
    }
  }, 30_000);
});
