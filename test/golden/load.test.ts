/** The harness itself: recorded files can be read, have a runner or wait, and rows are judged. */

import { expect, test } from "bun:test";
import { Glob } from "bun";
import { DIFFERENCES } from "./differences.ts";
import { LATER, LATER_ROWS } from "./later.ts";
import {
  assertRow,
  escapeBytes,
  expandIds,
  type GoldenRow,
  matchesAnswer,
  proxyTranscript,
  readGolden,
  rowsOf,
  serverTranscripts,
  unescapeBytes,
} from "./load.ts";

const TEST_ROOT = `${import.meta.dir}/..`;
const PLACEHOLDERS = { TARGET_HOST: "127.0.0.1", TARGET_PORT: "7001" };

/** Ids of a file's rows; a file that is one object is one row. */
function idsOf(file: string): string[] {
  const rows = file.endsWith(".json") ? rowsOf(file) : [];
  return rows.length === 0 ? ["all"] : rows.map((row) => row.id);
}

test("Escaped bytes survive both ways", () => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  expect(unescapeBytes(escapeBytes(all))).toEqual(all);
  expect(escapeBytes(Buffer.from("a\r\n\t\\\x00\xffz", "latin1"))).toBe(
    "a\\r\\n\\t\\\\\\x00\\xffz",
  );
  expect(unescapeBytes("\\\\x41\\x41")).toEqual(Buffer.from("\\x41A"));
});

test("Transcripts of the proxy have an exchange for every record", () => {
  for (const file of ["proxy/transcript.json", "proxy/transcript-redis7.json"]) {
    const rows = proxyTranscript(file);
    expect(new Set(rows.map((row) => row.id)).size).toBe(rows.length);
    expect(rows.every((row) => (row.args === undefined) !== (row.raw === undefined))).toBe(true);
  }
  expect(proxyTranscript("proxy/transcript.json").length).toBe(224);
});

test("Transcripts of the server are read whole, with placeholders filled", () => {
  const exchanges = serverTranscripts().flatMap((t) => t.exchanges(PLACEHOLDERS));
  expect(exchanges.length).toBe(675);
  const sent = exchanges.flatMap((e) => e.args ?? []).map((arg) => arg.toString("latin1"));
  expect(sent).toContain("7001");
  expect(sent).not.toContain("{{TARGET_PORT}}");
  for (const { recorded, file, id } of exchanges) {
    if (recorded.escapedPattern === undefined) continue;
    const sample = { reply: Buffer.from(recorded.reply, "latin1") };
    expect([file, id, matchesAnswer(recorded, sample)]).toEqual([file, id, true]);
  }
});

test("Unordered arrays match in any order, and only with the same members", () => {
  const expected = { reply: "*2\r\n$1\r\n0\r\n*2\r\n$1\r\nb\r\n$1\r\na\r\n", unordered: true };
  const swapped = Buffer.from("*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
  const other = Buffer.from("*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$1\r\na\r\n");
  expect(matchesAnswer(expected, { reply: swapped })).toBe(true);
  expect(matchesAnswer({ ...expected, unordered: false }, { reply: swapped })).toBe(false);
  expect(matchesAnswer(expected, { reply: other })).toBe(false);
});

test("Ids and ranges of ids expand", () => {
  expect(expandIds(["1", "3-5", "cases/2"])).toEqual(["1", "3", "4", "5", "cases/2"]);
});

test("A row must match its record, unless it waits or differs on purpose", () => {
  const answer = (text: string) => ({ reply: Buffer.from(text, "latin1") });
  const row = (id: string): GoldenRow =>
    proxyTranscript("proxy/transcript.json").find((candidate) => candidate.id === id)!;
  assertRow(row("1"), answer("+PONG\r\n"));
  expect(() => assertRow(row("1"), answer("+PANG\r\n"))).toThrow("recorded:");
  // Differs on purpose.
  assertRow(row("3"), answer("$5\r\nhello\r\n"));
  expect(() => assertRow(row("3"), answer("$2\r\nhi\r\n"))).toThrow("differs on purpose");
  const recorded = answer("-ERR backend server 'hello' not found\r\n");
  expect(() => assertRow(row("3"), recorded)).toThrow("strike it from differences.ts");
  assertRow(row("3"), recorded, "codis");
  // Waits.
  assertRow(row("95"), answer("-ERR whatever\r\n"));
  expect(() => assertRow(row("95"), answer(":1\r\n"))).toThrow("strike it from later.ts");
});

test("Every difference and every later row names a recorded row, once", () => {
  const seen = new Set<string>();
  const claim = (file: string, id: string, list: string) => {
    const key = `${file} ${id} ${list}`;
    expect([key, seen.has(key)]).toEqual([key, false]);
    seen.add(key);
  };
  for (const { file, id, mode } of DIFFERENCES) {
    expect([file, idsOf(file)]).toEqual([file, expect.arrayContaining([id])]);
    claim(file, id, mode ?? "default");
  }
  for (const { file, ids } of LATER) {
    if (ids === "all") continue;
    expect([file, idsOf(file)]).toEqual([file, expect.arrayContaining(expandIds(ids))]);
    for (const id of expandIds(ids)) claim(file, id, "later");
  }
});

test("The list of rows left for later only shrinks", () => {
  const count = LATER.map(({ file, ids }) => (ids === "all" ? idsOf(file) : expandIds(ids)).length);
  // Fewer than stated: lower LATER_ROWS in later.ts. More: a row was given up, which needs a
  // reason.
  expect(count.reduce((sum, n) => sum + n, 0)).toBe(LATER_ROWS);
});

/** Files that are not run by themselves: what says how to run others, and bodies others name. */
const SUPPORTING = ["proxy/scenarios.json", "server/transcripts/index.json", "server/README.md"];

test("Every recorded file has a test that names it, or waits as a whole", async () => {
  const bodies = readGolden<{ exchanges: { body_file?: string }[] }>("proxy/http.json");
  const excused = new Set([
    ...SUPPORTING,
    ...bodies.exchanges.map((exchange) => `proxy/${exchange.body_file}`),
    ...LATER.filter(({ ids }) => ids === "all").map(({ file }) => file),
  ]);
  let tests = "";
  for await (const path of new Glob("**/*.test.ts").scan({ cwd: TEST_ROOT })) {
    if (path !== "golden/load.test.ts") tests += await Bun.file(`${TEST_ROOT}/${path}`).text();
  }
  const isNamed = (file: string): boolean => {
    if (file.startsWith("server/transcripts/")) return tests.includes("serverTranscripts(");
    // A folder that is used as a whole is named as a folder.
    const ancestors = file.split("/").map((_, i, parts) => parts.slice(0, i + 1).join("/"));
    return ancestors.slice(1).some((path) => tests.includes(path));
  };
  const files = await Array.fromAsync(new Glob("*/**/*").scan({ cwd: import.meta.dir }));
  expect(files.filter((file) => !excused.has(file) && !isNamed(file)).sort()).toEqual([]);
});
