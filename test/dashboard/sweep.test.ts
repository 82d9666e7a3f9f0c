/** Slots that leave a server of the redis family: what is sent, and whom a failure concerns. */

import { expect, test } from "bun:test";
import { CodisError } from "../../src/base/errors.ts";
import {
  KEYS_PER_CALL,
  type MovePermit,
  type MovePort,
  moveSlot,
} from "../../src/dashboard/migrate-runner.ts";
import { BATCH_BYTES_MAX, BATCH_KEYS_MAX, packBatches, Sweeps } from "../../src/dashboard/sweep.ts";
import { ErrorReply, type Reply } from "../../src/resp/reply.ts";
import { slotOf } from "../../src/slots/hash.ts";

const PAGE_KEYS = 10;

/** Keys of a slot, all different. */
function keysOf(slot: number, count: number): string[] {
  const keys: string[] = [];
  for (let i = 0; keys.length < count; i++) {
    if (slotOf(Buffer.from(`k${i}`)) === slot) keys.push(`k${i}`);
  }
  return keys;
}

/** A stock server with its databases; SCAN gives PAGE_KEYS keys a page. */
class StockSource {
  readonly databases = new Map<number, string[]>();
  readonly sent: string[] = [];
  pauses = 0;
  readonly progress: number[][] = [];
  permits = new Map<number, MovePermit>();
  /** Answers instead of the server, when it returns something. */
  answer: (words: readonly string[]) => Reply | undefined = () => undefined;
  /** Called before every command. */
  onCall: (words: readonly string[]) => void = () => undefined;
  auth = "";
  readonly #sweeps = new Sweeps();

  get port(): MovePort {
    return {
      permit: (slotId) => this.permits.get(slotId) ?? { from: "a:1", to: "b:2" },
      withServer: async (_, work) => {
        let db = 0;
        return await work({
          select: async (wanted) => {
            db = wanted;
          },
          call: async (...args) => {
            await new Promise((resolve) => setImmediate(resolve));
            const words = args.map(String);
            this.onCall(words);
            this.sent.push(words.join(" "));
            return this.answer(words) ?? this.#execute(db, words);
          },
        });
      },
      waitPaused: async () => this.permits.clear(),
      intervalMs: 0,
      pause: async () => void this.pauses++,
      wait: () => Promise.resolve(),
      progress: (...numbers) => void this.progress.push(numbers),
      monotonic: () => 0,
      timeoutMs: 30_000,
      asyncLimits: undefined,
      auth: this.auth,
      sweeps: this.#sweeps,
    };
  }

  count(command: string): number {
    return this.sent.filter((line) => line.startsWith(command)).length;
  }

  #execute(db: number, words: readonly string[]): Reply {
    const keys = this.databases.get(db) ?? [];
    switch (words[0]) {
      case "INFO": {
        const filled = [...this.databases].filter(([, list]) => list.length > 0);
        return Buffer.from(filled.map(([n, list]) => `db${n}:keys=${list.length}\r\n`).join(""));
      }
      case "SCAN":
        return this.#scan(keys, Number(words[1]));
      case "MEMORY":
        return keys.includes(words[2]!) ? 100 : null;
      case "MIGRATE": {
        const named = words.slice(words.indexOf("KEYS") + 1);
        this.databases.set(
          db,
          keys.filter((key) => !named.includes(key)),
        );
        return "OK";
      }
      default:
        return new ErrorReply(`ERR unknown command '${words[0]}', with args beginning with: `);
    }
  }

  /** From the end, so that what is removed moves nothing that is to come. */
  #scan(keys: readonly string[], cursor: number): Reply {
    const end = cursor === 0 ? keys.length : Math.min(cursor, keys.length);
    const begin = Math.max(0, end - PAGE_KEYS);
    const page = keys.slice(begin, end).map((key) => Buffer.from(key));
    return [Buffer.from(String(begin)), page];
  }
}

test("The keys of the slot leave every database, and no others", async () => {
  const source = new StockSource();
  const mine = keysOf(5, 25);
  const other = keysOf(6, 25);
  source.databases.set(
    0,
    mine.flatMap((key, i) => [key, other[i]!]),
  );
  source.databases.set(3, [...mine]);
  source.auth = "pw";
  await moveSlot(source.port, 5);
  expect([...source.databases]).toEqual([
    [0, other],
    [3, []],
  ]);
  expect(source.sent[0]).toBe(`SLOTSMGRTTAGSLOT b 2 30000 5 ${KEYS_PER_CALL}`);
  expect(source.sent[1]).toBe("SCAN 0 COUNT 1000");
  const moves = source.sent.filter((line) => line.startsWith("MIGRATE"));
  expect(moves[0]).toStartWith("MIGRATE b 2  0 3001 AUTH pw KEYS k");
  expect(moves.at(-1)).toStartWith("MIGRATE b 2  3 3001 AUTH pw KEYS k");
  expect(source.progress.reduce((sum, [, , moved]) => sum + moved!, 0)).toBe(50);
});

test("One sweep serves the slots that joined before it began, the next one those that came later", async () => {
  const source = new StockSource();
  source.databases.set(
    0,
    [1, 2, 3, 4].flatMap((slot) => keysOf(slot, 10)),
  );
  const moves = [moveSlot(source.port, 1)];
  source.onCall = ([name, cursor]) => {
    if (name !== "SCAN" || cursor === "0" || moves.length > 1) return;
    for (const slot of [2, 3, 4]) moves.push(moveSlot(source.port, slot));
  };
  await moves[0];
  await Promise.all(moves);
  expect(source.databases.get(0)).toEqual([]);
  // 4 pages of 10 keys, then 3.
  expect(source.count("SCAN")).toBe(7);
});

test("Batches are bounded in keys and in bytes; what is large or of unknown size goes alone", () => {
  const keys = keysOf(5, 2 * BATCH_KEYS_MAX + 1).map((key) => ({
    key: Buffer.from(key),
    slotId: 5,
  }));
  const lengths = (sizes: Reply[]): number[] =>
    packBatches(keys.slice(0, sizes.length), sizes).map((batch) => batch.found.length);
  expect(lengths(keys.map(() => 1))).toEqual([BATCH_KEYS_MAX, BATCH_KEYS_MAX, 1]);
  const half = BATCH_BYTES_MAX / 2;
  expect(lengths([half, half, 1, half, half])).toEqual([2, 2, 1]);
  expect(lengths([1, 100 * BATCH_BYTES_MAX, 1, 1])).toEqual([1, 1, 2]);
  const unknown = new ErrorReply("ERR unknown command 'MEMORY'");
  expect(lengths([unknown, unknown])).toEqual([1, 1]);
  expect(lengths([null, 1, null])).toEqual([1]);
  expect(lengths([null])).toEqual([]);
});

test("A batch holds keys of several slots with one target, and tells the progress of each", async () => {
  const source = new StockSource();
  source.databases.set(
    0,
    [1, 2, 3].flatMap((slot) => keysOf(slot, 5)),
  );
  source.permits.set(3, { from: "a:1", to: "c:3" });
  await moveSlot(source.port, 9);
  source.progress.length = 0;
  source.sent.length = 0;
  await Promise.all([1, 2, 3].map((slot) => moveSlot(source.port, slot)));
  // The first slot began a sweep alone.
  expect(source.count("MIGRATE b 2")).toBe(2);
  expect(source.count("MIGRATE c 3")).toBe(1);
  expect(source.progress.toSorted(([a], [b]) => a! - b!)).toEqual(
    [1, 2, 3].map((slot) => [slot, 0, 5, 0]),
  );
});

test("A target is given more time for a larger key, but never more than the operator allows", async () => {
  const source = new StockSource();
  source.databases.set(0, keysOf(5, 2));
  const sizes = [20_000_000, 20_000_000_000];
  source.answer = ([name]) => (name === "MEMORY" ? sizes.shift()! : undefined);
  await moveSlot(source.port, 5);
  const given = source.sent.filter((line) => line.startsWith("MIGRATE"));
  expect(given.map((line) => line.split(" ")[5])).toEqual(["4000", "30000"]);
});

test("A key that the target has already is replaced, by a second call", async () => {
  const source = new StockSource();
  source.databases.set(0, keysOf(5, 3));
  source.answer = ([name, ...words]) =>
    name === "MIGRATE" && !words.includes("REPLACE")
      ? new ErrorReply(
          "ERR Target instance replied with error: BUSYKEY Target key name already exists.",
        )
      : undefined;
  await moveSlot(source.port, 5);
  expect(source.count("MIGRATE")).toBe(2);
  expect(source.databases.get(0)).toEqual([]);
});

test("What fails for one slot does not concern the others in its sweep", async () => {
  const source = new StockSource();
  source.databases.set(0, [...keysOf(1, 15), ...keysOf(2, 15)]);
  source.permits.set(1, { from: "a:1", to: "dead:2" });
  source.answer = ([name, host]) =>
    name === "MIGRATE" && host === "dead" ? new ErrorReply("IOERR error or timeout") : undefined;
  const [failed, moved] = await Promise.allSettled([
    moveSlot(source.port, 1),
    moveSlot(source.port, 2),
  ]);
  expect(failed).toMatchObject({ reason: new CodisError("unavailable", "IOERR error or timeout") });
  expect(moved.status).toBe("fulfilled");
  expect(source.count("MIGRATE dead")).toBe(1);
  expect(source.databases.get(0)).toEqual(keysOf(1, 15));
});

test("A value that the target does not take fails its slot alone, with the key's name and type", async () => {
  const source = new StockSource();
  const [mine, other] = [keysOf(1, 3), keysOf(2, 3)];
  source.databases.set(0, [...mine, ...other]);
  const refused = "ERR Target instance replied with error: ERR Bad data format";
  const culprit = mine[1]!;
  source.answer = ([name, ...words]) => {
    if (name === "TYPE") return "stream";
    return name === "MIGRATE" && words.includes(culprit) ? new ErrorReply(refused) : undefined;
  };
  const text =
    `key "${culprit}" is of type stream, and the server b:2 cannot hold it (${refused}): ` +
    "remove it at a:1, database 0, or copy it elsewhere first; the move goes on by itself then";
  source.permits.set(1, { from: "a:1", to: "b:2" });
  const moves = [moveSlot(source.port, 7), moveSlot(source.port, 1), moveSlot(source.port, 2)];
  const [, failed, moved] = await Promise.allSettled(moves);
  expect(failed).toMatchObject({ reason: new CodisError("unavailable", text) });
  expect(moved!.status).toBe("fulfilled");
  expect(source.count(`TYPE ${culprit}`)).toBe(1);
  expect(source.databases.get(0)).toContain(culprit);
  for (const key of other) expect(source.databases.get(0)).not.toContain(key);
  const counted = source.progress.filter(([slot]) => slot === 2);
  expect(counted.at(-1)).toEqual([2, 0, 3, 0]);
  source.answer = () => undefined;
  await moveSlot(source.port, 1);
  expect(source.databases.get(0)).toEqual([]);
});

test("A long name of a key that cannot move is cut in the error, and control characters are escaped", async () => {
  const source = new StockSource();
  const key = `\n${"x".repeat(500)}`;
  source.databases.set(0, [key]);
  const slot = slotOf(Buffer.from(key));
  source.answer = ([name]) => {
    if (name === "TYPE") return new ErrorReply("ERR no");
    if (name !== "MIGRATE") return undefined;
    return new ErrorReply("ERR DUMP payload version or checksum are wrong");
  };
  await expect(moveSlot(source.port, slot)).rejects.toThrow(
    `key "\\n${"x".repeat(99)}"... is of type unknown, and the server b:2 cannot hold it`,
  );
});

test("A server that knows no MIGRATE repeats the password in its error, which is not passed on", async () => {
  const source = new StockSource();
  source.databases.set(0, keysOf(1, 1));
  source.answer = ([name]) =>
    name === "MIGRATE"
      ? new ErrorReply("ERR unknown command 'MIGRATE', with args beginning with: 'AUTH' 'pw' ")
      : undefined;
  const move = moveSlot(source.port, 1);
  await expect(move).rejects.toEqual(
    new CodisError("unavailable", "ERR unknown command 'MIGRATE'"),
  );
});

test("A server that is lost, or answers otherwise than SCAN does, fails all slots of the sweep", async () => {
  for (const answer of [
    () => {
      throw new CodisError("unavailable", "EOF");
    },
    () => new ErrorReply("ERR no"),
    () => 7,
  ]) {
    const source = new StockSource();
    source.databases.set(0, keysOf(1, 15));
    source.answer = ([name]) => (name === "SCAN" ? answer() : undefined);
    const all = await Promise.allSettled([moveSlot(source.port, 1), moveSlot(source.port, 2)]);
    expect(all.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  }
});

test("A slot that is paused leaves the sweep and comes again; one that is not to move any more fails", async () => {
  const source = new StockSource();
  source.databases.set(0, [...keysOf(1, 15), ...keysOf(2, 15)]);
  let batches = 0;
  source.onCall = ([name]) => {
    if (name === "MIGRATE" && ++batches === 1) source.permits.set(1, "pause").set(2, "pause");
  };
  await Promise.all([moveSlot(source.port, 1), moveSlot(source.port, 2)]);
  expect(source.databases.get(0)).toEqual([]);

  const port = source.port;
  source.databases.set(0, keysOf(3, 1));
  let asked = 0;
  const refusing: MovePort = {
    ...port,
    permit: () => {
      if (++asked > 2) throw new CodisError("conflict", "slot-[3] action state is invalid");
      return { from: "a:1", to: "b:2" };
    },
  };
  await expect(moveSlot(refusing, 3)).rejects.toThrow("action state is invalid");
  expect(source.databases.get(0)).toEqual(keysOf(3, 1));
});

test("The operator's interval is kept between batches", async () => {
  const source = new StockSource();
  source.databases.set(0, keysOf(5, 70));
  await moveSlot(source.port, 5);
  expect(source.pauses).toBe(3);
});
