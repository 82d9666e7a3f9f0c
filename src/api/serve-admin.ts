/**
 * The adapter that serves an admin API: the only place that knows that upstream's error status 800
 * can be sent by Bun's node:http and by no `Response` of `Bun.serve`.
 *
 *   socket ──> node:http ──> handler ──> rest of the body dropped ──> status line ...
 *                              └── asks for the body, bounded in bytes and time
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { formatAddress, isWildcard, listenFailure, parseAddress } from "../base/address.ts";
import { CodisError } from "../base/errors.ts";
import { type AdminRequest, type AdminResponse, STATUS_CAUSE } from "./http.ts";
import { BODIES_BYTES_MAX, BodyBudget, RequestBody } from "./request-body.ts";

export interface AdminLimits {
  /**
   * Connections at once that have sent something; a further one is closed. Bun tells of a
   * connection at its first byte, so a silent one is not counted; it ends after `requestTimeoutMs`.
   */
  readonly connectionsMax: number;
  /** A request must have come whole within this, else 408. */
  readonly requestTimeoutMs: number;
  /** A connection without a request is kept this long. */
  readonly keepAliveMs: number;
  /** What the bodies of all requests that are being answered may take together. */
  readonly bodiesBytesMax: number;
  /** What is not answered this long after close is cut. */
  readonly closeGraceMs: number;
}

const LIMITS: AdminLimits = {
  connectionsMax: 1024,
  requestTimeoutMs: 60_000,
  keepAliveMs: 120_000,
  bodiesBytesMax: BODIES_BYTES_MAX,
  closeGraceMs: 1000,
};

/** How often the timeouts of all connections are looked at. */
const CHECK_PERIOD_MS = 1000;

export interface AdminServer {
  /**
   * The listener's own report, `127.0.0.1:11080`; a wildcard is `[::]:port`, as upstream prints it.
   */
  readonly address: string;
  /** Refuses new connections; those that are open go on, each until its next answer. */
  stopAccepting(): void;
  /** Stops accepting and resolves when every connection has ended, within the grace. Idempotent. */
  close(): Promise<void>;
}

/**
 * Binds `addr` exclusively and answers with `handle`.
 * @param addr `host:port`; port 0 takes any
 * @param changes limits other than the usual ones
 * @throws CodisError "usage" for a malformed address, "unavailable" when it cannot be bound
 */
export async function serveAdmin(
  addr: string,
  handle: (request: AdminRequest) => Promise<AdminResponse>,
  changes: Partial<AdminLimits> = {},
): Promise<AdminServer> {
  const { host, port } = parseAddress(addr);
  const limits = { ...LIMITS, ...changes };
  const server = createServer({
    requestTimeout: limits.requestTimeoutMs,
    headersTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: Math.min(CHECK_PERIOD_MS, limits.requestTimeoutMs),
  });
  const bodies = new BodyBudget(limits.bodiesBytesMax);
  const connections = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    if (connections.size >= limits.connectionsMax) {
      socket.destroy();
      return;
    }
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
  });
  server.on("request", (message, response) => {
    // A rejection is a bug of ours: unhandled on purpose, so that `cmd/` prints it and ends.
    const body = new RequestBody(message, bodies);
    void serveRequest(message, response, body, handle, () => !server.listening);
  });
  const address = await listen(server, host, port, addr);
  const closed = Promise.withResolvers<void>();
  let grace: NodeJS.Timeout | undefined;
  const stopAccepting = (): void => {
    if (!server.listening) return;
    server.close(() => {
      clearTimeout(grace);
      closed.resolve();
    });
  };
  const close = (): Promise<void> => {
    stopAccepting();
    server.closeIdleConnections();
    grace ??= setTimeout(() => server.closeAllConnections(), limits.closeGraceMs);
    return closed.promise;
  };
  return { address, stopAccepting, close };
}

async function serveRequest(
  message: IncomingMessage,
  response: ServerResponse,
  body: RequestBody,
  handle: (request: AdminRequest) => Promise<AdminResponse>,
  isClosing: () => boolean,
): Promise<void> {
  // The peer may go away at any time; there is nobody left to tell.
  message.on("error", ignore);
  response.on("error", ignore);
  const answer = await handle({
    method: message.method ?? "",
    target: message.url ?? "/",
    headers: message.headers as Record<string, string | undefined>,
    readBody: () => body.read(),
    remoteIp: message.socket.remoteAddress ?? "",
    localIp: message.socket.localAddress ?? "",
  });
  body.release();
  const end = await body.drop();
  if (end !== "cut") send(response, answer, end === "too long" || isClosing());
}

function ignore(): void {}

function send(response: ServerResponse, answer: AdminResponse, last: boolean): void {
  const headers = last ? { ...answer.headers, Connection: "close" } : { ...answer.headers };
  if (answer.status === STATUS_CAUSE) {
    response.writeHead(answer.status, `status code ${answer.status}`, headers);
  } else {
    response.writeHead(answer.status, headers);
  }
  response.end(answer.body);
}

async function listen(server: Server, host: string, port: number, addr: string): Promise<string> {
  // Upstream's family is always `tcp`: a wildcard means both families where the machine has both.
  const hosts = isWildcard(host) ? ["::", "0.0.0.0"] : [host];
  for (const [i, candidate] of hosts.entries()) {
    try {
      return await listenOn(server, candidate, port);
    } catch (error) {
      const noSuchFamily = (error as NodeJS.ErrnoException).code === "EAFNOSUPPORT";
      if (noSuchFamily && i + 1 < hosts.length) continue;
      throw new CodisError(
        "unavailable",
        `Cannot listen on the admin address ${addr}`,
        reasonOf(error),
      );
    }
  }
  throw new CodisError("unavailable", `Cannot listen on the admin address ${addr}`);
}

/** Bun's text for a taken port is a question. */
function reasonOf(error: unknown): unknown {
  const known = listenFailure(error);
  return known === undefined ? error : new Error(known);
}

function listenOn(server: Server, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, exclusive: true }, () => {
      server.off("error", reject);
      const bound = server.address() as AddressInfo;
      resolve(formatAddress(isWildcard(host) ? host : bound.address, bound.port));
    });
  });
}
