/**
 * `codis dashboard`: flags and TOML to config to role. Option names are the original's; they
 * override what the file says. Source: spec/dashboard.md 1.
 */

import type { Command } from "commander";
import { checkConfig } from "../src/base/config.ts";
import { DASHBOARD_CONFIG, type DashboardConfig } from "../src/dashboard/config.ts";
import { serveDashboard } from "../src/dashboard/serve.ts";
import { requireBuilt } from "../src/store/open.ts";
import { BUILD } from "./flags.ts";
import type { RoleSpec } from "./role.ts";
import { runRole } from "./run-roles.ts";

export const DASHBOARD_ROLE: RoleSpec<typeof DASHBOARD_CONFIG> = {
  name: "dashboard",
  summary: "The control plane of one product: slots, groups, proxies, and moving slots.",
  example: "codis dashboard --filesystem ./codis-data --product_name shop --config dashboard.toml",
  table: DASHBOARD_CONFIG,
  options(command: Command): void {
    command
      .option("--ncpu <n>", "accepted, not needed")
      .option("--host-admin <addr>", "the address to announce in place of the bound one")
      .option("--zookeeper <addr>", "not supported yet: the coordinator is this zookeeper")
      .option("--etcd <addr>", "not supported yet: the coordinator is this etcd")
      .option("--filesystem <folder>", "the coordinator is this folder")
      .option("--product_name <name>", "the name of the cluster")
      .option("--product_auth <password>", "the password of its servers")
      .option("--remove-lock", "remove the lock that a dead original dashboard left, then start");
  },
  override(config, flags): DashboardConfig {
    const given: Record<string, unknown> = {};
    for (const kind of ["zookeeper", "etcd", "filesystem"]) {
      if (flags[kind] === undefined) continue;
      given.coordinator_name = kind;
      given.coordinator_addr = flags[kind];
    }
    for (const key of ["product_name", "product_auth"]) {
      if (flags[key] !== undefined) given[key] = flags[key];
    }
    const changed = { ...config, ...given };
    checkConfig(DASHBOARD_CONFIG, changed);
    requireBuilt(changed.coordinator_name);
    return changed;
  },
  async start({ config, flags, log }) {
    const dashboard = await serveDashboard({
      config,
      hostAdmin: String(flags.hostAdmin ?? ""),
      removeLock: flags.removeLock === true,
      ...BUILD,
      log,
    });
    return {
      addresses: { admin: dashboard.adminAddr },
      done: dashboard.done,
      close: () => dashboard.close(),
    };
  },
};

/** @returns the exit code, after the dashboard has ended */
export function runDashboard(argv: readonly string[]): Promise<number> {
  return runRole(DASHBOARD_ROLE, argv);
}
