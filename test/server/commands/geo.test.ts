import { describe, test } from "bun:test";
import { besideRedis } from "../../support/beside-redis.ts";
import { exact, type Step } from "../../support/compare.ts";
import { createPrng } from "../../support/prng.ts";

const { compare, compareSteps } = besideRedis();

const SICILY =
  "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania 13.583333 37.316667 Agrigento";

describe("Geo commands answer as redis-server does", () => {
  test("GEOADD and what it stores", () =>
    compare(`
      ${SICILY}
      GEOADD g NX 0 0 Palermo 0 0 new
      GEOADD g XX CH 1 1 new 2 2 other
      GEOADD g CH 1 1 new 3 3 third
      ZRANGE g 0 -1 WITHSCORES
      GEOADD g NX XX 1 1 a
      GEOADD g 1 1
      GEOADD g 1 1 a 2
      GEOADD g NX CH XX
      GEOADD g x 1 a
      GEOADD g 181 1 a
      GEOADD g 1 86 a
      GEOADD g inf 1 a
      GEOADD g -180.5 -90 a
      GEOADD none XX 1 1 a
      GEOADD edge 180 85.05112878 a -180 -85.05112878 b
      ZRANGE edge 0 -1 WITHSCORES
      GEOPOS edge a b
      GEOPOS g Palermo none Catania
      GEOPOS none a
      GEOPOS g
      GEOHASH g Palermo none Catania
      GEOHASH none a
      GEODIST g Palermo Catania
      GEODIST g Palermo Catania km
      GEODIST g Palermo Catania MI
      GEODIST g Palermo Catania ft
      GEODIST g Palermo Catania yd
      GEODIST g Palermo none
      GEODIST none a b
      GEODIST g Palermo Palermo
      GEODIST g a b m x
    `));

  test("searches and their options", () =>
    compare(`
      ${SICILY}
      GEORADIUS g 15 37 200 km
      GEORADIUS g 15 37 200 km ASC
      GEORADIUS g 15 37 200 km DESC WITHDIST
      GEORADIUS g 15 37 200 km WITHCOORD WITHDIST WITHHASH ASC
      GEORADIUS g 15 37 200 km COUNT 1
      GEORADIUS g 15 37 200 km COUNT 1 ANY
      GEORADIUS g 15 37 1 km
      GEORADIUS_RO g 15 37 200 km ASC
      GEORADIUSBYMEMBER g Agrigento 100 km ASC
      GEORADIUSBYMEMBER_RO g Agrigento 100 km DESC WITHDIST
      GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC
      GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHCOORD WITHDIST
      GEOSEARCH g FROMMEMBER Palermo BYBOX 300 10 km
      GEOSEARCH g FROMMEMBER Palermo BYRADIUS 0 m
      GEOSEARCH g BYRADIUS 500 mi FROMMEMBER Palermo DESC COUNT 2
      GEOSEARCHSTORE d g FROMLONLAT 15 37 BYBOX 400 400 km
      ZRANGE d 0 -1 WITHSCORES
      GEOSEARCHSTORE d g FROMLONLAT 15 37 BYBOX 400 400 km COUNT 2 STOREDIST
      GEORADIUS g 15 37 200 km STORE d
      ZRANGE d 0 -1 WITHSCORES
      GEORADIUS g 15 37 1 m STORE d
      GET d
      GEORADIUSBYMEMBER g Palermo 200 km STORE g
      ZRANGE g 0 -1
      GEORADIUS none 15 37 200 km
      GEORADIUS none 15 37 200 km STORE d
      GEORADIUSBYMEMBER none a x y
      GEOSEARCH none FROMMEMBER a BYRADIUS 1 m
      GEOSEARCHSTORE d none FROMMEMBER a BYRADIUS 1 m
    `));

  test("errors", () =>
    compare(`
      ${SICILY}
      SET x v
      GEOADD x 1 1 a
      GEOADD x 181 1 a
      GEOPOS x a
      GEOHASH x a
      GEODIST x a b
      GEODIST x a b yd
      GEORADIUS x 1 1 1 m
      GEORADIUS x a 1 1 m
      GEORADIUSBYMEMBER x a 1 m
      GEOSEARCH x FROMLONLAT 1 1 BYRADIUS 1 m
      GEOSEARCHSTORE d x FROMLONLAT 1 1 BYRADIUS 1 m
      GEORADIUS g 181 1 1 m
      GEORADIUS g a 1 1 m
      GEORADIUS g 1 1 a m
      GEORADIUS g 1 1 -1 m
      GEORADIUS g 1 1 1 yd
      GEORADIUS none 1 1 -1 m
      GEORADIUS g 1 1 1 m COUNT
      GEORADIUS g 1 1 1 m COUNT 0
      GEORADIUS g 1 1 1 m COUNT x
      GEORADIUS g 1 1 1 m ANY
      GEORADIUS g 1 1 1 m BAD
      GEORADIUS g 1 1 1 m STORE
      GEORADIUS g 1 1 1 m WITHDIST STORE d
      GEORADIUS_RO g 1 1 1 m STORE d
      GEORADIUS g 1 1 1 m FROMMEMBER Palermo
      GEORADIUSBYMEMBER g none 1 m
      GEORADIUSBYMEMBER g Palermo x m
      GEOSEARCH g FROMMEMBER none BYRADIUS 1 m
      GEOSEARCH g FROMMEMBER Palermo FROMLONLAT 1 1 BYRADIUS 1 m
      GEOSEARCH g FROMLONLAT 1 1 FROMMEMBER Palermo BYRADIUS 1 m
      GEOSEARCH g FROMLONLAT 1 1 BYRADIUS 1 m BYBOX 1 1 m
      GEOSEARCH g FROMLONLAT 1 1 BYBOX 1 1 m BYRADIUS 1 m
      GEOSEARCH g FROMLONLAT 1 1 ASC WITHDIST WITHHASH WITHCOORD
      GeoSearch g BYRADIUS 1 m ASC WITHDIST WITHHASH WITHCOORD
      GEOSEARCH g FROMLONLAT 1 1 BYRADIUS x m
      GEOSEARCH g FROMLONLAT 1 1 BYBOX x 1 m
      GEOSEARCH g FROMLONLAT 1 1 BYBOX 1 x m
      GEOSEARCH g FROMLONLAT 1 1 BYBOX 1 -1 m
      GEOSEARCH g FROMLONLAT 1 1 BYBOX 1 1 yd
      GEOSEARCH g FROMLONLAT 1 1 BYRADIUS 1 m STOREDIST
      GEOSEARCH g FROMLONLAT 1 1 BYRADIUS 1 m STORE d
      GEOSEARCHSTORE d g FROMLONLAT 1 1 BYRADIUS 1 m WITHDIST
      GEOSEARCHSTORE d g FROMMEMBER Palermo ASC COUNT 1 STOREDIST
    `));
});

test("Random searches answer as redis-server does", async () => {
  const random = createPrng();
  const longitude = (): number => random.int(360_000_000) / 1e6 - 180;
  const latitude = (): number => random.int(170_000_000) / 1e6 - 85;
  const steps: Step[] = [];
  for (let i = 0; i < 2000; i++) {
    // Half of them near each other.
    const isNear = i % 2 === 0;
    const x = isNear ? 2 + random.int(1e6) / 1e6 : longitude();
    const y = isNear ? 48 + random.int(1e6) / 1e6 : latitude();
    steps.push(exact("GEOADD", "g", x, y, `m${i}`));
  }
  for (let i = 0; i < 1500; i++) {
    const x = random.oneIn(2) ? 2.500371 : longitude();
    const y = random.oneIn(2) ? 48.500173 : latitude();
    const size = Math.round(10 ** (random.int(38) / 10) * 100) / 100;
    const shape = random.oneIn(2) ? ["BYRADIUS", size] : ["BYBOX", size, size / 2];
    const rest = random.pick([
      [],
      ["ASC"],
      ["DESC", "COUNT", 5],
      ["COUNT", 3, "ANY"],
      ["WITHDIST"],
    ]);
    steps.push(exact("GEOSEARCH", "g", "FROMLONLAT", x, y, ...shape, "km", ...rest));
    // In km, since the last bit of a sine is not the same everywhere: metres show it too often.
    steps.push(exact("GEODIST", "g", `m${random.int(2000)}`, `m${random.int(2000)}`, "km"));
    steps.push(exact("GEOPOS", "g", `m${random.int(2000)}`));
    steps.push(exact("GEOHASH", "g", `m${random.int(2000)}`));
  }
  await compareSteps(steps, `(seed ${random.seed})`);
});
