/** What the decoder of requests keeps, copies and lets go. */

import { describe, expect, test } from "bun:test";
import {
  REQUEST_ERROR,
  REQUEST_INCOMPLETE,
  REQUEST_READY,
  RequestDecoder,
} from "../../src/resp/decoder.ts";
import { encodeRequest } from "../../src/resp/encoder.ts";
import { argumentsOf } from "../support/decoded-request.ts";
import { createPrng } from "../support/prng.ts";
import { withoutMemory } from "../support/without-memory.ts";

const prng = createPrng();
const SEED = `SEED=${prng.seed}`;

describe("RequestDecoder, buffers", () => {
  test("a chunk is not copied when nothing was left over", () => {
    const decoder = new RequestDecoder("proxy");
    const chunk = encodeRequest(["GET", "key"]);
    decoder.feed(chunk);
    expect(decoder.next()).toBe(REQUEST_READY);
    expect(decoder.buf).toBe(chunk);
    expect(decoder.start).toBe(0);
    expect(decoder.end).toBe(chunk.length);
  });

  test("chunks may be fed while requests wait, and those come first", () => {
    const decoder = new RequestDecoder("proxy");
    const seen: string[] = [];
    for (let i = 0; i < 100; i++) {
      decoder.feed(Buffer.from(`a${i}\r\nb${i}\r\nc${i}\r`));
      decoder.feed(Buffer.from("\n"));
      expect(decoder.next()).toBe(REQUEST_READY);
      seen.push(...argumentsOf(decoder));
    }
    while (decoder.next() === REQUEST_READY) seen.push(...argumentsOf(decoder));
    const all = Array.from({ length: 100 }, (_, i) => [`a${i}`, `b${i}`, `c${i}`]).flat();
    expect(seen).toEqual(all);
  });

  test("a request stays as it is while more is fed, whatever was left over behind it", () => {
    const request = encodeRequest(["SET", "key", "value"]);
    for (let cut = 0; cut <= request.length; cut++) {
      const decoder = new RequestDecoder("server");
      decoder.feed(Buffer.concat([request, request.subarray(0, cut)]));
      expect(decoder.next()).toBe(REQUEST_READY);
      for (const byte of request.subarray(cut)) decoder.feed(Buffer.of(byte));
      expect([cut, argumentsOf(decoder)]).toEqual([cut, ["SET", "key", "value"]]);
    }
  });

  test("bytes seen through buf never change while a reference is kept", () => {
    const decoder = new RequestDecoder("proxy");
    const kept: { buf: Buffer; from: number; to: number; text: string }[] = [];
    const request = (i: number) => encodeRequest(["SET", `key ${i}`, "v".repeat(prng.int(300))]);
    const input = Buffer.concat(Array.from({ length: 500 }, (_, i) => request(i)));
    for (let at = 0; at < input.length; ) {
      const end = at + 1 + prng.int(1000);
      decoder.feed(Buffer.from(input.subarray(at, end)));
      at = end;
      while (decoder.next() === REQUEST_READY) {
        const { buf, start, end: to } = decoder;
        kept.push({ buf, from: start, to, text: buf.latin1Slice(start, to) });
      }
    }
    expect(kept, SEED).toHaveLength(500);
    for (const { buf, from, to, text } of kept) {
      expect(buf.latin1Slice(from, to), SEED).toBe(text);
    }
  });

  test("pendingBytes counts what is not handed out, without the current request", () => {
    const decoder = new RequestDecoder("proxy");
    const request = encodeRequest(["GET", "key"]);
    decoder.feed(Buffer.concat([request, request, Buffer.from("*1\r\n")]));
    expect(decoder.pendingBytes).toBe(2 * request.length + 4);
    decoder.next();
    expect(decoder.pendingBytes).toBe(request.length + 4);
    decoder.next();
    decoder.next();
    expect(decoder.pendingBytes).toBe(4);
  });

  test("a large value in many chunks comes out whole, and its memory is let go", () => {
    const decoder = new RequestDecoder("server");
    const value = prng.bytes(1 << 20);
    const input = Buffer.concat([
      encodeRequest(["SET", "k", value]),
      Buffer.from("*1\r\n$4\r\nPI"),
    ]);
    let chunks = 0;
    for (let at = 0; at < input.length; at += 1000, chunks++) {
      decoder.feed(Buffer.from(input.subarray(at, at + 1000)));
      if (decoder.next() !== REQUEST_READY) continue;
      const from = decoder.args[4]!;
      expect(decoder.buf.subarray(from, decoder.args[5]).equals(value), SEED).toBe(true);
      expect(decoder.buf.length).toBeLessThan(input.length + 2000);
      expect(decoder.next()).toBe(REQUEST_INCOMPLETE);
      expect(decoder.buf.length).toBe(0);
    }
    expect(chunks).toBeGreaterThan(1000);
    decoder.feed(Buffer.from("NG\r\n"));
    expect(decoder.next()).toBe(REQUEST_READY);
    expect(decoder.buf.length).toBeLessThan(100);
  });

  test("the table of arguments is let go after a request with many", () => {
    const decoder = new RequestDecoder("server");
    decoder.feed(encodeRequest(Array.from({ length: 5000 }, () => "a")));
    expect(decoder.next()).toBe(REQUEST_READY);
    expect(decoder.args.length).toBeGreaterThanOrEqual(10_000);
    expect(decoder.next()).toBe(REQUEST_INCOMPLETE);
    expect(decoder.args.length).toBe(16);
  });

  test("a million tiny arguments byte by byte take a time in proportion", () => {
    // Quadratic time would not end within any patience: 7 million feeds of 7 MB.
    const decoder = new RequestDecoder("server");
    const count = 1_000_000;
    decoder.feed(Buffer.from(`*${count}\r\n`));
    const argument = [..."$1\r\na\r\n"].map((char) => Buffer.from(char));
    let status: number = REQUEST_INCOMPLETE;
    for (let i = 0; i < count; i++) {
      for (const byte of argument) {
        decoder.feed(byte);
        status = decoder.next();
      }
    }
    expect(status).toBe(REQUEST_READY);
    expect(decoder.argc).toBe(count);
    const last = decoder.args[2 * count - 2]!;
    expect(decoder.buf.latin1Slice(last, decoder.args[2 * count - 1])).toBe("a");
  });

  for (const dialect of ["proxy", "server"] as const) {
    test(`${dialect} says that there is no memory for a request, and holds nothing of it`, () => {
      const decoder = new RequestDecoder(dialect);
      const request = encodeRequest(["SET", "key", Buffer.alloc(10_000)]);
      decoder.feed(Buffer.from(request.subarray(0, 5000)));
      expect(decoder.next()).toBe(REQUEST_INCOMPLETE);
      withoutMemory(() => decoder.feed(Buffer.from(request.subarray(5000))));
      expect(decoder.heldBytes).toBe(0);
      decoder.feed(encodeRequest(["PING"]));
      expect(decoder.next()).toBe(REQUEST_ERROR);
      expect(decoder.error).toBe("no memory for a request of 5000 bytes so far");
    });

    test(`${dialect} goes on with a request that could not be moved away from those before it`, () => {
      const before = encodeRequest(["SET", "big", Buffer.alloc(70_000, "x")]);
      const request = encodeRequest(["SET", "key", "value"]);
      const decoder = new RequestDecoder(dialect);
      decoder.feed(Buffer.concat([before, request.subarray(0, 20)]));
      expect(decoder.next()).toBe(REQUEST_READY);
      withoutMemory(() => expect(decoder.next()).toBe(REQUEST_INCOMPLETE));
      decoder.feed(Buffer.from(request.subarray(20)));
      expect(decoder.next()).toBe(REQUEST_READY);
      expect(argumentsOf(decoder)).toEqual(["SET", "key", "value"]);
    });

    test(`${dialect} keeps the current request when there is no memory for the one behind it`, () => {
      const decoder = new RequestDecoder(dialect);
      const behind = encodeRequest(["SET", "key", Buffer.alloc(10_000)]);
      decoder.feed(Buffer.concat([encodeRequest(["GET", "a"]), behind.subarray(0, 5000)]));
      expect(decoder.next()).toBe(REQUEST_READY);
      withoutMemory(() => decoder.feed(Buffer.from(behind.subarray(5000))));
      expect(argumentsOf(decoder)).toEqual(["GET", "a"]);
      expect(decoder.next()).toBe(REQUEST_ERROR);
      expect(decoder.buf.length).toBe(0);
    });
  }

  for (const dialect of ["proxy", "server"] as const) {
    test(`${dialect} keeps the first arguments when much was handled before the cut`, () => {
      // Above 64 KiB of handled bytes the rest of a cut request moves to a buffer of its own.
      const before = encodeRequest(["SET", "big", Buffer.alloc(70_000, "x")]);
      const request = encodeRequest(["SET", "key", "value"]);
      for (let cut = 1; cut < request.length; cut++) {
        const decoder = new RequestDecoder(dialect);
        decoder.feed(Buffer.concat([before, request.subarray(0, cut)]));
        expect(decoder.next()).toBe(REQUEST_READY);
        expect(decoder.next()).toBe(REQUEST_INCOMPLETE);
        decoder.feed(Buffer.from(request.subarray(cut)));
        expect(decoder.next()).toBe(REQUEST_READY);
        expect([cut, argumentsOf(decoder)]).toEqual([cut, ["SET", "key", "value"]]);
      }
    });
  }
});
