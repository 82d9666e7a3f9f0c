import { expect, test } from "bun:test";
import {
  EMPTY_MANIFEST,
  formatManifest,
  type Manifest,
  parseManifest,
  withNextBase,
  withNextIncrement,
} from "../../../src/server/aof/manifest.ts";

const REDIS_TEXT =
  "file appendonly.aof.2.base.aof seq 2 type b\n" +
  "file appendonly.aof.1.base.rdb seq 1 type h\n" +
  "file appendonly.aof.1.incr.aof seq 1 type h\n" +
  "file appendonly.aof.2.incr.aof seq 2 type i\n" +
  "file appendonly.aof.3.incr.aof seq 3 type i\n";

test("A manifest of Redis 7 is read and written back as it was", () => {
  const manifest = parseManifest(REDIS_TEXT);
  expect(manifest.base?.name).toBe("appendonly.aof.2.base.aof");
  expect(manifest.history.length).toBe(2);
  expect(manifest.increments.map((part) => part.seq)).toEqual([2, 3]);
  expect(linesOf(manifest)).toBe(REDIS_TEXT);
});

/** What is written, without its last line. */
function linesOf(manifest: Manifest): string {
  const text = formatManifest(manifest);
  expect(text).toMatch(/\n# crc32 [\da-f]{8}\n$/);
  return text.slice(0, text.lastIndexOf("#"));
}

test("Every byte of a manifest that is another one is found, in the checksum's line too", () => {
  const sound = Buffer.from(formatManifest(parseManifest(REDIS_TEXT)), "latin1");
  for (let i = 0; i < sound.length * 255; i++) {
    const changed = Buffer.from(sound);
    changed[Math.floor(i / 255)]! ^= 1 + (i % 255);
    expect(() => parseManifest(changed.toString("latin1"))).toThrow("Invalid AOF manifest, line ");
  }
});

test("Comments, pairs of later versions and quoted names are understood", () => {
  const text = '# made by hand\nfile "my log\\x20\\"1\\".aof" seq 1 type i startoffset 5\n';
  const manifest = parseManifest(text);
  expect(manifest.increments).toEqual([{ name: 'my log "1".aof', seq: 1, type: "i" }]);
  expect(parseManifest(formatManifest(manifest))).toEqual(manifest);
});

test("Whatever is wrong with a manifest is named with its line", () => {
  const cases: [string, string][] = [
    ["", "line 1: it is empty"],
    ["file a seq 1 type i", "the last line does not end"],
    ["file a seq 1\n", "line 1: not of the form"],
    ["file a seq 1 type x\n", "unknown type 'x'"],
    ["file a seq 0 type i\n", "seq must be"],
    ["file a seq one type i\n", "seq must be"],
    ["file ../a seq 1 type i\n", "without directory"],
    ["file a seq 2 type i\nfile b seq 2 type i\n", "line 2: seq does not ascend"],
    ["file a seq 1 type b\nfile b seq 2 type b\n", "line 2: a second base file"],
    ['file "a seq 1 type i\n', "line 1: not of the form"],
    ["file a seq 1 type i\n# crc32 00000000\n", "line 2: it is not the checksum of"],
    ["file a seq 1 type i\n# crc32 0\nfile b seq 2 type i\n", "line 2: lines behind the checksum"],
    ["file a seq 1 type i\n# crc32 0\n", "line 2: a comment at the end must be the checksum"],
    ["file a seq 1 type i\n# crc32 00000000\n", "remove this line"],
    [`file ${"a".repeat(1100)} seq 1 type i\n`, "longer than 1024 bytes"],
  ];
  for (const [text, message] of cases) expect(() => parseManifest(text)).toThrow(message);
});

test("A rewrite makes a new base of what came before the increment it began with", () => {
  let manifest = withNextIncrement(EMPTY_MANIFEST, "a.aof");
  manifest = withNextIncrement(manifest, "a.aof");
  manifest = withNextBase(manifest, "a.aof", 2);
  expect(linesOf(manifest)).toBe(
    "file a.aof.1.base.aof seq 1 type b\n" +
      "file a.aof.1.incr.aof seq 1 type h\n" +
      "file a.aof.2.incr.aof seq 2 type i\n",
  );
  manifest = withNextBase(withNextIncrement(manifest, "a.aof"), "a.aof", 3);
  expect(manifest.base).toEqual({ name: "a.aof.2.base.aof", seq: 2, type: "b" });
  expect(manifest.history.map((part) => part.name)).toEqual([
    "a.aof.1.incr.aof",
    "a.aof.1.base.aof",
    "a.aof.2.incr.aof",
  ]);
});
