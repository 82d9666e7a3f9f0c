/**
 * Pure: positions on earth as 52-bit numbers that sort by neighbourhood, and the cells a search has
 * to look at.
 *
 * A cell of step s is column x and row y of a grid of 2^s by 2^s; its hash interleaves the bits of
 * both, x in the higher bit of each pair. Step 26 gives 52 bits, exact in a double: the score of a
 * member. All members of a cell of a smaller step lie in one range of scores.
 * Source: redis 7.0 src/geohash.c, src/geohash_helper.c (formulas, constants and order of the
 * cells, on which the order of unsorted answers depends).
 */

import { assert } from "../base/assert.ts";

export const LONGITUDE_MAX = 180;
/** Where the Mercator projection ends, EPSG:900913. */
export const LATITUDE_MAX = 85.05112878;

/** Step of the hashes that are stored. */
const STEP_MAX = 26;

const EARTH_RADIUS_METERS = 6372797.560856;
const MERCATOR_MAX_METERS = 20037726.37;
const RADIANS_PER_DEGREE = Math.PI / 180;

export interface Point {
  longitude: number;
  latitude: number;
}

/** What a search asks for: around `longitude`, `latitude`, a circle or a box; lengths in metres. */
export interface SearchArea {
  longitude: number;
  latitude: number;
  box: boolean;
  radius: number;
  width: number;
  height: number;
}

/** Scores `[min, max)` of one cell. */
export interface ScoreRange {
  min: number;
  max: number;
}

/** The 52-bit hash of a position. `latitudeMax` is 90 for the hashes of geohash.org. */
export function encodePosition(
  longitude: number,
  latitude: number,
  latitudeMax = LATITUDE_MAX,
): number {
  const x = gridIndex(longitude, LONGITUDE_MAX, STEP_MAX);
  const y = gridIndex(latitude, latitudeMax, STEP_MAX);
  return interleave(x, y);
}

/** The middle of the cell that `hash` (52 bits) names, into `point`. */
export function decodePosition(hash: number, point: Point): void {
  const high = Math.floor(hash / 2 ** 26);
  const low = hash % 2 ** 26;
  const x = squash(high >>> 1) * 2 ** 13 + squash(low >>> 1);
  const y = squash(high) * 2 ** 13 + squash(low);
  const west = edge(x, LONGITUDE_MAX, STEP_MAX);
  const south = edge(y, LATITUDE_MAX, STEP_MAX);
  const longitude = (west + edge(x + 1, LONGITUDE_MAX, STEP_MAX)) / 2;
  const latitude = (south + edge(y + 1, LATITUDE_MAX, STEP_MAX)) / 2;
  point.longitude = Math.max(-LONGITUDE_MAX, Math.min(LONGITUDE_MAX, longitude));
  point.latitude = Math.max(-LATITUDE_MAX, Math.min(LATITUDE_MAX, latitude));
}

const ALPHABET = "0123456789bcdefghjkmnpqrstuvwxyz";

/** The eleven characters of geohash.org for a stored `hash`; the last is always `0`. */
export function geohashText(hash: number): string {
  const point: Point = { longitude: 0, latitude: 0 };
  decodePosition(hash, point);
  let rest = encodePosition(point.longitude, point.latitude, 90);
  let text = "";
  rest = Math.floor(rest / 4); // 52 bits are ten groups of five and two bits nobody prints
  for (let i = 0; i < 10; i++) {
    text = ALPHABET[rest % 32]! + text;
    rest = Math.floor(rest / 32);
  }
  return `${text}0`;
}

/** Metres between two positions on a sphere (haversine). */
export function distanceMeters(
  longitude1: number,
  latitude1: number,
  longitude2: number,
  latitude2: number,
): number {
  const longitudeDelta = longitude2 * RADIANS_PER_DEGREE - longitude1 * RADIANS_PER_DEGREE;
  const v = Math.sin(longitudeDelta / 2);
  if (v === 0) return latitudeDistance(latitude1, latitude2);
  const radians1 = latitude1 * RADIANS_PER_DEGREE;
  const radians2 = latitude2 * RADIANS_PER_DEGREE;
  const u = Math.sin((radians2 - radians1) / 2);
  const a = u * u + Math.cos(radians1) * Math.cos(radians2) * v * v;
  return 2 * EARTH_RADIUS_METERS * Math.asin(Math.sqrt(a));
}

function latitudeDistance(latitude1: number, latitude2: number): number {
  return (
    EARTH_RADIUS_METERS * Math.abs(latitude2 * RADIANS_PER_DEGREE - latitude1 * RADIANS_PER_DEGREE)
  );
}

/** Metres from the middle of `area` to `point` when it lies inside, else -1. */
export function distanceInside(area: SearchArea, point: Point): number {
  if (!area.box) {
    const distance = distanceMeters(area.longitude, area.latitude, point.longitude, point.latitude);
    return distance > area.radius ? -1 : distance;
  }
  if (latitudeDistance(point.latitude, area.latitude) > area.height / 2) return -1;
  const across = distanceMeters(point.longitude, point.latitude, area.longitude, point.latitude);
  if (across > area.width / 2) return -1;
  return distanceMeters(area.longitude, area.latitude, point.longitude, point.latitude);
}

/**
 * The ranges of scores that hold everything inside `area`, at most nine, in the order Redis visits
 * them: the middle cell, north, south, east, west, then the corners.
 */
export function rangesCovering(area: SearchArea): ScoreRange[] {
  const bounds = boundsOf(area);
  const radius = area.box
    ? Math.sqrt((area.width / 2) * (area.width / 2) + (area.height / 2) * (area.height / 2))
    : area.radius;
  let step = stepForRadius(radius, area.latitude);
  if (step > 1 && !neighboursReach(area, step, bounds)) step--;
  const x = gridIndex(area.longitude, LONGITUDE_MAX, step);
  const y = gridIndex(area.latitude, LATITUDE_MAX, step);
  const skip = step >= 2;
  const skipSouth = skip && edge(y, LATITUDE_MAX, step) < bounds.south;
  const skipNorth = skip && edge(y + 1, LATITUDE_MAX, step) > bounds.north;
  const skipWest = skip && edge(x, LONGITUDE_MAX, step) < bounds.west;
  const skipEast = skip && edge(x + 1, LONGITUDE_MAX, step) > bounds.east;
  const ranges: ScoreRange[] = [];
  let last: ScoreRange | undefined;
  for (let i = 0; i < NEIGHBOURS.length; i++) {
    const { dx, dy } = NEIGHBOURS[i]!;
    if ((dy < 0 && skipSouth) || (dy > 0 && skipNorth)) continue;
    if ((dx < 0 && skipWest) || (dx > 0 && skipEast)) continue;
    const range = rangeOfCell(moved(x, dx, 2 ** step), moved(y, dy, 2 ** step), step);
    // Around the whole earth a cell is its own neighbour. Redis compares with the cell before, but
    // never with the middle one.
    if (last !== undefined && last.min === range.min) continue;
    ranges.push(range);
    if (i > 0) last = range;
  }
  return ranges;
}

const NEIGHBOURS: readonly { readonly dx: number; readonly dy: number }[] = [
  { dx: 0, dy: 0 },
  { dx: 0, dy: 1 },
  { dx: 0, dy: -1 },
  { dx: 1, dy: 0 },
  { dx: -1, dy: 0 },
  { dx: 1, dy: 1 },
  { dx: -1, dy: 1 },
  { dx: 1, dy: -1 },
  { dx: -1, dy: -1 },
];

interface Bounds {
  readonly west: number;
  readonly south: number;
  readonly east: number;
  readonly north: number;
}

function boundsOf(area: SearchArea): Bounds {
  const height = area.box ? area.height / 2 : area.radius;
  const width = area.box ? area.width / 2 : area.radius;
  const latitudeDelta = height / EARTH_RADIUS_METERS / RADIANS_PER_DEGREE;
  // The circles of latitude are shorter towards the pole: the edge nearer to it spans more degrees.
  const nearPole =
    area.latitude < 0 ? area.latitude - latitudeDelta : area.latitude + latitudeDelta;
  const longitudeDelta =
    width / EARTH_RADIUS_METERS / Math.cos(nearPole * RADIANS_PER_DEGREE) / RADIANS_PER_DEGREE;
  return {
    west: area.longitude - longitudeDelta,
    south: area.latitude - latitudeDelta,
    east: area.longitude + longitudeDelta,
    north: area.latitude + latitudeDelta,
  };
}

/** The finest step whose nine cells cover a circle of `radius` metres, but for odd places. */
function stepForRadius(radius: number, latitude: number): number {
  if (radius === 0) return STEP_MAX;
  let step = 1;
  for (let range = radius; range < MERCATOR_MAX_METERS; range *= 2) step++;
  step -= 2;
  if (Math.abs(latitude) > 66) step--;
  if (Math.abs(latitude) > 80) step--;
  return Math.max(1, Math.min(STEP_MAX, step));
}

/** Whether the nine cells of `step` reach the bounds; wrong at the limits of the estimate. */
function neighboursReach(area: SearchArea, step: number, bounds: Bounds): boolean {
  const size = 2 ** step;
  const x = gridIndex(area.longitude, LONGITUDE_MAX, step);
  const y = gridIndex(area.latitude, LATITUDE_MAX, step);
  return (
    edge(wrap(y + 1, size) + 1, LATITUDE_MAX, step) >= bounds.north &&
    edge(wrap(y - 1, size), LATITUDE_MAX, step) <= bounds.south &&
    edge(wrap(x + 1, size) + 1, LONGITUDE_MAX, step) >= bounds.east &&
    edge(wrap(x - 1, size), LONGITUDE_MAX, step) <= bounds.west
  );
}

function rangeOfCell(x: number, y: number, step: number): ScoreRange {
  const hash = interleave(x, y);
  const scale = 4 ** (STEP_MAX - step);
  return { min: hash * scale, max: (hash + 1) * scale };
}

/** The index of a neighbour. The limit of the map (180 degrees) is an index of its own: 2^step. */
function moved(index: number, by: number, size: number): number {
  return by === 0 ? index : wrap(index + by, size);
}

function wrap(index: number, size: number): number {
  return (index + size) % size;
}

/** Column or row of a coordinate between -max and +max. */
function gridIndex(degrees: number, max: number, step: number): number {
  const index = Math.floor(((degrees + max) / (max + max)) * 2 ** step);
  assert(index >= 0 && index <= 2 ** step, "a coordinate was checked before it is encoded");
  return index;
}

/** Lower edge, in degrees, of the column or row `index`. */
function edge(index: number, max: number, step: number): number {
  return -max + (index / 2 ** step) * (max + max);
}

/** Bits of `x` and `y` (26 each) in turn, x above y. */
function interleave(x: number, y: number): number {
  const low = (spread(x & 0x1fff) << 1) | spread(y & 0x1fff);
  const high = (spread((x >>> 13) & 0x3fff) << 1) | spread((y >>> 13) & 0x3fff);
  return high * 2 ** 26 + low;
}

/** Bits 0..14 of `value` moved to the even bits. */
function spread(value: number): number {
  let bits = value;
  bits = (bits | (bits << 8)) & 0x00ff00ff;
  bits = (bits | (bits << 4)) & 0x0f0f0f0f;
  bits = (bits | (bits << 2)) & 0x33333333;
  return (bits | (bits << 1)) & 0x55555555;
}

/** The even bits of `value` moved together: undoes `spread`. */
function squash(value: number): number {
  let bits = value & 0x55555555;
  bits = (bits | (bits >>> 1)) & 0x33333333;
  bits = (bits | (bits >>> 2)) & 0x0f0f0f0f;
  bits = (bits | (bits >>> 4)) & 0x00ff00ff;
  return (bits | (bits >>> 8)) & 0x0000ffff;
}
