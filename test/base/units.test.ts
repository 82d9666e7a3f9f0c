import { describe, expect, test } from "bun:test";
import { formatDuration, parseDuration } from "../../src/base/duration.ts";
import { CodisError, errorText } from "../../src/base/errors.ts";
import { formatSize, parseSize } from "../../src/base/size.ts";
import recorded from "../golden/proxy/config-units.json";

/** The config refuses what parses but is negative or too large, with the key's own text. */
function outcomeOf(parse: () => number, format: (n: number) => string): string {
  try {
    const value = parse();
    return value < 0 || value > Number.MAX_SAFE_INTEGER ? "refused by the key" : format(value);
  } catch (error) {
    expect(error).toBeInstanceOf(CodisError);
    return errorText(error);
  }
}

interface Recorded {
  input: string;
  ok: boolean;
  shown_as?: string;
  error?: string;
}

function expected(row: Recorded): string {
  if (row.ok) return row.shown_as!;
  return row.error!.startsWith("invalid backend_") ? "refused by the key" : row.error!;
}

describe("sizes", () => {
  for (const row of recorded.bytesize as Recorded[]) {
    test(`${JSON.stringify(row.input)} is read and shown as the original does`, () => {
      expect(outcomeOf(() => parseSize(row.input), formatSize)).toBe(expected(row));
    });
  }

  test("a bare number is bytes", () => {
    expect(parseSize(1024)).toBe(1024);
  });

  test("what is shown reads back as the same", () => {
    for (const bytes of [0, 1, 1023, 1024, 1536, 2 ** 20, 3 * 2 ** 30, 2 ** 50, 2 ** 53 - 1]) {
      expect(parseSize(formatSize(bytes))).toBe(bytes);
    }
  });
});

describe("durations", () => {
  for (const row of recorded.timesize as Recorded[]) {
    test(`${JSON.stringify(row.input)} is read and shown as the original does`, () => {
      expect(outcomeOf(() => parseDuration(row.input), formatDuration)).toBe(expected(row));
    });
  }

  test("a bare number is seconds, the value milliseconds", () => {
    expect(parseDuration(30)).toBe(30_000);
    expect(parseDuration("1.5")).toBe(1500);
    expect(parseDuration("100ns")).toBe(0.0001);
    expect(parseDuration("4.35s")).toBe(4350);
  });

  test("both spellings of micro are read", () => {
    expect(parseDuration("2\u00b5s")).toBe(0.002);
    expect(parseDuration("2\u03bcs")).toBe(0.002);
  });

  test("finer than a microsecond is shown as Go does", () => {
    const shown: [number, string][] = [
      [0.000001, "1ns"],
      [1.000001, "1.000001ms"],
      [1000.000001, "1.000000001s"],
      [60_000.000001, "1m0.000000001s"],
      [3_600_000.0015, "1h0m0.0000015s"],
    ];
    for (const [ms, text] of shown) expect(formatDuration(ms)).toBe(text);
  });
});
