/** Rules of the server's keys that hold it together. */

import { expect, test } from "bun:test";
import { loadConfig } from "../../src/base/config.ts";
import { CodisError } from "../../src/base/errors.ts";
import { SERVER_CONFIG } from "../../src/server/config.ts";
import { OwnServer } from "../support/compare.ts";

test("client-query-buffer-limit stays below what positions in a request can name", () => {
  const { config } = loadConfig(SERVER_CONFIG, `client-query-buffer-limit = "1gb"`);
  expect(config["client-query-buffer-limit"]).toBe(1024 ** 3);
  expect(() => loadConfig(SERVER_CONFIG, `client-query-buffer-limit = "4gb"`)).toThrow(
    "client-query-buffer-limit",
  );
  expect(new OwnServer().show("CONFIG", "GET", "client-query-buffer-limit")).toEqual([
    "$client-query-buffer-limit",
    `$${1024 ** 3}`,
  ]);
});

test("bind is an IP address or a name, and says so", () => {
  for (const good of ["127.0.0.1", "::", "::1", "localhost", "host-1.example", "7up"]) {
    expect(loadConfig(SERVER_CONFIG, `bind = "${good}"`).config.bind).toBe(good);
  }
  for (const bad of ["", "999.1.1.1", "127.0.0.1:6379", "a b", "127.0.0.1 ::1"]) {
    const load = (): unknown => loadConfig(SERVER_CONFIG, `bind = "${bad}"`);
    expect(load).toThrow(new CodisError("usage", "invalid bind"));
    const { cause } = thrown(load);
    expect((cause as Error).message).toStartWith(`"${bad}" must be an IP address or a host name`);
  }
});

function thrown(act: () => unknown): Error {
  try {
    act();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}
