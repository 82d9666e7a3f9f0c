/**
 * redis-cli's usual modes, against our server and through our proxy before redis-servers: what it
 * prints and how it exits. What a proxy cannot do is refused in one line, and nothing hangs.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { programPath } from "../support/debian.ts";
import { Programs } from "../support/programs.ts";
import { redisCli, type ToolOptions, type ToolResult } from "./run-tool.ts";

const programs = new Programs();
const ports = new Map<string, number>();

beforeAll(async () => {
  const server = await programs.server();
  const stock = [await programs.redis(), await programs.redis()];
  const proxy = await programs.proxy({ backends: stock.map(({ port }) => port) });
  ports.set("server", server.port);
  ports.set("proxy", proxy.port);
}, 60_000);

afterAll(() => programs.stop(), 60_000);

function run(where: string, args: readonly string[], options?: ToolOptions): Promise<ToolResult> {
  return redisCli(ports.get(where)!, args, options);
}

/** Runs it, expects exit code 0 and silence on stderr. @returns what it printed */
async function printed(
  where: string,
  args: readonly string[],
  options?: ToolOptions,
): Promise<string> {
  const { exitCode, stdout, stderr } = await run(where, args, options);
  expect({ args, exitCode, stderr }).toEqual({ args, exitCode: 0, stderr: "" });
  return stdout;
}

/** Expects the tool to give up by itself with `text`. */
async function expectRefused(where: string, args: readonly string[], text: string): Promise<void> {
  const { exitCode, stdout, stderr } = await run(where, args);
  expect(stdout + stderr).toContain(text);
  expect([0, 1]).toContain(exitCode);
}

for (const where of ["server", "proxy"]) {
  describe(`redis-cli and a ${where}`, () => {
    test("one command on the command line, in each form of output", async () => {
      expect(await printed(where, ["SET", "k", "v"])).toBe("OK\n");
      expect(await printed(where, ["GET", "k"])).toBe("v\n");
      expect(await printed(where, ["--no-raw", "GET", "k"])).toBe('"v"\n');
      expect(await printed(where, ["--no-raw", "GET", "none"])).toBe("(nil)\n");
      expect(await printed(where, ["--no-raw", "STRLEN", "k"])).toBe("(integer) 1\n");
      expect(await printed(where, ["--csv", "MGET", "k", "none"])).toBe('"v",NULL\n');
      expect(await printed(where, ["--json", "MGET", "k", "none"])).toBe('["v",null]\n');
      expect(await printed(where, ["-d", ";", "MGET", "k", "k"])).toBe("v;v\n");
      expect(await printed(where, ["-2", "GET", "k"])).toBe("v\n");
      expect(await printed(where, ["-3", "GET", "k"])).toBe("v\n");
      expect(await printed(where, ["-c", "GET", "k"])).toBe("v\n");
      expect(await printed(where, ["-n", "1", "--no-raw", "GET", "k"])).toBe("(nil)\n");
      const url = `redis://127.0.0.1:${ports.get(where)}/1`;
      expect(await printed(where, ["-u", url, "--no-raw", "GET", "k"])).toBe("(nil)\n");
    });

    test("again and again with -r and -i", async () => {
      await printed(where, ["DEL", "n"]);
      expect(await printed(where, ["-r", "3", "INCR", "n"])).toBe("1\n2\n3\n");
      expect(await printed(where, ["-r", "2", "-i", "0.01", "INCR", "n"])).toBe("4\n5\n");
    });

    test("commands and values on stdin", async () => {
      const script = 'SET a "1 2"\nGET a\nNOSUCH x\nGET a\n';
      expect(await printed(where, [], { stdin: script })).toBe(
        "OK\n1 2\nERR unknown command 'NOSUCH', with args beginning with: 'x' \n\n1 2\n",
      );
      await printed(where, ["-x", "SET", "a"], { stdin: "from stdin\r\n" });
      expect(await printed(where, ["--no-raw", "GET", "a"])).toBe('"from stdin\\r\\n"\n');
      await printed(where, ["-X", "TAG", "SET", "a", "TAG"], { stdin: "tagged" });
      expect(await printed(where, ["GET", "a"])).toBe("tagged\n");
    });

    test("an error ends it with 1 when -e is given", async () => {
      const result = await run(where, ["-e", "NOSUCH"]);
      expect(result.exitCode).toBe(1);
      expect(result.stderr).toContain("unknown command 'NOSUCH'");
    });

    test("--pipe, with RESP and with lines", async () => {
      const resp = "*3\r\n$3\r\nSET\r\n$2\r\np0\r\n$1\r\n0\r\n";
      const lines = Array.from({ length: 999 }, (_, i) => `SET p${i + 1} ${i}\r\n`).join("");
      const report = await printed(where, ["--pipe"], { stdin: resp + lines });
      expect(report).toContain("errors: 0, replies: 1000");
      expect(await printed(where, ["GET", "p999"])).toBe("998\n");
      const wrong = await run(where, ["--pipe"], { stdin: "SET p\r\nSET p 1\r\n" });
      expect(wrong.stdout + wrong.stderr).toContain("errors: 1, replies: 2");
      expect(wrong.exitCode).toBe(1);
    });

    test("interactive, in a terminal", async () => {
      const session = await typeInTerminal(ports.get(where)!, [
        ["SET t 41", "OK"],
        ["INCR t", "(integer) 42"],
        ["GET t", '"42"'],
        ["SELECT 1", "OK"],
        ["GET t", "(nil)"],
      ]);
      expect(session.exitCode).toBe(0);
    });

    test("--latency in its forms", async () => {
      expect(await printed(where, ["--latency", "--raw", "-i", "0.1"])).toMatch(
        /^\d+ \d+ [\d.]+ \d+\n$/,
      );
      expect(await printed(where, ["--latency", "--csv", "-i", "0.1"])).toMatch(
        /^\d+,\d+,[\d.]+,\d+\n$/,
      );
      const { stdout } = await run(where, ["--latency-history", "-i", "0.1"], {
        stopAfter: /\n.*\n/,
      });
      expect(stdout).toMatch(/^(\d+ \d+ [\d.]+ \d+\n){2,}/);
    });

    test("--stat", async () => {
      const { stdout } = await run(where, ["--stat", "-i", "0.05"], { stopAfter: /(\n.*){4}/ });
      expect(stdout).toMatch(/^-+ data -+ -+ load/);
      expect(stdout).toMatch(/\n\d+ +[\d.]+[BKMG] +\d+ +\d+ +\d+ \(\+0\) +\d+/);
    });

    test("INFO, COMMAND, PING, ECHO, TIME", async () => {
      expect(await printed(where, ["INFO"])).toMatch(/# Server\r?\nredis_version:\d+\.\d+/);
      expect(Number(await printed(where, ["COMMAND", "COUNT"]))).toBeGreaterThan(100);
      expect(await printed(where, ["PING"])).toBe("PONG\n");
      expect(await printed(where, ["ECHO", "x y"])).toBe("x y\n");
    });

    test("what is not supported yet is refused", async () => {
      for (const args of [
        ["EVAL", "return 1", "0"],
        ["--eval", "/dev/null"],
        ["MULTI"],
        ["SUBSCRIBE", "c"],
        ["BLPOP", "l", "0"],
        ["MONITOR"],
        ["--rdb", "/dev/null"],
        ["--replica"],
        ["--cluster", "check", `127.0.0.1:${ports.get(where)}`],
      ]) {
        const { exitCode, stdout, stderr } = await run(where, args);
        expect(`${args}: ${stdout}${stderr}`).toMatch(
          /ERR unknown command|not supported yet|not allowed|not configured as a cluster/,
        );
        expect([0, 1]).toContain(exitCode);
      }
    });
  });
}

describe("redis-cli looks at all keys", () => {
  test("of a server: --scan, --bigkeys, --memkeys, KEYS, DBSIZE", async () => {
    await printed("server", ["FLUSHALL"]);
    await printed("server", ["MSET", "user:1", "x", "user:2", "longer value", "other", "1"]);
    await printed("server", ["RPUSH", "list", "a", "b", "c"]);
    await printed("server", ["ZADD", "zset", "1", "m"]);
    const all = (await printed("server", ["--scan"])).trim().split("\n");
    expect(all.sort()).toEqual(["list", "other", "user:1", "user:2", "zset"]);
    const users = await printed("server", ["--scan", "--pattern", "user:*"]);
    expect(users.trim().split("\n").sort()).toEqual(["user:1", "user:2"]);
    const big = await printed("server", ["--bigkeys"]);
    expect(big).toContain("Sampled 5 keys in the keyspace!");
    expect(big).toContain(`Biggest   list found '"list"' has 3 items`);
    expect(big).toContain(`Biggest string found '"user:2"' has 12 bytes`);
    const memory = await printed("server", ["--memkeys"]);
    expect(memory).toContain("Sampled 5 keys in the keyspace!");
    expect(await printed("server", ["DBSIZE"])).toBe("5\n");
    expect((await printed("server", ["KEYS", "user:?"])).trim().split("\n").length).toBe(2);
  });

  test("of a proxy: refused", async () => {
    await expectRefused("proxy", ["--scan"], "command 'SCAN' is not allowed");
    await expectRefused("proxy", ["--bigkeys"], "command 'DBSIZE' is not allowed");
    await expectRefused("proxy", ["KEYS", "*"], "command 'KEYS' is not allowed");
  });
});

/** Types lines into redis-cli in a terminal, each after the answer to the one before. */
async function typeInTerminal(
  port: number,
  exchanges: readonly (readonly [line: string, answer: string])[],
): Promise<{ exitCode: number }> {
  let screen = "";
  let onOutput = (): void => {};
  const child = Bun.spawn([programPath("redis-cli"), "-p", String(port)], {
    env: { ...process.env, TERM: "xterm", HISTFILE: "/dev/null", REDISCLI_HISTFILE: "/dev/null" },
    terminal: {
      cols: 120,
      rows: 24,
      data(_, chunk) {
        screen += Buffer.from(chunk).toString();
        onOutput();
      },
    },
  });
  // The prompt is written when the line editor is ready, and again at each key.
  const promptAfter = (text: string): Promise<void> =>
    new Promise((resolve) => {
      onOutput = () => {
        const at = screen.indexOf(text);
        if (at >= 0 && screen.indexOf("> ", at + text.length) >= 0) resolve();
      };
      onOutput();
    });
  await promptAfter("");
  for (const [line, answer] of exchanges) {
    screen = "";
    child.terminal!.write(`${line}\r`);
    await promptAfter(`\n${answer}`);
  }
  child.terminal!.write("quit\r");
  return { exitCode: await child.exited };
}
