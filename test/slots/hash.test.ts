/** The slot of recorded keys, and the CRC against zlib's. */

import { expect, test } from "bun:test";
import { crc32 as zlibCrc32 } from "node:zlib";
import {
  crc32,
  hashTag,
  SLOT_COUNT,
  slotOf,
  slotOfCrc,
  slotOfRange,
  tagEnd,
  tagStart,
} from "../../src/slots/hash.ts";
import vectors from "../golden/proxy/hash-vectors.json" with { type: "json" };

interface HashVector {
  key?: string;
  key_base64?: string;
  slot: number;
}

function tagOf(text: string): string | undefined {
  // Offset by one, with braces outside of the range that must not be seen.
  const buf = Buffer.from(`{${text}}`, "latin1");
  return hashTag(buf, 1, buf.length - 1) ? buf.toString("latin1", tagStart, tagEnd) : undefined;
}

test("Recorded keys are in the slots the original put them", () => {
  expect(vectors.modulus).toBe(SLOT_COUNT);
  const rows = vectors.vectors as readonly HashVector[];
  expect(rows.length).toBeGreaterThanOrEqual(62);
  for (const row of rows) {
    const key =
      row.key_base64 === undefined
        ? Buffer.from(row.key!, "utf8")
        : Buffer.from(row.key_base64, "base64");
    expect([row.key ?? row.key_base64, slotOf(key)]).toEqual([row.key ?? row.key_base64, row.slot]);
    const framed = Buffer.concat([Buffer.from("}{"), key, Buffer.from("}")]);
    expect(slotOfRange(framed, 2, 2 + key.length)).toBe(row.slot);
  }
});

test("The tag is what lies between the first { and the next } behind it", () => {
  expect(tagOf("x{a}y{b}")).toBe("a");
  expect(tagOf("{}{a}")).toBe("");
  expect(tagOf("{{a}}")).toBe("{a");
  expect(tagOf("}{a}")).toBe("a");
  for (const text of ["", "a", "{", "}", "{a", "a}", "}a{"]) expect(tagOf(text)).toBeUndefined();
  expect([tagStart, tagEnd]).toEqual([1, 4]);
});

test("CRC32 agrees with zlib at every length around the switch to the native one", () => {
  const bytes = Buffer.alloc(300);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 167 + 13) & 0xff;
  for (let length = 0; length < 80; length++) {
    for (const from of [0, 1, 7, 220]) {
      const expected = zlibCrc32(bytes.subarray(from, from + length));
      expect(crc32(bytes, from, from + length)).toBe(expected);
      expect(slotOfCrc(expected)).toBe(expected % SLOT_COUNT);
    }
  }
  expect(crc32(Buffer.from("123456789"), 0, 9)).toBe(0xcbf43926);
  expect(crc32(bytes, 5, 5)).toBe(0);
});
