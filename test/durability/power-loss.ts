/**
 * Power loss: several lives of one server on disks that keep what was synced, and of the rest what
 * chance leaves. What must be there after each:
 *
 *   append-only file   always     all that was answered
 *                      everysec   all but the last EVERYSEC_LOSS_MS
 *                      no         some prefix of what was there
 *   snapshots          the data of the instant of a save, of the last one that said it is done or
 *                      of one that was under way; whatever the append-only file has
 */

import { nextTurn, type SavingServer } from "../server/rdb/world.ts";
import type { MemoryFiles } from "../support/memory-files.ts";
import type { Prng } from "../support/prng.ts";
import { askOwn, readState } from "./found.ts";
import { isUpheaval, SnapshotLedger } from "./ledger.ts";
import {
  copyDisks,
  type Disks,
  KEEPINGS,
  type Keeping,
  newDisks,
  POLICIES,
  PowerSwitch,
  type Settings,
  startOn,
} from "./memory-servers.ts";
import type { State, Word } from "./model.ts";
import { Stream } from "./workload.ts";

const LIVES = 3;
const TURNS_MAX = 500;
const COMMANDS_PER_TURN_MAX = 6;
const OPERATIONS_MAX = 700;
/** Of the server's clock, at most, from turn to turn. */
const TURN_MS_MAX = 200;
/** A sync of the disk may take so long. */
const SYNC_MS_MAX = 1500;
/**
 * A sync begins once a second and has what was written before it; one takes SYNC_MS_MAX, in which
 * what is written waits for the next: two of them, an interval and two turns.
 */
const EVERYSEC_LOSS_MS = 1000 + 2 * SYNC_MS_MAX + 2 * TURN_MS_MAX;

/** When what was answered. */
class Answers {
  readonly #answered: { readonly atMs: number; readonly count: number }[] = [];

  constructor(survived: number, nowMs: number) {
    this.add(survived, nowMs - EVERYSEC_LOSS_MS);
  }

  add(count: number, atMs: number): void {
    this.#answered.push({ atMs, count });
  }

  /** Commands answered at least so long ago. */
  countBefore(ms: number): number {
    return this.#answered.findLast(({ atMs }) => atMs <= ms)?.count ?? 0;
  }
}

/** What a start found. */
interface Survived {
  /** Commands. */
  readonly count: number;
  /** Commands of the snapshot; undefined when they went on in another way than the log has it. */
  readonly saved: number | undefined;
}

/** @returns what was tried, for the report */
export async function powerLossRound(prng: Prng): Promise<string> {
  const settings = { keeping: prng.pick(KEEPINGS), policy: prng.pick(POLICIES) };
  const stream = new Stream("a", prng, true);
  let survived: Survived = { count: 0, saved: 0 };
  let disks = newDisks();
  let nowMs = Date.now();
  let lost = 0;
  let sent = 0;
  for (let life = 0; life < LIVES; life++) {
    const server = await startOn(disks, settings, nowMs);
    const power = new PowerSwitch(disks, 1 + prng.int(OPERATIONS_MAX), prng);
    const answers = new Answers(survived.count, nowMs);
    const ledger = new SnapshotLedger(survived.saved);
    const parts = { server, settings, stream, answers, ledger, power, prng };
    await new Life(parts, disks.log).run();
    nowMs = server.own.clock.now() + 1000;
    disks = power.cut();
    survived = await survive(disks, parts, nowMs);
    sent += stream.commands.length;
    lost += stream.commands.length - survived.count;
    stream.rewind(survived.count);
  }
  return `${settings.keeping}, ${settings.policy}: ${lost} of ${sent} commands lost`;
}

/** Starts on copies of what is left. @throws unless it is what is owed */
async function survive(
  disks: Disks,
  { settings: { keeping, policy }, stream, answers, ledger }: LifeParts,
  nowMs: number,
): Promise<Survived> {
  const owed = {
    always: stream.acknowledged,
    everysec: answers.countBefore(nowMs - 1000 - EVERYSEC_LOSS_MS),
    no: 0,
  }[policy];
  const find = async (from: Keeping): Promise<State> => {
    const server = await startOn(copyDisks(disks), { keeping: from, policy }, nowMs);
    return readState(askOwn(server.own));
  };
  let count: number | undefined;
  if (keeping !== "snapshots") {
    count = stream.survived(await find("log"), (n) => n >= owed);
    if (keeping === "log") return { count, saved: 0 };
  }
  if (ledger.saved === undefined) return { count: count!, saved: undefined };
  const saved = stream.survived(await find("snapshots"), (n) => ledger.allows(n));
  if (count === undefined) return { count: saved, saved };
  return { count, saved: saved <= count ? saved : undefined };
}

interface LifeParts {
  readonly server: SavingServer;
  readonly settings: Settings;
  readonly stream: Stream;
  readonly answers: Answers;
  readonly ledger: SnapshotLedger;
  readonly power: PowerSwitch;
  readonly prng: Prng;
}

/** A server from its start to the end of its power. */
class Life {
  readonly #parts: LifeParts;
  readonly #log: MemoryFiles;
  /** Ends the sync that is slow at the moment. */
  #endSync: (() => void) | undefined;
  #syncEndsMs = 0;

  constructor(parts: LifeParts, log: MemoryFiles) {
    this.#parts = parts;
    this.#log = log;
  }

  get #isOn(): boolean {
    return this.#parts.power.survivors === undefined;
  }

  async run(): Promise<void> {
    const { server, stream, prng } = this.#parts;
    const { own } = server;
    if (stream.commands.length === 0) this.#send(stream.fill());
    this.#send([stream.reconnect()]);
    for (let turns = prng.int(TURNS_MAX); turns >= 0 && this.#isOn; turns--) {
      own.clock.advance(prng.int(TURN_MS_MAX));
      this.#slowSyncs();
      this.#send(Array.from({ length: prng.int(COMMANDS_PER_TURN_MAX) }, () => stream.next()));
      this.#keep();
      own.state.journal?.tick();
      this.#noticeEnd();
      this.#noticeBegin(() => server.saves.tick());
      await nextTurn();
    }
    this.#endSync?.();
  }

  /** A turn of the server: executes, commits, and what is answered then counts. */
  #send(commands: readonly (readonly Word[])[]): void {
    const { server, stream, answers, ledger } = this.#parts;
    const { own } = server;
    const first = stream.commands.length - commands.length;
    for (const [i, words] of commands.entries()) {
      if (isUpheaval(words)) ledger.upheaval(first + i + 1);
      const reply = own.show(...words);
      if (!this.#isOn) return;
      if (String(reply).startsWith("-MISCONF")) throw new Error(`refused for nothing: ${reply}`);
    }
    const isSafe = own.state.journal?.commit() ?? true;
    if (!this.#isOn || !isSafe) return;
    stream.acknowledged = stream.commands.length;
    answers.add(stream.acknowledged, own.clock.now());
  }

  /** Now and then everything is written anew. */
  #keep(): void {
    const { server, settings, prng } = this.#parts;
    if (settings.keeping !== "snapshots" && prng.oneIn(30)) server.own.ask(["BGREWRITEAOF"]);
    if (settings.keeping === "log") return;
    if (prng.oneIn(40)) this.#saveNow();
    if (prng.oneIn(30)) this.#noticeBegin(() => server.own.ask(["BGSAVE"]));
  }

  #saveNow(): void {
    const { server, stream, ledger } = this.#parts;
    if (ledger.isRunning) return;
    const instant = stream.commands.length;
    ledger.mayHave(instant);
    const reply = server.own.show("SAVE");
    if (!this.#isOn) return;
    if (reply !== "+OK") throw new Error(`SAVE: ${reply}`);
    ledger.done(instant);
  }

  /** The instant of a save that `step` begins is that of this turn. */
  #noticeBegin(step: () => void): void {
    const { stream, ledger } = this.#parts;
    const before = this.#field("rdb_saves");
    step();
    if (this.#field("rdb_saves") !== before) ledger.began(stream.commands.length);
  }

  #noticeEnd(): void {
    const { ledger } = this.#parts;
    if (!ledger.isRunning || this.#field("rdb_bgsave_in_progress") === "1" || !this.#isOn) return;
    if (this.#field("rdb_last_bgsave_status") !== "ok")
      throw new Error("a save failed for nothing");
    ledger.ended(true);
  }

  #field(name: string): string | undefined {
    const lines = this.#parts.server.saves.infoLines();
    return lines.find((line) => line.startsWith(`${name}:`))?.slice(name.length + 1);
  }

  /** Now and then a sync off the loop takes its time. */
  #slowSyncs(): void {
    const nowMs = this.#parts.server.own.clock.now();
    if (this.#endSync !== undefined && nowMs >= this.#syncEndsMs) {
      this.#endSync();
      this.#endSync = undefined;
      this.#log.syncGate = undefined;
    }
    if (this.#endSync !== undefined || !this.#parts.prng.oneIn(10)) return;
    this.#syncEndsMs = nowMs + this.#parts.prng.int(SYNC_MS_MAX);
    this.#log.syncGate = new Promise((resolve) => {
      this.#endSync = resolve;
    });
  }
}
