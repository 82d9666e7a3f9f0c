/** redis-cli and redis-benchmark as a user runs them: arguments and stdin in; output, exit code out. */

import { programPath } from "../support/debian.ts";

/** A tool that has not ended by then is killed, and its result shows that. */
const TOOL_MS_MAX = 60_000;

export interface ToolResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ToolOptions {
  readonly stdin?: string;
  /** The tool runs until it is told to stop: when its output has matched, it gets SIGINT. */
  readonly stopAfter?: RegExp;
}

/** Runs a program to its end. */
export async function runTool(
  argv: readonly string[],
  { stdin, stopAfter }: ToolOptions = {},
): Promise<ToolResult> {
  const [program, ...args] = argv;
  const child = Bun.spawn([programPath(program!), ...args], {
    stdin: stdin === undefined ? "ignore" : new Blob([stdin]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const killer = setTimeout(() => child.kill("SIGKILL"), TOOL_MS_MAX);
  const readOutput = async (): Promise<string> => {
    const decoder = new TextDecoder();
    let output = "";
    for await (const chunk of child.stdout) {
      output += decoder.decode(chunk, { stream: true });
      if (stopAfter?.test(output)) child.kill("SIGINT");
    }
    return output;
  };
  const [stdout, stderr] = await Promise.all([readOutput(), new Response(child.stderr).text()]);
  const exitCode = await child.exited;
  clearTimeout(killer);
  return { exitCode, stdout, stderr };
}

/** `redis-cli -p PORT ...`, what it prints line by line as it prints it. */
export function redisCli(
  port: number,
  args: readonly string[],
  options: ToolOptions = {},
): Promise<ToolResult> {
  return runTool(["stdbuf", "-oL", "redis-cli", "-p", String(port), ...args], options);
}
