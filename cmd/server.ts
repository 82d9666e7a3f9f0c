/**
 * `codis server`: flags and TOML to config to role. Flags are named as redis-server's options.
 */

import type { Command } from "commander";
import { isLoopback } from "../src/base/address.ts";
import { checkConfig } from "../src/base/config.ts";
import { CodisError } from "../src/base/errors.ts";
import { parseSize } from "../src/base/size.ts";
import { changeConfig } from "../src/server/commands/config-command.ts";
import { SERVER_CONFIG, type ServerConfig } from "../src/server/config.ts";
import { checkDirectories } from "../src/server/data.ts";
import { startServer } from "../src/server/server.ts";
import { shownValue } from "./flags.ts";
import type { RoleSpec } from "./role.ts";
import { runRole } from "./run-roles.ts";

export const SERVER_ROLE: RoleSpec<typeof SERVER_CONFIG> = {
  name: "server",
  summary: "An in-memory Redis-compatible server with slots that can be moved.",
  example: "codis server --port 6379 --dir /var/lib/codis --appendonly yes",
  table: SERVER_CONFIG,
  options(command: Command): void {
    command
      .option("--bind <host>", "address to listen on")
      .option("--port <port>", "port to listen on; 0 takes a free one")
      .option("--dir <folder>", "where snapshots and the append-only file lie")
      .option("--save <points>", 'save after SECONDS with CHANGES: "3600 1 60 1000"; "" for never')
      .option("--appendonly <yes|no>", "keep an append-only file")
      .option("--maxmemory <size>", "make room or refuse writes above this: 4gb; 0 is no limit");
  },
  override(config, flags): ServerConfig {
    const changed: ServerConfig = { ...config, ...overrides(flags) };
    checkConfig(SERVER_CONFIG, changed);
    return changed;
  },
  checkHost: (config) => checkDirectories({ config }),
  async start({ config, log }) {
    const server = await startServer(config, log);
    const addr = `${config.bind}:${server.port}`;
    log.info("server is working ...", { addr, data: whereDataIs(config) });
    if (refusesOthers(config)) {
      log.warn(
        "clients of other hosts are refused: set requirepass, which is the product_auth of the " +
          "product, or protected-mode = false",
      );
    }
    return {
      addresses: { server: addr },
      done: server.done,
      change: (key, value) => changeConfig(server.state, key, value),
      refusalToClose: () => server.refusalToClose(),
      close: () => server.close(),
    };
  },
};

function whereDataIs(config: ServerConfig): string {
  if (config.appendonly) return `append-only file in ${config.dir}`;
  return config.save === "" ? "in memory only" : `snapshots in ${config.dir}/${config.dbfilename}`;
}

/** @returns the exit code, after the server has ended */
export function runServer(argv: readonly string[]): Promise<number> {
  return runRole(SERVER_ROLE, argv);
}

/** It listens to other hosts, and lets none of them in. */
function refusesOthers({
  bind,
  requirepass,
  "protected-mode": isProtected,
}: ServerConfig): boolean {
  const isLocal = isLoopback(bind) || bind === "localhost";
  return isProtected && requirepass === "" && !isLocal;
}

function overrides(flags: Readonly<Record<string, unknown>>): Partial<ServerConfig> {
  const { bind, port, dir, save, appendonly, maxmemory } = flags as Readonly<
    Record<string, string>
  >;
  return {
    ...(bind !== undefined && { bind }),
    ...(port !== undefined && { port: portOf(port) }),
    ...(dir !== undefined && { dir }),
    ...(save !== undefined && { save }),
    ...(appendonly !== undefined && { appendonly: yesOrNo("appendonly", appendonly) }),
    ...(maxmemory !== undefined && { maxmemory: sizeOf("maxmemory", maxmemory) }),
  };
}

function portOf(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new CodisError("usage", `Cannot use --port ${shownValue(text)}: a port is 0..65535`);
}

function sizeOf(name: string, text: string): number {
  try {
    return parseSize(text);
  } catch {
    throw new CodisError(
      "usage",
      `Cannot use --${name} ${shownValue(text)}: write bytes or a size such as 4gb`,
    );
  }
}

function yesOrNo(name: string, text: string): boolean {
  if (text === "yes" || text === "no") return text === "yes";
  throw new CodisError("usage", `Cannot use --${name} ${shownValue(text)}: it must be yes or no`);
}
