import { describe, expect, test } from "bun:test";
import {
  decodePosition,
  distanceInside,
  distanceMeters,
  encodePosition,
  geohashText,
  LATITUDE_MAX,
  type Point,
  rangesCovering,
  type SearchArea,
} from "../../src/server/geohash.ts";
import { createPrng } from "../support/prng.ts";

function decoded(hash: number): Point {
  const point: Point = { longitude: 0, latitude: 0 };
  decodePosition(hash, point);
  return point;
}

function circle(longitude: number, latitude: number, radius: number): SearchArea {
  return { longitude, latitude, box: false, radius, width: 0, height: 0 };
}

describe("Geohashes", () => {
  test("are those of Redis' documentation", () => {
    const palermo = encodePosition(13.361389, 38.115556);
    expect(palermo).toBe(3479099956230698);
    expect(geohashText(palermo)).toBe("sqc8b49rny0");
    expect(decoded(palermo)).toEqual({
      longitude: 13.361389338970184,
      latitude: 38.1155563954963,
    });
  });

  test("decode to less than a metre beside what was encoded", () => {
    const random = createPrng();
    for (let i = 0; i < 5000; i++) {
      const longitude = random.int(3_600_000) / 10_000 - 180;
      const latitude = random.int(1_700_000) / 10_000 - 85;
      const back = decoded(encodePosition(longitude, latitude));
      const off = distanceMeters(longitude, latitude, back.longitude, back.latitude);
      expect(off, `seed ${random.seed}`).toBeLessThan(1);
    }
  });

  test("exist for the edges of the map", () => {
    for (const longitude of [-180, 0, 180]) {
      for (const latitude of [-LATITUDE_MAX, 0, LATITUDE_MAX]) {
        const back = decoded(encodePosition(longitude, latitude));
        expect(Math.abs(back.longitude - longitude)).toBeLessThan(0.0001);
        expect(Math.abs(back.latitude - latitude)).toBeLessThan(0.0001);
      }
    }
  });
});

test("The cells of a search cover everything inside it", () => {
  const random = createPrng();
  for (let i = 0; i < 20_000; i++) {
    const longitude = random.int(340_000) / 1000 - 170;
    const latitude = random.int(120_000) / 1000 - 60;
    const radius = 10 ** (random.int(60) / 10);
    const box = random.oneIn(2);
    const area = { ...circle(longitude, latitude, radius), box, width: radius, height: radius / 2 };
    const spread = (radius / 100_000) * (random.int(2000) / 1000 - 1);
    const point = decoded(
      encodePosition(
        Math.max(-180, Math.min(180, longitude + spread * (random.int(200) / 100))),
        Math.max(-85, Math.min(85, latitude + spread)),
      ),
    );
    if (distanceInside(area, point) < 0) continue;
    const score = encodePosition(point.longitude, point.latitude);
    const covers = rangesCovering(area).some(({ min, max }) => score >= min && score < max);
    expect(covers, `seed ${random.seed} ${JSON.stringify(area)} ${JSON.stringify(point)}`).toBe(
      true,
    );
  }
});

test("A search has at most nine cells, none of them twice", () => {
  for (const radius of [0, 1, 1000, 100_000, 5_000_000, 30_000_000]) {
    const ranges = rangesCovering(circle(2.3, 48.9, radius));
    expect(ranges.length).toBeLessThanOrEqual(9);
    expect(new Set(ranges.map(({ min }) => min)).size).toBe(ranges.length);
  }
});
