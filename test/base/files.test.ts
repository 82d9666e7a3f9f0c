import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { makeFolder, readTextFile, writeFileAtomically } from "../../src/base/files.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "codis-files-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("A file is replaced as a whole, with the mode and the draft that are wished", async () => {
  const path = join(folder, "a");
  await writeFileAtomically(path, "one, longer");
  await writeFileAtomically(path, "two");
  expect([readFileSync(path, "utf8"), statSync(path).mode & 0o777]).toEqual(["two", 0o644]);
  mkdirSync(join(folder, "temp"));
  await writeFileAtomically(path, "three", { path: join(folder, "temp/draft"), mode: 0o600 });
  expect([readFileSync(path, "utf8"), statSync(path).mode & 0o777]).toEqual(["three", 0o600]);
  expect(readdirSync(folder, { recursive: true }).sort()).toEqual(["a", "temp"]);
});

test("A file that could not be replaced leaves no draft", async () => {
  const path = join(folder, "taken");
  mkdirSync(path);
  await expect(writeFileAtomically(path, "text")).rejects.toThrow();
  expect(readdirSync(folder)).toEqual(["taken"]);
});

test("A file that somebody named is read up to its limit", () => {
  const path = join(folder, "text");
  writeFileSync(path, "größe");
  expect(readTextFile(path, 7)).toBe("größe");
  const rule = "it has 7 bytes, must not have more than 6";
  expect(() => readTextFile(path, 6)).toThrow(rule);
  expect(() => readTextFile(join(folder, "none"), 6)).toThrow("ENOENT");
});

test("What is no regular file is refused before a byte is read, a pipe without a writer too", () => {
  const pipe = join(folder, "pipe");
  expect(Bun.spawnSync(["mkfifo", pipe]).exitCode).toBe(0);
  for (const path of ["/dev/zero", pipe, folder]) {
    expect(() => readTextFile(path, 1000)).toThrow("it must be a regular file");
  }
});

test("A folder is made with those above it, and one that is there is left alone", () => {
  const path = join(folder, "a/b/c");
  makeFolder(path);
  makeFolder(relative(process.cwd(), path));
  expect(readdirSync(folder, { recursive: true }).sort()).toEqual(["a", "a/b", "a/b/c"]);
});
