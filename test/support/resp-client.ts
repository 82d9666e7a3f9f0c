/**
 * A plain pipelining client for tests: what is sent in one call leaves in one write, replies come
 * back in order. It hides nothing: a lost connection fails every call that waits.
 */

import { encodeRequest } from "../../src/resp/encoder.ts";
import type { Reply } from "../../src/resp/reply.ts";
import { ReplyDecoder } from "../../src/resp/reply-decoder.ts";

export type Args = readonly (string | Buffer | number)[];

interface Waiter {
  readonly count: number;
  readonly replies: Reply[];
  resolve(replies: Reply[]): void;
  reject(error: Error): void;
}

/** The connection ended while replies were awaited, or before. */
export class ConnectionLost extends Error {
  /** The replies that had come for the call that failed. */
  readonly replies: readonly Reply[];

  constructor(replies: readonly Reply[]) {
    super(`connection lost after ${replies.length} replies of this call`);
    this.replies = replies;
  }
}

export class RespClient {
  readonly #decoder = new ReplyDecoder();
  readonly #waiters: Waiter[] = [];
  readonly #unsent: Buffer[] = [];
  #socket: Bun.Socket<undefined> | undefined;
  #isLost = false;

  /** Rejects when the connection is refused. */
  static async connect(port: number, hostname = "127.0.0.1"): Promise<RespClient> {
    const client = new RespClient();
    await Bun.connect<undefined>({
      hostname,
      port,
      socket: {
        open: (socket) => {
          client.#socket = socket;
        },
        data: (_, chunk) => client.#received(chunk),
        drain: () => client.#send(),
        close: () => client.#lost(),
        error: () => client.#lost(),
      },
    });
    return client;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  async call(...args: (string | Buffer | number)[]): Promise<Reply> {
    return (await this.pipeline([args]))[0]!;
  }

  /** @returns as many replies as requests; error replies are values */
  pipeline(requests: readonly Args[]): Promise<Reply[]> {
    return this.raw(Buffer.concat(requests.map(encodeRequest)), requests.length);
  }

  /** Sends bytes as they are and waits for `count` replies. */
  raw(bytes: Buffer, count: number): Promise<Reply[]> {
    if (this.#isLost) return Promise.reject(new ConnectionLost([]));
    return new Promise((resolve, reject) => {
      this.#waiters.push({ count, replies: [], resolve, reject });
      this.#unsent.push(bytes);
      this.#send();
    });
  }

  close(): void {
    this.#socket?.end();
    this.#lost();
  }

  #send(): void {
    while (this.#unsent.length > 0) {
      const bytes = this.#unsent[0]!;
      const taken = this.#socket!.write(bytes);
      if (taken < bytes.length) {
        if (taken > 0) this.#unsent[0] = bytes.subarray(taken);
        return;
      }
      this.#unsent.shift();
    }
  }

  #received(chunk: Buffer): void {
    this.#decoder.feed(chunk);
    for (;;) {
      const reply = this.#decoder.next();
      if (reply === undefined) return;
      const waiter = this.#waiters[0];
      if (waiter === undefined) throw new Error("a reply came that nobody asked for");
      waiter.replies.push(reply);
      if (waiter.replies.length < waiter.count) continue;
      this.#waiters.shift();
      waiter.resolve(waiter.replies);
    }
  }

  #lost(): void {
    if (this.#isLost) return;
    this.#isLost = true;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(new ConnectionLost(waiter.replies));
  }
}
