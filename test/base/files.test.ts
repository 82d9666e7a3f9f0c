import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeFileAtomically } from "../../src/base/files.ts";

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
