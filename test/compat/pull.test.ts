/**
 * A proxy whose slots are all migrating, between real servers of both families: what a request
 * needs is at the source, and comes to the target before the request does.
 */

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { ProxyClient } from "../../src/api/proxy-client.ts";
import { FORWARD_SEMI_ASYNC, FORWARD_SYNC } from "../../src/model/slot.ts";
import { ErrorReply, type Reply } from "../../src/resp/reply.ts";
import { SLOT_COUNT, slotOf } from "../../src/slots/hash.ts";
import { type Program, Programs } from "../support/programs.ts";
import { RespClient } from "../support/resp-client.ts";

const programs = new Programs();
let proxy: Program;
let admin: ProxyClient;

beforeAll(async () => {
  proxy = await programs.proxy({ backends: [], config: `product_name = "test"\n`, threads: 2 });
  ({ client: admin } = await ProxyClient.open(`127.0.0.1:${proxy.adminPort}`, ""));
  await admin.start();
}, 60_000);

afterAll(async () => {
  await programs.stop();
}, 60_000);

async function migrateAll(from: Program, to: Program, method: number): Promise<void> {
  await admin.fillSlots(
    Array.from({ length: SLOT_COUNT }, (_, id) => ({
      id,
      locked: false,
      backend_addr: `127.0.0.1:${to.port}`,
      backend_addr_group_id: 2,
      migrate_from: `127.0.0.1:${from.port}`,
      migrate_from_group_id: 1,
      forward_method: method,
      replica_groups: [],
    })),
  );
}

/** Keys without a tag that share a slot by chance. */
function keysOfOneSlot(count: number): string[] {
  const slot = slotOf(Buffer.from("alone0"));
  const keys = ["alone0"];
  for (let i = 1; keys.length < count; i++) {
    if (slotOf(Buffer.from(`alone${i}`)) === slot) keys.push(`alone${i}`);
  }
  return keys;
}

/** One request per line, words at blanks. */
async function ask(client: RespClient, ...lines: readonly string[]): Promise<unknown[]> {
  return (await client.pipeline(lines.map((line) => line.split(" ")))).map(shown);
}

function shown(reply: Reply): unknown {
  if (Buffer.isBuffer(reply)) return reply.toString();
  if (reply instanceof ErrorReply) return `-${reply.text}`;
  return Array.isArray(reply) ? reply.map(shown) : reply;
}

const [A, B, C, D] = keysOfOneSlot(4) as [string, string, string, string];

const start = {
  redis: () => programs.redis(),
  codis: () => programs.server(),
} as const;

for (const method of [FORWARD_SYNC, FORWARD_SEMI_ASYNC]) {
  for (const from of ["redis", "codis"] as const) {
    for (const to of ["redis", "codis"] as const) {
      describe(`from ${from} to ${to}, method ${method}`, () => {
        let source: RespClient;
        let target: RespClient;
        let client: RespClient;

        beforeAll(async () => {
          const [old, young] = [await start[from](), await start[to]()];
          source = await RespClient.connect(old.port);
          target = await RespClient.connect(young.port);
          await migrateAll(old, young, method);
          client = await RespClient.connect(proxy.port);
        }, 60_000);

        afterAll(() => {
          for (const connection of [source, target, client]) connection.close();
        });

        /** @param answeredThere keys of which each request names one: the wrapper leaves those */
        async function expectLeft(answeredThere: number): Promise<void> {
          const isWrapped = from === "codis" && method === FORWARD_SEMI_ASYNC;
          expect(await ask(source, "DBSIZE")).toEqual([isWrapped ? answeredThere : 0]);
        }

        afterEach(async () => {
          await ask(source, "FLUSHALL");
        });

        test("every type comes as it was, with its time to live", async () => {
          const fill = ["SET s 1 EX 100", "RPUSH l 1 2", "SADD u 1 2", "HSET h f 1", "ZADD z 1 m"];
          await ask(source, ...fill);
          const all = ["TTL s", "INCR s", "LRANGE l 0 -1", "SCARD u", "HGETALL h", "ZSCORE z m"];
          const [ttl, ...values] = await ask(client, ...all);
          expect(ttl).toBeWithin(50, 101);
          expect(values).toEqual([2, ["1", "2"], 2, ["f", "1"], "1"]);
          await expectLeft(5);
          expect(await ask(client, "GET none")).toEqual([null]);
        });

        test("keys that share a slot by chance all come for one command", async () => {
          await ask(source, `SADD ${A} 1`, `SADD ${B} 2`, `SADD ${C} 3`, `SET ${D} x`);
          expect(await ask(client, `SUNIONSTORE ${D} ${A} ${B} ${C} ${A}`)).toEqual([3]);
          await expectLeft(0);
          await ask(source, `SET ${B} old`);
          expect(await ask(client, `RENAME ${D} ${B}`, `SCARD ${B}`)).toEqual(["OK", 3]);
          await expectLeft(0);
          expect(await ask(client, `DEL ${A} ${B} ${C} ${D}`)).toEqual([3]);
        });

        test("so do keys of one tag, of several commands at once, and of split ones", async () => {
          await ask(source, "SADD {t}a 1 2", "SADD {t}b 2 3", "MSET {t}c 1 p 2 q 3 r 4");
          expect(
            await ask(
              client,
              "SINTER {t}a {t}b",
              "INCR {t}c",
              "MGET p q r none",
              "DEL p q none",
              "EXISTS p q r r",
            ),
          ).toEqual([["2"], 2, ["2", "3", "4", null], 2, 2]);
          await expectLeft(1);
        });

        test("another database's key of the same name stays apart", async () => {
          await ask(source, "SELECT 2", "SET db two", "SELECT 0", "SET db zero");
          expect(await ask(client, "SELECT 2", "GET db", "SELECT 0", "GET db")).toEqual([
            "OK",
            "two",
            "OK",
            "zero",
          ]);
        });

        test("a key that a broken move left at both is the source's", async () => {
          await ask(source, "SET both source", "SADD {b}x 1", "SADD {b}y 1");
          await ask(target, "SET both target", "SADD {b}y 7 8");
          expect(await ask(client, "GET both", "SUNION {b}x {b}y")).toEqual(["source", ["1"]]);
          await expectLeft(1);
        });
      });
    }
  }
}

test("a source that cannot reach the target fails the request and keeps the key", async () => {
  for (const family of ["redis", "codis"] as const) {
    const [old, young] = [await start[family](), await start.redis()];
    const source = await RespClient.connect(old.port);
    await ask(source, "SET k v");
    await young.stop();
    await migrateAll(old, young, FORWARD_SYNC);
    const client = await RespClient.connect(proxy.port);
    const [reply] = await ask(client, "GET k");
    expect(String(reply)).toMatch(/^-ERR handle request, bad slotsmgrt resp: (IO)?ERR/);
    expect(await ask(source, "GET k")).toEqual(["v"]);
    source.close();
    client.close();
  }
}, 60_000);
