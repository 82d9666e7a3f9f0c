import { afterEach, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { type AdminRequest, createHandler } from "../../src/api/http.ts";
import { ADMIN_BODY_BYTES_MAX, DROPPED_BYTES_MAX } from "../../src/api/request-body.ts";
import { type AdminServer, serveAdmin } from "../../src/api/serve-admin.ts";
import { parseAddress } from "../../src/base/address.ts";
import { CodisError, errorText } from "../../src/base/errors.ts";

let server: AdminServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const handle = createHandler({
  home: "/proxy",
  checkXauth: () => {},
  changesFromAnywhere: false,
  ownNames: ["x"],
  routes: [
    { method: "GET", path: "/proxy", reply: () => "OK" },
    {
      method: "PUT",
      path: "/length",
      reply: async ({ request }) => (await request.readBody()).length,
    },
    {
      method: "GET",
      path: "/fail",
      reply: () => {
        throw new CodisError("usage", "no");
      },
    },
  ],
});

/** Sends bytes as they are and resolves with all that comes until the server closes. */
function exchange(address: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { host, port } = parseAddress(address);
    const socket = connect({ host: host === "::" ? "127.0.0.1" : host, port });
    let received = "";
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
    });
    socket.on("close", () => resolve(received));
    socket.on("error", reject);
    socket.write(text);
  });
}

/** A connection that has got one answer and stays open. */
function keptConnection(address: string): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(parseAddress(address));
    socket.once("data", () => resolve(socket));
    socket.write("GET /proxy HTTP/1.1\r\nHost: x\r\n\r\n");
  });
}

function get(path: string, method = "GET"): string {
  return `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
}

describe("serveAdmin", () => {
  test("puts status 800 and its reason on the wire", async () => {
    server = await serveAdmin("127.0.0.1:0", handle);
    const answer = await exchange(server.address, get("/fail"));
    expect(answer.split("\r\n")[0]).toBe("HTTP/1.1 800 status code 800");
    expect(answer).toContain("\r\nContent-Type: application/json; charset=utf-8\r\n");
    expect(answer).toEndWith('\r\n\r\n{\n    "Cause": "no",\n    "Stack": null\n}');
  });

  test("answers HEAD with the headers of GET and no body", async () => {
    server = await serveAdmin("127.0.0.1:0", handle);
    const answer = await exchange(server.address, get("/proxy", "HEAD"));
    expect(answer).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(answer).toContain("\r\nContent-Length: 4\r\n");
    expect(answer).toEndWith("\r\n\r\n");
  });

  test("refuses a change that a page of another site, or one that rebinds its name, has sent", async () => {
    server = await serveAdmin("127.0.0.1:0", handle);
    const { address } = server;
    const put = (headers: string): Promise<string> =>
      exchange(
        address,
        `PUT /length HTTP/1.1\r\n${headers}Connection: close\r\nContent-Length: 0\r\n\r\n`,
      );
    expect(await put(`Host: ${address}\r\n`)).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(await put(`Host: ${address}\r\nOrigin: http://${address}\r\n`)).toStartWith(
      "HTTP/1.1 200 OK\r\n",
    );
    for (const headers of [
      "Host: evil.example\r\n",
      `Host: ${address}\r\nOrigin: http://evil.example\r\n`,
      `Host: ${address}\r\nSec-Fetch-Site: cross-site\r\n`,
    ]) {
      const answer = await put(headers);
      expect(answer).toStartWith("HTTP/1.1 800 status code 800\r\n");
      expect(answer).toContain("are refused without the product's password: it must be");
    }
    const oldest = "PUT /length HTTP/1.0\r\nContent-Length: 0\r\n\r\n";
    expect(await exchange(address, oldest)).toMatch(/^HTTP\/1\.[01] 200 OK\r\n/);
  });

  test("hands the path over as it was sent", async () => {
    server = await serveAdmin("127.0.0.1:0", handle);
    const answer = await exchange(server.address, get("/a/..//proxy"));
    expect(answer).toStartWith("HTTP/1.1 301 Moved Permanently\r\n");
    expect(answer).toContain("\r\nLocation: /proxy\r\n");
  });

  test("reports a wildcard as [::] and where requests come from", async () => {
    let seen: AdminRequest | undefined;
    server = await serveAdmin("0.0.0.0:0", (request) => {
      seen = request;
      return handle(request);
    });
    expect(server.address).toMatch(/^\[::\]:\d+$/);
    expect(await exchange(server.address, get("/proxy"))).toStartWith("HTTP/1.1 200 OK");
    expect(seen!.remoteIp).toEndWith("127.0.0.1");
    expect(seen!.localIp).toEndWith("127.0.0.1");
  });

  test("refuses a body above the limit with a cause", async () => {
    server = await serveAdmin("127.0.0.1:0", handle);
    const put = (bytes: number): string =>
      "PUT /length HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" +
      `Content-Length: ${bytes}\r\n\r\n${"x".repeat(bytes)}`;
    expect(await exchange(server.address, put(100_000))).toEndWith("\r\n\r\n100000");
    const answer = await exchange(server.address, put(ADMIN_BODY_BYTES_MAX + 1));
    expect(answer).toStartWith("HTTP/1.1 800 status code 800\r\n");
    expect(answer).toContain("request body must not be larger than 8388608 bytes");
  });

  test("refuses a body that does not fit beside the others, and takes it when they are gone", async () => {
    server = await serveAdmin("127.0.0.1:0", handle, { bodiesBytesMax: 1000 });
    const { address } = server;
    const put = (bytes: number): string =>
      `PUT /length HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${bytes}\r\n\r\n`;
    const first = connect(parseAddress(address));
    first.write(`${put(900)}${"x".repeat(899)}`);
    // The first has come once what does not fit beside it is refused.
    let refusal = "";
    while (!refusal.includes("must not be larger than 1000 bytes together")) {
      refusal = await exchange(address, `${put(102)}${"y".repeat(102)}`);
    }
    expect(refusal).toStartWith("HTTP/1.1 800 status code 800\r\n");
    expect(await exchange(address, `${put(101)}${"y".repeat(101)}`)).toEndWith("\r\n\r\n101");
    const answer = new Promise<string>((resolve) =>
      first.once("data", (chunk) => resolve(`${chunk}`)),
    );
    first.write("x");
    expect(await answer).toEndWith("\r\n\r\n900");
    expect(await exchange(address, `${put(1000)}${"y".repeat(1000)}`)).toEndWith("\r\n\r\n1000");
  });

  test("answers whoever sends a body that no route takes, and cuts off who sends without end", async () => {
    server = await serveAdmin("127.0.0.1:0", handle);
    const put = (bytes: number): string =>
      `PUT /nope HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes}\r\n\r\n${"x".repeat(bytes)}`;
    const two = put(100_000) + get("/proxy");
    const answers = await exchange(server.address, two);
    expect(answers).toStartWith("HTTP/1.1 404 Not Found\r\n");
    expect(answers).toContain("HTTP/1.1 200 OK\r\n");
    const endless = exchange(server.address, put(DROPPED_BYTES_MAX * 2));
    expect(await endless.catch((error: Error) => error.message)).toMatch(
      /^HTTP\/1\.1 404|ECONNRESET|EPIPE/,
    );
  });

  test("goes on when a peer leaves in the middle of a body", async () => {
    server = await serveAdmin("127.0.0.1:0", handle);
    const { host, port } = parseAddress(server.address);
    await new Promise<void>((resolve) => {
      const socket = connect({ host, port }, () => {
        socket.write("PUT /length HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc", () => {
          socket.destroy();
        });
      });
      socket.on("close", () => resolve());
    });
    expect(await exchange(server.address, get("/proxy"))).toStartWith("HTTP/1.1 200 OK");
  });

  test("refuses connections above the limit and takes them again below it", async () => {
    server = await serveAdmin("127.0.0.1:0", handle, { connectionsMax: 2 });
    const { address } = server;
    const kept = await Promise.all([1, 2].map(() => keptConnection(address)));
    const refused = exchange(address, get("/proxy")).catch((error: Error) => error.message);
    expect(["", "read ECONNRESET"]).toContain(await refused);
    const gone = Promise.withResolvers<void>();
    kept[0]!.on("close", () => gone.resolve()).write(get("/proxy"));
    await gone.promise;
    expect(await exchange(address, get("/proxy"))).toStartWith("HTTP/1.1 200 OK");
    kept[1]!.destroy();
  });

  test("ends a request that does not come whole in time, and a silent connection", async () => {
    server = await serveAdmin("127.0.0.1:0", handle, { requestTimeoutMs: 20 });
    const half = "PUT /length HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc";
    for (const sent of ["", "GET / HT", half]) {
      expect(await exchange(server.address, sent)).toStartWith("HTTP/1.1 408 Request Timeout\r\n");
    }
  });

  test("a taken port and a malformed address are errors that say so", async () => {
    server = await serveAdmin("127.0.0.1:0", handle);
    const taken = serveAdmin(server.address, handle).then(() => "none", errorText);
    expect(await taken).toBe(
      `Cannot listen on the admin address ${server.address}: address already in use`,
    );
    await expect(serveAdmin("nowhere", handle)).rejects.toThrow("missing port in address");
  });

  test("close refuses new connections and is idempotent", async () => {
    server = await serveAdmin("127.0.0.1:0", handle);
    const { address } = server;
    await Promise.all([server.close(), server.close()]);
    await expect(exchange(address, get("/proxy"))).rejects.toThrow("ECONNREFUSED");
  });
});
