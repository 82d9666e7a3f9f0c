/**
 * Damage to files of a server that has ended: tails that never reached the disk whole, and flipped
 * bits. What must come of it:
 *
 *   torn tail of the log     cut with a message; what is before it is there; then all is quiet
 *   torn snapshot            no start, the file and the offset named, nothing changed
 *   flipped bit              in a manifest and an RDB file, found: the file and the place named, no
 *                            start, nothing changed; or it was a bit that says nothing
 *                            in a log, found where it breaks a record or a command; a bit of a key
 *                            or a value is as good as any other, since the format has no checksum:
 *                            then what redis-server makes of the same files is what must be there
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CodisError } from "../../src/base/errors.ts";
import type { SavingServer } from "../server/rdb/world.ts";
import type { MemoryFiles } from "../support/memory-files.ts";
import type { Prng } from "../support/prng.ts";
import { RespClient } from "../support/resp-client.ts";
import { TcpRedis } from "../support/tcp-redis.ts";
import { askOwn, askWire, readState } from "./found.ts";
import {
  copyDisks,
  type Disks,
  type Keeping,
  newDisks,
  showDisks,
  startOn,
} from "./memory-servers.ts";
import type { State, Word } from "./model.ts";
import { Stream } from "./workload.ts";

const COMMANDS = 250;
const TEARS = 12;
const FLIPS = 40;
/** Flips of a round that redis-server is asked about; to start it takes a while. */
const ORACLE_MAX = 2;
/** A message about damage says where. */
const PLACE = /offset \d+|line \d+|it has \d+ bytes/;

/** What a server left behind, and what was in it. */
interface Remains {
  readonly disks: Disks;
  readonly keeping: Keeping;
  readonly stream: Stream;
  readonly state: State;
  readonly nowMs: number;
  /** Bytes of the last increment, and commands, after each command since it was begun. */
  readonly sizes: readonly { readonly bytes: number; readonly count: number }[];
}

// -- what is damaged ------------------------------------------------------------------------------

async function makeRemains(prng: Prng, keeping: Keeping): Promise<Remains> {
  const disks = newDisks();
  const stream = new Stream("a", prng, true);
  const nowMs = Date.now();
  if (prng.oneIn(3)) {
    // The log will begin with an RDB file.
    const { own } = await startOn(disks, { keeping: "snapshots", policy: "no" }, nowMs);
    for (const words of stream.fill()) own.ask(words);
    own.ask(["SAVE"]);
  }
  const server = await startOn(disks, { keeping, policy: "no" }, nowMs);
  const logged = new Logged(server, disks.log);
  if (stream.commands.length === 0) for (const words of stream.fill()) logged.execute(words, 0);
  logged.execute(stream.reconnect(), stream.commands.length);
  for (let i = 0; i < COMMANDS; i++) {
    if (prng.oneIn(COMMANDS / 2)) await logged.rewrite();
    logged.execute(stream.next(), stream.commands.length);
  }
  // Keys with little time left are gone whoever looks.
  server.own.clock.advance(1000);
  server.own.state.databases.nowMs = server.own.clock.now();
  const state = await readState(askOwn(server.own));
  if (keeping === "snapshots") server.own.ask(["SAVE"]);
  await server.own.state.journal?.close();
  return {
    disks: copyDisks(disks),
    keeping,
    stream,
    state,
    nowMs: server.own.clock.now(),
    sizes: logged.sizes,
  };
}

/** A server that commits after each command, and the size of its log then. */
class Logged {
  sizes: { readonly bytes: number; readonly count: number }[] = [];
  readonly #server: SavingServer;
  readonly #log: MemoryFiles;
  #file = "";

  constructor(server: SavingServer, log: MemoryFiles) {
    this.#server = server;
    this.#log = log;
  }

  execute(words: readonly Word[], count: number): void {
    const { own } = this.#server;
    own.ask(words);
    if (own.state.journal === undefined) return;
    own.state.journal.commit();
    const file = lastIncrement(this.#log);
    if (file !== this.#file) this.sizes = [];
    this.#file = file;
    this.sizes.push({ bytes: sizeOf(this.#log, file), count });
  }

  async rewrite(): Promise<void> {
    const { own } = this.#server;
    if (own.state.journal === undefined) return;
    own.ask(["BGREWRITEAOF"]);
    while (own.state.snapshot.holder !== "") await new Promise((next) => setImmediate(next));
  }
}

function lastIncrement(log: MemoryFiles): string {
  const seqOf = (name: string): number => Number(/(\d+)\.incr/.exec(name)![1]);
  return log
    .list()
    .filter((name) => name.includes(".incr."))
    .sort((a, b) => seqOf(a) - seqOf(b))
    .at(-1)!;
}

function sizeOf(files: MemoryFiles, name: string): number {
  const fd = files.open(name, "r");
  const bytes = files.size(fd);
  files.close(fd);
  return bytes;
}

/** What a start says of the disks. */
type Outcome =
  | { readonly kind: "loaded"; readonly state: State; readonly warnings: readonly string[] }
  | { readonly kind: "refused"; readonly message: string };

/** Starts and ends a server there. */
async function tryStart(disks: Disks, keeping: Keeping, nowMs: number): Promise<Outcome> {
  const warnings: string[] = [];
  try {
    const say = (message: string): void => void warnings.push(message);
    const { own } = await startOn(disks, { keeping, policy: "no" }, nowMs, say);
    const state = await readState(askOwn(own));
    await own.state.journal?.close();
    return { kind: "loaded", state, warnings };
  } catch (error) {
    if (!(error instanceof CodisError)) throw error;
    return { kind: "refused", message: causes(error) };
  }
}

function causes(error: unknown): string {
  return error instanceof Error ? `${error.message} ${causes(error.cause)}` : "";
}

/** A refusal must say where, and leave all files as they were. */
function checkRefusal(
  message: string,
  name: string,
  before: readonly string[],
  disks: Disks,
): void {
  if (!PLACE.test(message)) throw new Error(`no place is named: ${message}`);
  // A key in a log that is another now may be wrong only for a command in a later file.
  const isNamed = name.endsWith(".aof") ? message.includes(".aof") : message.includes(name);
  if (!isNamed) throw new Error(`${name} is not named: ${message}`);
  if (!Bun.deepEquals(showDisks(disks), before)) throw new Error(`files were changed: ${message}`);
}

// -- torn tails -----------------------------------------------------------------------------------

/** @returns what was tried, for the report */
export async function tornTailRound(prng: Prng): Promise<string> {
  const keeping = prng.oneIn(3) ? "snapshots" : "log";
  const remains = await makeRemains(prng, keeping);
  for (let i = 0; i < TEARS; i++) {
    if (keeping === "log") await tearLog(prng, remains);
    else await tearSnapshot(prng, remains);
  }
  return `${keeping}: ${TEARS} tears`;
}

async function tearLog(prng: Prng, remains: Remains): Promise<void> {
  const disks = copyDisks(remains.disks);
  const name = lastIncrement(disks.log);
  const whole = disks.log.get(name);
  const cut = prng.int(whole.length + 1);
  // A file system may have lengthened the file before it wrote what belongs there.
  const isZeroed = prng.oneIn(3);
  const torn = Buffer.concat([whole.subarray(0, cut), Buffer.alloc(isZeroed ? prng.int(5000) : 0)]);
  disks.log.set(name, torn);
  const owed = remains.sizes.findLast(({ bytes }) => bytes <= cut)?.count ?? 0;
  const first = await tryStart(disks, "log", remains.nowMs);
  const where = `${name} of ${whole.length} bytes cut at ${cut}${isZeroed ? ", zeros behind" : ""}`;
  if (first.kind === "refused") throw new Error(`${where}: ${first.message}`);
  remains.stream.survived(first.state, (count) => count >= owed);
  const isCut = first.warnings.some((text) => text.startsWith("Cut "));
  if (isCut !== sizeOf(disks.log, name) < torn.length) throw new Error(`${where}: nobody is told`);
  const second = await tryStart(disks, "log", remains.nowMs);
  const isSame = second.kind === "loaded" && Bun.deepEquals(second.state, first.state);
  if (!isSame || second.warnings.length > 0) throw new Error(`${where}: the next start differs`);
}

async function tearSnapshot(prng: Prng, remains: Remains): Promise<void> {
  const disks = copyDisks(remains.disks);
  const whole = disks.main.get("dump.rdb");
  const cut = prng.int(whole.length);
  disks.main.set("dump.rdb", Buffer.from(whole.subarray(0, cut)));
  const before = showDisks(disks);
  const outcome = await tryStart(disks, "snapshots", remains.nowMs);
  if (outcome.kind === "loaded") throw new Error(`dump.rdb cut at ${cut} was loaded`);
  checkRefusal(outcome.message, "dump.rdb", before, disks);
}

// -- flipped bits ---------------------------------------------------------------------------------

/** @returns what was tried, for the report */
export async function flippedBitRound(prng: Prng): Promise<string> {
  const keeping = prng.oneIn(3) ? "snapshots" : "log";
  const remains = await makeRemains(prng, keeping);
  let refused = 0;
  let asked = 0;
  for (let i = 0; i < FLIPS; i++) {
    const disks = copyDisks(remains.disks);
    const files = keeping === "log" ? disks.log : disks.main;
    // No data is read from what a rewrite has left.
    const name = prng.pick(files.list().filter((file) => !file.startsWith("temp-")));
    const bytes = files.get(name);
    if (bytes.length === 0) continue;
    const at = prng.int(bytes.length);
    const bit = prng.int(8);
    bytes[at]! ^= 1 << bit;
    files.set(name, bytes);
    const before = showDisks(disks);
    const damaged = copyDisks(disks);
    const where = `bit ${bit} of byte ${at} of ${name}, ${bytes.length} bytes`;
    const outcome = await tryStart(disks, keeping, remains.nowMs);
    if (outcome.kind === "refused") {
      checkRefusal(outcome.message, name, before, disks);
      refused++;
      continue;
    }
    checkCuts(where, outcome.warnings, remains, at);
    if (!name.endsWith(".aof")) {
      const isHarmless = name.endsWith(".manifest") && Bun.deepEquals(outcome.state, remains.state);
      if (!isHarmless) throw new Error(`${where}: not found`);
    } else if (asked < ORACLE_MAX && !Bun.deepEquals(outcome.state, remains.state)) {
      asked++;
      await expectAsRedis(where, damaged, outcome.state);
    }
  }
  return `${keeping}: ${refused} of ${FLIPS} flips found, ${asked} as redis-server reads them`;
}

/**
 * What is cut for a torn tail must be no more than the record with the flip. A length there may
 * reach for more than the file has: to tell that from a torn tail takes records that follow it.
 */
function checkCuts(
  where: string,
  warnings: readonly string[],
  { sizes }: Remains,
  at: number,
): void {
  for (const warning of warnings.filter((text) => text.startsWith("Cut "))) {
    const from = Number(/at offset (\d+)/.exec(warning)![1]);
    const lost = sizes.filter(({ bytes }) => bytes > from).length;
    if (from > at || lost > 1) throw new Error(`${where}: ${lost} commands lost. ${warning}`);
  }
}

async function expectAsRedis(where: string, disks: Disks, state: State): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "codis-flip-"));
  try {
    mkdirSync(join(dir, "appendonlydir"));
    for (const name of disks.log.list()) {
      writeFileSync(join(dir, "appendonlydir", name), disks.log.get(name));
    }
    const redis = await TcpRedis.start("--dir", dir, "--appendonly", "yes");
    const client = await RespClient.connect(redis.port);
    const theirs = await readState(askWire(client));
    client.close();
    await redis.stop();
    if (Bun.deepEquals(theirs, state)) return;
    const places = new Set([...theirs.keys(), ...state.keys()]);
    const different = [...places].filter((place) => theirs.get(place) !== state.get(place));
    throw new Error(`${where}: redis-server reads ${different.slice(0, 5)} otherwise`);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
