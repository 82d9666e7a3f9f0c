import { expect, test } from "bun:test";
import { configToJson, loadConfig, renderDefaults } from "../../src/base/config.ts";
import { CodisError } from "../../src/base/errors.ts";
import { DASHBOARD_CONFIG } from "../../src/dashboard/config.ts";
import { readGolden } from "../golden/load.ts";

const load = (text: string) => loadConfig(DASHBOARD_CONFIG, text).config;

test("The defaults are the original's but for the migration method", () => {
  const config = load("");
  expect(config.coordinator_addr).toBe("/tmp/codis");
  expect(config.admin_addr).toBe("0.0.0.0:18080");
  expect(config.migration_method).toBe("semi-async");
  expect(config.migration_async_maxbytes).toBe(32 * 1024 * 1024);
  expect(config.sentinel_failover_timeout).toBe(300_000);
  expect(load(renderDefaults(DASHBOARD_CONFIG))).toEqual(config);
});

test("The overview shows the original's keys in its order, without the password, then ours", () => {
  const recorded = readGolden<{ config: object }>("dashboard/get/topom.json").config;
  const shown = configToJson(DASHBOARD_CONFIG, load('product_auth = "secret"'));
  const ours = ["allow_remote_unauthenticated"];
  expect(Object.keys(shown)).toEqual([...Object.keys(recorded), ...ours]);
  expect(shown.migration_timeout).toBe("30s");
  expect(shown.migration_async_maxbytes).toBe("32mb");
});

test("A broken rule is told in the original's words", () => {
  const rows: [string, string][] = [
    ['coordinator_name = ""', "invalid coordinator_name"],
    ['coordinator_name = "consul"', "invalid coordinator name = consul"],
    ['coordinator_addr = ""', "invalid coordinator_addr"],
    ['coordinator_auth = "nobody"', "invalid auth"],
    ['admin_addr = ""', "invalid admin_addr"],
    ['admin_addr = "18080"', "invalid admin_addr"],
    ['product_name = ""', "invalid product_name"],
    ['product_name = "-a"', "bad product name = -a"],
    ['migration_method = "fast"', "invalid migration_method"],
    ["migration_parallel_slots = 0", "invalid migration_parallel_slots"],
    ['migration_timeout = "0s"', "invalid migration_timeout"],
    ["sentinel_quorum = 0", "invalid sentinel_quorum"],
  ];
  for (const [text, message] of rows) {
    expect(() => load(text)).toThrow(new CodisError("usage", message));
  }
  expect(load('migration_method = "SEMI-ASYNC"').migration_method).toBe("SEMI-ASYNC");
});
