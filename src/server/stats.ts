/** What INFO and CONFIG RESETSTAT count. Plain numbers, changed in place on the hot path. */

import { ALL_COMMANDS } from "../commands/lookup.ts";

export class ServerStats {
  connectionsReceived = 0;
  rejectedConnections = 0;
  /** Closed because replies that waited and requests in part were too many, over all clients. */
  evictedClients = 0;
  commandsProcessed = 0;
  inputBytes = 0;
  outputBytes = 0;
  errorReplies = 0;
  oomRefusals = 0;
  peakMemory = 0;
  /** Bytes of replies that clients have not taken yet. */
  outputBacklog = 0;
  /** Bytes of requests that have not come whole, or wait to be executed. */
  inputBacklog = 0;
  /** Commands per second over the last samples, see `sample`. */
  opsPerSecond = 0;
  /** By command id. */
  calls = new Float64Array(ALL_COMMANDS.length);
  /** By command id; only of calls that were timed. */
  microseconds = new Float64Array(ALL_COMMANDS.length);
  rejectedCalls = new Float64Array(ALL_COMMANDS.length);
  failedCalls = new Float64Array(ALL_COMMANDS.length);
  /** Error replies by code word. */
  readonly errors = new Map<string, number>();

  #sampledCommands = 0;
  #sampledAtMs = 0;

  /** Call it about once a second. */
  sample(nowMs: number): void {
    const elapsed = nowMs - this.#sampledAtMs;
    if (elapsed <= 0) return;
    this.opsPerSecond = Math.round(
      ((this.commandsProcessed - this.#sampledCommands) * 1000) / elapsed,
    );
    this.#sampledCommands = this.commandsProcessed;
    this.#sampledAtMs = nowMs;
  }

  /** Counts an error reply. @param text without `-` */
  countError(text: string): void {
    this.errorReplies++;
    const end = text.indexOf(" ");
    const code = end < 0 ? text : text.slice(0, end);
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
  }

  /** CONFIG RESETSTAT. */
  reset(): void {
    this.connectionsReceived = 0;
    this.rejectedConnections = 0;
    this.evictedClients = 0;
    this.commandsProcessed = 0;
    this.inputBytes = 0;
    this.outputBytes = 0;
    this.errorReplies = 0;
    this.oomRefusals = 0;
    this.#sampledCommands = 0;
    this.calls.fill(0);
    this.microseconds.fill(0);
    this.rejectedCalls.fill(0);
    this.failedCalls.fill(0);
    this.errors.clear();
  }
}
