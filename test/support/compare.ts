/**
 * One script, two servers: what Debian's redis-server answers is what ours must answer, byte by
 * byte.
 *
 *   commands ──> OwnServer (in this process, no socket) ──> reply ─┐
 *           └──> StockRedis (child, unix socket) ────────> reply ─┴─> equal, as its order says
 *
 * `Order` says which replies are equal though their bytes are not: those of unordered collections.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultConfig } from "../../src/base/config.ts";
import { REQUEST_READY, RequestDecoder } from "../../src/resp/decoder.ts";
import { encodeRequest, ReplyWriter } from "../../src/resp/encoder.ts";
import { Client, type ClientPort } from "../../src/server/client.ts";
import { SERVER_CONFIG } from "../../src/server/config.ts";
import { createCall, execute } from "../../src/server/execute.ts";
import { RdbSaves } from "../../src/server/rdb/saves.ts";
import { type Journal, ServerState } from "../../src/server/state.ts";
import { programPath } from "./debian.ts";
import { ManualClock } from "./manual-clock.ts";
import { MemoryFiles } from "./memory-files.ts";

export type Word = string | Buffer | number;
/**
 * `exact`: the same bytes. `set`: elements of the array in any order. `pairs`: its pairs in any
 * order. `length`: arrays of the same number of elements (random picks). `any`: only errors must be
 * equal.
 */
export type Order = "exact" | "set" | "pairs" | "length" | "any";

/** A reply as nested arrays of texts that keep its type: `+OK`, `:1`, `$bytes`, `$-1`, `*-1`. */
export type ShownReply = string | readonly ShownReply[];

const SILENT_LOG = {
  error: () => {},
  warn: () => {},
  info: () => {},
  debug: () => {},
} as unknown as ConstructorParameters<typeof ServerState>[2];

/** Only what commands without a connection of their own ask for. */
const NO_PORT = {
  close: () => {},
  backlogBytes: () => 0,
  pendingBytes: () => 0,
  authenticated: () => {},
} as unknown as ClientPort;

/** Our server without its socket: requests in, reply bytes out. */
export class OwnServer {
  readonly clock = new ManualClock(Date.now());
  readonly state: ServerState;
  /** What was propagated, as words separated by blanks. */
  readonly journal: string[] = [];
  readonly #call;
  readonly #client: Client;
  readonly #decoder = new RequestDecoder("server");
  readonly #out = new ReplyWriter();

  constructor() {
    this.state = new ServerState(defaultConfig(SERVER_CONFIG), this.clock, SILENT_LOG);
    // Only what execute asks for.
    const journal: Pick<Journal, "refusal" | "append" | "appendWords" | "infoLines"> = {
      refusal: undefined,
      infoLines: () => [],
      append: (_, buf, from, to) => void this.journal.push(wordsOf(buf.subarray(from, to))),
      appendWords: (_, words) => void this.journal.push(wordsOf(encodeRequest(words))),
    };
    this.state.journal = journal as Journal;
    const start = { identity: undefined, loaded: undefined };
    this.state.saves = new RdbSaves(this.state, new MemoryFiles(), start);
    this.#call = createCall(this.state);
    const addresses = { address: "127.0.0.1:1", localAddress: "127.0.0.1:2" };
    this.#client = new Client(1, NO_PORT, addresses, true, this.clock.now());
  }

  /** The bytes of the reply to one command. */
  ask(words: readonly Word[]): Buffer {
    this.state.databases.nowMs = this.clock.now();
    this.#decoder.feed(encodeRequest(words));
    if (this.#decoder.next() !== REQUEST_READY) throw new Error("a request was not understood");
    execute(this.#call, this.#client, this.#decoder, this.#out);
    return this.#out.take();
  }

  /** The reply, shown. */
  show(...words: Word[]): ShownReply {
    return showReply(this.ask(words));
  }

  /** Frees what removed values left for later turns. */
  settle(): void {
    while (this.state.databases.hasToRelease) this.state.databases.releaseSome(100_000);
  }
}

function wordsOf(request: Buffer): string {
  const shown = showReply(request);
  return (shown as readonly string[]).map((word) => word.slice(1)).join(" ");
}

const START_MS_MAX = 10_000;

/** A redis-server of Debian's package, without persistence, in a directory that goes with it. */
export class StockRedis {
  readonly #process: Bun.Subprocess;
  readonly #dir: string;
  #socket: Bun.Socket<undefined> | undefined;
  #received: Buffer = Buffer.alloc(0);
  #wake: () => void = () => {};

  private constructor(dir: string) {
    this.#dir = dir;
    const socket = join(dir, "redis.sock");
    const options = `--port 0 --unixsocket ${socket} --dir ${dir} --appendonly no --daemonize no`;
    const command = [programPath("redis-server"), ...options.split(" "), "--save", ""];
    // Collation of SORT ALPHA follows the locale.
    const env = { ...process.env, LC_ALL: "C" };
    this.#process = Bun.spawn(command, { env, stdout: "ignore", stderr: "ignore" });
  }

  static async start(): Promise<StockRedis> {
    const dir = mkdtempSync(join(tmpdir(), "stock-redis-"));
    const redis = new StockRedis(dir);
    const deadline = Date.now() + START_MS_MAX;
    while (!(await redis.#connect(join(dir, "redis.sock")))) {
      if (Date.now() > deadline) throw new Error("redis-server does not start");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return redis;
  }

  async #connect(path: string): Promise<boolean> {
    try {
      this.#socket = await Bun.connect<undefined>({
        unix: path,
        socket: {
          data: (_, chunk) => {
            this.#received = Buffer.concat([this.#received, chunk]);
            this.#wake();
          },
          drain: () => this.#wake(),
        },
      });
      return true;
    } catch {
      return false;
    }
  }

  /** The bytes of the replies to commands that are sent together, in their order. */
  async askAll(commands: readonly (readonly Word[])[]): Promise<Buffer[]> {
    const replies: Buffer[] = [];
    let requests = Buffer.concat(commands.map((words) => encodeRequest(words)));
    while (replies.length < commands.length) {
      const taken = this.#socket!.write(requests);
      if (taken < 0) throw new Error("redis-server closed the connection");
      requests = requests.subarray(taken);
      const end = replyEnd(this.#received, 0);
      if (end > 0) {
        replies.push(Buffer.from(this.#received.subarray(0, end)));
        this.#received = this.#received.subarray(end);
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
    return replies;
  }

  async stop(): Promise<void> {
    this.#socket?.end();
    this.#process.kill("SIGKILL");
    await this.#process.exited;
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** Index behind the reply at `from`, or -1 when it is not whole. */
function replyEnd(buf: Buffer, from: number): number {
  const lineEnd = buf.indexOf("\r\n", from, "latin1");
  if (lineEnd < 0) return -1;
  const type = buf[from]!;
  const count = Number(buf.toString("latin1", from + 1, lineEnd));
  let at = lineEnd + 2;
  if (type === 0x24) {
    if (count >= 0) at += count + 2;
    return at <= buf.length ? at : -1;
  }
  if (type !== 0x2a) return at;
  for (let i = 0; i < count; i++) {
    at = replyEnd(buf, at);
    if (at < 0) return -1;
  }
  return at;
}

let shownEnd = 0;

/** The reply in `buf`. */
export function showReply(buf: Buffer, from = 0): ShownReply {
  const lineEnd = buf.indexOf("\r\n", from, "latin1");
  const line = buf.toString("latin1", from, lineEnd);
  const count = Number(line.slice(1));
  shownEnd = lineEnd + 2;
  if (line.startsWith("$") && count >= 0) {
    const start = shownEnd;
    shownEnd += count + 2;
    return `$${buf.toString("latin1", start, start + count)}`;
  }
  if (!line.startsWith("*") || count < 0) return line;
  return Array.from({ length: count }, () => showReply(buf, shownEnd));
}

/** What must be equal of a reply under `order`. */
function comparable(reply: ShownReply, order: Order): unknown {
  const isError = typeof reply === "string" && reply.startsWith("-");
  if (isError || order === "exact") return reply;
  if (order === "any") return "";
  if (typeof reply === "string") return order === "length" ? reply.slice(0, 1) : reply;
  if (order === "length") return reply.length;
  if (order === "set") return sorted(reply.map((item) => JSON.stringify(item)));
  const pairs: string[] = [];
  for (let i = 0; i < reply.length; i += 2) pairs.push(JSON.stringify(reply.slice(i, i + 2)));
  return sorted(pairs);
}

function sorted(texts: readonly string[]): string[] {
  return texts.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

export interface Step {
  readonly words: readonly Word[];
  readonly order: Order;
}

/** A command whose replies must be the same bytes. */
export function exact(...words: Word[]): Step {
  return { words, order: "exact" };
}

/** A command whose reply's elements come in any order. */
export function unordered(...words: Word[]): Step {
  return { words, order: "set" };
}

/**
 * Runs the steps on both servers; throws at the first reply that differs. `note` is said with it.
 */
export async function compareSteps(
  own: OwnServer,
  stock: StockRedis,
  steps: readonly Step[],
  note = "",
): Promise<void> {
  const expected = await stock.askAll(steps.map((step) => step.words));
  for (const [i, { words, order }] of steps.entries()) {
    const ownReply = comparable(showReply(own.ask(words)), order);
    const stockReply = comparable(showReply(expected[i]!), order);
    if (Bun.deepEquals(ownReply, stockReply)) continue;
    const before = steps.slice(Math.max(0, i - 8), i).map((step) => `  ${showWords(step.words)}\n`);
    throw new Error(
      `Replies differ for: ${showWords(words)} ${note}\n` +
        `ours:  ${JSON.stringify(ownReply)}\nredis: ${JSON.stringify(stockReply)}\n` +
        `before it:\n${before.join("")}`,
    );
  }
}

function showWords(words: readonly Word[]): string {
  return words
    .map((word) => (word instanceof Buffer ? word.toString("latin1") : String(word)))
    .map((word) => JSON.stringify(word.length > 100 ? `${word.slice(0, 100)}...` : word))
    .join(" ");
}

const ORDER_OF_MARK: ReadonlyMap<string, Order> = new Map([
  ["~", "set"],
  ["%", "pairs"],
  ["#", "length"],
  ["?", "any"],
]);

/**
 * A script: a command per line, words separated by blanks, `"..."` for one with blanks or escapes
 * of JSON. A mark in front names the order: `~` set, `%` pairs, `#` length, `?` any. Lines that
 * start with `//` are for the reader.
 */
export function parseScript(script: string): Step[] {
  const steps: Step[] = [];
  for (const line of script.split("\n")) {
    const text = line.trim();
    if (text === "" || text.startsWith("//")) continue;
    const order = ORDER_OF_MARK.get(text[0]!);
    const words = (order === undefined ? text : text.slice(1)).match(/"(?:[^"\\]|\\.)*"|\S+/g)!;
    steps.push({ words: words.map(parseWord), order: order ?? "exact" });
  }
  return steps;
}

function parseWord(word: string): Word {
  return word.startsWith('"') ? Buffer.from(JSON.parse(word) as string, "latin1") : word;
}
