/** `codis proxy` as a process: what its flags do, how it comes online and how it ends. */

import { afterAll, afterEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAddress } from "../../src/base/address.ts";
import { encodeJson } from "../../src/model/encode.ts";
import { RespClient } from "../support/resp-client.ts";
import { TcpRedis } from "../support/tcp-redis.ts";

const MAIN = join(import.meta.dir, "../../cmd/codis.ts");

const dir = mkdtempSync(join(tmpdir(), "codis-proxy-"));
afterAll(() => rmSync(dir, { recursive: true }));
const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

function spawn(...args: string[]): Bun.Subprocess<"pipe", "pipe", "pipe"> {
  const options = { stdin: "pipe", stdout: "pipe", stderr: "pipe" } as const;
  const child = Bun.spawn([process.execPath, MAIN, "proxy", ...args], options);
  cleanups.push(() => {
    child.kill("SIGKILL");
    return child.exited;
  });
  return child;
}

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(...args);
  const out = await new Response(child.stdout).text();
  const err = await new Response(child.stderr).text();
  return { code: await child.exited, out, err };
}

function file(name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}

const ANY_PORTS = 'proxy_addr = "127.0.0.1:0"\nadmin_addr = "127.0.0.1:0"\n';

/** The line a supervised role prints when it serves. */
async function ready(
  child: Bun.Subprocess<"pipe", "pipe", "pipe">,
): Promise<{ proxy: string; admin: string }> {
  let text = "";
  for await (const chunk of child.stdout) {
    text += Buffer.from(chunk).toString();
    if (text.endsWith("\n")) break;
  }
  return (JSON.parse(text) as { addresses: { proxy: string; admin: string } }).addresses;
}

test("Slots of a file bring it online; SIGTERM ends it with 0 and takes the pid file away", async () => {
  const redis = await TcpRedis.start();
  cleanups.push(() => redis.stop());
  const slots = Array.from({ length: 1024 }, (_, id) => ({ id, backend_addr: redis.address }));
  const pidfile = join(dir, "proxy.pid");
  const config = file("proxy.toml", ANY_PORTS);
  const slotsFile = file("slots.json", encodeJson(slots));
  const child = spawn(
    ...["--config", config, "--fillslots", slotsFile, "--pidfile", pidfile],
    ...["--ncpu", "1", "--supervised"],
  );
  const { proxy } = await ready(child);
  const client = await RespClient.connect(parseAddress(proxy).port);
  expect(await client.call("SET", "a", "1")).toBe("OK");
  client.close();
  expect(readFileSync(pidfile, "utf8")).toBe(String(child.pid));
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
  expect(existsSync(pidfile)).toBe(false);
});

test("What cannot be used ends it with 2 and says why", async () => {
  const missing = join(dir, "missing.json");
  const cases: [string[], string][] = [
    [["--ncpu", "x"], "it must be an integer, 1 to "],
    [["--ncpu", "0"], "it must be an integer, 1 to 256"],
    [["--dashboard", "h:1", "--fillslots", "x"], "cannot be used with option '--fillslots <file>'"],
    [["--dashboard", ""], "option --dashboard requires an argument"],
    [
      ["--dashboard", "x"],
      "Cannot use dashboard 'x': it must be host:port, such as 127.0.0.1:18080",
    ],
    [["--dashboard", ":0"], "Cannot use dashboard ':0'"],
    [["--host-admin", "a:b:1"], "Cannot use --host-admin 'a:b:1'"],
    [["--host-proxy", "h:port"], "Cannot use --host-proxy 'h:port'"],
    [["--product_name", "a b"], "bad product name = a b"],
    [["--etcd", "h:1"], "--etcd is not supported yet"],
    [["--fillslots", missing], "load slots from file failed"],
    [["--fillslots", file("bad.json", '[{"id":1024}]')], "use of invalid slot id"],
    [["--config", file("bad.toml", "proxy_max_clients = -1")], "invalid proxy_max_clients"],
    [["--nonsense"], "unknown option '--nonsense'"],
    [["--log-level", "loud"], "it must be one of NONE, ERROR, WARN, INFO, DEBUG"],
    [["stray"], "too many arguments"],
  ];
  const results = await Promise.all(cases.map(([args]) => run(...args)));
  for (const [i, [args, text]] of cases.entries()) {
    expect([args, results[i]!.code, results[i]!.err]).toEqual([
      args,
      2,
      expect.stringContaining(text),
    ]);
  }
});

test("A dashboard's address that is none is found before a port is bound", async () => {
  const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const ports = `proxy_addr = "127.0.0.1:${taken.port}"\nadmin_addr = "127.0.0.1:0"\n`;
  const { code, out, err } = await run("--config", file("taken.toml", ports), "--dashboard", "x");
  taken.stop(true);
  expect([code, out, err]).toEqual([2, "", expect.stringContaining("Cannot use dashboard 'x'")]);
});

test("One that nobody puts online says that it waits, and what puts it online", async () => {
  const child = spawn("--config", file("bare.toml", ANY_PORTS), "--ncpu", "1");
  let log = "";
  for await (const chunk of child.stderr) {
    log += Buffer.from(chunk).toString();
    if (/\[WARN\].*\n/.test(log)) break;
  }
  expect(log).toMatch(
    /\[WARN\] clients are refused .*: codis admin proxy online 127\.0\.0\.1:\d+ --dashboard ADDR/,
  );
});

test("One that codis up puts online warns of nothing", async () => {
  const child = spawn("--config", file("bare.toml", ANY_PORTS), "--ncpu", "1", "--supervised");
  await ready(child);
  child.stdin.end();
  const log = await new Response(child.stderr).text();
  expect(await child.exited).toBe(0);
  expect(log).toInclude("[INFO] clients are refused until codis up puts this proxy online");
  expect(log).not.toInclude("[WARN]");
});

test("SIGHUP opens the log again, and a log that cannot be opened ends nothing", async () => {
  const logs = join(dir, "logs");
  mkdirSync(logs);
  const log = join(logs, "proxy.log");
  const args = ["--config", file("hangup.toml", ANY_PORTS), "--log", log, "--log-level", "warning"];
  const child = spawn(...args, "--supervised");
  const { admin } = await ready(child);
  rmSync(logs, { recursive: true });
  child.kill("SIGHUP");
  expect((await fetch(`http://${admin}/livez`)).status).toBe(200);
  mkdirSync(logs);
  child.kill("SIGHUP");
  while (!existsSync(log)) expect((await fetch(`http://${admin}/livez`)).status).toBe(200);
  child.stdin.end();
  expect(await child.exited).toBe(0);
});

test("It checks a file without starting", async () => {
  const good = await run("--test-config", "--config", file("good.toml", ANY_PORTS));
  expect([good.code, good.out]).toEqual([0, `${join(dir, "good.toml")}: ok\n`]);
  const wrong = 'sesion_auth = "x"\nproxy_max_clients = -1\nproto_type = 4\nprimary = 1\n';
  const misspelt = file("misspelt.toml", wrong);
  const bad = await run("--test-config", "--config", misspelt);
  expect([bad.code, bad.err]).toEqual([
    2,
    [
      "invalid proto_type: 4 is an integer, must be a string (line 3)",
      "invalid proxy_max_clients: -1 must be at least 0 (line 2)",
      "unknown key sesion_auth (line 1), did you mean session_auth?",
      "unknown key primary (line 4)",
    ]
      .map((problem) => `${misspelt}: ${problem}\n`)
      .join(""),
  ]);
});

test("A taken port ends it with 1 and names the port", async () => {
  const config = file("first.toml", ANY_PORTS);
  const first = spawn("--config", config, "--ncpu", "1", "--supervised");
  const { proxy } = await ready(first);
  const taken = file("taken.toml", `proxy_addr = "${proxy}"\nadmin_addr = "127.0.0.1:0"\n`);
  const second = await run("--config", taken);
  expect([second.code, second.err]).toEqual([1, expect.stringContaining(`listen on ${proxy}`)]);
  first.stdin.end();
  expect(await first.exited).toBe(0);
});
