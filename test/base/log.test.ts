import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CodisError } from "../../src/base/errors.ts";
import { createLog, type LogOptions, parseLogLevel } from "../../src/base/log.ts";
import { ManualClock } from "../support/manual-clock.ts";

const directory = mkdtempSync(join(tmpdir(), "codis-log-"));
afterAll(() => rmSync(directory, { recursive: true }));

let files = 0;

function setUp(options: Partial<LogOptions> = {}) {
  const file = join(directory, `${++files}.log`);
  const clock = new ManualClock(new Date(2026, 0, 2, 15, 4, 5, 678).getTime());
  const log = createLog({ role: "proxy", level: "INFO", format: "text", file, clock, ...options });
  return { file, clock, log, lines: () => readFileSync(file, "utf8").split("\n").slice(0, -1) };
}

describe("log, text", () => {
  test("a line has local time, role, level, message and fields", () => {
    const { log, clock, lines } = setUp();
    log.warn("slot is locked", { slot: 7, addr: "10.0.0.1:1", ok: true, none: null });
    clock.advance(60_000);
    log.info("plain");
    expect(lines()).toEqual([
      "2026/01/02 15:04:05 proxy: [WARN] slot is locked slot=7 addr=10.0.0.1:1 ok=true none=null",
      "2026/01/02 15:05:05 proxy: [INFO] plain",
    ]);
  });

  test("values that are no plain words are quoted, errors come with their causes", () => {
    const { log, lines } = setUp();
    const error = new CodisError("unavailable", "read x", new Error("no such file"));
    log.error("failed", {
      reason: "two words",
      empty: "",
      error,
      missing: undefined,
      list: [1, 2],
    });
    expect(lines()[0]).toEndWith(
      'failed reason="two words" empty="" error="read x: no such file" list=[1,2]',
    );
  });

  test("an event is one line whatever a peer put into it", () => {
    const { log, lines } = setUp();
    log.info("name is a\r\nb\x00", { key: "c\nd" });
    expect(lines()).toEqual([
      '2026/01/02 15:04:05 proxy: [INFO] name is a\\x0d\\x0ab\\x00 key="c\\nd"',
    ]);
  });

  test("secrets are masked by the name of their field, at any depth", () => {
    const { log, lines } = setUp();
    log.info("x", {
      session_auth: "a",
      Password: "b",
      xauth: 3,
      config: { product_auth: "c", n: 1 },
    });
    log.info("y", { product_auth: "" });
    expect(lines()[0]).toEndWith(
      'session_auth=*** Password=*** xauth=*** config={"product_auth":"***","n":1}',
    );
    expect(lines()[1]).toEndWith('product_auth=""');
  });
});

describe("log, json", () => {
  test("a line is an object with time, level, role, message and the fields", () => {
    const { log, clock, lines } = setUp({ format: "json" });
    log.warn("slot is\nlocked", {
      slot: 7,
      big: 1n,
      auth: "x",
      error: new Error("e"),
      message: "no",
    });
    expect(JSON.parse(lines()[0]!)).toEqual({
      slot: 7,
      big: "1",
      auth: "***",
      error: "e",
      time: new Date(clock.now()).toISOString(),
      level: "WARN",
      role: "proxy",
      message: "slot is\nlocked",
    });
  });
});

describe("log", () => {
  test("prints its level and quieter ones", () => {
    const { log, lines } = setUp({ level: "WARN" });
    const speak = (): void => {
      for (const level of ["error", "warn", "info", "debug"] as const) log[level](level);
    };
    speak();
    expect(lines()).toHaveLength(2);
    log.setLevel("NONE");
    speak();
    expect(lines()).toHaveLength(2);
    log.setLevel("DEBUG");
    speak();
    expect(lines()).toHaveLength(6);
  });

  test("goes on in a new file after a rename and reopen", () => {
    const { log, file, lines } = setUp();
    log.info("one");
    renameSync(file, `${file}.1`);
    log.info("two");
    log.reopen();
    log.info("three");
    expect(readFileSync(`${file}.1`, "utf8")).toMatch(/one\n.*two\n$/);
    expect(lines()).toHaveLength(1);
  });

  test("a file that cannot be opened is an error that names it", () => {
    const file = join(directory, "no", "such", "directory.log");
    expect(() => setUp({ file })).toThrow(`Cannot open the log file ${file}`);
  });

  test("lines that cannot be written are counted, and the count is logged when they can", () => {
    const file = join(directory, "link.log");
    symlinkSync("/dev/full", file);
    const { log } = setUp({ file });
    log.info("lost");
    log.info("lost too");
    rmSync(file);
    log.reopen();
    log.info("back");
    expect(readFileSync(file, "utf8").split("\n")).toEqual([
      "2026/01/02 15:04:05 proxy: [ERROR] log lines were lost lines=2",
      "2026/01/02 15:04:05 proxy: [INFO] back",
      "",
    ]);
  });

  test("names of levels are read in any case", () => {
    expect(parseLogLevel("warning")).toBe("WARN");
    expect(parseLogLevel("Debug")).toBe("DEBUG");
    expect(parseLogLevel("NONE")).toBe("NONE");
    expect(parseLogLevel("loud")).toBeUndefined();
  });
});
