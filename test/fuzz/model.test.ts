import { expect, test } from "bun:test";
import { REQUEST_ERROR, REQUEST_READY, RequestDecoder } from "../../src/resp/decoder.ts";
import { REPLY_ERROR, REPLY_INCOMPLETE, ReplyScanner } from "../../src/resp/reply-scanner.ts";
import { cutsOf } from "../support/cuts.ts";
import { createPrng } from "../support/prng.ts";
import { drawReplyInput, drawRequestInput, REPLY_KINDS, REQUEST_KINDS } from "./inputs.ts";
import { type DialectName, readReplies, readRequests } from "./model.ts";
import { laneKeys } from "./streams.ts";

const INPUTS = 4000;

/** The same shape as the model's, as our decoder sees it. */
function decodeRequests(chunks: readonly Buffer[], dialect: DialectName): object {
  const decoder = new RequestDecoder(dialect);
  const items: string[][] = [];
  for (const chunk of chunks) {
    decoder.feed(Buffer.from(chunk));
    while (decoder.next() === REQUEST_READY) {
      const { buf, args, argc } = decoder;
      const word = (_: unknown, i: number) => buf.latin1Slice(args[2 * i]!, args[2 * i + 1]!);
      items.push(Array.from({ length: argc }, word));
    }
    if (decoder.next() === REQUEST_ERROR) return { items, end: "error", error: decoder.error };
  }
  return { items, end: decoder.pendingBytes > 0 ? "incomplete" : "clean", error: "" };
}

function scanReplies(chunks: readonly Buffer[]): object {
  const scanner = new ReplyScanner();
  const items: string[] = [];
  let item = "";
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      const next = scanner.scan(chunk, at, chunk.length);
      if (next === REPLY_ERROR) return { items, end: "error" };
      item += chunk.latin1Slice(at, next === REPLY_INCOMPLETE ? chunk.length : next);
      if (next === REPLY_INCOMPLETE) break;
      items.push(item);
      item = "";
      at = next;
    }
  }
  return { items, end: item !== "" ? "incomplete" : "clean" };
}

for (const dialect of ["server", "proxy"] as const) {
  test(`the decoder's ${dialect} dialect reads every input as the model does, however cut`, () => {
    const prng = createPrng();
    for (let i = 0; i < INPUTS; i++) {
      const { kind, bytes } = drawRequestInput(prng, laneKeys(0));
      const { items, end, error } = readRequests(bytes.latin1Slice(), dialect);
      for (const chunks of cutsOf(bytes, prng)) {
        const read = decodeRequests(chunks, dialect);
        if (Bun.deepEquals(read, { items, end, error })) continue;
        const where = `seed ${prng.seed}, input ${i}, ${kind}, ${chunks.length} chunks`;
        expect({ where, read }).toEqual({ where, read: { items, end, error } });
      }
    }
  });
}

test("the reply scanner ends every reply where the model does, however cut", () => {
  const prng = createPrng();
  for (let i = 0; i < INPUTS; i++) {
    const { kind, bytes } = drawReplyInput(prng, 1 + prng.int(4));
    const { items, end } = readReplies(bytes.latin1Slice());
    for (const chunks of cutsOf(bytes, prng)) {
      const read = scanReplies(chunks);
      if (Bun.deepEquals(read, { items, end })) continue;
      const where = `seed ${prng.seed}, input ${i}, ${kind}, ${chunks.length} chunks`;
      expect({ where, read }).toEqual({ where, read: { items, end } });
    }
  }
});

test("the model reads what the protocol's descriptions show", () => {
  expect(readRequests("*2\r\n$4\r\nECHO\r\n$2\r\n\r\n\r\nPING a\r\n*", "proxy")).toEqual({
    items: [
      ["ECHO", "\r\n"],
      ["PING", "a"],
    ],
    end: "incomplete",
    error: "",
    at: 30,
  });
  expect(readRequests(`ECHO "a\\x41\\n b"\n*0\r\n*-1\r\n'`, "server").items).toEqual([
    ["ECHO", "aA\n b"],
  ]);
  expect(readRequests("*0\r\n", "proxy").end).toBe("error");
  expect(readReplies("*2\r\n:1\r\n$-1\r\n%1\r\n+a\r\n_\r\n$5\r\nab").items).toEqual([
    "*2\r\n:1\r\n$-1\r\n",
    "%1\r\n+a\r\n_\r\n",
  ]);
});

test("one seed always draws the same inputs", () => {
  const draw = (): string[] => {
    const prng = createPrng(7);
    return Array.from({ length: 200 }, () => {
      const request = drawRequestInput(prng, laneKeys(1));
      const reply = drawReplyInput(prng, 2);
      return `${request.kind} ${request.bytes.latin1Slice()} ${reply.bytes.latin1Slice()}`;
    });
  };
  expect(draw()).toEqual(draw());
});

test("every kind of input is drawn, and each end of a stream is met", () => {
  const prng = createPrng();
  const kinds = new Set<string>();
  const ends = new Set<string>();
  for (let i = 0; i < 5000; i++) {
    const request = drawRequestInput(prng, laneKeys(0));
    const reply = drawReplyInput(prng, 2);
    kinds.add(`request: ${request.kind}`).add(`reply: ${reply.kind}`);
    ends.add(`request: ${readRequests(request.bytes.latin1Slice(), "proxy").end}`);
    ends.add(`reply: ${readReplies(reply.bytes.latin1Slice()).end}`);
  }
  const named = ["valid", "mutated"];
  const expected = [
    ...[...Object.keys(REQUEST_KINDS), ...named].map((kind) => `request: ${kind}`),
    ...[...Object.keys(REPLY_KINDS), ...named].map((kind) => `reply: ${kind}`),
  ];
  expect(kinds).toEqual(new Set(expected));
  expect(ends.size).toBe(6);
});
