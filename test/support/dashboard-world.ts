/**
 * A dashboard whose surroundings are recorders: a coordinator in memory, proxies and servers that
 * answer as told, and time that moves by hand. What it stores and pushes is a list of events, in
 * order.
 */

import { type AdminResponse, createHandler } from "../../src/api/http.ts";
import type { ProxyStats } from "../../src/api/proxy-stats.ts";
import { topomSecretXauth, topomXauth } from "../../src/api/xauth.ts";
import { CodisError } from "../../src/base/errors.ts";
import { createLog } from "../../src/base/log.ts";
import { dashboardApi } from "../../src/dashboard/api.ts";
import type { MoveConnection } from "../../src/dashboard/migrate-runner.ts";
import type { ProxyPort, ServersPort } from "../../src/dashboard/ports.ts";
import { checkMember } from "../../src/dashboard/servers.ts";
import { Topom } from "../../src/dashboard/topom.ts";
import { PROXY, type ProxyModel } from "../../src/model/proxy.ts";
import { SENTINEL } from "../../src/model/sentinel.ts";
import { SLOTS } from "../../src/model/slot.ts";
import { TOPOM } from "../../src/model/topom.ts";
import { ErrorReply, type Reply } from "../../src/resp/reply.ts";
import { Store } from "../../src/store/store.ts";
import { ManualClock } from "./manual-clock.ts";
import { MemoryCoordinator } from "./memory-coordinator.ts";

export const PRODUCT = "t1";

/** One call of a proxy's API. */
export interface ProxyCall {
  readonly proxy: string;
  /** `PUT fillslots` */
  readonly call: string;
  readonly body?: unknown;
  readonly answered: number;
}

/** `{store: "slot 3", op: "update", value}`, or calls made to all proxies at the same time. */
export type WorldEvent =
  | { readonly store: string; readonly op: string; readonly value?: unknown }
  | { readonly push: ProxyCall[] };

export class FakeProxy {
  readonly name: string;
  readonly model: ProxyModel;
  online = true;
  /** It takes connections and answers neither polls nor pushes. */
  isHanging = false;
  readonly #hanging = Promise.withResolvers<void>();
  /** Answers a call: a status, 0 for silence, or -1 for a refused connection. */
  answer: (call: string, body: unknown) => number = () => 200;

  constructor(name: string, model: Partial<ProxyModel>) {
    this.name = name;
    this.model = { ...PROXY.zero(), ...model };
  }

  /** What it left hanging is answered. */
  endHanging(): void {
    this.isHanging = false;
    this.#hanging.resolve();
  }

  async hang(): Promise<void> {
    if (this.isHanging) await this.#hanging.promise;
  }
}

/** Keys by database and slot. */
class FakeServer {
  readonly keys = new Map<number, Map<number, number>>();
  isDown = false;
  /** It takes connections and never answers a poll. */
  isSilent = false;
  /** Slots whose keys it cannot move. */
  readonly stuckSlots = new Set<number>();
  /** The error it answers SLOTSINFO with, "" for none. */
  complaint = "";
  /** Its INFO. */
  info: Record<string, string> = { redis_version: "7.0" };
  /** Every command it got, as words. */
  readonly commands: string[][] = [];

  put(db: number, slot: number, count: number): void {
    const slots = this.keys.get(db) ?? new Map<number, number>();
    slots.set(slot, (slots.get(slot) ?? 0) + count);
    this.keys.set(db, slots);
  }

  count(slot: number): number {
    return [...this.keys.values()].reduce((sum, slots) => sum + (slots.get(slot) ?? 0), 0);
  }
}

interface Wait {
  readonly untilMs: number;
  done(): void;
}

export class DashboardWorld {
  readonly coordinator = new MemoryCoordinator();
  readonly clock = new ManualClock();
  readonly proxies = new Map<string, FakeProxy>();
  readonly servers = new Map<string, FakeServer>();
  readonly events: WorldEvent[] = [];
  readonly #forwardMethod: number;
  readonly #productAuth: string;
  readonly #waits = new Set<Wait>();
  /** Calls of proxies and servers that are not answered yet; those left hanging do not count. */
  #answering = 0;
  #answered = 0;
  /** How many were answered when the last call was recorded. */
  #answeredAtCall = 0;
  #topom: Topom | undefined;
  #handle: ReturnType<typeof createHandler> | undefined;

  constructor(forwardMethod = 0, productAuth = "") {
    this.#forwardMethod = forwardMethod;
    this.#productAuth = productAuth;
    this.coordinator.onWrite = ({ op, path, data }) => {
      const store = nameOfNode(path);
      if (store === "topom") return;
      this.events.push({ store, op, ...(data === "" ? {} : { value: JSON.parse(data) }) });
    };
  }

  get topom(): Topom {
    return this.#topom!;
  }

  /** A dashboard opens the product. Its loops do not run: `settle` and `advance` drive it. */
  async start(): Promise<void> {
    this.open();
    await this.topom.lock();
    await this.topom.reload();
  }

  /** The same, before it has the lock. */
  open(): void {
    this.#topom = new Topom({
      model: { ...TOPOM.zero(), product_name: PRODUCT, pid: 1 },
      store: new Store(this.coordinator, PRODUCT),
      servers: this.#serversPort(),
      proxyAt: (addr) => this.#proxyPort(addr),
      resolve: async () => ({ ipOf: () => "" }),
      forwardMethod: this.#forwardMethod,
      parallelSlots: 100,
      migrationTimeoutMs: 30_000,
      asyncLimits: undefined,
      now: () => this.clock.now(),
      monotonic: () => this.clock.monotonic(),
      wait: (ms) => this.#wait(ms),
      log: createLog({ role: "test", level: "NONE", format: "text" }),
    });
    this.#handle = createHandler(
      dashboardApi(this.topom, {
        productAuth: this.#productAuth,
        version: "v",
        compile: "c",
        config: {},
        changesFromAnywhere: false,
        ownNames: [],
        setLogLevel: () => {
          throw new CodisError("usage", "invalid loglevel");
        },
      }),
    );
  }

  /** The dashboard is killed: nothing it does from now on reaches the store. */
  crash(): void {
    this.topom.engine.stop();
    this.coordinator.crash(`/codis3/${PRODUCT}/lease`);
  }

  addProxy(name: string, model: Partial<ProxyModel>): FakeProxy {
    const proxy = new FakeProxy(name, { product_name: PRODUCT, ...model });
    this.proxies.set(proxy.model.admin_addr, proxy);
    return proxy;
  }

  addServer(addr: string): FakeServer {
    const server = new FakeServer();
    this.servers.set(addr, server);
    return server;
  }

  /** @param path with `{xauth}` where the key belongs, `{secret}` for the one with the password */
  async request(
    method: string,
    path: string,
    body = "",
    remoteIp = "127.0.0.1",
  ): Promise<AdminResponse> {
    const answering = this.#handle!({
      method,
      target: path
        .replace("{xauth}", topomXauth(PRODUCT))
        .replace("{secret}", topomSecretXauth(PRODUCT, this.#productAuth)),
      headers: {},
      readBody: async () => Buffer.from(body),
      remoteIp,
      localIp: "127.0.0.1",
    });
    return await answering;
  }

  /**
   * Lets everything run that does not wait for time or for what hangs. All else is an answer of the
   * fakes or follows within the turn: it is over when nothing is asked and a pass begins nothing.
   */
  async settle(): Promise<void> {
    let steps = -1;
    while (this.#answering > 0 || steps !== this.events.length + this.#answered) {
      steps = this.events.length + this.#answered;
      this.topom.engine.pass();
      await turn();
    }
  }

  /** A proxy or server answers in a later turn than it was asked in. */
  async #answer(): Promise<void> {
    this.#answering++;
    await turn();
    this.#answering--;
    this.#answered++;
  }

  async advance(ms: number): Promise<void> {
    this.clock.advance(ms);
    for (const wait of this.#waits) {
      if (wait.untilMs > this.clock.monotonic()) continue;
      this.#waits.delete(wait);
      wait.done();
    }
    await this.settle();
  }

  /** The events since the last call. */
  takeEvents(): WorldEvent[] {
    return this.events.splice(0);
  }

  #wait(ms: number): Promise<void> {
    return new Promise((done) => {
      this.#waits.add({ untilMs: this.clock.monotonic() + ms, done });
    });
  }

  #proxyPort(addr: string): ProxyPort {
    const call = async (name: string, body?: unknown): Promise<FakeProxy> => {
      const proxy = this.proxies.get(addr);
      const answered = proxy?.answer(name, body) ?? -1;
      if (proxy !== undefined && name !== "GET stats") {
        this.#recordCall({
          proxy: proxy.name,
          call: name,
          answered,
          ...(body === undefined ? {} : { body }),
        });
      }
      // Answers come after all calls of one moment were made.
      await this.#answer();
      if (answered === 0) throw new CodisError("timeout", "no answer within 15000 ms");
      if (answered !== 200) {
        const verb = name.startsWith("GET") ? "Get" : "Put";
        const url = `http://${addr}/api/proxy/${name.slice(4)}`;
        const text =
          answered === -1
            ? `${verb} "${url}": dial tcp ${addr}: connect: connection refused`
            : "[Remote Error] invalid xauth, please check product name & auth";
        throw new CodisError(answered === -1 ? "unavailable" : "conflict", text);
      }
      return proxy!;
    };
    return {
      model: async () => (await call("GET model")).model,
      xping: async () => {
        await call("GET xping");
      },
      stats: async () => {
        const proxy = await call("GET stats");
        await proxy.hang();
        const { online } = proxy;
        return { online, closed: false } as ProxyStats;
      },
      fillSlots: async (slots) => {
        await (await call("PUT fillslots", SLOTS.write([...slots]))).hang();
      },
      start: async () => {
        (await call("PUT start")).online = true;
      },
      setSentinels: async (sentinel) => {
        await call("PUT sentinels", SENTINEL.write(sentinel));
      },
      shutdown: async () => {
        await call("PUT shutdown");
      },
    };
  }

  /**
   * Calls to different proxies without anything between them, not even an answer, were made at the
   * same time.
   */
  #recordCall(made: ProxyCall): void {
    const last = this.events.at(-1);
    const joins =
      last !== undefined &&
      "push" in last &&
      this.#answeredAtCall === this.#answered &&
      last.push.every((other) => other.call === made.call && other.proxy !== made.proxy);
    this.#answeredAtCall = this.#answered;
    if (joins) last.push.push(made);
    else this.events.push({ push: [made] });
  }

  #server(addr: string): FakeServer {
    const server = this.servers.get(addr);
    if (!addr.includes(":")) {
      throw new CodisError("usage", `dial tcp: address ${addr}: missing port in address`);
    }
    if (server === undefined || server.isDown) {
      throw new CodisError("unavailable", `dial tcp ${addr}: connect: connection refused`);
    }
    return server;
  }

  #serversPort(): ServersPort {
    return {
      auth: "",
      withServer: async (addr, work) => work(this.#connection(addr)),
      stats: async (addr) => {
        const { isSilent, info } = this.#server(addr);
        if (isSilent) await new Promise(() => undefined);
        return info.run_id === undefined ? {} : { run_id: info.run_id };
      },
      info: async (addr) => {
        return this.#server(addr).info;
      },
      check: async (addr) => {
        const { complaint, info } = this.#server(addr);
        checkMember(addr, complaint === "" ? [] : new ErrorReply(complaint), info);
        return info.run_id ?? "";
      },
      dropUnused: () => undefined,
      close: () => undefined,
    };
  }

  #connection(addr: string): MoveConnection {
    let db = 0;
    this.#server(addr);
    return {
      select: async (wanted) => {
        if (wanted !== db) this.#server(addr).commands.push(["SELECT", String(wanted)]);
        db = wanted;
      },
      call: async (...args) => {
        // A lost connection is seen while the reply is awaited.
        await this.#answer();
        const server = this.#server(addr);
        server.commands.push(args.map(String));
        return this.#execute(server, db, args);
      },
    };
  }

  #execute(server: FakeServer, db: number, args: readonly unknown[]): Reply {
    if (args[0] === "INFO") {
      const lines = [...server.keys].map(([number, slots]) => {
        const keys = [...slots.values()].reduce((sum, count) => sum + count, 0);
        return keys === 0 ? "" : `db${number}:keys=${keys},expires=0,avg_ttl=0\r\n`;
      });
      return Buffer.from(`# Keyspace\r\n${lines.join("")}`);
    }
    const target = this.servers.get(`${args[1]}:${args[2]}`);
    if (target === undefined || target.isDown) {
      return new ErrorReply("IOERR error or timeout connecting to the client");
    }
    const slot = Number(args[4]);
    if (server.stuckSlots.has(slot)) return new ErrorReply("ERR the target refused a value");
    const left = server.keys.get(db)?.get(slot) ?? 0;
    if (left === 0) return [0, 0];
    server.put(db, slot, -1);
    target.put(db, slot, 1);
    return [1, left - 1];
  }
}

/** One turn of the loop: whatever waits for no event has run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** `/codis3/t1/slots/slot-0003` -> `slot 3` */
function nameOfNode(path: string): string {
  const name = path.split("/").at(-1)!;
  const dash = name.indexOf("-");
  if (dash < 0) return name;
  const id = name.slice(dash + 1);
  const kind = name.slice(0, dash);
  return kind === "proxy" ? `proxy ${id}` : `${kind} ${Number(id)}`;
}
