/**
 * The proxy's data plane in one thread: its only file that knows sockets, timers and the clock.
 *
 *   listener ─ accept ─> SessionLink ── Session ── Router ── BackendPool ── Backend ── BackendLink
 *                                                                                  (dial)
 *   interval (TICK_MS) ──> tick of sessions and backends
 *   first event of a turn: clock read ──> machines ──> who was woken ──> one write per connection
 *
 * Sessions are refused while not started, and above proxy_max_clients over all threads together.
 */

import { parseAddress } from "../base/address.ts";
import type { Clock } from "../base/clock.ts";
import type { Slot } from "../model/slot.ts";
import { ClientBudget } from "../net/client-budget.ts";
import type { Connection, ConnectionOwner } from "../net/connection.ts";
import { dial } from "../net/dial.ts";
import { type Listener, listen } from "../net/listener.ts";
import { restFor } from "../net/rest.ts";
import { systemErrorText } from "../net/system-error.ts";
import { atTurnEnd, setLateRest } from "../net/turn-end.ts";
import type { RequestDecoder } from "../resp/decoder.ts";
import { PROXY_LIMITS } from "../resp/request-limits.ts";
import { type Backend, type BackendPort, DIAL_TIMEOUT_MS } from "./backend.ts";
import { BackendPool } from "./backend-pool.ts";
import type { PassagePort } from "./forward.ts";
import type { PlaneConfig } from "./plane.ts";
import { errorLine, NOT_ONLINE, TOO_MANY_CLIENTS } from "./replies.ts";
import { Router } from "./router.ts";
import { Session } from "./session.ts";
import type { SessionPort } from "./session-port.ts";
import { type PlaneStats, Stats } from "./stats.ts";
import { type Resumable, Turn } from "./turn.ts";

/** How often the deadlines of backends are looked at. */
const TICK_MS = 100;
/** Those of sessions, of which there are many, every so many ticks. */
const SESSION_TICKS = 5;

/** With more replies per turn, writes are full without a rest, which then costs 8 % of CPU. */
const REST_REPLIES_PER_TURN_MAX = 8;

/** How long a close waits for servers to answer what is under way. */
export const CLOSE_ANSWER_MS = 3000;
/** How long it then waits for clients to take what they are owed ... */
const CLOSE_SEND_MS = 5000;
/** ... and for those that are owed nothing to close too: else what they still send resets them. */
const CLOSE_LINGER_MS = 500;
/** The most that a close takes; who stops a proxy gives it that. */
export const CLOSE_MAX_MS = CLOSE_ANSWER_MS + CLOSE_SEND_MS;

/** What one thread lets replies that wait take, however little the file allows. */
const OUTPUT_BYTES_MIN = 16 * 1024 * 1024;
/**
 * What one client of a thread may hold beside it: the largest value, and what comes with it of
 * keys, of requests behind it and of replies. Without it the largest value that a proxy takes would
 * depend on the number of its threads.
 */
const OUTPUT_BYTES_SPARE = PROXY_LIMITS.bulkBytes + OUTPUT_BYTES_MIN;

/** What the threads of one proxy have in common. */
export interface SharedState {
  /** One counter, of sessions alive in all threads. */
  readonly sessionsAlive: Int32Array;
  readonly threads: number;
}

/** Told of sessions that were closed for a reason worth a line in the log. */
export type SessionClosedListener = (clientAddress: string, reason: string) => void;

export class DataPlane implements SessionPort, BackendPort, PassagePort {
  readonly limits: PlaneConfig;
  readonly sessionOutputMax: number;
  readonly turn = new Turn();
  readonly stats = new Stats();
  readonly budget: ClientBudget;
  readonly router: Router;

  readonly #clock: Clock;
  readonly #shared: SharedState;
  readonly #onSessionClosed: SessionClosedListener;
  readonly #pools: readonly BackendPool[];
  readonly #links = new Map<Session, SessionLink>();
  readonly #timer: Timer;
  #listener: Listener | undefined;
  #isStarted = false;
  #isTurnOpen = false;
  #nextSessionId = 1;
  #ticks = 0;
  /** At the last tick. */
  readonly #seen = { turns: 0, replies: 0, replyMs: 0 };
  #turns = 0;
  /** When servers have had their time to answer before a close; no end before one. */
  #answersDueMs = Number.POSITIVE_INFINITY;
  /** A close that waits for clients. */
  #closing: { readonly sinceMs: number; readonly resolve: () => void } | undefined;

  constructor(
    config: PlaneConfig,
    shared: SharedState,
    clock: Clock,
    onSessionClosed: SessionClosedListener,
  ) {
    this.limits = config;
    this.sessionOutputMax = config.session_output_max;
    const share = outputBytesMax(config, shared);
    const limit = `proxy_max_offheap_size (raise it; ${share} bytes of it are each thread's)`;
    this.budget = new ClientBudget(limit, share, OUTPUT_BYTES_SPARE);
    this.#clock = clock;
    this.#shared = shared;
    this.#onSessionClosed = onSessionClosed;
    const primaries = new BackendPool(config, config.backend_primary_parallel, this, this.turn);
    const replicas = new BackendPool(config, config.backend_replica_parallel, this, this.turn);
    this.#pools = [primaries, replicas];
    this.router = new Router(config, primaries, replicas, this.stats, this);
    this.turn.nowMs = clock.monotonic();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Accepts clients from a share of a bound port. */
  listen(fd: number): void {
    const keepAliveMs = this.limits.session_keepalive_period;
    this.#listener = listen(fd, (connection) => this.#accept(connection), { keepAliveMs });
  }

  /** Clients are served from now on. */
  start(): void {
    this.#isStarted = true;
  }

  async fill(definitions: readonly Slot[]): Promise<void> {
    this.enter();
    const filled = this.router.fill(definitions);
    try {
      await filled;
    } finally {
      this.leave();
    }
  }

  slots(): Slot[] {
    return this.router.slots.map(({ definition }) => definition);
  }

  snapshot(): PlaneStats {
    return this.stats.snapshot();
  }

  /**
   * Accepts no more, answers what is under way, then ends all connections. What servers have not
   * answered after CLOSE_ANSWER_MS fails; clients have CLOSE_SEND_MS to take what they are owed.
   */
  async close(): Promise<void> {
    this.#listener?.stop();
    this.#answersDueMs = this.#clock.monotonic() + CLOSE_ANSWER_MS;
    await this.router.close();
    this.leave();
    for (const session of this.#links.keys()) session.finish("proxy closed");
    await this.#clientsGone();
    clearInterval(this.#timer);
    setLateRest(0);
    this.#destroyBackends();
  }

  #destroyBackends(): void {
    for (const pool of this.#pools) pool.destroy();
  }

  /** Resolves when no client is left, or when those that are have had their time. */
  #clientsGone(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closing = { sinceMs: this.#clock.monotonic(), resolve };
    this.#lookAtClose();
    return promise;
  }

  /** A close waits: a client has gone, or time has passed. */
  #lookAtClose(): void {
    const closing = this.#closing;
    if (closing === undefined) return;
    const links = this.#links;
    const ms = this.#clock.monotonic() - closing.sinceMs;
    const isOver = ms >= CLOSE_SEND_MS || links.size === 0;
    const mayLeave = ms >= CLOSE_LINGER_MS && !links.values().some((link) => link.isOwed);
    if (isOver || mayLeave) closing.resolve();
  }

  // -- turns ------------------------------------------------------------------------------------

  /** Something happened: before machines are told. */
  enter(): void {
    if (this.#isTurnOpen) return;
    this.#isTurnOpen = true;
    this.#turns++;
    this.turn.nowMs = this.#clock.monotonic();
    atTurnEnd(this.#endTurn);
  }

  /** Machines were told: those they woke go on. */
  leave(): void {
    this.turn.run();
  }

  /** Its output was written. */
  readonly #endTurn = (): void => {
    this.#isTurnOpen = false;
    if (!this.turn.hasLater) return;
    this.enter();
    this.turn.runLater();
  };

  #tick(): void {
    this.enter();
    // On each tick: a fill that was under way, or a session's other database, opens new ones.
    if (this.turn.nowMs >= this.#answersDueMs) this.#destroyBackends();
    for (const pool of this.#pools) pool.tick();
    if (++this.#ticks % SESSION_TICKS === 0) {
      for (const session of this.#links.keys()) session.tick();
    }
    this.stats.sample(this.turn.nowMs);
    this.#adjustRest();
    this.#lookAtClose();
    this.leave();
  }

  #adjustRest(): void {
    const seen = this.#seen;
    const turns = this.#turns - seen.turns;
    const replies = this.stats.replies - seen.replies;
    const replyMs = this.stats.replyMs - seen.replyMs;
    seen.turns += turns;
    seen.replies += replies;
    seen.replyMs += replyMs;
    const isFull = replies > turns * REST_REPLIES_PER_TURN_MAX;
    setLateRest(isFull ? 0 : restFor({ periodMs: TICK_MS, replies, replyMs }));
  }

  delay(machine: Resumable, ms: number): void {
    if (ms === 0) {
      this.turn.wake(machine);
      return;
    }
    setTimeout(() => {
      this.enter();
      machine.resume();
      this.leave();
    }, ms);
  }

  // -- sessions ---------------------------------------------------------------------------------

  #accept(connection: Connection): ConnectionOwner {
    this.enter();
    const alive = Atomics.add(this.#shared.sessionsAlive, 0, 1) + 1;
    this.stats.sessionsTotal++;
    this.stats.sessionsAlive++;
    const refusal =
      alive > this.limits.proxy_max_clients ? TOO_MANY_CLIENTS : this.#isStarted ? "" : NOT_ONLINE;
    const link = new SessionLink(this, connection);
    if (refusal !== "") {
      this.stats.fails++;
      connection.out.raw(errorLine(refusal));
      // Not before the owner is set, who is told of the end.
      setImmediate(() => connection.close());
      return link;
    }
    const session = new Session(this.#nextSessionId++, connection, this);
    link.session = session;
    this.#links.set(session, link);
    return link;
  }

  dispatch(session: Session, decoder: RequestDecoder): boolean {
    return this.router.dispatch(session, decoder);
  }

  onSessionClosed(session: Session, reason: string): void {
    const link = this.#links.get(session);
    this.#links.delete(session);
    this.#lookAtClose();
    if (link !== undefined && reason !== "") this.#onSessionClosed(link.clientAddress, reason);
  }

  /** A client's connection is gone, whether it had a session or was refused. */
  disconnected(): void {
    Atomics.sub(this.#shared.sessionsAlive, 0, 1);
    this.stats.sessionsAlive--;
  }

  // -- backends ---------------------------------------------------------------------------------

  dial(backend: Backend): void {
    this.#dial(backend).catch(() => {
      this.enter();
      backend.dialFailed();
      this.leave();
    });
  }

  /** @throws when there is no connection: bad address, refused, too late */
  async #dial(backend: Backend): Promise<void> {
    const { host, port } = parseAddress(backend.address);
    const options = {
      timeoutMs: DIAL_TIMEOUT_MS,
      keepAliveMs: this.limits.backend_keepalive_period,
    };
    await dial(host, port, options, (connection) => {
      this.enter();
      backend.opened(connection);
      this.leave();
      return new BackendLink(this, backend, connection);
    });
  }
}

/** A thread's part of proxy_max_offheap_size, which 0 leaves open. */
function outputBytesMax(config: PlaneConfig, { threads }: SharedState): number {
  const bytes = config.proxy_max_offheap_size;
  if (bytes === 0) return Number.POSITIVE_INFINITY;
  return Math.max(OUTPUT_BYTES_MIN, Math.floor(bytes / threads));
}

/** Client's connection to session. */
class SessionLink implements ConnectionOwner {
  /** Undefined when the client was refused. */
  session: Session | undefined;
  readonly #plane: DataPlane;
  readonly #connection: Connection;

  constructor(plane: DataPlane, connection: Connection) {
    this.#plane = plane;
    this.#connection = connection;
  }

  get clientAddress(): string {
    return this.#connection.remoteAddress;
  }

  /** Replies are to come, or to be sent. */
  get isOwed(): boolean {
    return this.#connection.backlogBytes > 0 || (this.session?.length ?? 0) > 0;
  }

  onData(chunk: Buffer): void {
    const plane = this.#plane;
    plane.enter();
    this.session?.receive(chunk);
    plane.leave();
  }

  onEnd(): void {
    this.#plane.enter();
    if (this.session === undefined) this.#connection.close();
    else this.session.ended();
    this.#plane.leave();
  }

  onDrain(): void {
    this.#plane.enter();
    this.session?.drained();
    this.#plane.leave();
  }

  onClose(error: Error | undefined): void {
    this.#plane.enter();
    this.#plane.disconnected();
    this.session?.closed(error === undefined ? "" : systemErrorText(error));
    this.#plane.leave();
  }
}

/** Backend's connection to backend. */
class BackendLink implements ConnectionOwner {
  readonly #plane: DataPlane;
  readonly #backend: Backend;
  readonly #connection: Connection;

  constructor(plane: DataPlane, backend: Backend, connection: Connection) {
    this.#plane = plane;
    this.#backend = backend;
    this.#connection = connection;
  }

  onData(chunk: Buffer): void {
    const plane = this.#plane;
    plane.enter();
    this.#backend.receive(chunk);
    plane.leave();
  }

  onEnd(): void {
    this.#lost("EOF");
  }

  onClose(error: Error | undefined): void {
    if (error === undefined) {
      this.#lost("EOF");
      return;
    }
    const { localAddress, remoteAddress } = this.#connection;
    this.#lost(`read tcp ${localAddress}->${remoteAddress}: ${systemErrorText(error)}`);
  }

  #lost(cause: string): void {
    this.#plane.enter();
    this.#backend.closed(this.#connection, cause);
    this.#plane.leave();
  }
}
