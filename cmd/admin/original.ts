/**
 * `codis admin --dashboard=ADDR ...`, `--proxy=ADDR ...` and, in offline.ts, those that work on the
 * coordinator alone: the original's flags, its requests in its order and its output, so that
 * scripts written for `codis-admin` run unchanged. Success prints nothing but results; failure
 * prints two lines on stderr and exits 1.
 *
 *   argv ──> parseOptions ──> the first row of ACTIONS whose flag is given ──> requests ──> text
 */

import { readFileSync } from "node:fs";
import { takesKey, wrongAuth } from "../../src/api/dashboard-client.ts";
import { proxyXauth, topomSecretXauth, topomXauth } from "../../src/api/xauth.ts";
import { CodisError, errorText } from "../../src/base/errors.ts";
import { parseLogLevel } from "../../src/base/log.ts";
import { encodeJson } from "../../src/model/encode.ts";
import { MAPPINGS, type Mapping, offlineMapping, type Slot } from "../../src/model/slot.ts";
import { SLOT_COUNT } from "../../src/slots/hash.ts";
import { addressOfDashboard } from "../dashboard-address.ts";
import { EXIT_DONE, EXIT_FAILED, EXIT_USAGE } from "../flags.ts";
import { AdminApi } from "./admin-api.ts";
import { productAuthOfEnvironment } from "./dashboard.ts";
import { OFFLINE_ACTIONS } from "./offline.ts";
import { ORIGINAL_NAMES } from "./original-names.ts";
import {
  type ParsedOptions,
  parseOptions,
  requiredInteger,
  requiredText,
} from "./original-options.ts";
import { groupStatusLines, planLines, proxyStatusLines, type StatusInput } from "./status-lines.ts";

/** Where results and errors go: `process`, or what a test collects. */
export interface Streams {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/** @returns the exit code */
export async function runOriginal(
  argv: readonly string[],
  streams: Streams = process,
): Promise<number> {
  /** With a blank in front; "" until it is known. */
  let target = "";
  const options = readOptions(argv, streams);
  if (options === undefined) return EXIT_USAGE;
  try {
    const offline = OFFLINE_ACTIONS.find(([name]) => isGiven(options, name));
    const proxy = options.values.get("proxy");
    target = offline ? " store" : proxy === undefined ? " dashboard" : " proxy";
    const text =
      offline !== undefined
        ? await offline[1](options)
        : proxy === undefined
          ? await runOnDashboard(addressOfDashboard(requiredText(options, "dashboard")), options)
          : await runOnProxy(proxy, options);
    streams.stdout.write(text);
    return EXIT_DONE;
  } catch (error) {
    if (!(error instanceof CodisError)) throw error;
    const panic =
      error.cause === undefined
        ? errorText(error)
        : `${error.message}\n[error]: ${errorText(error.cause)}`;
    streams.stderr.write(`${timestamp()} codis admin${target}: [PANIC] ${panic}\n`);
    return EXIT_FAILED;
  }
}

/** @returns undefined when they are none of the original's, which was said */
function readOptions(argv: readonly string[], streams: Streams): ParsedOptions | undefined {
  try {
    return parseOptions(ORIGINAL_NAMES, argv);
  } catch (error) {
    if (!(error instanceof CodisError)) throw error;
    const help = "codis admin --help shows the verbs and an example of the original's flags";
    streams.stderr.write(`codis admin: ${error.message}\n(${help})\n`);
    return undefined;
  }
}

function timestamp(): string {
  return new Date().toISOString().slice(0, 19).replace("T", " ").replaceAll("-", "/");
}

// -- proxy ---------------------------------------------------------------------------------------

async function runOnProxy(address: string, options: ParsedOptions): Promise<string> {
  const api = new AdminApi(address, "proxy");
  const isAction = PROXY_ACTIONS.find(([name]) => isGiven(options, name));
  if (isAction === undefined) {
    return showPart(await api.get("overview", "/proxy"), options.words, PROXY_PARTS);
  }
  const model = (await api.get("model", "/api/proxy/model")) as {
    product_name: string;
    token: string;
  };
  const auth = options.values.get("auth") ?? productAuthOfEnvironment();
  const key = proxyXauth(model.product_name, auth, model.token);
  await api.get("xping", `/api/proxy/xping/${key}`);
  await isAction[1](api, key, options);
  return "";
}

type ProxyAction = (api: AdminApi, key: string, options: ParsedOptions) => Promise<void>;

const PROXY_PARTS = ["config", "model", "stats", "slots"];

const PROXY_ACTIONS: readonly (readonly [string, ProxyAction])[] = [
  ["start", (api, key) => api.put("start", `/api/proxy/start/${key}`)],
  ["shutdown", (api, key) => api.put("shutdown", `/api/proxy/shutdown/${key}`)],
  [
    "log-level",
    (api, key, options) => api.put("loglevel", `/api/proxy/loglevel/${key}/${logLevel(options)}`),
  ],
  ["reset-stats", (api, key) => api.put("resetstats", `/api/proxy/stats/reset/${key}`)],
  ["forcegc", (api, key) => api.put("forcegc", `/api/proxy/forcegc/${key}`)],
  [
    "fillslots",
    (api, key, options) => api.put("fillslots", `/api/proxy/fillslots/${key}`, readSlots(options)),
  ],
];

function readSlots(options: ParsedOptions): Slot[] {
  const path = requiredText(options, "fillslots");
  let slots: unknown;
  try {
    slots = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new CodisError("usage", `load slots from file ${path} failed`, error);
  }
  if (!Array.isArray(slots)) throw new CodisError("usage", `${path} must hold an array of slots`);
  for (const slot of slots as (Slot | null)[]) {
    const id = slot?.id ?? NaN;
    const isValid = Number.isInteger(id) && id >= 0 && id < SLOT_COUNT;
    if (!isValid) throw new CodisError("usage", `invalid slot id = ${slot?.id}`);
  }
  const isLocked = options.switches.has("locked");
  return (slots as Slot[]).map((slot) => (isLocked ? { ...slot, locked: true } : slot));
}

// -- dashboard -----------------------------------------------------------------------------------

/** A dashboard with its key; every path below is relative to `/api/topom`, the key put in for X. */
interface Topom {
  readonly address: string;
  readonly key: string;
  get(name: string, path: string): Promise<unknown>;
  put(name: string, path: string, body?: unknown): Promise<unknown>;
}

async function openTopom(address: string): Promise<Topom> {
  const api = new AdminApi(address, "dashboard");
  const model = (await api.get("model", "/api/topom/model")) as { product_name: string };
  const { key, isAuthWrong } = await acceptedKey(api, model.product_name);
  const full = (path: string): string => `/api/topom/${path.replace("X", key)}`;
  return {
    address,
    key,
    get: (name, path) => api.get(name, path.startsWith("/") ? path : full(path)),
    put: async (name, path, body) => {
      try {
        return await api.request(name, "PUT", full(path), body);
      } catch (error) {
        const isDenied = error instanceof CodisError && error.code === "denied";
        if (!isDenied || !isAuthWrong) throw error;
        throw new CodisError("denied", error.message, wrongAuth(address));
      }
    },
  };
}

/** The password's key if there is a password and the dashboard knows it, else the original's. */
async function acceptedKey(
  api: AdminApi,
  productName: string,
): Promise<{ key: string; isAuthWrong: boolean }> {
  const xping = (key: string): Promise<unknown> => api.get("xping", `/api/topom/xping/${key}`);
  const productAuth = productAuthOfEnvironment();
  if (productAuth !== "") {
    const key = topomSecretXauth(productName, productAuth);
    if (await takesKey(() => xping(key))) return { key, isAuthWrong: false };
  }
  const key = topomXauth(productName);
  await xping(key);
  return { key, isAuthWrong: productAuth !== "" };
}

async function runOnDashboard(address: string, options: ParsedOptions): Promise<string> {
  const row = ACTIONS.find(([name]) => isGiven(options, name));
  if (row === undefined) {
    const topom = await openTopom(address);
    return showPart(await topom.get("overview", "/topom"), options.words, DASHBOARD_PARTS);
  }
  return row[1](address, options);
}

const DASHBOARD_PARTS = ["config", "model", "stats", "slots", "group", "proxy"];

/** The rows check their arguments before the first request, so that a mistake sends nothing. */
type Action = (address: string, options: ParsedOptions) => Promise<string>;

const ACTIONS: readonly (readonly [string, Action])[] = [
  ["list-group", (address) => showOverview(address, ["group", "models"])],
  ["list-proxy", (address) => showOverview(address, ["proxy", "models"])],
  [
    "slots-status",
    async (address) => shown(await (await openTopom(address)).get("slots", "slots/X")),
  ],
  ["slots-assign", assignSlots],
  ["create-proxy", (address, o) => putAddr(address, "create-proxy", "proxy/create/X", o)],
  ["online-proxy", (address, o) => putAddr(address, "online-proxy", "proxy/online/X", o)],
  ["remove-proxy", removeProxy],
  ["reinit-proxy", reinitProxy],
  ["proxy-status", (address) => showStatus(address, proxyStatusLines)],
  ["create-group", (address, o) => putGid(address, "create-group", "group/create/X", o)],
  ["remove-group", (address, o) => putGid(address, "remove-group", "group/remove/X", o)],
  ["resync-group", resyncGroup],
  ["group-add", addServer],
  ["group-del", (address, o) => putServer(address, "group-del-server", "group/del/X", o)],
  ["replica-groups", setReplicaGroups],
  ["promote-server", promoteServer],
  ["group-status", (address) => showStatus(address, groupStatusLines)],
  ["sync-action", syncAction],
  ["slot-action", slotAction],
  ["rebalance", rebalance],
  ["sentinel-add", (address, o) => putAddr(address, "add-sentinel", "sentinels/add/X", o)],
  ["sentinel-del", removeSentinel],
  ["sentinel-resync", (address) => put(address, "resync-sentinels", "sentinels/resync-all/X")],
  ["reload", (address) => put(address, "reload", "reload/X")],
  ["log-level", (address, o) => put(address, "loglevel", `loglevel/X/${logLevel(o)}`)],
  ["shutdown", (address) => put(address, "shutdown", "shutdown/X")],
];

async function put(address: string, name: string, path: string, body?: unknown): Promise<string> {
  await (await openTopom(address)).put(name, path, body);
  return "";
}

function putAddr(address: string, name: string, path: string, o: ParsedOptions): Promise<string> {
  return put(address, name, `${path}/${segment(requiredText(o, "addr"))}`);
}

function putGid(address: string, name: string, path: string, o: ParsedOptions): Promise<string> {
  return put(address, name, `${path}/${requiredInteger(o, "gid")}`);
}

function putServer(address: string, name: string, path: string, o: ParsedOptions): Promise<string> {
  return putAddr(address, name, `${path}/${requiredInteger(o, "gid")}`, o);
}

function addServer(address: string, o: ParsedOptions): Promise<string> {
  const server = `${requiredInteger(o, "gid")}/${segment(requiredText(o, "addr"))}`;
  const datacenter = o.values.get("datacenter");
  const tail = datacenter === undefined ? "" : `/${segment(datacenter)}`;
  return put(address, "group-add-server", `group/add/X/${server}${tail}`);
}

function setReplicaGroups(address: string, o: ParsedOptions): Promise<string> {
  const server = `${requiredInteger(o, "gid")}/${segment(requiredText(o, "addr"))}`;
  const value = oneOf(o, ["enable", "disable"]) === "enable" ? 1 : 0;
  return put(address, "replica-groups", `group/replica-groups/X/${server}/${value}`);
}

async function promoteServer(address: string, o: ParsedOptions): Promise<string> {
  const server = `${requiredInteger(o, "gid")}/${segment(requiredText(o, "addr"))}`;
  const topom = await openTopom(address);
  await topom.put("promote-server", `group/promote/X/${server}`);
  return groupStatusLines((await topom.get("stats", "stats/X")) as StatusInput);
}

async function resyncGroup(address: string, o: ParsedOptions): Promise<string> {
  if (!o.switches.has("all")) return putGid(address, "resync-group", "group/resync/X", o);
  const topom = await openTopom(address);
  const stats = (await topom.get("stats", "stats/X")) as StatusInput;
  for (const { id } of stats.group.models) {
    await topom.put("resync-group", `group/resync/X/${id}`);
  }
  return "";
}

function syncAction(address: string, o: ParsedOptions): Promise<string> {
  const verb = oneOf(o, ["create", "remove"]);
  return putAddr(address, `sync-action-${verb}`, `group/action/${verb}/X`, o);
}

function slotAction(address: string, o: ParsedOptions): Promise<string> {
  const int = (name: string): number => requiredInteger(o, name);
  const send = (name: string, path: string): Promise<string> =>
    put(address, `slot-action-${name}`, `slots/action/${path}`);
  if (o.values.has("interval")) return send("interval", `interval/X/${int("interval")}`);
  if (o.values.has("disabled")) {
    return send("disabled", `disabled/X/${int("disabled") === 0 ? 0 : 1}`);
  }
  switch (oneOf(o, ["create-some", "create-range", "create", "remove"])) {
    case "create":
      return send("create", `create/X/${int("sid")}/${int("gid")}`);
    case "remove":
      return send("remove", `remove/X/${int("sid")}`);
    case "create-some":
      return send(
        "create-some",
        `create-some/X/${int("gid-from")}/${int("gid-to")}/${int("num-slots")}`,
      );
    default:
      return send("create-range", `create-range/X/${int("beg")}/${int("end")}/${int("gid")}`);
  }
}

async function assignSlots(address: string, o: ParsedOptions): Promise<string> {
  const begin = requiredInteger(o, "beg");
  const end = requiredInteger(o, "end");
  const isOffline = o.switches.has("offline");
  const groupId = isOffline ? 0 : requiredInteger(o, "gid");
  const mappings: Mapping[] = [];
  for (let id = begin; id <= end; id++) mappings.push({ ...offlineMapping(id), group_id: groupId });
  const topom = await openTopom(address);
  const body = MAPPINGS.write(mappings);
  if (!o.switches.has("confirm")) return shown(body);
  await topom.put("slots-assign", `slots/assign/X${isOffline ? "/offline" : ""}`, body);
  return "";
}

async function rebalance(address: string, o: ParsedOptions): Promise<string> {
  const topom = await openTopom(address);
  const isConfirmed = o.switches.has("confirm");
  const plan = await topom.put("rebalance", `slots/rebalance/X/${isConfirmed ? 1 : 0}`);
  const lines = planLines(plan as Readonly<Record<string, number>>);
  return lines === "" ? "nothing changes\n" : `${lines}done\n`;
}

function removeSentinel(address: string, o: ParsedOptions): Promise<string> {
  const force = o.switches.has("force") ? 1 : 0;
  const sentinel = segment(requiredText(o, "addr"));
  return put(address, "del-sentinel", `sentinels/del/X/${sentinel}/${force}`);
}

async function removeProxy(address: string, o: ParsedOptions): Promise<string> {
  const topom = await openTopom(address);
  const force = o.switches.has("force") ? 1 : 0;
  for (const { token } of await chosenProxies(topom, o)) {
    await topom.put("remove-proxy", `proxy/remove/X/${token}/${force}`);
  }
  return "";
}

async function reinitProxy(address: string, o: ParsedOptions): Promise<string> {
  const topom = await openTopom(address);
  if (!o.switches.has("all")) {
    for (const { token } of await chosenProxies(topom, o)) {
      await topom.put("reinit-proxy", `proxy/reinit/X/${token}`);
    }
    return "";
  }
  const stats = (await topom.get("stats", "stats/X")) as StatusInput;
  let text = "";
  for (const model of stats.proxy.models) {
    text += `reinit proxy: ${shown(model)}`;
    await topom.put("reinit-proxy", `proxy/reinit/X/${model.token}`);
  }
  return text;
}

/** The proxies that --token, --pid or --addr names. --token needs no look-up. */
async function chosenProxies(topom: Topom, o: ParsedOptions): Promise<{ token: string }[]> {
  const token = o.values.get("token");
  if (token !== undefined) return [{ token: segment(token) }];
  const name = o.values.has("pid") ? "pid" : "addr";
  const wanted = name === "pid" ? requiredInteger(o, "pid") : requiredText(o, "addr");
  // The original connects anew for the look-up; stand-ins that replay its requests expect that.
  const again = await openTopom(topom.address);
  const stats = (await again.get("stats", "stats/X")) as StatusInput;
  const matches = stats.proxy.models.filter((model) => {
    return name === "pid" ? (model.id ?? 0) === wanted : model.admin_addr === wanted;
  });
  if (matches.length > 0 || o.switches.has("force")) return matches;
  const what = name === "pid" ? "id" : "addr";
  throw new CodisError("missing", `can't find specific proxy with ${what} = ${wanted}`);
}

async function showOverview(address: string, path: readonly string[]): Promise<string> {
  const overview = await (await openTopom(address)).get("overview", "/topom");
  return shown(member(overview, ["stats", ...path]));
}

async function showStatus(address: string, lines: (s: StatusInput) => string): Promise<string> {
  return lines((await (await openTopom(address)).get("stats", "stats/X")) as StatusInput);
}

// -- shared --------------------------------------------------------------------------------------

function isGiven(options: ParsedOptions, name: string): boolean {
  return options.switches.has(name) || options.values.has(name);
}

function oneOf(options: ParsedOptions, names: readonly string[]): string {
  const given = names.find((name) => options.switches.has(name));
  if (given !== undefined) return given;
  throw new CodisError("usage", `one of --${names.join(", --")} is required`);
}

/**
 * An overview or the part of it that a word names: slots, group and proxy lie in the statistics.
 */
function showPart(overview: unknown, words: readonly string[], parts: readonly string[]): string {
  const [word, ...more] = words;
  if (word === undefined) return shown(overview);
  if (!parts.includes(word) || more.length > 0) {
    throw new CodisError(
      "usage",
      `Cannot show '${words.join(" ")}': it must be ${parts.join(", ")}`,
    );
  }
  const isInStats =
    ["group", "proxy"].includes(word) || (word === "slots" && parts.includes("group"));
  return shown(member(overview, isInStats ? ["stats", word] : [word]));
}

function member(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, name) => (inner as Record<string, unknown>)?.[name], value);
}

function shown(value: unknown): string {
  return `${encodeJson(value)}\n`;
}

function segment(text: string): string {
  return encodeURIComponent(text).replaceAll("%3A", ":");
}

function logLevel(options: ParsedOptions): string {
  const text = requiredText(options, "log-level");
  const level = parseLogLevel(text);
  if (level !== undefined) return level;
  throw new CodisError("usage", `option --log-level = ${text}`);
}
