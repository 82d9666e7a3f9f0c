/** `codis up` as a user meets it: what it prints, what it refuses, and that it finds its data again. */

import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { slotOf } from "../../src/slots/hash.ts";
import { RespClient } from "../support/resp-client.ts";
import { freePortBlock, runCodis, UpCluster } from "../support/up-cluster.ts";

test("A first start serves, and a later one finds the same data and cluster", async () => {
  const cluster = await UpCluster.start({ servers: 3, proxies: 2 });
  try {
    const writer = await RespClient.connect(cluster.port);
    const keys = Array.from({ length: 300 }, (_, i) => `key:${i}`);
    await writer.pipeline(keys.map((key) => ["SET", key, `value of ${key}`]));
    writer.close();
    const { stdout: before } = await cluster.admin("slot", "list", "--json");
    expect(await cluster.down()).toBe(0);

    await cluster.up();
    // The second proxy serves the same data.
    const reader = await RespClient.connect(cluster.port + 1);
    const replies = await reader.pipeline(keys.map((key) => ["GET", key]));
    expect(replies.map(String)).toEqual(keys.map((key) => `value of ${key}`));
    reader.close();
    const { stdout: after } = await cluster.admin("slot", "list", "--json");
    expect(JSON.parse(after)).toEqual(JSON.parse(before));
    for (const name of readdirSync(join(cluster.directory, "log"))) {
      const log = readFileSync(join(cluster.directory, "log", name), "utf8");
      expect([name, /.*\[(WARN|ERROR)\].*/.exec(log)?.[0] ?? ""]).toEqual([name, ""]);
    }
  } finally {
    await cluster.stop();
  }
}, 120_000);

test("A start without the coordinator's files gives the slots to the servers that have their keys", async () => {
  const cluster = await UpCluster.start({ servers: 2 });
  try {
    const writer = await RespClient.connect(cluster.port);
    const requests = Array.from({ length: 300 }, (_, i) => ["SET", `key:${i}`, String(i)]);
    await writer.pipeline([...requests, ["SELECT", 1], ["SET", "key:other", "1"]]);
    writer.close();
    await cluster.admin("slot", "migrate", "--from", "1", "--to", "2", "--count", "300");
    await cluster.down();
    rmSync(join(cluster.directory, "coordinator"), { recursive: true });

    await cluster.up();
    const reader = await RespClient.connect(cluster.port);
    const replies = await reader.pipeline(requests.map(([, key]) => ["GET", key!]));
    expect(replies.map(String)).toEqual(requests.map(([, , value]) => value!));
    await reader.call("SELECT", 1);
    expect(String(await reader.call("GET", "key:other"))).toBe("1");
    reader.close();

    // A slot that moved, and was written at its old server since.
    const moved = requests.find(([, key]) => slotOf(Buffer.from(key!)) < 300)![1]!;
    const stray = await RespClient.connect(cluster.serverPort(1));
    await stray.call("SET", moved, "old");
    stray.close();
    await cluster.down();
    rmSync(join(cluster.directory, "coordinator"), { recursive: true });
    const { exitCode, stderr } = await runCodis("up", "--dir", cluster.directory);
    expect(exitCode, stderr).toBe(1);
    expect(stderr).toContain(`both have keys of slot ${slotOf(Buffer.from(moved))}`);
  } finally {
    await cluster.stop();
  }
}, 120_000);

test("A proxy that is removed comes back, as up promised its address", async () => {
  const cluster = await UpCluster.start({ servers: 1, proxies: 2 });
  try {
    const { stdout: before } = await cluster.admin("proxy", "list", "--json");
    const tokens = Object.keys((JSON.parse(before) as { stats: object }).stats);
    const isBack = cluster.nextLine(/proxy-2 serves/);
    expect((await cluster.admin("proxy", "remove", "2")).stdout).toBe("ok\n");
    await isBack;
    expect(cluster.stderr).toContain("proxy-2 ended with exit code 0; starting it again in 50 ms");
    const client = await RespClient.connect(cluster.port + 1);
    expect(await client.call("SET", "k", "v")).toBe("OK");
    client.close();
    const { stdout: after } = await cluster.admin("proxy", "list", "--json");
    const stats = Object.values((JSON.parse(after) as { stats: object }).stats);
    expect(stats.map((each: { stats?: { online: boolean } }) => each.stats?.online)).toEqual(
      tokens.map(() => true),
    );
  } finally {
    await cluster.stop();
  }
}, 60_000);

test("A second up on the same directory is refused and harms nothing", async () => {
  const cluster = await UpCluster.start({ servers: 1 });
  try {
    const second = await runCodis("up", "--dir", cluster.directory, "--port", String(cluster.port));
    expect(second.exitCode).toBe(1);
    expect(second.stderr).toContain("another codis up is running");
    const client = await RespClient.connect(cluster.port);
    expect(await client.call("PING")).toBe("PONG");
    client.close();
  } finally {
    await cluster.stop();
  }
}, 60_000);

/** A process that stays stopped would keep its ports. */
function continueIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGCONT");
  } catch {
    // It has ended.
  }
}

test("A start after kill -9 of up waits for children that still end, and not for ever", async () => {
  const cluster = await UpCluster.start({ servers: 1 });
  const server = cluster.pidOf("server-1");
  try {
    process.kill(server, "SIGSTOP");
    await cluster.killUp();
    const refused = await runCodis("up", "--dir", cluster.directory);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toContain(
      "processes of an earlier start still run there; end them, fuser ",
    );
    const isWaiting = cluster.nextLine(/waiting for the processes of the last start to end/);
    const isUp = cluster.up();
    await isWaiting;
    process.kill(server, "SIGCONT");
    await isUp;
  } finally {
    continueIfThere(server);
    await cluster.stop();
  }
});

test("A taken port is an error that names it, and nothing is started or written", async () => {
  const directory = mkdtempSync(join(tmpdir(), "codis-up-"));
  const port = await freePortBlock();
  const holder = createServer().listen(port, "127.0.0.1");
  try {
    const { exitCode, stderr } = await runCodis("up", "--dir", directory, "--port", String(port));
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`127.0.0.1:${port}`);
    expect(readdirSync(directory)).toEqual([]);
  } finally {
    holder.close();
    rmSync(directory, { recursive: true });
  }
}, 30_000);

test("A directory that cannot be made is an error that names it", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "codis-up-")), "a-file");
  writeFileSync(file, "");
  const { exitCode, stderr } = await runCodis("up", "--dir", join(file, "below"));
  expect(exitCode).toBe(1);
  expect(stderr).toContain(join(file, "below"));
}, 30_000);

test("Wrong numbers are refused with value and rule", async () => {
  const directory = join(tmpdir(), `codis-up-never-${process.pid}`);
  const cases: readonly (readonly [string[], string])[] = [
    [["--servers", "0"], "--servers 0"],
    [["--servers", "1025"], "1..1024"],
    [["--proxies", "x"], "--proxies x"],
    [["--port", "65000"], "--port 65000"],
    [["--prot", "1"], "--port"],
  ];
  for (const [argv, text] of cases) {
    const { exitCode, stderr } = await runCodis("up", "--dir", directory, ...argv);
    expect(exitCode, stderr).toBe(2);
    expect(stderr).toContain(text);
  }
  expect(existsSync(directory)).toBe(false);
}, 30_000);

test("Later starts may add servers and proxies, but not take them away", async () => {
  const cluster = await UpCluster.start({ servers: 2, proxies: 2 });
  try {
    await cluster.down();
    const fewer = await runCodis("up", "--dir", cluster.directory, "--servers", "1");
    expect(fewer.exitCode).toBe(2);
    expect(fewer.stderr).toContain("--servers 2 or more");
    const hidden = await runCodis("up", "--dir", cluster.directory, "--proxies", "1");
    expect(hidden.stderr).toContain("clients may use each of them; start with --proxies 2 or more");
    const saved = JSON.parse(readFileSync(join(cluster.directory, "up.json"), "utf8"));
    expect(saved.servers).toBe(2);
    expect(existsSync(join(cluster.directory, "server-2"))).toBe(true);
    await cluster.up();
    expect(cluster.stderr).not.toContain("no slots yet");
    await cluster.down();
    const hint = cluster.nextLine(/no slots yet/);
    await cluster.up({ servers: 4, proxies: 2 });
    expect(await hint).toContain("groups 3, 4 have no slots yet");
    expect(await hint).toEndWith(`admin rebalance --confirm --dashboard ${cluster.dashboard}`);
  } finally {
    await cluster.stop();
  }
}, 60_000);
