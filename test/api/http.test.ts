import { describe, expect, test } from "bun:test";
import type { AdminApi, AdminRequest } from "../../src/api/http.ts";
import { createHandler } from "../../src/api/http.ts";
import { bodyOf, flagParam, integerParam, parseAtoi } from "../../src/api/params.ts";
import { checkXauth } from "../../src/api/xauth.ts";
import { CodisError } from "../../src/base/errors.ts";
import { SLOTS } from "../../src/model/slot.ts";

const XAUTH = "00fa922cba9ef15384bc5bc7b8b63028";
/** A change. */
const START = `/api/proxy/start/${XAUTH}`;

function request(method: string, target: string, rest: Partial<AdminRequest> = {}): AdminRequest {
  return {
    method,
    target,
    headers: {},
    readBody: async () => new Uint8Array(),
    remoteIp: "127.0.0.1",
    localIp: "127.0.0.1",
    ...rest,
  };
}

function handler(overrides: Partial<AdminApi> = {}): ReturnType<typeof createHandler> {
  return createHandler({
    home: "/proxy",
    checkXauth: (xauth) => checkXauth(XAUTH, xauth),
    changesFromAnywhere: false,
    ownNames: ["dash-1", "dash.example"],
    routes: [
      { method: "GET", path: "/proxy", reply: () => ({ text: "a<b>&c" }) },
      { method: "GET", path: "/api/echo/:addr/:value", reply: ({ params }) => params },
      { method: "GET", path: "/api/proxy/xping/:xauth", reply: () => "OK" },
      { method: "PUT", path: "/api/proxy/start/:xauth", reply: async () => "OK" },
      {
        method: "GET",
        path: "/fail",
        reply: () => {
          throw new CodisError("usage", "use of <invalid> slot id", new Error("inner"));
        },
      },
      {
        method: "GET",
        path: "/bug",
        reply: () => {
          throw new TypeError("ours");
        },
      },
    ],
    ...overrides,
  });
}

describe("an admin handler", () => {
  test("answers JSON with four blanks, escaped, without a newline at the end", async () => {
    const answer = await handler()(request("GET", "/proxy"));
    expect(answer.status).toBe(200);
    expect(answer.body).toBe('{\n    "text": "a\\u003cb\\u003e\\u0026c"\n}');
    expect(answer.headers).toEqual({
      "Content-Type": "application/json; charset=utf-8",
      "Content-Length": "39",
    });
  });

  test("answers an operational error with status 800 and its own text as the cause", async () => {
    const seen: string[] = [];
    const handle = handler({ onError: (path, text) => seen.push(`${path} ${text}`) });
    const answer = await handle(request("GET", "/fail"));
    expect(answer.status).toBe(800);
    expect(answer.body).toBe(
      '{\n    "Cause": "use of \\u003cinvalid\\u003e slot id",\n    "Stack": null\n}',
    );
    expect(seen).toEqual(["/fail use of <invalid> slot id: inner"]);
  });

  test("lets a mistake of ours through", async () => {
    await expect(handler()(request("GET", "/bug"))).rejects.toThrow("ours");
  });

  test("accepts one final slash and HEAD, and leads from / to the home page", async () => {
    const handle = handler();
    expect((await handle(request("GET", "/proxy/"))).status).toBe(200);
    const head = await handle(request("HEAD", "/proxy?x=1"));
    expect([head.status, head.headers["Content-Length"], head.body]).toEqual([200, "39", ""]);
    const root = await handle(request("GET", "/"));
    expect([root.status, root.headers.Location, root.body]).toEqual([302, "/proxy", ""]);
  });

  test("answers 404 as text to other methods, paths, cases and empty parameters", async () => {
    const handle = handler();
    for (const [method, target] of [
      ["POST", "/proxy"],
      ["GET", "/nosuch"],
      ["GET", "/Proxy"],
      ["GET", "/api/proxy/xping/"],
      ["PUT", "/proxy"],
      ["GET", "/api/echo/a/b/c"],
      ["OPTIONS", "/proxy"],
    ] as const) {
      const answer = await handle(request(method, target));
      expect([target, answer.status, answer.body]).toEqual([target, 404, "404 page not found\n"]);
      expect(answer.headers).toEqual({
        "Content-Type": "text/plain; charset=utf-8",
        "X-Content-Type-Options": "nosniff",
        "Content-Length": "19",
      });
    }
  });

  test("redirects double slashes and dots to the clean path", async () => {
    const handle = handler();
    for (const [target, location] of [
      ["//proxy", "/proxy"],
      ["/a/../proxy/?x=1", "/proxy/?x=1"],
      ["/api//proxy/./xping/1", "/api/proxy/xping/1"],
      ["//evil.example/%2e%2e", "/"],
      ["/a%20b//c", "/a%20b/c"],
    ] as const) {
      const answer = await handle(request("GET", target));
      expect([answer.status, answer.headers.Location]).toEqual([301, location]);
    }
    expect((await handle(request("GET", "/%zz"))).status).toBe(400);
    expect((await handle(request("OPTIONS", "*"))).status).toBe(400);
  });

  test("decodes parameters", async () => {
    const answer = await handler()(request("GET", "/api/echo/%5B%3A%3A1%5D%3A80/x%26y"));
    expect(JSON.parse(answer.body as string)).toEqual({ addr: "[::1]:80", value: "x&y" });
  });

  test("gzips whatever it answers when the word gzip is in Accept-Encoding", async () => {
    for (const [target, plain] of [
      ["/nosuch", "404 page not found\n"],
      [`/api/proxy/xping/${XAUTH}`, '"OK"'],
    ] as const) {
      const headers = { "accept-encoding": "deflate, gzip;q=0" };
      const answer = await handler()(request("GET", target, { headers }));
      expect(answer.headers).toMatchObject({
        "Content-Encoding": "gzip",
        Vary: "Accept-Encoding",
        "Content-Length": String(answer.body.length),
      });
      const bytes = Buffer.from(answer.body as Uint8Array);
      expect(Buffer.from(Bun.gunzipSync(bytes)).toString()).toBe(plain);
    }
  });

  test("checks the xauth before the handler runs", async () => {
    const answer = await handler()(request("PUT", "/api/proxy/start/0123"));
    expect(answer.status).toBe(800);
    expect(answer.body).toContain("invalid xauth, please check product name \\u0026 auth");
  });

  test("takes changes from other machines with the password's xauth", async () => {
    const away = { remoteIp: "10.0.0.9", localIp: "10.0.0.1" };
    const status = async (secret: string, xauth = XAUTH): Promise<number> => {
      const handle = handler({ isSecret: (given) => given === secret });
      return (await handle(request("PUT", `/api/proxy/start/${xauth}`, away))).status;
    };
    expect([await status(XAUTH), await status("another")]).toEqual([200, 800]);
    // What isSecret says does not stand in for checkXauth.
    expect(await status("0123", "0123")).toBe(800);
  });

  test("takes changes without a password only from this machine", async () => {
    const away = { remoteIp: "::ffff:10.0.0.9", localIp: "::ffff:10.0.0.1" };
    const refused = await handler()(request("PUT", START, away));
    expect(refused.status).toBe(800);
    expect(refused.body).toContain("changes from 10.0.0.9 are refused");
    expect((await handler()(request("GET", "/proxy", away))).status).toBe(200);

    const gone = { remoteIp: "", localIp: "" };
    expect((await handler()(request("PUT", START, gone))).status).toBe(800);

    const self = { remoteIp: "10.0.0.1", localIp: "::ffff:10.0.0.1" };
    expect((await handler()(request("PUT", START, self))).status).toBe(200);
    expect((await handler({ changesFromAnywhere: true })(request("PUT", START, away))).status).toBe(
      200,
    );
  });

  test("takes changes only by an IP, localhost and its own names, which no page can rebind", async () => {
    const refusal = async (host: string | undefined): Promise<string> => {
      const answer = await handler()(request("PUT", START, { headers: { host } }));
      return answer.status === 200 ? "" : JSON.parse(String(answer.body)).Cause;
    };
    for (const host of [
      undefined,
      "",
      "127.0.0.1",
      "10.0.0.1:18080",
      "[::1]:18080",
      "[fe80::1]",
      "localhost:18080",
      "LocalHost",
      "Dash-1:18080",
      "dash.example",
    ]) {
      expect([host, await refusal(host)]).toEqual([host, ""]);
    }
    for (const host of [
      "evil.example:18080",
      "dash-1.evil.example",
      "dash-1.",
      "127.0.0.1.evil.example",
      "localhost.evil.example:80",
      "evil.example:127.0.0.1",
    ]) {
      expect(await refusal(host)).toBe(
        `changes with Host ${host} are refused without the product's password: it must be an IP ` +
          "or one of localhost, dash-1, dash.example: call it so, or set product_auth here and " +
          "give it to the caller (proxy: product_auth, codis admin: $CODIS_PRODUCT_AUTH), or set " +
          "allow_remote_unauthenticated = true here",
      );
    }
  });

  test("takes changes from no page of another site", async () => {
    const refusal = async (headers: AdminRequest["headers"]): Promise<string> => {
      const answer = await handler()(request("PUT", START, { headers }));
      return answer.status === 200 ? "" : JSON.parse(String(answer.body)).Cause;
    };
    const host = "10.0.0.1:9090";
    // As the original's codis-fe relays it, also from behind a server that speaks TLS.
    for (const headers of [
      { host, origin: `http://${host}` },
      { host, origin: `http://${host}`, "sec-fetch-site": "same-origin" },
      { host: "dash.example", origin: "https://dash.example" },
      { host, "sec-fetch-site": "none" },
    ]) {
      expect(await refusal(headers)).toBe("");
    }
    for (const origin of [
      "null",
      "http://evil.example",
      "http://10.0.0.1:9091",
      "http://10.0.0.1",
      `http://evil.example, http://${host}`,
      "",
    ]) {
      expect(await refusal({ host, origin })).toStartWith(
        `changes with Origin ${origin} are refused without the product's password: it must be ` +
          `the site of the Host it calls, ${host}: open the page there, or set product_auth here`,
      );
    }
    expect(await refusal({ origin: "http://evil.example" })).toContain("changes with Origin");
    for (const site of ["cross-site", "same-site", ""]) {
      expect(await refusal({ host, "sec-fetch-site": site })).toStartWith(
        `changes with Sec-Fetch-Site ${site} are refused without the product's password: it must ` +
          "be same-origin or none: set product_auth here",
      );
    }
  });

  test("asks nothing of Host and Origin for reads, and where anybody or the password may", async () => {
    const headers = { host: "evil.example", origin: "null", "sec-fetch-site": "cross-site" };
    const status = async (method: string, target: string, api: Partial<AdminApi>) =>
      (await handler(api)(request(method, target, { headers }))).status;
    expect(await status("PUT", START, {})).toBe(800);
    expect(await status("GET", `/api/proxy/xping/${XAUTH}`, {})).toBe(200);
    expect(await status("PUT", START, { isSecret: (given) => given === XAUTH })).toBe(200);
    expect(await status("PUT", START, { changesFromAnywhere: true })).toBe(200);
  });

  test("tells of changes with the xauth masked", async () => {
    const changes: unknown[] = [];
    const handle = handler({ onChange: (change) => changes.push(change) });
    await handle(request("PUT", START, { headers: { "x-real-ip": "1.2.3.4" } }));
    await handle(request("PUT", START));
    await handle(request("PUT", "/api/proxy/start/0123"));
    await handle(request("GET", `/api/proxy/xping/${XAUTH}`));
    expect(changes).toEqual([
      {
        method: "PUT",
        path: "/api/proxy/start/:xauth",
        peer: "127.0.0.1",
        forwarded_for: "1.2.3.4",
      },
      { method: "PUT", path: "/api/proxy/start/:xauth", peer: "127.0.0.1" },
    ]);
  });
});

describe("a body", () => {
  const PATH = "/api/proxy/body";
  const readings = async (method: string, target: string, remoteIp: string): Promise<number> => {
    let count = 0;
    const readBody = async (): Promise<Uint8Array> => {
      count++;
      return Buffer.from("[]");
    };
    const reply = (context: Parameters<typeof bodyOf>[0]): unknown => bodyOf(context, SLOTS, "x");
    const handle = handler({ routes: [{ method: "PUT", path: `${PATH}/:xauth`, reply }] });
    await handle(request(method, target, { readBody, remoteIp }));
    return count;
  };

  test("is taken from a caller whom a route has let in, and from no other", async () => {
    expect(await readings("PUT", `${PATH}/${XAUTH}`, "127.0.0.1")).toBe(1);
    expect(await readings("PUT", "/nope", "127.0.0.1")).toBe(0);
    expect(await readings("GET", `${PATH}/${XAUTH}`, "127.0.0.1")).toBe(0);
    expect(await readings("PUT", `${PATH}/wrong`, "127.0.0.1")).toBe(0);
    expect(await readings("PUT", `${PATH}/${XAUTH}`, "10.0.0.9")).toBe(0);
  });
});

describe("parameters and bodies", () => {
  const context = (params: Record<string, string>, body = ""): Parameters<typeof bodyOf>[0] => ({
    params,
    request: request("PUT", "/", { readBody: async () => Buffer.from(body) }),
  });

  test("integers are read as Go reads them", () => {
    expect(["7", "+7", "-07", "9223372036854775807"].map(parseAtoi)).toEqual([7, 7, -7, 2 ** 63]);
    expect(() => parseAtoi("abc")).toThrow('strconv.Atoi: parsing "abc": invalid syntax');
    expect(() => parseAtoi("")).toThrow('strconv.Atoi: parsing "": invalid syntax');
    expect(() => parseAtoi("9223372036854775808")).toThrow("value out of range");
    expect(integerParam(context({ sid: "12" }), "sid")).toBe(12);
    expect(() => integerParam(context({ sid: "1e3" }), "sid")).toThrow("invalid sid");
    expect(["0", "-1"].map((force) => flagParam(context({ force }), "force"))).toEqual([
      false,
      true,
    ]);
  });

  test("a body is read whole or refused", async () => {
    const slots = await bodyOf(
      context({}, '[{"ID": 3, "Locked": true, "other": 1}]'),
      SLOTS,
      "slots",
    );
    expect(slots.map(({ id, locked }) => [id, locked])).toEqual([[3, true]]);
    for (const bad of [
      "",
      "null",
      "{}",
      "garbage",
      '[{"id":1}',
      "[] x",
      '[{"id":"x"}]',
      "[null]",
    ]) {
      const read = bodyOf(context({}, bad), SLOTS, "slots");
      await expect(read).rejects.toThrow(/^Cannot read slots/);
    }
    const notUtf8 = {
      params: {},
      request: request("PUT", "/", { readBody: async () => Buffer.from([0x22, 0xff, 0x22]) }),
    };
    await expect(bodyOf(notUtf8, SLOTS, "slots")).rejects.toThrow("Cannot read slots: not JSON");
    const deep = bodyOf(context({}, "[".repeat(200_000)), SLOTS, "slots");
    await expect(deep).rejects.toThrow("not JSON");
  });
});
