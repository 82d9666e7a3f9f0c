/**
 * Searches for members in a circle or a box, replied or stored.
 *
 *   centre, shape ──> cells that cover it ──> ranges of scores ──> members inside ──> order, COUNT
 *
 * Source of texts and details, also of which argument is looked at first: Redis 7.0 src/geo.c
 * (`georadiusGeneric`), one function there for the old and the new commands.
 */

import {
  argEnd,
  argInteger,
  argIs,
  argStart,
  argText,
  type Call,
  failSyntax,
  type Handler,
} from "../call.ts";
import { parseDouble } from "../double.ts";
import {
  decodePosition,
  distanceInside,
  type Point,
  rangesCovering,
  type ScoreRange,
  type SearchArea,
} from "../geohash.ts";
import { ReplyError } from "../replies.ts";
import { type ByteRange, createByteRange } from "../types/byte-range.ts";
import { ZSET } from "../types/value-type.ts";
import { createZset, ZsetWalk, zsetCountBelowScore, zsetSet } from "../types/zset.ts";
import { checkKeyLength, readHead, replyRange, storeHead } from "./collections.ts";
import { argPosition, argUnit, replyDistance, replyPosition, scoreOfArg } from "./geo.ts";

const RADIUS_ERROR = new ReplyError("ERR need numeric radius");
const NEGATIVE_RADIUS_ERROR = new ReplyError("ERR radius cannot be negative");
const WIDTH_ERROR = new ReplyError("ERR need numeric width");
const HEIGHT_ERROR = new ReplyError("ERR need numeric height");
const NEGATIVE_BOX_ERROR = new ReplyError("ERR height or width cannot be negative");
const COUNT_ERROR = new ReplyError("ERR COUNT must be > 0");
const ANY_ERROR = new ReplyError("ERR the ANY argument requires COUNT argument");
const MEMBER_ERROR = new ReplyError("ERR could not decode requested zset member");

interface Search {
  /** The sorted set, 0 when there is none. */
  readonly head: number;
  readonly area: SearchArea;
  /** Metres of the unit that distances are replied in. */
  unitMeters: number;
  hasCentre: "" | "member" | "position";
  hasShape: "" | "radius" | "box";
  withDistance: boolean;
  withHash: boolean;
  withPosition: boolean;
  order: "none" | "asc" | "desc";
  /** 0 for all. */
  count: number;
  /** Any `count` members, not the nearest. */
  isAny: boolean;
  /** Argument that is the key to store at; 0 for none. */
  target: number;
  storesDistance: boolean;
}

/** A member found. */
interface Place extends Point {
  readonly member: ByteRange;
  readonly score: number;
  /** Metres from the centre. */
  readonly distance: number;
}

function createSearch(head: number): Search {
  return {
    head,
    area: { longitude: 0, latitude: 0, box: false, radius: 0, width: 0, height: 0 },
    unitMeters: 1,
    hasCentre: "",
    hasShape: "",
    withDistance: false,
    withHash: false,
    withPosition: false,
    order: "none",
    count: 0,
    isAny: false,
    target: 0,
    storesDistance: false,
  };
}

/** Argument `i`, a length. @throws ReplyError with `error` */
function argLength(call: Call, i: number, error: ReplyError): number {
  const length = parseDouble(call.buf, argStart(call, i), argEnd(call, i));
  if (Number.isNaN(length)) throw error;
  return length;
}

/** Radius and unit in arguments `i` and `i + 1`. */
function readRadius(call: Call, i: number, search: Search): void {
  const radius = argLength(call, i, RADIUS_ERROR);
  if (radius < 0) throw NEGATIVE_RADIUS_ERROR;
  search.unitMeters = argUnit(call, i + 1);
  search.area.radius = radius * search.unitMeters;
}

/** Width, height and unit in the arguments from `i` on. */
function readBox(call: Call, i: number, search: Search): void {
  const width = argLength(call, i, WIDTH_ERROR);
  const height = argLength(call, i + 1, HEIGHT_ERROR);
  if (width < 0 || height < 0) throw NEGATIVE_BOX_ERROR;
  search.unitMeters = argUnit(call, i + 2);
  search.area.box = true;
  search.area.width = width * search.unitMeters;
  search.area.height = height * search.unitMeters;
}

/** The position of the member in argument `i` becomes the centre; of none when there is no key. */
function readCentreMember(call: Call, i: number, search: Search): void {
  search.hasCentre = "member";
  if (search.head === 0) return;
  const score = scoreOfArg(call, search.head, i);
  if (Number.isNaN(score)) throw MEMBER_ERROR;
  decodePosition(score, search.area);
}

/** What the words of a search may be, beside those that all have. */
type Words = "radius" | "radius-readonly" | "search" | "search-store";

function readOptions(call: Call, from: number, search: Search, words: Words): void {
  for (let i = from; i < call.argc; i++) {
    const taken = readCommonOption(call, i, search) || readWordsOption(call, i, search, words);
    if (taken === 0) failSyntax();
    i += taken - 1;
  }
}

/** Returns how many arguments the option at `i` takes; 0 when it is none of these. */
function readCommonOption(call: Call, i: number, search: Search): number {
  if (argIs(call, i, "withdist")) search.withDistance = true;
  else if (argIs(call, i, "withhash")) search.withHash = true;
  else if (argIs(call, i, "withcoord")) search.withPosition = true;
  else if (argIs(call, i, "any")) search.isAny = true;
  else if (argIs(call, i, "asc")) search.order = "asc";
  else if (argIs(call, i, "desc")) search.order = "desc";
  else if (i + 1 < call.argc && argIs(call, i, "count")) {
    search.count = argInteger(call, i + 1);
    if (search.count <= 0) throw COUNT_ERROR;
    return 2;
  } else return 0;
  return 1;
}

function readWordsOption(call: Call, i: number, search: Search, words: Words): number {
  const left = call.argc - i - 1;
  if (words === "radius-readonly") return 0;
  if (words === "radius") {
    const storesDistance = argIs(call, i, "storedist");
    if (left < 1 || !(storesDistance || argIs(call, i, "store"))) return 0;
    search.target = i + 1;
    search.storesDistance = storesDistance;
    return 2;
  }
  if (left >= 1 && argIs(call, i, "frommember") && search.hasCentre !== "position") {
    readCentreMember(call, i + 1, search);
    return 2;
  }
  if (left >= 2 && argIs(call, i, "fromlonlat") && search.hasCentre !== "member") {
    argPosition(call, i + 1, search.area);
    search.hasCentre = "position";
    return 3;
  }
  if (left >= 2 && argIs(call, i, "byradius") && search.hasShape !== "box") {
    readRadius(call, i + 1, search);
    search.hasShape = "radius";
    return 3;
  }
  if (left >= 3 && argIs(call, i, "bybox") && search.hasShape !== "radius") {
    readBox(call, i + 1, search);
    search.hasShape = "box";
    return 4;
  }
  if (words !== "search-store" || !argIs(call, i, "storedist")) return 0;
  search.storesDistance = true;
  return 1;
}

function checkOptions(call: Call, search: Search, words: Words): void {
  if (search.target !== 0 && (search.withDistance || search.withHash || search.withPosition)) {
    const what = words === "search-store" ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS";
    throw new ReplyError(
      `ERR ${what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options`,
    );
  }
  if (words === "search" || words === "search-store") {
    const name = argText(call, 0);
    if (search.hasCentre === "") {
      throw new ReplyError(
        `ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for ${name}`,
      );
    }
    if (search.hasShape === "") {
      throw new ReplyError(`ERR exactly one of BYRADIUS and BYBOX can be specified for ${name}`);
    }
  }
  if (search.isAny && search.count === 0) throw ANY_ERROR;
  if (search.target !== 0) checkKeyLength(call, search.target);
}

const walk = new ZsetWalk();
const point: Point = { longitude: 0, latitude: 0 };

/** Adds the members of a cell that are inside; stops when there are `limit` (0: never). */
function collectCell(
  call: Call,
  search: Search,
  { min, max }: ScoreRange,
  limit: number,
  places: Place[],
): void {
  const rank = zsetCountBelowScore(call.arena, search.head, min, false);
  walk.begin(call.arena, search.head, rank, false);
  while ((limit === 0 || places.length < limit) && walk.next() && walk.score < max) {
    decodePosition(walk.score, point);
    const distance = distanceInside(search.area, point);
    if (distance < 0) continue;
    const member = Object.assign(createByteRange(), walk.member);
    places.push({ ...point, member, score: walk.score, distance });
  }
}

/** The members asked for, in the order asked for. */
function find(call: Call, search: Search): Place[] {
  if (search.head === 0) return [];
  const places: Place[] = [];
  const limit = search.isAny ? search.count : 0;
  for (const range of rangesCovering(search.area)) {
    collectCell(call, search, range, limit, places);
  }
  // The first of any order would be as good as any: COUNT means the nearest, unless ANY.
  const order = search.order === "none" && search.count > 0 && !search.isAny ? "asc" : search.order;
  if (order === "asc") places.sort((a, b) => a.distance - b.distance);
  else if (order === "desc") places.sort((a, b) => b.distance - a.distance);
  return search.count > 0 ? places.slice(0, search.count) : places;
}

function reply(call: Call, search: Search): void {
  const places = find(call, search);
  const extras =
    Number(search.withDistance) + Number(search.withHash) + Number(search.withPosition);
  call.out.array(places.length);
  for (const place of places) {
    if (extras > 0) call.out.array(1 + extras);
    replyRange(call, place.member);
    if (search.withDistance) replyDistance(call, place.distance / search.unitMeters);
    if (search.withHash) call.out.integer(place.score);
    if (search.withPosition) replyPosition(call, place);
  }
}

function store(call: Call, search: Search): void {
  const places = find(call, search);
  const result = createZset(call.arena);
  for (const { member, score, distance } of places) {
    const stored = search.storesDistance ? distance / search.unitMeters : score;
    zsetSet(call.arena, result, member.bytes, member.start, member.end, stored);
  }
  const length = places.length;
  if (storeHead(call, search.target, ZSET, result, length)) call.dirty += Math.max(1, length);
  call.out.integer(length);
}

function answer(call: Call, search: Search): void {
  if (search.target === 0) reply(call, search);
  else store(call, search);
}

/** GEORADIUS and GEORADIUSBYMEMBER, which look at the key before anything else. */
function searchRadius(call: Call, words: Words, isByMember: boolean): void {
  const search = createSearch(readHead(call, 1, ZSET));
  const radius = isByMember ? 3 : 4;
  if (!isByMember) argPosition(call, 2, search.area);
  else readCentreMember(call, 2, search);
  // Without a key there is no centre either, and the radius is not looked at.
  if (!isByMember || search.head !== 0) readRadius(call, radius, search);
  readOptions(call, radius + 2, search, words);
  checkOptions(call, search, words);
  answer(call, search);
}

/** GEOSEARCH and GEOSEARCHSTORE; the key is argument `key`. */
function searchShape(call: Call, words: Words, key: number): void {
  const search = createSearch(readHead(call, key, ZSET));
  if (words === "search-store") search.target = 1;
  readOptions(call, key + 1, search, words);
  checkOptions(call, search, words);
  answer(call, search);
}

export const GEO_SEARCH_HANDLERS = {
  GEORADIUS: (call) => searchRadius(call, "radius", false),
  GEORADIUSBYMEMBER: (call) => searchRadius(call, "radius", true),
  GEORADIUSBYMEMBER_RO: (call) => searchRadius(call, "radius-readonly", true),
  GEORADIUS_RO: (call) => searchRadius(call, "radius-readonly", false),
  GEOSEARCH: (call) => searchShape(call, "search", 1),
  GEOSEARCHSTORE: (call) => searchShape(call, "search-store", 2),
} as const satisfies Record<string, Handler>;
