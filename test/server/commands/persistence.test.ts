import { expect, test } from "bun:test";
import { besideRedis } from "../../support/beside-redis.ts";
import { OwnServer } from "../../support/compare.ts";

const { compare } = besideRedis();

test("SAVE, BGSAVE, LASTSAVE and SHUTDOWN read their arguments as redis-server does", async () => {
  await compare(`
    SAVE
    SAVE now
    #LASTSAVE
    LASTSAVE x
    BGSAVE later
    BGSAVE SCHEDULE x
    BGSAVE schedule
    SHUTDOWN ABORT
    SHUTDOWN abort now
    SHUTDOWN SAVE NOSAVE
    SHUTDOWN nosave later
  `);
});

test("The save points of CONFIG are set, refused and shown as by redis-server", async () => {
  await compare(`
    CONFIG SET save ""
    CONFIG GET save
    CONFIG SET save "3600 1 300 100 60 10000"
    CONFIG GET save
    CONFIG SET save "3600 1  300 100"
    CONFIG SET save "3600 1 "
    CONFIG SET save "100"
    CONFIG SET save "0 1"
    CONFIG SET save "10 -1"
    CONFIG SET save "ten 1"
    CONFIG SET save "10 0"
    CONFIG GET save
    CONFIG GET dbfilename
    CONFIG GET rdbchecksum
    CONFIG SET stop-writes-on-bgsave-error no
    CONFIG GET stop-writes-on-bgsave-error
    CONFIG SET stop-writes-on-bgsave-error yes
    CONFIG SET save ""
  `);
});

test("The default save points are those of redis-server", () => {
  expect(new OwnServer().show("CONFIG", "GET", "save")).toEqual([
    "$save",
    "$3600 1 300 100 60 10000",
  ]);
});
