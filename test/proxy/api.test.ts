/** The routes over a proxy that is a record: every recorded exchange, and what only ours does. */

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { AdminRequest, AdminResponse } from "../../src/api/http.ts";
import { createHandler } from "../../src/api/http.ts";
import type { ProxyOverview, ProxyStats } from "../../src/api/proxy-stats.ts";
import { checkXauth } from "../../src/api/xauth.ts";
import { CodisError } from "../../src/base/errors.ts";
import type { Sentinel } from "../../src/model/sentinel.ts";
import type { Slot } from "../../src/model/slot.ts";
import { SLOTS } from "../../src/model/slot.ts";
import { type ProxyControl, proxyRoutes } from "../../src/proxy/api.ts";
import { assertRow, goldenPath, readGolden, rowsOf } from "../golden/load.ts";

const FILE = "proxy/http.json";
const { xauth } = readGolden<{ xauth: string }>(FILE);

/** A proxy that answers what the test puts into it, and remembers what it was told. */
class RecordedProxy implements ProxyControl {
  readonly model = readGolden<ProxyOverview>("proxy/overview.json").model;
  isOnline = false;
  isClosed = false;
  nextStats = readGolden<ProxyStats>("proxy/stats-before-start.json");
  filled: Slot[] = [];
  calls: unknown[] = [];

  describe(): ReturnType<ProxyControl["describe"]> {
    const { version, compile, config } = readGolden<ProxyOverview>("proxy/overview.json");
    return { version, compile, config };
  }
  async stats(flags: number): Promise<ProxyStats> {
    this.calls.push(["stats", flags]);
    return this.nextStats;
  }
  async slots(): Promise<Slot[]> {
    return this.filled;
  }
  async fillSlots(slots: readonly Slot[]): Promise<void> {
    this.filled = [...slots];
  }
  async start(): Promise<void> {
    this.isOnline = true;
  }
  async resetStats(): Promise<void> {
    this.calls.push("resetStats");
  }
  forceGc(): void {
    this.calls.push("forceGc");
  }
  async shutdown(): Promise<void> {
    this.isClosed = true;
  }
  setLogLevel(level: string): void {
    if (level !== "info") throw new CodisError("usage", "invalid loglevel");
  }
  setSentinels(sentinel: Sentinel): void {
    this.calls.push(["sentinels", sentinel]);
  }
  rewatchSentinels(): void {
    this.calls.push("rewatch");
  }
}

function serve(proxy: ProxyControl): (request: AdminRequest) => Promise<AdminResponse> {
  return createHandler({
    routes: proxyRoutes(proxy),
    home: "/proxy",
    changesFromAnywhere: true,
    ownNames: [],
    checkXauth: (given) => checkXauth(xauth, given),
  });
}

function request(method: string, target: string, body = ""): AdminRequest {
  const readBody = async (): Promise<Uint8Array> => Buffer.from(body);
  return { method, target, headers: {}, readBody, remoteIp: "127.0.0.1", localIp: "127.0.0.1" };
}

interface Exchange {
  readonly id: string;
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
  };
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly body_file?: string;
}

interface Seen {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What the record says that we must answer; how a body is cut into chunks is not ours to copy. */
function expectedOf(exchange: Exchange): Seen {
  const { "Content-Length": _, "Transfer-Encoding": __, ...headers } = exchange.headers;
  const { body_file: file, body = "" } = exchange;
  const text = file === undefined ? body : readFileSync(goldenPath(`proxy/${file}`), "utf8");
  return { status: exchange.status, headers, body: text };
}

function seen(answer: AdminResponse): Seen {
  const { "Content-Length": length, ...headers } = answer.headers;
  expect(length).toBe(String(Buffer.byteLength(answer.body)));
  const isGzip = headers["Content-Encoding"] === "gzip";
  const bytes = isGzip ? Bun.gunzipSync(Buffer.from(answer.body as Uint8Array)) : answer.body;
  const body = typeof bytes === "string" ? bytes : Buffer.from(bytes).toString();
  return { status: answer.status, headers, body };
}

describe("recorded exchanges of the original's admin port", () => {
  const proxy = new RecordedProxy();
  const handle = serve(proxy);
  for (const row of rowsOf(FILE)) {
    const exchange = row.record as unknown as Exchange;
    test(row.id, async () => {
      const { method, path, headers = {}, body = "" } = exchange.request;
      if (exchange.body_file?.startsWith("stats")) {
        proxy.nextStats = readGolden<ProxyStats>(`proxy/${exchange.body_file}`);
      } else if (exchange.body_file === "overview.json") {
        proxy.nextStats = readGolden<ProxyOverview>("proxy/overview.json").stats;
      }
      const sent = body.startsWith("(1024")
        ? readFileSync(goldenPath("proxy/slots.json"), "utf8")
        : body;
      const answer = await handle({
        ...request(method, path.replace(":xauth", xauth), sent),
        headers: Object.fromEntries(
          Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
        ),
      });
      assertRow({ ...row, recorded: expectedOf(exchange) }, seen(answer));
    });
  }

  test("left the proxy as they asked", () => {
    expect([proxy.isOnline, proxy.isClosed]).toEqual([true, true]);
    expect(proxy.filled).toHaveLength(1024);
    const flags = proxy.calls.filter((call) => Array.isArray(call) && call[0] === "stats");
    expect(flags.map((call) => (call as unknown[])[1])).toEqual([
      ...[7, 7, 7],
      ...[0, 0, 1, 2, 4, 7, 8, 0, 1],
    ]);
    expect(proxy.calls.filter((call) => !Array.isArray(call) || call[0] !== "stats")).toEqual([
      "forceGc",
      ["sentinels", { servers: ["127.0.0.1:21301"], out_of_sync: false }],
      "rewatch",
      ["sentinels", { servers: [], out_of_sync: false }],
      "resetStats",
    ]);
  });
});

describe("what only ours does", () => {
  async function fill(body: string): Promise<[number, string, Slot[]]> {
    const proxy = new RecordedProxy();
    const answer = await serve(proxy)(request("PUT", `/api/proxy/fillslots/${xauth}`, body));
    return [answer.status, answer.body as string, proxy.filled];
  }

  test("a fill with a bad element applies nothing of it", async () => {
    for (const body of [
      '[{"id":1},{"id":1024}]',
      '[{"id":1},{"id":2,"forward_method":7}]',
      '[{"id":1},{"id":"x"}]',
      '[{"id":1},null]',
      '[{"id":1}] garbage',
      '[{"id":1}',
      "null",
      "{}",
      "",
    ]) {
      const [status, answer, filled] = await fill(body);
      expect([body, status, filled]).toEqual([body, 800, []]);
      expect(answer).toContain('"Cause": "');
    }
    expect((await fill('[{"ID":1,"unknown":{}}]'))[2]).toEqual(SLOTS.read([{ id: 1 }], "slots"));
  });

  test("a wrong xauth is refused before the body is looked at", async () => {
    const answer = await serve(new RecordedProxy())(request("PUT", "/api/proxy/fillslots/0", "x"));
    expect(answer.body).toContain("invalid xauth");
  });

  test("sentinels that cannot be read are refused", async () => {
    const proxy = new RecordedProxy();
    for (const body of ["", "garbage", "[]", '{"servers":[1]}']) {
      const answer = await serve(proxy)(request("PUT", `/api/proxy/sentinels/${xauth}`, body));
      expect([body, answer.status]).toEqual([body, 800]);
    }
    expect(proxy.calls).toEqual([]);
  });

  test("metrics and readiness follow the proxy's state", async () => {
    const proxy = new RecordedProxy();
    const handle = serve(proxy);
    expect(await handle(request("GET", "/readyz"))).toMatchObject({ status: 503 });
    await proxy.start();
    expect(await handle(request("GET", "/readyz"))).toMatchObject({ status: 200 });
    proxy.nextStats = readGolden<ProxyStats>("proxy/stats.json");
    const { body } = await handle(request("GET", "/metrics"));
    expect(body).toContain("\ncodis_proxy_requests_total 107\n");
    expect(body).toContain('\ncodis_proxy_command_calls_total{cmd="GET"} 51\n');
    await proxy.shutdown();
    expect(await handle(request("GET", "/readyz"))).toMatchObject({
      status: 503,
      body: "closed\n",
    });
  });
});
