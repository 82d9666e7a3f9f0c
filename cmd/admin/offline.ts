/**
 * The original's commands that work on the coordinator itself, with no dashboard: --remove-lock,
 * --config-dump, --config-convert, --config-restore, --dashboard-list. They do not look at the
 * lock.
 * Source: spec/admin-fe-ha.md 1.3. Where ours differs: group 0 (an offline slot) can be restored,
 * as every dump holds such slots.
 */

import { readFileSync } from "node:fs";
import { CodisError } from "../../src/base/errors.ts";
import { encodeJson } from "../../src/model/encode.ts";
import { GROUP, GROUP_ID_MAX, GROUP_ID_MIN, type Group } from "../../src/model/group.ts";
import { PRODUCTS_DIR, topomPath } from "../../src/model/paths.ts";
import { isProductName } from "../../src/model/product-name.ts";
import { PROXY, type ProxyModel } from "../../src/model/proxy.ts";
import { list } from "../../src/model/record.ts";
import { MAPPINGS, type Mapping, offlineMapping } from "../../src/model/slot.ts";
import { SLOT_COUNT } from "../../src/slots/hash.ts";
import type { Coordinator } from "../../src/store/coordinator.ts";
import { openCoordinator } from "../../src/store/open.ts";
import { Store } from "../../src/store/store.ts";
import { type ParsedOptions, requiredText } from "./original-options.ts";

/** What a dump file holds. */
interface Dump {
  readonly slots: readonly Mapping[];
  readonly group: readonly Group[];
  readonly proxy: readonly ProxyModel[];
}

type OfflineAction = (options: ParsedOptions) => Promise<string>;

/** By the flag that asks for it. Each returns what goes to stdout. */
export const OFFLINE_ACTIONS: readonly (readonly [string, OfflineAction])[] = [
  ["remove-lock", (o) => withProduct(o, removeLock)],
  ["config-dump", (o) => withProduct(o, (store) => dumpProduct(store, o))],
  ["config-convert", async (o) => shownDump(convert(readJson(requiredText(o, "config-convert"))))],
  ["config-restore", (o) => withProduct(o, (store) => restore(store, o))],
  ["dashboard-list", (o) => withCoordinator(o, listDashboards)],
];

async function withCoordinator(
  options: ParsedOptions,
  run: (coordinator: Coordinator) => Promise<string>,
): Promise<string> {
  const kind = ["zookeeper", "etcd", "filesystem"].find((name) => options.values.has(name));
  if (kind === undefined) {
    throw new CodisError("usage", "one of --filesystem, --zookeeper, --etcd is required");
  }
  const coordinator = openCoordinator(kind, requiredText(options, kind));
  try {
    return await run(coordinator);
  } finally {
    await coordinator.close();
  }
}

function withProduct(
  options: ParsedOptions,
  run: (store: Store) => Promise<string>,
): Promise<string> {
  const product = requiredText(options, "product");
  if (!isProductName(product)) {
    const rule = new CodisError("usage", `bad product name = ${product}`);
    throw new CodisError("usage", "invalid product name", rule);
  }
  return withCoordinator(options, (coordinator) => run(new Store(coordinator, product)));
}

async function removeLock(store: Store): Promise<string> {
  await store.removeLock();
  return "";
}

async function dumpProduct(store: Store, options: ParsedOptions): Promise<string> {
  const product = requiredText(options, "product");
  if (options.switches.has("1")) {
    // Products of version 1 exist in ZooKeeper only.
    throw new CodisError("missing", `cann't find product = ${product} [v1]`);
  }
  const group = byId(await store.loadGroups());
  const proxy = byId(await store.loadProxies());
  if (group.length === 0 && proxy.length === 0) {
    throw new CodisError("missing", `cann't find product = ${product} [v3]`);
  }
  return shownDump({ slots: await loadSlots(store), group, proxy });
}

async function listDashboards(coordinator: Coordinator): Promise<string> {
  const rows: { name: string; dashboard: string }[] = [];
  for (const path of (await coordinator.list(PRODUCTS_DIR)) ?? []) {
    const name = path.slice(PRODUCTS_DIR.length + 1);
    const topom = await coordinator.read(topomPath(name));
    rows.push({ name, dashboard: topom === undefined ? "" : adminAddress(topom) });
  }
  return `${encodeJson(rows)}\n`;
}

/** "" for a node that is no JSON: one broken product must not hide the others. */
function adminAddress(topom: string): string {
  try {
    return String((JSON.parse(topom) as { admin_addr?: string }).admin_addr ?? "");
  } catch {
    return "";
  }
}

async function restore(store: Store, options: ParsedOptions): Promise<string> {
  const dump = readDump(readJson(requiredText(options, "config-restore")));
  checkDump(dump);
  if (!options.switches.has("confirm")) return shownDump(dump);
  const isEmpty =
    (await store.loadGroups()).length === 0 && (await store.loadProxies()).length === 0;
  if (!isEmpty) {
    throw new CodisError("conflict", `product ${requiredText(options, "product")} is not empty`);
  }
  for (const mapping of dump.slots) await store.updateSlot(mapping);
  for (const group of dump.group) await store.updateGroup(group);
  for (const proxy of dump.proxy) await store.updateProxy(proxy);
  return "";
}

function checkDump({ slots, group, proxy }: Dump): void {
  const refuse = (text: string): never => {
    throw new CodisError("conflict", text);
  };
  const tokens = new Set<string>();
  for (const { token } of proxy) {
    if (tokens.has(token)) refuse(`proxy-${token} already exists`);
    tokens.add(token);
  }
  const groups = new Map<number, Group>();
  const servers = new Set<string>();
  for (const each of group) {
    if (each.id < GROUP_ID_MIN || each.id > GROUP_ID_MAX) refuse(`invalid group id = ${each.id}`);
    if (groups.has(each.id)) refuse(`group-${pad4(each.id)} already exists`);
    if (each.promoting.state !== "") refuse(`gorup-${pad4(each.id)} is promoting`);
    groups.set(each.id, each);
    for (const { server } of each.servers) {
      if (servers.has(server)) refuse(`server ${server} already exists`);
      servers.add(server);
    }
  }
  const seen = new Set<number>();
  for (const { id, group_id, action } of slots) {
    if (id < 0 || id >= SLOT_COUNT) refuse(`invalid slot id = ${id}`);
    if (seen.has(id)) refuse(`slot-${pad4(id)} already exists`);
    seen.add(id);
    if (action.state !== "") refuse(`slot-${pad4(id)} action is not empty`);
    const isServed = group_id === 0 || (groups.get(group_id)?.servers.length ?? 0) > 0;
    if (!isServed) {
      refuse(`slot-${pad4(id)} with group-${pad4(group_id)} doesn't exist or empty`);
    }
  }
}

/** A version 1 dump, in the form of version 3. Proxies of version 1 have no counterpart. */
function convert(value: object): Dump {
  const { slots = {}, servers = {} } = value as {
    slots?: Record<string, { id: number; group_id: number; state?: { status?: string } }>;
    servers?: Record<string, Record<string, { addr: string; group_id: number; type: string }>>;
  };
  const mappings = Object.values(slots)
    .filter(({ id, state }) => {
      if (state?.status === "online") return true;
      if (state?.status === "offline") return false;
      throw new CodisError("usage", `invalid slot-${id} status = ${state?.status}`);
    })
    .map(({ id, group_id }) => ({ ...offlineMapping(id), group_id }));
  const groups = new Map<number, Group>();
  for (const { addr, group_id, type } of Object.values(servers).flatMap(Object.values)) {
    const group = groups.get(group_id) ?? { ...GROUP.zero(), id: group_id };
    const server = { ...GROUP.read({ servers: [{ server: addr }] }, "group").servers[0]! };
    if (type === "master") group.servers.unshift(server);
    else group.servers.push(server);
    groups.set(group_id, group);
  }
  return { slots: byId(mappings), group: byId([...groups.values()]), proxy: [] };
}

function readDump(value: object): Dump {
  const { slots, group, proxy } = value as Readonly<Record<string, unknown>>;
  return {
    slots: MAPPINGS.read(slots, "slots"),
    group: list(GROUP).read(group, "group"),
    proxy: list(PROXY).read(proxy, "proxy"),
  };
}

/** Empty parts are left out. */
function shownDump({ slots, group, proxy }: Dump): string {
  const shown = {
    ...(slots.length > 0 && { slots: MAPPINGS.write([...slots]) }),
    ...(group.length > 0 && { group: list(GROUP).write([...group]) }),
    ...(proxy.length > 0 && { proxy: list(PROXY).write([...proxy]) }),
  };
  return `${encodeJson(shown)}\n`;
}

async function loadSlots(store: Store): Promise<Mapping[]> {
  const slots: Mapping[] = [];
  for (let id = 0; id < SLOT_COUNT; id++) slots.push(await store.loadSlot(id));
  return slots;
}

function readJson(path: string): object {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new CodisError("usage", `Cannot read the JSON file ${path}`, error);
  }
  if (typeof value === "object" && value !== null) return value;
  throw new CodisError("usage", `Cannot use ${path}: a dump is a JSON object`);
}

function byId<T extends { readonly id: number }>(records: readonly T[]): T[] {
  return records.toSorted((a, b) => a.id - b.id);
}

function pad4(id: number): string {
  return String(id).padStart(4, "0");
}
