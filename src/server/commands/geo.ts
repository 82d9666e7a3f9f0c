/**
 * Places on earth: members of sorted sets whose scores are geohashes. Searches are in
 * geo-search.ts. Source of texts and details, also of which argument is looked at first: Redis 7.0
 * src/geo.c.
 */

import {
  argDouble,
  argEnd,
  argIs,
  argStart,
  type Call,
  failSyntax,
  type Handler,
  writeTyped,
} from "../call.ts";
import { formatFixed4, formatFixed17 } from "../double.ts";
import {
  decodePosition,
  distanceMeters,
  encodePosition,
  geohashText,
  LATITUDE_MAX,
  LONGITUDE_MAX,
  type Point,
} from "../geohash.ts";
import { ReplyError } from "../replies.ts";
import { ZSET } from "../types/value-type.ts";
import { SCORE_SAME, zsetLength, zsetScore, zsetSet } from "../types/zset.ts";
import { checkMemberLengths, headToGrow, readHead } from "./collections.ts";

const UNIT_ERROR = new ReplyError("ERR unsupported unit provided. please use M, KM, FT, MI");

/** Metres of the unit in argument `i`. @throws ReplyError */
export function argUnit(call: Call, i: number): number {
  if (argIs(call, i, "m")) return 1;
  if (argIs(call, i, "km")) return 1000;
  if (argIs(call, i, "ft")) return 0.3048;
  if (argIs(call, i, "mi")) return 1609.34;
  throw UNIT_ERROR;
}

/** Longitude and latitude in arguments `i` and `i + 1`. @throws ReplyError */
export function argPosition(call: Call, i: number, point: Point): void {
  point.longitude = argDouble(call, i);
  point.latitude = argDouble(call, i + 1);
  if (Math.abs(point.longitude) <= LONGITUDE_MAX && Math.abs(point.latitude) <= LATITUDE_MAX)
    return;
  const shown = `${shownDegrees(point.longitude)},${shownDegrees(point.latitude)}`;
  throw new ReplyError(`ERR invalid longitude,latitude pair ${shown}`);
}

/** As `%f`. */
function shownDegrees(degrees: number): string {
  if (!Number.isFinite(degrees)) return degrees > 0 ? "inf" : "-inf";
  return Math.abs(degrees) < 1e21 ? degrees.toFixed(6) : `${BigInt(degrees)}.000000`;
}

/** Replies a distance, as a bulk with four decimals. */
export function replyDistance(call: Call, distance: number): void {
  call.out.bulkText(formatFixed4(distance));
}

/** Replies a position as an array of two bulks. */
export function replyPosition(call: Call, point: Point): void {
  call.out.array(2);
  call.out.bulkText(formatFixed17(point.longitude));
  call.out.bulkText(formatFixed17(point.latitude));
}

/** The score of the member in argument `i`, NaN when it is none; `head` may be 0. */
export function scoreOfArg(call: Call, head: number, i: number): number {
  if (head === 0) return Number.NaN;
  return zsetScore(call.arena, head, call.buf, argStart(call, i), argEnd(call, i));
}

const first: Point = { longitude: 0, latitude: 0 };
const second: Point = { longitude: 0, latitude: 0 };

function add(call: Call): void {
  let ifMissing = false;
  let ifPresent = false;
  let countsChanged = false;
  let from = 2;
  for (; from < call.argc; from++) {
    if (argIs(call, from, "nx")) ifMissing = true;
    else if (argIs(call, from, "xx")) ifPresent = true;
    else if (argIs(call, from, "ch")) countsChanged = true;
    else break;
  }
  const words = call.argc - from;
  if (words === 0 || words % 3 !== 0 || (ifMissing && ifPresent)) failSyntax();
  for (let i = from; i < call.argc; i += 3) argPosition(call, i, first);
  checkMemberLengths(call, from + 2, 3);
  const entry = writeTyped(call, 1, ZSET);
  if (entry === 0 && ifPresent) {
    call.out.integer(0);
    return;
  }
  const head = headToGrow(call, 1, ZSET, entry);
  const before = zsetLength(call.arena, head);
  let changed = 0;
  for (let i = from; i < call.argc; i += 3) {
    const isThere = !Number.isNaN(scoreOfArg(call, head, i + 2));
    if (isThere ? ifMissing : ifPresent) continue;
    if (addAt(call, head, i)) changed++;
  }
  call.dirty += changed;
  call.out.integer(countsChanged ? changed : zsetLength(call.arena, head) - before);
}

/**
 * Longitude, latitude and member are the arguments from `i` on. Returns whether it changed
 * anything.
 */
function addAt(call: Call, head: number, i: number): boolean {
  argPosition(call, i, first);
  const score = encodePosition(first.longitude, first.latitude);
  const from = argStart(call, i + 2);
  return zsetSet(call.arena, head, call.buf, from, argEnd(call, i + 2), score) !== SCORE_SAME;
}

function positions(call: Call): void {
  const head = readHead(call, 1, ZSET);
  call.out.array(call.argc - 2);
  for (let i = 2; i < call.argc; i++) {
    const score = scoreOfArg(call, head, i);
    if (Number.isNaN(score)) {
      call.out.nilArray();
      continue;
    }
    decodePosition(score, first);
    replyPosition(call, first);
  }
}

function hashes(call: Call): void {
  const head = readHead(call, 1, ZSET);
  call.out.array(call.argc - 2);
  for (let i = 2; i < call.argc; i++) {
    const score = scoreOfArg(call, head, i);
    if (Number.isNaN(score)) call.out.nil();
    else call.out.bulkText(geohashText(score));
  }
}

function distance(call: Call): void {
  if (call.argc > 5) failSyntax();
  const unitMeters = call.argc === 5 ? argUnit(call, 4) : 1;
  const head = readHead(call, 1, ZSET);
  const from = scoreOfArg(call, head, 2);
  const to = scoreOfArg(call, head, 3);
  if (Number.isNaN(from) || Number.isNaN(to)) {
    call.out.nil();
    return;
  }
  decodePosition(from, first);
  decodePosition(to, second);
  const meters = distanceMeters(first.longitude, first.latitude, second.longitude, second.latitude);
  replyDistance(call, meters / unitMeters);
}

export const GEO_HANDLERS = {
  GEOADD: add,
  GEODIST: distance,
  GEOHASH: hashes,
  GEOPOS: positions,
} as const satisfies Record<string, Handler>;
