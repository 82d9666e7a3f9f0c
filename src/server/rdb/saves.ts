/**
 * Snapshots of a running server as RDB files: SAVE, BGSAVE, the save points of the configuration,
 * and the last save before the end.
 *
 *   BGSAVE:  snapshot.ts fixes the instant ─ 1 ms per turn, each changed key at once ─> rdb-file.ts
 *            ─> synced off the loop ─> renamed over dbfilename
 *   SAVE:    all keys at once, whatever else runs
 *
 * Until the rename the old file is what a start would load; a save that fails leaves it and says so
 * (`refusal`, INFO, the log). A file that came to the name from elsewhere, which this server has
 * neither loaded nor written, is never replaced: it may be somebody's only copy. Texts and times:
 * Redis 7.0 src/rdb.c, src/server.c (`serverCron`).
 */

import { CodisError, errorText } from "../../base/errors.ts";
import type { DataFiles } from "../files.ts";
import { ReplyError } from "../replies.ts";
import { giveUp, untilWhole, visitAll } from "../snapshot.ts";
import type { ServerState } from "../state.ts";
import type { RdbLoaded } from "./load.ts";
import { RdbFile } from "./rdb-file.ts";
import { dueSavePoint, parseSavePoints, type SavePoint } from "./save-points.ts";

const IN_PROGRESS = "ERR Background save already in progress";
const STARTED = "Background saving started";
const SCHEDULED = "Background saving scheduled";
const OTHER_ACTIVE =
  "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in " +
  "order to schedule a BGSAVE whenever possible.";
const REFUSAL =
  "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to " +
  "disk. Commands that may modify the data set are disabled, because this instance is configured " +
  "to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). " +
  "Please check the Redis logs for details about the RDB error.";

/** A background save works this long per turn. */
const SLICE_MS = 1;
/** After a save that failed, the next one begins by itself not before this, as in Redis. */
const RETRY_MS = 5_000;

/** What the server began with. */
export interface SavesStart {
  /** The file under `dbfilename` that is this server's, by `identity`; undefined when there is none. */
  readonly identity: string | undefined;
  /** What was loaded from a file, if one was. */
  readonly loaded: RdbLoaded | undefined;
}

export class RdbSaves {
  readonly #state: ServerState;
  readonly #files: DataFiles;
  readonly #name: string;
  readonly #loaded: RdbLoaded | undefined;
  /** The one file of that name that may be replaced. */
  #identity: string | undefined;
  #points: readonly SavePoint[] = [];
  #pointsText = "";
  /** `changes` of the state that the last save has. */
  #savedChanges: number;
  #lastSaveMs: number;
  #lastTryMs = Number.NEGATIVE_INFINITY;
  #lastFailed = false;
  #lastSeconds = -1;
  #startedMs = Number.NaN;
  #saves = 0;
  #running: Promise<void> | undefined;
  /** The file of the background save that runs. */
  #file: RdbFile | undefined;
  #isScheduled = false;
  #isClosing = false;

  constructor(state: ServerState, files: DataFiles, start: SavesStart) {
    this.#state = state;
    this.#files = files;
    this.#name = state.config.dbfilename;
    this.#identity = start.identity;
    this.#loaded = start.loaded;
    this.#savedChanges = state.changes;
    this.#lastSaveMs = state.clock.now();
  }

  // -- commands ---------------------------------------------------------------------------------

  /** SAVE. @throws ReplyError while another is in progress, or saying why it failed */
  save(): void {
    if (this.#running !== undefined) throw new ReplyError(IN_PROGRESS);
    try {
      this.saveNow();
    } catch (error) {
      this.#state.log.error("SAVE failed; the file before it stays", { error: errorText(error) });
      throw new ReplyError(`ERR ${errorText(error)}`);
    }
  }

  /** BGSAVE. @returns what to answer @throws ReplyError when it cannot begin */
  backgroundSave(isScheduled: boolean): string {
    if (this.#running !== undefined) throw new ReplyError(IN_PROGRESS);
    if (this.#state.snapshot.holder !== "") {
      if (!isScheduled) throw new ReplyError(OTHER_ACTIVE);
      this.#isScheduled = true;
      return SCHEDULED;
    }
    this.#begin();
    return STARTED;
  }

  /** There are save points, and changes that no snapshot has. */
  get isOwed(): boolean {
    return this.savePoints.length > 0 && this.#state.changes !== this.#savedChanges;
  }

  /** Unix seconds; of the start when there was no save. */
  get lastSave(): number {
    return Math.floor(this.#lastSaveMs / 1000);
  }

  /** Everything was removed on purpose: what is on disk must not come back. */
  emptied(): void {
    if (this.savePoints.length > 0) this.#isScheduled = true;
  }

  /** Text of the error that commands with WRITE get while saves fail; else undefined. */
  get refusal(): string | undefined {
    if (!this.#lastFailed || !this.#state.config["stop-writes-on-bgsave-error"]) return undefined;
    return this.savePoints.length > 0 ? REFUSAL : undefined;
  }

  infoLines(): readonly string[] {
    const isRunning = this.#running !== undefined;
    const now = this.#state.clock.now();
    const sinceStart = isRunning ? Math.floor((now - this.#startedMs) / 1000) : -1;
    return [
      `rdb_changes_since_last_save:${this.#state.changes - this.#savedChanges}`,
      `rdb_bgsave_in_progress:${isRunning ? 1 : 0}`,
      `rdb_last_save_time:${this.lastSave}`,
      `rdb_last_bgsave_status:${this.#lastFailed ? "err" : "ok"}`,
      `rdb_last_bgsave_time_sec:${this.#lastSeconds}`,
      `rdb_current_bgsave_time_sec:${sinceStart}`,
      `rdb_saves:${this.#saves}`,
      "rdb_last_cow_size:0",
      `rdb_last_load_keys_expired:${this.#loaded?.expired ?? 0}`,
      `rdb_last_load_keys_loaded:${this.#loaded?.keys ?? 0}`,
    ];
  }

  // ---------------------------------------------------------------------------------------------

  /** Those of the configuration, which may change; none for "". */
  get savePoints(): readonly SavePoint[] {
    const { save } = this.#state.config;
    if (save !== this.#pointsText) {
      this.#pointsText = save;
      this.#points = parseSavePoints(save)!;
    }
    return this.#points;
  }

  /** Called about ten times a second: saves that were asked for or are due. */
  tick(): void {
    const { clock, log, snapshot } = this.#state;
    if (this.#running !== undefined || snapshot.holder !== "") return;
    const now = clock.now();
    if (this.#lastFailed && now - this.#lastTryMs < RETRY_MS) return;
    if (this.#isScheduled) {
      this.#begin();
      return;
    }
    const changes = this.#state.changes - this.#savedChanges;
    const seconds = Math.floor((now - this.#lastSaveMs) / 1000);
    const due = dueSavePoint(this.savePoints, changes, seconds);
    if (due === undefined) return;
    log.info("RDB save begins", { changes, seconds: due.seconds });
    this.#begin();
  }

  /** Resolves when no save runs in the background. */
  async settled(): Promise<void> {
    await this.#running;
  }

  /**
   * The data as it is now, before this returns. A save in the background is given up for it.
   * @throws CodisError saying why it failed; the file before it is as it was
   */
  saveNow(): void {
    this.#giveUpRunning();
    this.#saves++;
    let file: RdbFile | undefined;
    try {
      const written = this.#open();
      file = written;
      visitAll(this.#state.databases, written.walker, () => {
        if (written.error !== undefined) throw written.error;
      });
      written.finish();
      written.sync();
      this.#publish(written);
    } catch (error) {
      file?.drop();
      throw this.#failure(error);
    }
    this.#succeeded(this.#state.changes);
    this.#state.log.info("RDB saved", { bytes: file.bytes });
  }

  /**
   * Ends what runs in the background, and saves for the last time if `saves` and there are save
   * points. Rejects when that could not be done.
   */
  async close(saves: boolean): Promise<void> {
    this.#isClosing = true;
    this.#giveUpRunning();
    await this.#running;
    if (saves && this.isOwed) this.saveNow();
  }

  #failure(error: unknown): CodisError {
    return new CodisError(
      "unavailable",
      `Cannot save ${this.#files.directory}/${this.#name}`,
      error,
    );
  }

  #open(): RdbFile {
    this.#checkIdentity();
    const { clock, config } = this.#state;
    return new RdbFile(this.#files, this.#name, {
      createdAt: Math.floor(clock.now() / 1000),
      usedMemory: this.#state.usedMemory,
      hasChecksum: config.rdbchecksum,
    });
  }

  #checkIdentity(): void {
    const found = this.#files.identity(this.#name);
    if (found === undefined || found === this.#identity) return;
    throw new CodisError(
      "conflict",
      "that file was put there by another program, and this server has neither loaded nor saved " +
        "it. Move it away, or end the other server that uses this directory",
    );
  }

  #publish(file: RdbFile): void {
    this.#checkIdentity();
    try {
      file.publish();
    } finally {
      this.#identity = this.#files.identity(this.#name);
    }
  }

  async #publishLater(file: RdbFile): Promise<void> {
    this.#checkIdentity();
    const published = file.publishLater();
    this.#identity = this.#files.identity(this.#name);
    await published;
  }

  #succeeded(changes: number): void {
    this.#savedChanges = changes;
    this.#lastSaveMs = this.#state.clock.now();
    this.#lastFailed = false;
  }

  #giveUpRunning(): void {
    if (this.#file === undefined) return;
    this.#file.error ??= new CodisError("closed", "given up for a save of the newest data");
    this.#file.drop();
  }

  #begin(): void {
    const { clock, log, snapshot } = this.#state;
    this.#isScheduled = false;
    this.#startedMs = clock.now();
    this.#lastTryMs = this.#startedMs;
    this.#saves++;
    snapshot.holder = "save";
    this.#running = untilWhole(() => this.#runOnce())
      .catch((error: unknown) => {
        if (this.#isClosing) return;
        this.#lastFailed = true;
        log.error("RDB save failed; the file before it stays", {
          error: errorText(this.#failure(error)),
        });
      })
      .finally(() => {
        this.#lastSeconds = Math.round((clock.now() - this.#startedMs) / 1000);
        this.#running = undefined;
        snapshot.holder = "";
      });
  }

  /** @returns false when the snapshot was given up because databases were emptied or swapped */
  async #runOnce(): Promise<boolean> {
    const { clock, snapshot, changes } = this.#state;
    let isWhole = true;
    const file = this.#open();
    this.#file = file;
    try {
      snapshot.start(file.walker, file.saver, () => {
        isWhole = false;
      });
      await this.#write(file);
      if (!isWhole) return false;
      await file.syncLater();
      if (file.error !== undefined) throw file.error;
      await this.#publishLater(file);
      this.#succeeded(changes);
      this.#state.log.info("RDB saved in the background", { bytes: file.bytes });
      return true;
    } finally {
      this.#file = undefined;
      file.drop();
      await giveUp(snapshot, SLICE_MS, clock, () => this.#isClosing);
    }
  }

  /** Goes through the snapshot, a slice per turn. */
  async #write(file: RdbFile): Promise<void> {
    const { clock, snapshot } = this.#state;
    for (let isOver = false; !isOver; ) {
      await nextTurn();
      isOver = snapshot.step(SLICE_MS, clock);
      file.settle();
      if (file.error !== undefined) throw file.error;
      if (file.wantsSync) await file.syncLater();
    }
    while (!file.copyAside()) await nextTurn();
    file.finish();
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
