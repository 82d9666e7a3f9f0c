import { afterEach, describe, expect, test } from "bun:test";
import type { Journal } from "../../../src/server/state.ts";
import { besideRedis } from "../../support/beside-redis.ts";
import { OwnServer, type ShownReply, showReply } from "../../support/compare.ts";
import { startOwnServer } from "../../support/own-server.ts";
import { createPrng } from "../../support/prng.ts";
import { RawConnection } from "../../support/raw-connection.ts";
import { RespClient } from "../../support/resp-client.ts";

const { compare, askStock } = besideRedis();

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function infoOf(text: string): Map<string, string> {
  const lines = text.split("\r\n").filter((line) => line.includes(":"));
  return new Map(lines.map((line) => line.split(":") as [string, string]));
}

/** Fields of MEMORY STATS, without those of databases. */
function statsOf(reply: ShownReply): Map<string, ShownReply> {
  const fields = new Map<string, ShownReply>();
  for (let i = 0; i < reply.length; i += 2) fields.set(reply[i] as string, reply[i + 1]!);
  return fields;
}

function isNotOfDatabase(name: string): boolean {
  return !name.startsWith("$db.");
}

describe("MEMORY USAGE", () => {
  test("counts what a key takes, elements included", () => {
    const own = new OwnServer();
    own.show("SET", "a", "x".repeat(1000));
    const bytes = Number((own.show("MEMORY", "USAGE", "a") as string).slice(1));
    expect(bytes).toBeGreaterThan(1000);
    expect(bytes).toBeLessThan(1200);
    own.show("RPUSH", "l", ...Array.from({ length: 500 }, () => "y".repeat(100)));
    const list = Number((own.show("MEMORY", "USAGE", "l", "SAMPLES", "0") as string).slice(1));
    expect(list).toBeGreaterThan(50_000);
    expect(list).toBeLessThan(own.state.databases.arena.usedBytes);
  });
});

test("MEMORY answers as redis-server does", () =>
  compare(`
    SET a x
    MEMORY HELP
    MEMORY
    MEMORY NONSENSE
    MEMORY USAGE
    MEMORY USAGE none
    MEMORY USAGE a SAMPLES
    MEMORY USAGE a SAMPLES x
    MEMORY USAGE a SAMPLES -1
    MEMORY USAGE a NONSENSE 1
    ?MEMORY USAGE a SAMPLES 0
    MEMORY STATS x
    MEMORY DOCTOR x
    MEMORY PURGE
    MEMORY PURGE x
    ?MEMORY DOCTOR
    ?MEMORY MALLOC-STATS
  `));

describe("Memory is told", () => {
  test("with ratios near 1 when there is nothing, little and much", () => {
    const own = new OwnServer();
    const ratioOf = (name: string): number =>
      Number(infoOf(own.show("INFO", "memory") as string).get(name));
    expect(ratioOf("allocator_frag_ratio")).toBe(1);
    expect(ratioOf("mem_fragmentation_ratio")).toBeWithin(0.5, 20);
    own.show("SET", "one", "1");
    expect(ratioOf("allocator_frag_ratio")).toBe(1);
    expect(ratioOf("mem_fragmentation_ratio")).toBeWithin(0.5, 20);
    for (let i = 0; i < 400; i++) own.show("SET", `key ${i}`, "x".repeat(100_000));
    expect(ratioOf("allocator_frag_ratio")).toBeWithin(1, 1.3);
  });

  test("by the fields of redis-server: MEMORY STATS all of them, INFO those that mean something", async () => {
    const own = new OwnServer();
    own.show("SET", "a", "1");
    const [info, stats] = await askStock(["INFO", "memory"], ["MEMORY", "STATS"]);
    const theirs = [...infoOf(showReply(info!) as string).keys()];
    const ours = [...infoOf(own.show("INFO", "memory") as string).keys()];
    expect(theirs.filter((name) => ours.includes(name))).toEqual(ours);
    const about = /script|function|librar|vm_|lazyfreed/;
    expect(theirs.filter((name) => !ours.includes(name) && !about.test(name))).toEqual([]);
    const known = (reply: ShownReply): string[] =>
      [...statsOf(reply).keys()].filter(isNotOfDatabase);
    const answer = own.show("MEMORY", "STATS");
    expect(known(answer)).toEqual(known(showReply(stats!)));
    expect(statsOf(answer).get("$db.0")).toHaveLength(6);
  });

  test("so that keys by MEMORY USAGE and tables add up to what is used", () => {
    const own = new OwnServer();
    const prng = createPrng();
    console.info(`seed ${prng.seed}`);
    const keys: string[] = [];
    for (let i = 0; i < 500; i++) {
      const words = Array.from(
        { length: 2 * (1 + prng.int(40)) },
        (_, n) => `${n} ${prng.int(1e9)}`,
      );
      const scored = words.flatMap((word, n) => [String(n), word]);
      const [name, ...values] = prng.pick([
        ["SET", "x".repeat(prng.int(3000))],
        ["RPUSH", ...words],
        ["SADD", ...words],
        ["HSET", ...words],
        ["ZADD", ...scored],
      ]);
      keys.push(`key:${i}`);
      own.show(name!, `key:${i}`, ...values);
      if (prng.oneIn(3)) own.show("EXPIRE", `key:${i}`, "1000");
    }
    const each = keys.map((key) =>
      Number((own.show("MEMORY", "USAGE", key, "SAMPLES", "0") as string).slice(1)),
    );
    const sum = each.reduce((total, bytes) => total + bytes, 0);
    expect(sum + own.state.databases.all[0]!.tableBytes).toBe(own.state.usedMemory);
    const info = infoOf(own.show("INFO", "memory") as string);
    const field = (name: string): number => Number(info.get(name));
    expect(field("used_memory")).toBe(own.state.usedMemory);
    expect(field("used_memory_dataset") + field("used_memory_overhead")).toBe(field("used_memory"));
    expect(field("used_memory_dataset")).toBe(sum - 500 * 16);
    const stats = statsOf(own.show("MEMORY", "STATS"));
    expect(stats.get("$total.allocated")).toBe(`:${own.state.usedMemory}`);
    expect(stats.get("$keys.count")).toBe(":500");
  });

  test("with notes of use while they are kept", () => {
    const own = new OwnServer();
    for (let i = 0; i < 1000; i++) own.show("SET", `key:${i}`, "x".repeat(100));
    const before = own.state.usedMemory;
    own.show("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu");
    expect(own.state.usedMemory).toBe(before * (1 + 1 / 16));
    own.show("CONFIG", "SET", "maxmemory-policy", "noeviction");
    expect(own.state.usedMemory).toBe(before);
  });

  test("with the journal's buffer, which is not counted against maxmemory", () => {
    const own = new OwnServer();
    own.show("SET", "a", "1");
    own.state.journal = { ...own.state.journal!, bufferBytes: 1e6 } as Journal;
    expect(own.state.usedMemory).toBe(own.state.countedMemory + 1e6);
    expect(infoOf(own.show("INFO", "memory") as string).get("mem_not_counted_for_evict")).toBe(
      "1000000",
    );
    own.show("CONFIG", "SET", "maxmemory", own.state.countedMemory);
    expect(own.show("GET", "a")).toBe("$1");
    expect(own.show("SET", "a", "2")).toBe("+OK");
  });

  test("with what clients hold, a request in part, and no longer than they hold it", async () => {
    const server = await startOwnServer();
    closers.push(() => server.close());
    const client = await RespClient.connect(server.port);
    closers.push(() => client.close());
    const held = async (): Promise<number> => {
      const info = await client.call("INFO", "memory");
      return Number(infoOf(String(info)).get("mem_clients_normal"));
    };
    const half = await RespClient.connect(server.port);
    const request = Buffer.concat([
      Buffer.from("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1000000\r\n"),
      Buffer.alloc(700_000, "x"),
    ]);
    const lost = half.raw(request, 1).catch(() => "lost");
    while ((await held()) < 700_000);
    expect(server.state.usedMemory).toBeGreaterThan(700_000);
    half.close();
    expect(await lost).toBe("lost");
    while ((await held()) > 0);
    await client.call("SET", "large", "y".repeat(1_000_000));
    const reader = await RawConnection.open(server.port);
    for (let i = 0; i < 40; i++) reader.send(["GET", "large"]);
    for (let i = 0; i < 40; i++) await reader.reply();
    reader.close();
    while ((await held()) > 0);
    expect(server.state.countedMemory).toBe(server.state.databases.arena.usedBytes);
  }, 30_000);
});

describe("MEMORY DOCTOR", () => {
  test("names what an operator should look at, and how to", () => {
    const own = new OwnServer();
    expect(own.show("MEMORY", "DOCTOR")).toContain("nothing to judge");
    for (let i = 0; i < 30_000; i++) own.show("SET", `key:${i}`, "x".repeat(1000));
    own.state.stats.peakMemory = own.state.usedMemory;
    expect(own.show("MEMORY", "DOCTOR")).toBe("$No problem was found.\n");
    for (let i = 0; i < 30_000; i++) if (i % 3 > 0) own.show("DEL", `key:${i}`);
    own.state.stats.outputBacklog = 1e6;
    const report = own.show("MEMORY", "DOCTOR") as string;
    expect(report).toContain("* Peak: ");
    expect(report).toContain("* Fragmentation: ");
    expect(report).toContain("* Clients: 0 hold 1.0 MiB");
  });
});
