/** Calls that move several keys of a slot, and how they look for more. */

import { afterEach, describe, expect, spyOn, test } from "bun:test";
import { Databases } from "../../src/server/databases.ts";
import { KeyLocks } from "../../src/server/key-locks.ts";
import { CALL_BYTES_MAX, LOOKS_PER_KEY, pickMore } from "../../src/server/pick-more.ts";
import { slotOf } from "../../src/slots/hash.ts";
import { ask, movingServers, replyText } from "../support/moving-servers.ts";
import { createPrng } from "../support/prng.ts";

const servers = movingServers();
const { startServer, connect, startTarget } = servers;
afterEach(() => servers.stopAll());

const SLOT = slotOf(Buffer.from("{t}"));
/** Without a tag, in the slot of the tag `t`. */
const names = Array.from({ length: 200_000 }, (_, i) => `k${i}`)
  .filter((name) => slotOf(Buffer.from(name)) === SLOT)
  .slice(0, 150);

describe("A call that may take several keys of a slot", () => {
  const move = (port: number, keysMax: number) =>
    ["SLOTSMGRTTAGSLOT", "127.0.0.1", port, 60_000, SLOT, keysMax] as const;

  async function filled(names: readonly string[], value: string) {
    const [source, other] = [await startServer(), await startServer()];
    const [client, target] = [await connect(source), await connect(other)];
    await ask(client, "MSET", ...names.flatMap((name) => [name, value]));
    return { client, target, port: other.port };
  }

  test("moves that many, then what is left, and says so", async () => {
    const { client, target, port } = await filled(names, "v");
    expect(await ask(client, ...move(port, 100))).toBe("*2\r\n:100\r\n:50\r\n");
    expect(await ask(client, "DBSIZE")).toBe(":50\r\n");
    expect(await ask(target, "DBSIZE")).toBe(":100\r\n");
    expect(await ask(client, ...move(port, 100))).toBe("*2\r\n:50\r\n:0\r\n");
    expect(await ask(target, "MGET", names[0]!, names[149]!)).toBe("*2\r\n$1\r\nv\r\n$1\r\nv\r\n");
  });

  test("takes no more than fit its bytes", async () => {
    const { client, port } = await filled(names, "v".repeat(10_000));
    const moved = Math.ceil(CALL_BYTES_MAX / 10_000);
    expect(await ask(client, ...move(port, 100))).toBe(`*2\r\n:${moved}\r\n:${150 - moved}\r\n`);
  });

  test("takes a large value, or the keys of a tag, by themselves", async () => {
    const { client, port } = await filled(["{t}a", "{t}b", "{t}c"], "v");
    expect(await ask(client, ...move(port, 2))).toBe("*2\r\n:3\r\n:0\r\n");
    await ask(client, "MSET", names[0]!, "v".repeat(100_000), names[1]!, "v".repeat(100_000));
    expect(await ask(client, ...move(port, 100))).toBe("*2\r\n:1\r\n:1\r\n");
  });

  test("holds back writes to each of them", async () => {
    const target = startTarget();
    const source = await startServer();
    const [mover, other] = [await connect(source), await connect(source)];
    await ask(other, "MSET", names[0]!, "1", names[1]!, "2");
    mover.send(move(target.port, 100));
    expect(await target.nextText()).toBe("SELECT 0");
    expect(await target.nextText()).toContain(names[1]!);
    other.send(["INCR", names[0]!]);
    other.send(["INCR", names[1]!]);
    target.reply("+OK\r\n-OOM command not allowed\r\n");
    expect(await replyText(mover)).toBe("-ERR error on slotsrestore, migration failed\r\n");
    expect(await replyText(other)).toBe(":2\r\n");
    expect(await replyText(other)).toBe(":3\r\n");
  });

  test("is refused when their number is none", async () => {
    const client = await connect(await startServer());
    for (const keysMax of [0, 1001]) {
      const text = `invalid number of keys = ${keysMax}, must be 1 to 1000`;
      expect(await ask(client, ...move(1, keysMax))).toBe(`-ERR ${text}\r\n`);
    }
  });
});

describe("The search for more keys of a slot", () => {
  const UNSUITED = 1000;
  const STARTS = 2 ** 30;

  /** The search in a slot of as many keys with a tag, which do not suit, and these. */
  function searchAmong(plain: readonly string[]) {
    const db = new Databases(1, 0).all[0]!;
    const unsuited = Array.from({ length: UNSUITED }, (_, i) => `{t}${i}`);
    for (const name of [...unsuited, ...plain]) {
      const key = Buffer.from(name);
      db.setString(key, 0, key.length, key, 0, key.length, Number.NaN);
    }
    const scan = db.scanSlot.bind(db);
    /** Keys shown by each step of the scan. */
    let steps: number[] = [];
    spyOn(db, "scanSlot").mockImplementation((slot, cursor, found) => {
      const next = scan(slot, cursor, found);
      steps.push(found.length);
      return next;
    });
    return (keysMax: number, start: number) => {
      steps = [];
      const picked = { keys: [] as Buffer[], locks: new Set<number>() };
      pickMore(db, new KeyLocks(), SLOT, keysMax, picked, () => start);
      const looks = steps.reduce((sum, shown) => sum + shown, 0);
      return { keys: picked.keys.map(String), looks, looksBeforeLast: looks - steps.at(-1)! };
    };
  }

  test("ends after so many looks for each key it may take", () => {
    const prng = createPrng();
    const search = searchAmong([]);
    for (let round = 0; round < 200; round++) {
      const keysMax = 1 + prng.int(100);
      const { keys, looks, looksBeforeLast } = search(keysMax, prng.int(STARTS) / STARTS);
      const told = `SEED=${prng.seed}, round ${round}`;
      expect(keys, told).toEqual([]);
      expect(looks, told).toBeGreaterThanOrEqual(LOOKS_PER_KEY * keysMax);
      expect(looksBeforeLast, told).toBeLessThan(LOOKS_PER_KEY * keysMax);
    }
  });

  test("finds the only key that suits from anywhere when it may look at all of them", () => {
    const prng = createPrng();
    const search = searchAmong([names[0]!]);
    const keysMax = Math.ceil((2 * (UNSUITED + 1)) / LOOKS_PER_KEY);
    for (let round = 0; round < 50; round++) {
      const { keys, looks } = search(keysMax, prng.int(STARTS) / STARTS);
      const told = `SEED=${prng.seed}, round ${round}`;
      expect(keys, told).toEqual([names[0]!]);
      // From the start to the end of the slot, then all of it once.
      expect(looks, told).toBeLessThanOrEqual(2 * (UNSUITED + 1));
    }
  });
});
