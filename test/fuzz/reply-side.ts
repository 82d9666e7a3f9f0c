/**
 * Broken and odd replies to a proxy. Each lane has a backend of its own, scripted, and a client;
 * the client pipelines some requests, the backend answers with the input, the model says what the
 * client must see. Then the client asks once more, and must get the answer to that very question.
 *
 *   client ── k requests ──> proxy ──> backend ── input ──> proxy ──> client: judged
 *   client ── one more ────> proxy ──> backend ── right ──> proxy ──> client: judged
 *
 * A whole reply reaches the client as it is. Where the input goes wrong or ends, those without a
 * reply get an error each, or the client is cut off in the middle of a reply. A reply that nobody
 * asked for ends the proxy's connection to the backend.
 */

import { ReplyScanner } from "../../src/resp/reply-scanner.ts";
import { slotOf } from "../../src/slots/hash.ts";
import type { Prng } from "../support/prng.ts";
import type { Program } from "../support/programs.ts";
import { RespClient } from "../support/resp-client.ts";
import { type Attempt, type CampaignTarget, LANES } from "./campaign.ts";
import { collectProxy } from "./collect.ts";
import { drawReplyInput } from "./inputs.ts";
import { type Reading, readReplies } from "./model.ts";
import { ScriptedBackend } from "./scripted-backend.ts";
import { encodeArray } from "./streams.ts";

const ATTEMPT_MS_MAX = 1000;
const REQUESTS_MAX = 4;
/** Longer inputs are not sent byte by byte. */
const BYTEWISE_BYTES_MAX = 400;
const SHOWN_CHARS = 600;
/** Of what the proxy says when a reply is lost. */
const LOST = String.raw`-ERR handle response, [^\r\n]*\r\n`;

/** proxy.toml: no probes, which the scripts would have to answer. */
export const REPLY_SIDE_CONFIG = `backend_ping_period = "0"\n`;

/** One backend per lane, and one for the client that watches. */
export function createBackends(): readonly ScriptedBackend[] {
  return Array.from({ length: LANES + 1 }, () => new ScriptedBackend());
}

export interface ReplySideOptions {
  readonly proxy: Program;
  readonly backends: readonly ScriptedBackend[];
  /** One input in this many goes byte by byte. */
  readonly bytewiseOneIn: number;
}

interface Lane {
  readonly backend: ScriptedBackend;
  /** A hash tag whose slot belongs to the backend. */
  readonly tag: string;
  client: LaneClient | undefined;
}

export class ReplySide implements CampaignTarget {
  readonly pid: number;
  readonly #options: ReplySideOptions;
  readonly #lanes: readonly Lane[];
  readonly #watcher: RespClient;

  private constructor(options: ReplySideOptions, lanes: readonly Lane[], watcher: RespClient) {
    this.pid = options.proxy.pid;
    this.#options = options;
    this.#lanes = lanes;
    this.#watcher = watcher;
  }

  static async open(options: ReplySideOptions): Promise<ReplySide> {
    const { backends, proxy } = options;
    const lanes = backends.map((backend, i) => {
      const tag = tagOf(i, backends.length);
      return { backend, tag, client: undefined };
    });
    return new ReplySide(options, lanes, await RespClient.connect(proxy.port));
  }

  close(): void {
    this.#watcher.close();
    for (const lane of this.#lanes) {
      lane.client?.close();
      lane.backend.stop();
    }
  }

  async reset(): Promise<void> {
    // Nothing is kept between attempts.
  }

  collect(): Promise<void> {
    return collectProxy(this.#options.proxy);
  }

  async watch(): Promise<void> {
    const key = this.#lanes.at(-1)!.tag;
    const got = await this.#watcher.call("GET", key);
    if (String(got) !== key) throw new Error(`GET ${key}: ${String(got)}`);
  }

  async attempt(index: number, laneNumber: number, prng: Prng): Promise<Attempt> {
    const beganMs = performance.now();
    const lane = this.#lanes[laneNumber]!;
    const requests = 1 + prng.int(REQUESTS_MAX);
    const { kind, bytes } = drawReplyInput(prng, requests);
    const isBytewise =
      bytes.length <= BYTEWISE_BYTES_MAX && prng.oneIn(this.#options.bytewiseOneIn);
    const reading = readReplies(bytes.latin1Slice());
    const ending = endingOf(reading, requests, bytes.length);
    lane.client ??= await LaneClient.connect(this.#options.proxy.port);
    const { client } = lane;
    const played = lane.backend.play({ requests, bytes, isBytewise, ending });
    const keys = Array.from({ length: requests }, (_, i) => `${lane.tag}${index}-${i}`);
    const answered = client.ask(keys.map((key) => encodeArray(["GET", key])).join(""), requests);
    const isInTime = await withinLimit(Promise.all([played, answered]));
    const problem = isInTime
      ? (judge(bytes.latin1Slice(), reading, requests, client) ??
        (await this.#askOnceMore(lane, `${lane.tag}${index}-more`)))
      : `it did not end in time (the connection to the backend was to be ${ending})`;
    const tookMs = performance.now() - beganMs;
    if (problem === undefined) return { kind, tookMs };
    const received = client.received;
    lane.backend.abort();
    client.close();
    lane.client = undefined;
    return {
      kind,
      tookMs,
      problem: [
        problem,
        `${requests} requests; answered${isBytewise ? " byte by byte" : ""}: ${show(bytes.latin1Slice())}`,
        `received: ${show(received)}${client.isClosed ? ", then closed" : ""}`,
        `model: ${reading.items.length} replies, ${reading.end} ${reading.error}`,
      ].join("\n  "),
    };
  }

  /** @returns what was wrong */
  async #askOnceMore(lane: Lane, key: string): Promise<string | undefined> {
    if (lane.client!.isClosed) lane.client = await LaneClient.connect(this.#options.proxy.port);
    const client = lane.client!;
    const isInTime = await withinLimit(client.ask(encodeArray(["GET", key]), 1));
    if (!isInTime) return "the next request got no answer in time";
    const expected = `$${key.length}\r\n${key}\r\n`;
    if (client.received === expected) return undefined;
    return `the next request got ${show(client.received)}, not ${show(expected)}`;
  }
}

/** What must become of the connection to the backend. */
function endingOf(
  { items, end, at }: Reading<string>,
  requests: number,
  length: number,
): "stays" | "closed by us" | "closed by them" {
  if (items.length < requests) return end === "error" ? "closed by them" : "closed by us";
  const asked = items.slice(0, requests).join("").length;
  return asked === length && at === length ? "stays" : "closed by them";
}

function judge(
  text: string,
  reading: Reading<string>,
  requests: number,
  client: LaneClient,
): string | undefined {
  const whole = reading.items.slice(0, requests).join("");
  const { received } = client;
  if (!received.startsWith(whole)) return "whole replies did not come as they are";
  const rest = received.slice(whole.length);
  const missing = Math.max(0, requests - reading.items.length);
  if (missing === 0) {
    if (client.isClosed) return "the client was closed although it got everything";
    return rest === "" ? undefined : "something came that was not asked for";
  }
  if (!client.isClosed) {
    const isTold = new RegExp(`^(${LOST}){${missing}}$`).test(rest);
    return isTold ? undefined : `not ${missing} errors for the replies that were lost`;
  }
  // Errors are told to all, so only a client that has a part of a reply may be cut off.
  if (rest === "") return "the client was closed without having a part of a reply";
  return text.slice(whole.length).startsWith(rest) ? undefined : "a reply was changed on its way";
}

/** A tag whose slot lies in range `part` of `parts`, as Programs.proxy deals slots out. */
function tagOf(part: number, parts: number): string {
  for (let i = 0; ; i++) {
    const tag = `{t${i}}`;
    const slot = slotOf(Buffer.from(tag));
    if (Math.floor((slot * parts) / 1024) === part) return tag;
  }
}

async function withinLimit(promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ATTEMPT_MS_MAX);
  });
  const isInTime = await Promise.race([promise.then(() => true), limit]);
  clearTimeout(timer);
  return isInTime;
}

/** A client that keeps what it gets as it stands on the wire. */
class LaneClient {
  readonly #socket: Bun.Socket<undefined>;
  readonly #scanner = new ReplyScanner();
  /** Since the last question. */
  received = "";
  isClosed = false;
  #missing = 0;
  #resolve: (() => void) | undefined;

  private constructor(socket: Bun.Socket<undefined>) {
    this.#socket = socket;
  }

  static async connect(port: number): Promise<LaneClient> {
    const opened = Promise.withResolvers<LaneClient>();
    let client: LaneClient | undefined;
    await Bun.connect<undefined>({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => {
          client = new LaneClient(socket);
          opened.resolve(client);
        },
        data: (_, chunk) => client!.#take(chunk),
        close: () => {
          client!.isClosed = true;
          client!.#resolve?.();
        },
      },
    });
    return await opened.promise;
  }

  /** Resolves when as many replies came as were asked for, or the connection is closed. */
  ask(text: string, replies: number): Promise<void> {
    this.received = "";
    this.#missing = replies;
    this.#scanner.reset();
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.#socket.write(Buffer.from(text, "latin1"));
    });
  }

  close(): void {
    this.#socket.terminate();
  }

  #take(chunk: Buffer): void {
    this.received += chunk.latin1Slice();
    for (let at = 0; at < chunk.length && this.#missing > 0; ) {
      const next = this.#scanner.scan(chunk, at, chunk.length);
      // A part of a reply whose rest is broken: the connection will end.
      if (next < 0) return;
      at = next;
      this.#missing--;
    }
    if (this.#missing === 0) this.#resolve?.();
  }
}

function show(text: string): string {
  const shown = JSON.stringify(text.slice(0, SHOWN_CHARS));
  return text.length > SHOWN_CHARS ? `${shown}... (${text.length} bytes)` : shown;
}
