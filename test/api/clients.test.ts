import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createServer, type Socket } from "node:net";
import { DashboardClient } from "../../src/api/dashboard-client.ts";
import type { AdminRequest, AdminResponse } from "../../src/api/http.ts";
import { createHandler, jsonAnswer, textAnswer } from "../../src/api/http.ts";
import { callAdmin } from "../../src/api/http-client.ts";
import { ProxyClient } from "../../src/api/proxy-client.ts";
import { type AdminServer, serveAdmin } from "../../src/api/serve-admin.ts";
import { proxyXauth, topomXauth } from "../../src/api/xauth.ts";
import { offlineMapping, SLOT } from "../../src/model/slot.ts";
import { failureOf } from "../support/failure.ts";

const X = topomXauth("demo");

let server: AdminServer;
let requests: string[] = [];
let answer: (request: AdminRequest) => AdminResponse;

beforeAll(async () => {
  server = await serveAdmin("127.0.0.1:0", async (request) => {
    const body = Buffer.from(await request.readBody()).toString();
    requests.push(`${request.method} ${request.target}${body === "" ? "" : ` ${body}`}`);
    return answer(request);
  });
});
beforeEach(() => {
  requests = [];
  answer = () => jsonAnswer(200, "OK");
});
afterAll(() => server.close());

describe("ProxyClient", () => {
  test("sends each route of the proxy's API", async () => {
    const client = new ProxyClient(server.address, X);
    await client.xping();
    await client.stats(4);
    await client.start();
    await client.shutdown();
    await client.resetStats();
    await client.forceGc();
    await client.setLogLevel("DEBUG");
    await client.fillSlots([{ ...SLOT.zero(), id: 3, backend_addr: "h:1" }]);
    await client.setSentinels({ servers: ["h:2"], out_of_sync: false });
    await client.rewatchSentinels();
    expect(requests.map((text) => text.replaceAll(/\s+/g, " "))).toEqual([
      `GET /api/proxy/xping/${X}`,
      `GET /api/proxy/stats/${X}/4`,
      `PUT /api/proxy/start/${X}`,
      `PUT /api/proxy/shutdown/${X}`,
      `PUT /api/proxy/stats/reset/${X}`,
      `PUT /api/proxy/forcegc/${X}`,
      `PUT /api/proxy/loglevel/${X}/DEBUG`,
      `PUT /api/proxy/fillslots/${X} [ { "id": 3, "backend_addr": "h:1" } ]`,
      `PUT /api/proxy/sentinels/${X} { "servers": [ "h:2" ], "out_of_sync": false }`,
      `PUT /api/proxy/sentinels/${X}/rewatch`,
    ]);
  });

  test("opens by asking the proxy for its token", async () => {
    answer = () => jsonAnswer(200, { token: "t", product_name: "demo" });
    const { client, model } = await ProxyClient.open(server.address, "pw");
    expect(model.token).toBe("t");
    answer = () => jsonAnswer(200, [{ id: 0 }]);
    expect(await client.slots()).toEqual([SLOT.zero()]);
    expect(requests).toEqual([
      "GET /api/proxy/model",
      `GET /api/proxy/slots/${proxyXauth("demo", "pw", "t")}`,
    ]);
  });
});

describe("DashboardClient", () => {
  test("sends each route it has a method for", async () => {
    const client = new DashboardClient(server.address, "demo");
    await client.xping();
    await client.reload();
    await client.createProxy("h:1");
    await client.onlineProxy("[::1]:1");
    await client.reinitProxy("t");
    await client.removeProxy("t", true);
    await client.createGroup(1);
    await client.removeGroup(1);
    await client.resyncGroup(1);
    await client.resyncAllGroups();
    await client.addServer(1, "h:1");
    await client.addServer(1, "h:1", "dc");
    await client.delServer(1, "h:1");
    await client.createSlotActions(1, 2, 10);
    await client.createSlotActionRange(0, 9, 2);
    await client.removeSlotAction(7);
    await client.setSlotActionInterval(100);
    await client.setSlotActionDisabled(true);
    await client.shutdown();
    expect(requests).toEqual([
      `GET /api/topom/xping/${X}`,
      `PUT /api/topom/reload/${X}`,
      `PUT /api/topom/proxy/create/${X}/h%3A1`,
      `PUT /api/topom/proxy/online/${X}/%5B%3A%3A1%5D%3A1`,
      `PUT /api/topom/proxy/reinit/${X}/t`,
      `PUT /api/topom/proxy/remove/${X}/t/1`,
      `PUT /api/topom/group/create/${X}/1`,
      `PUT /api/topom/group/remove/${X}/1`,
      `PUT /api/topom/group/resync/${X}/1`,
      `PUT /api/topom/group/resync-all/${X}`,
      `PUT /api/topom/group/add/${X}/1/h%3A1`,
      `PUT /api/topom/group/add/${X}/1/h%3A1/dc`,
      `PUT /api/topom/group/del/${X}/1/h%3A1`,
      `PUT /api/topom/slots/action/create-some/${X}/1/2/10`,
      `PUT /api/topom/slots/action/create-range/${X}/0/9/2`,
      `PUT /api/topom/slots/action/remove/${X}/7`,
      `PUT /api/topom/slots/action/interval/${X}/100`,
      `PUT /api/topom/slots/action/disabled/${X}/1`,
      `PUT /api/topom/shutdown/${X}`,
    ]);
  });

  test("sends mappings and reads a plan", async () => {
    const client = new DashboardClient(server.address, "demo");
    await client.assignSlots([{ ...offlineMapping(5), group_id: 2 }]);
    await client.offlineSlots([offlineMapping(5)]);
    answer = () => jsonAnswer(200, { 0: 2, 1023: 1 });
    expect(await client.rebalance(true)).toEqual(
      new Map([
        [0, 2],
        [1023, 1],
      ]),
    );
    expect(requests.map((text) => text.replaceAll(/\s+/g, " "))).toEqual([
      `PUT /api/topom/slots/assign/${X} [ { "id": 5, "group_id": 2, "action": {} } ]`,
      `PUT /api/topom/slots/assign/${X}/offline [ { "id": 5, "group_id": 0, "action": {} } ]`,
      `PUT /api/topom/slots/rebalance/${X}/1`,
    ]);
  });
});

describe("a call that fails", () => {
  test("carries the peer's cause", async () => {
    answer = () => jsonAnswer(800, { Cause: "slot-[7] <busy>", Stack: null });
    const error = await failureOf(new DashboardClient(server.address, "demo").reload());
    expect([error.code, error.message]).toEqual(["conflict", "[Remote Error] slot-[7] <busy>"]);
  });

  test("is `denied` when the xauth is wrong", async () => {
    const cause = "invalid xauth, please check product name & auth";
    answer = () => jsonAnswer(800, { Cause: cause, Stack: null });
    const error = await failureOf(new ProxyClient(server.address, "0").xping());
    expect([error.code, error.message]).toEqual(["denied", `[Remote Error] ${cause}`]);
  });

  test("is `denied` when the change is refused for whom or where it comes from", async () => {
    const route = { method: "PUT", path: "/api/:xauth", reply: () => "OK" } as const;
    const routes = { routes: [route], home: "/", checkXauth() {} };
    const handle = createHandler({ ...routes, changesFromAnywhere: false, ownNames: [] });
    const readBody = async (): Promise<Uint8Array> => Buffer.alloc(0);
    const here = { method: "PUT", target: "/api/x", readBody, localIp: "127.0.0.1" };
    const page = { host: "evil.example" };
    for (const [remoteIp, headers] of [["10.0.0.9", {}] as const, ["127.0.0.1", page] as const]) {
      const refused = await handle({ ...here, remoteIp, headers });
      answer = () => refused;
      const error = await failureOf(new DashboardClient(server.address, "demo").reload());
      expect(error.code).toBe("denied");
    }
  });

  test("names status and address for any other status, the xauth masked", async () => {
    answer = () => textAnswer(404, "404 page not found\n");
    const error = await failureOf(new ProxyClient(server.address, X).start());
    expect(error.message).toBe(`[404] Not Found - http://${server.address}/api/proxy/start/:xauth`);
  });

  test("says so when nothing listens", async () => {
    const gone = await serveAdmin("127.0.0.1:0", () => Promise.resolve(jsonAnswer(200, "OK")));
    await gone.close();
    const error = await failureOf(new ProxyClient(gone.address).model());
    expect([error.code, error.message]).toEqual([
      "unavailable",
      `Get "http://${gone.address}/api/proxy/model": ` +
        `dial tcp ${gone.address}: connect: connection refused`,
    ]);
  });

  test("ends at its limit when the peer never answers, and when it hangs up", async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket.on("error", () => {})));
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", () => resolve()));
    const { port } = silent.address() as { port: number };
    const call = { addr: `127.0.0.1:${port}`, method: "GET", path: "/x" } as const;
    const error = await failureOf(callAdmin({ ...call, timeoutMs: 30 }));
    expect([error.code, error.message]).toEqual([
      "timeout",
      `Get "http://127.0.0.1:${port}/x": no answer within 30 ms`,
    ]);
    silent.once("connection", (socket: Socket) => socket.destroy());
    expect((await failureOf(callAdmin(call))).code).toBe("unavailable");
    for (const part of ['HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"O', "garbage\r\n\r\n"]) {
      silent.once("connection", (socket: Socket) => socket.end(part));
      expect((await failureOf(callAdmin(call))).code).toBe("unavailable");
    }
    for (const socket of sockets) socket.destroy();
    silent.close();
  });

  test("refuses an answer that is not JSON and a malformed address", async () => {
    answer = () => textAnswer(200, "<html>");
    expect((await failureOf(new ProxyClient(server.address).model())).message).toContain(
      "not JSON",
    );
    expect((await failureOf(new ProxyClient("nowhere").model())).code).toBe("usage");
  });
});
