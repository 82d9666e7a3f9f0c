import { expect, test } from "bun:test";
import { CodisError } from "../../src/base/errors.ts";
import {
  CALLS_IN_FLIGHT_MAX,
  callsAllowed,
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
  permit: MovePermit = { from: "a:1", to: "b:2" };
  answer: ((args: readonly unknown[]) => Reply) | undefined;
  inFlight = 0;
  inFlightMax = 0;
  readonly #keys: Map<number, number>;
  readonly #callMs: number;
  readonly progress: number[][] = [];
  intervalMs = 0;
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
      progress: (_, db, moved, left) => {
        this.progress.push([db, moved, left]);
      },
      monotonic: () => this.#nowMs,
      timeoutMs: 30_000,
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

const MOVE = "SLOTSMGRTTAGSLOT b 2 30000 5";

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
