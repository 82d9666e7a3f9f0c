/** Debian's redis-server on a TCP port of loopback, without persistence unless told otherwise. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bindPort } from "../../src/net/listener.ts";
import { programPath } from "./debian.ts";

const READY_LINE = "Ready to accept connections";
const ATTEMPTS = 5;

export class TcpRedis {
  readonly port: number;
  readonly #process: Bun.Subprocess<"ignore", "pipe", "ignore">;
  readonly #dir: string;

  private constructor(port: number, dir: string, options: readonly string[]) {
    this.port = port;
    this.#dir = dir;
    const listen = ["--port", String(port), "--bind", "127.0.0.1", "--dir", dir];
    this.#process = Bun.spawn(
      [programPath("redis-server"), ...listen, "--save", "", "--appendonly", "no", ...options],
      { stdin: "ignore", stdout: "pipe", stderr: "ignore" },
    );
  }

  /** @param options more options of its command line, `--requirepass x` */
  static async start(...options: readonly string[]): Promise<TcpRedis> {
    for (let i = 0; i < ATTEMPTS; i++) {
      // redis-server cannot take any free port by itself: another program may be faster than it.
      const free = bindPort("127.0.0.1", 0);
      free.close();
      const dir = mkdtempSync(join(tmpdir(), "tcp-redis-"));
      const redis = new TcpRedis(free.port, dir, options);
      if (await redis.#isReady()) return redis;
      await redis.stop();
    }
    throw new Error("redis-server does not start");
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** False when it ended instead. */
  async #isReady(): Promise<boolean> {
    let log = "";
    for await (const chunk of this.#process.stdout) {
      log += Buffer.from(chunk).toString();
      if (log.includes(READY_LINE)) return true;
    }
    return false;
  }

  async stop(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
