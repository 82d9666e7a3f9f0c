/** Servers that save to a disk in memory, with time that flies so that a slice of a save is short. */

import { openData } from "../../../src/server/data.ts";
import type { RdbSaves } from "../../../src/server/rdb/saves.ts";
import type { ServerState } from "../../../src/server/state.ts";
import { OwnServer, type Word } from "../../support/compare.ts";
import { MemoryFiles } from "../../support/memory-files.ts";

export interface SavingServer {
  readonly own: OwnServer;
  readonly saves: RdbSaves;
}

/** A server that has loaded what is on the disk. @param logFiles where its append-only file is */
export async function startSaving(
  files: MemoryFiles,
  configure: (state: ServerState) => void = () => {},
  logFiles = new MemoryFiles(),
): Promise<SavingServer> {
  const own = new OwnServer();
  own.state.journal = undefined;
  own.clock.monotonic = () => performance.now() * 20;
  configure(own.state);
  await openData(own.state, files, logFiles);
  return { own, saves: own.state.saves! };
}

export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Runs a background save to its end, with `change` in every turn. Returns the number of turns. */
export async function saveWith(server: SavingServer, change: () => void): Promise<number> {
  let isOver = false;
  let turns = 0;
  server.saves.backgroundSave(false);
  void server.saves.settled().then(() => {
    isOver = true;
  });
  while (!isOver) {
    change();
    turns++;
    await nextTurn();
  }
  return turns;
}

/** A field of INFO persistence. */
export function infoField({ own }: SavingServer, name: string): string | undefined {
  const info = own.show("INFO", "persistence") as string;
  return new RegExp(`^${name}:(.*)\\r$`, "m").exec(info)?.[1];
}

/** Long values, so that a slice of a save ends inside them. */
export function fillLong({ own }: SavingServer, keys: number, elements: number): void {
  for (let i = 0; i < keys; i++) {
    const items = Array.from({ length: elements }, (_, k) => `element ${k}`);
    own.ask(["RPUSH", `l${i}`, ...items]);
    own.ask(["SADD", `t${i}`, ...items]);
    own.ask(["HSET", `h${i}`, ...items.flatMap((item, k): Word[] => [item, k])]);
    own.ask(["ZADD", `z${i}`, ...items.flatMap((item, k): Word[] => [k / 3, item])]);
  }
}
