/**
 * Brings one dashboard up: coordinator, HTTP port, lock, loops; and takes it down in reverse.
 *
 *   open coordinator ──> bind the port ──> answer ("topom is not online") ──> lock ──> online
 *
 * The port is bound before the lock is taken because the lock tells others our address.
 * Source: Codis pkg/topom/topom.go.
 */

import { type AdminRequest, type AdminResponse, createHandler } from "../api/http.ts";
import { advertisedAddress, ownNames, processIdentity } from "../api/identity.ts";
import { ProxyClient } from "../api/proxy-client.ts";
import { serveAdmin } from "../api/serve-admin.ts";
import { hardwareAddresses, newToken, proxyXauth } from "../api/xauth.ts";
import { systemClock } from "../base/clock.ts";
import { configToJson } from "../base/config.ts";
import { CodisError, errorText } from "../base/errors.ts";
import { type Log, parseLogLevel } from "../base/log.ts";
import { FORWARD_SEMI_ASYNC, FORWARD_SYNC } from "../model/slot.ts";
import { openCoordinator } from "../store/open.ts";
import { Store } from "../store/store.ts";
import { dashboardApi } from "./api.ts";
import { COORDINATOR_ADDR_DEFAULT, DASHBOARD_CONFIG, type DashboardConfig } from "./config.ts";
import type { AsyncLimits } from "./migrate-async.ts";
import { resolveHosts } from "./resolve.ts";
import { Servers } from "./servers.ts";
import { Topom } from "./topom.ts";

/** How often, and how many times in all, a lock that another holds is tried. */
const LOCK_RETRY_MS = 2_000;
const LOCK_ATTEMPTS = 17;

export interface ServeOptions {
  readonly config: DashboardConfig;
  /** Address to announce in place of the bound one; "" for none. */
  readonly hostAdmin: string;
  /** Remove the original's lock node before trying to take the lock. */
  readonly removeLock: boolean;
  readonly version: string;
  readonly compile: string;
  readonly log: Log;
}

export interface RunningDashboard {
  /** The announced address of its API. */
  readonly adminAddr: string;
  /** Resolves with the exit code when it has ended. */
  readonly done: Promise<number>;
  close(): Promise<void>;
}

/**
 * Returns when the dashboard is online.
 * @throws CodisError when the port is taken, the coordinator's folder cannot be used, or the lock
 * is held for LOCK_ATTEMPTS tries
 */
export async function serveDashboard(options: ServeOptions): Promise<RunningDashboard> {
  const { config, log } = options;
  warnAboutPlace(config, log);
  const coordinator = openCoordinator(config.coordinator_name, config.coordinator_addr);
  const store = new Store(coordinator, config.product_name);
  if (options.removeLock) await removeLock(store, log);

  const handler = Promise.withResolvers<(request: AdminRequest) => Promise<AdminResponse>>();
  const server = await serveAdmin(config.admin_addr, async (request) =>
    (await handler.promise)(request),
  );
  const end = async (): Promise<void> => {
    await server.close();
    await coordinator.close();
  };
  try {
    const topom = await makeTopom(options, store, server.address);
    handler.resolve(makeHandler(topom, options));
    const { admin_addr } = topom.model;
    log.info(`admin start service on ${admin_addr}`);
    const done = topom.done.then(async (exitCode) => {
      log.info("admin shutdown");
      await end();
      log.info("dashboard is exiting ...");
      return exitCode;
    });
    await takeLock(topom, config.coordinator_addr, log);
    if (!topom.isClosed) topom.start();
    log.info("dashboard is working ...", { product: config.product_name, admin_addr });
    return { adminAddr: admin_addr, done, close: () => topom.close() };
  } catch (error) {
    await end();
    throw error;
  }
}

async function makeTopom(options: ServeOptions, store: Store, bound: string): Promise<Topom> {
  const { config, log } = options;
  const { hostname: _, ...identity } = processIdentity(systemClock.now());
  const { product_name, product_auth, migration_timeout } = config;
  const asyncLimits = asyncLimitsOf(config);
  return new Topom({
    model: {
      token: newToken(hardwareAddresses(), product_name, bound),
      start_time: identity.start_time,
      admin_addr: await advertisedAddress(bound, options.hostAdmin),
      product_name,
      pid: identity.pid,
      pwd: identity.pwd,
      sys: identity.sys,
    },
    store,
    servers: new Servers(product_auth, migration_timeout),
    proxyAt: (addr, token, timeoutMs) => {
      const xauth = token === "" ? "" : proxyXauth(product_name, product_auth, token);
      return new ProxyClient(addr, xauth, { timeoutMs });
    },
    resolve: resolveHosts,
    forwardMethod: asyncLimits === undefined ? FORWARD_SYNC : FORWARD_SEMI_ASYNC,
    asyncLimits,
    parallelSlots: config.migration_parallel_slots,
    migrationTimeoutMs: migration_timeout,
    now: () => systemClock.now(),
    monotonic: () => systemClock.monotonic(),
    wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    log,
  });
}

function makeHandler(
  topom: Topom,
  { config, version, compile, log }: ServeOptions,
): (request: AdminRequest) => Promise<AdminResponse> {
  return createHandler(
    dashboardApi(topom, {
      productAuth: config.product_auth,
      version,
      compile,
      config: configToJson(DASHBOARD_CONFIG, config),
      changesFromAnywhere: config.allow_remote_unauthenticated,
      ownNames: ownNames([config.admin_addr, topom.model.admin_addr]),
      setLogLevel: (level) => {
        const wanted = parseLogLevel(level);
        if (wanted === undefined) throw new CodisError("usage", "invalid loglevel");
        log.setLevel(wanted);
      },
      onChange: (change) => log.info("api call", { ...change }),
      onError: (path, error) => log.warn("api call failed", { path, error }),
    }),
  );
}

/** @param place where the lock is, for the error when it can never be there */
async function takeLock(topom: Topom, place: string, log: Log): Promise<void> {
  for (let attempt = 1; !topom.isClosed; attempt++) {
    try {
      await topom.lock();
      return;
    } catch (error) {
      if (!(error instanceof CodisError)) throw error;
      if (error.code === "usage") {
        const step =
          "let this user write there, or name another place in coordinator_addr or --filesystem";
        // The command line may be right, and the disk not: no error of usage to who started it.
        throw new CodisError("unavailable", `Cannot store the model in ${place}; ${step}`, error);
      }
      log.warn("cannot take the lock of the product", { attempt, error: errorText(error) });
      if (attempt >= LOCK_ATTEMPTS) {
        throw new CodisError(error.code, "dashboard online failed, give up & abort :'(", error);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
  }
}

async function removeLock(store: Store, log: Log): Promise<void> {
  try {
    await store.removeLock();
    log.warn("the lock node was removed");
  } catch (error) {
    log.error("cannot remove the lock node", { error: errorText(error) });
  }
}

/** What the configuration says of semi-async; undefined when it says sync. */
function asyncLimitsOf(config: DashboardConfig): AsyncLimits | undefined {
  if (config.migration_method.toLowerCase() === "sync") return undefined;
  return {
    maxBulks: config.migration_async_maxbulks,
    maxBytes: config.migration_async_maxbytes,
    numKeys: config.migration_async_numkeys,
  };
}

function warnAboutPlace({ coordinator_addr: place }: DashboardConfig, log: Log): void {
  if (place !== COORDINATOR_ADDR_DEFAULT) return;
  log.warn(`the model is kept in ${place}, which a boot may empty; set coordinator_addr`);
}
