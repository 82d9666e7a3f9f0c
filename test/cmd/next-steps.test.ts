/** Next steps that need a real peer for their words; the others are in admin.test.ts. */

import { expect, test } from "bun:test";
import { nextStepFor } from "../../cmd/admin/next-steps.ts";
import { textAnswer } from "../../src/api/http.ts";
import { serveAdmin } from "../../src/api/serve-admin.ts";
import { Servers } from "../../src/dashboard/servers.ts";
import { failureOf } from "../support/failure.ts";

test("An admin address in place of a server's is taken for what it is", async () => {
  const admin = await serveAdmin("127.0.0.1:0", async () => textAnswer(404, ""));
  const servers = new Servers("", 1_000);
  const { message } = await failureOf(servers.check(admin.address));
  servers.close();
  await admin.close();
  expect(nextStepFor(`[Remote Error] ${message}`)).toContain("probably the admin address");
});

test("Who answers something else is named as no Redis server", async () => {
  const peer = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (socket) => void socket.end("SSH-2.0\r\n") },
  });
  const servers = new Servers("", 1_000);
  const { message } = await failureOf(servers.check(`127.0.0.1:${peer.port}`));
  servers.close();
  peer.stop(true);
  expect(nextStepFor(`[Remote Error] ${message}`)).toContain("is no Redis server");
});

test("A text that is not known, or has its step already, gets none", () => {
  expect(nextStepFor("[Remote Error] invalid group id = 0, out of range")).toBe("");
  expect(nextStepFor("[Remote Error] server-[s:1] already exists\ns:1 is in group 3")).toBe("");
});
