/**
 * `codis up`: a whole cluster on this host with nothing to configure. One process per role under a
 * supervisor, everything on loopback, all data under one directory; the first start makes groups,
 * assigns all slots and brings the proxies online, later starts find it all again.
 *
 *   flags + DIR/up.json ──> shape ──> lock, ports free? ──> children ──> model complete? ──> serve
 *
 * A proxy that was started again is put online again, also when it had ended because it was
 * removed: `up` keeps what it printed. Nothing is started and nothing written over before every
 * check has passed, and nothing is made where nothing was.
 */

import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { ADDRESS_TAKEN } from "../../src/base/address.ts";
import { CodisError, errorText } from "../../src/base/errors.ts";
import { writeFileAtomically } from "../../src/base/files.ts";
import { tryFlock } from "../../src/base/flock.ts";
import { assertPortFree } from "../../src/net/listener.ts";
import { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, newCommand, parse } from "../flags.ts";
import { completeModel, putOnline } from "./complete-model.ts";
import {
  checkShape,
  dashboardAddress,
  growShape,
  oneTo,
  processesOf,
  proxyAddress,
  readShapeFlags,
  serverAddress,
  type UpProcess,
  type UpShape,
} from "./layout.ts";
import { Child, STOP_TIMEOUT_MS, type SupervisorEvents } from "./supervisor.ts";

const LOCK_FILE = "up.lock";
const CHILDREN_LOCK = "children.lock";
/** flock(2) tells nobody that it would succeed now. */
const LOCK_POLL_MS = 20;
const DEFAULT_DIR = "./codis-data";
const DEFAULT_SHAPE: UpShape = { servers: 4, proxies: 1, port: 19_000 };

interface UpFlags {
  servers?: string;
  proxies?: string;
  port?: string;
  dir: string;
  json?: boolean;
}

/** @returns the exit code, after the cluster was stopped by SIGINT or SIGTERM */
export async function runUp(argv: readonly string[]): Promise<number> {
  const command = newCommand(
    "codis up",
    "A whole cluster on this host: servers, a dashboard and proxies, nothing to configure.",
    "codis up --servers 4 --dir ./codis-data     then: redis-cli -p 19000 set hello world",
  )
    .option("--servers <n>", "servers, one group each (default: 4)")
    .option("--proxies <n>", "proxies, on consecutive ports (default: 1)")
    .option("--port <port>", "the first proxy's port (default: 19000)")
    .option("--dir <dir>", "where all data lies", DEFAULT_DIR)
    .option("--json", "print the addresses as JSON");
  const usage = parse(command, argv);
  if (usage !== undefined) return usage;
  try {
    return await up(command.opts<UpFlags>());
  } catch (error) {
    if (!(error instanceof CodisError)) throw error;
    process.stderr.write(`codis up: ${errorText(error)}\n`);
    return error.code === "usage" ? EXIT_USAGE : EXIT_FAILED;
  }
}

async function up(flags: UpFlags): Promise<number> {
  const wanted = readShapeFlags(flags);
  const directory = dataDirectory(flags.dir);
  // A first start that will be refused makes nothing. Nobody holds a lock that is not there.
  if (!existsSync(join(directory, LOCK_FILE))) checkedPlan(directory, wanted);
  const lock = await writing(directory, () => openLock(directory));
  if (!tryFlock(lock)) {
    throw new CodisError(
      "conflict",
      `Cannot start on ${directory}: another codis up is running there; stop it or choose another --dir`,
    );
  }
  let childrenLock: number | undefined;
  try {
    childrenLock = await writing(directory, () => openSync(join(directory, CHILDREN_LOCK), "a"));
    await lockAfterChildren(directory, childrenLock);
    const { shape, processes } = checkedPlan(directory, wanted);
    await writing(directory, () => writeFiles(directory, shape, processes));
    return await serve(directory, shape, processes, childrenLock, flags.json === true);
  } finally {
    if (childrenLock !== undefined) closeSync(childrenLock);
    closeSync(lock);
  }
}

/**
 * Children hold this lock with us, as they inherit its descriptor. A kill -9 of `up` frees our own
 * lock at once, while its children still end: their ports are taken until this one falls too.
 */
async function lockAfterChildren(directory: string, lock: number): Promise<void> {
  const deadlineMs = performance.now() + STOP_TIMEOUT_MS;
  let hasSaid = false;
  while (!tryFlock(lock)) {
    if (performance.now() > deadlineMs) {
      throw new CodisError(
        "conflict",
        `Cannot start on ${directory}: processes of an earlier start still run there; end them, fuser ${join(directory, CHILDREN_LOCK)} names them`,
      );
    }
    if (!hasSaid) say("waiting for the processes of the last start to end");
    hasSaid = true;
    await Bun.sleep(LOCK_POLL_MS);
  }
}

/** What is to run. @throws CodisError for wrong numbers and for a taken port */
function checkedPlan(
  directory: string,
  wanted: Partial<UpShape>,
): { shape: UpShape; processes: readonly UpProcess[] } {
  const shape = chooseShape(directory, wanted);
  const processes = processesOf(shape, directory);
  for (const { addresses } of processes) addresses.forEach(checkPortFree);
  return { shape, processes };
}

/** Nothing would silently be the current directory: `--dir "$UNSET"`. */
function dataDirectory(dir: string): string {
  if (dir !== "") return resolve(dir);
  throw new CodisError(
    "usage",
    `Cannot use --dir '': it must name a directory; leave --dir out for ${DEFAULT_DIR}`,
  );
}

/** Held as long as this process lives; a crash gives it back by itself. @returns its descriptor */
function openLock(directory: string): number {
  mkdirSync(join(directory, "config"), { recursive: true });
  mkdirSync(join(directory, "log"), { recursive: true });
  return openSync(join(directory, LOCK_FILE), "a");
}

/** @throws CodisError "unavailable" for what node:fs throws in `work` */
async function writing<T>(directory: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new CodisError(
      "unavailable",
      `Cannot write to the data directory ${directory}; choose another --dir`,
      error,
    );
  }
}

function checkPortFree(address: string): void {
  try {
    assertPortFree(address);
  } catch (error) {
    const text = errorText(error);
    const elsewhere = "start elsewhere with --port and --dir";
    const step = text.endsWith(ADDRESS_TAKEN) ? `stop who has it, or ${elsewhere}` : elsewhere;
    throw new CodisError("unavailable", `${text}; ${step}`);
  }
}

function chooseShape(directory: string, wanted: Partial<UpShape>): UpShape {
  const before = readShape(join(directory, "up.json"));
  const shape = before === undefined ? { ...DEFAULT_SHAPE, ...wanted } : growShape(before, wanted);
  checkShape(shape);
  return shape;
}

function readShape(path: string): UpShape | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    // Whether a directory can be made there shows when it is made.
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code!)) return undefined;
    throw new CodisError("unavailable", `Cannot read ${path}`, error);
  }
  try {
    const { servers, proxies, port } = JSON.parse(text) as UpShape;
    const shape = { servers, proxies, port };
    checkShape(shape);
    return shape;
  } catch (error) {
    throw new CodisError(
      "unavailable",
      `Cannot use ${path}: it is damaged; put back the numbers of servers, proxies and the port it had`,
      error,
    );
  }
}

async function writeFiles(
  directory: string,
  shape: UpShape,
  processes: readonly UpProcess[],
): Promise<void> {
  for (const { name, role, config } of processes) {
    if (role === "server") mkdirSync(join(directory, name), { recursive: true });
    await writeFileAtomically(join(directory, "config", `${name}.toml`), config);
  }
  const addresses = addressesOf(shape, directory);
  const text = JSON.stringify({ ...shape, ...addresses }, null, 4);
  await writeFileAtomically(join(directory, "up.json"), `${text}\n`);
}

/** What users and `codis admin` read, in up.json and with --json. */
interface UpAddresses {
  readonly directory: string;
  readonly proxyAddresses: readonly string[];
  readonly serverAddresses: readonly string[];
  readonly dashboardAddress: string;
}

function addressesOf(shape: UpShape, directory: string): UpAddresses {
  return {
    directory,
    proxyAddresses: oneTo(shape.proxies).map((id) => proxyAddress(shape, id)),
    serverAddresses: oneTo(shape.servers).map((id) => serverAddress(shape, id)),
    dashboardAddress: dashboardAddress(shape),
  };
}

async function serve(
  directory: string,
  shape: UpShape,
  processes: readonly UpProcess[],
  childrenLock: number,
  isJson: boolean,
): Promise<number> {
  const stopAsked = nextStopSignal();
  let isUp = false;
  const events: SupervisorEvents = {
    onRestart: (what, backoffMs) => say(`${what}; starting it again in ${backoffMs} ms`),
    onServing: (name, pid) => {
      const { role, addresses } = processes.find((process) => process.name === name)!;
      // A proxy serves when it is online: at a start that is when the model is complete.
      if (role !== "proxy") sayServing(name, pid);
      else if (isUp) void bringBack(name, pid, addresses.at(-1)!, shape, stopAsked);
    },
  };
  const children = processes.map(({ name, role }) => {
    const argv = [role, "--config", join(directory, "config", `${name}.toml`)];
    const logFile = join(directory, "log", `${name}.log`);
    return new Child({ name, argv, logFile, lock: childrenLock }, events);
  });
  try {
    isUp = await Promise.race([
      startAll(children, processes, shape).then(() => true),
      stopAsked.then(() => false),
    ]);
    if (isUp) {
      process.stdout.write(isJson ? jsonText(directory, shape) : welcomeText(directory, shape));
      await stopAsked;
    }
  } finally {
    say("stopping");
    await stopAll(children, processes);
  }
  return EXIT_DONE;
}

/** Servers first: they load their data. Then the dashboard, which needs no proxy, then proxies. */
async function startAll(
  children: readonly Child[],
  processes: readonly UpProcess[],
  shape: UpShape,
): Promise<void> {
  for (const role of ["server", "dashboard", "proxy"] as const) {
    await Promise.all(ofRole(children, processes, role).map((child) => child.start()));
  }
  const idle = await completeModel(shape);
  for (const { name, pid } of ofRole(children, processes, "proxy")) sayServing(name, pid);
  if (idle.length > 0) say(idleText(idle, shape));
}

/** A proxy that was started again is put online, or it is said why not and what to do. */
async function bringBack(
  name: string,
  pid: number,
  adminAddr: string,
  shape: UpShape,
  stopAsked: Promise<void>,
): Promise<void> {
  const dashboard = dashboardAddress(shape);
  const wait = (ms: number): Promise<boolean> =>
    Promise.race([Bun.sleep(ms).then(() => true), stopAsked.then(() => false)]);
  try {
    await putOnline(dashboard, adminAddr, wait);
    sayServing(name, pid);
  } catch (error) {
    if (!(error instanceof CodisError)) throw error;
    const command = `${programName()} admin proxy online ${adminAddr} --dashboard ${dashboard}`;
    say(`${name} runs (pid ${pid}) but is not online: ${errorText(error)}; try ${command}`);
  }
}

function sayServing(name: string, pid: number): void {
  say(`${name} serves (pid ${pid})`);
}

/** What a start with more servers leaves to be done: the slots stay where they are. */
function idleText(groups: readonly number[], shape: UpShape): string {
  const [who, share] =
    groups.length === 1
      ? [`group ${groups[0]} has`, "its share"]
      : [`groups ${groups.join(", ")} have`, "their shares"];
  const command = `${programName()} admin rebalance --confirm --dashboard ${dashboardAddress(shape)}`;
  return `${who} no slots yet; this moves ${share} there: ${command}`;
}

/** Clients' side first, so that nothing is asked of a server that is already gone. */
async function stopAll(children: readonly Child[], processes: readonly UpProcess[]): Promise<void> {
  for (const role of ["proxy", "dashboard", "server"] as const) {
    await Promise.all(ofRole(children, processes, role).map((child) => child.close()));
  }
}

function ofRole(
  children: readonly Child[],
  processes: readonly UpProcess[],
  role: UpProcess["role"],
): readonly Child[] {
  return children.filter((_, index) => processes[index]!.role === role);
}

function nextStopSignal(): Promise<void> {
  return new Promise((stop) => {
    process.once("SIGINT", () => stop()).once("SIGTERM", () => stop());
  });
}

/** This program as a shell finds it from here, whether or not it is installed. */
function programName(): string {
  if (!Bun.isStandaloneExecutable) return "codis";
  if (Bun.which("codis") === process.execPath) return "codis";
  const here = relative(process.cwd(), process.execPath);
  if (here.startsWith("..")) return process.execPath;
  return here.includes("/") ? here : `./${here}`;
}

function jsonText(directory: string, shape: UpShape): string {
  return `${JSON.stringify(addressesOf(shape, directory))}\n`;
}

function welcomeText(directory: string, shape: UpShape): string {
  const {
    proxyAddresses,
    serverAddresses,
    dashboardAddress: dashboard,
  } = addressesOf(shape, directory);
  const listed = (addresses: readonly string[]): string =>
    addresses.length <= 4
      ? addresses.join("  ")
      : `${addresses[0]} ... ${addresses.at(-1)}  (${addresses.length})`;
  return [
    "",
    `  clients    ${listed(proxyAddresses)}`,
    `  dashboard  http://${dashboard}/topom`,
    `  servers    ${listed(serverAddresses)}`,
    `  data       ${directory}`,
    "",
    `  try        redis-cli -p ${shape.port} set hello world`,
    `  look       ${programName()} admin status --dashboard ${dashboard}`,
    "",
    "  Ctrl-C stops everything; the next start finds the same data.",
    "",
  ].join("\n");
}

/** What happens, for people: stderr, so that stdout holds only the addresses. */
function say(text: string): void {
  process.stderr.write(`codis up: ${text}\n`);
}
