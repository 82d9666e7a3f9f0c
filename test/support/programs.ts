/**
 * Real programs for tests and benchmarks: stock redis-server, twemproxy, and roles of dist/codis,
 * each on free ports, with its output in a file of one temporary directory.
 *
 *   await using programs = new Programs();
 *   const redis = await programs.redis();
 *   const proxy = await programs.proxy({ backends: [redis.port, other.port] });
 *
 * A start resolves when the program serves. stop(), or the end of the scope, ends them all in
 * reverse order. Roles of codis also end when this process dies, as their stdin then closes.
 */

import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { SLOT_COUNT } from "../../src/slots/hash.ts";
import { programPath } from "./debian.ts";
import { EXECUTABLE, freePort } from "./up-cluster.ts";

/** A program that does not end by SIGTERM within this is killed. */
const STOP_MS = 10_000;
/** Between two attempts to connect to a program that starts. */
const CONNECT_RETRY_MS = 10;
const OUTPUT_SHOWN_CHARS = 2000;

export interface Program {
  readonly name: string;
  readonly pid: number;
  /** Where clients connect. */
  readonly port: number;
  /** Of roles with an admin API, else 0. */
  readonly adminPort: number;
  /** The exit code, when it has ended. */
  readonly exited: Promise<number>;
  readonly isRunning: boolean;
  /** The end of what it printed. */
  output(): string;
  stop(): Promise<void>;
}

export interface StartOptions {
  /** The core it must run on, all its threads; any when absent. */
  readonly core?: number | undefined;
  /** More words for its command line. */
  readonly args?: readonly string[];
  /** On top of this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface ProxyOptions extends StartOptions {
  /** Ports of servers on loopback that share the slots evenly, in ranges. */
  readonly backends: readonly number[];
  /** Lines of proxy.toml. */
  readonly config?: string;
  /** Event loops; 1 when absent. */
  readonly threads?: number;
}

export class Programs implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "codis-test-"));
  readonly #started: Program[] = [];
  #count = 0;

  /** A stock redis-server that keeps nothing on disk. */
  async redis(options: StartOptions = {}): Promise<Program> {
    const port = await freePort();
    const argv = [programPath("redis-server"), "--port", String(port), "--save", ""];
    argv.push("--appendonly", "no", "--bind", "127.0.0.1", "--dir", this.directory);
    return await this.#startOnPort("redis-server", argv, port, options);
  }

  /** twemproxy over two or more servers. @param pool lines of its pool, indented by two */
  async nutcracker(
    backends: readonly number[],
    pool: string,
    options: StartOptions = {},
  ): Promise<Program> {
    const port = await freePort();
    const servers = backends.map((backend) => `   - 127.0.0.1:${backend}:1`);
    const text = ["bench:", `  listen: 127.0.0.1:${port}`, pool, "  servers:", ...servers, ""];
    const path = this.#write("nutcracker.yml", text.join("\n"));
    const argv = [programPath("nutcracker"), "-c", path, "-s", String(await freePort())];
    return await this.#startOnPort("nutcracker", argv, port, options);
  }

  /** `codis server`, its data in memory unless `args` says otherwise. */
  async server(options: StartOptions = {}): Promise<Program> {
    const directory = join(this.directory, `server-${++this.#count}`);
    mkdirSync(directory);
    const argv = [EXECUTABLE, "server", "--port", "0", "--dir", directory, "--save", ""];
    return await this.#startRole("server", argv, options);
  }

  /** `codis proxy`, online. */
  async proxy(options: ProxyOptions): Promise<Program> {
    const { backends, config = "", threads = 1 } = options;
    const slots = Array.from({ length: SLOT_COUNT }, (_, id) => ({
      id,
      backend_addr: `127.0.0.1:${backends[Math.floor((id * backends.length) / SLOT_COUNT)]}`,
      backend_addr_group_id: 1,
    }));
    const ports = `proxy_addr = "127.0.0.1:0"\nadmin_addr = "127.0.0.1:0"\n`;
    const argv = [EXECUTABLE, "proxy", "--ncpu", String(threads)];
    argv.push("--config", this.#write("proxy.toml", ports + config));
    argv.push("--fillslots", this.#write("slots.json", JSON.stringify(slots)));
    return await this.#startRole("proxy", argv, options);
  }

  /**
   * `codis dashboard` over a filesystem coordinator in the temporary directory.
   * @param lines more of dashboard.toml
   */
  async dashboard(options: StartOptions = {}, lines: readonly string[] = []): Promise<Program> {
    const coordinator = join(this.directory, `coordinator-${++this.#count}`);
    const config = [
      `coordinator_name = "filesystem"`,
      `coordinator_addr = "${coordinator}"`,
      `admin_addr = "127.0.0.1:0"`,
      `product_name = "test"`,
      ...lines,
    ];
    const path = this.#write("dashboard.toml", `${config.join("\n")}\n`);
    return await this.#startRole("dashboard", [EXECUTABLE, "dashboard", "--config", path], options);
  }

  /** A program of this repository that prints the port it serves on as its first line. */
  async script(path: string, options: StartOptions = {}): Promise<Program> {
    const argv = [process.execPath, "run", path];
    const { child, outputPath } = this.#spawn(argv, options, "pipe");
    const port = Number(await firstLine("script", child, outputPath));
    return this.#keep("script", child, port, 0, outputPath);
  }

  async stop(): Promise<void> {
    for (const program of this.#started.splice(0).reverse()) await program.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #startRole(
    name: string,
    command: readonly string[],
    options: StartOptions,
  ): Promise<Program> {
    const argv = [...command, "--supervised", "--log-level", "WARN"];
    const { child, outputPath } = this.#spawn(argv, options, "pipe");
    const line = await firstLine(name, child, outputPath);
    const { addresses } = JSON.parse(line) as { addresses: Record<string, string> };
    const portOf = (address = ":0"): number => Number(address.slice(address.lastIndexOf(":") + 1));
    const adminPort = portOf(addresses.admin ?? addresses.dashboard);
    return this.#keep(name, child, portOf(addresses[name]), adminPort, outputPath);
  }

  async #startOnPort(
    name: string,
    argv: readonly string[],
    port: number,
    options: StartOptions,
  ): Promise<Program> {
    const { child, outputPath } = this.#spawn(argv, options, "file");
    const program = this.#keep(name, child, port, 0, outputPath);
    await untilConnects(program);
    return program;
  }

  #spawn(
    argv: readonly string[],
    { core, args = [], env = {} }: StartOptions,
    stdout: "pipe" | "file",
  ): { child: Subprocess; outputPath: string } {
    const outputPath = join(this.directory, `output-${++this.#count}.log`);
    const output = openSync(outputPath, "a");
    const pinned = core === undefined ? [] : [programPath("taskset"), "-c", String(core)];
    const child = Bun.spawn([...pinned, ...argv, ...args], {
      stdin: "pipe",
      stdout: stdout === "pipe" ? "pipe" : output,
      stderr: output,
      env: { ...process.env, ...env },
    });
    return { child, outputPath };
  }

  #keep(
    name: string,
    child: Subprocess,
    port: number,
    adminPort: number,
    outputPath: string,
  ): Program {
    const program: Program = {
      name,
      pid: child.pid,
      port,
      adminPort,
      exited: child.exited,
      get isRunning() {
        return child.exitCode === null && child.signalCode === null;
      },
      output: () => readFileSync(outputPath, "latin1").slice(-OUTPUT_SHOWN_CHARS),
      stop: () => endProcess(child),
    };
    this.#started.push(program);
    return program;
  }

  #write(name: string, text: string): string {
    const path = join(this.directory, `${++this.#count}-${name}`);
    writeFileSync(path, text);
    return path;
  }
}

async function endProcess(child: Subprocess): Promise<void> {
  child.kill("SIGTERM");
  const killer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await child.exited;
  clearTimeout(killer);
}

async function firstLine(name: string, child: Subprocess, outputPath: string): Promise<string> {
  const reader = (child.stdout as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) {
      const output = readFileSync(outputPath, "latin1");
      throw new Error(`${name} ended with ${await child.exited}: ${output}`);
    }
    text += decoder.decode(value, { stream: true });
  }
  reader.releaseLock();
  return text.slice(0, text.indexOf("\n"));
}

/** Resolves when the program accepts connections; there is no other sign of it. */
async function untilConnects(program: Program): Promise<void> {
  while (program.isRunning) {
    try {
      const socket = await Bun.connect({
        hostname: "127.0.0.1",
        port: program.port,
        socket: { data() {} },
      });
      socket.end();
      return;
    } catch {
      await new Promise((again) => setTimeout(again, CONNECT_RETRY_MS));
    }
  }
  throw new Error(`${program.name} ended at once: ${program.output()}`);
}
