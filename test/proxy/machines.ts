/**
 * The proxy's machines without sockets, clock or threads: the parts of a data plane put together
 * over recorders, for tests to drive by bytes and a turn whose time they set.
 *
 *   client().send("GET a") ──> server(A).requests() ──> .reply("$1\r\n1\r\n") ──> client.output()
 */

import { FORWARD_SYNC, type Slot } from "../../src/model/slot.ts";
import { ClientBudget } from "../../src/net/client-budget.ts";
import type { Backend } from "../../src/proxy/backend.ts";
import { BackendPool } from "../../src/proxy/backend-pool.ts";
import type { PlaneConfig } from "../../src/proxy/plane.ts";
import { LIGHT_REPLIES } from "../../src/proxy/reply-window.ts";
import { Router } from "../../src/proxy/router.ts";
import { Session } from "../../src/proxy/session.ts";
import type { SessionPort } from "../../src/proxy/session-port.ts";
import { Stats } from "../../src/proxy/stats.ts";
import { type Resumable, Turn } from "../../src/proxy/turn.ts";
import type { Wire } from "../../src/proxy/wire.ts";
import { REQUEST_READY, RequestDecoder } from "../../src/resp/decoder.ts";
import { encodeRequest, ReplyWriter } from "../../src/resp/encoder.ts";

export const A = "10.0.0.1:6379";
export const B = "10.0.0.2:6379";

/** Slots of these keys; "a" is served by the second half in `halves`, "foo" by the first. */
export const SLOT_A = 579;
export const SLOT_FOO = 289;

export const TEST_CONFIG: PlaneConfig = {
  session_auth: "",
  session_max_pipeline: 10000,
  session_recv_bufsize: 128 * 1024,
  session_recv_timeout: 1_800_000,
  session_send_timeout: 30_000,
  session_break_on_failure: false,
  session_output_max: 256 * 1024 * 1024,
  session_keepalive_period: 0,
  product_auth: "",
  backend_max_pipeline: 20480,
  backend_recv_timeout: 30_000,
  backend_send_timeout: 30_000,
  backend_ping_period: 5000,
  backend_number_databases: 16,
  backend_primary_only: false,
  backend_primary_parallel: 1,
  backend_replica_parallel: 1,
  backend_keepalive_period: 0,
  proxy_max_clients: 1000,
  proxy_max_offheap_size: 1024 * 1024 * 1024,
  compat: "",
};

/** A connection that keeps what it is told. What is written stays in `out` until it is taken. */
class FakeWire implements Wire {
  readonly out = new ReplyWriter();
  isDirty = false;
  isPaused = false;
  isClosed = false;
  isDestroyed = false;

  get backlogBytes(): number {
    return this.out.pendingBytes;
  }

  markDirty(): void {
    this.isDirty = true;
  }

  flush(): void {
    this.markDirty();
  }

  markDirtyLate(): void {
    this.isDirty = true;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  close(): void {
    this.isClosed = true;
  }

  destroy(): void {
    this.isDestroyed = true;
    this.out.clear();
  }

  /** What was written since the last take, one character per byte. */
  take(): string {
    this.isDirty = false;
    return this.out.take().toString("latin1");
  }
}

/** A server as its end of one of our connections sees us. */
export class FakeServer {
  readonly backend: Backend;
  readonly wire = new FakeWire();
  readonly #world: World;

  constructor(backend: Backend, world: World) {
    this.backend = backend;
    this.#world = world;
  }

  /** Requests that arrived since the last call, as words. */
  requests(): string[][] {
    const decoder = new RequestDecoder("server");
    decoder.feed(Buffer.from(this.wire.take(), "latin1"));
    const requests: string[][] = [];
    while (decoder.next() === REQUEST_READY) {
      const words = [];
      for (let i = 0; i < decoder.argc; i++) {
        words.push(decoder.buf.latin1Slice(decoder.args[2 * i]!, decoder.args[2 * i + 1]!));
      }
      requests.push(words);
    }
    return requests;
  }

  /** Bytes of replies, one character per byte, as one chunk. */
  reply(text: string): void {
    this.#world.act(() => this.backend.receive(Buffer.from(text, "latin1")));
  }

  /** The connection breaks. */
  drop(cause = "EOF"): void {
    this.#world.act(() => this.backend.closed(this.wire, cause));
  }
}

export class FakeClient {
  readonly wire = new FakeWire();
  readonly session: Session;
  readonly #world: World;

  constructor(id: number, world: World) {
    this.#world = world;
    this.session = new Session(id, this.wire, world);
  }

  /** Requests in words separated by blanks, all in one chunk. */
  send(...requests: string[]): void {
    this.sendRaw(
      Buffer.concat(requests.map((request) => encodeRequest(request.split(" ")))).toString(
        "latin1",
      ),
    );
  }

  sendWords(words: readonly string[]): void {
    const bytes = words.map((word) => Buffer.from(word, "latin1"));
    this.sendRaw(encodeRequest(bytes).toString("latin1"));
  }

  sendRaw(text: string): void {
    this.#world.act(() => this.session.receive(Buffer.from(text, "latin1")));
  }

  /** The client closes its sending side. */
  end(): void {
    this.#world.act(() => this.session.ended());
  }

  /** The client is gone. */
  disconnect(): void {
    this.#world.act(() => this.session.closed("connection reset by peer"));
  }

  /** Replies since the last call. */
  output(): string {
    return this.wire.take();
  }

  /** The client reads everything that waits. */
  readAll(): number {
    const bytes = this.wire.out.pendingBytes;
    this.wire.out.clear();
    this.#world.act(() => this.session.drained());
    return bytes;
  }
}

/**
 * One data plane. Connections that are dialed stay so until `connect`; `server` does it for one.
 */
export class World implements SessionPort {
  readonly limits: PlaneConfig;
  readonly turn = new Turn();
  readonly stats = new Stats();
  readonly budget: ClientBudget;
  readonly sessionOutputMax: number;
  readonly primaries: BackendPool;
  readonly replicas: BackendPool;
  readonly router: Router;
  /** Dials that were not answered. */
  readonly dialed: Backend[] = [];
  readonly servers: FakeServer[] = [];
  readonly closed: { readonly session: Session; readonly reason: string }[] = [];
  /** Delays asked for, in milliseconds; `elapse` runs them all. */
  delays: { readonly machine: Resumable; readonly ms: number }[] = [];
  #sessions = 0;

  constructor(config: Partial<PlaneConfig> = {}) {
    this.limits = { ...TEST_CONFIG, ...config };
    this.budget = new ClientBudget("proxy_max_offheap_size", this.limits.proxy_max_offheap_size);
    this.sessionOutputMax = this.limits.session_output_max;
    this.turn.nowMs = 1000;
    const port = { dial: (backend: Backend) => void this.dialed.push(backend) };
    const { backend_primary_parallel: primary, backend_replica_parallel: replica } = this.limits;
    this.primaries = new BackendPool(this.limits, primary, port, this.turn);
    this.replicas = new BackendPool(this.limits, replica, port, this.turn);
    this.router = new Router(this.limits, this.primaries, this.replicas, this.stats, this);
  }

  dispatch(session: Session, decoder: RequestDecoder): boolean {
    return this.router.dispatch(session, decoder);
  }

  onSessionClosed(session: Session, reason: string): void {
    this.closed.push({ session, reason });
  }

  delay(machine: Resumable, ms: number): void {
    if (ms === 0) this.turn.wake(machine);
    else this.delays.push({ machine, ms });
  }

  /** Something happens, and those it frees go on. */
  act(event: () => void): void {
    event();
    this.turn.run();
  }

  /** The output of the turn was written. */
  endTurn(): void {
    this.turn.runLater();
  }

  /** Time passes and every deadline is looked at. */
  elapse(ms: number, clients: readonly FakeClient[] = []): void {
    this.turn.nowMs += ms;
    const due = this.delays;
    this.delays = [];
    this.act(() => {
      for (const { machine } of due) machine.resume();
      this.primaries.tick();
      this.replicas.tick();
      for (const { session } of clients) session.tick();
    });
  }

  /** Fills slots; those that are not named stay as they are. */
  async fill(...slots: (Partial<Slot> & { id: number })[]): Promise<void> {
    await this.router.fill(slots.map(slotOf));
    this.turn.run();
  }

  /** All slots below 512 to A, the others to B, connected. */
  async halves(): Promise<void> {
    const ids = Array.from({ length: 1024 }, (_, id) => id);
    await this.fill(...ids.map((id) => ({ id, backend_addr: id < 512 ? A : B })));
    this.connect();
  }

  /** Every dial that waits succeeds. */
  connect(): void {
    for (const backend of this.dialed.splice(0)) {
      const server = new FakeServer(backend, this);
      this.servers.push(server);
      this.act(() => backend.opened(server.wire));
    }
  }

  /** Every dial that waits fails. */
  refuse(): void {
    for (const backend of this.dialed.splice(0)) this.act(() => backend.dialFailed());
  }

  /** The latest connection to an address and database; connects it when it is only dialed. */
  server(address: string, database = 0): FakeServer {
    const isWanted = ({ backend }: { backend: Backend }) =>
      backend.address === address && backend.database === database;
    if (this.dialed.some((backend) => isWanted({ backend }))) this.connect();
    const found = this.servers.findLast(isWanted);
    if (found === undefined) throw new Error(`nobody dialed ${address} for ${database}`);
    return found;
  }

  client(): FakeClient {
    return new FakeClient(this.#sessions++, this);
  }

  /** A client known to ask for little: so many of its requests pass those at a gate. */
  lightClient(trusted = 1): FakeClient {
    const client = this.client();
    const server = this.server(B);
    while (client.session.window.trusted < trusted) {
      // More than it is trusted with, or it is not trusted with more.
      const length = Math.max(LIGHT_REPLIES, client.session.window.trusted + 1);
      client.send(...Array.from({ length }, () => "GET a"));
      for (let asked = server.requests(); asked.length > 0; asked = server.requests()) {
        server.reply(bulk("v").repeat(asked.length));
      }
      client.output();
    }
    return client;
  }
}

/** A pushed slot, of which only what matters is given. */
export function slotOf(given: Partial<Slot> & { id: number }): Slot {
  return {
    locked: false,
    backend_addr: "",
    backend_addr_group_id: 0,
    migrate_from: "",
    migrate_from_group_id: 0,
    forward_method: FORWARD_SYNC,
    replica_groups: [],
    ...given,
  };
}

/** A bulk reply. */
export function bulk(text: string): string {
  return `$${text.length}\r\n${text}\r\n`;
}
