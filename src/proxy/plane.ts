/**
 * The data plane as the rest of the proxy sees it: one thing, whether it runs in this thread or in
 * several Workers that accept from the same port. Each thread has its own connections to every
 * server.
 *
 *   Plane.fill ──> every thread: block, drain, define ──> resolved when all have done so
 *   Plane.stats ─> every thread ──> sums
 *
 * A Worker that dies takes the proxy with it: `onDeath` is called once, with the reason, and the
 * caller ends the process. The others cannot tell which of its requests were answered.
 */

import type { Clock } from "../base/clock.ts";
import { CodisError, type ErrorCode } from "../base/errors.ts";
import type { Slot } from "../model/slot.ts";
import type { BoundPort } from "../net/listener.ts";
import type { PoolLimits } from "./backend-pool.ts";
import { DataPlane, type SessionClosedListener } from "./data-plane.ts";
import type { RouterConfig } from "./router.ts";
import type { SessionLimits } from "./session-port.ts";
import { mergeStats, type PlaneStats } from "./stats.ts";

/** The keys of proxy.toml that the data plane reads: sizes in bytes, times in milliseconds. */
export interface PlaneConfig extends SessionLimits, PoolLimits, RouterConfig {
  readonly proxy_max_clients: number;
  /** Bound of what all clients of all threads hold: replies and requests; 0: none. */
  readonly proxy_max_offheap_size: number;
  /** Bound of the replies that wait for one client. */
  readonly session_output_max: number;
  readonly session_keepalive_period: number;
  readonly backend_primary_parallel: number;
  readonly backend_replica_parallel: number;
  readonly backend_keepalive_period: number;
}

export interface Plane {
  /**
   * Puts definitions in force in their order; resolves when every thread has applied them and what
   * was under way in those slots is answered.
   * @throws CodisError `use of invalid slot id`, `use of invalid forwarder method`, `use of closed
   *   proxy`; the definitions before the one that is wrong stay in force
   */
  fill(slots: readonly Slot[]): Promise<void>;
  /** Serves clients from now on; before, each is told that the router is not online. Idempotent. */
  start(): Promise<void>;
  stats(): Promise<PlaneStats>;
  resetStats(): Promise<void>;
  /** The definitions in force, all 1024. */
  slots(): Promise<Slot[]>;
  /**
   * Stops accepting, answers what is under way, empties the slots, ends sessions and backends;
   * servers and clients have a few seconds for their part. When a Worker dies meanwhile it resolves
   * too, and `onDeath` is called.
   */
  close(): Promise<void>;
}

export interface PlaneOptions {
  readonly config: PlaneConfig;
  /** Where clients connect; stays the caller's to close. */
  readonly port: BoundPort;
  /** 1: in this thread. More: as many Workers. */
  readonly threads: number;
  readonly clock: Clock;
  /** A Worker ended: the proxy cannot go on. */
  onDeath(error: CodisError): void;
  readonly onSessionClosed: SessionClosedListener;
}

/** Opens the data plane; it accepts at once and serves after `start`. */
export async function openPlane(options: PlaneOptions): Promise<Plane> {
  if (options.threads <= 1) return openInThread(options);
  const plane = new WorkerPlane(options);
  await plane.opened;
  return plane;
}

function openInThread({ config, port, clock, onSessionClosed }: PlaneOptions): Plane {
  const sessionsAlive = new Int32Array(new SharedArrayBuffer(4));
  const plane = new DataPlane(config, { sessionsAlive, threads: 1 }, clock, onSessionClosed);
  plane.listen(port.share());
  return {
    fill: (slots) => plane.fill(slots),
    start: async () => plane.start(),
    stats: async () => plane.snapshot(),
    resetStats: async () => plane.stats.reset(),
    slots: async () => plane.slots(),
    close: () => plane.close(),
  };
}

// -- several threads ----------------------------------------------------------------------------

/** What a Worker is asked; each is answered by a WorkerAnswer of the same id. */
export type WorkerRequest = { readonly id: number } & (
  | {
      readonly ask: "open";
      readonly config: PlaneConfig;
      readonly fd: number;
      readonly sessionsAlive: SharedArrayBuffer;
      readonly threads: number;
    }
  | { readonly ask: "fill"; readonly slots: readonly Slot[] }
  | { readonly ask: "start" | "stats" | "resetStats" | "slots" | "close" }
);

export type WorkerAnswer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: { readonly code: ErrorCode; readonly text: string } }
  /** Not an answer: a session was closed. */
  | { readonly closed: string; readonly reason: string };

interface Waiting {
  resolve(value: unknown): void;
  reject(error: CodisError): void;
}

class WorkerPlane implements Plane {
  /** All threads accept. */
  readonly opened: Promise<unknown>;
  readonly #workers: readonly Worker[];
  readonly #options: PlaneOptions;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  /** Closed, or a Worker died: nobody answers any more. */
  #isOver = false;

  constructor(options: PlaneOptions) {
    this.#options = options;
    const { config, port, threads } = options;
    const sessionsAlive = new SharedArrayBuffer(4);
    this.#workers = Array.from({ length: threads }, () => this.#spawn());
    this.opened = Promise.all(
      this.#workers.map((worker) => {
        const fd = port.share();
        return this.#ask(worker, { ask: "open", config, fd, sessionsAlive, threads });
      }),
    );
  }

  async fill(slots: readonly Slot[]): Promise<void> {
    await this.#askAll({ ask: "fill", slots });
  }

  async start(): Promise<void> {
    await this.#askAll({ ask: "start" });
  }

  async stats(): Promise<PlaneStats> {
    return mergeStats((await this.#askAll({ ask: "stats" })) as PlaneStats[]);
  }

  async resetStats(): Promise<void> {
    await this.#askAll({ ask: "resetStats" });
  }

  async slots(): Promise<Slot[]> {
    return (await this.#ask(this.#workers[0]!, { ask: "slots" })) as Slot[];
  }

  async close(): Promise<void> {
    try {
      await this.#askAll({ ask: "close" });
    } catch (error) {
      // Of a Worker that died `onDeath` tells; then there is nothing left to wait for.
      if (!this.#isOver) throw error;
    }
    this.#isOver = true;
    for (const worker of this.#workers) worker.terminate();
  }

  #spawn(): Worker {
    const worker = new Worker(workerUrl());
    worker.onmessage = ({ data }: MessageEvent<WorkerAnswer>) => this.#take(data);
    worker.onerror = (event) => this.#died(event.message);
    worker.addEventListener("close", () => this.#died("it ended"));
    return worker;
  }

  /** Resolves when all have answered, also when one answers with an error: then rejects. */
  async #askAll(request: Asked): Promise<unknown[]> {
    const answers = await Promise.allSettled(
      this.#workers.map((worker) => this.#ask(worker, request)),
    );
    return answers.map((answer) => {
      if (answer.status === "rejected") throw answer.reason;
      return answer.value;
    });
  }

  #ask(worker: Worker, request: Asked): Promise<unknown> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.postMessage({ id, ...request });
    });
  }

  #take(answer: WorkerAnswer): void {
    if ("closed" in answer) {
      this.#options.onSessionClosed(answer.closed, answer.reason);
      return;
    }
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ("error" in answer) waiting?.reject(new CodisError(answer.error.code, answer.error.text));
    else waiting?.resolve(answer.value);
  }

  #died(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const error = new CodisError("closed", `A worker of the proxy died: ${reason}`);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.#options.onDeath(error);
  }
}

/** A request before it got its number. */
type Asked = WorkerRequest extends infer R ? (R extends unknown ? Omit<R, "id"> : never) : never;

/** In the executable all modules are one file at the root, and the worker keeps its folder. */
function workerUrl(): URL {
  const path = Bun.isStandaloneExecutable ? "./src/proxy/worker.ts" : "./worker.ts";
  return new URL(path, import.meta.url);
}
