/**
 * Connects to a server within a time limit. Bun has no limit of its own and no handle to an attempt
 * under way, so one that comes too late is let through and ended at once.
 */

import { formatAddress } from "../base/address.ts";
import { CodisError } from "../base/errors.ts";
import { Connection, type ConnectionOwner, socketHandlers } from "./connection.ts";
import { systemErrorText } from "./system-error.ts";

export interface DialOptions {
  /** From the call to an open connection, name lookup included. */
  readonly timeoutMs: number;
  /** TCP keepalive after this much silence; absent or 0 means none. */
  readonly keepAliveMs?: number;
}

/**
 * @param open called when connected, before anything is read; returns the connection's owner. Not
 *   called when the dial fails.
 * @throws CodisError "unavailable" or "timeout": `Cannot connect to 10.0.0.1:6379`, with the cause
 */
export async function dial(
  host: string,
  port: number,
  options: DialOptions,
  open: (connection: Connection) => ConnectionOwner,
): Promise<Connection> {
  const { timeoutMs, keepAliveMs = 0 } = options;
  let isLate = false;
  let connection: Connection | undefined;
  const connected = Bun.connect<Connection>({
    hostname: host,
    port,
    allowHalfOpen: true,
    socket: {
      ...socketHandlers,
      open(socket) {
        connection = new Connection(socket);
        socket.data = connection;
        if (isLate) {
          socket.terminate();
          return;
        }
        clearTimeout(timer);
        if (keepAliveMs > 0) socket.setKeepAlive(true, keepAliveMs);
        connection.setOwner(open(connection));
      },
    },
  });
  const timeout = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    isLate = true;
    timeout.reject(new CodisError("timeout", `no connection within ${timeoutMs} ms`));
  }, timeoutMs);
  try {
    await Promise.race([connected, timeout.promise]);
  } catch (error) {
    clearTimeout(timer);
    const code = isLate ? "timeout" : "unavailable";
    const cause = isLate ? error : new Error(systemErrorText(error));
    throw new CodisError(code, `Cannot connect to ${formatAddress(host, port)}`, cause);
  }
  return connection!;
}
