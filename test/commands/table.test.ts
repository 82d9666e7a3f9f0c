/** Rules every row of the table obeys, and the rows of Redis 7.0 against the installed server. */

import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ALL_COMMANDS, type Command, flagNames, lookupCommand } from "../../src/commands/lookup.ts";
import { MODULE_COMMANDS } from "../../src/commands/module-table.ts";
import { ADMIN, BLOCKING, MODULE, PUBSUB, READ, WRITE } from "../../src/commands/spec.ts";

function namesWhere(isOdd: (command: Command) => boolean): string[] {
  return ALL_COMMANDS.filter(isOdd).map((command) => command.name);
}

/** Arguments that can be keys at once, as far as the row tells. */
function maxKeys(command: Command): number {
  const { keys, first, last } = command;
  if (first !== 0) return last === first ? 1 : Number.POSITIVE_INFINITY;
  if ("sub" in keys) return 1;
  return Array.isArray(keys) ? 0 : Number.POSITIVE_INFINITY;
}

test("A command is a read or a write, not both", () => {
  expect(namesWhere(({ flags }) => (flags & READ) !== 0 && (flags & WRITE) !== 0)).toEqual([]);
});

test("What is forwarded has one key, what is split or colocated may have several", () => {
  expect(namesWhere((c) => c.proxy === "forward" && maxKeys(c) !== 1)).toEqual([]);
  expect(namesWhere((c) => c.proxy === "split" && maxKeys(c) < 2)).toEqual([]);
  expect(namesWhere((c) => c.proxy === "colocated" && maxKeys(c) < 2)).toEqual([]);
  expect(namesWhere((c) => c.proxy === "local" && maxKeys(c) !== 0)).toEqual([]);
});

test("Blocking, subscribing and administrative commands never share a connection", () => {
  const shared = (c: Command) => ["forward", "split", "colocated"].includes(c.proxy);
  expect(namesWhere((c) => shared(c) && (c.flags & (BLOCKING | PUBSUB | ADMIN)) !== 0)).toEqual([]);
});

test("A write without a key is refused or left for later", () => {
  const isKeyless = (c: Command) => maxKeys(c) === 0 && (c.flags & WRITE) !== 0;
  const refused = ["everywhere", "refuse", "later"];
  expect(namesWhere((c) => isKeyless(c) && !refused.includes(c.proxy))).toEqual([]);
});

test("Module rows carry the module flag, and our server serves none of them", () => {
  for (const name of Object.keys(MODULE_COMMANDS)) {
    const command = lookupCommand(Buffer.from(name), 0, name.length)!;
    expect([name, (command.flags & MODULE) !== 0, command.server]).toEqual([name, true, false]);
  }
});

test("Names are upper case and unique without it", () => {
  expect(namesWhere((c) => c.name !== c.name.toUpperCase())).toEqual([]);
  expect(new Set(ALL_COMMANDS.map((c) => c.lower)).size).toBe(ALL_COMMANDS.length);
});

/** [name, arity, flags, first key, last key, step, ...] as `COMMAND` answers. */
type RedisRow = [string, number, string[], number, number, number];

async function commandsOfRedis(): Promise<RedisRow[]> {
  const dir = mkdtempSync(join(tmpdir(), "codis-commands-"));
  const socket = join(dir, "redis.sock");
  const server = Bun.spawn(
    ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", dir],
    { stdout: "pipe", stderr: "ignore" },
  );
  try {
    const decoder = new TextDecoder();
    let log = "";
    for await (const chunk of server.stdout) {
      log += decoder.decode(chunk, { stream: true });
      if (/ready to accept connections/i.test(log)) break;
    }
    const cli = Bun.spawnSync(["redis-cli", "-s", socket, "--json", "COMMAND"]);
    return JSON.parse(cli.stdout.toString()) as RedisRow[];
  } finally {
    server.kill();
    await server.exited;
    rmSync(dir, { recursive: true });
  }
}

/** Arities that Redis 7.2 widened: WITHSCORE. */
const WIDENED: ReadonlyMap<string, number> = new Map([
  ["zrank", -3],
  ["zrevrank", -3],
]);

test("Every command of the installed redis-server has a row that says the same", async () => {
  const rows = await commandsOfRedis();
  expect(rows.length).toBeGreaterThan(200);
  for (const [name, stockArity, flags, ...range] of rows) {
    const arity = WIDENED.get(name) ?? stockArity;
    const command = lookupCommand(Buffer.from(name), 0, name.length);
    const shown = range.slice(0, 3);
    const ours = [name, command?.arity, new Set(flagNames(command?.flags ?? 0)), command?.shown];
    expect(ours).toEqual([name, arity, new Set(flags), shown as [number, number, number]]);
  }
});
