/**
 * One server, assembled: listening socket, sessions, the work between requests, shutdown.
 *
 *   startServer ──> state, data.ts (loads what was kept) ──> listen ──> sessions
 *   each 100 ms:  eviction, expiry cycle, memory of removed values, idle clients, statistics,
 *                 and how long the thread may rest between turns
 */

import { isLoopback, parseAddress } from "../base/address.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { errorText } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { ClientBudget } from "../net/client-budget.ts";
import { type Connection, type ConnectionOwner, UNKNOWN_ADDRESS } from "../net/connection.ts";
import { bindPort, type Listener, listen } from "../net/listener.ts";
import { restFor } from "../net/rest.ts";
import type { ServerConfig } from "./config.ts";
import { openData } from "./data.ts";
import { createCall } from "./execute.ts";
import { ExpireCycle } from "./expire.ts";
import { Garbage } from "./garbage.ts";
import { DENIED, TOO_MANY_CLIENTS } from "./replies.ts";
import { Session, type SessionContext } from "./session.ts";
import { ServerState } from "./state.ts";
import { Turn } from "./turn.ts";
import { createWarmKeys } from "./warm.ts";

/** How often the work between requests is looked after. */
const TICK_MS = 100;
/** The next look when the last one left something to do, and how long each may take. */
const BUSY_TICK_MS = 4;
const WORK_MS_MAX = 1;
/** Elements of removed values freed between two looks at the clock. */
const RELEASE_STRIDE = 256;
const SECOND_MS = 1000;
const EXIT_DONE = 0;
const EXIT_FAILED = 1;

export interface RunningServer {
  readonly state: ServerState;
  readonly port: number;
  /** Resolves with the exit code once the server has ended. */
  readonly done: Promise<number>;
  /**
   * Saves a last snapshot where that is all that stays of the data, as SHUTDOWN does.
   * @returns why it could not, undefined when closing loses nothing
   */
  refusalToClose(): string | undefined;
  /**
   * Stops listening, closes all clients, keeps what must be kept. Idempotent. Rejects when changes
   * that were answered could not be kept; the exit code is 1 then.
   */
  close(): Promise<void>;
}

/**
 * @throws CodisError "unavailable" when the port is taken or the data cannot be read
 */
export async function startServer(
  config: ServerConfig,
  log: Log,
  clock: Clock = systemClock,
): Promise<RunningServer> {
  const state = new ServerState(config, clock, log);
  // The port first: a second server on it must not touch the files of the one that runs.
  const bound = bindPort(config.bind, config.port);
  state.port = bound.port;
  try {
    await openData(state);
    return new Server(state, bound.share());
  } finally {
    bound.close();
  }
}

class Server implements RunningServer, SessionContext {
  readonly state: ServerState;
  readonly server: ServerState;
  readonly call;
  readonly turn: Turn;
  readonly keysAhead = createWarmKeys();
  readonly garbage = new Garbage();
  readonly budget = new ClientBudget("maxmemory-clients", Number.POSITIVE_INFINITY);
  readonly done: Promise<number>;
  readonly #listener: Listener;
  readonly #sessions = new Set<Session>();
  readonly #expireCycle: ExpireCycle;
  #timer: Timer;
  #lastSecondMs = 0;
  /** When the rest was last adjusted, and the chunks received until then. */
  #lastAdjusted = { atMs: 0, chunks: 0 };
  #closing: Promise<void> | undefined;
  #resolveDone: (code: number) => void = () => {};

  constructor(state: ServerState, fd: number) {
    this.state = state;
    this.server = state;
    this.call = createCall(state);
    this.turn = new Turn(state);
    this.#expireCycle = new ExpireCycle(state.databases, state.clock);
    this.done = new Promise((resolve) => {
      this.#resolveDone = resolve;
    });
    state.shutdown = () => {
      this.#end(false).catch((error: unknown) => {
        state.log.error("stop failed", { error: errorText(error) });
      });
    };
    const keepAliveMs = state.config["tcp-keepalive"] * SECOND_MS;
    this.#listener = listen(fd, (connection) => this.#accept(connection), { keepAliveMs });
    this.#timer = setTimeout(this.#tick, TICK_MS);
  }

  get port(): number {
    return this.state.port;
  }

  #accept(connection: Connection): ConnectionOwner {
    const { state } = this;
    this.turn.begin();
    state.stats.connectionsReceived++;
    const refusal = this.#refusal(connection);
    const session = new Session(this, connection, state.takeClientId());
    if (refusal !== undefined) {
      state.stats.rejectedConnections++;
      connection.out.error(refusal);
      session.client.closeAfterReply();
      connection.close();
    } else {
      this.#sessions.add(session);
      state.clients.set(session.client.id, session.client);
    }
    return session;
  }

  #refusal(connection: Connection): string | undefined {
    const { config, clients } = this.state;
    if (clients.size >= config.maxclients) return TOO_MANY_CLIENTS;
    if (!config["protected-mode"] || config.requirepass !== "") return undefined;
    if (connection.remoteAddress === UNKNOWN_ADDRESS) return undefined;
    return isLoopback(parseAddress(connection.remoteAddress).host) ? undefined : DENIED;
  }

  ended(session: Session): void {
    this.#sessions.delete(session);
    this.state.clients.delete(session.client.id);
  }

  readonly #tick = (): void => {
    this.turn.begin();
    const { state } = this;
    const isBusy = this.#workALittle();
    state.journal?.tick();
    state.saves?.tick();
    this.turn.commit();
    const now = state.clock.monotonic();
    this.#adjust(now);
    if (now - this.#lastSecondMs >= SECOND_MS) {
      this.#lastSecondMs = now;
      state.stats.sample(now);
      this.#closeIdleClients();
      state.migrations.tick();
      state.asyncMigrations.tick();
    }
    state.stats.peakMemory = Math.max(state.stats.peakMemory, state.usedMemory);
    this.garbage.collectIfDue();
    this.#timer = setTimeout(this.#tick, isBusy ? BUSY_TICK_MS : TICK_MS);
  };

  /**
   * Memory ahead and rests, by what was asked since the last time. How long clients wait for a
   * reply is told by how many ask at once, and how often.
   */
  #adjust(now: number): void {
    const { turn, state } = this;
    const last = this.#lastAdjusted;
    const periodMs = now - last.atMs;
    if (periodMs < TICK_MS) return;
    state.databases.arena.ahead.look();
    const sinceMs = state.databases.nowMs - periodMs;
    let busy = 0;
    for (const { client } of this.#sessions) if (client.lastActiveMs >= sinceMs) busy++;
    // Without a pipeline, which rests are for, a chunk is one request.
    const replies = turn.chunksInAll - last.chunks;
    this.#lastAdjusted = { atMs: now, chunks: turn.chunksInAll };
    turn.restUs = restFor({ periodMs, replies, replyMs: busy * periodMs });
  }

  /** @returns whether there is more to do at once */
  #workALittle(): boolean {
    const { databases, evictor, clock } = this.state;
    const deadlineMs = clock.monotonic() + WORK_MS_MAX;
    databases.accesses?.tick(clock.monotonic());
    const isEvicting = evictor.run() === "unfinished";
    const isExpiring = this.state.activeExpire && this.#expireCycle.step(WORK_MS_MAX);
    while (databases.hasToRelease && clock.monotonic() < deadlineMs) {
      databases.releaseSome(RELEASE_STRIDE);
    }
    return isEvicting || isExpiring || databases.hasToRelease;
  }

  #closeIdleClients(): void {
    const timeoutMs = this.state.config.timeout * SECOND_MS;
    if (timeoutMs === 0) return;
    const now = this.state.databases.nowMs;
    for (const session of this.#sessions) {
      if (now - session.client.lastActiveMs > timeoutMs) session.close();
    }
  }

  refusalToClose(): string | undefined {
    const { saves, journal } = this.state;
    if (journal !== undefined || saves === undefined || !saves.isOwed) return undefined;
    try {
      saves.saveNow();
      return undefined;
    } catch (error) {
      return errorText(error);
    }
  }

  close(): Promise<void> {
    return this.#end(true);
  }

  /** @param saves save a snapshot if there are save points; SHUTDOWN has seen to that itself */
  #end(saves: boolean): Promise<void> {
    this.#closing ??= this.#close(saves);
    return this.#closing;
  }

  async #close(saves: boolean): Promise<void> {
    this.#listener.stop();
    clearTimeout(this.#timer);
    for (const session of [...this.#sessions]) session.close();
    this.state.migrations.close();
    this.state.asyncMigrations.close();
    // One that fails does not keep the other from what it can save.
    const ends = await Promise.allSettled([
      this.state.saves?.close(saves),
      this.state.journal?.close(),
    ]);
    // Of keys that moved no note is left, so their removal must be on the disk.
    if (ends[1].status === "fulfilled") this.state.sentKeys.close();
    const failed = ends.find((end) => end.status === "rejected");
    this.#resolveDone(failed === undefined ? EXIT_DONE : EXIT_FAILED);
    if (failed !== undefined) throw failed.reason;
  }
}
