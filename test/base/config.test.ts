import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import {
  type ConfigTable,
  checkConfig,
  configSections,
  configToJson,
  defaultConfig,
  keyOutsideSections,
  loadConfig,
  renderDefaults,
} from "../../src/base/config.ts";
import { CodisError, errorText } from "../../src/base/errors.ts";
import { nearest } from "../../src/base/nearest.ts";

const TABLE = {
  product_name: {
    kind: "string",
    default: "demo",
    comment: "Name of the cluster.",
    check: (value) => (value === "" ? "must not be empty" : undefined),
    complaint: (value) => (value === "" ? "invalid product_name" : `bad product name = ${value}`),
  },
  product_auth: {
    kind: "string",
    default: "",
    comment: "Password.",
    secret: "omit",
    check: (value) => (value.includes(" ") ? "must have no blank" : undefined),
  },
  store_auth: { kind: "string", default: "", comment: "Password.", secret: "blank" },
  max_clients: { kind: "int", default: 1000, comment: "Most sessions at once." },
  primary_only: { kind: "bool", default: false, comment: "Read from primaries only." },
  recv_bufsize: { kind: "size", default: "128kb", comment: "Read buffer." },
  recv_timeout: { kind: "duration", default: "30s", comment: "Limit of one read.", min: 0 },
  compat: { kind: "choice", choices: ["", "codis"], default: "", comment: "Old behaviour." },
} as const satisfies ConfigTable;

function failure(text: string): string {
  try {
    loadConfig(TABLE, text);
  } catch (error) {
    expect(error).toBeInstanceOf(CodisError);
    expect((error as CodisError).code).toBe("usage");
    return errorText(error);
  }
  throw new Error(`accepted: ${text}`);
}

describe("loadConfig", () => {
  test("an empty file gives the defaults, sizes in bytes and times in milliseconds", () => {
    const { config, warnings } = loadConfig(TABLE, "");
    expect(warnings).toEqual([]);
    expect(config).toEqual({
      product_name: "demo",
      product_auth: "",
      store_auth: "",
      max_clients: 1000,
      primary_only: false,
      recv_bufsize: 131072,
      recv_timeout: 30000,
      compat: "",
    });
    expect(config).toEqual(defaultConfig(TABLE));
  });

  test("keys match without case and numbers stand for bytes and seconds", () => {
    const { config, warnings } = loadConfig(TABLE, "Recv_BufSize = 1024\nRECV_TIMEOUT = 1.5\n");
    expect(warnings).toEqual([]);
    expect(config.recv_bufsize).toBe(1024);
    expect(config.recv_timeout).toBe(1500);
  });

  test("an unknown key is a warning that names the nearest key and the line", () => {
    const { warnings } = loadConfig(TABLE, '\nprodcut_name = "x"\nzzz = 1\n');
    expect(warnings).toEqual([
      "unknown key prodcut_name (line 2), did you mean product_name?",
      "unknown key zzz (line 3)",
    ]);
  });

  test("a wrong type names key, value, rule and line", () => {
    expect(failure('\nmax_clients = "ten"')).toBe(
      'invalid max_clients: "ten" is a string, must be an integer (line 2)',
    );
    expect(failure("max_clients = 1.5")).toContain("1.5 is a float, must be an integer");
    expect(failure("product_name = 1")).toContain("1 is an integer, must be a string");
    expect(failure('primary_only = "yes"')).toContain('"yes" is a string, must be true or false');
    expect(failure("recv_timeout = [1]")).toContain("is an array, must be a time");
  });

  test("a broken rule begins with the original's text", () => {
    expect(failure("max_clients = -1")).toBe("invalid max_clients: -1 must be at least 0 (line 1)");
    expect(failure("max_clients = 9223372036854775807")).toContain("must be at most 2147483647");
    expect(failure('recv_bufsize = "-1"')).toContain("invalid recv_bufsize");
    expect(failure('recv_bufsize = "10000p"')).toContain("invalid recv_bufsize");
    expect(failure('recv_bufsize = "1MB"')).toContain("invalid bytesize");
    expect(failure('recv_timeout = "1h30m"')).toContain("invalid timesize");
    expect(failure('compat = "old"')).toBe(
      'invalid compat: "old" must be one of "", "codis" (line 1)',
    );
    expect(failure('product_name = ""')).toContain("invalid product_name");
  });

  test("a password never appears in an error", () => {
    expect(failure('product_auth = "hush hush"')).not.toContain("hush");
    expect(failure("product_auth = 12345")).not.toContain("12345");
  });

  test("bad TOML is reported with line and column", () => {
    expect(failure("a = 1\nb = = 2\n")).toMatch(/^bad TOML at line 2, column \d+: /);
    expect(failure("secret = pass word\n")).toEndWith(
      "; the value of secret must be a text in quotes, a number, or true or false",
    );
    expect(failure("secret = pass word\n")).not.toContain("pass word");
    expect(failure("primary_only = yes # or no\n")).toEndWith(
      "; primary_only = yes # or no: it must be true or false",
    );
    expect(failure("recv_bufsize = 1gb\n")).toEndWith(
      '; recv_bufsize = 1gb: it must be a size such as "128kb", in quotes',
    );
    expect(failure("Max_Clients = 1k\n")).toEndWith("; Max_Clients = 1k: it must be an integer");
    expect(failure(`product_name = ${"n".repeat(61)}\n`)).toEndWith(
      `; product_name = ${"n".repeat(60)}...: it must be a string, in quotes`,
    );
    expect(failure("product_auth = hush\n")).toEndWith(
      "; product_auth: it must be a string, in quotes",
    );
    expect(failure("max_clients = 1\nmax_clients = 2\n")).toEndWith("table or value: max_clients");
    expect(failure("# redis.conf\nappendonly yes\n")).toContain(
      "; a line is `appendonly = value`, texts in quotes: a file of redis-server cannot be used",
    );
    expect(failure("max_clients = 1\nMAX_CLIENTS = 2")).toContain("given twice (line 1)");
  });

  test("a section is read alone and the line is the one inside it", () => {
    const text = "[other]\nmax_clients = -5\n[proxy]\nmax_clients = 7\nnope = 1\n";
    const { config, warnings } = loadConfig(TABLE, text, "proxy");
    expect(config.max_clients).toBe(7);
    expect(warnings).toEqual(["unknown key nope (line 5)"]);
    expect(configSections(text)).toEqual(["other", "proxy"]);
    expect(loadConfig(TABLE, text, "absent").config).toEqual(defaultConfig(TABLE));
    expect(() => loadConfig(TABLE, "proxy = 1", "proxy")).toThrow("must be a table");
  });

  test("the first key outside all sections is found with its line", () => {
    expect(keyOutsideSections("# file\nport = 1\n[proxy]\nnope = 1\n")).toEqual({
      key: "port",
      where: "line 2",
    });
    expect(keyOutsideSections("proxy = { nope = 1 }\n[server]\nport = 1\n")).toBeUndefined();
    expect(keyOutsideSections("# nothing\n")).toBeUndefined();
  });

  test("checkConfig finds what a flag broke", () => {
    const config = { ...defaultConfig(TABLE), product_name: "" };
    expect(() => checkConfig(TABLE, config)).toThrow("invalid product_name");
    expect(() => checkConfig(TABLE, defaultConfig(TABLE))).not.toThrow();
  });
});

describe("renderDefaults", () => {
  test("loads back to the defaults, also under a section", () => {
    const text = renderDefaults(TABLE);
    expect(loadConfig(TABLE, text)).toEqual({ config: defaultConfig(TABLE), warnings: [] });
    const sectioned = renderDefaults(TABLE, "proxy");
    expect(loadConfig(TABLE, sectioned, "proxy").config).toEqual(defaultConfig(TABLE));
  });

  test("comments every key and keeps lines within 100 columns", () => {
    const long = { key: { kind: "int", default: 1, comment: "word ".repeat(60).trim() } } as const;
    const lines = renderDefaults(long).trimEnd().split("\n");
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(100);
    expect(lines.at(-1)).toBe("key = 1");
  });
});

test("configToJson shows texts for sizes and times and no password", () => {
  const config = { ...defaultConfig(TABLE), product_auth: "hush", store_auth: "user:hush" };
  expect(configToJson(TABLE, config)).toEqual({
    product_name: "demo",
    store_auth: "",
    max_clients: 1000,
    primary_only: false,
    recv_bufsize: "128kb",
    recv_timeout: "30s",
    compat: "",
  });
});

test("nearest finds a slip of the finger and nothing far away", () => {
  const words = ["session_auth", "session_max_pipeline", "proxy_addr"];
  expect(nearest("sesion_auth", words)).toBe("session_auth");
  expect(nearest("porxy-addr", words)).toBe("proxy_addr");
  expect(nearest("colour", words)).toBeUndefined();
});

interface UnitVector {
  readonly input: string;
  readonly ok: boolean;
  readonly shown_as?: string;
  readonly error?: string;
}

describe("recorded unit strings of the original", () => {
  const golden = JSON.parse(
    readFileSync(new URL("../golden/proxy/config-units.json", import.meta.url), "utf8"),
  ) as { bytesize: UnitVector[]; timesize: UnitVector[] };
  const table = {
    backend_recv_bufsize: { kind: "size", default: "128kb", comment: "Read buffer." },
    backend_recv_timeout: { kind: "duration", default: "30s", comment: "Read limit." },
  } as const satisfies ConfigTable;

  function check(key: keyof typeof table, vector: UnitVector): void {
    const text = `${key} = ${JSON.stringify(vector.input)}`;
    if (vector.ok) {
      const { config } = loadConfig(table, text);
      expect([vector.input, configToJson(table, config)[key]]).toEqual([
        vector.input,
        vector.shown_as!,
      ]);
      return;
    }
    let message = "";
    try {
      loadConfig(table, text);
    } catch (error) {
      message = errorText(error);
    }
    expect(message).toContain(vector.error!);
  }

  test("sizes", () => {
    for (const vector of golden.bytesize) check("backend_recv_bufsize", vector);
  });

  test("times", () => {
    for (const vector of golden.timesize) check("backend_recv_timeout", vector);
  });
});
