/**
 * The adapter that serves an admin API: the only place that knows that upstream's error status 800
 * can be sent by Bun's node:http and by no `Response` of `Bun.serve`.
 *
 *   socket ──> node:http ──> body, bounded in bytes and time ──> handler ──> status line, headers, body
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { formatAddress, isWildcard, parseAddress } from "../base/address.ts";
import { CodisError } from "../base/errors.ts";
import {
  ADMIN_BODY_BYTES_MAX,
  type AdminRequest,
  type AdminResponse,
  bodyTooLargeAnswer,
  STATUS_CAUSE,
} from "./http.ts";

/** Connections at once on one admin port; a further one is closed. */
export const ADMIN_CONNECTIONS_MAX = 1024;
/** A request's headers and body must have come within this. */
const REQUEST_TIMEOUT_MS = 60_000;
/** A connection without a request is kept this long. */
const KEEP_ALIVE_MS = 120_000;
/** What is not answered this long after close is cut. */
const CLOSE_GRACE_MS = 1000;

export interface AdminServer {
  /** The listener's own report, `127.0.0.1:11080`; a wildcard is `[::]:port`, as upstream prints it. */
  readonly address: string;
  /** Refuses new connections; those that are open go on, each until its next answer. */
  stopAccepting(): void;
  /** Stops accepting and resolves when every connection has ended, CLOSE_GRACE_MS at most. Idempotent. */
  close(): Promise<void>;
}

/**
 * Binds `addr` exclusively and answers with `handle`.
 * @param addr `host:port`; port 0 takes any
 * @throws CodisError "usage" for a malformed address, "unavailable" when it cannot be bound
 */
export async function serveAdmin(
  addr: string,
  handle: (request: AdminRequest) => Promise<AdminResponse>,
): Promise<AdminServer> {
  const { host, port } = parseAddress(addr);
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  const connections = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    if (connections.size >= ADMIN_CONNECTIONS_MAX) {
      socket.destroy();
      return;
    }
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
  });
  server.on("request", (message, response) => {
    // A rejection is a bug of ours: unhandled on purpose, so that `cmd/` prints it and ends.
    void serveRequest(message, response, handle, () => !server.listening);
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
    grace ??= setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
    return closed.promise;
  };
  return { address, stopAccepting, close };
}

async function serveRequest(
  message: IncomingMessage,
  response: ServerResponse,
  handle: (request: AdminRequest) => Promise<AdminResponse>,
  isClosing: () => boolean,
): Promise<void> {
  // The peer may go away at any time; there is nobody left to tell.
  message.on("error", ignore);
  response.on("error", ignore);
  const remoteIp = message.socket.remoteAddress ?? "";
  const localIp = message.socket.localAddress ?? "";
  const body = await readBody(message);
  if (body === "cut") return;
  if (body === "too large") {
    send(response, bodyTooLargeAnswer(), true);
    return;
  }
  const answer = await handle({
    method: message.method ?? "",
    target: message.url ?? "/",
    headers: message.headers as Record<string, string | undefined>,
    body,
    remoteIp,
    localIp,
  });
  send(response, answer, isClosing());
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

function readBody(message: IncomingMessage): Promise<Buffer | "too large" | "cut"> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const timer = setTimeout(() => message.destroy(), REQUEST_TIMEOUT_MS);
    const end = (result: Buffer | "too large" | "cut"): void => {
      clearTimeout(timer);
      resolve(result);
    };
    message.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= ADMIN_BODY_BYTES_MAX) chunks.push(chunk);
      else end("too large");
    });
    message.on("end", () => end(Buffer.concat(chunks)));
    message.on("close", () => end("cut"));
  });
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
      throw new CodisError("unavailable", `Cannot listen on the admin address ${addr}`, error);
    }
  }
  throw new CodisError("unavailable", `Cannot listen on the admin address ${addr}`);
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
