import { describe, expect, test } from "bun:test";
import { REQUEST_READY, RequestDecoder } from "../../src/resp/decoder.ts";
import { encodeRequest } from "../../src/resp/encoder.ts";
import { Databases } from "../../src/server/databases.ts";
import { createWarmKeys, findKeysAhead, WARM_WINDOW } from "../../src/server/warm.ts";
import { createPrng } from "../support/prng.ts";

function keysOf(buf: Buffer, at = 0, limit = buf.length): string[] {
  const keys = createWarmKeys();
  findKeysAhead(keys, buf, at, limit);
  return Array.from({ length: keys.count }, (_, i) =>
    buf.toString("latin1", keys.from[i], keys.to[i]),
  );
}

/** Argument 1 of every request that the decoder finds whole. */
function decodedKeys(buf: Buffer): string[] {
  const decoder = new RequestDecoder("server");
  decoder.feed(buf);
  const keys: string[] = [];
  while (decoder.next() === REQUEST_READY) {
    const { args, argc, buf: bytes } = decoder;
    if (argc > 1) keys.push(bytes.latin1Slice(args[2], args[3]));
  }
  return keys;
}

describe("findKeysAhead", () => {
  test("finds argument 1 of every request", () => {
    const requests = [
      ["GET", "a"],
      ["PING"],
      ["SET", "bb", "x".repeat(300)],
      ["MSET", "c", "1", "d"],
    ];
    const buf = Buffer.concat(requests.map((words) => encodeRequest(words)));
    expect(keysOf(buf)).toEqual(["a", "bb", "c"]);
  });

  test("finds the key of what a migration link sends", () => {
    const requests = [
      ["SLOTSRESTORE-ASYNC", "delete", "a"],
      ["SLOTSRESTORE-ASYNC", "string", "a", "0", "value"],
      ["GET", "b"],
    ];
    const buf = Buffer.concat(requests.map((words) => encodeRequest(words)));
    expect(keysOf(buf)).toEqual(["a", "a", "b"]);
  });

  test("stops at what is not whole or not an array, and at a full window", () => {
    const get = encodeRequest(["GET", "key"]);
    expect(keysOf(Buffer.concat([get, Buffer.from("GET inline\r\n"), get]))).toEqual(["key"]);
    for (let limit = 0; limit < get.length * 2; limit++) {
      const found = keysOf(Buffer.concat([get, get]), 0, limit);
      expect(found).toEqual(limit < get.length ? [] : ["key"]);
    }
    const many = Buffer.concat(Array.from({ length: WARM_WINDOW + 5 }, () => get));
    expect(keysOf(many)).toHaveLength(WARM_WINDOW);
  });

  test("survives any bytes", () => {
    const prng = createPrng();
    const pieces = ["*", "$", "1", "9", "3", "\r\n", "\n", "GET", "-", "99999999999", "\0"];
    const get = ["*2\r\n$3\r\nGET\r\n$2\r\nk1\r\n", "*1\r\n$4\r\nPING\r\n"];
    for (let round = 0; round < 20_000; round++) {
      const some = prng.oneIn(2) ? pieces : [...get, ...pieces];
      const text = Array.from({ length: prng.int(30) }, () => prng.pick(some)).join("");
      const buf = Buffer.from(text, "latin1");
      const found = keysOf(buf);
      // It may stop early, never go where the decoder does not.
      const where = `SEED=${prng.seed}, round ${round}, ${JSON.stringify(text)}`;
      expect(decodedKeys(buf).slice(0, found.length), where).toEqual(found);
    }
  });
});

test("Lookups find the same whether their keys were looked at before or not", () => {
  const prng = createPrng();
  const databases = new Databases(2, 1000);
  const warm = createWarmKeys();
  for (let round = 0; round < 300; round++) {
    const names = Array.from({ length: 1 + prng.int(40) }, () =>
      prng.oneIn(3) ? `{t${prng.int(5)}}${prng.int(300)}` : `k${prng.int(300)}`,
    );
    const buf = Buffer.concat(names.map((name) => encodeRequest(["GET", name])));
    findKeysAhead(warm, buf, 0, buf.length);
    databases.all[0]!.warm(warm);
    let from = 0;
    for (const name of names) {
      from = buf.indexOf(`\r\n${name}\r\n`, from, "latin1") + 2;
      const to = from + name.length;
      for (const db of databases.all) {
        // A copy of the key is looked up the plain way.
        const plain = Buffer.from(name);
        const entry = db.lookupRead(buf, from, to);
        const where = `SEED=${prng.seed}, round ${round}, ${name}`;
        expect(entry, where).toBe(db.lookupRead(plain, 0, plain.length));
        if (entry === 0 && prng.oneIn(2)) db.setString(buf, from, to, buf, from, to, Number.NaN);
        else if (entry !== 0 && prng.oneIn(4)) db.remove(db.lookupWrite(buf, from, to));
      }
    }
  }
});
