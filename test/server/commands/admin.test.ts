import { describe, expect, test } from "bun:test";
import { ALL_COMMANDS } from "../../../src/commands/lookup.ts";
import { REDIS_VERSION } from "../../../src/commands/redis-version.ts";
import { OwnServer } from "../../support/compare.ts";

/** Fields of an INFO reply by name. */
function fields(own: OwnServer, ...sections: string[]): Map<string, string> {
  const text = own.show("INFO", ...sections) as string;
  const lines = text.slice(1).split("\r\n");
  return new Map(
    lines
      .filter((line) => line.includes(":"))
      .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]),
  );
}

describe("INFO", () => {
  test("has the sections of Redis in their order, separated by empty lines", () => {
    const text = (new OwnServer().show("INFO") as string).slice(1);
    expect(text.match(/^# \w+/gm)!.map((title) => title.slice(2))).toEqual([
      "Server",
      "Clients",
      "Memory",
      "Persistence",
      "Stats",
      "Replication",
      "CPU",
      "Modules",
      "Errorstats",
      "Cluster",
      "Keyspace",
    ]);
    expect(text.split("\r\n\r\n# ")).toHaveLength(11);
    expect(text.replaceAll("\r\n", "")).not.toContain("\n");
  });

  test("has what dashboards and Sentinel read", () => {
    const own = new OwnServer();
    own.show("SET", "a", "1", "EX", "100");
    own.show("SELECT", "3");
    own.show("SET", "b", "1");
    const info = fields(own);
    for (const name of ["used_memory", "maxmemory", "run_id", "loading", "role", "redis_version"]) {
      expect(info.get(name)).toBeString();
    }
    expect(info.get("redis_version")).toBe(REDIS_VERSION);
    expect(own.show("HELLO")).toContainValues(["$version", `$${REDIS_VERSION}`]);
    expect(info.get("run_id")).toMatch(/^[\da-f]{40}$/);
    expect(info.get("role")).toBe("master");
    expect(info.get("db0")).toBe("keys=1,expires=1,avg_ttl=0");
    expect(info.get("db3")).toBe("keys=1,expires=0,avg_ttl=0");
    expect([...fields(own, "keyspace").keys()]).toEqual(["db0", "db3"]);
  });

  test("counts hits, misses, calls and errors; CONFIG RESETSTAT forgets them", () => {
    const own = new OwnServer();
    own.show("SET", "a", "1");
    own.show("GET", "a");
    own.show("GET", "b");
    own.show("LPUSH", "a", "x");
    own.show("nothing");
    expect(fields(own).get("keyspace_hits")).toBe("1");
    expect(fields(own).get("keyspace_misses")).toBe("1");
    const all = fields(own, "all");
    expect(all.get("cmdstat_get")).toStartWith("calls=2,");
    expect(all.get("cmdstat_lpush")).toContain("failed_calls=1");
    expect(all.get("errorstat_WRONGTYPE")).toBe("count=1");
    expect(all.get("errorstat_ERR")).toBe("count=1");
    own.show("CONFIG", "RESETSTAT");
    expect(fields(own, "all").get("cmdstat_get")).toBeUndefined();
    expect(fields(own).get("keyspace_hits")).toBe("0");
  });
});

describe("CLIENT REPLY", () => {
  test("OFF silences everything until ON, SKIP the next command only", () => {
    const own = new OwnServer();
    const ask = (...words: string[]): string => own.ask(words).toString();
    expect(ask("CLIENT", "REPLY", "SKIP")).toBe("");
    expect(ask("SET", "a", "1")).toBe("");
    expect(ask("GET", "a")).toBe("$1\r\n1\r\n");
    expect(ask("CLIENT", "REPLY", "OFF")).toBe("");
    expect(ask("INCR", "a")).toBe("");
    expect(ask("nothing")).toBe("");
    expect(ask("CLIENT", "REPLY", "ON")).toBe("+OK\r\n");
    expect(ask("GET", "a")).toBe("$1\r\n2\r\n");
  });
});

describe("SLOWLOG", () => {
  test("keeps the last calls that took long enough, shortened", () => {
    const own = new OwnServer();
    own.show("CONFIG", "SET", "slowlog-log-slower-than", "0", "slowlog-max-len", "3");
    own.show("SLOWLOG", "RESET");
    own.show("SET", "a", "x".repeat(200));
    own.show("DEL", ...Array.from({ length: 40 }, (_, i) => `key${i}`));
    const entries = own.show("SLOWLOG", "GET", "-1") as string[][][];
    expect(entries).toHaveLength(3);
    expect(entries[0]![3]).toHaveLength(32);
    expect(entries[0]![3]!.at(-1)).toBe("$... (10 more arguments)");
    expect(entries[1]![3]).toEqual(["$SET", "$a", `$${"x".repeat(128)}... (72 more bytes)`]);
    own.show("CONFIG", "SET", "slowlog-log-slower-than", "-1");
    own.show("SLOWLOG", "RESET");
    own.show("GET", "a");
    expect(own.show("SLOWLOG", "LEN")).toBe(":0");
  });

  test("shows no password", () => {
    const own = new OwnServer();
    own.show("CONFIG", "SET", "slowlog-log-slower-than", "0");
    own.show("HELLO", "2", "AUTH", "default", "hush", "SETNAME", "me");
    own.show("CONFIG", "SET", "maxclients", "100", "RequirePass", "hush");
    own.show("AUTH", "hush");
    own.show("AUTH", "default", "hush");
    const entries = own.show("SLOWLOG", "GET", "-1") as string[][][];
    const words = entries.map((entry) => entry[3]!.map((word) => word.slice(1)).join(" "));
    expect(words.slice(0, 4)).toEqual([
      "AUTH (redacted) (redacted)",
      "AUTH (redacted)",
      "CONFIG SET maxclients 100 RequirePass (redacted)",
      "HELLO 2 AUTH (redacted) (redacted) SETNAME me",
    ]);
  });
});

describe("CONFIG SET", () => {
  test("tells a size that is none from one out of bounds", () => {
    const own = new OwnServer();
    const answer = (value: string): string =>
      String(own.show("CONFIG", "SET", "maxmemory", value)).split(" - ")[1] ?? "OK";
    for (const text of ["x", "1zb", "", "-1"]) {
      expect([text, answer(text)]).toEqual([text, "argument must be a memory value"]);
    }
    expect(answer("1e99pb")).toBe("argument must be a memory value");
    expect(answer("9999999pb")).toMatch(/^argument must be between 0 and \d+ inclusive$/);
    expect(answer("1mb")).toBe("OK");
  });
});

describe("COMMAND", () => {
  test("lists what is served, and nothing else", () => {
    const own = new OwnServer();
    const served = ALL_COMMANDS.filter((command) => command.server);
    expect(own.show("COMMAND", "COUNT")).toBe(`:${served.length}`);
    expect(own.show("COMMAND")).toHaveLength(served.length);
    expect(own.show("COMMAND", "LIST")).toHaveLength(served.length);
    expect(own.show("COMMAND", "INFO", "get", "EVAL", "nothing")).toEqual([
      ["$get", ":2", ["+readonly", "+fast"], ":1", ":1", ":1", [], [], [], []],
      "$-1",
      "$-1",
    ]);
  });
});
