/**
 * Pure: where everything of `codis up` lies and listens, from four numbers.
 *
 *   DIR/up.json              what was asked for and where it listens; read again by the next start
 *   DIR/up.lock              held while an `up` runs on this directory
 *   DIR/coordinator/         the cluster's model (filesystem coordinator)
 *   DIR/config/NAME.toml     one per process, written at every start
 *   DIR/server-N/            the data of server N (append-only file)
 *   DIR/log/NAME.log         one per process
 *
 * Ports follow from the first proxy's: proxies `port + i`, their admin ports `port + 100 + i`, the
 * dashboard `port + 200`, servers `port + 1000 + i`. All on loopback.
 */

import { CodisError } from "../../src/base/errors.ts";
import { SLOT_COUNT } from "../../src/slots/hash.ts";
import { shownValue } from "../flags.ts";

const HOST = "127.0.0.1";
/** So that the blocks of ports of proxies and their admin ports cannot meet. */
const PROXIES_MAX = 100;
/** A server without a slot would be of no use. */
const SERVERS_MAX = SLOT_COUNT;
const ADMIN_OFFSET = 100;
const DASHBOARD_OFFSET = 200;
const SERVER_OFFSET = 1000;
const PORT_MAX = 65_535;

/** Greatest values; the least are 1. */
const SHAPE_BOUNDS = [
  ["servers", SERVERS_MAX],
  ["proxies", PROXIES_MAX],
  ["port", PORT_MAX],
] as const;

/** What the user asked for. */
export interface UpShape {
  readonly servers: number;
  readonly proxies: number;
  readonly port: number;
}

export interface UpProcess {
  /** Unique: `server-1`, `dashboard`, `proxy-1`. Also the name of its config and log file. */
  readonly name: string;
  readonly role: "server" | "dashboard" | "proxy";
  /** Every address it listens on. */
  readonly addresses: readonly string[];
  readonly config: string;
}

export const PRODUCT_NAME = "codis-up";

/**
 * What the flags say, as they were written.
 * @throws CodisError "usage" naming the value and the bounds
 */
export function readShapeFlags(
  flags: {
    readonly [Key in keyof UpShape]?: string;
  },
): Partial<UpShape> {
  const wanted: { -readonly [Key in keyof UpShape]?: number } = {};
  for (const [key, max] of SHAPE_BOUNDS) {
    const text = flags[key];
    if (text === undefined) continue;
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (!isCount(value, max)) throw badCount(key, text, max);
    wanted[key] = value;
  }
  return wanted;
}

/** Throws CodisError "usage" that names the value, the rule and the next step. */
export function checkShape(shape: UpShape): void {
  for (const [key, max] of SHAPE_BOUNDS) {
    if (!isCount(shape[key], max)) throw badCount(key, String(shape[key]), max);
  }
  const highest = serverPort(shape, shape.servers);
  if (highest > PORT_MAX) {
    throw new CodisError(
      "usage",
      `Cannot use --port ${shape.port}: the last server would listen on ${highest}, a port must be 1..${PORT_MAX}; choose a lower --port`,
    );
  }
}

function isCount(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= max;
}

function badCount(key: string, text: string, max: number): CodisError {
  const rule = `it must be 1..${max}`;
  return new CodisError("usage", `Cannot use --${key} ${shownValue(text)}: ${rule}`);
}

/**
 * What to run when a directory made with `before` is started with `wanted`: larger counts add.
 * Throws CodisError "usage" for a smaller count or another port: both would lose data or addresses.
 */
export function growShape(before: UpShape, wanted: Partial<UpShape>): UpShape {
  const shape = { ...before, ...wanted };
  for (const key of ["servers", "proxies"] as const) {
    if (shape[key] >= before[key]) continue;
    const loss =
      key === "servers" ? "fewer would leave their slots unserved" : "clients may use each of them";
    throw new CodisError(
      "usage",
      `Cannot use --${key} ${shape[key]}: this directory has ${before[key]}, and ${loss}; start with --${key} ${before[key]} or more`,
    );
  }
  if (shape.port !== before.port) {
    throw new CodisError(
      "usage",
      `Cannot use --port ${shape.port}: this directory was made with ${before.port}, and its cluster knows its servers by their ports; start with --port ${before.port} or another --dir`,
    );
  }
  return shape;
}

/** @param id 1.. */
export function serverAddress(shape: UpShape, id: number): string {
  return `${HOST}:${serverPort(shape, id)}`;
}

function serverPort(shape: UpShape, id: number): number {
  return shape.port + SERVER_OFFSET + id - 1;
}

/** @param id 1.. */
export function proxyAddress(shape: UpShape, id: number): string {
  return `${HOST}:${shape.port + id - 1}`;
}

/** @param id 1.. */
export function proxyAdminAddress(shape: UpShape, id: number): string {
  return `${HOST}:${shape.port + ADMIN_OFFSET + id - 1}`;
}

export function dashboardAddress(shape: UpShape): string {
  return `${HOST}:${shape.port + DASHBOARD_OFFSET}`;
}

/** Every process of the cluster, in the order in which they start. */
export function processesOf(shape: UpShape, directory: string): readonly UpProcess[] {
  return [
    ...oneTo(shape.servers).map((id) => serverProcess(shape, directory, id)),
    dashboardProcess(shape, directory),
    ...oneTo(shape.proxies).map((id) => proxyProcess(shape, id)),
  ];
}

/** The even split of all slots: group `id` owns `[begin, end)`. */
export function slotRange(groups: number, id: number): { begin: number; end: number } {
  const border = (index: number): number => Math.floor((SLOT_COUNT * index) / groups);
  return { begin: border(id - 1), end: border(id) };
}

export function oneTo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

function serverProcess(shape: UpShape, directory: string, id: number): UpProcess {
  const port = serverPort(shape, id);
  return {
    name: `server-${id}`,
    role: "server",
    addresses: [`${HOST}:${port}`],
    config: toml({
      bind: HOST,
      port,
      dir: `${directory}/server-${id}`,
      save: "",
      appendonly: true,
      appendfsync: "everysec",
    }),
  };
}

function dashboardProcess(shape: UpShape, directory: string): UpProcess {
  const address = dashboardAddress(shape);
  return {
    name: "dashboard",
    role: "dashboard",
    addresses: [address],
    config: toml({
      coordinator_name: "filesystem",
      coordinator_addr: `${directory}/coordinator`,
      product_name: PRODUCT_NAME,
      admin_addr: address,
    }),
  };
}

function proxyProcess(shape: UpShape, id: number): UpProcess {
  const address = proxyAddress(shape, id);
  const admin = proxyAdminAddress(shape, id);
  return {
    name: `proxy-${id}`,
    role: "proxy",
    addresses: [address, admin],
    config: toml({
      product_name: PRODUCT_NAME,
      proxy_addr: address,
      admin_addr: admin,
      proxy_max_clients: 20_000,
    }),
  };
}

function toml(values: Readonly<Record<string, string | number | boolean>>): string {
  const lines = Object.entries(values).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
  return `# Written by codis up at every start.\n${lines.join("\n")}\n`;
}
