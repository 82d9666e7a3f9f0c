/**
 * Inputs for whoever reads RESP: every kind of malformed request and reply, written down, and
 * mutations of valid streams. Drawn from a seeded generator, so a seed and a number name an input.
 */

import type { Prng } from "../support/prng.ts";
import { drawEncodedRequest, drawReply, drawRequests, encodeArray } from "./streams.ts";

export interface Input {
  /** Which part of this file made it. */
  readonly kind: string;
  readonly bytes: Buffer;
}

/** What may stand where a count or a length belongs. */
const NUMBERS: readonly string[] = [
  ..."|-|+|abc|-2|-1|0|-0|00|+1|01|-01| 1|1 |1.0|1e1|0x1|1\0|\t1|1\t|--1|+-1".split("|"),
  ..."1048576|1048577|536870912|536870913|2147483647|2147483648|4294967296".split("|"),
  ..."9007199254740993|9223372036854775807|9223372036854775808|18446744073709551617".split("|"),
  "99999999999999999999999",
  "-99999999999999999999999",
  "1".repeat(400),
  "0".repeat(400),
];

/** What may stand where CR LF belongs. */
const LINE_ENDS: readonly string[] = [
  "\n",
  "\r",
  "\n\r",
  "\r\r\n",
  "",
  "\0\n",
  "\r\0",
  "  ",
  "\r\n\r\n",
];

const TYPES = "+-:,_#(!=%~>|$*@ \0\xff";

/** Above the limit of a line in either dialect of requests. */
const LONG_LINE_BYTES = 140 * 1024;

type Maker = (prng: Prng, keys: readonly string[]) => string;

/** Malformed requests, by name. Some are merely odd, and some sit right at a limit. */
export const REQUEST_KINDS: Readonly<Record<string, Maker>> = {
  "array count": (prng) => `*${prng.pick(NUMBERS)}\r\n$4\r\nPING\r\n`,
  "bulk length": (prng, keys) =>
    `*2\r\n$3\r\nGET\r\n$${prng.pick(NUMBERS)}\r\n${prng.pick(keys)}\r\n`,
  "command length": (prng) => `*1\r\n$${prng.pick(NUMBERS)}\r\nPING\r\n`,
  "first byte": (prng) => `${drawType(prng)}${prng.pick(NUMBERS)}\r\n`,
  "element type": (prng) => `*2\r\n$3\r\nGET\r\n${drawType(prng)}${prng.pick(["1", "key"])}\r\n`,
  "null element": (prng, keys) =>
    `*3\r\n$3\r\nSET\r\n$3\r\n${prng.pick(keys).slice(0, 3)}\r\n$-1\r\n`,
  "line end": (prng, keys) => breakLineEnd(prng, drawEncodedRequest(prng, keys)),
  "bulk off by a few": (prng, keys) => shiftLength(prng, drawEncodedRequest(prng, keys)),
  "nested array": (prng) => "*1\r\n".repeat(1 + prng.int(1000)),
  "array in array": () => "*2\r\n$4\r\nECHO\r\n*1\r\n$1\r\nx\r\n",
  truncated: (prng, keys) => truncate(prng, drawRequests(prng, keys)),
  "more announced than sent": (prng) => `*${2 + prng.int(1_000_000)}\r\n$4\r\nECHO\r\n$1\r\nx\r\n`,
  "large bulk announced": (prng) => `*2\r\n$4\r\nECHO\r\n$${prng.int(536_870_913)}\r\nshort\r\n`,
  garbage: (prng) => prng.bytes(1 + prng.int(100)).latin1Slice(),
  "garbage between": (prng, keys) =>
    drawEncodedRequest(prng, keys) +
    prng.bytes(1 + prng.int(8)).latin1Slice() +
    encodeArray(["PING"]),
  "long line": (prng) => longLine(prng),
  "blank lines": (prng, keys) =>
    prng.pick(["\r\n", "\n", "\r\n\r\n", " \r\n", "   \r\n", "\t\r\n"]) + drawRequests(prng, keys),
  inline: (prng, keys) => oddInline(prng, prng.pick(keys)),
  "reply as request": (prng) => drawReply(prng),
  "empty arguments": (prng) => encodeArray(["", "x", ""].slice(prng.int(3))),
  "unknown command": (prng) => encodeArray([prng.bytes(1 + prng.int(200)).latin1Slice(), "x"]),
  "many arguments": (prng) => encodeArray(["EXISTS", ...Array<string>(prng.int(3000)).fill("k")]),
  "other protocols": (prng) =>
    prng.pick([
      "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
      "get key\r\nset key 0 0 5\r\nhello\r\n",
      "\0\0\0\x08\x04\xd2\x16\x2f",
    ]),
};

/** Malformed replies, by name. */
export const REPLY_KINDS: Readonly<Record<string, Maker>> = {
  "bulk length": (prng) => `$${prng.pick(NUMBERS)}\r\nvalue\r\n`,
  "array count": (prng) => `*${prng.pick(NUMBERS)}\r\n:1\r\n`,
  "map count": (prng) =>
    `${prng.pick(["%", "~", ">", "|", "=", "!"])}${prng.pick(NUMBERS)}\r\n:1\r\n`,
  "integer text": (prng) => `:${prng.pick(NUMBERS)}\r\n`,
  "first byte": (prng) => `${drawType(prng)}${prng.pick(NUMBERS)}\r\n`,
  "element type": (prng) => `*2\r\n:1\r\n${drawType(prng)}x\r\n`,
  "line end": (prng) => breakLineEnd(prng, drawReply(prng)),
  "bulk off by a few": (prng) => shiftLength(prng, drawReply(prng)),
  truncated: (prng) => truncate(prng, drawReply(prng)),
  garbage: (prng) => prng.bytes(1 + prng.int(100)).latin1Slice(),
  "deep nesting": (prng) => "*1\r\n".repeat(1 + prng.int(2000)),
  "long line": (prng) => `+${"x".repeat(prng.int(LONG_LINE_BYTES))}`,
  "large bulk announced": (prng) => `$${prng.int(536_870_913)}\r\nshort\r\n`,
  surplus: (prng) => drawReply(prng) + drawReply(prng) + drawReply(prng),
  "request as reply": () => encodeArray(["GET", "x"]),
  nothing: () => "",
};

/** One input for a reader of requests that use `keys`. */
export function drawRequestInput(prng: Prng, keys: readonly string[]): Input {
  const choice = prng.int(10);
  if (choice === 0) return input("valid", drawRequests(prng, keys));
  if (choice < 4) return mutated(prng, drawRequests(prng, keys), drawRequests(prng, keys));
  const kind = prng.pick(Object.keys(REQUEST_KINDS));
  const text = REQUEST_KINDS[kind]!(prng, keys);
  // In the middle of good requests as often as alone.
  const before = prng.oneIn(3) ? drawRequests(prng, keys) : "";
  const after = prng.oneIn(3) ? drawRequests(prng, keys) : "";
  return input(kind, before + text + after);
}

/** What a server answers to `requests` requests, or should have. */
export function drawReplyInput(prng: Prng, requests: number): Input {
  const replies = (count: number): string =>
    Array.from({ length: count }, () => drawReply(prng)).join("");
  const choice = prng.int(10);
  if (choice === 0) return input("valid", replies(requests));
  if (choice < 5) return mutated(prng, replies(requests), replies(1));
  const kind = prng.pick(Object.keys(REPLY_KINDS));
  const before = prng.oneIn(2) ? replies(prng.int(requests)) : "";
  return input(kind, before + REPLY_KINDS[kind]!(prng, []));
}

function input(kind: string, text: string): Input {
  return { kind, bytes: Buffer.from(text, "latin1") };
}

function mutated(prng: Prng, text: string, other: string): Input {
  let result = text;
  const times = 1 + prng.int(4);
  for (let i = 0; i < times; i++) result = mutate(prng, result, other);
  return input("mutated", result);
}

/** One change at one place. */
function mutate(prng: Prng, text: string, other: string): string {
  const at = prng.int(text.length + 1);
  const length = 1 + prng.int(prng.pick([1, 4, 20]));
  const before = text.slice(0, at);
  const after = text.slice(at);
  switch (prng.int(9)) {
    case 0: {
      const flipped = (text.charCodeAt(at) || 0) ^ (1 << prng.int(8));
      return before + String.fromCharCode(flipped) + after.slice(1);
    }
    case 1:
      return before + prng.pick([..."\r\n\0\xff$*+-:019 \"'\\{}"]) + after.slice(1);
    case 2:
      return before + after.slice(length);
    case 3:
      return before + after.slice(0, length) + after;
    case 4:
      return before + prng.bytes(length).latin1Slice() + after;
    case 5:
      return before + prng.pick(["\r\n", "$-1\r\n", "*1\r\n", "$0\r\n\r\n", "*0\r\n"]) + after;
    case 6:
      return before;
    case 7:
      return before + other.slice(prng.int(other.length + 1));
    default:
      return text.replace(/\d+/g, (digits) =>
        prng.oneIn(4) ? changeNumber(prng, digits) : digits,
      );
  }
}

function changeNumber(prng: Prng, digits: string): string {
  const value = Number(digits);
  return prng.pick([String(value + 1), String(value - 1), `${digits}0`, "0", "-1", `0${digits}`]);
}

function drawType(prng: Prng): string {
  return TYPES[prng.int(TYPES.length)]!;
}

function breakLineEnd(prng: Prng, text: string): string {
  const ends = text.split("\r\n");
  const broken = prng.int(ends.length - 1);
  return ends.map((part, i) => part + endAt(prng, i, broken, ends.length)).join("");
}

function endAt(prng: Prng, index: number, broken: number, count: number): string {
  if (index === count - 1) return "";
  return index === broken ? prng.pick(LINE_ENDS) : "\r\n";
}

/** One announced length is wrong by one or two. */
function shiftLength(prng: Prng, text: string): string {
  const shift = prng.pick([-2, -1, 1, 2]);
  const lengths = text.match(/\$\d+/g)?.length ?? 0;
  let left = prng.int(Math.max(1, lengths));
  return text.replace(/\$(\d+)/g, (all, digits) =>
    left-- === 0 ? `$${Number(digits) + shift}` : all,
  );
}

function truncate(prng: Prng, text: string): string {
  return text.slice(0, prng.int(text.length));
}

/** Rare, for it is long. */
function longLine(prng: Prng): string {
  const length = prng.oneIn(20) ? LONG_LINE_BYTES : 5000;
  return prng.pick(["*", "$", "", "*1\r\n$"]) + "1".repeat(length) + prng.pick(["", "\r\n"]);
}

function oddInline(prng: Prng, key: string): string {
  return prng.pick([
    `GET ${key}\n`,
    `GET\t${key}\r\n`,
    `  GET   ${key}  \r\n`,
    `ECHO "a b"\r\n`,
    `ECHO "\\x41\\n\\"\\z"\r\n`,
    `ECHO 'it\\'s'\r\n`,
    `ECHO "open\r\n`,
    `ECHO 'open\r\n`,
    `ECHO "a"b\r\n`,
    `ECHO a"b c"d\r\n`,
    `ECHO a\0b\r\n`,
    `ECHO \xff\xfe\r\n`,
    `PING\r\r\n`,
    `PING\rPING\r\n`,
    `$4\r\nPING\r\n`,
    `ECHO \v x\r\n`,
    `PING`,
    `"PING"\r\n`,
    `""\r\n`,
  ]);
}
