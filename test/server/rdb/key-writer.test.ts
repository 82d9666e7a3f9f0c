import { expect, test } from "bun:test";
import { ReplyWriter } from "../../../src/resp/encoder.ts";
import { type KeyOutput, KeyWriter } from "../../../src/server/rdb/key-writer.ts";
import { OwnServer } from "../../support/compare.ts";

const PIECE_BYTES_SEEN_MAX = 100 * 1024;

/** Writes the key in pieces; bytes of the longest one, and how many there were. */
function pieces(own: OwnServer, key: string): { longest: number; count: number } {
  const out = new ReplyWriter();
  let longest = 0;
  let count = 0;
  const output: KeyOutput = {
    out,
    dbIndex: -1,
    pieceDone: () => {
      longest = Math.max(longest, out.pendingBytes);
      count++;
      out.clear();
    },
  };
  const writer = new KeyWriter(output);
  const db = own.state.databases.all[0]!;
  writer.begin(db, db.peek(Buffer.from(key), 0, key.length));
  expect(writer.isInside).toBe(true);
  while (!writer.more()) expect(writer.isInside).toBe(true);
  expect(writer.isInside).toBe(false);
  return { longest, count };
}

test("A key of any size and shape is written in pieces of a bounded size", () => {
  const own = new OwnServer();
  const large = Buffer.alloc(8 * 1024 * 1024, "x");
  const items = Array.from({ length: 20_000 }, (_, i) => `element ${i}`);
  own.ask(["SET", "string", large]);
  own.ask(["RPUSH", "list", ...items, large, "small", large]);
  own.ask(["HSET", "hash", ...items.flatMap((item) => [item, item]), "large", large]);
  own.ask(["SADD", "set", ...items, large.subarray(0, 5_000_000)]);
  own.ask(["ZADD", "zset", ...items.flatMap((item, i) => [i, item]), 1, large.subarray(0, 70_000)]);
  for (const key of ["string", "list", "hash", "set", "zset"]) {
    const { longest, count } = pieces(own, key);
    expect([key, longest <= PIECE_BYTES_SEEN_MAX]).toEqual([key, true]);
    expect([key, count > 100]).toEqual([key, true]);
  }
});
