/**
 * Disks that fail under a real process: system calls that answer EIO or ENOSPC for a while
 * (strace), and a file system that is full until somebody makes room (a small tmpfs).
 *
 *   load ──> harm ──> refused, or under `always` the connection closed ──> reads go on
 *        ──> harm over, all written anew ──> load ──> kill -9 ──> all that was answered is there
 *
 * Redis ends its process when a log with `always` cannot be written. Ours does not: it closes
 * connections whose change is not safe before they read a reply, and refuses further changes.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Prng } from "../support/prng.ts";
import { RespClient } from "../support/resp-client.ts";
import { textOfReply } from "./found.ts";
import { foundAt } from "./kill.ts";
import { KEEPINGS, POLICIES, type Settings } from "./memory-servers.ts";
import {
  mountSmallDisk,
  type Options,
  type ServerProcess,
  startProcess,
  straceWrapper,
} from "./processes.ts";
import { Sender } from "./sender.ts";
import { Stream } from "./workload.ts";

const BATCH_MAX = 4;
const BATCHES_BEFORE_MAX = 60;
/** A full disk does not go unfelt for so long ... */
const BATCHES_UNDER_HARM_MAX = 1000;
/** ... and a harm that may be silent is over. */
const BATCHES_UNDER_SILENT_MAX = 200;
const BATCHES_PER_HARM = 20;
/** How often a harm is to be felt. */
const FELT = 3;
const BATCHES_AFTER = 20;
/** A server that takes no changes so long after the harm is over will not any more. */
const HEAL_MS_MAX = 30_000;
const SMALL_DISK_BYTES = 4 * 1024 * 1024;
const LEFT_BYTES_MAX = 20_000;
/** The texts of Redis for a log and for snapshots that cannot be written. */
const REFUSALS =
  /^-MISCONF (Errors writing to the AOF file: (Input\/output error|No space left on device)|Redis is configured to save RDB snapshots, but it's currently unable to persist to disk\. )/;

/** What goes wrong, when, and until when. */
interface Harm {
  /** For the report. */
  readonly name: string;
  readonly wrapper: readonly string[];
  /** Called again and again while it lasts. */
  begin(): void;
  end(): void;
  /** Clients may hear nothing of it: old files that cannot be deleted are only logged. */
  readonly mayBeSilent: boolean;
  /** For servers after the harm. */
  readonly wrapperAfter: readonly string[];
}

/** @returns what was tried, for the report */
export async function failingDiskRound(prng: Prng): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), "codis-failing-"));
  try {
    const settings = drawSettings(prng);
    const rule = failingCall(prng, settings);
    // Other files of the process are written to by the same calls.
    const paths = rule.startsWith("write") ? increments(dir) : [];
    const harm: Harm = {
      name: rule,
      wrapper: straceWrapper([rule], paths),
      mayBeSilent: true,
      begin() {},
      end() {},
      wrapperAfter: [],
    };
    return await run(prng, dir, settings, harm);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** A rule of strace; it counts the calls of each thread, and a start makes two at most. */
function failingCall(prng: Prng, { keeping }: Settings): string {
  const from = 4 + prng.int(12);
  const to = from + prng.int(6);
  // Writes are told apart by the names of increments.
  const calls = ["fdatasync", "fsync", "rename", ...(keeping === "snapshots" ? [] : ["write"])];
  const call = prng.pick(calls);
  const error = call === "write" ? prng.pick(["EIO", "ENOSPC"]) : "EIO";
  return `${call}:error=${error}:when=${from}..${to}`;
}

function increments(dir: string): string[] {
  return Array.from({ length: 40 }, (_, i) =>
    join(dir, "appendonlydir", `appendonly.aof.${i + 1}.incr.aof`),
  );
}

/** @returns what was tried, for the report */
export async function fullDiskRound(prng: Prng): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), "codis-full-"));
  const disk = await mountSmallDisk(dir, SMALL_DISK_BYTES);
  try {
    const settings = drawSettings(prng);
    const left = prng.int(LEFT_BYTES_MAX);
    const harm: Harm = {
      name: `${left} bytes left`,
      wrapper: disk.wrapper,
      mayBeSilent: false,
      begin: () => disk.fill(left),
      end: () => disk.empty(),
      wrapperAfter: disk.wrapper,
    };
    return await run(prng, dir, settings, harm);
  } finally {
    await disk.end();
    rmSync(dir, { recursive: true, force: true });
  }
}

function drawSettings(prng: Prng): Settings {
  return { keeping: prng.pick(KEEPINGS), policy: prng.pick(POLICIES) };
}

async function run(prng: Prng, dir: string, settings: Settings, harm: Harm): Promise<string> {
  const options: Options = {
    dir,
    appendonly: settings.keeping !== "snapshots",
    appendfsync: settings.policy,
    save: settings.keeping === "log" ? "" : "3600 1000000",
    "auto-aof-rewrite-percentage": 0,
  };
  const sender = new Sender(new Stream("a", prng, true), prng);
  const server = await startProcess(options, harm.wrapper);
  let text = "";
  try {
    text = await new Trial(server, sender, settings, prng).run(harm);
  } finally {
    sender.close();
    await server.kill();
  }
  await checkSurvivors(options, harm, sender, settings);
  return `${settings.keeping}, ${settings.policy}, ${harm.name}: ${text}`;
}

async function checkSurvivors(
  options: Options,
  harm: Harm,
  { stream, ledger }: Sender,
  { keeping }: Settings,
): Promise<void> {
  const start = (changes: Options): Promise<ServerProcess> =>
    startProcess({ ...options, ...changes }, harm.wrapperAfter);
  if (keeping !== "snapshots") {
    const server = await start({ appendonly: true });
    const found = await foundAt(server).finally(() => server.kill());
    stream.survived(found, (count) => count >= stream.acknowledged);
  }
  if (keeping === "log") return;
  const server = await start({ appendonly: false });
  const found = await foundAt(server).finally(() => server.kill());
  stream.survived(found, (count) => ledger.allows(count));
}

/** A server from its start until it has healed. */
class Trial {
  readonly #server: ServerProcess;
  readonly #sender: Sender;
  readonly #settings: Settings;
  readonly #prng: Prng;
  #refused = 0;
  #lost = 0;
  /** Rewrites and saves that failed when it was looked. */
  #failed = 0;
  /** A rewrite writes what the log has lost as well: in some rounds it must heal by itself. */
  #mayRewrite = true;

  constructor(server: ServerProcess, sender: Sender, settings: Settings, prng: Prng) {
    this.#server = server;
    this.#sender = sender;
    this.#settings = settings;
    this.#prng = prng;
  }

  /** @returns what came of it */
  async run(harm: Harm): Promise<string> {
    await this.#sender.connect(this.#server.port);
    for (let i = this.#prng.int(BATCHES_BEFORE_MAX); i > 0; i--) await this.#step();
    for (let i = 0; this.#felt(harm) < FELT; i++) {
      if (harm.mayBeSilent && i > BATCHES_UNDER_SILENT_MAX) break;
      // A rewrite of little data may have made room.
      if (i % BATCHES_PER_HARM === 0) harm.begin();
      if (i > BATCHES_UNDER_HARM_MAX) throw new Error(`${harm.name}: never felt`);
      await this.#step();
      if (this.#refused > 0) await this.#checkReads();
    }
    harm.end();
    this.#mayRewrite = this.#prng.oneIn(2);
    await this.#heal();
    for (let i = 0; i < BATCHES_AFTER; i++) await this.#step();
    // The failure of a system call may have come late.
    await this.#heal();
    const rewrites = `${this.#failed} times a rewrite or save failed`;
    return `${this.#refused} batches refused, ${this.#lost} connections closed, ${rewrites}`;
  }

  #felt({ mayBeSilent }: Harm): number {
    return this.#refused + this.#lost + (mayBeSilent ? this.#failed : 0);
  }

  /** A batch, and now and then all is written anew. */
  async #step(): Promise<void> {
    const end = await this.#sender.batch(1 + this.#prng.int(BATCH_MAX));
    if (end === "refused") this.#refused++;
    for (const text of this.#sender.refusals) {
      if (!REFUSALS.test(text)) throw new Error(`not the text of Redis: ${text}`);
    }
    if (end === "lost") await this.#reconnect();
    else if (this.#prng.oneIn(6)) await this.#keep();
  }

  /** Only under `always` may a connection be closed, and only with a change that is not safe. */
  async #reconnect(): Promise<void> {
    this.#lost++;
    const { policy, keeping } = this.#settings;
    if (policy !== "always" || keeping === "snapshots") throw new Error("the server closed");
    await this.#sender.resolve(this.#server.port);
    await this.#sender.connect(this.#server.port);
  }

  async #keep(): Promise<void> {
    const { keeping } = this.#settings;
    if (/_status:err/.test(await this.#info())) this.#failed++;
    if (keeping !== "snapshots" && this.#mayRewrite) await this.#sender.client.call("BGREWRITEAOF");
    if (keeping === "log") return;
    await this.#sender.noticeEnd();
    await this.#sender.snapshot();
  }

  async #checkReads(): Promise<void> {
    const client = await RespClient.connect(this.#server.port);
    const text = textOfReply(await client.call("DBSIZE"));
    client.close();
    if (!/^\d+$/.test(text)) throw new Error(`a read was answered by ${text}`);
  }

  async #info(): Promise<string> {
    return textOfReply(await this.#sender.client.call("INFO", "persistence"));
  }

  /** Until a change is taken again, and none that was waits for the disk. */
  async #heal(): Promise<void> {
    const giveUpMs = performance.now() + HEAL_MS_MAX;
    for (;;) {
      const felt = this.#refused + this.#lost;
      await this.#step();
      const isTaken = this.#refused + this.#lost === felt;
      if (isTaken && !(await this.#info()).includes("aof_last_write_status:err")) return;
      if (performance.now() > giveUpMs) {
        throw new Error(`changes are still refused: ${[...this.#sender.refusals]}`);
      }
      await this.#keep();
    }
  }
}
