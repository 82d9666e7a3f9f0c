/**
 * Listening sockets: a port is bound once, exclusively, and its descriptor is shared by any number
 * of threads, each of which accepts from it.
 *
 *   main: bindPort ──> share() ── a number, by postMessage ──> worker: listen(fd, accept)
 *                 └──> share() ──────────────────────────────> main:   listen(fd, accept)
 *
 * Every share is a descriptor of its own (`dup`), not inherited by child processes, closed by the
 * listener that uses it. `SO_REUSEPORT` is not used: it would let a second program take part of the
 * connections without an error.
 */

import { dlopen } from "bun:ffi";
import { formatAddress, listenFailure, parseAddress } from "../base/address.ts";
import { assert } from "../base/assert.ts";
import { CodisError } from "../base/errors.ts";
import { LIBC } from "../base/libc.ts";
import { Connection, type ConnectionOwner, socketHandlers } from "./connection.ts";
import { systemErrorText } from "./system-error.ts";

/** A bound port. Connections wait in the kernel's queue until someone listens on a share. */
export interface BoundPort {
  /** As asked for; port 0 replaced by the one that was free. */
  readonly host: string;
  readonly port: number;
  /** A descriptor to listen on, valid in every thread; whoever gets it must listen or close it. */
  share(): number;
  /** No more shares. The port is free once all listeners on shares stopped. */
  close(): void;
}

export interface Listener {
  /** Accepts no more. Connections that are open stay open. */
  stop(): void;
}

export interface ListenOptions {
  /** TCP keepalive after this much silence; absent or 0 means none. */
  readonly keepAliveMs?: number;
}

/** For a listener that exists only to hold a descriptor: it never gets to accept. */
const NO_ACCEPT = { data(): void {} };

/**
 * Binds a port, exclusively.
 * @param host "" binds every address, IPv6 too where there is IPv6; a name binds its first address
 * @param port 0 takes a free one
 * @throws CodisError "unavailable": `Cannot listen on 10.0.0.1:19000`, its cause says why
 */
export function bindPort(host: string, port: number): BoundPort {
  const listener = bind(host, port);
  let held = duplicate(listener.fd);
  const bound = { host, port: listener.port };
  // Stopped within the turn it was opened in: it had no chance to accept.
  listener.stop(true);
  return {
    ...bound,
    share: () => duplicate(held),
    close: () => {
      if (held >= 0) libc().close(held);
      held = -1;
    },
  };
}

/**
 * Accepts connections from a share of a bound port, in this thread.
 * @param accept called for each connection, before anything is read; returns its owner. It may
 *   already write and close.
 */
export function listen(
  fd: number,
  accept: (connection: Connection) => ConnectionOwner,
  options: ListenOptions = {},
): Listener {
  const keepAliveMs = options.keepAliveMs ?? 0;
  const listener = Bun.listen<Connection>({
    ...descriptor(fd),
    allowHalfOpen: true,
    socket: {
      ...socketHandlers,
      open(socket) {
        if (keepAliveMs > 0) socket.setKeepAlive(true, keepAliveMs);
        const connection = new Connection(socket);
        socket.data = connection;
        connection.setOwner(accept(connection));
      },
    },
  });
  return { stop: () => listener.stop() };
}

/**
 * @param address `host:port`
 * @throws CodisError "unavailable" as `bindPort` when somebody has it
 */
export function assertPortFree(address: string): void {
  const { host, port } = parseAddress(address);
  bindPort(host, port).close();
}

/** @throws CodisError, see `bindPort` */
function bind(host: string, port: number): Bun.TCPSocketListener {
  const hosts = host === "" ? ["::", "0.0.0.0"] : [host];
  let reason = "";
  for (const hostname of hosts) {
    try {
      return Bun.listen({ hostname, port, exclusive: true, socket: NO_ACCEPT });
    } catch (error) {
      reason = listenFailure(error) ?? systemErrorText(error);
      // Only a host without IPv6 is a reason to try the second.
      if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") break;
    }
  }
  throw new CodisError(
    "unavailable",
    `Cannot listen on ${formatAddress(host, port)}`,
    new Error(reason),
  );
}

/** Bun takes `{ fd }` for a listener; its types want a name and a port. */
function descriptor(fd: number): { hostname: string; port: number } {
  return { fd } as unknown as { hostname: string; port: number };
}

const F_DUPFD_CLOEXEC = 1030; // Linux

function duplicate(fd: number): number {
  assert(fd >= 0, "a port is shared while it is bound");
  const copy = libc().fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) throw new CodisError("limit", "Cannot duplicate a descriptor: too many are open");
  return copy;
}

type Libc = ReturnType<typeof openLibc>;
let opened: Libc | undefined;

/** Opened at first use: not every program listens. */
function libc(): Libc {
  opened ??= openLibc();
  return opened;
}

function openLibc() {
  return dlopen(LIBC, {
    fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
    close: { args: ["i32"], returns: "i32" },
  }).symbols;
}
