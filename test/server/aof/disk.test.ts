/**
 * The append-only file on a real disk that fails: the order of writing, syncing and answering as
 * the kernel sees it (strace), a sync that fails (injected by strace), a disk that is full (a small
 * tmpfs in a namespace of its own, which needs root).
 */

import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorReply, type Reply } from "../../../src/resp/reply.ts";
import { programPath } from "../../support/debian.ts";
import { ConnectionLost, RespClient } from "../../support/resp-client.ts";

const CHILD = new URL("./child.ts", import.meta.url).pathname;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

function temporaryDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "codis-disk-"));
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function textOf(reply: Reply): string {
  return reply instanceof ErrorReply ? reply.text : String(reply);
}

/** Starts the server by `command`, which ends in it; its port, and its process id. */
async function start(command: readonly string[]): Promise<{ port: number; pid: number }> {
  const child = Bun.spawn([...command], { stdout: "pipe", stderr: "inherit" });
  let text = "";
  for await (const chunk of child.stdout) {
    text += Buffer.from(chunk).toString();
    if (text.includes("\n")) break;
  }
  const { port } = JSON.parse(text) as { port: number };
  const client = await RespClient.connect(port);
  const info = textOf(await client.call("INFO", "server"));
  const pid = Number(/process_id:(\d+)/.exec(info)![1]);
  client.close();
  cleanups.push(async () => {
    process.kill(pid, "SIGKILL");
    await child.exited;
  });
  return { port, pid };
}

test("Under always a reply leaves after its change was written and synced", async () => {
  const dir = temporaryDir();
  const trace = join(dir, "trace");
  const strace = `${programPath("strace")} -f -qq -s 80 -e trace=fdatasync,write,sendto -o ${trace}`;
  const { port } = await start([
    ...strace.split(" "),
    process.execPath,
    CHILD,
    `dir=${dir}`,
    "appendfsync=always",
  ]);
  const client = await RespClient.connect(port);
  for (let i = 0; i < 20; i++) await client.call("SET", `key-${i}`, "v");
  const lines = readFileSync(trace, "latin1").split("\n");
  let from = 0;
  for (let i = 0; i < 20; i++) {
    const written = lines.findIndex((line, at) => at >= from && line.includes(`key-${i}\\r`));
    const synced = lines.findIndex(
      (line, at) => at > written && /fdatasync\(\d+\) += 0/.test(line),
    );
    const answered = lines.findIndex(
      (line, at) => at > written && line.includes("sendto(") && line.includes("+OK"),
    );
    expect([written >= from, synced > written, answered > synced]).toEqual([true, true, true]);
    from = answered;
  }
}, 30_000);

test("A sync that fails closes those whose change it was, refuses the next, and heals", async () => {
  const dir = temporaryDir();
  // The first five are those of the start and of the first changes.
  const inject = "inject=fdatasync:error=EIO:when=6";
  const strace = `${programPath("strace")} -f -qq -e trace=fdatasync -e ${inject} -o ${dir}/trace`;
  const { port } = await start([
    ...strace.split(" "),
    process.execPath,
    CHILD,
    `dir=${dir}`,
    "appendfsync=always",
  ]);
  const reader = await RespClient.connect(port);
  const answered: string[] = [];
  let lost = "";
  for (let i = 0; lost === "" && i < 50; i++) {
    const client = await RespClient.connect(port);
    try {
      await client.call("SET", `key-${i}`, "v");
      answered.push(`key-${i}`);
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      lost = `key-${i}`;
    }
    client.close();
  }
  expect(lost).not.toBe("");
  expect(textOf(await reader.call("GET", "key-0"))).toBe("v");
  // A rewrite begins within a tick; from its end on changes are taken again.
  let reply = "";
  let refused = 0;
  while (reply !== "OK") {
    reply = textOf(await reader.call("SET", "after", "v"));
    if (reply === "OK") break;
    expect(reply).toContain("MISCONF Errors writing to the AOF file: Input/output error");
    refused++;
  }
  expect(refused).toBeGreaterThan(0);
  for (const key of answered) expect(textOf(await reader.call("GET", key))).toBe("v");
}, 30_000);

test("On a full disk changes are refused and nothing is lost; with room it goes on", async () => {
  const dir = temporaryDir();
  const mount = `mount -t tmpfs -o size=1m codis-test ${dir} && exec "$@"`;
  const { port, pid } = await start([
    programPath("unshare"),
    "-m",
    "sh",
    "-c",
    mount,
    "sh",
    process.execPath,
    CHILD,
    `dir=${dir}`,
    "appendfsync=always",
    "auto-aof-rewrite-percentage=0",
  ]);
  const answered: string[] = [];
  const value = "v".repeat(50_000);
  let isFull = false;
  for (let i = 0; !isFull; i++) {
    const client = await RespClient.connect(port);
    try {
      const reply = textOf(await client.call("SET", `key-${i}`, value));
      if (reply === "OK") answered.push(`key-${i}`);
      else isFull = reply.includes("MISCONF");
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
    }
    client.close();
  }
  const client = await RespClient.connect(port);
  expect(textOf(await client.call("SET", "x", "1"))).toContain("No space left on device");
  expect(textOf(await client.call("GET", answered[0]!))).toBe(value);
  const enter = ["nsenter", "-t", String(pid), "-m", "mount", "-o", "remount,size=20m", dir];
  expect(Bun.spawnSync(enter).exitCode).toBe(0);
  while (textOf(await client.call("SET", "x", "1")) !== "OK");
  for (const key of answered) expect(textOf(await client.call("GET", key))).toBe(value);
}, 30_000);
