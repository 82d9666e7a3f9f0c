/**
 * A `codis` word as a process, for tests: where it listens, what it logs, how it ends. Killed, and
 * its folder removed, when the test is over.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MAIN = join(import.meta.dir, "../../cmd/codis.ts");

export class RoleProcess implements AsyncDisposable {
  /** Its working directory. */
  readonly folder = mkdtempSync(join(tmpdir(), "codis-role-"));
  /** What it has logged so far. */
  log = "";
  #child: Bun.Subprocess<"pipe", "pipe", "pipe"> | undefined;
  #stderr: Promise<void> | undefined;
  #hasEnded = false;
  #onLogged: (() => void) | undefined;

  /** The path of a file in its folder, written. */
  write(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    return path;
  }

  start(...args: readonly string[]): void {
    const options = { stdin: "pipe", stdout: "pipe", stderr: "pipe" } as const;
    const child = Bun.spawn([process.execPath, MAIN, ...args], { ...options, cwd: this.folder });
    this.#child = child;
    this.#stderr = (async () => {
      for await (const chunk of child.stderr) {
        this.log += Buffer.from(chunk).toString();
        this.#onLogged?.();
      }
      this.#hasEnded = true;
      this.#onLogged?.();
    })();
  }

  /** Of a supervised one, what it listens on, once it serves. */
  async addresses(): Promise<Readonly<Record<string, string>>> {
    let text = "";
    for await (const chunk of this.#child!.stdout) {
      text += Buffer.from(chunk).toString();
      if (text.endsWith("\n")) break;
    }
    return (JSON.parse(text) as { addresses: Record<string, string> }).addresses;
  }

  /** Sends SIGHUP. @returns what is logged from then on, up to the line with `last` in it */
  async hangup(last: string): Promise<string> {
    const before = this.log.length;
    this.#child!.kill("SIGHUP");
    return await this.logged(last, before);
  }

  /** What is logged from `before` on, up to the line with `last` in it, once that is there. */
  async logged(last: string, before = 0): Promise<string> {
    for (;;) {
      const said = this.log.slice(before);
      const at = said.indexOf(last);
      const end = at < 0 ? -1 : said.indexOf("\n", at);
      if (end >= 0) return said.slice(0, end + 1);
      if (this.#hasEnded) throw new Error(`It ended before it said '${last}':\n${this.log}`);
      await new Promise<void>((resolve) => {
        this.#onLogged = resolve;
      });
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child!.kill(signal);
  }

  /** The exit code, after everything it logged was read. */
  async ended(): Promise<number> {
    await this.#stderr;
    return await this.#child!.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
    rmSync(this.folder, { recursive: true });
  }
}
