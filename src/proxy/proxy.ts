/**
 * The assembly of a proxy: the only file that wires its parts. The data plane runs in one thread or
 * several; the admin API, the slot table and the life cycle live here, in the main thread.
 *
 *   bind clients' port ──> bind admin port ──> token, xauth, model ──> created
 *   created ──start──> online ──close──> closed
 *
 *   created   clients are told that the proxy is not online; the admin API works
 *   online    serves
 *   closed    final: what was in flight is answered, both ports are closed
 *
 * Source: Codis pkg/proxy/proxy.go.
 */

import { isIP } from "node:net";
import { createHandler } from "../api/http.ts";
import { advertisedAddress, ownNames, processIdentity, systemResolver } from "../api/identity.ts";
import type { ProxyOverview, ProxyStats } from "../api/proxy-stats.ts";
import { STATS_CMDS, STATS_RUNTIME } from "../api/proxy-stats.ts";
import { type AdminServer, serveAdmin } from "../api/serve-admin.ts";
import { checkXauth, hardwareAddresses, newToken, proxyXauth } from "../api/xauth.ts";
import { formatAddress, isWildcard, parseAddress } from "../base/address.ts";
import { systemClock } from "../base/clock.ts";
import { configToJson } from "../base/config.ts";
import { CodisError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { parseLogLevel } from "../base/log.ts";
import { HTTP_DETECTED } from "../commands/http.ts";
import type { ProxyModel } from "../model/proxy.ts";
import type { Sentinel } from "../model/sentinel.ts";
import type { Slot } from "../model/slot.ts";
import { type BoundPort, bindPort } from "../net/listener.ts";
import { type ProxyControl, proxyRoutes } from "./api.ts";
import { PROXY_CONFIG, type ProxyConfig } from "./config.ts";
import { openPlane, type Plane } from "./plane.ts";
import { type DashboardSource, register } from "./register.ts";
import { RusageSampler, runtimeStats, SAMPLE_PERIOD_MS } from "./rusage.ts";

/** A name in `proxy_addr` must resolve within this. */
const RESOLVE_TIMEOUT_MS = 5000;

export interface ProxyOptions {
  readonly config: ProxyConfig;
  readonly log: Log;
  /** Threads of the data plane, 1 or more. */
  readonly threads: number;
  /** Addresses to advertise in place of the bound ones; "" for those. */
  readonly hostAdmin: string;
  readonly hostProxy: string;
  /** What the overview shows about the program. */
  readonly version: string;
  readonly compile: string;
}

/** Clients come and go by the thousand: only what cut a session short is worth a line. */
const ORDINARY_ENDS: ReadonlySet<string> = new Set(["client closed", "QUIT"]);

function levelOf(reason: string): "debug" | "info" | "warn" {
  if (reason === HTTP_DETECTED) return "warn";
  return ORDINARY_ENDS.has(reason) ? "debug" : "info";
}
const FILL_PATH = "/api/proxy/fillslots/";

interface Parts {
  readonly options: ProxyOptions;
  readonly model: ProxyModel;
  readonly xauth: string;
  readonly port: BoundPort;
  readonly plane: Plane;
  readonly admin: AdminServer;
}

export class CodisProxy implements ProxyControl {
  readonly model: ProxyModel;
  /** Resolves when the proxy has ended: 0 after a close, 1 when it could not register. */
  readonly done: Promise<number>;

  readonly #options: ProxyOptions;
  readonly #log: Log;
  readonly #xauth: string;
  readonly #port: BoundPort;
  readonly #plane: Plane;
  readonly #admin: AdminServer;
  readonly #rusage = new RusageSampler(systemClock);
  readonly #sampleTimer: NodeJS.Timeout;
  readonly #end = Promise.withResolvers<number>();
  /** Ends every pause at once. */
  readonly #closing = Promise.withResolvers<void>();
  #drained: Promise<void> | undefined;
  #isDrained = false;
  #closed: Promise<void> | undefined;
  #sentinels: readonly string[] = [];
  #isOnline = false;
  #exitCode = 0;

  /**
   * Binds both ports and serves the admin API; clients are refused until `start`.
   * @throws CodisError when a port is taken or no address can be advertised; nothing stays open
   *   then
   */
  static async open(options: ProxyOptions): Promise<CodisProxy> {
    const { config, log, threads } = options;
    const port = await bindClientPort(config);
    let admin: AdminServer | undefined;
    let plane: Plane | undefined;
    try {
      // The admin port's number is part of the token, so it is bound before there is a handler.
      const handler = Promise.withResolvers<ReturnType<typeof createHandler>>();
      admin = await serveAdmin(config.admin_addr, async (request) =>
        (await handler.promise)(request),
      );
      const model = await describeProxy(options, boundText(port), admin.address);
      const xauth = proxyXauth(config.product_name, config.product_auth, model.token);
      const death = Promise.withResolvers<CodisError>();
      plane = await openPlane({
        config,
        port,
        threads,
        clock: systemClock,
        onDeath: death.resolve,
        onSessionClosed: (client, reason) => {
          log[levelOf(reason)]("session closed", { client, reason });
        },
      });
      const proxy = new CodisProxy({ options, model, xauth, port, plane, admin });
      void death.promise.then((error) => proxy.#die(error));
      handler.resolve(proxy.#createHandler());
      const { token, proxy_addr, admin_addr } = model;
      log.info("proxy is created", { token, proxy_addr, admin_addr, threads });
      return proxy;
    } catch (error) {
      await plane?.close();
      await admin?.close();
      port.close();
      throw error;
    }
  }

  private constructor({ options, model, xauth, port, plane, admin }: Parts) {
    this.model = model;
    this.done = this.#end.promise;
    this.#options = options;
    this.#log = options.log;
    this.#xauth = xauth;
    this.#port = port;
    this.#plane = plane;
    this.#admin = admin;
    this.#sampleTimer = setInterval(() => this.#rusage.sample(), SAMPLE_PERIOD_MS);
  }

  get isOnline(): boolean {
    return this.#isOnline && !this.isClosed;
  }

  get isClosed(): boolean {
    return this.#drained !== undefined;
  }

  // -- the admin API ----------------------------------------------------------------------------

  #createHandler(): ReturnType<typeof createHandler> {
    const { config } = this.#options;
    return createHandler({
      routes: proxyRoutes(this),
      home: "/proxy",
      checkXauth: (given) => this.#checkXauth(given),
      changesFromAnywhere: config.product_auth !== "" || config.allow_remote_unauthenticated,
      ownNames: ownNames([config.admin_addr, this.model.admin_addr]),
      onChange: (change) => {
        // A dashboard fills each slot several times while it moves: at INFO that hides the rest.
        const level = change.path.startsWith(FILL_PATH) ? "debug" : "info";
        this.#log[level]("admin request", { ...change });
      },
      onError: (path, text) => this.#log.warn("admin request failed", { path, error: text }),
    });
  }

  #checkXauth(given: string): void {
    if (this.isClosed) throw closedError();
    checkXauth(this.#xauth, given);
  }

  /** While closing, the data plane can still be asked; closed, it has nobody left to answer. */
  #assertOpen(): void {
    if (this.#isDrained) throw closedError();
  }

  describe(): Pick<ProxyOverview, "version" | "compile" | "config"> {
    const { version, compile, config } = this.#options;
    return { version, compile, config: configToJson(PROXY_CONFIG, config) };
  }

  async stats(flags: number): Promise<ProxyStats> {
    this.#assertOpen();
    const plane = await this.#plane.stats();
    const commands = (flags & STATS_CMDS) !== 0 ? plane.commands : [];
    return {
      online: this.isOnline,
      closed: this.isClosed,
      sentinels: this.#sentinels.length === 0 ? {} : { servers: this.#sentinels },
      ops: {
        total: plane.total,
        fails: plane.fails,
        redis: { errors: plane.redisErrors },
        qps: plane.qps,
        ...(commands.length === 0 ? {} : { cmd: commands }),
      },
      sessions: { total: plane.sessionsTotal, alive: plane.sessionsAlive },
      rusage: this.#rusage.latest,
      backend: { primary_only: this.#options.config.backend_primary_only },
      ...((flags & STATS_RUNTIME) === 0 ? {} : { runtime: runtimeStats(this.#options.threads) }),
    };
  }

  async slots(): Promise<Slot[]> {
    this.#assertOpen();
    return await this.#plane.slots();
  }

  async fillSlots(slots: readonly Slot[]): Promise<void> {
    this.#assertOpen();
    await this.#plane.fill(slots);
  }

  async resetStats(): Promise<void> {
    await this.#plane.resetStats();
  }

  forceGc(): void {
    Bun.gc(true);
  }

  setLogLevel(text: string): void {
    const level = parseLogLevel(text);
    if (level === undefined) throw new CodisError("usage", "invalid loglevel");
    this.#log.setLevel(level);
    this.#log.info("log level set", { level });
  }

  setSentinels({ servers }: Sentinel): void {
    this.#sentinels = servers;
    if (servers.length > 0) this.#log.warn("sentinels are not watched yet", { servers });
  }

  rewatchSentinels(): void {
    this.setSentinels({ servers: [...this.#sentinels], out_of_sync: false });
  }

  // -- life -------------------------------------------------------------------------------------

  async start(): Promise<void> {
    if (this.isClosed) throw closedError();
    if (this.#isOnline) return;
    this.#isOnline = true;
    await this.#plane.start();
    this.#log.info("proxy is online", { proxy_addr: this.model.proxy_addr });
  }

  /**
   * Resolves when the dashboard has put the proxy online, or registration has failed for good; then
   * the proxy ends with exit code 1.
   */
  async registerWith(source: DashboardSource): Promise<void> {
    try {
      await register(source, {
        productName: this.model.product_name,
        productAuth: this.#options.config.product_auth,
        adminAddr: this.model.admin_addr,
        isSettled: () => this.#isOnline || this.isClosed,
        pause: (ms) => this.#pause(ms),
        onRetry: (reason, attemptsLeft) => {
          this.#log.warn("online proxy failed, will try again", { reason, attemptsLeft });
        },
      });
    } catch (error) {
      if (!(error instanceof CodisError)) throw error;
      this.#log.error("registration failed", { error });
      this.#exitCode = 1;
      await this.close();
    }
  }

  async #pause(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const passed = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    await Promise.race([passed, this.#closing.promise]);
    clearTimeout(timer);
  }

  /**
   * Stops accepting and answers what is in flight; the admin port closes behind its last answer.
   */
  shutdown(): Promise<void> {
    void this.close();
    return this.#drained!;
  }

  /** Resolves when everything is closed. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** A thread of the data plane died: the process is to end, and cannot be left in order. */
  #die(error: CodisError): void {
    this.#log.error("the data plane died", { error });
    this.#isDrained = true;
    this.#exitCode = 1;
    this.#end.resolve(1);
  }

  async #close(): Promise<void> {
    this.#log.info("proxy is closing");
    this.#closing.resolve();
    clearInterval(this.#sampleTimer);
    this.#admin.stopAccepting();
    this.#port.close();
    this.#drained = this.#isDrained ? Promise.resolve() : this.#plane.close();
    await this.#drained;
    this.#isDrained = true;
    await this.#admin.close();
    this.#log.info("proxy is closed");
    this.#end.resolve(this.#exitCode);
  }
}

function closedError(): CodisError {
  return new CodisError("closed", "use of closed proxy");
}

// -- addresses -----------------------------------------------------------------------------------

async function bindClientPort(config: ProxyConfig): Promise<BoundPort> {
  const { host, port } = parseAddress(config.proxy_addr);
  if (config.proto_type === "tcp") return bindPort(isWildcard(host) ? "" : host, port);
  const isV4 = config.proto_type === "tcp4";
  if (isWildcard(host)) return bindPort(isV4 ? "0.0.0.0" : "::", port);
  return bindPort(await resolveHost(host, isV4), port);
}

/** The IP of that family, because the token is made of the bound IP and not of a name. */
async function resolveHost(host: string, isV4: boolean): Promise<string> {
  const ips = await systemResolver.resolve(host, RESOLVE_TIMEOUT_MS);
  const ip = ips.find((candidate) => isIP(candidate) === (isV4 ? 4 : 6));
  if (ip !== undefined) return ip;
  const family = isV4 ? "IPv4 (proto_type tcp4)" : "IPv6 (proto_type tcp6)";
  throw new CodisError("usage", `Cannot listen on ${host}: it has no address of ${family}`);
}

/** The port in upstream's words: a wildcard of family tcp is `[::]`. */
function boundText({ host, port }: BoundPort): string {
  return formatAddress(host === "" ? "::" : host, port);
}

async function describeProxy(
  { config, hostAdmin, hostProxy }: ProxyOptions,
  boundProxy: string,
  boundAdmin: string,
): Promise<ProxyModel> {
  const { start_time, pid, pwd, sys, hostname } = processIdentity(systemClock.now());
  return {
    id: 0,
    token: newToken(hardwareAddresses(), config.product_name, boundProxy, boundAdmin),
    start_time,
    admin_addr: await advertisedAddress(boundAdmin, hostAdmin),
    proto_type: config.proto_type,
    proxy_addr: await advertisedAddress(boundProxy, hostProxy),
    jodis_path: "",
    product_name: config.product_name,
    pid,
    pwd,
    sys,
    hostname,
    datacenter: config.proxy_datacenter,
  };
}
