import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { readPayload } from "../../../src/server/rdb/read.ts";
import { createPrng } from "../../support/prng.ts";
import { digest } from "../aof/world.ts";
import { CollectingSink } from "./collect.ts";
import { keyBytes, loadFile, longString, rdbFile, refusalOf } from "./files.ts";

interface DumpRow {
  name: string;
  rdb_type: number;
  rdb_version: number;
  hex: string;
}

const DUMPS = new URL("../../golden/server/dumps/", import.meta.url);
const STREAM_TYPES = [15, 19, 21];
const HELLO = [5, ...Buffer.from("hello")];
const FAR_MS = 4_000_000_000_000n;

function sorted(entries: Iterable<[string, string | number]>): [string, string | number][] {
  return [...entries].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function expireMs(at: bigint): Buffer {
  const bytes = Buffer.alloc(9, 0xfc);
  bytes.writeBigInt64LE(at, 1);
  return bytes;
}

function expireSeconds(at: number): Buffer {
  const bytes = Buffer.alloc(5, 0xfd);
  bytes.writeInt32LE(at, 1);
  return bytes;
}

for (const file of readdirSync(DUMPS)) {
  const rows = JSON.parse(readFileSync(new URL(file, DUMPS), "utf8")) as DumpRow[];
  describe(`Recorded values of ${file}, in a file`, () => {
    for (const { name, rdb_type, rdb_version, hex } of rows) {
      const payload = Buffer.from(hex, "hex");
      const key = keyBytes("the key", rdb_type, payload.subarray(1, -10));
      const content = rdbFile([[0xfe, 3], key, keyBytes("next", 0, HELLO)], rdb_version);
      if (STREAM_TYPES.includes(rdb_type)) {
        test(`${name} stops the load with key, type and offset`, async () => {
          expect(await refusalOf(content)).toBe(
            `Cannot load disk/dump.rdb: the key "the key" at offset 11 is a stream (type ` +
              `${rdb_type}), which this server cannot hold. The file was not changed. Have the ` +
              "server that wrote it save without such keys, or move it away to start without its data",
          );
        });
        continue;
      }
      test(`${name} is what the payload is`, async () => {
        const { own, keys, bytes } = await loadFile(content);
        expect([keys, bytes]).toEqual([2, content.length]);
        const sink = new CollectingSink();
        readPayload(payload, 0, payload.length, sink);
        own.show("SELECT", "3");
        const written = own.ask(["DUMP", "the key"]);
        const again = new CollectingSink();
        const start = written.indexOf("\r\n") + 2;
        expect(readPayload(written, start, written.length - 2, again)).toBe("ok");
        expect([again.kind, again.text, again.items]).toEqual([sink.kind, sink.text, sink.items]);
        expect(sorted(again.entries)).toEqual(sorted(sink.entries));
        expect(own.show("GET", "next")).toBe("$hello");
      });
    }
  });
}

test("Everything that may stand between keys is read or passed over", async () => {
  const content = rdbFile(
    [
      [0xfa, ...longString("redis-ver"), ...longString("7.4.0")],
      [0xfa, ...longString("redis-bits"), 0xc0, 64],
      [0xf5, ...longString("#!lua name=mine\n")],
      [0xfe, 0],
      [0xfb, 0x42, 0x01, 0x80, 0, 0, 0, 9],
      [0xf4, 5, 0x41, 0x02, 0],
      [...expireMs(FAR_MS), 0xf8, 0x41, 0x02, ...keyBytes("idle", 0, HELLO)],
      [0xf9, 0x42, ...keyBytes("used", 0, HELLO)],
      [...expireSeconds(2_000_000_000), ...keyBytes("seconds", 0, HELLO)],
      [...expireMs(-1n), ...keyBytes("never", 0, HELLO)],
      [...expireMs(2n ** 63n - 1n), ...keyBytes("late", 0, HELLO)],
      [0xfe, 0x4f],
    ].slice(0, -1),
  );
  const { own, keys, log } = await loadFile(content);
  expect(keys).toBe(5);
  expect(own.show("PEXPIRETIME", "idle")).toBe(`:${FAR_MS}`);
  expect(own.show("PEXPIRETIME", "seconds")).toBe(":2000000000000");
  expect(own.show("MGET", "used", "never", "late")).toEqual(["$hello", "$hello", "$hello"]);
  expect(own.show("TTL", "never")).toBe(":-1");
  expect(log.lines).toEqual([expect.stringContaining("functions, which are left out")]);
});

test("Keys whose time is over are left out of a file, and kept where commands follow", async () => {
  const past = [...expireMs(1_000_000_000_000n), ...keyBytes("gone", 0, HELLO)];
  const old = [...expireSeconds(-5), ...keyBytes("before 1970", 0, HELLO)];
  const content = rdbFile([[0xfe, 0], past, old, keyBytes("kept", 0, HELLO)]);
  const loaded = await loadFile(content);
  expect([loaded.keys, loaded.expired, loaded.own.show("DBSIZE")]).toEqual([1, 2, ":1"]);
  const preamble = await loadFile(content, { isPreamble: true });
  expect([preamble.keys, preamble.expired, preamble.own.show("DBSIZE")]).toEqual([3, 0, ":3"]);
});

test("Empty collections are left out with a warning", async () => {
  const { keys, log, own } = await loadFile(
    rdbFile([keyBytes("a", 1, [0]), keyBytes("b", 14, [0]), keyBytes("c", 0, HELLO)]),
  );
  expect([keys, own.show("KEYS", "*")]).toEqual([1, ["$c"]]);
  expect(log.lines).toEqual([expect.stringContaining(`"keys":2`)]);
});

test("Versions 1 to 12 are read, checksums where there are any", async () => {
  for (let version = 1; version <= 12; version++) {
    const { own } = await loadFile(rdbFile([keyBytes("a", 0, HELLO)], version));
    expect(own.show("GET", "a")).toBe("$hello");
  }
  const unchecked = rdbFile([keyBytes("a", 0, HELLO)], 10, false);
  expect((await loadFile(unchecked)).keys).toBe(1);
  const wrong = rdbFile([keyBytes("a", 0, HELLO)]);
  wrong[wrong.length - 1]! ^= 1;
  expect(await refusalOf(wrong)).toContain("checksum");
  expect((await loadFile(wrong, { checksSum: false })).keys).toBe(1);
});

describe("A file that cannot be loaded stops the load with what to do", () => {
  const hello = keyBytes("a", 0, HELLO);
  const moduleId = [0x81, 0x7b, 0xe7, 0xc5, 0x52, 0x4d, 0xa5, 0x8c, 0x01];
  const cases: Record<string, [Buffer, string]> = {
    empty: [Buffer.alloc(0), "it has 0 bytes, which no RDB file can do with"],
    "another kind of file": [Buffer.from("VALKEY080xxxx"), "does not start with REDIS"],
    "a later version": [rdbFile([], 13), "its version is 13, and only 1 to 12"],
    "version 0": [rdbFile([], 0), "its version is 0"],
    "a database too many": [
      rdbFile([[0xfe, 0x40, 16], hello]),
      "Start with databases = 17 or more",
    ],
    "a key twice": [rdbFile([hello, hello]), `damaged at offset 22 (in the key "a"): the key was`],
    "a module's value": [
      rdbFile([keyBytes("m", 7, moduleId)]),
      `the key "m" at offset 9 is a module`,
    ],
    "a hash with expiring fields": [
      rdbFile([keyBytes("h", 25, [0])]),
      "a hash whose fields expire",
    ],
    "data of a module": [rdbFile([[0xf7, ...moduleId, 2, 2, 0]]), "data of the module e-fFUk2lj"],
    "functions of a release candidate": [
      rdbFile([[0xf6, 1, 0x61]]),
      "a release candidate of Redis",
    ],
    "a type of the future": [rdbFile([keyBytes("f", 60, [0])]), "damaged at offset 9"],
    "bytes behind an end nothing confirms": [
      Buffer.concat([rdbFile([hello], 10, false), Buffer.alloc(3)]),
      "3 bytes behind the end",
    ],
    "a string that claims more than there is": [
      rdbFile([keyBytes("a", 0, [0x80, 0x10, 0, 0, 0])]),
      "the file ends before what is announced",
    ],
  };
  for (const [name, [content, text]] of Object.entries(cases)) {
    test(name, async () => {
      const refusal = await refusalOf(content);
      expect(refusal).toContain(text);
      expect(refusal).toMatch(/^Cannot load disk\/dump\.rdb.*file was not changed.*move it away/);
    });
  }

  test("but bytes behind a confirmed end are ignored with a warning", async () => {
    const content = Buffer.concat([rdbFile([hello]), Buffer.from("mark")]);
    const { keys, log } = await loadFile(content);
    expect(keys).toBe(1);
    expect(log.lines).toEqual([expect.stringContaining(`"bytes":4`)]);
  });
});

/** A file with a key of every form the recorded payloads have. */
function fileOfAll(hasChecksum: boolean): Buffer {
  const parts = readdirSync(DUMPS).flatMap((file) => {
    const rows = JSON.parse(readFileSync(new URL(file, DUMPS), "utf8")) as DumpRow[];
    return rows
      .filter(({ rdb_type, hex }) => !STREAM_TYPES.includes(rdb_type) && hex.length < 1200)
      .map(({ name, rdb_type, hex }) =>
        keyBytes(`${file} ${name}`, rdb_type, Buffer.from(hex, "hex").subarray(1, -10)),
      );
  });
  return rdbFile(
    [[0xfe, 1], ...parts, expireMs(FAR_MS), keyBytes("end", 0, HELLO)],
    12,
    hasChecksum,
  );
}

test("Every changed byte of a file is detected", async () => {
  const content = rdbFile([
    [0xfe, 1],
    [...expireMs(FAR_MS), ...keyBytes("s", 0, HELLO)],
    keyBytes("n", 0, [0xc1, 0x39, 0x30]),
    keyBytes("l", 1, [2, 1, 0x61, 1, 0x62]),
    keyBytes("z", 3, [2, 1, 0x61, 1, 0x31, 1, 0x62, 254]),
    keyBytes("i", 11, [10, 2, 0, 0, 0, 1, 0, 0, 0, 5, 0]),
    keyBytes("c", 0, [0xc3, 5, 10, 0, 0x61, 0xe0, 0, 0]),
  ]);
  expect((await loadFile(content)).keys).toBe(6);
  for (let i = 0; i < content.length; i++) {
    for (const flip of [1, 2, 4, 8, 16, 32, 64, 128, 255]) {
      content[i]! ^= flip;
      expect(await refusalOf(content)).toStartWith("Cannot load");
      content[i]! ^= flip;
    }
  }
}, 60_000);

test("Changed bytes of a large file are detected; without checksum they never break the server", async () => {
  const prng = createPrng();
  const content = fileOfAll(true);
  const unchecked = fileOfAll(false);
  expect((await loadFile(content)).keys).toBeGreaterThan(100);
  let refused = 0;
  for (let i = 0; i < 400; i++) {
    const at = prng.int(content.length);
    const flip = 1 + prng.int(255);
    content[at]! ^= flip;
    expect(await refusalOf(content), `SEED=${prng.seed}`).toStartWith("Cannot load");
    content[at]! ^= flip;
    unchecked[at]! ^= flip;
    try {
      await loadFile(unchecked);
    } catch (error) {
      expect(String(error), `SEED=${prng.seed}`).toStartWith("CodisError: Cannot load");
      refused++;
    }
    unchecked[at]! ^= flip;
  }
  expect(refused).toBeGreaterThan(30);
}, 60_000);

test("A file cut anywhere is refused, with a checksum or without", async () => {
  const content = fileOfAll(true);
  const old = rdbFile([keyBytes("a", 0, HELLO), keyBytes("l", 1, [2, 1, 0x61, 1, 0x62])], 4);
  for (let cut = 0; cut < content.length; cut += 41) {
    expect(await refusalOf(content.subarray(0, cut))).toStartWith("Cannot load");
  }
  for (let cut = 0; cut < old.length; cut++) {
    expect(await refusalOf(old.subarray(0, cut))).toStartWith("Cannot load");
  }
}, 30_000);

test("Values longer than a window, and fields at its border, are read whole", async () => {
  const prng = createPrng();
  const parts = [keyBytes("long", 0, longString("x".repeat(5_000_001)))];
  const expected: string[] = [];
  for (let i = 0; i < 60; i++) {
    // Pairs around the size of a window, half a window and below.
    const sizes = [1_048_576, 524_288, 524_287, 70_000, 9, 0];
    const field = `${i}:`.padEnd(prng.pick(sizes) + 3 - prng.int(3), "f");
    const value = `${i}:`.padEnd(prng.pick(sizes) + 3 - prng.int(3), "v");
    const pair = Buffer.concat([Buffer.of(1), longString(field), longString(value)]);
    parts.push(keyBytes(`h${i}`, 4, pair));
    expected.push(`${field.length} ${Bun.hash(field)} ${value.length} ${Bun.hash(value)}`);
  }
  const { own } = await loadFile(rdbFile(parts));
  expect(own.show("STRLEN", "long")).toBe(":5000001");
  for (const [i, line] of expected.entries()) {
    const [field, value] = (own.show("HGETALL", `h${i}`) as string[]).map((word) => word.slice(1));
    const seen = `${field!.length} ${Bun.hash(field!)} ${value!.length} ${Bun.hash(value!)}`;
    expect(seen, `SEED=${prng.seed} h${i}`).toBe(line);
  }
}, 30_000);

test("The loop gets its turns while a long value is read", async () => {
  const members = Array.from({ length: 200_000 }, (_, i) => longString(`member ${i}`));
  const head = Buffer.alloc(5, 0x80);
  head.writeUInt32BE(members.length, 1);
  const content = rdbFile([keyBytes("set", 2, Buffer.concat([head, ...members]))]);
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const { own } = await loadFile(content);
  isOver = true;
  expect(own.show("SCARD", "set")).toBe(":200000");
  expect(turns).toBeGreaterThan(3);
  expect(digest(own.state).length).toBeGreaterThan(1000);
}, 30_000);
