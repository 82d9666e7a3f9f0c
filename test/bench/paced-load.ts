/**
 * Clients at a fixed rate, for latencies that can be compared: GET and SET in turn, of keys drawn
 * evenly, sent when their time has come whether earlier ones are answered or not.
 *
 *   timer, every ms ──> what is due: one request to each connection in turn ──> sent at ──┐
 *   reply ──> latency of the connection's oldest request <────────────────────────────────┘
 *
 * Every key must exist with a value of VALUE_BYTES: replies then have known lengths, and none is
 * decoded. A latency is the time from a request's write to the last byte of its reply.
 */

import { Fifo } from "../../src/base/fifo.ts";
import { encodeRequest } from "../../src/resp/encoder.ts";
import { createPrng, type Prng } from "../support/prng.ts";
import { CONNECTIONS, VALUE_BYTES } from "./load.ts";

const TIMER_MS = 1;
const KEY_DIGITS = 12;
const MINUS = 0x2d;
const GET_REPLY_BYTES = `$${VALUE_BYTES}\r\n`.length + VALUE_BYTES + 2;
const SET_REPLY_BYTES = "+OK\r\n".length;
const VALUE = "x".repeat(VALUE_BYTES);

export interface PacedFigures {
  readonly requests: number;
  /** Those that were answered in a second; less than the rate when the load cannot be kept up. */
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly longestMs: number;
}

interface Sent {
  readonly atMs: number;
  readonly replyBytes: number;
}

class PacedClient {
  readonly sent = new Fifo<Sent>();
  /** Of the oldest request's reply, what has come. */
  received = 0;
  socket: Bun.Socket<PacedClient> | undefined;
}

export class PacedLoad {
  readonly #clients: PacedClient[] = [];
  readonly #perSecond: number;
  readonly #keySpace: number;
  readonly #prng: Prng;
  #latencies: number[] = [];
  #timer: Timer | undefined;
  #beganMs = 0;
  #measuredSinceMs = 0;
  #requests = 0;
  #failure: Error | undefined;

  private constructor(perSecond: number, keySpace: number, seed: number) {
    this.#perSecond = perSecond;
    this.#keySpace = keySpace;
    this.#prng = createPrng(seed);
  }

  /** @param keySpace keys 0 to this - 1 are asked for, as `fill` has written them */
  static async start(
    port: number,
    options: { readonly perSecond: number; readonly keySpace: number; readonly seed: number },
  ): Promise<PacedLoad> {
    const load = new PacedLoad(options.perSecond, options.keySpace, options.seed);
    for (let i = 0; i < CONNECTIONS; i++) {
      const client = new PacedClient();
      client.socket = await Bun.connect<PacedClient>({
        hostname: "127.0.0.1",
        port,
        data: client,
        socket: {
          data: ({ data }, chunk) => load.#replied(data, chunk),
          close: () => load.#fail(new Error("a connection was closed")),
          error: (_, error) => load.#fail(error),
        },
      });
      load.#clients.push(client);
    }
    load.#beganMs = performance.now();
    load.#timer = setInterval(() => load.#sendDue(), TIMER_MS);
    load.measure();
    return load;
  }

  /** Forgets what was measured. */
  measure(): void {
    this.#latencies = [];
    this.#measuredSinceMs = performance.now();
  }

  /** Of the requests answered since `measure`. @throws when a request has failed */
  figures(): PacedFigures {
    if (this.#failure !== undefined) throw this.#failure;
    const seconds = (performance.now() - this.#measuredSinceMs) / 1000;
    const sorted = Float64Array.from(this.#latencies).sort();
    const part = (share: number): number => sorted[Math.ceil(sorted.length * share) - 1] ?? 0;
    return {
      requests: sorted.length,
      perSecond: sorted.length / seconds,
      p50Ms: part(0.5),
      p99Ms: part(0.99),
      p999Ms: part(0.999),
      longestMs: part(1),
    };
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const { socket } of this.#clients) socket!.end();
  }

  #sendDue(): void {
    const due = ((performance.now() - this.#beganMs) * this.#perSecond) / 1000;
    while (this.#requests < due && this.#failure === undefined) this.#send();
  }

  #send(): void {
    const client = this.#clients[this.#requests % CONNECTIONS]!;
    const isGet = this.#requests++ % 2 === 0;
    const key = `key:${String(this.#prng.int(this.#keySpace)).padStart(KEY_DIGITS, "0")}`;
    const request = encodeRequest(isGet ? ["GET", key] : ["SET", key, VALUE]);
    const replyBytes = isGet ? GET_REPLY_BYTES : SET_REPLY_BYTES;
    client.sent.push({ atMs: performance.now(), replyBytes });
    if (client.socket!.write(request) < request.length) {
      this.#fail(new Error("a request could not be sent: the server does not read"));
    }
  }

  #replied(client: PacedClient, chunk: Buffer): void {
    if (chunk.includes(MINUS)) {
      this.#fail(new Error(`a request was refused: ${chunk.toString()}`));
    }
    const nowMs = performance.now();
    client.received += chunk.length;
    for (let head = client.sent.peek(); head !== undefined; head = client.sent.peek()) {
      if (client.received < head.replyBytes) break;
      client.received -= head.replyBytes;
      client.sent.shift();
      this.#latencies.push(nowMs - head.atMs);
    }
  }

  #fail(error: Error): void {
    if (this.#timer !== undefined) this.#failure ??= error;
  }
}
