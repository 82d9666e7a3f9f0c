/**
 * A proxy announces itself: it finds its product's dashboard and asks to be put online. The
 * dashboard then calls back: model, xping, fillslots, start, sentinels.
 *
 *   find the dashboard ──> GET its model: same product? ──> PUT online ──> done
 *        └── not there ───────┴── no answer ─────────────────┴── refused ──> wait, try again
 *
 * Source: Codis cmd/proxy/main.go `AutoOnlineWithDashboard`, `AutoOnlineWithCoordinator`.
 */

import { DashboardClient } from "../api/dashboard-client.ts";
import { CodisError, errorText } from "../base/errors.ts";
import { openCoordinator } from "../store/open.ts";
import { Store } from "../store/store.ts";

const PAUSE_MS = 3000;
/** The address of the dashboard was given; it may only have to come up. */
const ATTEMPTS_AT_DASHBOARD = 10;
/** It is looked up first, and may not hold its lock yet. */
const ATTEMPTS_AT_COORDINATOR = 30;

/** Where the dashboard is to be found. */
export type DashboardSource =
  | { readonly kind: "dashboard"; readonly addr: string }
  /** `name` and `addr` as in dashboard.toml: `filesystem` and its folder. */
  | { readonly kind: "coordinator"; readonly name: string; readonly addr: string };

export interface RegisterPort {
  readonly productName: string;
  /** The product's password, which a dashboard on another machine asks for; "" for none. */
  readonly productAuth: string;
  /** Our advertised admin address. */
  readonly adminAddr: string;
  /** Online already, or closed: there is nothing left to ask for. */
  isSettled(): boolean;
  /** Resolves after `ms`, or when the proxy is closed. */
  pause(ms: number): Promise<void>;
  /** An attempt failed and another will follow. */
  onRetry(reason: string, attemptsLeft: number): void;
}

/**
 * Resolves when the dashboard has put the proxy online, or the proxy is settled otherwise.
 * @throws CodisError "usage" when the address is malformed or the dashboard another product's,
 *   "unavailable" `online proxy failed` after the last attempt
 */
export async function register(source: DashboardSource, port: RegisterPort): Promise<void> {
  const attempts = source.kind === "dashboard" ? ATTEMPTS_AT_DASHBOARD : ATTEMPTS_AT_COORDINATOR;
  let reason: unknown;
  for (let left = attempts - 1; left >= 0; left--) {
    if (port.isSettled()) return;
    try {
      await attempt(source, port);
      return;
    } catch (error) {
      // A wrong address or product stays wrong, however often it is tried.
      if (!(error instanceof CodisError) || error.code === "usage") throw error;
      reason = error;
      port.onRetry(errorText(error), left);
    }
    if (left > 0) await port.pause(PAUSE_MS);
  }
  if (port.isSettled()) return;
  throw new CodisError("unavailable", "online proxy failed", reason);
}

async function attempt(source: DashboardSource, port: RegisterPort): Promise<void> {
  const addr = await findDashboard(source, port.productName);
  const { client, model } = await DashboardClient.open(addr, { productAuth: port.productAuth });
  if (model.product_name !== port.productName) {
    const [ours, theirs] = [port.productName, model.product_name];
    throw new CodisError(
      "usage",
      `unexpected product name: this proxy is of ${ours}, the dashboard ${addr} of ${theirs}; ` +
        "name the same product_name, or another dashboard",
    );
  }
  await client.onlineProxy(port.adminAddr);
}

async function findDashboard(source: DashboardSource, productName: string): Promise<string> {
  if (source.kind === "dashboard") return source.addr;
  const coordinator = openCoordinator(source.name, source.addr);
  try {
    const topom = await new Store(coordinator, productName).loadTopom();
    if (topom !== undefined) return topom.admin_addr;
    const text = `no dashboard of product ${productName} is registered at ${source.addr}`;
    throw new CodisError("missing", text);
  } finally {
    await coordinator.close();
  }
}
