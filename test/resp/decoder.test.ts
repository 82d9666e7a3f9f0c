import { describe, expect, test } from "bun:test";
import {
  REQUEST_ERROR,
  REQUEST_INCOMPLETE,
  REQUEST_READY,
  RequestDecoder,
} from "../../src/resp/decoder.ts";
import { encodeRequest } from "../../src/resp/encoder.ts";
import type { Dialect, RequestLimits } from "../../src/resp/request-limits.ts";
import { cutsOf } from "../support/cuts.ts";
import { argumentsOf } from "../support/decoded-request.ts";
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

function decodeInAllCuts(dialect: Dialect, input: string | Buffer, limits = {}): Outcome {
  const bytes = typeof input === "string" ? Buffer.from(input, "latin1") : input;
  const outcomes = cutsOf(bytes, prng).map((chunks) => decode(dialect, chunks, limits));
  for (const outcome of outcomes) expect(outcome, `SEED=${prng.seed}`).toEqual(outcomes[0]!);
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

describe("RequestDecoder, inline", () => {
  const PROXY: Row[] = [
    ["PING\r\n", [["PING"]], ""],
    [
      "  SET  a   b  \r\nGET a\r\n",
      [
        ["SET", "a", "b"],
        ["GET", "a"],
      ],
      "",
    ],
    ['SET q "v w"\r\n', [["SET", "q", '"v', 'w"']], ""],
    ["SET\tq v\r\n", [["SET\tq", "v"]], ""],
    ["a\rb c\r\n", [["a\rb", "c"]], ""],
    ["$4\r\nPING\r\n", [["$4"], ["PING"]], ""],
    ["\r\n\r\nPING\r\n", [["PING"]], ""],
    ["PING\n", [], "expected CRLF after inline request"],
    ["\n", [], "expected CRLF after inline request"],
    ["PING\r\n   \r\n", [["PING"]], "blank request"],
  ];
  for (const [input, requests, error] of PROXY) {
    test(`proxy takes ${JSON.stringify(input)} as the original does`, () => {
      expect(decodeInAllCuts("proxy", input)).toEqual({ requests, error, pending: 0 });
    });
  }

  // Recorded from redis-server 7.0.15.
  const SERVER: Row[] = [
    ["PING\r\n", [["PING"]], ""],
    ["PING\n", [["PING"]], ""],
    ["PING \r\r\n", [["PING"]], ""],
    ["   \r\n\n\r\nPING\r\n", [["PING"]], ""],
    ['ECHO ""\r\n', [["ECHO", ""]], ""],
    ['"" x\r\n', [["", "x"]], ""],
    ["ECHO 'it\\'s \\n'\r\n", [["ECHO", "it's \\n"]], ""],
    ['ECHO "a\\x41\\n\\q\\x4"\r\n', [["ECHO", "aA\nqx4"]], ""],
    ['ECHO "\\r\\t\\b\\a\\\\\\""\r\n', [["ECHO", '\r\t\b\x07\\"']], ""],
    ['ECHO "\\xfF"\r\n', [["ECHO", "\xff"]], ""],
    ['ECHO a"b c"\r\n', [["ECHO", "ab c"]], ""],
    ["ECHO\ta\x0bb\r\n", [["ECHO", "a\x0bb"]], ""],
    ["\x0bECHO\x0c \x0ca\r\n", [["ECHO\x0c", "a"]], ""],
    ['ECHO "abc"d\r\n', [], "unbalanced quotes in request"],
    ['ECHO "abc\r\n', [], "unbalanced quotes in request"],
    ["ECHO 'abc\r\n", [], "unbalanced quotes in request"],
    ["ECHO 'a'b\r\n", [], "unbalanced quotes in request"],
    ['ECHO a"b"c\r\n', [], "unbalanced quotes in request"],
    ['ECHO "a\\\r\n', [], "unbalanced quotes in request"],
    ["$4\r\nPING\r\n", [["$4"], ["PING"]], ""],
  ];
  for (const [input, requests, error] of SERVER) {
    test(`server takes ${JSON.stringify(input)} as Redis does`, () => {
      expect(decodeInAllCuts("server", input)).toEqual({ requests, error, pending: 0 });
    });
  }
});

describe("RequestDecoder, limits", () => {
  const x = (bytes: number) => "x".repeat(bytes);

  for (const dialect of BOTH) {
    test(`${dialect} refuses what is above a limit and takes what reaches it`, () => {
      const limits: Partial<RequestLimits> = {
        arguments: 20,
        bulkBytes: 200,
        lineBytes: 12,
        inlineBytes: 30,
      };
      const outcome = (input: string) => decodeInAllCuts(dialect, input, limits);
      const count = (n: number) =>
        encodeRequest(Array.from({ length: n }, () => "a")).latin1Slice();
      expect(outcome(count(20)).error).toBe("");
      expect(outcome(count(21)).error).toBe("invalid multibulk length");
      expect(outcome(encodeRequest([x(200)]).latin1Slice()).error).toBe("");
      expect(outcome(encodeRequest([x(201)]).latin1Slice()).error).toBe("invalid bulk length");
      expect(outcome(`*${"1".repeat(12)}`).error).toBe("too big mbulk count string");
      expect(outcome(`*${"1".repeat(20)}\r\n`).error).toBe("too big mbulk count string");
      expect(outcome(`*1\r\n$${"1".repeat(12)}`).error).toBe("too big bulk count string");
      expect(outcome(`${x(29)}\r\n`).error).toBe("");
      expect(outcome(`${x(30)}\r\n`).error).toBe("too big inline request");
      expect(outcome(x(31)).error).toBe("too big inline request");
    });
  }

  test("a request above requestBytes is refused when its length is announced", () => {
    const limits = { requestBytes: 1000 };
    const input = `*2\r\n$3\r\nSET\r\n$1000\r\n`;
    expect(decodeInAllCuts("server", input, limits).error).toBe("too big request");
  });

  test("many small arguments are refused when they are more than requestBytes", () => {
    const chunk = Buffer.from("$2\r\nab\r\n".repeat(50));
    const chunks = [Buffer.from("*100000\r\n"), chunk, chunk, chunk];
    expect(decode("proxy", chunks, { requestBytes: 1000 }).error).toBe("too big request");
    expect(decode("proxy", chunks, { requestBytes: 2000 }).error).toBe("");
  });

  test("an unauthenticated client may send little until it has the password", () => {
    const ten = encodeRequest(Array.from({ length: 10 }, () => "a"));
    const eleven = encodeRequest(Array.from({ length: 11 }, () => "a"));
    const decoderOf = (...chunks: Buffer[]): RequestDecoder => {
      const decoder = new RequestDecoder("server");
      decoder.setUnauthenticated(true);
      for (const chunk of chunks) decoder.feed(chunk);
      return decoder;
    };
    const many = decoderOf(ten, eleven);
    expect(many.next()).toBe(REQUEST_READY);
    expect(many.next()).toBe(REQUEST_ERROR);
    expect(many.error).toBe("unauthenticated multibulk length");
    const large = decoderOf(encodeRequest([x(16_384)]), encodeRequest([x(16_385)]));
    expect(large.next()).toBe(REQUEST_READY);
    expect(large.next()).toBe(REQUEST_ERROR);
    expect(large.error).toBe("unauthenticated bulk length");
    const authenticated = decoderOf(ten, eleven);
    expect(authenticated.next()).toBe(REQUEST_READY);
    authenticated.setUnauthenticated(false);
    expect(authenticated.next()).toBe(REQUEST_READY);
  });

  test("an error is final, and what is fed after it is let go", () => {
    const decoder = new RequestDecoder("proxy");
    decoder.feed(Buffer.from("*x\r\n*1\r\n$4\r\nPING\r\n"));
    expect(decoder.next()).toBe(REQUEST_ERROR);
    decoder.feed(Buffer.from("*1\r\n$4\r\nPING\r\n"));
    expect(decoder.next()).toBe(REQUEST_ERROR);
    expect(decoder.pendingBytes).toBe(0);
    expect(decoder.error).toBe("invalid multibulk length");
  });
});

describe("RequestDecoder, random streams", () => {
  function randomStream(): { bytes: Buffer; requests: string[][] } {
    const requests = Array.from({ length: 1 + prng.int(6) }, () =>
      Array.from({ length: prng.pick([1, 2, 3, 9, 10, 12]) }, () =>
        prng.bytes(prng.pick([0, 1, 3, 9, 10, 33, 99, 100, 300])).latin1Slice(),
      ),
    );
    const encoded = requests.map((words) =>
      encodeRequest(words.map((w) => Buffer.from(w, "latin1"))),
    );
    return { bytes: Buffer.concat(encoded), requests };
  }

  for (const dialect of BOTH) {
    test(`${dialect} finds every request of a random stream`, () => {
      for (let round = 0; round < 300; round++) {
        const { bytes, requests } = randomStream();
        const found = {
          seed: prng.seed,
          round,
          requests: decodeInAllCuts(dialect, bytes).requests,
        };
        expect(found).toEqual({ seed: prng.seed, round, requests });
      }
    });

    test(`${dialect} answers a mutated stream the same however it is cut`, () => {
      const spice = [...Buffer.from("*$+-:0129 \r\n\"'\\x\x00\xff", "latin1")];
      for (let round = 0; round < 3000; round++) {
        const { bytes } = randomStream();
        for (let i = prng.int(3); i >= 0; i--) bytes[prng.int(bytes.length)] = prng.pick(spice);
        const [whole, ...others] = cutsOf(bytes, prng).map((chunks) => decode(dialect, chunks));
        for (const other of others) {
          expect({ seed: prng.seed, round, ...other }).toEqual({
            seed: prng.seed,
            round,
            ...whole!,
          });
        }
      }
    });
  }
});
