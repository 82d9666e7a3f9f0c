import { describe, expect, test } from "bun:test";
import {
  type Dialect,
  REQUEST_ERROR,
  REQUEST_INCOMPLETE,
  REQUEST_READY,
  RequestDecoder,
  type RequestLimits,
} from "../../src/resp/decoder.ts";
import { encodeRequest } from "../../src/resp/encoder.ts";
import { cutsOf } from "../support/cuts.ts";
import { createPrng } from "../support/prng.ts";

const prng = createPrng();

interface Outcome {
  requests: string[][];
  error: string;
  pending: number;
}

/** Everything the decoder makes of the chunks; checks what must hold for each request. */
function decode(
  dialect: Dialect,
  chunks: readonly Buffer[],
  limits: Partial<RequestLimits> = {},
): Outcome {
  const decoder = new RequestDecoder(dialect, limits);
  const requests: string[][] = [];
  let status = REQUEST_INCOMPLETE as number;
  for (const chunk of chunks) {
    decoder.feed(chunk);
    for (;;) {
      status = decoder.next();
      if (status !== REQUEST_READY) break;
      requests.push(argumentsOf(decoder));
    }
  }
  expect(status).toBe(decoder.error === "" ? REQUEST_INCOMPLETE : REQUEST_ERROR);
  return { requests, error: decoder.error, pending: decoder.pendingBytes };
}

/** Arguments as latin1; the request's own bytes must be an array of just these. */
function argumentsOf(decoder: RequestDecoder): string[] {
  const words = Array.from({ length: decoder.argc }, (_, i) =>
    decoder.buf.latin1Slice(decoder.args[2 * i], decoder.args[2 * i + 1]),
  );
  const whole = decoder.buf.latin1Slice(decoder.start, decoder.end);
  expect(whole).toBe(encodeRequest(words.map((word) => Buffer.from(word, "latin1"))).latin1Slice());
  return words;
}

function decodeInAllCuts(dialect: Dialect, input: string | Buffer, limits = {}): Outcome {
  const bytes = typeof input === "string" ? Buffer.from(input, "latin1") : input;
  const outcomes = cutsOf(bytes, prng).map((chunks) => decode(dialect, chunks, limits));
  for (const outcome of outcomes) expect(outcome).toEqual(outcomes[0]!);
  return outcomes[0]!;
}

const BOTH = ["proxy", "server"] as const;

/** Input, then the requests it holds, then the error that ends it ("" when none). */
type Row = [input: string, requests: string[][], error: string];

const ARRAYS: Row[] = [
  ["*1\r\n$4\r\nPING\r\n", [["PING"]], ""],
  ["*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n*1\r\n$4\r\nQUIT\r\n", [["GET", "key"], ["QUIT"]], ""],
  ["*2\r\n$3\r\nGET\r\n$0\r\n\r\n", [["GET", ""]], ""],
  ["*2\r\n$3\r\nGET\r\n$4\r\n\r\n\r\n\r\n", [["GET", "\r\n\r\n"]], ""],
  ["*2\r\n$3\r\nGET\r\n$2\r\n\x00\xff\r\n", [["GET", "\x00\xff"]], ""],
  ["\r\n\r\n*1\r\n$4\r\nPING\r\n\r\n", [["PING"]], ""],
  ["*abc\r\n", [], "invalid multibulk length"],
  ["* 4\r\n", [], "invalid multibulk length"],
  ["*\r\n", [], "invalid multibulk length"],
  ["*1\n", [], "invalid multibulk length"],
  ["*99999999999999999999999\r\n", [], "invalid multibulk length"],
  ["*1\r\n+PING\r\n", [], "expected '$', got '+'"],
  ["*1\r\n:1\r\n", [], "expected '$', got ':'"],
  ["*1\r\n*1\r\n$4\r\nPING\r\n", [], "expected '$', got '*'"],
  ["*1\r\n\r\n", [], "expected '$', got ' '"],
  ["*1\r\n$-1\r\n", [], "invalid bulk length"],
  ["*1\r\n$-2\r\n", [], "invalid bulk length"],
  ["*1\r\n$x\r\n", [], "invalid bulk length"],
  ["*1\r\n$\r\n", [], "invalid bulk length"],
  ["*1\r\n$4\nPING\r\n", [], "invalid bulk length"],
  ["*1\r\n$536870913\r\n", [], "invalid bulk length"],
  ["*1\r\n$4\r\nPINGxx", [], "expected CRLF after bulk"],
  ["*1\r\n$4\r\nPING\n\n", [], "expected CRLF after bulk"],
  ["*1\r\n$3\r\nPING\r\n", [], "expected CRLF after bulk"],
  ["*1\r\n$4\r\nPING\r\n*2\r\nX", [["PING"]], "expected '$', got 'X'"],
];

describe("RequestDecoder, arrays", () => {
  for (const dialect of BOTH) {
    for (const [input, requests, error] of ARRAYS) {
      test(`${dialect} decodes ${JSON.stringify(input)} the same however it is cut`, () => {
        expect(decodeInAllCuts(dialect, input)).toEqual({ requests, error, pending: 0 });
      });
    }
  }

  const PROXY: Row[] = [
    ["*0\r\n", [], "invalid multibulk length"],
    ["*-1\r\n", [], "invalid multibulk length"],
    ["*1048577\r\n", [], "invalid multibulk length"],
    ["*+1\r\n$+4\r\nPING\r\n", [["PING"]], ""],
    ["*001\r\n$04\r\nPING\r\n", [["PING"]], ""],
    ["*+\r\n", [], "invalid multibulk length"],
  ];
  for (const [input, requests, error] of PROXY) {
    test(`proxy decodes ${JSON.stringify(input)} as the original does`, () => {
      expect(decodeInAllCuts("proxy", input)).toEqual({ requests, error, pending: 0 });
    });
  }

  const SERVER: Row[] = [
    ["*0\r\n*-1\r\n*-10\r\n*1\r\n$4\r\nPING\r\n", [["PING"]], ""],
    ["*2147483648\r\n", [], "invalid multibulk length"],
    ["*+1\r\n", [], "invalid multibulk length"],
    ["*01\r\n", [], "invalid multibulk length"],
    ["*-0\r\n", [], "invalid multibulk length"],
    ["*1\r\n$04\r\n", [], "invalid bulk length"],
    ["*1\r\n$+4\r\n", [], "invalid bulk length"],
  ];
  for (const [input, requests, error] of SERVER) {
    test(`server decodes ${JSON.stringify(input)} as Redis does`, () => {
      expect(decodeInAllCuts("server", input)).toEqual({ requests, error, pending: 0 });
    });
  }

  test("every number of arguments and every length of argument comes out as it went in", () => {
    for (const size of [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 70_000]) {
      const request = ["SET", "x".repeat(size), "y".repeat(size % 1000)];
      const input = encodeRequest(request);
      expect(decodeInAllCuts("server", input).requests).toEqual([request]);
    }
    for (const count of [1, 8, 9, 10, 11, 99, 100, 101, 1000]) {
      const request = Array.from({ length: count }, (_, i) => `word ${i}`);
      expect(decodeInAllCuts("proxy", encodeRequest(request)).requests).toEqual([request]);
    }
  });
});
