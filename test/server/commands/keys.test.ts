import { describe, expect, test } from "bun:test";
import { besideRedis } from "../../support/beside-redis.ts";
import { OwnServer } from "../../support/compare.ts";

const { compare } = besideRedis();

describe("Key commands answer as redis-server does", () => {
  test("DEL, UNLINK, EXISTS, TOUCH, TYPE", () =>
    compare(`
      MSET a 1 b 2 c 3
      LPUSH l x
      EXISTS a b none a
      TOUCH a none b
      TYPE a
      TYPE l
      TYPE none
      DEL a none a
      UNLINK b l
      EXISTS a b c l
      DEL
      EXISTS
      DBSIZE
    `));

  test("RENAME, RENAMENX, COPY, MOVE", () =>
    compare(`
      SET a 1 EX 100
      RENAME a b
      TTL b
      GET b
      RENAME none b
      RENAME b b
      RENAMENX b b
      SET c 3
      RENAMENX b c
      RENAMENX b d
      LPUSH l 1 2 3
      RENAME l {t}l
      LRANGE {t}l 0 -1
      RENAME {t}l c
      LRANGE c 0 -1
      COPY c e
      COPY c e
      COPY c e REPLACE
      LRANGE e 0 -1
      COPY c c
      COPY none x
      COPY c c DB 1
      COPY c c DB 99
      COPY c c DB x
      COPY c x BAD
      COPY d d2
      TTL d2
      MOVE d 1
      MOVE d 1
      MOVE c 1
      MOVE c 0
      MOVE c 99
      MOVE c x
      SELECT 1
      TTL d
      LRANGE c 0 -1
      SELECT 0
      DBSIZE
      SWAPDB 0 1
      DBSIZE
      SWAPDB 0 99
      SWAPDB x 1
      SWAPDB 0 x
      FLUSHDB
      SELECT 1
      DBSIZE
      SELECT 0
    `));

  test("EXPIRE and its family", () =>
    compare(`
      SET a 1
      EXPIRE a 100
      TTL a
      EXPIRE a 200 NX
      EXPIRE a 200 XX
      TTL a
      EXPIRE a 100 GT
      EXPIRE a 300 GT
      TTL a
      EXPIRE a 400 LT
      EXPIRE a 50 LT
      TTL a
      PERSIST a
      PERSIST a
      PERSIST none
      TTL a
      EXPIRE a 10 XX
      EXPIRE a 10 GT
      EXPIRE a 10 LT
      TTL a
      EXPIRE a 10 NX XX
      EXPIRE a 10 GT LT
      EXPIRE a 10 NX GT
      EXPIRE a 10 BAD
      EXPIRE a x
      EXPIRE a 9223372036854775807
      EXPIRE a -9223372036854775808
      PEXPIRE a 9223372036854775807
      EXPIREAT a 9223372036854775807
      EXPIRE none 10
      TTL none
      PTTL none
      EXPIRETIME none
      EXPIREAT a 33177117420
      EXPIRETIME a
      PEXPIREAT a 33177117420500
      EXPIRETIME a
      PEXPIRETIME a
      EXPIRE a 0
      EXISTS a
      SET a 1
      EXPIRE a -1
      EXISTS a
      SET a 1
      PEXPIREAT a 1
      EXISTS a
      LPUSH l 1
      EXPIRE l 100
      TTL l
      LPUSH l 2
      TTL l
      EXPIRETIME l x
    `));

  test("KEYS, SCAN, RANDOMKEY, OBJECT", () =>
    compare(`
      RANDOMKEY
      SCAN 0
      MSET a 1 ab 2 b 3 {t}1 4 "" 5
      ~ KEYS *
      ~ KEYS a*
      ~ KEYS [ab]
      ~ KEYS ?
      KEYS none
      KEYS ""
      SCAN x
      SCAN -1 COUNT 0
      SCAN 0 COUNT x
      SCAN 0 BAD x
      SCAN 0 MATCH
      OBJECT ENCODING a
      SET long abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz
      OBJECT ENCODING long
      SET short abc
      OBJECT ENCODING short
      SET number 12345678901234567890
      OBJECT ENCODING number
      SET number 1234567890123456789
      OBJECT ENCODING number
      SET number 01
      OBJECT ENCODING number
      OBJECT REFCOUNT short
      OBJECT REFCOUNT a
      OBJECT FREQ a
      OBJECT IDLETIME none
      OBJECT ENCODING none
      OBJECT ENCODING
      OBJECT BAD a
      OBJECT
      OBJECT HELP
    `));

  test("FLUSHALL, DBSIZE, TIME, ECHO, PING and what is wrong with them", () =>
    compare(`
      SET a 1
      FLUSHALL BAD
      FLUSHALL ASYNC SYNC
      FLUSHALL ASYNC
      DBSIZE
      SET a 1
      FLUSHDB SYNC
      DBSIZE
      # TIME
      TIME x
      ECHO hello
      ECHO
      PING
      PING hello
      PING a b
      SELECT 99
      SELECT x
      SELECT -1
      nocommand
      nocommand a "b c" d
      GET
      GET a b
      CONFIG
      CONFIG BAD
      CONFIG GET
      CONFIG GET maxmemory
      CONFIG GET nothing
      CONFIG SET maxmemory
      CONFIG SET nothing 1
      CONFIG SET maxmemory 1mb maxmemory 2mb
      CONFIG SET maxmemory 100mb
      CONFIG GET maxmemory
      CONFIG SET maxmemory 0
      CONFIG SET maxmemory x
      CONFIG SET appendfsync sometimes
      CONFIG SET databases 1
      CONFIG SET timeout x
      CONFIG SET timeout -1
      CONFIG RESETSTAT
      CLIENT GETNAME
      CLIENT SETNAME me
      CLIENT GETNAME
      CLIENT SETNAME "a b"
      CLIENT SETNAME ""
      CLIENT GETNAME
      CLIENT BAD
      CLIENT KILL 1.2.3.4:5
      CLIENT KILL ID 99999
      CLIENT KILL ID x
      CLIENT KILL ID 0
      CLIENT KILL BAD x
      CLIENT KILL TYPE x
      CLIENT KILL TYPE pubsub
      CLIENT LIST TYPE x
      CLIENT LIST ID x
      CLIENT LIST BAD
      CLIENT NO-EVICT on
      CLIENT NO-EVICT x
      AUTH x
      AUTH default x
      AUTH other x
      AUTH a b c
      HELLO x
      HELLO 9
      HELLO 2 BAD
      MEMORY USAGE none
      MEMORY USAGE
      MEMORY BAD
      SLOWLOG LEN x
      SLOWLOG GET x
      SLOWLOG GET -2
      DEBUG SET-ACTIVE-EXPIRE 1
      COMMAND GETKEYS GET a
      COMMAND GETKEYS MSET a 1 b 2
      COMMAND GETKEYS PING
      COMMAND GETKEYS GET
      COMMAND GETKEYS nothing
      COMMAND INFO nothing
      COMMAND BAD
      ROLE
    `));

  test("bits", () =>
    compare(`
      SETBIT a 7 1
      SETBIT a 7 0
      SETBIT a 100 1
      GETBIT a 100
      GETBIT a 7
      GETBIT a 4294967295
      GETBIT a 4294967296
      GETBIT none 1
      STRLEN a
      SETBIT a -1 1
      SETBIT a 4294967296 1
      SETBIT a 1 2
      SETBIT a x 1
      SET b foobar
      BITCOUNT b
      BITCOUNT b 0 0
      BITCOUNT b 1 1
      BITCOUNT b -3 -1
      BITCOUNT b 5 30 BIT
      BITCOUNT b 5 -5 BIT
      BITCOUNT b 0 0 BYTE
      BITCOUNT b 3 1
      BITCOUNT b 0
      BITCOUNT b 0 0 BAD
      BITCOUNT b x 0
      BITCOUNT none
      BITCOUNT none 0 1
      SET c "\\u00ff\\u00f0\\u0000"
      BITPOS c 0
      BITPOS c 1
      BITPOS c 1 2
      BITPOS c 0 0 0
      BITPOS c 0 0 -1
      BITPOS c 1 7 15 BIT
      BITPOS c 0 1 12 BIT
      BITPOS c 1 -1
      BITPOS c 2
      BITPOS c x
      BITPOS none 0
      BITPOS none 1
      SET d "\\u00ff\\u00ff"
      BITPOS d 0
      BITPOS d 0 0 -1
      BITPOS d 0 0
      BITPOS c 1 0 1 BAD
      BITOP AND e b c
      GET e
      BITOP OR e b c
      GET e
      BITOP XOR e b c none
      GET e
      BITOP NOT e c
      GET e
      BITOP NOT e b c
      BITOP BAD e b
      BITOP AND e none none2
      EXISTS e
      BITOP OR b b c
      GET b
      LPUSH l x
      SETBIT l 1 1
      GETBIT l 1
      BITCOUNT l
      BITPOS l 1
      BITOP AND e l
    `));

  test("bit fields", () =>
    compare(`
      BITFIELD a SET u8 0 255 GET u8 0 INCRBY u8 0 10 GET u4 4
      BITFIELD a INCRBY i5 100 1 GET u4 0
      BITFIELD a SET i8 #1 -100 GET i8 #1 GET u8 8
      BITFIELD a OVERFLOW SAT INCRBY u8 0 1000 INCRBY u8 0 -5000 OVERFLOW FAIL INCRBY u8 0 -1 GET u8 0
      BITFIELD a OVERFLOW WRAP INCRBY i64 0 9223372036854775807 INCRBY i64 0 1
      BITFIELD a SET u63 5 9223372036854775807 GET u63 5
      BITFIELD a GET u64 0
      BITFIELD a GET i65 0
      BITFIELD a GET x8 0
      BITFIELD a GET u8 x
      BITFIELD a GET u8 -1
      BITFIELD a GET u8
      BITFIELD a SET u8 0 x
      BITFIELD a OVERFLOW BAD
      BITFIELD a
      BITFIELD none GET u8 0
      EXISTS none
      BITFIELD_RO a GET u8 0
      BITFIELD_RO a SET u8 0 1
      GET a
      LPUSH l x
      BITFIELD l GET u8 0
      BITFIELD l SET u8 0 1
    `));
});

describe("SCAN", () => {
  test("finds every key once while nothing changes, by any COUNT, type and pattern", () => {
    const own = new OwnServer();
    for (let i = 0; i < 3000; i++) own.show("SET", i % 3 ? `key:${i}` : `{t}${i}`, "v");
    own.show("LPUSH", "list", "x");
    for (const options of [[], ["COUNT", "500"], ["COUNT", "1"]]) {
      const seen: string[] = [];
      let cursor = "0";
      do {
        const [next, keys] = own.show("SCAN", cursor, ...options) as [string, string[]];
        cursor = next.slice(1);
        seen.push(...keys);
      } while (cursor !== "0");
      expect(seen.length).toBe(3001);
      expect(new Set(seen).size).toBe(3001);
    }
    const all = ["COUNT", "100000"];
    expect(own.show("SCAN", "0", "TYPE", "list", ...all)).toEqual(["$0", ["$list"]]);
    expect(own.show("SCAN", "0", "MATCH", "key:29?9", ...all)[1]).toHaveLength(7);
  });

  test("does not show keys whose time is over, and removes them", () => {
    const own = new OwnServer();
    own.show("SET", "a", "1", "PX", "10");
    own.show("SET", "b", "1");
    own.clock.advance(10);
    expect(own.show("KEYS", "*")).toEqual(["$b"]);
    expect(own.show("SCAN", "0", "COUNT", "1000")).toEqual(["$0", ["$b"]]);
    expect(own.show("DBSIZE")).toBe(":1");
  });
});

describe("Memory", () => {
  test("a full server refuses what may need more, and lives", () => {
    const own = new OwnServer();
    own.show("SET", "a", "1");
    own.show("CONFIG", "SET", "maxmemory", "1mb");
    let refused = "";
    for (let i = 0; i < 3000 && refused === ""; i++) {
      const reply = own.show("SET", `key:${i}`, "x".repeat(1000));
      if (reply !== "+OK") refused = reply as string;
    }
    expect(refused).toBe("-OOM command not allowed when used memory > 'maxmemory'.");
    expect(own.show("GET", "a")).toBe("$1");
    expect(own.show("INCR", "a")).toStartWith("-OOM");
    expect(own.show("DEL", "key:0", "key:1", "key:2")).toBe(":3");
    expect(own.show("INCR", "a")).toBe(":2");
  });

  test("FLUSHALL gives everything back at once, FLUSHDB in parts", () => {
    const own = new OwnServer();
    for (let i = 0; i < 2000; i++) own.show("SET", `key:${i}`, "x".repeat(100));
    own.show("FLUSHDB");
    own.settle();
    expect(own.state.databases.arena.usedBytes).toBe(0);
    for (let i = 0; i < 2000; i++) own.show("SET", `key:${i}`, "x".repeat(100));
    own.show("FLUSHALL");
    expect(own.state.databases.arena.usedBytes).toBe(0);
  });
});
