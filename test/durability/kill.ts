/**
 * kill -9 of a real process under load, in several lives. Nothing that was answered is lost, under
 * any policy: what was written is the system's. With snapshots alone what comes back is the data of
 * the instant of a save: of the last one that was answered, or of one that was under way.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nextTurn } from "../server/rdb/world.ts";
import type { Prng } from "../support/prng.ts";
import { RespClient } from "../support/resp-client.ts";
import { askWire, readState } from "./found.ts";
import { SnapshotLedger } from "./ledger.ts";
import { type Keeping, POLICIES } from "./memory-servers.ts";
import type { State } from "./model.ts";
import { type Options, type ServerProcess, startProcess } from "./processes.ts";
import { Sender } from "./sender.ts";
import { Stream } from "./workload.ts";

const LIVES = 2;
const CONNECTIONS = 4;
const BATCH_MAX = 16;
const BATCHES_MAX = 250;
/** Of this process, between the last thing that is sent and the kill. */
const TURNS_BEFORE_KILL_MAX = 20;
/** The log is written anew all the time. */
const REWRITING: Options = {
  "auto-aof-rewrite-min-size": 20_000,
  "auto-aof-rewrite-percentage": 10,
};

/** @returns what was tried, for the report */
export async function killRound(prng: Prng): Promise<string> {
  const keeping = prng.oneIn(3) ? "snapshots" : "log";
  const policy = prng.pick(POLICIES);
  const isRewriting = prng.oneIn(2);
  const dir = mkdtempSync(join(tmpdir(), "codis-kill-"));
  const options: Options = {
    dir,
    appendonly: keeping === "log",
    appendfsync: policy,
    save: keeping === "log" ? "" : "3600 1000000",
    ...(isRewriting ? REWRITING : { "auto-aof-rewrite-percentage": 0 }),
  };
  // Who asks for snapshots must know their instants, so nobody else sends then.
  const count = keeping === "log" ? CONNECTIONS : 1;
  const senders = Array.from(
    { length: count },
    (_, i) => new Sender(new Stream(`c${i}`, prng, count === 1), prng),
  );
  try {
    for (let life = 0; life <= LIVES; life++) {
      const server = await startProcess(options);
      try {
        if (life > 0) await checkSurvivors(server, senders, keeping);
        if (life < LIVES) await liveAndDie(server, senders, keeping, prng);
      } finally {
        for (const sender of senders) sender.close();
        await server.kill();
      }
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  const sent = senders.reduce((sum, { stream }) => sum + stream.commands.length, 0);
  return `${keeping}, ${policy}${isRewriting ? ", rewriting" : ""}: ${sent} commands there after ${LIVES} kills`;
}

async function checkSurvivors(
  server: ServerProcess,
  senders: readonly Sender[],
  keeping: Keeping,
): Promise<void> {
  const found = await foundAt(server);
  for (const { stream, ledger } of senders) {
    const isAllowed =
      keeping === "log"
        ? (count: number): boolean => count >= stream.acknowledged
        : (count: number): boolean => ledger.allows(count);
    stream.rewind(stream.survived(found, isAllowed));
  }
  const names = senders.map(({ stream }) => `${stream.name}:`);
  for (const place of found.keys()) {
    if (!names.some((name) => place.slice(2).startsWith(name))) {
      throw new Error(`nobody has written ${place}`);
    }
  }
}

export async function foundAt(server: ServerProcess): Promise<State> {
  const client = await RespClient.connect(server.port);
  const found = await readState(askWire(client));
  client.close();
  return found;
}

async function liveAndDie(
  server: ServerProcess,
  senders: readonly Sender[],
  keeping: Keeping,
  prng: Prng,
): Promise<void> {
  let left = 1 + prng.int(BATCHES_MAX);
  const untilLost = async (sender: Sender): Promise<void> => {
    sender.ledger = new SnapshotLedger(sender.stream.commands.length);
    await sender.connect(server.port);
    for (;;) {
      // The kill comes while others, or this one, have something under way.
      const sent = sender.batch(1 + prng.int(BATCH_MAX));
      if (--left === 0) {
        for (let i = prng.int(TURNS_BEFORE_KILL_MAX); i > 0; i--) await nextTurn();
        void server.kill();
      }
      const end = await sent;
      if (end === "lost") return;
      if (end === "refused") throw new Error(`refused: ${[...sender.refusals]}`);
      if (keeping !== "snapshots") continue;
      await sender.noticeEnd();
      if (prng.oneIn(8) && (await sender.snapshot()) === "lost") return;
    }
  };
  await Promise.all(senders.map(untilLost));
}
