/** The assembled proxy with two servers of Debian's behind it, in one thread and in two. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { hostname } from "node:os";
import { jsonAnswer } from "../../src/api/http.ts";
import { ProxyClient } from "../../src/api/proxy-client.ts";
import type { ProxyStats } from "../../src/api/proxy-stats.ts";
import { serveAdmin } from "../../src/api/serve-admin.ts";
import { proxyXauth } from "../../src/api/xauth.ts";
import { parseAddress } from "../../src/base/address.ts";
import { defaultConfig } from "../../src/base/config.ts";
import { createLog, type Log } from "../../src/base/log.ts";
import { SLOT, type Slot } from "../../src/model/slot.ts";
import { TOPOM } from "../../src/model/topom.ts";
import { PROXY_CONFIG, type ProxyConfig } from "../../src/proxy/config.ts";
import { CodisProxy } from "../../src/proxy/proxy.ts";
import { slotOf } from "../../src/slots/hash.ts";
import { readGolden } from "../golden/load.ts";
import { RecordingLog } from "../support/own-server.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { RespClient } from "../support/resp-client.ts";
import { TcpRedis } from "../support/tcp-redis.ts";

const AUTH = "s3cret";
const LOG = createLog({ role: "proxy", level: "NONE", format: "text" });

let servers: readonly TcpRedis[] = [];
beforeAll(async () => {
  servers = await Promise.all([1, 2].map(() => TcpRedis.start("--requirepass", AUTH)));
});
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
});

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

async function openProxy(
  threads = 1,
  changes: Partial<ProxyConfig> = {},
  log: Log = LOG,
): Promise<CodisProxy> {
  const proxy = await CodisProxy.open({
    config: {
      ...defaultConfig(PROXY_CONFIG),
      proxy_addr: "127.0.0.1:0",
      admin_addr: "127.0.0.1:0",
      product_auth: AUTH,
      ...changes,
    },
    log,
    threads,
    hostAdmin: "",
    hostProxy: "",
    version: "1",
    compile: "2",
  });
  closing.push(() => proxy.close());
  return proxy;
}

async function adminOf(proxy: CodisProxy): Promise<ProxyClient> {
  const { client } = await ProxyClient.open(proxy.model.admin_addr, AUTH);
  return client;
}

async function clientOf(proxy: CodisProxy): Promise<RespClient> {
  const client = await RespClient.connect(parseAddress(proxy.model.proxy_addr).port);
  closing.push(() => client.close());
  return client;
}

/** Slots below 512 on the first server, the others on the second. */
function halves(): Slot[] {
  return Array.from({ length: 1024 }, (_, id) => ({
    ...SLOT.zero(),
    id,
    backend_addr: servers[id < 512 ? 0 : 1]!.address,
    backend_addr_group_id: id < 512 ? 1 : 2,
  }));
}

for (const threads of [1, 2]) {
  describe(`a proxy of ${threads} thread(s)`, () => {
    test("refuses clients until it is started, and then serves them by slot", async () => {
      const proxy = await openProxy(threads);
      const admin = await adminOf(proxy);
      await admin.xping();
      expect(await (await clientOf(proxy)).raw(Buffer.alloc(0), 1)).toEqual([
        expect.objectContaining({ text: "ERR router is not online" }),
      ]);
      await admin.fillSlots(halves());
      expect(await admin.slots()).toEqual(halves());
      await admin.start();
      await admin.start();

      const client = await clientOf(proxy);
      const keys = Array.from({ length: 50 }, (_, i) => `key:${i}`);
      await client.pipeline(keys.map((key) => ["SET", key, key.repeat(3)]));
      expect((await client.pipeline(keys.map((key) => ["GET", key]))).map(String)).toHaveLength(50);
      for (const [i, server] of servers.entries()) {
        const direct = await RespClient.connect(server.port);
        await direct.call("AUTH", AUTH);
        const mine = keys.filter((key) => slotOf(Buffer.from(key)) < 512 === (i === 0));
        expect(await direct.call("DBSIZE")).toEqual(mine.length);
        await direct.call("FLUSHALL");
        direct.close();
      }

      const stats = await admin.stats(1);
      expect(stats).toMatchObject({ online: true, closed: false, ops: { total: 100, fails: 1 } });
      expect(stats.ops.cmd?.map(({ opstr, calls }) => [opstr, calls])).toEqual([
        ["GET", 50],
        ["SET", 50],
      ]);
      await admin.resetStats();
      // Of the last second that is over, which a reset leaves as it was.
      const qps: unknown = expect.any(Number);
      expect((await admin.stats(1)).ops).toEqual({
        total: 0,
        fails: 0,
        redis: { errors: 0 },
        qps: qps as number,
      });
    });

    test("holds a locked slot until a fill unlocks it", async () => {
      const proxy = await openProxy(threads);
      const admin = await adminOf(proxy);
      await admin.fillSlots(halves().map((slot) => ({ ...slot, locked: true })));
      await admin.start();
      const client = await clientOf(proxy);
      const held = client.call("SET", "a", "1");
      const seen = await Promise.race([held, admin.stats().then(() => "held")]);
      expect(seen).toBe("held");
      await admin.fillSlots(halves());
      expect(await held).toBe("OK");
    });

    test("shuts down on request: the answer comes, both ports close, it ends", async () => {
      const proxy = await openProxy(threads);
      const admin = await adminOf(proxy);
      await admin.fillSlots(halves());
      await admin.start();
      const client = await clientOf(proxy);
      await client.call("DEL", "a");
      const answered = client.pipeline(Array.from({ length: 100 }, () => ["GET", "a"]));
      const sent = client.call("PING");
      expect(await sent).toBe("PONG");
      await admin.shutdown();
      expect(await answered).toEqual(Array.from({ length: 100 }, () => null));
      expect(await proxy.done).toBe(0);
      await expect(admin.xping()).rejects.toThrow("connection refused");
      await expect(clientOf(proxy)).rejects.toThrow();
    });
  });
}

/** The names of all members, at any depth. */
function paths(value: unknown, at = ""): string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [at];
  return Object.entries(value).flatMap(([name, member]) => paths(member, `${at}.${name}`));
}

describe("the admin API of an assembled proxy", () => {
  test("shows the members the original shows, in its order", async () => {
    const proxy = await openProxy();
    const recorded = readGolden<Record<string, unknown>>("proxy/overview.json");
    const overview = await new ProxyClient(proxy.model.admin_addr).overview();
    expect(Object.keys(overview)).toEqual(Object.keys(recorded));
    expect(Object.keys(overview.model)).toEqual(Object.keys(recorded.model as object));
    const { rusage, ...rest } = readGolden<ProxyStats>("proxy/stats-flags-4.json");
    const { rusage: ours, ...stats } = await (await adminOf(proxy)).stats(4);
    expect(paths(stats)).toEqual(paths(rest));
    expect(Object.keys(ours)).toEqual(Object.keys(rusage).slice(0, 3));
    expect(overview.slots).toHaveLength(1024);
  });

  test("is named by addresses and password as the original computes them", async () => {
    const proxy = await openProxy(1, { proxy_addr: "localhost:0" });
    expect(proxy.model.proxy_addr).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(proxy.model.token).toMatch(/^[0-9a-f]{32}$/);
    const wrong = await ProxyClient.open(proxy.model.admin_addr, "wrong");
    await expect(wrong.client.xping()).rejects.toThrow("invalid xauth");
  });

  test("keeps log level and sentinels it is told, and refuses what it cannot read", async () => {
    const admin = await adminOf(await openProxy());
    await admin.setLogLevel("none");
    await expect(admin.setLogLevel("loud")).rejects.toThrow("[Remote Error] invalid loglevel");
    await admin.setSentinels({ servers: ["127.0.0.1:1"], out_of_sync: false });
    await admin.rewatchSentinels();
    expect((await admin.stats()).sentinels).toEqual({ servers: ["127.0.0.1:1"] });
    await admin.forceGc();
  });
});

test("A proxy without a password is changed under its own names, and under no stranger's", async () => {
  const proxy = await openProxy(1, { product_auth: "" });
  const { admin_addr, product_name, token } = proxy.model;
  const url = `http://${admin_addr}/api/proxy/forcegc/${proxyXauth(product_name, "", token)}`;
  const collect = async (host: string): Promise<string> =>
    (await fetch(url, { method: "PUT", headers: { Host: host } })).text();
  expect(await collect(hostname())).toBe('"OK"');
  expect(await collect("evil.example")).toContain("changes with Host evil.example are refused");
});

for (const threads of [1, 2]) {
  test(`${threads} thread(s) cut HTTP off, and warn once with the client's address`, async () => {
    const log = new RecordingLog();
    const proxy = await openProxy(threads, {}, log as unknown as Log);
    await proxy.fillSlots(halves());
    await proxy.start();
    const { port } = parseAddress(proxy.model.proxy_addr);
    const page = await RawConnection.open(port);
    page.send(["POST", "/", "HTTP/1.1"]);
    page.send(["SET", "pwned", "1"]);
    expect((await page.reply()).toString()).toBe("");
    const client = await clientOf(proxy);
    expect(await client.call("GET", "pwned")).toBeNull();
    // Of a Worker's session the main thread is told by a message, sent before the one asked for.
    await proxy.stats(0);
    expect(log.lines.filter((line) => line.startsWith("warn"))).toEqual([
      expect.stringMatching(/^warn: session closed .*"127\.0\.0\.1:\d+".*SECURITY ATTACK/),
    ]);
  });
}

describe("a proxy that cannot have its ports", () => {
  test("says which, and leaves nothing open", async () => {
    const first = await openProxy();
    const { proxy_addr, admin_addr } = first.model;
    await expect(openProxy(1, { proxy_addr })).rejects.toThrow(`Cannot listen on ${proxy_addr}`);
    await expect(openProxy(1, { admin_addr })).rejects.toThrow(admin_addr);
    await first.close();
    const second = await openProxy(1, { proxy_addr, admin_addr });
    expect(second.model.token).toBe(first.model.token);
    await expect(openProxy(1, { proxy_addr: "[::1]:0" })).rejects.toThrow(
      "it has no address of IPv4",
    );
  });
});

test("A proxy comes online through a dashboard that calls it back", async () => {
  const dashboard = await serveAdmin("127.0.0.1:0", async ({ method, target }) => {
    if (method === "GET") return jsonAnswer(200, { ...TOPOM.zero(), product_name: "codis-demo" });
    const addr = decodeURIComponent(target.slice(target.lastIndexOf("/") + 1));
    const { client } = await ProxyClient.open(addr, AUTH);
    await client.fillSlots(halves());
    await client.start();
    return jsonAnswer(200, "OK");
  });
  closing.push(() => dashboard.close());
  const proxy = await openProxy();
  const online = proxy.registerWith({ kind: "dashboard", addr: dashboard.address });
  await online;
  expect(proxy.isOnline).toBe(true);
});

test("A proxy that named the dashboard of another product ends with exit code 1", async () => {
  const dashboard = await serveAdmin("127.0.0.1:0", async () =>
    jsonAnswer(200, { ...TOPOM.zero(), product_name: "other" }),
  );
  closing.push(() => dashboard.close());
  const proxy = await openProxy();
  await proxy.registerWith({ kind: "dashboard", addr: dashboard.address });
  expect(await proxy.done).toBe(1);
});
