/** The checks of a server that is to be a member, against real ones. */

import { afterAll, expect, test } from "bun:test";
import { checkMember, Servers } from "../../src/dashboard/servers.ts";
import { ErrorReply } from "../../src/resp/reply.ts";
import { failureOf } from "../support/failure.ts";
import { TcpRedis } from "../support/tcp-redis.ts";

const open = await TcpRedis.start();
const guarded = await TcpRedis.start("--requirepass", "pw");
afterAll(async () => {
  await open.stop();
  await guarded.stop();
});

for (const [what, server, auth, words] of [
  ["no password, the product has one", open, "pw", "without any password configured"],
  ["a password, the product has none", guarded, "", "NOAUTH Authentication required."],
  ["another password than the product", guarded, "other", "WRONGPASS invalid username-password"],
] as const) {
  test(`A server that has ${what}, is refused in its words, with the keys to look at`, async () => {
    const servers = new Servers(auth, 1_000);
    const { message } = await failureOf(servers.check(server.address));
    servers.close();
    expect(message).toContain(words);
    expect(message).toContain("product_auth of the dashboard");
    expect(message).toContain(`requirepass of server-[${server.address}]`);
    expect(message).toContain("same password");
  });
}

test("Servers with the product's password are taken, and so are those of a product without", async () => {
  for (const [server, auth] of [
    [open, ""],
    [guarded, "pw"],
  ] as const) {
    const servers = new Servers(auth, 1_000);
    await servers.check(server.address);
    servers.close();
  }
});

test("A proxy, which wants to hear which server SLOTSINFO is about, is told that it is no member", () => {
  const words = "ERR wrong number of arguments for 'SLOTSINFO' command";
  expect(() => checkMember("127.0.0.1:19000", new ErrorReply(words), {})).toThrow(
    "server-[127.0.0.1:19000]: a member of a group must be a server itself, not a proxy, " +
      `it answers: ${words}`,
  );
});
