import { expect, test } from "bun:test";
import { CodisError } from "../../src/base/errors.ts";
import type { AsyncLimits } from "../../src/dashboard/migrate-async.ts";
import {
  CALLS_IN_FLIGHT_MAX,
  callsAllowed,
  KEYS_PER_CALL,
  type MovePermit,
  type MovePort,
  moveSlot,
} from "../../src/dashboard/migrate-runner.ts";
import { Sweeps } from "../../src/dashboard/sweep.ts";
import { ErrorReply, type Reply } from "../../src/resp/reply.ts";

/** A source with keys of slot 5 by database; every call takes `callMs` of its time. */
class Source {
  readonly sent: string[] = [];
  pauses = 0;
  readonly waits: number[] = [];
  permit: MovePermit = { from: "a:1", to: "b:2" };
  answer: ((args: readonly unknown[]) => Reply | undefined) | undefined;
  inFlight = 0;
  inFlightMax = 0;
  readonly #keys: Map<number, number>;
  readonly #callMs: number;
  readonly progress: number[][] = [];
  intervalMs = 0;
  asyncLimits: AsyncLimits | undefined;
  readonly #sweeps = new Sweeps();
  #nowMs = 0;
  #db = 0;

  constructor(keys: Readonly<Record<number, number>>, callMs = 0.1) {
    this.#keys = new Map(Object.entries(keys).map(([db, count]) => [Number(db), count]));
    this.#callMs = callMs;
  }

  get port(): MovePort {
    const source = this;
    return {
      permit: () => this.permit,
      withServer: (addr, work) => {
        this.sent.push(`use ${addr}`);
        return work({
          select: async (db) => {
            if (db !== this.#db) this.sent.push(`SELECT ${db}`);
            this.#db = db;
          },
          call: (...args) => this.#call(args),
        });
      },
      waitPaused: async () => {
        this.sent.push("pause");
        this.permit = { from: "a:1", to: "b:2" };
      },
      get intervalMs() {
        return source.intervalMs;
      },
      pause: async () => {
        this.pauses++;
      },
      wait: async (ms) => void this.waits.push(ms),
      progress: (_, db, moved, left) => {
        this.progress.push([db, moved, left]);
      },
      monotonic: () => this.#nowMs,
      timeoutMs: 30_000,
      asyncLimits: source.asyncLimits,
      auth: "",
      sweeps: this.#sweeps,
    };
  }

  left(db: number): number {
    return this.#keys.get(db) ?? 0;
  }

  async #call(args: readonly unknown[]): Promise<Reply> {
    this.sent.push(args.join(" "));
    this.inFlight++;
    this.inFlightMax = Math.max(this.inFlightMax, this.inFlight);
    const reply = this.answer?.(args) ?? this.#execute(args);
    await new Promise((resolve) => setImmediate(resolve));
    this.inFlight--;
    this.#nowMs += this.#callMs;
    return reply;
  }

  #execute(args: readonly unknown[]): Reply {
    if (args[0] === "INFO") {
      const lines = [...this.#keys]
        .filter(([, n]) => n > 0)
        .map(([db, n]) => `db${db}:keys=${n}\r\n`);
      return Buffer.from(`# Keyspace\r\n${lines.join("")}`);
    }
    const left = this.left(this.#db);
    if (left === 0) return [0, 0];
    this.#keys.set(this.#db, left - 1);
    return [1, left - 1];
  }
}

const MOVE_ONE = "SLOTSMGRTTAGSLOT b 2 30000 5";
const MOVE = `${MOVE_ONE} ${KEYS_PER_CALL}`;

test("A slot is emptied database by database, beginning at 0 though it is empty", async () => {
  const source = new Source({ 2: 1, 7: 1 });
  await moveSlot(source.port, 5);
  expect(source.sent).toEqual([
    "use a:1",
    MOVE,
    "INFO keyspace",
    "use a:1",
    "SELECT 2",
    MOVE,
    "INFO keyspace",
    "use a:1",
    "SELECT 7",
    MOVE,
    "INFO keyspace",
  ]);
});

test("An owner that moves one key a call, as the original, is asked for that", async () => {
  const source = new Source({ 0: 3 });
  const wrongArity = "ERR wrong number of arguments for 'slotsmgrttagslot' command";
  source.answer = ([word, ...rest]) =>
    word === "SLOTSMGRTTAGSLOT" && rest.length > 4 ? new ErrorReply(wrongArity) : undefined;
  await moveSlot(source.port, 5);
  expect(source.left(0)).toBe(0);
  const moves = source.sent.filter((text) => text.startsWith("SLOTSMGRT"));
  expect(moves.slice(0, 2)).toEqual([MOVE, MOVE_ONE]);
  expect(moves.slice(1).every((text) => text === MOVE_ONE)).toBe(true);

  source.answer = ([word]) => (word === "INFO" ? undefined : new ErrorReply(wrongArity));
  await expect(moveSlot(source.port, 5)).rejects.toThrow(wrongArity);
});

test("Calls are pipelined as far as the server answers them in time, and no further than keys", async () => {
  const source = new Source({ 0: 200 });
  await moveSlot(source.port, 5);
  expect(source.left(0)).toBe(0);
  expect(source.inFlightMax).toBe(CALLS_IN_FLIGHT_MAX);
  expect(source.progress.reduce((sum, [, moved]) => sum + moved!, 0)).toBe(200);

  const slow = new Source({ 0: 5 }, 100);
  await moveSlot(slow.port, 5);
  expect(slow.inFlightMax).toBe(1);

  expect(callsAllowed(0.1, 3, 0)).toBe(3);
  expect(callsAllowed(2, 100, 0)).toBe(2);
  expect(callsAllowed(0, 1000, 0)).toBe(CALLS_IN_FLIGHT_MAX);
  expect(callsAllowed(0.1, 100, 5)).toBe(1);
});

test("The operator's interval is kept between calls, one at a time", async () => {
  const source = new Source({ 0: 3 });
  source.intervalMs = 7;
  await moveSlot(source.port, 5);
  expect(source.inFlightMax).toBe(1);
  expect(source.pauses).toBe(2);
});

test("A pause stops the calls and goes on in the same database", async () => {
  const source = new Source({ 0: 2, 3: 2 }, 100);
  let calls = 0;
  source.answer = (args) => {
    if (args[0] !== "INFO" && ++calls === 3) source.permit = "pause";
    return undefined as unknown as Reply;
  };
  await moveSlot(source.port, 5);
  expect(source.left(3)).toBe(0);
  expect(source.sent.join("\n")).toContain(`SELECT 3\n${MOVE}\npause\nuse a:1\n${MOVE}`);
});

test("An owner without a server has nothing to move", async () => {
  const source = new Source({ 0: 2 });
  source.permit = "done";
  await moveSlot(source.port, 5);
  expect(source.sent).toEqual([]);
});

test("An error reply and a reply of another form end the move in the server's words", async () => {
  const source = new Source({ 0: 2 });
  source.answer = () => new ErrorReply("IOERR error or timeout");
  await expect(moveSlot(source.port, 5)).rejects.toThrow(
    new CodisError("unavailable", "IOERR error or timeout"),
  );
  source.answer = () => [1, 2, 3];
  await expect(moveSlot(source.port, 5)).rejects.toThrow("invalid response = [1,2,3]");
});

const ASYNC_LIMITS: AsyncLimits = { maxBulks: 200, maxBytes: 33554432, numKeys: 3 };

/** An owner that moves `numKeys` keys per call, as the original does: it tells the size before. */
function asyncSource(keys: Readonly<Record<number, number>>): Source {
  const source = new Source({});
  const left = new Map(Object.entries(keys).map(([db, count]) => [Number(db), count]));
  let db = 0;
  source.asyncLimits = ASYNC_LIMITS;
  source.answer = (args) => {
    db = Number(
      /SELECT (\d+)/.exec(source.sent.findLast((sent) => sent.startsWith("SELECT ")) ?? "")?.[1] ??
        0,
    );
    if (args[0] === "INFO") return [...left].map(([n, count]) => `db${n}:keys=${count}`).join("\n");
    if (args[0] === "SLOTSMGRT-ASYNC-FENCE") return "OK";
    const before = left.get(db) ?? 0;
    const moved = Math.min(before, 3);
    left.set(db, before - moved);
    return [moved, before];
  };
  return source;
}

const ASYNC_CALL = "SLOTSMGRTTAGSLOT-ASYNC b 2 5000 200 33554432 5 3";

test("semi-async repeats its call, with the original's arguments, until none is left", async () => {
  const source = asyncSource({ 0: 7, 2: 4 });
  await moveSlot(source.port, 5);
  expect(source.sent).toEqual([
    "use a:1",
    ...Array.from({ length: 4 }, () => ASYNC_CALL),
    "INFO keyspace",
    "use a:1",
    "SELECT 2",
    ...Array.from({ length: 3 }, () => ASYNC_CALL),
    "INFO keyspace",
  ]);
  expect(source.progress.at(-1)).toEqual([2, 0, 0]);
});

test("semi-async waits at a fence while the owner has another batch under way", async () => {
  const source = asyncSource({ 0: 1 });
  const { answer } = source;
  let refusals = 2;
  source.answer = (args) =>
    args[0] === "SLOTSMGRTTAGSLOT-ASYNC" && refusals-- > 0
      ? new ErrorReply("ERR the specified DB is being migrated")
      : answer!(args);
  await moveSlot(source.port, 5);
  expect(source.sent.slice(1, 6)).toEqual([
    ASYNC_CALL,
    "SLOTSMGRT-ASYNC-FENCE",
    ASYNC_CALL,
    "SLOTSMGRT-ASYNC-FENCE",
    ASYNC_CALL,
  ]);
  expect(source.waits).toEqual([]);
});

test("semi-async pauses while its target gives away keys itself", async () => {
  const source = asyncSource({ 0: 1 });
  const { answer } = source;
  let refusals = 1;
  const busy = "ERR interrupted: target answered: the specified DB is being migrated";
  source.answer = (args) => (refusals-- > 0 ? new ErrorReply(busy) : answer!(args));
  await moveSlot(source.port, 5);
  expect(source.waits).toEqual([15]);
});

test.each([
  "ERR unknown command 'SLOTSMGRTTAGSLOT-ASYNC', with args beginning with: 'b' ",
  "ERR interrupted: target answered: ERR unknown command 'SLOTSRESTORE-ASYNC-SELECT'",
])("semi-async goes on with sync after: %s", async (text) => {
  const source = new Source({ 0: 2 });
  source.asyncLimits = ASYNC_LIMITS;
  source.answer = (args) =>
    args[0] === "SLOTSMGRTTAGSLOT-ASYNC" ? new ErrorReply(text) : undefined!;
  await moveSlot(source.port, 5);
  expect(source.sent.slice(1, 3)).toEqual([ASYNC_CALL, MOVE]);
  expect(source.left(0)).toBe(0);
});

test("any other error of a semi-async call fails the move", async () => {
  const source = new Source({ 0: 2 });
  source.asyncLimits = ASYNC_LIMITS;
  source.answer = () => new ErrorReply("ERR interrupted: migration timeout");
  await expect(moveSlot(source.port, 5)).rejects.toThrow("ERR interrupted: migration timeout");
});
