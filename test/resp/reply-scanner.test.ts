import { describe, expect, test } from "bun:test";
import { CodisError } from "../../src/base/errors.ts";
import { ErrorReply, type Reply } from "../../src/resp/reply.ts";
import { ReplyDecoder } from "../../src/resp/reply-decoder.ts";
import { REPLY_ERROR, REPLY_INCOMPLETE, ReplyScanner } from "../../src/resp/reply-scanner.ts";
import { cutsOf } from "../support/cuts.ts";
import { createPrng, type Prng } from "../support/prng.ts";

const prng = createPrng();

const bulk = (text: string) => Buffer.from(text, "latin1");

/** What stands on the wire, and the value it is. */
const REPLIES: [wire: string, value: Reply][] = [
  ["+OK\r\n", "OK"],
  ["+\r\n", ""],
  ["+a\rb\r\n", "a\rb"],
  ["-ERR no\r\n", new ErrorReply("ERR no")],
  [":0\r\n", 0],
  [":-12\r\n", -12],
  [":9007199254740991\r\n", 9007199254740991],
  [":9223372036854775807\r\n", 9223372036854775807n],
  [":-9223372036854775808\r\n", -9223372036854775808n],
  ["$0\r\n\r\n", bulk("")],
  ["$3\r\nabc\r\n", bulk("abc")],
  ["$4\r\n\r\n\r\n\r\n", bulk("\r\n\r\n")],
  ["$2\r\n\x00\xff\r\n", bulk("\x00\xff")],
  ["$12\r\nhello, world\r\n", bulk("hello, world")],
  [`$100000\r\n${"x".repeat(100_000)}\r\n`, bulk("x".repeat(100_000))],
  ["$-1\r\n", null],
  ["*-1\r\n", null],
  ["_\r\n", null],
  ["*0\r\n", []],
  ["*2\r\n$1\r\na\r\n:1\r\n", [bulk("a"), 1]],
  ["*3\r\n*1\r\n*0\r\n$-1\r\n*2\r\n+a\r\n-b\r\n", [[[]], null, ["a", new ErrorReply("b")]]],
  ["#t\r\n", true],
  ["#f\r\n", false],
  [",1.5\r\n", { type: "double", value: 1.5 }],
  [",-inf\r\n", { type: "double", value: Number.NEGATIVE_INFINITY }],
  [",nan\r\n", { type: "double", value: Number.NaN }],
  ["(12345678901234567890\r\n", { type: "bignumber", value: 12345678901234567890n }],
  ["!5\r\nERR x\r\n", new ErrorReply("ERR x")],
  ["=7\r\ntxt:abc\r\n", { type: "verbatim", format: "txt", bytes: bulk("abc") }],
  [
    "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n",
    {
      type: "map",
      pairs: [
        ["a", 1],
        ["b", [2]],
      ],
    },
  ],
  ["~2\r\n:1\r\n:2\r\n", { type: "set", items: [1, 2] }],
  [">2\r\n+invalidate\r\n*0\r\n", { type: "push", items: ["invalidate", []] }],
  ["|1\r\n+ttl\r\n:3\r\n*1\r\n:7\r\n", [7]],
  ["*2\r\n|1\r\n+ttl\r\n:3\r\n:7\r\n:8\r\n", [7, 8]],
  ["$003\r\nabc\r\n", bulk("abc")],
];

const BROKEN: [wire: string, error: string][] = [
  ["?\r\n", "invalid reply type '?'"],
  ["\r\n", "invalid reply type '\r'"],
  ["+OK\n", "expected CRLF"],
  ["$abc\r\n", "invalid length"],
  ["$\r\n", "invalid length"],
  ["$-\r\n", "invalid length"],
  ["$--1\r\n", "invalid length"],
  ["$1-\r\n", "invalid length"],
  ["$-2\r\n", "invalid length"],
  ["*-2\r\n", "invalid length"],
  ["~-1\r\n", "invalid length"],
  ["$3\rabc\r\n", "invalid length"],
  ["$3\r\nabcd\r\n", "expected CRLF after bulk"],
  ["$3\r\nabc\n\n", "expected CRLF after bulk"],
  ["$536870913\r\n", "invalid bulk length"],
  ["*2147483648\r\n", "invalid length"],
  ["*2\r\n:1\r\n?", "invalid reply type '?'"],
];

/** Ends of the replies in the chunks, counted over the whole stream; then the error, if any. */
function scanAll(chunks: readonly Buffer[]): { ends: number[]; error: string } {
  const scanner = new ReplyScanner();
  const ends: number[] = [];
  let base = 0;
  for (const chunk of chunks) {
    let at = 0;
    while (at < chunk.length) {
      const end = scanner.scan(chunk, at, chunk.length);
      if (end === REPLY_ERROR) return { ends, error: scanner.error };
      if (end === REPLY_INCOMPLETE) break;
      at = end;
      ends.push(base + at);
    }
    base += chunk.length;
  }
  return { ends, error: "" };
}

function decodeAll(chunks: readonly Buffer[]): Reply[] {
  const decoder = new ReplyDecoder();
  const replies: Reply[] = [];
  for (const chunk of chunks) {
    decoder.feed(chunk);
    for (let reply = decoder.next(); reply !== undefined; reply = decoder.next()) {
      replies.push(reply);
    }
  }
  return replies;
}

describe("ReplyScanner and ReplyDecoder", () => {
  for (const [wire, value] of REPLIES) {
    test(`${JSON.stringify(wire.slice(0, 40))} is one reply however it is cut`, () => {
      const input = bulk(wire + wire);
      for (const chunks of cutsOf(input, prng)) {
        expect(scanAll(chunks)).toEqual({
          ends: [wire.length, 2 * wire.length],
          error: "",
        });
        expect(decodeAll(chunks)).toEqual([value, value]);
      }
    });
  }

  for (const [wire, error] of BROKEN) {
    test(`${JSON.stringify(wire)} is an error however it is cut`, () => {
      for (const chunks of cutsOf(bulk(`:1\r\n${wire}`), prng)) {
        expect(scanAll(chunks)).toEqual({ ends: [4], error });
        expect(() => decodeAll(chunks)).toThrow(CodisError);
      }
    });
  }

  test("an error is final until reset", () => {
    const scanner = new ReplyScanner();
    expect(scanner.scan(bulk("*2\r\n?"), 0, 5)).toBe(REPLY_ERROR);
    expect(scanner.scan(bulk("+OK\r\n"), 0, 5)).toBe(REPLY_ERROR);
    scanner.reset();
    expect(scanner.scan(bulk("+OK\r\n"), 0, 5)).toBe(5);
  });

  test("bytes outside of the range do not matter", () => {
    const scanner = new ReplyScanner();
    const buf = bulk("xx$3\r\nabc\r\nyy");
    expect(scanner.scan(buf, 2, 5)).toBe(REPLY_INCOMPLETE);
    expect(scanner.scan(buf, 5, 10)).toBe(REPLY_INCOMPLETE);
    expect(scanner.scan(buf, 10, 13)).toBe(11);
  });

  test("nesting may be deep on the wire; as a value it has a limit", () => {
    const deep = bulk(`${"*1\r\n".repeat(100_000)}:1\r\n`);
    expect(scanAll([deep]).ends).toEqual([deep.length]);
    expect(() => decodeAll([deep])).toThrow("nested more than 256 deep");
  });

  test("random replies end where they were made to end, and read back as they were", () => {
    for (let round = 0; round < 300; round++) {
      const made = Array.from({ length: 1 + prng.int(5) }, () => randomReply(prng, 0));
      let end = 0;
      const ends = made.map(({ wire }) => {
        end += wire.length;
        return end;
      });
      const input = bulk(made.map(({ wire }) => wire).join(""));
      for (const chunks of cutsOf(input, prng)) {
        const context = { seed: prng.seed, round };
        expect({ ...context, ends: scanAll(chunks).ends }).toEqual({ ...context, ends });
        expect({ ...context, values: decodeAll(chunks) }).toEqual({
          ...context,
          values: made.map(({ value }) => value),
        });
      }
    }
  });

  test("a mutated stream gives the same answer however it is cut", () => {
    for (let round = 0; round < 2000; round++) {
      const input = bulk(randomReply(prng, 0).wire + randomReply(prng, 0).wire);
      for (let i = prng.int(3); i >= 0; i--) {
        input[prng.int(input.length)] = prng.pick([...bulk("*$+-:%~|,0129\r\nx\x00\xff")]);
      }
      const [whole, ...others] = cutsOf(input, prng).map(scanAll);
      for (const other of others) {
        expect({ seed: prng.seed, round, ...other }).toEqual({ seed: prng.seed, round, ...whole! });
      }
    }
  });
});

function randomReply(random: Prng, depth: number): { wire: string; value: Reply } {
  const kind = random.int(depth > 3 ? 4 : 6);
  if (kind === 0) return { wire: "+OK\r\n", value: "OK" };
  if (kind === 1) return { wire: "$-1\r\n", value: null };
  if (kind === 2) {
    const n = random.int(2 ** 31) - 2 ** 30;
    return { wire: `:${n}\r\n`, value: n };
  }
  if (kind === 3) {
    const bytes = random.bytes(random.pick([0, 1, 9, 10, 99, 100, 300]));
    return { wire: `$${bytes.length}\r\n${bytes.latin1Slice()}\r\n`, value: bytes };
  }
  const items = Array.from({ length: random.int(4) }, () => randomReply(random, depth + 1));
  return {
    wire: `*${items.length}\r\n${items.map(({ wire }) => wire).join("")}`,
    value: items.map(({ value }) => value),
  };
}
