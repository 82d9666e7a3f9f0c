/**
 * Broken and odd requests to a server or a proxy. Each input has a connection of its own; the model
 * says which requests it holds and how it ends, redis-server what the right answers are.
 *
 *   input ─ model ─> requests ─ redis-server ─> expected ┐
 *     └──────── target, whole or byte by byte ─> received ┴─> judge
 *
 * A protocol error: the server says which and closes, the proxy closes without a word. What comes
 * before it is answered.
 */

import { REQUEST_ERROR, REQUEST_READY, RequestDecoder } from "../../src/resp/decoder.ts";
import type { Prng } from "../support/prng.ts";
import type { Program } from "../support/programs.ts";
import { RespClient } from "../support/resp-client.ts";
import type { Attempt, CampaignTarget } from "./campaign.ts";
import { exchange, type Outcome } from "./exchange.ts";
import { drawRequestInput, type Input } from "./inputs.ts";
import { type DialectName, type Reading, readReplies, readRequests } from "./model.ts";
import { Reference } from "./reference.ts";
import { COMPARED, encodeArray, laneKeys } from "./streams.ts";

/** Longer inputs are not sent byte by byte. */
const BYTEWISE_BYTES_MAX = 400;
/** Above this, a reader that closes at an error may not have read all, and its last words be lost. */
const UNREAD_BYTES = 16 * 1024;
/** Of an input or an answer in a message. */
const SHOWN_CHARS = 600;

/** Names at which a connection is cut off at once, without replies that have not left. */
const CUT_OFF: ReadonlySet<string> = new Set(["POST", "HOST:"]);

export interface RequestSideOptions {
  readonly target: Program;
  readonly dialect: DialectName;
  /** A stock redis-server. */
  readonly reference: Program;
  /** Servers to empty between batches, the reference apart. */
  readonly servers: readonly Program[];
  /** Makes the target collect its garbage. */
  collect(): Promise<void>;
  /** One input in this many goes byte by byte. */
  readonly bytewiseOneIn: number;
}

export class RequestSide implements CampaignTarget {
  readonly pid: number;
  readonly #options: RequestSideOptions;
  readonly #reference: Reference;
  readonly #watcher: RespClient;
  #watched = 0;

  private constructor(options: RequestSideOptions, reference: Reference, watcher: RespClient) {
    this.pid = options.target.pid;
    this.#options = options;
    this.#reference = reference;
    this.#watcher = watcher;
  }

  static async open(options: RequestSideOptions): Promise<RequestSide> {
    const reference = await Reference.connect(options.reference.port);
    const watcher = await RespClient.connect(options.target.port);
    return new RequestSide(options, reference, watcher);
  }

  close(): void {
    this.#reference.close();
    this.#watcher.close();
  }

  async reset(): Promise<void> {
    for (const { port } of [...this.#options.servers, this.#options.reference]) {
      const client = await RespClient.connect(port);
      await client.call("FLUSHALL");
      client.close();
    }
  }

  collect(): Promise<void> {
    return this.#options.collect();
  }

  async watch(): Promise<void> {
    const value = `watched ${++this.#watched}`;
    const [, got] = await this.#watcher.pipeline([
      ["SET", "watcher", value],
      ["GET", "watcher"],
    ]);
    // Inputs may empty the server; another value would be somebody else's answer.
    if (got !== null && String(got) !== value) throw new Error(`GET watcher: ${String(got)}`);
  }

  async attempt(_index: number, lane: number, prng: Prng): Promise<Attempt> {
    const { target, dialect, bytewiseOneIn } = this.#options;
    const keys = laneKeys(lane);
    const input = drawRequestInput(prng, keys);
    const isBytewise = input.bytes.length <= BYTEWISE_BYTES_MAX && prng.oneIn(bytewiseOneIn);
    const reading = readRequests(input.bytes.latin1Slice(), dialect);
    const clear = encodeArray(["DEL", ...keys]);
    const expecting = this.#expected(clear, reading);
    const outcome = await exchange(target.port, {
      prologue: Buffer.from(clear),
      // Bytes after the error would meet a closed connection, and its reset eats replies.
      bytes: isBytewise ? untilError(input.bytes, dialect) : input.bytes,
      isBytewise,
      halfCloses: reading.end !== "error",
    });
    const expected = await expecting;
    const problem = judge(dialect, input, reading, expected, outcome);
    const { tookMs } = outcome;
    if (problem === undefined) return { kind: input.kind, tookMs };
    return {
      kind: input.kind,
      tookMs,
      problem: [
        problem,
        `sent${isBytewise ? " byte by byte" : ""}: ${show(input.bytes.latin1Slice())}`,
        `received: ${show(outcome.received.latin1Slice())}`,
        `expected: ${expected.map(show).join(" ")}, ${reading.end} ${reading.error}`,
      ].join("\n  "),
    };
  }

  /** What redis-server answers to the leading requests that can be compared. */
  async #expected(clear: string, reading: Reading<readonly string[]>): Promise<readonly string[]> {
    const strange = reading.items.findIndex((words) => !COMPARED.has(words[0]!.toUpperCase()));
    const known = strange < 0 ? reading.items : reading.items.slice(0, strange);
    const requests = clear + known.map(encodeArray).join("");
    return (await this.#reference.ask(requests, known.length + 1)).slice(1);
  }
}

function judge(
  dialect: DialectName,
  input: Input,
  reading: Reading<readonly string[]>,
  expected: readonly string[],
  outcome: Outcome,
): string | undefined {
  if (outcome.isTimedOut) return "it did not end in time";
  const answer = readReplies(outcome.received.latin1Slice());
  const cutAt = reading.items.findIndex((words) => CUT_OFF.has(words[0]!.toUpperCase()));
  // One of DEL, and those before; the reset may take any of them.
  if (cutAt >= 0) return answer.items.length > cutAt + 1 ? "HTTP was answered" : undefined;
  if (answer.end !== "clean") return `the answer is no sequence of replies: ${answer.error}`;
  const [cleared, ...replies] = answer.items;
  if (cleared === undefined || !/^:\d+\r\n$/.test(cleared)) return "DEL was not answered";
  for (const [i, reply] of expected.entries()) {
    if (!isSame(dialect, replies[i], reply)) return `reply ${i} is not what redis-server says`;
  }
  if (reading.items.some((words) => words[0]!.toUpperCase() === "QUIT")) return undefined;
  const isTold = dialect === "server" && reading.end === "error";
  const wanted = reading.items.length + Number(isTold);
  if (replies.length !== wanted) {
    const mayBeLost = isTold && input.bytes.length > UNREAD_BYTES;
    if (mayBeLost && replies.length < wanted) return undefined;
    return `${replies.length} replies where there should be ${wanted}`;
  }
  const last = `-ERR Protocol error: ${reading.error}\r\n`;
  if (isTold && replies.at(-1) !== last) return `the last reply is not ${show(last)}`;
  return undefined;
}

/** The proxy has words of its own for some errors. */
function isSame(dialect: DialectName, reply: string | undefined, expected: string): boolean {
  if (reply === expected) return true;
  return dialect === "proxy" && expected.startsWith("-") && reply?.startsWith("-") === true;
}

/** The input up to the byte that makes it wrong, all of it when none does. */
function untilError(bytes: Buffer, dialect: DialectName): Buffer {
  const decoder = new RequestDecoder(dialect);
  for (let at = 0; at < bytes.length; at++) {
    decoder.feed(Buffer.from(bytes.subarray(at, at + 1)));
    let status = decoder.next();
    while (status === REQUEST_READY) status = decoder.next();
    if (status === REQUEST_ERROR) return bytes.subarray(0, at + 1);
  }
  return bytes;
}

function show(text: string): string {
  const shown = JSON.stringify(text.slice(0, SHOWN_CHARS));
  return text.length > SHOWN_CHARS ? `${shown}... (${text.length} bytes)` : shown;
}
