import { describe, expect, test } from "bun:test";
import { besideRedis } from "../../support/beside-redis.ts";
import { exact, OwnServer } from "../../support/compare.ts";
import { createPrng } from "../../support/prng.ts";

const { compare, compareSteps } = besideRedis();

describe("String commands answer as redis-server does", () => {
  test("SET with every option, good and bad", () =>
    compare(`
      SET a 1
      GET a
      SET a 2 NX
      SET a 3 XX
      SET none 3 XX
      GET none
      SET b 1 NX
      SET b 2 GET
      SET none2 x GET
      GET none2
      SET b 3 NX GET
      SET c 4 NX GET
      SET d 4 XX GET
      SET b 9 EX 100
      TTL b
      SET b 9 PX 100000
      TTL b
      SET b 9 KEEPTTL
      TTL b
      SET b 10
      TTL b
      SET b 10 EXAT 33177117420
      TTL b
      EXPIRETIME b
      SET b 10 PXAT 33177117420000
      PEXPIRETIME b
      SET b 10 EX 0
      SET b 10 EX -1
      SET b 10 PX 0
      SET b 10 EX x
      SET b 10 EX 9223372036854775807
      SET b 10 EX 9223372036854776
      SET b 10 PX 9223372036854775807
      SET b 10 EX
      SET b 10 NX XX
      SET b 10 XX NX
      SET b 10 EX 10 PX 10
      SET b 10 EX 10 KEEPTTL
      SET b 10 KEEPTTL EX 10
      SET b 10 BAD
      SET b 10 EX 10 BAD
      SET b 10 EX x BAD
      SET b 10 ex 10 nx get
      SET b 10 GET GET
      SET b 1 EXAT 1
      EXISTS b
      SET b
      SET
      LPUSH l x
      SET l y GET
      TYPE l
      SET l y
      TYPE l
      GET l
      SET "" empty
      GET ""
      SET e ""
      GET e
      STRLEN e
    `));

  test("SETEX, PSETEX, SETNX, GETSET, GETDEL, GETEX", () =>
    compare(`
      SETEX a 100 v
      TTL a
      SETEX a 0 v
      SETEX a -5 v
      SETEX a x v
      SETEX a 9223372036854775807 v
      PSETEX a 100000 v
      TTL a
      PSETEX a 0 v
      SETNX a x
      SETNX b x
      GETSET a new
      TTL a
      GETSET none new
      LPUSH l x
      GETSET l y
      GETDEL a
      GETDEL a
      GETDEL l
      GETEX b
      GETEX b EX 100
      TTL b
      GETEX b PERSIST
      TTL b
      GETEX b PX 100000
      TTL b
      GETEX b EXAT 33177117420
      EXPIRETIME b
      GETEX b PXAT 33177117420001
      PEXPIRETIME b
      GETEX b EX
      GETEX b EX 0
      GETEX b BAD
      GETEX b PERSIST EX 10
      GETEX b EX 10 PERSIST
      GETEX none EX 10
      GETEX none EX x
      GETEX l
      GETEX b EXAT 1
      GETEX b
    `));

  test("MGET, MSET, MSETNX", () =>
    compare(`
      MSET a 1 b 2 c 3
      MGET a b none c
      MSET a 1 b
      MSET a
      MSETNX a 1 z 2
      EXISTS z
      MSETNX x 1 y 2 x 3
      MGET x y
      LPUSH l x
      MGET a l b
      MSET l 1
      GET l
      MGET
      MSETNX p 1 q
    `));

  test("APPEND, STRLEN, ranges", () =>
    compare(`
      APPEND a hello
      APPEND a " world"
      APPEND a ""
      GET a
      STRLEN a
      STRLEN none
      GETRANGE a 0 4
      GETRANGE a -5 -1
      GETRANGE a 0 -1
      GETRANGE a 5 1
      GETRANGE a -1 -5
      GETRANGE a 3 1000
      GETRANGE a -1000 2
      GETRANGE a 1000 2000
      GETRANGE none 0 -1
      GETRANGE a x 1
      SUBSTR a 0 3
      SETRANGE a 6 redis
      GET a
      SETRANGE a 20 far
      GET a
      SETRANGE none 0 ""
      EXISTS none
      SETRANGE a 0 ""
      SETRANGE new 3 x
      GET new
      SETRANGE a -1 x
      SETRANGE a x x
      SETRANGE a 536870912 x
      SETRANGE a 9223372036854775807 x
      LPUSH l x
      APPEND l x
      STRLEN l
      SETRANGE l 0 x
      GETRANGE l 0 1
      EXPIRE a 100
      APPEND a more
      TTL a
    `));

  test("INCR and its family, up to the ends of 64 bits", () =>
    compare(`
      INCR a
      INCR a
      DECR a
      INCRBY a 100
      DECRBY a 1000
      GET a
      SET a 9
      INCR a
      SET a 99999999
      INCR a
      SET a -1
      INCR a
      DECR a
      SET a 9007199254740990
      INCR a
      INCR a
      INCR a
      DECRBY a 4
      SET a 9223372036854775806
      INCR a
      INCR a
      DECRBY a 1
      SET a -9223372036854775807
      DECR a
      DECR a
      INCRBY a 9223372036854775807
      DECRBY a -9223372036854775808
      DECRBY new -9223372036854775808
      INCRBY new2 -9223372036854775808
      GET new2
      INCRBY a 9223372036854775808
      INCRBY a x
      INCRBY a ""
      INCRBY a 01
      INCRBY a +1
      SET s " 1"
      INCR s
      SET s "1 "
      INCR s
      SET s 01
      INCR s
      SET s abc
      INCR s
      SET s ""
      INCR s
      SET s -0
      INCR s
      LPUSH l x
      INCR l
      INCRBYFLOAT f 1.5
      INCRBYFLOAT f 1e2
      INCRBYFLOAT f -0.1
      INCRBYFLOAT f x
      INCRBYFLOAT f nan
      INCRBYFLOAT f inf
      INCRBYFLOAT l 1
      SET f 10.50
      INCRBYFLOAT f 0.1
      SET f 5.0e3
      INCRBYFLOAT f 200
      SET f abc
      INCRBYFLOAT f 1
      SET f 3
      EXPIRE f 100
      INCRBYFLOAT f 1
      TTL f
      INCR f
      TTL f
    `));

  test("random commands over few keys, values of many sizes", async () => {
    const prng = createPrng();
    const key = (): string => prng.pick(["k1", "k2", "{t}1", "{t}2", "k3"]);
    const text = (): Buffer => prng.bytes(prng.int(prng.oneIn(50) ? 100_000 : 70));
    const number = (): number => prng.int(2000) - 1000;
    const steps = Array.from({ length: 4000 }, () => {
      const words = prng.pick<() => (string | Buffer | number)[]>([
        () => ["SET", key(), text()],
        () => ["SET", key(), number()],
        () => ["GET", key()],
        () => ["APPEND", key(), text()],
        () => ["SETRANGE", key(), prng.int(200), text()],
        () => ["GETRANGE", key(), number(), number()],
        () => ["INCRBY", key(), number()],
        () => ["DEL", key()],
        () => ["EXPIRE", key(), 1000 + prng.int(100)],
        () => ["PERSIST", key()],
        () => ["TTL", key()],
        () => ["SETEX", key(), 500, text()],
        () => ["RENAME", key(), key()],
        () => ["COPY", key(), key(), "REPLACE"],
        () => ["SETBIT", key(), prng.int(800), prng.int(2)],
        () => ["SETBIT", key(), prng.int(100_000), 1],
        () => ["BITCOUNT", key(), number(), number(), prng.pick(["BIT", "BYTE"])],
        () => ["BITPOS", key(), prng.int(2)],
        () => ["BITPOS", key(), prng.int(2), number()],
        () => ["BITPOS", key(), prng.int(2), number(), number(), prng.pick(["BIT", "BYTE"])],
        () => ["BITOP", prng.pick(["AND", "OR", "XOR"]), key(), key(), key()],
        () => ["BITOP", "NOT", key(), key()],
        () => ["GETSET", key(), text()],
        () => ["DBSIZE"],
      ])();
      return exact(...words);
    });
    await compareSteps(steps, `(SEED=${prng.seed})`);
  });
});

describe("What string commands log", () => {
  function logged(...commands: string[]): readonly string[] {
    const own = new OwnServer();
    for (const command of commands) own.show(...command.split(" "));
    return own.journal;
  }

  test("times are absolute, reads and refusals log nothing", () => {
    const own = new OwnServer();
    const atMs = own.clock.now() + 5000;
    own.show("SET", "a", "1", "EX", "5");
    own.show("SETEX", "b", "5", "2");
    own.show("GETEX", "b", "PX", "5000");
    own.show("EXPIRE", "b", "5");
    own.show("SET", "a", "2", "NX");
    own.show("GET", "a");
    expect(own.journal).toEqual([
      `SET a 1 PXAT ${atMs}`,
      `SET b 2 PXAT ${atMs}`,
      `PEXPIREAT b ${atMs}`,
      `PEXPIREAT b ${atMs}`,
    ]);
  });

  test("what is not the same everywhere is logged as its effect", () => {
    expect(logged("SET f 1.5", "INCRBYFLOAT f 1", "GETDEL f", "GETDEL f", "SETNX f 1")).toEqual([
      "SET f 1.5",
      "SET f 2.5 KEEPTTL",
      "DEL f",
      "SETNX f 1",
    ]);
  });
});
