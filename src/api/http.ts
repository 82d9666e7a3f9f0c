/**
 * Pure: an admin API as a table of routes. A request and an answer are plain values, so every route
 * is tested without a port; serve-admin.ts puts them on the wire.
 *
 *   AdminRequest ──> clean path? ──> route? ──> xauth? ──> may change things? ──> handler ──> value
 *                     └─ 301         └─ 404      └─ 800     └─ 800                └─ 800     └─ 200
 *
 * All but the handler decide by the head alone: a body is read when a handler asks for it.
 *
 * What upstream's clients see is kept to the letter: 4-blank JSON, 404 as text, HEAD like GET, one
 * trailing slash accepted, gzip whenever the word is in Accept-Encoding, and status 800 for an
 * error. Source: Codis pkg/utils/rpc/api.go over martini.
 */

import { isIP } from "node:net";
import { posix } from "node:path";
import { isLoopback, unmapped } from "../base/address.ts";
import { CodisError, errorText } from "../base/errors.ts";
import { encodeJson } from "../model/encode.ts";

/**
 * Status of an error that carries its cause; upstream's clients read a cause only from this one.
 */
export const STATUS_CAUSE = 800;

const JSON_TYPE = "application/json; charset=utf-8";
const TEXT_TYPE = "text/plain; charset=utf-8";

export interface AdminRequest {
  readonly method: string;
  /** Path and query as sent: `/proxy?x=1`. */
  readonly target: string;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Takes the body from the caller, which costs memory: for routes that need it alone. */
  readBody(): Promise<Uint8Array>;
  readonly remoteIp: string;
  readonly localIp: string;
}

export interface AdminResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/** What a handler gets. */
export interface RouteContext {
  /** Decoded values of the `:name` parts, never empty. */
  readonly params: Readonly<Record<string, string>>;
  readonly request: AdminRequest;
}

interface RoutePattern {
  readonly method: "GET" | "PUT";
  /** `/api/proxy/stats/:xauth/:flags`; a route with `:xauth` is guarded by it. */
  readonly path: string;
}

/** `reply` gives the value of a 200 JSON answer; `answer` the whole answer, for other formats. */
export type Route = RoutePattern &
  (
    | { reply(context: RouteContext): unknown }
    | { answer(context: RouteContext): AdminResponse | Promise<AdminResponse> }
  );

/** Fields of a line of the log. */
export interface AdminChange {
  readonly method: string;
  readonly path: string;
  readonly peer: string;
  /** Whom a relay says that it speaks for; absent without a relay. */
  readonly forwarded_for?: string;
}

export interface AdminApi {
  readonly routes: readonly Route[];
  /** Where `GET /` leads. */
  readonly home: string;
  /** Throws CodisError when `xauth` is wrong, or nothing may be asked any more. */
  checkXauth(xauth: string): void;
  /** Accept every change from other machines, and from whatever page a browser has open. */
  readonly changesFromAnywhere: boolean;
  /** The names under which callers know this port, lower case; `localhost` is always one. */
  readonly ownNames: readonly string[];
  /** An xauth that only those have who know the password: its changes are accepted from anywhere. */
  isSecret?(xauth: string): boolean;
  /** Told of each accepted request that may change something; the xauth in `path` is masked. */
  onChange?(change: AdminChange): void;
  /** Told of each error answered with status 800, with its causes. */
  onError?(path: string, text: string): void;
}

interface CompiledRoute {
  readonly route: Route;
  readonly pattern: RegExp;
}

/**
 * Makes the function that answers every request of one admin port. It rejects only on our own bugs.
 */
export function createHandler(api: AdminApi): (request: AdminRequest) => Promise<AdminResponse> {
  const compiled = api.routes.map((route) => ({ route, pattern: compilePath(route.path) }));
  return async (request) => {
    const answer = await answerRequest(api, compiled, request);
    return finish(request, answer);
  };
}

async function answerRequest(
  api: AdminApi,
  compiled: readonly CompiledRoute[],
  request: AdminRequest,
): Promise<AdminResponse> {
  const query = request.target.indexOf("?");
  const rawPath = query < 0 ? request.target : request.target.slice(0, query);
  const path = decodePath(rawPath);
  if (path === undefined) return textAnswer(400, "400 Bad Request");
  const clean = cleanPath(path);
  if (clean !== path) {
    const location = encodeURI(clean) + (query < 0 ? "" : request.target.slice(query));
    return { status: 301, headers: { Location: location }, body: "" };
  }
  const isRead = request.method === "GET" || request.method === "HEAD";
  if (isRead && path === "/") {
    return { status: 302, headers: { "Content-Type": JSON_TYPE, Location: api.home }, body: "" };
  }
  const wantedMethod = request.method === "HEAD" ? "GET" : request.method;
  for (const { route, pattern } of compiled) {
    const match = route.method === wantedMethod ? pattern.exec(path) : null;
    if (match !== null) {
      return await callRoute(api, route, { params: { ...match.groups }, request }, isRead);
    }
  }
  return notFound();
}

async function callRoute(
  api: AdminApi,
  route: Route,
  context: RouteContext,
  isRead: boolean,
): Promise<AdminResponse> {
  const { xauth } = context.params;
  const shownPath = showPath(route, context.params);
  try {
    if (xauth !== undefined) api.checkXauth(xauth);
    if (!isRead) checkChange(api, xauth, context.request);
    if (!isRead) api.onChange?.(describeChange(context.request, shownPath));
    if ("answer" in route) return await route.answer(context);
    return jsonAnswer(200, await route.reply(context));
  } catch (error) {
    if (!(error instanceof CodisError)) throw error;
    api.onError?.(shownPath, errorText(error));
    return causeAnswer(error);
  }
}

/**
 * An xauth without a password can be computed by anybody who can reach the port, so its changes are
 * taken only from this machine: loopback, or a connection to itself by one of its other addresses.
 * @throws CodisError "denied"
 */
function checkChange(api: AdminApi, xauth: string | undefined, request: AdminRequest): void {
  if (api.changesFromAnywhere || (xauth !== undefined && api.isSecret?.(xauth))) return;
  const peer = unmapped(request.remoteIp);
  // Nobody knows where a connection came from that is gone already: both addresses are empty.
  if (peer === "" || !(isLoopback(peer) || peer === unmapped(request.localIp))) {
    throw changeRefused(`from ${peer || "an unknown address"}`, "");
  }
  checkPage(api, request);
}

/**
 * What this machine sends may come from a web page that a browser on it has open. Such a page calls
 * across sites, which Origin and Sec-Fetch-Site tell, or what it takes for its own site after it
 * had that site's name led here (DNS rebinding), which Host tells: no stranger can lead an IP, or
 * a name of ours, elsewhere. Other callers, the original's too, send as Host what they dial.
 *
 * The original's codis-fe hands on Host and Origin of its browser. So it can change things when it
 * runs here and is opened by an IP or one of our names; opened by another name it looks exactly
 * like a page that rebinds, and needs `changesFromAnywhere`.
 * @throws CodisError "denied"
 */
function checkPage({ ownNames }: AdminApi, { headers }: AdminRequest): void {
  const { host = "", origin, "sec-fetch-site": site } = headers;
  const name = hostName(host);
  const names = new Set(["localhost", ...ownNames]);
  if (name !== "" && isIP(name) === 0 && !names.has(name)) {
    const rule = `it must be an IP or one of ${[...names].join(", ")}: call it so, or `;
    throw changeRefused(`with Host ${host}`, rule);
  }
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) {
    const rule = `it must be the site of the Host it calls, ${host}: open the page there, or `;
    throw changeRefused(`with Origin ${origin}`, rule);
  }
  if (site !== undefined && site !== "same-origin" && site !== "none") {
    throw changeRefused(`with Sec-Fetch-Site ${site}`, "it must be same-origin or none: ");
  }
}

/** `[::1]:80` -> `::1`, `Dash-1:80` -> `dash-1` */
function hostName(host: string): string {
  const name = host.toLowerCase().replace(/:\d*$/, "");
  return name.startsWith("[") && name.endsWith("]") ? name.slice(1, -1) : name;
}

const ARE_REFUSED = "are refused without the product's password";

/** Whether an answer's cause is that the caller has not shown that it may change things. */
export function isChangeRefusal(cause: string): boolean {
  return cause.startsWith("changes ") && cause.includes(ARE_REFUSED);
}

/** @param rule what is wrong, up to what can be done in any case; "" when there is nothing to add */
function changeRefused(what: string, rule: string): CodisError {
  return new CodisError(
    "denied",
    `changes ${what} ${ARE_REFUSED}: ${rule}set product_auth here ` +
      "and give it to the caller (proxy: product_auth, codis admin: $CODIS_PRODUCT_AUTH), or set " +
      "allow_remote_unauthenticated = true here",
  );
}

/** The one place that turns an operational error into upstream's answer. */
function causeAnswer(error: CodisError): AdminResponse {
  return jsonAnswer(STATUS_CAUSE, { Cause: error.message, Stack: null });
}

export function jsonAnswer(status: number, value: unknown): AdminResponse {
  return { status, headers: { "Content-Type": JSON_TYPE }, body: encodeJson(value) };
}

export function textAnswer(status: number, body: string, contentType = TEXT_TYPE): AdminResponse {
  return { status, headers: { "Content-Type": contentType }, body };
}

function notFound(): AdminResponse {
  return {
    status: 404,
    headers: { "Content-Type": TEXT_TYPE, "X-Content-Type-Options": "nosniff" },
    body: "404 page not found\n",
  };
}

function finish(request: AdminRequest, answer: AdminResponse): AdminResponse {
  const headers: Record<string, string> = { ...answer.headers };
  let body = answer.body;
  // Upstream looks for the word alone, so `gzip;q=0` asks for it too.
  const wantsGzip = request.headers["accept-encoding"]?.includes("gzip") ?? false;
  if (wantsGzip && body.length > 0) {
    body = Bun.gzipSync(typeof body === "string" ? Buffer.from(body) : Buffer.from(body));
    headers["Content-Encoding"] = "gzip";
    headers.Vary = "Accept-Encoding";
  }
  headers["Content-Length"] = String(Buffer.byteLength(body));
  return { status: answer.status, headers, body: request.method === "HEAD" ? "" : body };
}

/** `:name` matches what martini matched: one or more characters other than `/`, `#`, `?`. */
function compilePath(path: string): RegExp {
  const source = path
    .replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
    .replace(/:(\w+)/g, (_, name: string) => `(?<${name}>[^/#?]+)`);
  return new RegExp(`^${source}/?$`);
}

function decodePath(raw: string): string | undefined {
  // A client that believes we are a proxy sends a whole URL; only its path is for us.
  const path = /^https?:\/\/[^/]*/i.test(raw) ? raw.replace(/^https?:\/\/[^/]*/i, "") || "/" : raw;
  if (!path.startsWith("/")) return undefined;
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

/** Double slashes and dots resolved, a final slash kept, as Go's ServeMux does. */
function cleanPath(path: string): string {
  const clean = posix.normalize(path);
  return clean === "." ? "/" : clean;
}

function showPath(route: Route, params: Readonly<Record<string, string>>): string {
  return route.path.replace(/:(\w+)/g, (_, name: string) =>
    name === "xauth" ? ":xauth" : params[name]!,
  );
}

function describeChange(request: AdminRequest, path: string): AdminChange {
  const { headers, method } = request;
  const forwarded = headers["x-real-ip"] ?? headers["x-forwarded-for"] ?? "";
  const change = { method, path, peer: unmapped(request.remoteIp) };
  return forwarded === "" ? change : { ...change, forwarded_for: forwarded };
}
