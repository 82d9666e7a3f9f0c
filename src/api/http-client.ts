/**
 * One call of an admin API over HTTP: JSON in, JSON out, a CodisError for everything else. A new
 * connection per call: calls are rare, and a kept one may be closed by the peer just as it is used.
 * Not `fetch`: it obeys HTTP_PROXY and has no limit of its own for connecting.
 * Error texts are those of upstream's client (Codis pkg/utils/rpc/api.go over Go's net/http).
 */

import { request as httpRequest, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { parseAddress } from "../base/address.ts";
import { CodisError, type ErrorCode, errorText } from "../base/errors.ts";
import { isChangeRefusal, STATUS_CAUSE } from "./http.ts";

/** Upstream's limits of one call: Codis pkg/utils/rpc/api.go. */
const CALL_TIMEOUT_MS = 60_000;
const DIAL_TIMEOUT_MS = 1000;
/** A longer answer is refused: the overview of a dashboard with many proxies is a few MiB. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

export interface Call {
  /** `host:port` */
  readonly addr: string;
  readonly method: "GET" | "PUT";
  /** With the xauth in it; shown in error texts with the xauth masked. */
  readonly path: string;
  /** The JSON text to send; none is sent when absent. */
  readonly body?: string;
  /** Whole call; CALL_TIMEOUT_MS when absent. */
  readonly timeoutMs?: number;
}

/**
 * @returns the parsed JSON of a 200 answer
 * @throws CodisError "unavailable" or "timeout" when there was no answer, "denied" for a wrong
 *   xauth or a change that needs a better one, "conflict" for what else the peer refused; both with
 *   `[Remote Error] <cause>`
 */
export async function callAdmin(call: Call): Promise<unknown> {
  const answer = await exchange(call);
  if (answer.status === 200) return parseJson(call, answer.body);
  if (answer.status !== STATUS_CAUSE) {
    const text = `[${answer.status}] ${answer.reason} - ${urlOf(call)}`;
    throw new CodisError("unavailable", text);
  }
  const parsed = parseJson(call, answer.body) as { Cause?: unknown } | null;
  const cause = String(parsed?.Cause ?? "");
  const isDenied = cause.startsWith("invalid xauth") || isChangeRefusal(cause);
  const code: ErrorCode = isDenied ? "denied" : "conflict";
  throw new CodisError(code, `[Remote Error] ${cause}`);
}

/** A part of a path, escaped: `/` cannot be sent in one. */
export function pathPart(value: string | number): string {
  return encodeURIComponent(String(value));
}

interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly body: Buffer;
}

function exchange(call: Call): Promise<Answer> {
  const { host, port } = parseAddress(call.addr);
  const timeoutMs = call.timeoutMs ?? CALL_TIMEOUT_MS;
  return new Promise((resolve, reject) => {
    let dialTimer: NodeJS.Timeout | undefined;
    const request = httpRequest({
      host: host === "" ? "127.0.0.1" : host,
      port,
      method: call.method,
      path: call.path,
      agent: false,
      headers: requestHeaders(call),
    });
    const wholeTimer = setTimeout(() => {
      fail(failure(call, "timeout", `no answer within ${timeoutMs} ms`));
    }, timeoutMs);
    const end = (): void => {
      clearTimeout(dialTimer);
      clearTimeout(wholeTimer);
    };
    const fail = (error: CodisError): void => {
      end();
      request.destroy();
      reject(error);
    };
    request.on("socket", (socket: Socket) => {
      if (!socket.connecting) return;
      dialTimer = setTimeout(() => {
        fail(failure(call, "timeout", `dial tcp ${call.addr}: i/o timeout`));
      }, DIAL_TIMEOUT_MS);
      socket.once("connect", () => clearTimeout(dialTimer));
    });
    request.on("error", (error) => fail(failure(call, "unavailable", reasonOf(call, error))));
    request.on("response", (message) => {
      readAnswer(message).then(
        (answer) => {
          end();
          resolve(answer);
        },
        (error: unknown) => fail(failure(call, "unavailable", errorText(error))),
      );
    });
    request.end(call.body);
  });
}

function requestHeaders(call: Call): Record<string, string> {
  const headers: Record<string, string> = { Connection: "close" };
  if (call.method === "PUT") headers["Content-Length"] = String(Buffer.byteLength(call.body ?? ""));
  if (call.body !== undefined) headers["Content-Type"] = "application/json; charset=utf-8";
  return headers;
}

function readAnswer(message: IncomingMessage): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    message.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > ANSWER_BYTES_MAX)
        reject(new Error(`answer longer than ${ANSWER_BYTES_MAX} bytes`));
      else chunks.push(chunk);
    });
    message.on("end", () => {
      const { statusCode = 0, statusMessage = "" } = message;
      resolve({ status: statusCode, reason: statusMessage, body: Buffer.concat(chunks) });
    });
    message.on("error", reject);
    message.on("close", () => reject(new Error("unexpected EOF")));
  });
}

function parseJson(call: Call, body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch (error) {
    throw failure(call, "unavailable", `the answer is not JSON, ${errorText(error)}`);
  }
}

function failure(call: Call, code: ErrorCode, reason: string): CodisError {
  const verb = call.method === "GET" ? "Get" : "Put";
  return new CodisError(code, `${verb} "${urlOf(call)}": ${reason}`);
}

/** The reason as Go words it, which upstream's users and scripts know. */
function reasonOf(call: Call, error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  switch (code) {
    case "ECONNREFUSED":
      return `dial tcp ${call.addr}: connect: connection refused`;
    case "EHOSTUNREACH":
      return `dial tcp ${call.addr}: connect: no route to host`;
    case "ENETUNREACH":
      return `dial tcp ${call.addr}: connect: network is unreachable`;
    case "ENOTFOUND":
      return `dial tcp: lookup ${parseAddress(call.addr).host}: no such host`;
    case "ECONNRESET":
      return "EOF";
    default:
      return error.message;
  }
}

function urlOf(call: Call): string {
  return `http://${call.addr}${call.path.replace(/\/[0-9a-f]{32}(?=\/|$)/, "/:xauth")}`;
}
