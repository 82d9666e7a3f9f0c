/** Rules of the server's keys that hold it together. */

import { expect, test } from "bun:test";
import { loadConfig } from "../../src/base/config.ts";
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
