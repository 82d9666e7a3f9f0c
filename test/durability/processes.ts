/**
 * Servers in processes of their own: on a directory, under strace, on a small file system; killed
 * at any moment. Whoever starts one ends it.
 */

import { programPath } from "../support/debian.ts";
import { RespClient } from "../support/resp-client.ts";
import { textOfReply } from "./found.ts";

const CHILD = new URL("../server/aof/child.ts", import.meta.url).pathname;

export interface ServerProcess {
  readonly port: number;
  /** By SIGKILL, the first time; resolves when it is gone. */
  kill(): Promise<void>;
}

/** Configuration by name, as child.ts takes it. */
export type Options = Readonly<Record<string, string | number | boolean>>;

/**
 * @param wrapper a command line that ends in the server's
 * @throws saying what it printed, when it does not come to serve
 */
export async function startProcess(
  options: Options,
  wrapper: readonly string[] = [],
): Promise<ServerProcess> {
  const words = Object.entries(options).map(([key, value]) => `${key}=${value}`);
  const child = Bun.spawn([...wrapper, process.execPath, CHILD, ...words], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const errors = new Response(child.stderr).text();
  const text = await firstLine(child.stdout);
  if (text === "") {
    await child.exited;
    throw new Error(`the server did not start: ${await errors}`);
  }
  const { port } = JSON.parse(text) as { port: number };
  // Under a wrapper it is not the process that was spawned.
  const client = await RespClient.connect(port);
  const info = textOfReply(await client.call("INFO", "server"));
  client.close();
  const pid = Number(/process_id:(\d+)/.exec(info)![1]);
  let killed: Promise<unknown> | undefined;
  return {
    port,
    async kill() {
      if (killed === undefined) process.kill(pid, "SIGKILL");
      killed ??= child.exited;
      await killed;
    },
  };
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of stream) {
    text += Buffer.from(chunk).toString();
    if (text.includes("\n")) return text;
  }
  return "";
}

/** The wrapper that has system calls of the server fail. @param rules of strace, `name:error=EIO` */
export function straceWrapper(
  rules: readonly string[],
  paths: readonly string[],
): readonly string[] {
  const injections = rules.flatMap((rule) => ["-e", `inject=${rule}`]);
  const filters = paths.flatMap((path) => ["-P", path]);
  const names = rules.map((rule) => rule.split(":")[0]).join(",");
  const log = ["-o", "/dev/null"];
  return [
    programPath("strace"),
    "-f",
    "-qq",
    ...log,
    ...filters,
    "-e",
    `trace=${names}`,
    ...injections,
  ];
}

/** A file system in memory, in a mount namespace that lives until it is ended. */
export interface SmallDisk {
  /** Runs a command in the namespace, before what is to run there. */
  readonly wrapper: readonly string[];
  /** Takes all room but so many bytes. */
  fill(leftBytes: number): void;
  /** Gives it back. */
  empty(): void;
  end(): Promise<void>;
}

const BALLAST = "ballast";

/** @param dir where it is mounted @throws saying why it cannot be mounted */
export async function mountSmallDisk(dir: string, bytes: number): Promise<SmallDisk> {
  const isRoot = process.getuid?.() === 0;
  // Without root's rights, in a user namespace where we are root.
  const flags = isRoot ? ["-m"] : ["-U", "-r", "-m"];
  const script = `mount -t tmpfs -o size=${bytes} codis-test "$1" && echo ready && exec sleep infinity`;
  const holder = Bun.spawn([programPath("unshare"), ...flags, "sh", "-c", script, "sh", dir], {
    stdout: "pipe",
    stderr: "pipe",
  });
  if ((await firstLine(holder.stdout)) === "") {
    const why = await new Response(holder.stderr).text();
    throw new Error(
      `Cannot mount a tmpfs on ${dir}, which takes root or user namespaces (unshare ${flags.join(" ")}): ${why}`,
    );
  }
  const enter = isRoot ? ["-m"] : ["-U", "-m", "--preserve-credentials"];
  const wrapper = [programPath("nsenter"), "-t", String(holder.pid), ...enter, "--"];
  const run = (command: string): string => {
    const { exitCode, stdout, stderr } = Bun.spawnSync([
      ...wrapper,
      "sh",
      "-c",
      command,
      "sh",
      dir,
    ]);
    if (exitCode !== 0) throw new Error(`${command}: ${stderr.toString()}`);
    return stdout.toString();
  };
  return {
    wrapper,
    fill(leftBytes) {
      const free = Number(run('df --output=avail -B1 "$1" | tail -1'));
      const taken = Math.max(0, free - leftBytes);
      // Who else writes meanwhile may leave less than that.
      run(`head -c ${taken} /dev/zero >> "$1/${BALLAST}" 2>/dev/null || true`);
    },
    empty: () => void run(`rm -f "$1/${BALLAST}"`),
    async end() {
      holder.kill("SIGKILL");
      await holder.exited;
    },
  };
}
