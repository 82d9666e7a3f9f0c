/**
 * Keeps child processes of this executable alive: starts each, knows when it serves, restarts one
 * that ended by itself (with growing pauses), and ends all on demand. A child says that it serves
 * by one JSON line on its stdout and ends when its stdin closes, so none outlives this process for
 * long.
 *
 *            start()          `{"ready":true}`             close()
 *   (none) ─────────> starting ───────────────> serving ───────────> (none)
 *                        │  ^                      │
 *                  exited│  │ after backoffMs      │ exited
 *                        v  │                      v
 *                        waiting <─────────────────┘
 */

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { Subprocess } from "bun";
import { CodisError, errorText } from "../../src/base/errors.ts";
import { CLOSE_MAX_MS } from "../../src/proxy/data-plane.ts";

/** First pause before a restart; doubles at each failure in a row. */
const BACKOFF_MIN_MS = 50;
const BACKOFF_MAX_MS = 5_000;
/** A child that served this long starts again with the first pause. */
const STABLE_MS = 10_000;
/** A child that has not ended this long after SIGTERM is killed: a proxy ends its clients first. */
export const STOP_TIMEOUT_MS = CLOSE_MAX_MS + 2_000;

/** Of a log, what is read of it to say why its process has ended. */
const LAST_WORDS_BYTES = 4096;

export interface ChildSpec {
  readonly name: string;
  /** The words after the executable. */
  readonly argv: readonly string[];
  /** Its stderr is appended here. */
  readonly logFile: string;
  /** A descriptor that it inherits, so that what is locked by it stays so while the child lives. */
  readonly lock: number;
}

export interface SupervisorEvents {
  /** A child ended by itself, or could not be started, and is started again in `backoffMs`. */
  onRestart(what: string, backoffMs: number): void;
  /** It serves again. */
  onServing(name: string, pid: number): void;
}

/** The command that starts this program again, compiled or not. */
function selfCommand(): readonly string[] {
  return Bun.isStandaloneExecutable ? [process.execPath] : [process.execPath, Bun.main];
}

export class Child {
  readonly #spec: ChildSpec;
  readonly #events: SupervisorEvents;
  #process: Subprocess<"pipe", "pipe", number> | undefined;
  #backoffMs = BACKOFF_MIN_MS;
  #restartTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(spec: ChildSpec, events: SupervisorEvents) {
    this.#spec = spec;
    this.#events = events;
  }

  get name(): string {
    return this.#spec.name;
  }

  /** 0 while it is not running. */
  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Resolves when it serves. Rejects when it ended before: its log says why. */
  async start(): Promise<void> {
    const startedMs = performance.now();
    const log = openSync(this.#spec.logFile, "a");
    const saidBefore = fstatSync(log).size;
    // A session of its own: Ctrl-C reaches us alone, and we stop the children in order.
    const child = Bun.spawn([...selfCommand(), ...this.#spec.argv, "--supervised"], {
      stdio: ["pipe", "pipe", log, this.#spec.lock],
      detached: true,
    });
    closeSync(log);
    this.#process = child;
    const isServing = await saysReady(child.stdout);
    if (!isServing) {
      const exitCode = await child.exited;
      this.#process = undefined;
      throw new CodisError(
        "unavailable",
        `${this.name} did not start: exit code ${exitCode}; ${lastWords(this.#spec.logFile, saidBefore)} (${this.#spec.logFile})`,
      );
    }
    this.#events.onServing(this.name, child.pid);
    // Owned here: whatever the exit, it is either our close() or a reason to restart.
    void child.exited.then((exitCode) => this.#exited(exitCode, performance.now() - startedMs));
  }

  /** Ends the child: SIGTERM, after STOP_TIMEOUT_MS SIGKILL. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#restartTimer);
    const child = this.#process;
    if (child === undefined) return;
    child.kill("SIGTERM");
    const killTimer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await child.exited;
    clearTimeout(killTimer);
  }

  #exited(exitCode: number, servedMs: number): void {
    this.#process = undefined;
    if (this.#isClosed) return;
    if (servedMs > STABLE_MS) this.#backoffMs = BACKOFF_MIN_MS;
    this.#restartLater(`${this.name} ended with exit code ${exitCode}`);
  }

  #restartLater(what: string): void {
    if (this.#isClosed) return;
    const backoffMs = this.#backoffMs;
    this.#backoffMs = Math.min(BACKOFF_MAX_MS, backoffMs * 2);
    this.#events.onRestart(what, backoffMs);
    this.#restartTimer = setTimeout(() => {
      this.start().catch((error: unknown) => this.#restartLater(errorText(error)));
    }, backoffMs);
  }
}

/** The last line that a process has added to a log of `from` bytes. */
function lastWords(logFile: string, from: number): string {
  let text = "";
  try {
    const log = openSync(logFile, "r");
    const bytes = Math.min(fstatSync(log).size - from, LAST_WORDS_BYTES);
    const words = Buffer.alloc(Math.max(0, bytes));
    readSync(log, words, 0, words.length, fstatSync(log).size - words.length);
    closeSync(log);
    text = words.toString("utf8").trimEnd();
  } catch {
    // A log that cannot be read says nothing; what failed is told all the same.
  }
  return text === "" ? "it said nothing" : text.slice(text.lastIndexOf("\n") + 1);
}

/** Reads stdout up to the ready line; false when it ends before. The rest is read and dropped. */
async function saysReady(stdout: ReadableStream<Uint8Array>): Promise<boolean> {
  const reader = stdout.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return false;
    text += decoder.decode(value, { stream: true });
    if (/^\{"ready":true/m.test(text)) break;
  }
  const drop = async (): Promise<void> => {
    while (!(await reader.read()).done);
  };
  drop().catch(() => undefined);
  return true;
}
