/**
 * Valid RESP streams, as latin1 text: requests on a handful of keys, and replies of every type.
 * What they ask for has one right answer that depends on those keys alone, so that a second server
 * can give it.
 */

import type { Prng } from "../support/prng.ts";

/** The keys of one lane of inputs; they share a slot. */
export function laneKeys(lane: number): readonly string[] {
  return Array.from({ length: 4 }, (_, i) => `{lane${lane}}${i}`);
}

/**
 * Commands whose answers are compared with redis-server's, in upper case. Not ZRANK: Debian's 7.0
 * knows no WITHSCORE.
 */
export const COMPARED: ReadonlySet<string> = new Set(
  (
    "PING ECHO SET GET SETNX GETSET APPEND STRLEN GETRANGE INCR DECRBY DEL EXISTS TYPE TTL EXPIRE " +
    "PERSIST MSET MGET LPUSH RPUSH LPOP LLEN LRANGE LINDEX HSET HGET HLEN HDEL HEXISTS SADD SREM " +
    "SCARD SISMEMBER ZADD ZREM ZSCORE ZCARD ZRANGE"
  ).split(" "),
);

/** One request as its arguments. */
function drawRequest(prng: Prng, keys: readonly string[]): readonly string[] {
  const key = prng.pick(keys);
  const other = prng.pick(keys);
  const value = drawValue(prng);
  const number = String(prng.int(50) - 20);
  const member = prng.pick(["a", "b", "c", "17", value]);
  return prng.pick<readonly string[]>([
    ["PING"],
    ["ECHO", value],
    ["set", key, value],
    ["SET", key, number],
    ["Get", key],
    ["GET", other],
    ["SETNX", key, value],
    ["GETSET", key, value],
    ["APPEND", key, value],
    ["STRLEN", key],
    ["GETRANGE", key, number, "10"],
    ["INCR", key],
    ["DECRBY", key, number],
    ["DEL", key, other],
    ["EXISTS", key, other, key],
    ["TYPE", key],
    ["TTL", key],
    ["EXPIRE", key, "1000"],
    ["PERSIST", key],
    ["MSET", key, value, other, number],
    ["MGET", key, other],
    ["LPUSH", key, value, "x"],
    ["RPUSH", key, value],
    ["LPOP", key],
    ["LLEN", key],
    ["LRANGE", key, number, "-1"],
    ["LINDEX", key, number],
    ["HSET", key, member, value],
    ["HGET", key, member],
    ["HLEN", key],
    ["HDEL", key, member],
    ["HEXISTS", key, member],
    ["SADD", key, member, value],
    ["SREM", key, member],
    ["SCARD", key],
    ["SISMEMBER", key, member],
    ["ZADD", key, number, member, "1.5", value],
    ["ZREM", key, member],
    ["ZSCORE", key, member],
    ["ZCARD", key],
    ["ZRANGE", key, "0", "-1", "WITHSCORES"],
    ["ZRANK", key, member],
  ]);
}

/** Bytes that look like protocol as often as not; now and then more than a line's worth. */
function drawValue(prng: Prng): string {
  switch (prng.int(8)) {
    case 0:
      return "";
    case 1:
      return prng.pick(["\r\n", "\r", "\n", "$5\r\nhello\r\n", "*1\r\n$4\r\nPING\r\n", "-ERR\r\n"]);
    case 2:
      return prng.bytes(1 + prng.int(24)).latin1Slice();
    case 3:
      return prng.oneIn(40) ? "v".repeat(1 + prng.int(20_000)) : "v".repeat(prng.int(120));
    default:
      return `value${prng.int(1000)}`;
  }
}

export function encodeArray(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map(encodeBulk).join("")}`;
}

function encodeBulk(word: string): string {
  return `$${word.length}\r\n${word}\r\n`;
}

/** A request on the wire: an array of bulks, or inline when its words allow it. */
export function drawEncodedRequest(prng: Prng, keys: readonly string[]): string {
  const words = drawRequest(prng, keys);
  const canBeInline = words.every((word) => /^[\x21\x23-\x26\x28-\x7e]+$/.test(word));
  if (!canBeInline || words[0]!.startsWith("*") || !prng.oneIn(6)) return encodeArray(words);
  return `${words.join(" ")}\r\n`;
}

/** One to six requests, one after the other. */
export function drawRequests(prng: Prng, keys: readonly string[]): string {
  const count = 1 + prng.int(6);
  return Array.from({ length: count }, () => drawEncodedRequest(prng, keys)).join("");
}

/** One reply of any type of RESP2 or RESP3, nested at most `depth` deep. */
export function drawReply(prng: Prng, depth = 3): string {
  const value = drawValue(prng);
  const line = value.replace(/[\r\n]/g, " ");
  const flat = [
    () => `+${line}\r\n`,
    () => `-ERR ${line}\r\n`,
    () => `:${prng.int(2 ** 31) - 2 ** 30}\r\n`,
    () => encodeBulk(value),
    () => encodeBulk(value),
    () => "$-1\r\n",
    () => "*-1\r\n",
    () => "*0\r\n",
    () => "_\r\n",
    () => `#${prng.pick(["t", "f"])}\r\n`,
    () => `,${prng.pick(["1.5", "inf", "-inf", "nan", "10"])}\r\n`,
    () => "(3492890328409238509324850943850943825024385\r\n",
    () => `=${value.length + 4}\r\ntxt:${value}\r\n`,
    () => `!${value.length}\r\n${value}\r\n`,
  ];
  if (depth === 0 || prng.int(3) > 0) return prng.pick(flat)();
  const count = prng.int(4);
  const items = (n: number): string =>
    Array.from({ length: n }, () => drawReply(prng, depth - 1)).join("");
  return prng.pick([
    () => `*${count}\r\n${items(count)}`,
    () => `*${count}\r\n${items(count)}`,
    () => `%${count}\r\n${items(2 * count)}`,
    () => `~${count}\r\n${items(count)}`,
    () => `|1\r\n${items(2)}${drawReply(prng, depth - 1)}`,
  ])();
}
