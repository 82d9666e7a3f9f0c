import { describe, expect, test } from "bun:test";
import {
  type ConfigValue,
  configToJson,
  defaultConfig,
  loadConfig,
  renderDefaults,
} from "../../src/base/config.ts";
import { errorText } from "../../src/base/errors.ts";
import { applyConfigFlags, PROXY_CONFIG, unservedWishes } from "../../src/proxy/config.ts";
import { readGolden } from "../golden/load.ts";

const OURS = ["compat", "allow_remote_unauthenticated", "session_output_max"];

function failure(text: string): string {
  try {
    loadConfig(PROXY_CONFIG, text);
  } catch (error) {
    return errorText(error);
  }
  throw new Error(`accepted: ${text}`);
}

describe("the proxy's configuration", () => {
  test("is shown as the original shows it, then our own keys", () => {
    const { config } = readGolden<{ config: Record<string, ConfigValue> }>("proxy/overview.json");
    const text = [
      'proxy_addr = "127.0.0.1:21011"',
      'admin_addr = "127.0.0.1:21012"',
      'proxy_datacenter = "dc-1"',
      'product_auth = "s3cret"',
    ].join("\n");
    const shown = configToJson(PROXY_CONFIG, loadConfig(PROXY_CONFIG, text).config);
    expect(Object.keys(shown)).toEqual([...Object.keys(config), ...OURS]);
    expect(shown).toMatchObject(config);
    expect(JSON.stringify(shown)).not.toContain("s3cret");
  });

  test("prints a default file that loads back to the defaults", () => {
    const loaded = loadConfig(PROXY_CONFIG, renderDefaults(PROXY_CONFIG));
    expect(loaded).toEqual({ config: defaultConfig(PROXY_CONFIG), warnings: [] });
  });

  test("is refused with the original's texts", () => {
    for (const [text, cause] of [
      ['product_name = ""', "invalid product_name"],
      ['product_name = "-x"', "bad product name = -x"],
      ['proto_type = ""', "invalid proto_type"],
      ['proxy_addr = ""', "invalid proxy_addr"],
      ['admin_addr = ""', "invalid admin_addr"],
      ['proxy_addr = "10.0.0.1"', "invalid proxy_addr: "],
      ['admin_addr = "gate"', "invalid admin_addr: "],
      ['jodis_name = "etcd"', "invalid jodis_addr"],
      ['jodis_auth = ":password"', "invalid auth"],
      ['jodis_timeout = "-1s"', "invalid jodis_timeout"],
      ["proxy_max_clients = -1", "invalid proxy_max_clients"],
      ["proxy_max_offheap_size = -1", "invalid proxy_max_offheap_size"],
      ["backend_ping_period = -1", "invalid backend_ping_period"],
      ["backend_max_pipeline = -1", "invalid backend_max_pipeline"],
      ["backend_number_databases = 0", "invalid backend_number_databases"],
      ["session_max_pipeline = -1", "invalid session_max_pipeline"],
      ['metrics_report_statsd_period = "-1s"', "invalid metrics_report_statsd_period"],
      ['compat = "old"', "invalid compat"],
    ] as const) {
      expect(failure(text)).toStartWith(cause);
    }
    const unlimited = "proxy_max_clients = 0\nbackend_max_pipeline = 0\nbackend_recv_timeout = 0";
    expect(loadConfig(PROXY_CONFIG, unlimited).warnings).toEqual([]);
  });

  test("takes three keys from the command line and checks them", () => {
    const config = defaultConfig(PROXY_CONFIG);
    const changed = applyConfigFlags(config, { product_name: "p", session_auth: "s" });
    expect([changed.product_name, changed.session_auth]).toEqual(["p", "s"]);
    expect(() => applyConfigFlags(config, { product_auth: "" })).toThrow(
      "option --product_auth requires an argument",
    );
    expect(() => applyConfigFlags(config, { product_name: "a b" })).toThrow(
      "bad product name = a b",
    );
  });

  test("says which wishes are not acted on", () => {
    expect(unservedWishes(defaultConfig(PROXY_CONFIG))).toEqual([]);
    const text = 'jodis_name = "zk"\njodis_addr = "h:1"\nmetrics_report_server = "http://h"';
    expect(unservedWishes(loadConfig(PROXY_CONFIG, text).config)).toHaveLength(2);
  });
});
