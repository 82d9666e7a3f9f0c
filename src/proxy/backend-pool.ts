/**
 * The connections to servers, shared by all slots that name the same address.
 *
 *   address -> SharedBackend (counted users) -> lanes[database][i] -> Backend
 *
 * Primaries and replicas have pools of their own, even for equal addresses: a replica connection
 * can be stale without a write ever meeting it. Connections to database 0 open when an address is
 * first used, those to another database when a session first needs it. With several connections in
 * parallel a session keeps to one of them while it is owed anything, so that its requests keep
 * their order.
 *
 * Source: Codis pkg/proxy/backend.go `sharedBackendConnPool`; there a request picked at random.
 */

import { assert } from "../base/assert.ts";
import { Backend, type BackendLimits, type BackendPort } from "./backend.ts";
import type { Turn } from "./turn.ts";

export interface PoolLimits extends BackendLimits {
  readonly backend_number_databases: number;
}

/** What the choice of a connection asks of a session. */
export interface LaneUser {
  /** Says which of the parallel connections is its own. */
  readonly id: number;
  /** Replies owed. */
  readonly length: number;
  /** The one that it uses for as long as it is owed something. */
  lane: number;
}

/** All connections of one pool to one address. */
export class SharedBackend {
  readonly address: string;
  /** The password its connections give, "" for none. */
  readonly auth: string;
  users = 0;
  /** Ways to have a key moved that the server was found not to know: bits of pull.ts. */
  unknownWays = 0;

  readonly #parallel: number;
  readonly #open: (address: string, database: number) => Backend;
  /** Connection i to database d is at d * parallel + i. */
  readonly #lanes: (Backend | undefined)[] = [];

  constructor(
    address: string,
    limits: PoolLimits,
    parallel: number,
    open: (address: string, database: number) => Backend,
  ) {
    this.address = address;
    this.auth = limits.product_auth;
    this.#parallel = parallel;
    this.#open = open;
    for (let i = 0; i < limits.backend_number_databases * parallel; i++)
      this.#lanes.push(undefined);
    for (let i = 0; i < parallel; i++) this.#lanes[i] = open(address, 0);
  }

  /**
   * The connection of a session: its own, or a healthy one when its own is not. It changes only
   * while the session is owed nothing: else what waits on one that is dialed could be overtaken.
   * @param own how many of the replies owed are to the request in hand
   */
  lane(database: number, user: LaneUser, own: number): Backend {
    if (this.#parallel === 1) return this.#lanes[database] ?? this.#openLane(database);
    const first = database * this.#parallel;
    if (user.length === own) user.lane = this.#choose(first, user.id);
    const at = first + (user.lane % this.#parallel);
    return this.#lanes[at] ?? this.#openLane(at);
  }

  #choose(first: number, id: number): number {
    for (let i = 0; i < this.#parallel; i++) {
      const lane = (id + i) % this.#parallel;
      if (this.#lanes[first + lane]?.isHealthy) return lane;
    }
    return id % this.#parallel;
  }

  /** The session's connection if it is healthy. One that is only opened now is not yet. */
  healthyLane(database: number, user: LaneUser): Backend | undefined {
    const backend = this.lane(database, user, 0);
    if (backend.isHealthy) return backend;
    return undefined;
  }

  *backends(): Iterable<Backend> {
    for (const backend of this.#lanes) if (backend !== undefined) yield backend;
  }

  #openLane(at: number): Backend {
    const backend = this.#open(this.address, Math.floor(at / this.#parallel));
    this.#lanes[at] = backend;
    return backend;
  }
}

export class BackendPool {
  readonly #limits: PoolLimits;
  readonly #parallel: number;
  readonly #port: BackendPort;
  readonly #turn: Turn;
  readonly #shared = new Map<string, SharedBackend>();
  /** Released, completing what is queued. */
  readonly #closing = new Set<Backend>();

  /** @param parallel connections per address and database; 0 works as 1 */
  constructor(limits: PoolLimits, parallel: number, port: BackendPort, turn: Turn) {
    this.#limits = limits;
    this.#parallel = Math.max(1, parallel);
    this.#port = port;
    this.#turn = turn;
  }

  /** The connections to an address, with one user more. */
  retain(address: string): SharedBackend {
    let shared = this.#shared.get(address);
    if (shared === undefined) {
      shared = new SharedBackend(
        address,
        this.#limits,
        this.#parallel,
        (to, database) => new Backend(to, database, this.#limits, this.#port, this.#turn),
      );
      this.#shared.set(address, shared);
    }
    shared.users++;
    return shared;
  }

  /** One user less; the last one closes the connections when what is queued is answered. */
  release(shared: SharedBackend): void {
    assert(shared.users > 0, "a backend is released as often as it is retained");
    if (--shared.users > 0) return;
    this.#shared.delete(shared.address);
    for (const backend of shared.backends()) {
      backend.close();
      if (!backend.isClosed) this.#closing.add(backend);
    }
  }

  /** The connections to exactly this address, if any slot uses it. */
  find(address: string): SharedBackend | undefined {
    return this.#shared.get(address);
  }

  tick(): void {
    for (const shared of this.#shared.values()) {
      for (const backend of shared.backends()) backend.tick();
    }
    for (const backend of this.#closing) {
      backend.tick();
      if (backend.isClosed) this.#closing.delete(backend);
    }
  }

  /** Closes all connections, failing what is queued. Users still release what they retained. */
  destroy(): void {
    for (const shared of this.#shared.values()) {
      for (const backend of shared.backends()) backend.destroy();
    }
    for (const backend of this.#closing) backend.destroy();
  }
}
