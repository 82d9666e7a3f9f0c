/**
 * A real cluster for a test: `dist/codis up` in a fresh directory on free ports, and the other
 * words of the executable against it. Everything it started has ended when stop() resolves.
 */

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Subprocess } from "bun";

/** What is tested: dist/codis, or the build that CODIS_EXECUTABLE names. */
export const EXECUTABLE = resolve(
  process.env.CODIS_EXECUTABLE ?? join(import.meta.dir, "../../dist/codis"),
);

/** `up` needs its base port and the blocks up to this offset behind it. */
const PORT_SPAN = 1_100;

export interface UpOptions {
  readonly servers?: number;
  readonly proxies?: number;
  /** On top of this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one word of the executable to its end. */
export async function runCodis(...argv: string[]): Promise<RunResult> {
  const child = Bun.spawn([EXECUTABLE, ...argv], {
    stdout: "pipe",
    stderr: "pipe",
    stdin: "ignore",
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { exitCode: await child.exited, stdout, stderr };
}

export class UpCluster {
  readonly directory: string;
  readonly port: number;
  readonly #options: UpOptions;
  #process: Subprocess<"ignore", "pipe", "pipe"> | undefined;
  #stderr = "";
  readonly #lineWaiters: { pattern: RegExp; resolve(line: string): void }[] = [];

  private constructor(directory: string, port: number, options: UpOptions) {
    this.directory = directory;
    this.port = port;
    this.#options = options;
  }

  /** Starts a cluster in a directory of its own. */
  static async start(options: UpOptions = {}): Promise<UpCluster> {
    const directory = mkdtempSync(join(tmpdir(), "codis-up-"));
    const cluster = new UpCluster(directory, await freePortBlock(), options);
    await cluster.up();
    return cluster;
  }

  get dashboard(): string {
    return `127.0.0.1:${this.port + 200}`;
  }

  /** @param id 1.. */
  serverPort(id: number): number {
    return this.port + 1000 + id - 1;
  }

  /** What `up` has said so far. */
  get stderr(): string {
    return this.#stderr;
  }

  get pid(): number {
    return this.#process!.pid;
  }

  /**
   * Starts `codis up`, resolves when it has printed the addresses.
   * @param options other than those it was made with, for this start
   */
  async up(options = this.#options): Promise<void> {
    const { servers = 4, proxies = 1, env = {} } = options;
    const child = Bun.spawn(
      [
        EXECUTABLE,
        "up",
        "--json",
        ...["--dir", this.directory, "--port", String(this.port)],
        ...["--servers", String(servers), "--proxies", String(proxies)],
      ],
      { stdin: "ignore", stdout: "pipe", stderr: "pipe", env: { ...process.env, ...env } },
    );
    this.#process = child;
    void this.#readLines(child.stderr);
    const { value } = await child.stdout.getReader().read();
    if (value === undefined) {
      throw new Error(`codis up ended with ${await child.exited}: ${this.#stderr}${this.logs()}`);
    }
  }

  /** Resolves with the next line of `up`'s stderr that matches. */
  nextLine(pattern: RegExp): Promise<string> {
    return new Promise((resolve) => this.#lineWaiters.push({ pattern, resolve }));
  }

  /** The pid of a child (`server-1`, `dashboard`, `proxy-1`) as `up` last named it. */
  pidOf(name: string): number {
    const matches = [...this.#stderr.matchAll(new RegExp(`${name} serves \\(pid (\\d+)\\)`, "g"))];
    return Number(matches.at(-1)![1]);
  }

  /** kill -9 of one child; resolves when `up` has it serving again. */
  async killAndWait(name: string): Promise<void> {
    const isBack = this.nextLine(new RegExp(`${name} serves`));
    process.kill(this.pidOf(name), "SIGKILL");
    await isBack;
  }

  /** kill -9 of `up` itself; resolves when its process is gone. */
  async killUp(): Promise<void> {
    process.kill(this.pid, "SIGKILL");
    await this.#process!.exited;
  }

  /** SIGTERM; the exit code. The directory stays. */
  async down(): Promise<number> {
    this.#process!.kill("SIGTERM");
    return this.#process!.exited;
  }

  /** Stops and removes everything. */
  async stop(): Promise<void> {
    await this.down();
    rmSync(this.directory, { recursive: true, force: true });
  }

  admin(...argv: string[]): Promise<RunResult> {
    return runCodis("admin", ...argv, "--dashboard", this.dashboard);
  }

  /** The ends of all logs, for the message of a failing test. */
  logs(): string {
    const names = ["dashboard", "proxy-1", "server-1"];
    return names
      .map((name) => join(this.directory, "log", `${name}.log`))
      .filter((path) => existsSync(path))
      .map((path) => `\n--- ${path}\n${readFileSync(path, "utf8").slice(-2000)}`)
      .join("");
  }

  async #readLines(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let partial = "";
    for await (const chunk of stream) {
      partial += decoder.decode(chunk, { stream: true });
      const lines = partial.split("\n");
      partial = lines.pop()!;
      for (const line of lines) this.#said(line);
    }
  }

  #said(line: string): void {
    this.#stderr += `${line}\n`;
    const index = this.#lineWaiters.findIndex(({ pattern }) => pattern.test(line));
    if (index >= 0) this.#lineWaiters.splice(index, 1)[0]!.resolve(line);
  }
}

/** A base port so that the ports `up` derives from it are free now. */
export async function freePortBlock(): Promise<number> {
  for (;;) {
    const base = 20_000 + Math.floor(Math.random() * 10_000);
    const offsets = [0, 1, 100, 101, 200, 1000, 1001, 1002, 1003, 1004, 1005, PORT_SPAN];
    const isFree = await Promise.all(offsets.map((offset) => isPortFree(base + offset)));
    if (isFree.every(Boolean)) return base;
  }
}

function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
      .once("error", () => resolve(false))
      .listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** One more `codis server`, as an operator would start it to grow a cluster. */
export class ExtraServer {
  readonly port: number;
  readonly #directory: string;
  readonly #process: Subprocess;

  private constructor(port: number, directory: string, process: Subprocess) {
    this.port = port;
    this.#directory = directory;
    this.#process = process;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Resolves when it serves. */
  static async start(): Promise<ExtraServer> {
    const directory = mkdtempSync(join(tmpdir(), "codis-server-"));
    const port = await freePort();
    const child = Bun.spawn(
      [EXECUTABLE, "server", "--port", String(port), "--dir", directory, "--supervised"],
      { stdin: "pipe", stdout: "pipe", stderr: "inherit" },
    );
    const { value } = await child.stdout.getReader().read();
    if (value === undefined) throw new Error(`codis server ended with ${await child.exited}`);
    return new ExtraServer(port, directory, child);
  }

  async stop(): Promise<void> {
    this.#process.kill("SIGTERM");
    await this.#process.exited;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
      .once("error", reject)
      .listen(0, "127.0.0.1", () => {
        const { port } = server.address() as { port: number };
        server.close(() => resolve(port));
      });
  });
}
