import { expect, test } from "bun:test";
import { besideRedis } from "../../support/beside-redis.ts";
import { OwnServer } from "../../support/compare.ts";

const { compare } = besideRedis();

// Nothing is left to chance: counters grow at each use or, from 6 on, as good as never; none decays.
test("OBJECT IDLETIME and FREQ, under the policies that know them", () =>
  compare(`
    CONFIG SET maxmemory-policy allkeys-lru
    SET a 1
    OBJECT IDLETIME a
    OBJECT IDLETIME none
    OBJECT FREQ a
    OBJECT FREQ none
    CONFIG SET maxmemory-policy volatile-lfu
    CONFIG SET lfu-log-factor 1000000
    CONFIG SET lfu-decay-time 0
    SET b x
    OBJECT FREQ b
    OBJECT FREQ b
    GET b
    OBJECT FREQ b
    EXISTS b
    TTL b
    TYPE b
    OBJECT FREQ b
    RENAME b c
    OBJECT FREQ c
    OBJECT IDLETIME c
    OBJECT IDLETIME none
    CONFIG SET lfu-log-factor 0
    CONFIG GET lfu-log-factor
    TOUCH c
    GET c
    APPEND c x
    OBJECT FREQ c
    RENAME c d
    MOVE d 3
    SELECT 3
    OBJECT FREQ d
    COPY d e
    OBJECT FREQ e
    SET d again
    OBJECT FREQ d
    SELECT 0
    CONFIG SET lfu-log-factor 10
    CONFIG SET lfu-log-factor -1
    CONFIG SET maxmemory-eviction-tenacity 101
    CONFIG SET maxmemory-samples 0x
    CONFIG SET maxmemory-policy allkeys
    CONFIG SET maxmemory-policy noeviction
    OBJECT FREQ d
  `));

test("OBJECT IDLETIME says that times are not kept under a policy that needs none", () => {
  const own = new OwnServer();
  own.show("SET", "a", "1");
  for (const policy of ["noeviction", "allkeys-random", "volatile-ttl"]) {
    own.show("CONFIG", "SET", "maxmemory-policy", policy);
    expect(own.show("OBJECT", "IDLETIME", "a")).toBe(
      "-ERR An LRU maxmemory policy is not selected, idle time not tracked. Please note that when " +
        "switching between policies at runtime LRU and LFU data will take some time to adjust.",
    );
    expect(own.show("OBJECT", "IDLETIME", "none")).toBe("$-1");
  }
});
