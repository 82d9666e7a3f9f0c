/**
 * Lives of a server on disks in memory whose power can fail at any of their operations, with what
 * its policy owes whoever was answered.
 *
 *   alive ── random turns: commands, commit, time passes, BGREWRITEAOF, SAVE, BGSAVE ──> power off
 *                                                                     both disks as they are then
 */

import type { ServerState } from "../../src/server/state.ts";
import { type SavingServer, startSaving } from "../server/rdb/world.ts";
import type { ManualClock } from "../support/manual-clock.ts";
import { MemoryFiles } from "../support/memory-files.ts";
import type { Prng } from "../support/prng.ts";

/** Where a server keeps its data: `dir`, and the directory of its append-only file in it. */
export interface Disks {
  readonly main: MemoryFiles;
  readonly log: MemoryFiles;
}

export type Keeping = "log" | "snapshots" | "both";
export type Policy = "always" | "everysec" | "no";

export interface Settings {
  readonly keeping: Keeping;
  readonly policy: Policy;
}

export const KEEPINGS: readonly Keeping[] = ["log", "snapshots", "both"];
export const POLICIES: readonly Policy[] = ["always", "everysec", "no"];

/** Due after a few seconds of the disk's time, so that every life has some. */
const SAVE_POINTS = "3 10";

export function newDisks(): Disks {
  return { main: new MemoryFiles(), log: new MemoryFiles() };
}

export function copyDisks({ main, log }: Disks): Disks {
  return { main: main.afterKill(), log: log.afterKill() };
}

/** All files by name; equal disks, equal text. */
export function showDisks({ main, log }: Disks): readonly string[] {
  return [main, log].flatMap((files, i) =>
    files
      .list()
      .sort()
      .map((name) => `${i} ${name} ${Bun.hash(files.get(name))}`),
  );
}

/** @param nowMs its clock at the start @param say hears what the server logs as a warning */
export async function startOn(
  disks: Disks,
  { keeping, policy }: Settings,
  nowMs: number,
  say: (message: string) => void = () => {},
): Promise<SavingServer> {
  const configure = (state: ServerState): void => {
    (state.clock as ManualClock).setNow(nowMs);
    state.databases.nowMs = nowMs;
    state.log.warn = say;
    state.config.appendonly = keeping !== "snapshots";
    state.config.appendfsync = policy;
    state.config.save = keeping === "log" ? "" : SAVE_POINTS;
    state.config["auto-aof-rewrite-percentage"] = 0;
  };
  return startSaving(disks.main, configure, disks.log);
}

/** Has the power of both disks fail after so many of their operations. */
export class PowerSwitch {
  /** What the disks have after the failure; undefined before it. */
  survivors: Disks | undefined;
  readonly #disks: Disks;
  readonly #prng: Prng;
  #left: number;

  constructor(disks: Disks, operations: number, prng: Prng) {
    this.#disks = disks;
    this.#left = operations;
    this.#prng = prng;
    for (const files of [disks.main, disks.log]) files.beforeChange = () => this.#operation();
  }

  #operation(): void {
    if (--this.#left === 0) this.cut();
    if (this.survivors !== undefined) {
      throw Object.assign(new Error("EIO: power is off"), { code: "EIO" });
    }
  }

  cut(): Disks {
    const random = (): number => this.#prng.int(2 ** 30) / 2 ** 30;
    this.survivors ??= {
      main: this.#disks.main.afterPowerLoss(random),
      log: this.#disks.log.afterPowerLoss(random),
    };
    return this.survivors;
  }
}
