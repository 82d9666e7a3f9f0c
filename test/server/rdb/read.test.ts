import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { readPayload } from "../../../src/server/rdb/read.ts";
import { CollectingSink, sealed } from "./collect.ts";

interface DumpRow {
  name: string;
  rdb_type: number;
  logical: { type: string; value: string | string[] | [string, string][] };
  hex: string;
}

const DUMPS = new URL("../../golden/server/dumps/", import.meta.url);
/** Streams come with a later issue. */
const STREAM_TYPES = [15, 19, 21];

/** The golden files escape what is not printable ASCII. */
function unescapeText(text: string): string {
  return text.replace(/\\(?:x([\da-f]{2})|(.))/g, (_, hex: string | undefined, char: string) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    return char === "r" ? "\r" : char === "n" ? "\n" : char === "t" ? "\t" : char;
  });
}

function read(payload: Buffer): { outcome: string; sink: CollectingSink } {
  const sink = new CollectingSink();
  return { outcome: readPayload(payload, 0, payload.length, sink), sink };
}

function scoreNumber(text: string): number {
  return Number(text.replace("inf", "Infinity"));
}

function lines(values: Iterable<unknown>): string[] {
  return Array.from(values, (value) => JSON.stringify(value)).sort((a, b) => (a < b ? -1 : 1));
}

/** What the sink holds, in the shape of the golden `logical` value. */
function expectValue(sink: CollectingSink, logical: DumpRow["logical"]): void {
  expect(sink.kind).toBe(logical.type as "string");
  const { value } = logical;
  if (typeof value === "string") {
    expect(sink.text).toBe(unescapeText(value));
  } else if (logical.type === "list") {
    expect(sink.items).toEqual((value as string[]).map(unescapeText));
  } else if (logical.type === "set") {
    expect(lines(sink.entries.keys())).toEqual(lines((value as string[]).map(unescapeText)));
  } else {
    const pairs = (value as [string, string][]).map(([key, item]): [string, string | number] => [
      unescapeText(key),
      logical.type === "zset" ? scoreNumber(item) : unescapeText(item),
    ]);
    expect(lines(sink.entries)).toEqual(lines(pairs));
  }
}

for (const file of readdirSync(DUMPS)) {
  describe(`Recorded payloads of ${file}`, () => {
    const rows = JSON.parse(readFileSync(new URL(file, DUMPS), "utf8")) as DumpRow[];
    for (const row of rows) {
      const payload = Buffer.from(row.hex, "hex");
      if (STREAM_TYPES.includes(row.rdb_type)) {
        test(`${row.name} is refused as a body`, () => {
          expect(read(payload).outcome).toBe("body");
        });
        continue;
      }
      test(`${row.name} is read as its value`, () => {
        const { outcome, sink } = read(payload);
        expect(outcome).toBe("ok");
        expectValue(sink, row.logical);
      });
      test(`${row.name} is refused when cut anywhere, with a good checksum or without`, () => {
        const body = payload.subarray(0, -10);
        const step = Math.max(1, Math.floor(body.length / 500));
        for (let cut = 0; cut < body.length; cut += step) {
          expect(read(payload.subarray(0, cut)).outcome).toBe("footer");
          expect(read(sealed(body.subarray(0, cut))).outcome).toBe("body");
        }
        expect(read(sealed(Buffer.concat([body, Buffer.of(0)]))).outcome).toBe("body");
      });
      test(`${row.name} with any byte changed is refused by its checksum`, () => {
        const step = Math.max(1, Math.floor(payload.length / 500));
        for (let i = 0; i < payload.length; i += step) {
          for (const flip of [1, 2, 4, 8, 16, 32, 64, 128, 255]) {
            payload[i]! ^= flip;
            expect(read(payload).outcome).toBe("footer");
            payload[i]! ^= flip;
          }
        }
      });
      test(`${row.name} with any byte changed is read or refused, never more`, () => {
        const body = Buffer.from(payload.subarray(0, -10));
        const step = Math.max(1, Math.floor(body.length / 300));
        for (let i = 0; i < body.length; i += step) {
          for (const flip of [1, 0x80, 0xff]) {
            body[i]! ^= flip;
            expect(["ok", "body"]).toContain(read(sealed(body)).outcome);
            body[i]! ^= flip;
          }
        }
      });
    }
  });
}

function packed(...entries: number[][]): number[] {
  return entries.flat();
}

describe("Malformed bodies", () => {
  const cases: Record<string, number[]> = {
    "empty list": [1, 0],
    "empty set": [2, 0],
    "empty zset": [3, 0],
    "empty hash": [4, 0],
    "empty quicklist": [14, 0],
    "quicklist of empty nodes": packed([18, 1, 2, 7], [7, 0, 0, 0, 0, 0, 0xff]),
    "repeated set member": [2, 2, 1, 0x61, 1, 0x61],
    "repeated zset member": [3, 2, 1, 0x61, 1, 0x31, 1, 0x61, 1, 0x32],
    "repeated hash field": [4, 2, 1, 0x61, 1, 0x31, 1, 0x61, 1, 0x32],
    "NaN as the byte 253": [3, 1, 1, 0x61, 253],
    "NaN as text": [3, 1, 1, 0x61, 3, 0x6e, 0x61, 0x6e],
    "NaN as a double": [5, 1, 1, 0x61, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f],
    "score that is no number": [3, 1, 1, 0x61, 1, 0x78],
    "empty score": [3, 1, 1, 0x61, 0],
    "list that claims 2^32 items": [1, 0x80, 0xff, 0xff, 0xff, 0xff, 1, 0x61],
    "list that claims 2^63 items": [1, 0x81, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    "string that claims 4 GiB": [0, 0x80, 0xff, 0xff, 0xff, 0xff, 0x61],
    "special length of a list": [1, 0xc0, 1, 1, 0x61],
    "unknown special string": [0, 0xc4, 1],
    "compressed string that claims 4 GiB": [0, 0xc3, 3, 0x80, 0xff, 0xff, 0xff, 0xff, 0, 0x61, 0],
    "compressed string that refers before its start": [0, 0xc3, 2, 3, 0x20, 0x05],
    "unknown type": [42, 1, 0x61],
    module: [7, 1, 0x61],
    "intset of descending integers": [11, 12, 2, 0, 0, 0, 2, 0, 0, 0, 5, 0, 4, 0],
    "intset of width 3": [11, 11, 3, 0, 0, 0, 1, 0, 0, 0, 5, 0, 4],
    "intset with a wrong count": [11, 10, 2, 0, 0, 0, 2, 0, 0, 0, 5, 0],
    "hash listpack with an odd number of entries": [16, 9, 9, 0, 0, 0, 1, 0, 1, 1, 0xff],
    "listpack with a wrong count": [20, 9, 9, 0, 0, 0, 2, 0, 1, 1, 0xff],
    "listpack with a wrong back length": [20, 9, 9, 0, 0, 0, 1, 0, 1, 2, 0xff],
    "listpack shorter than it says": [20, 9, 10, 0, 0, 0, 1, 0, 1, 1, 0xff],
    "ziplist with a wrong tail": [10, 13, 13, 0, 0, 0, 11, 0, 0, 0, 1, 0, 0, 0xf2, 0xff],
    "ziplist with a wrong previous length": [10, 13, 13, 0, 0, 0, 10, 0, 0, 0, 1, 0, 1, 0xf2, 0xff],
    "zipmap with a key alone": [9, 4, 1, 1, 0x61, 0xff],
  };
  for (const [name, body] of Object.entries(cases)) {
    test(`${name}: refused as a body`, () => {
      expect(read(sealed(body)).outcome).toBe("body");
    });
  }
});

test("A compressed string that claims 4.4 GB, of a stream long enough, is refused", () => {
  const stream = Buffer.alloc(17 * 1024 * 1024, 0xff);
  const head = [0, 0xc3, 0x80, 0, 0, 0, 0, 0x81, 0, 0, 0, 1, 6, 0, 0, 0];
  const lengths = Buffer.from(head);
  lengths.writeUInt32BE(stream.length, 3);
  expect(read(sealed(Buffer.concat([lengths, stream]))).outcome).toBe("body");
});

describe("Forms only old servers write", () => {
  test("A zipmap is read as a hash, unused bytes skipped", () => {
    const map = [1, 1, 0x66, 2, 1, 0x76, 0x77, 0, 0xff];
    const { outcome, sink } = read(sealed([9, map.length, ...map]));
    expect(outcome).toBe("ok");
    expect([...sink.entries]).toEqual([["f", "vw"]]);
  });
  test("A list in one ziplist is read, immediate and 8-bit integers included", () => {
    const list = [16, 0, 0, 0, 12, 0, 0, 0, 2, 0, 0, 0xf2, 2, 0xfe, 0x80, 0xff];
    const { outcome, sink } = read(sealed([10, list.length, ...list]));
    expect(outcome).toBe("ok");
    expect(sink.items).toEqual(["1", "-128"]);
  });
  test("A set in a listpack is read", () => {
    const { outcome, sink } = read(sealed([20, 9, 9, 0, 0, 0, 1, 0, 1, 1, 0xff], 12));
    expect(outcome).toBe("ok");
    expect([...sink.entries.keys()]).toEqual(["1"]);
  });
});

test("Versions up to 12 are read, later ones are refused by the footer", () => {
  expect(read(sealed([0, 1, 0x61], 0)).outcome).toBe("ok");
  expect(read(sealed([0, 1, 0x61], 12)).outcome).toBe("ok");
  expect(read(sealed([0, 1, 0x61], 13)).outcome).toBe("footer");
});
