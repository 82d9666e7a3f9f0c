/**
 * One connection that sends its stream to a server that may refuse, close or die, and keeps count
 * of what it was promised.
 *
 *   answered            acknowledged: owed after a kill, whatever the policy
 *   -MISCONF            not done: taken out of the stream
 *   connection lost     done or not: `resolve` asks the server, or its successor
 */

import type { Reply } from "../../src/resp/reply.ts";
import type { Prng } from "../support/prng.ts";
import { ConnectionLost, RespClient } from "../support/resp-client.ts";
import { askWire, readState, textOfReply } from "./found.ts";
import { isUpheaval, SnapshotLedger } from "./ledger.ts";
import type { Word } from "./model.ts";
import { isShortLived, type Stream } from "./workload.ts";

export type BatchEnd = "good" | "refused" | "lost";

const REFUSAL = /^-MISCONF /;

export class Sender {
  readonly stream: Stream;
  ledger = new SnapshotLedger(0);
  /** Texts of refusals. */
  readonly refusals = new Set<string>();
  readonly #prng: Prng;
  #client: RespClient | undefined;

  constructor(stream: Stream, prng: Prng) {
    this.stream = stream;
    this.#prng = prng;
  }

  /** Another connection: to another life of the server, or after it was closed. */
  async connect(port: number): Promise<void> {
    this.#client?.close();
    this.#client = await RespClient.connect(port);
    const first = this.stream.commands.length === 0 ? this.stream.fill() : [];
    await this.#send([...first, this.stream.reconnect()]);
  }

  close(): void {
    this.#client?.close();
  }

  get client(): RespClient {
    return this.#client!;
  }

  /** Sends so many commands of the stream at once. */
  batch(count: number): Promise<BatchEnd> {
    return this.#send(Array.from({ length: count }, () => this.stream.next()));
  }

  async #send(commands: readonly (readonly Word[])[]): Promise<BatchEnd> {
    const { stream, ledger } = this;
    const first = stream.commands.length - commands.length;
    for (const [i, words] of commands.entries())
      if (isUpheaval(words)) ledger.upheaval(first + i + 1);
    try {
      const replies = await this.client.pipeline(commands);
      return this.#answered(first, replies);
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      this.#answered(first, error.replies);
      return "lost";
    }
  }

  /** Counts replies to the commands from `first` on; what comes behind them is unknown. */
  #answered(first: number, replies: readonly Reply[]): BatchEnd {
    const texts = replies.map(textOfReply);
    const refused = texts.filter((text) => REFUSAL.test(text));
    for (const text of refused) this.refusals.add(text);
    const kept = this.stream.commands.filter((_, i) => !REFUSAL.test(texts[i - first] ?? ""));
    this.stream.commands.splice(0, this.stream.commands.length, ...kept);
    this.stream.acknowledged = first + replies.length - refused.length;
    return refused.length > 0 ? "refused" : "good";
  }

  /** Whether the server that still runs has what was sent last: it must, or have nothing of it. */
  async resolve(port: number): Promise<void> {
    const client = await RespClient.connect(port);
    const found = await readState(askWire(client), isShortLived);
    client.close();
    const { stream } = this;
    stream.rewind(stream.survived(found, (count) => count >= stream.acknowledged));
    stream.acknowledged = stream.commands.length;
  }

  // -- snapshots --------------------------------------------------------------------------------

  /** SAVE or BGSAVE, at the instant after the last batch; "lost" when the connection is. */
  async snapshot(): Promise<BatchEnd> {
    const { stream, ledger } = this;
    const instant = stream.commands.length;
    const name = this.#prng.pick(["SAVE", "BGSAVE"]);
    ledger.mayHave(instant);
    const text = await this.#ask(name);
    if (text === undefined) return "lost";
    if (text === "OK") ledger.done(instant);
    else if (text === "Background saving started") ledger.began(instant);
    return text.startsWith("-") ? "refused" : "good";
  }

  /** Sees whether a save in the background is over. */
  async noticeEnd(): Promise<void> {
    if (!this.ledger.isRunning) return;
    const info = await this.#ask("INFO", "persistence");
    if (info === undefined || info.includes("rdb_bgsave_in_progress:1")) return;
    this.ledger.ended(info.includes("rdb_last_bgsave_status:ok"));
  }

  async #ask(...words: string[]): Promise<string | undefined> {
    try {
      return textOfReply(await this.client.call(...words));
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      return undefined;
    }
  }
}
