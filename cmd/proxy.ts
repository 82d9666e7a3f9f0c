/**
 * `codis proxy`: flags and TOML to config to role. Option names and their texts are the original's
 * (spec/proxy.md 1.4); one of --dashboard, --filesystem, --fillslots brings the proxy online by
 * itself.
 */

import { availableParallelism } from "node:os";
import { type Command, InvalidArgumentError, Option } from "commander";
import { maxDescriptors } from "../src/api/metrics.ts";
import { parseAddress } from "../src/base/address.ts";
import { CodisError } from "../src/base/errors.ts";
import { readTextFile } from "../src/base/files.ts";
import type { Log } from "../src/base/log.ts";
import { decodeRecord } from "../src/model/encode.ts";
import { SLOTS, type Slot } from "../src/model/slot.ts";
import { checkSlots } from "../src/proxy/api.ts";
import { applyConfigFlags, PROXY_CONFIG, unservedWishes } from "../src/proxy/config.ts";
import { CodisProxy } from "../src/proxy/proxy.ts";
import type { DashboardSource } from "../src/proxy/register.ts";
import { addressOfDashboard } from "./dashboard-address.ts";
import { BUILD } from "./flags.ts";
import type { RoleSpec } from "./role.ts";
import { runRole } from "./run-roles.ts";

const THREADS_DEFAULT = Math.min(4, availableParallelism());
const THREADS_MAX = 256;
/** Of a file for --fillslots: all slots take some 300 KiB. */
const SLOTS_BYTES_MAX = 16 * 1024 * 1024;

interface ProxyFlags {
  readonly ncpu?: number;
  readonly ulimit?: number;
  readonly hostAdmin?: string;
  readonly hostProxy?: string;
  readonly dashboard?: string;
  readonly zookeeper?: string;
  readonly etcd?: string;
  readonly filesystem?: string;
  readonly fillslots?: string;
  readonly product_name?: string;
  readonly product_auth?: string;
  readonly session_auth?: string;
  readonly supervised?: boolean;
}

/** Ways to come online by itself; at most one is given. */
const WAYS_ONLINE = ["dashboard", "zookeeper", "etcd", "filesystem", "fillslots"];

export const PROXY_ROLE: RoleSpec<typeof PROXY_CONFIG> = {
  name: "proxy",
  summary: "The address clients connect to: requests go to the server that owns their slot.",
  example: "codis proxy --config proxy.toml --dashboard 127.0.0.1:18080 --ncpu 2",
  table: PROXY_CONFIG,
  options: addOptions,
  override(config, flags) {
    checkFlags(flags);
    return applyConfigFlags(config, flags);
  },
  async start({ config, flags, log }) {
    const given = flags as ProxyFlags;
    const slots = given.fillslots === undefined ? undefined : readSlots(given.fillslots);
    for (const wish of unservedWishes(config)) log.warn(wish);
    if (config.compat === "codis") {
      log.warn("compat = codis: commands in no table are forwarded, one client can break others");
    }
    const proxy = await CodisProxy.open({
      config,
      log,
      threads: given.ncpu ?? THREADS_DEFAULT,
      hostAdmin: given.hostAdmin ?? "",
      hostProxy: given.hostProxy ?? "",
      ...BUILD,
    });
    await comeOnline(proxy, given, slots, log);
    return {
      addresses: { proxy: proxy.model.proxy_addr, admin: proxy.model.admin_addr },
      done: proxy.done,
      close: () => proxy.close(),
    };
  },
};

/** @returns the exit code, after the proxy has ended */
export function runProxy(argv: readonly string[]): Promise<number> {
  return runRole(PROXY_ROLE, argv);
}

function addOptions(command: Command): void {
  command
    .option(
      "--ncpu <n>",
      `event loops that serve clients; ${THREADS_DEFAULT} if not given`,
      integerOf(1, THREADS_MAX),
    )
    .option("--max-ncpu <n>", "accepted, not needed", integerOf(1, THREADS_MAX))
    .option(
      "--ulimit <n>",
      "refuse to start with fewer open files allowed",
      integerOf(0, Number.MAX_SAFE_INTEGER),
    )
    .option("--host-admin <addr>", "the admin address to announce in place of the bound one")
    .option("--host-proxy <addr>", "the clients' address to announce in place of the bound one")
    .addOption(wayOnline("--dashboard <addr>", "go online through this dashboard"))
    .addOption(
      wayOnline("--zookeeper <addrs>", "not supported yet: find the dashboard in this zookeeper"),
    )
    .addOption(wayOnline("--etcd <addrs>", "not supported yet: find the dashboard in this etcd"))
    .addOption(wayOnline("--filesystem <folder>", "find the dashboard in this folder"))
    .addOption(wayOnline("--fillslots <file>", "take the slots from this JSON file and go online"))
    .option("--product_name <name>", "the name of the cluster")
    .option("--product_auth <password>", "the password of its servers")
    .option("--session_auth <password>", "the password clients must give");
}

function wayOnline(flags: string, description: string): Option {
  const option = new Option(flags, description);
  return option.conflicts(WAYS_ONLINE.filter((name) => name !== option.attributeName()));
}

/** Reads a decimal within bounds. */
function integerOf(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`it must be an integer, ${min} to ${max}`);
    }
    return value;
  };
}

/**
 * Before any port is bound: what is wrong stays wrong.
 * @throws CodisError "usage" for what commander cannot see
 */
function checkFlags(flags: Readonly<Record<string, unknown>>): void {
  for (const name of ["hostAdmin", "hostProxy", ...WAYS_ONLINE]) {
    if (flags[name] !== "") continue;
    const option = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new CodisError("usage", `option --${option} requires an argument`);
  }
  for (const name of ["zookeeper", "etcd"]) {
    if (flags[name] === undefined) continue;
    const text = `--${name} is not supported yet: name the dashboard itself, with --dashboard`;
    throw new CodisError("usage", text);
  }
  const { ulimit, dashboard, hostAdmin, hostProxy } = flags as ProxyFlags;
  if (dashboard !== undefined) addressOfDashboard(dashboard);
  checkAddress("--host-admin", hostAdmin);
  checkAddress("--host-proxy", hostProxy);
  const limit = maxDescriptors();
  if (ulimit !== undefined && !(limit >= ulimit)) {
    throw new CodisError("limit", `ulimit too small: ${limit}, should be at least ${ulimit}`);
  }
}

function checkAddress(option: string, text: string | undefined): void {
  if (text === undefined) return;
  try {
    if (parseAddress(text).port > 0) return;
  } catch (error) {
    if (!(error instanceof CodisError)) throw error;
  }
  throw new CodisError("usage", `Cannot use ${option} '${text}': it must be host:port`);
}

/** The slots of a file, checked; undefined when the file says null, which the original ignores. */
function readSlots(path: string): Slot[] | undefined {
  let text: string;
  try {
    text = readTextFile(path, SLOTS_BYTES_MAX);
  } catch (error) {
    throw new CodisError("usage", "load slots from file failed", error);
  }
  if (text.trim() === "null") return undefined;
  try {
    return [...checkSlots(decodeRecord(SLOTS, text, path))];
  } catch (error) {
    throw new CodisError("usage", "decode slots from json failed", error);
  }
}

async function comeOnline(
  proxy: CodisProxy,
  flags: ProxyFlags,
  slots: readonly Slot[] | undefined,
  log: Log,
): Promise<void> {
  if (slots !== undefined) {
    await proxy.fillSlots(slots);
    await proxy.start();
  }
  const source = sourceOf(flags);
  // Not awaited: the dashboard may come up later, and its failure ends the proxy by itself.
  if (source !== undefined) void proxy.registerWith(source);
  else if (slots === undefined) sayWaiting(proxy.model.admin_addr, flags.supervised === true, log);
}

/** @param supervised by `codis up`, which puts it online as soon as all of the cluster serves */
function sayWaiting(adminAddr: string, supervised: boolean, log: Log): void {
  if (supervised) log.info("clients are refused until codis up puts this proxy online");
  else log.warn(waitingText(adminAddr));
}

function waitingText(adminAddr: string): string {
  return (
    "clients are refused until a dashboard puts this proxy online: " +
    `codis admin proxy online ${adminAddr} --dashboard ADDR, or start it with --dashboard ADDR`
  );
}

function sourceOf({ dashboard, filesystem }: ProxyFlags): DashboardSource | undefined {
  if (dashboard !== undefined) return { kind: "dashboard", addr: addressOfDashboard(dashboard) };
  if (filesystem === undefined) return undefined;
  return { kind: "coordinator", name: "filesystem", addr: filesystem };
}
