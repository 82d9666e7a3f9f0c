import { describe, expect, test } from "bun:test";
import { encodeRequest } from "../../../src/resp/encoder.ts";
import { type Loaded, loadAppendOnly } from "../../../src/server/aof/load.ts";
import { MemoryFiles } from "../../support/memory-files.ts";
import { startLogged } from "./world.ts";

const BASE = "appendonly.aof.1.base.aof";
const FIRST = "appendonly.aof.1.incr.aof";
const SECOND = "appendonly.aof.2.incr.aof";
const MANIFEST = "appendonly.aof.manifest";

function records(...commands: (string | Buffer)[][]): Buffer {
  return Buffer.concat(commands.map((words) => encodeRequest(words)));
}

interface Result {
  readonly loaded: Loaded;
  readonly commands: string[];
  readonly messages: string[];
}

/** Loads and records what was replayed; a command FAIL answers an error. */
async function load(files: MemoryFiles, cutsTail = true): Promise<Result> {
  const commands: string[] = [];
  const messages: string[] = [];
  const replay = {
    nextFile: () => void commands.push("--"),
    loadRdb: () => Promise.reject(new Error("no file here begins as RDB")),
    apply(buf: Buffer, args: Int32Array, argc: number): string | undefined {
      const words: string[] = [];
      for (let i = 0; i < argc; i++) {
        words.push(buf.toString("latin1", args[2 * i], args[2 * i + 1]));
      }
      commands.push(words.map((word) => word.slice(0, 20)).join(" "));
      return words[0] === "FAIL" ? "ERR no" : undefined;
    },
  };
  const options = { cutsTail, say: (text: string) => void messages.push(text) };
  const loaded = await loadAppendOnly(files, "appendonly.aof", replay, options);
  return { loaded, commands, messages };
}

/** A directory with a base and two increments. */
function threeFiles(last: Buffer): MemoryFiles {
  const files = new MemoryFiles();
  files.set(
    MANIFEST,
    `file ${BASE} seq 1 type b\nfile ${FIRST} seq 1 type i\nfile ${SECOND} seq 2 type i\n`,
  );
  files.set(BASE, records(["SELECT", "0"], ["SET", "a", "1"]));
  files.set(FIRST, records(["SET", "b", "2"]));
  files.set(SECOND, last);
  return files;
}

test("Base and increments are replayed in order, annotations passed over", async () => {
  const last = Buffer.concat([
    Buffer.from("#TS:1700000000\r\n"),
    records(["SET", "c", "3"], ["DEL", "a"]),
  ]);
  const { commands, loaded, messages } = await load(threeFiles(last));
  expect(commands).toEqual([
    "--",
    "SELECT 0",
    "SET a 1",
    "--",
    "SET b 2",
    "--",
    "SET c 3",
    "DEL a",
  ]);
  expect(loaded.records).toBe(5);
  expect(messages).toEqual([]);
});

test("An empty place is an empty manifest", async () => {
  const { loaded } = await load(new MemoryFiles());
  expect(loaded.manifest).toEqual({ base: undefined, history: [], increments: [] });
});

test("Parts with records that no manifest names stop the start, and stay as they are", async () => {
  for (const name of [BASE, FIRST]) {
    const files = new MemoryFiles();
    files.set(name, records(["SET", "a", "1"]));
    await expect(load(files)).rejects.toThrow(`it has ${name}, which ${MANIFEST} does not name`);
    expect(files.get(name)).toEqual(records(["SET", "a", "1"]));
  }
  // An old copy of the manifest.
  const newer = threeFiles(records(["SET", "c", "3"]));
  newer.set("appendonly.aof.3.incr.aof", records(["SET", "d", "4"]));
  await expect(load(newer)).rejects.toThrow("appendonly.aof.3.incr.aof");
});

test("What a stop in the middle of a switch leaves does not stop the start", async () => {
  const files = new MemoryFiles();
  files.set(FIRST, "");
  expect((await load(files)).commands).toEqual([]);
  const rewritten = threeFiles(records(["SET", "c", "3"]));
  rewritten.set("appendonly.aof.3.incr.aof", "");
  rewritten.set("appendonly.aof.2.base.aof", records(["SET", "a", "1"]));
  expect((await load(rewritten)).loaded.records).toBe(4);
});

test("A last record cut at any byte is removed, and the file then is sound", async () => {
  const whole = records(["SET", "c", "3"]);
  const torn = records(["RPUSH", "list", "one", "a\r\nb", ""]);
  for (let cut = 1; cut < torn.length; cut++) {
    const files = threeFiles(Buffer.concat([whole, torn.subarray(0, cut)]));
    const { commands, messages, loaded } = await load(files);
    expect(commands.at(-1)).toBe("SET c 3");
    expect(messages).toEqual([
      `Cut ${cut} bytes at offset ${whole.length} of disk/${SECOND}: the last record is not complete`,
    ]);
    expect(files.get(SECOND)).toEqual(whole);
    expect(loaded.totalBytes).toBe(50 + 27 + whole.length);
    expect((await load(files)).messages).toEqual([]);
  }
});

test("With aof-load-truncated off a torn tail stops the start and nothing is changed", async () => {
  const content = records(["SET", "c", "3"]).subarray(0, -1);
  const files = threeFiles(content);
  await expect(load(files, false)).rejects.toThrow("aof-load-truncated is off");
  expect(files.get(SECOND)).toEqual(content);
});

test("A tail of zero bytes is cut, also inside a record and across chunks", async () => {
  const whole = records(["SET", "c", "3"]);
  for (const start of ["", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\nab"]) {
    for (const zeros of [1, 100, 3_000_000]) {
      const tail = Buffer.concat([Buffer.from(start), Buffer.alloc(zeros)]);
      const files = threeFiles(Buffer.concat([whole, tail]));
      const { messages, commands } = await load(files);
      expect(commands.at(-1)).toBe("SET c 3");
      expect(messages.length).toBe(1);
      expect(files.get(SECOND)).toEqual(whole);
    }
  }
});

test("A flipped bit in an EXEC stops the start instead of throwing away what follows", async () => {
  const transaction = records(["MULTI"], ["SET", "d", "4"], ["FLUSHALL"], ["EXEC"]);
  const others = records(["SET", "e", "5"], ["MULTI"], ["SET", "f", "6"], ["EXEC"]);
  const nameAt = transaction.length - "EXEC\r\n".length;
  for (let bit = 0; bit < 4 * 8; bit++) {
    const content = Buffer.concat([transaction, others]);
    content[nameAt + (bit >> 3)]! ^= 1 << (bit & 7);
    const files = threeFiles(content);
    const isSameWord = (bit & 7) === 5;
    if (isSameWord) {
      expect((await load(files)).messages).toEqual([]);
      continue;
    }
    await expect(load(files)).rejects.toThrow(`damaged at offset ${nameAt - "*1rn$4rn".length}`);
    expect(files.get(SECOND)).toEqual(content);
  }
});

test("A transaction without its EXEC is cut whole, one with it is applied whole", async () => {
  const before = records(["SET", "c", "3"]);
  const transaction = records(["MULTI"], ["SET", "d", "4"], ["SET", "e", "5"], ["EXEC"]);
  const complete = await load(threeFiles(Buffer.concat([before, transaction])));
  expect(complete.commands.slice(-3)).toEqual(["SET c 3", "SET d 4", "SET e 5"]);
  for (let cut = 1; cut < transaction.length; cut++) {
    const files = threeFiles(Buffer.concat([before, transaction.subarray(0, cut)]));
    const { commands, messages } = await load(files);
    expect(commands.at(-1)).toBe("SET c 3");
    expect(messages.length).toBe(1);
    expect(files.get(SECOND)).toEqual(before);
  }
});

describe("Damage stops the start and leaves the files alone", () => {
  const content = records(["SET", "c", "3"], ["SET", "d", "hello"], ["SET", "e", "5"]);
  const cases: [string, number, string, string][] = [
    ["a letter where a record starts", 27, "x", "damaged at offset 27"],
    ["a broken count", 28, "x", "damaged at offset 28"],
    ["a shorter length", 48, "4", "damaged at offset"],
    ["a longer length", 48, "6", "damaged at offset"],
    ["a length that reaches past the end", 48, "9999999", "whole ones follow"],
  ];
  for (const [name, at, bytes, message] of cases) {
    test(name, async () => {
      const damaged = Buffer.concat([
        content.subarray(0, at),
        Buffer.from(bytes),
        content.subarray(at + 1),
      ]);
      const files = threeFiles(damaged);
      await expect(load(files)).rejects.toThrow(message);
      await expect(load(files)).rejects.toThrow("Everything before offset 27 is sound");
      await expect(load(files)).rejects.toThrow(`truncate -s 27 disk/${SECOND}`);
      expect(files.get(SECOND)).toEqual(damaged);
    });
  }

  test("a torn tail of a file that is not the last", async () => {
    const files = threeFiles(content);
    files.set(FIRST, content.subarray(0, -3));
    await expect(load(files)).rejects.toThrow("it is not the last file");
    expect(files.get(FIRST).length).toBe(content.length - 3);
  });

  test("a file that is missing", async () => {
    const files = threeFiles(content);
    files.remove(FIRST);
    await expect(load(files)).rejects.toThrow(
      `Cannot open disk/${FIRST}, which the manifest names`,
    );
  });

  test("a command that cannot be executed", async () => {
    const files = threeFiles(records(["SET", "c", "3"], ["FAIL", "x"]));
    await expect(load(files)).rejects.toThrow("the FAIL there cannot be executed (ERR no)");
  });
});

test("Memory that runs out while loading is not called damage of the file", async () => {
  const files = threeFiles(records(["SET", "c", "3"]));
  const start = startLogged(files, ({ databases }) => {
    databases.arena.alloc = () => {
      throw new RangeError("Out of memory");
    };
  });
  await expect(start).rejects.toThrow(/^Out of memory$/);
});

test("Records longer than a chunk, and many of them, are replayed", async () => {
  const long = Buffer.alloc(5_000_000, "x");
  const many = Array.from({ length: 50_000 }, (_, i) => ["SET", `key:${i}`, "value"]);
  const files = threeFiles(records(["SET", "long", long], ...many, ["SET", "longer", long]));
  const { loaded, commands } = await load(files);
  expect(loaded.records).toBe(50_005);
  expect(commands.at(-1)).toBe("SET longer xxxxxxxxxxxxxxxxxxxx");
});

describe("The single file of servers before Redis 7", () => {
  const content = records(["SELECT", "0"], ["SET", "a", "1"]);

  test("becomes the base", async () => {
    const files = new MemoryFiles();
    files.set("../appendonly.aof", content);
    const { commands, loaded } = await load(files);
    expect(commands).toEqual(["--", "SELECT 0", "SET a 1"]);
    expect(loaded.manifest.base).toEqual({ name: "appendonly.aof", seq: 1, type: "b" });
    expect(files.readText(MANIFEST)).toStartWith("file appendonly.aof seq 1 type b\n#");
    expect(files.exists("../appendonly.aof")).toBe(false);
  });

  test("is taken over by the next start when the first one was stopped halfway", async () => {
    const files = new MemoryFiles();
    files.set("../appendonly.aof", content);
    files.beforeChange = (what) => {
      if (what.includes("manifest")) throw new Error("power off");
    };
    await expect(load(files)).rejects.toThrow("power off");
    files.beforeChange = () => {};
    expect((await load(files)).commands).toEqual(["--", "SELECT 0", "SET a 1"]);
  });
});
