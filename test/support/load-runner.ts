/**
 * Connections that send pipelines of drawn requests until they are stopped, and hand each reply to
 * whoever drew its request.
 *
 *   draw(id) ──> pipeline ──> reply | error | none ──> settle, and a problem unless it may be so
 */

import { ErrorReply, type Reply } from "../../src/resp/reply.ts";
import { type Args, ConnectionLost, RespClient } from "./resp-client.ts";

/** The refusal came at once: so long before another attempt. */
const CONNECT_PAUSE_MS = 20;

/** One request and what to do with its reply. */
export interface Operation {
  readonly args: Args;
  /** When it was drawn: monotonic milliseconds. */
  readonly beginMs: number;
  /** @param reply undefined when there was none, or an error @param endMs Infinity then */
  settle(reply: Reply | undefined, endMs: number): void;
}

export interface LoadRules {
  readonly connections: number;
  /** Connections may be refused and lost. */
  readonly mayLoseConnections: boolean;
  /** Whether requests for `key` may be answered by an error. */
  mayFail(key: string): boolean;
}

export class LoadRunner {
  /** Replies and losses that may not be. */
  readonly problems: string[] = [];
  /** Requests that got a good reply, and those that got none or an error. */
  acked = 0;
  lost = 0;
  readonly #port: number;
  readonly #rules: LoadRules;
  readonly #draw: (id: number) => readonly Operation[];
  #isStopped = false;

  /** @param draw the next pipeline of a connection, 0 .. connections - 1 */
  constructor(port: number, rules: LoadRules, draw: (id: number) => readonly Operation[]) {
    this.#port = port;
    this.#rules = rules;
    this.#draw = draw;
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Resolves when every connection has stopped after stop(). */
  async run(): Promise<void> {
    const ids = Array.from({ length: this.#rules.connections }, (_, id) => id);
    await Promise.all(ids.map((id) => this.#runConnection(id)));
  }

  async #runConnection(id: number): Promise<void> {
    let client: RespClient | undefined;
    while (!this.#isStopped) {
      client ??= await this.#connect();
      if (client === undefined) continue;
      try {
        await this.#runPipeline(client, id);
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw error;
        if (!this.#rules.mayLoseConnections)
          this.problems.push(`connection ${id}: ${error.message}`);
        client = undefined;
      }
    }
    client?.close();
  }

  async #connect(): Promise<RespClient | undefined> {
    try {
      return await RespClient.connect(this.#port);
    } catch (error) {
      if (!this.#rules.mayLoseConnections) throw error;
      await new Promise((again) => setTimeout(again, CONNECT_PAUSE_MS));
      return undefined;
    }
  }

  async #runPipeline(client: RespClient, id: number): Promise<void> {
    const operations = this.#draw(id);
    let replies: readonly Reply[] = [];
    try {
      replies = await client.pipeline(operations.map((operation) => operation.args));
    } catch (error) {
      if (error instanceof ConnectionLost) replies = error.replies;
      throw error;
    } finally {
      const endMs = performance.now();
      for (const [i, operation] of operations.entries()) this.#settle(operation, replies[i], endMs);
    }
  }

  #settle({ args, settle }: Operation, reply: Reply | undefined, endMs: number): void {
    if (reply instanceof ErrorReply && !this.#rules.mayFail(String(args[1]))) {
      this.problems.push(`${args.slice(0, 2).join(" ")} answered -${reply.text}`);
    }
    const isAnswered = reply !== undefined && !(reply instanceof ErrorReply);
    if (isAnswered) this.acked++;
    else this.lost++;
    settle(isAnswered ? reply : undefined, isAnswered ? endMs : Number.POSITIVE_INFINITY);
  }
}
