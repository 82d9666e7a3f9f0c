/**
 * The append-only file of a running server: Redis 7's multi-part form, kept so that the data of any
 * instant can be read back by us and by redis-server.
 *
 *   change ──append──> last increment                      appendonlydir/appendonly.aof.manifest
 *                                                            base 1, increments 1 2
 *   rewrite:  1. increment 3 is opened, the snapshot fixes the same instant       base 1, 1 2 3
 *             2. a few keys per turn go to a temporary file
 *             3. that one becomes base 2                                          base 2, 3
 *             4. base 1, increments 1 2 are deleted
 *
 * Whenever the process ends, what the manifest names is the data. A rewrite that fails leaves the
 * files as they were, with one increment more. Names and texts: Redis 7.0 src/aof.c.
 */

import { CodisError, errorText } from "../../base/errors.ts";
import { ReplyWriter, type RequestArgs } from "../../resp/encoder.ts";
import { type DataFiles, replaceFile } from "../files.ts";
import type { Keyspace } from "../keyspace.ts";
import type { RdbLoaded } from "../rdb/load.ts";
import { ReplyError } from "../replies.ts";
import { giveUp, type Snapshot, untilWhole } from "../snapshot.ts";
import type { Journal, ServerState } from "../state.ts";
import { AppendLog } from "./append-log.ts";
import { type BaseOutput, BaseWriter } from "./base-writer.ts";
import { type Loaded, manifestName } from "./load.ts";
import { formatManifest, type Manifest, withNextBase, withNextIncrement } from "./manifest.ts";

const IN_PROGRESS = "ERR Background append only file rewriting already in progress";
const STARTED = "Background append only file rewriting started";
const SCHEDULED = "Background append only file rewriting scheduled";

/** A rewrite works this long per turn, on the loop that also serves clients. */
const SLICE_MS = 1;
/** The new base goes to the page cache in pieces of about this size ... */
const WRITE_BYTES = 64 * 1024;
/** ... and to the disk after each of these, so that the last sync is short. */
const SYNC_BYTES = 16 * 1024 * 1024;
/** After a rewrite that failed by itself, the next one begins by itself not before this. */
const RETRY_MS = 60_000;
/** The same when the log cannot be trusted before one succeeds. */
const URGENT_RETRY_MS = 5_000;

/**
 * A rewrite that begins by itself waits for values that are moving in chunks, at most so long: the
 * first chunk behind its begin would have all of the value that has come visited in one turn.
 */
const MOVES_WAIT_MS_MAX = 600_000;

const TEMPORARY_BASE = "temp-rewriteaof.aof";

export class AppendOnly implements Journal {
  /** What the base began with at the start, when that was an RDB file. */
  readonly loadedRdb: RdbLoaded | undefined;
  readonly #state: ServerState;
  readonly #files: DataFiles;
  readonly #fileName: string;
  readonly #log: AppendLog;
  readonly #snapshot: Snapshot;
  readonly #unlock: () => void;
  #manifest: Manifest;
  /** Of what keeps the log from being written, as the log of the server has it; "" for nothing. */
  #reportedError = "";
  /** Bytes of everything before the increment that is written to. */
  #earlierBytes: number;
  /** `totalBytes` after the last rewrite, or after the start. */
  #rewrittenBytes: number;
  #rewriting: Promise<void> | undefined;
  #isScheduled = false;
  #isClosing = false;
  #startedMs = Number.NaN;
  #lastSeconds = -1;
  #lastFailed = false;
  #notBeforeMs = 0;
  /** Since when a rewrite of its own accord is due; NaN when none is. */
  #grownMs = Number.NaN;
  #rewrites = 0;

  /**
   * @param loaded what was found at the start; its data is in the databases already
   * @param unlock called when the files are closed
   * @throws what opening the files throws
   */
  constructor(state: ServerState, files: DataFiles, loaded: Loaded, unlock: () => void) {
    const { config } = state;
    this.#unlock = unlock;
    this.#state = state;
    this.#files = files;
    this.#fileName = config.appendfilename;
    this.loadedRdb = loaded.rdb;
    this.#manifest = loaded.manifest;
    this.#snapshot = state.snapshot;
    for (const name of files.list()) if (name.startsWith("temp-")) files.remove(name);
    const last = loaded.manifest.increments.at(-1);
    const fd = last === undefined ? this.#openNext() : files.open(last.name, "a");
    const bytes = files.size(fd);
    this.#log = new AppendLog(files, fd, bytes, config.appendfsync);
    this.#earlierBytes = loaded.totalBytes - bytes;
    this.#rewrittenBytes = loaded.totalBytes;
    if (this.#manifest.history.length > 0) void this.#deleteHistory();
    const { hooks } = state.databases;
    hooks.expired = (db, key, from, to) => this.#appendDel(db, key, from, to);
    hooks.evicted = hooks.expired;
  }

  // -- Journal ----------------------------------------------------------------------------------

  get refusal(): string | undefined {
    const { error } = this.#log;
    return error === undefined
      ? undefined
      : `MISCONF Errors writing to the AOF file: ${error.text}`;
  }

  get bufferBytes(): number {
    return this.#log.pendingBytes;
  }

  append(dbIndex: number, buf: Buffer, from: number, to: number): void {
    this.#log.append(dbIndex, buf, from, to);
  }

  appendWords(dbIndex: number, words: RequestArgs): void {
    this.#log.appendWords(dbIndex, words);
  }

  commit(): boolean {
    this.#log.policy = this.#state.config.appendfsync;
    return this.#log.commit(this.#state.databases.nowMs);
  }

  rewrite(): string {
    if (this.#rewriting !== undefined && !this.#isScheduled) throw new ReplyError(IN_PROGRESS);
    if (this.#rewriting !== undefined) return SCHEDULED;
    if (this.#snapshot.holder !== "") {
      this.#isScheduled = true;
      return SCHEDULED;
    }
    this.#begin();
    return STARTED;
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#rewriting;
    await this.#log.settled();
    try {
      this.#log.close();
    } catch (error) {
      throw new CodisError(
        "unavailable",
        `Cannot finish the append-only file in ${this.#files.directory}: changes that were answered ` +
          `may be lost, ${this.#log.pendingBytes} bytes are not written. See to the disk; the next ` +
          "start loads everything before them",
        error,
      );
    } finally {
      this.#unlock();
    }
  }

  infoLines(): readonly string[] {
    const isRewriting = this.#rewriting !== undefined;
    const now = this.#state.clock.now();
    const sinceStart = isRewriting ? Math.floor((now - this.#startedMs) / 1000) : -1;
    return [
      `aof_rewrite_in_progress:${isRewriting ? 1 : 0}`,
      `aof_rewrite_scheduled:${this.#isScheduled ? 1 : 0}`,
      `aof_last_rewrite_time_sec:${this.#lastSeconds}`,
      `aof_current_rewrite_time_sec:${sinceStart}`,
      `aof_last_bgrewrite_status:${this.#lastFailed ? "err" : "ok"}`,
      `aof_rewrites:${this.#rewrites}`,
      `aof_last_write_status:${this.#log.error === undefined ? "ok" : "err"}`,
      `aof_current_size:${this.totalBytes}`,
      `aof_base_size:${this.#rewrittenBytes}`,
      `aof_pending_rewrite:${this.#isScheduled ? 1 : 0}`,
      `aof_buffer_length:${this.#log.pendingBytes}`,
      `aof_pending_bio_fsync:${this.#log.isSyncing ? 1 : 0}`,
      `aof_delayed_fsync:${this.#log.delayedSyncs}`,
    ];
  }

  // ---------------------------------------------------------------------------------------------

  /** Bytes of all files in use. */
  get totalBytes(): number {
    return this.#earlierBytes + this.#log.bytes;
  }

  /** Resolves when no rewrite runs. */
  async settled(): Promise<void> {
    await this.#rewriting;
  }

  /** Called about ten times a second: syncs of each second, failed writes, rewrites that are due. */
  tick(): void {
    const nowMs = this.#state.clock.now();
    this.#log.tick(nowMs);
    this.#reportError();
    if (this.#rewriting !== undefined || this.#snapshot.holder !== "") return;
    // What was asked for does not wait until a failure is some time ago.
    if (this.#isScheduled) {
      this.#begin();
      return;
    }
    if (nowMs < this.#notBeforeMs) return;
    if (this.#log.needsRewrite || this.#isDue(nowMs)) this.#begin();
  }

  /** A rewrite of its own accord is due, and nothing speaks against it now. */
  #isDue(nowMs: number): boolean {
    if (!this.#hasGrown()) {
      this.#grownMs = Number.NaN;
      return false;
    }
    if (Number.isNaN(this.#grownMs)) this.#grownMs = nowMs;
    return !this.#state.isMovingChunks(nowMs) || nowMs - this.#grownMs >= MOVES_WAIT_MS_MAX;
  }

  #reportError(): void {
    const { error } = this.#log;
    const text = error?.text ?? "";
    if (text === this.#reportedError) return;
    this.#reportedError = text;
    const { log } = this.#state;
    const { directory } = this.#files;
    if (error === undefined) log.info("AOF can be written again", { directory });
    else log.error("AOF cannot be kept; changes are refused until it can", { directory, ...error });
  }

  #hasGrown(): boolean {
    const { config } = this.#state;
    const percentage = config["auto-aof-rewrite-percentage"];
    const bytes = this.totalBytes;
    if (percentage === 0 || bytes < config["auto-aof-rewrite-min-size"]) return false;
    const base = Math.max(1, this.#rewrittenBytes);
    return ((bytes - base) * 100) / base >= percentage;
  }

  #appendDel(db: Keyspace, key: Buffer, from: number, to: number): void {
    if (this.#log.isBehind) {
      this.#log.leaveOut();
      return;
    }
    this.#log.appendWords(db.index, ["DEL", key.subarray(from, to)]);
  }

  /** Makes the next increment and says so in the manifest; its descriptor. */
  #openNext(): number {
    const manifest = withNextIncrement(this.#manifest, this.#fileName);
    const fd = this.#files.open(manifest.increments.at(-1)!.name, "w");
    try {
      this.#store(manifest);
    } catch (error) {
      this.#files.close(fd);
      throw error;
    }
    return fd;
  }

  #store(manifest: Manifest): void {
    replaceFile(this.#files, manifestName(this.#fileName), formatManifest(manifest));
    this.#manifest = manifest;
  }

  #begin(): void {
    const { log, clock } = this.#state;
    this.#startedMs = clock.now();
    this.#snapshot.holder = "rewrite";
    this.#isScheduled = false;
    this.#grownMs = Number.NaN;
    this.#rewriting = untilWhole(() => this.#rewriteOnce())
      .then(
        () => {
          this.#lastFailed = false;
          log.info("AOF rewrite done", { bytes: this.totalBytes });
        },
        (error: unknown) => {
          if (this.#isClosing) return;
          this.#lastFailed = true;
          const retryMs = this.#log.needsRewrite ? URGENT_RETRY_MS : RETRY_MS;
          this.#notBeforeMs = clock.now() + retryMs;
          log.error("AOF rewrite failed; the files before it stay in use", {
            error: errorText(error),
          });
        },
      )
      .finally(() => {
        this.#lastSeconds = Math.round((clock.now() - this.#startedMs) / 1000);
        this.#rewriting = undefined;
        this.#isScheduled = false;
        this.#snapshot.holder = "";
      });
  }

  /** @returns false when the snapshot was given up because databases were emptied or swapped */
  async #rewriteOnce(): Promise<boolean> {
    if (this.#isClosing) throw new CodisError("closed", "the server is stopping");
    const { databases } = this.#state;
    // Off the loop first, so that the sync of the switch has little left to do.
    await this.#log.syncLater(databases.nowMs);
    const files = this.#files;
    const fd = files.open(TEMPORARY_BASE, "w");
    const output: BaseOutput = { out: new ReplyWriter(), dbIndex: -1 };
    let bytes = 0;
    let isWhole = true;
    try {
      const earlierBytes = this.totalBytes;
      this.#log.switchTo(() => this.#openNext());
      this.#earlierBytes = earlierBytes;
      this.#isScheduled = false;
      this.#snapshot.start(new BaseWriter(output), new BaseWriter(output), () => {
        isWhole = false;
      });
      bytes = await this.#writeBase(fd, output.out);
      await files.syncLater(fd);
    } catch (error) {
      await giveUp(this.#snapshot, SLICE_MS, this.#state.clock, () => this.#isClosing);
      files.remove(TEMPORARY_BASE);
      throw error;
    } finally {
      files.close(fd);
      output.out.clear();
    }
    if (isWhole) {
      await this.#adoptBase(bytes);
    } else {
      files.remove(TEMPORARY_BASE);
      // Whoever asks before the next try gets what that one writes.
      this.#isScheduled = true;
    }
    return isWhole;
  }

  /** Goes through the snapshot, a slice per turn. Returns the bytes written. */
  async #writeBase(fd: number, out: ReplyWriter): Promise<number> {
    const { clock } = this.#state;
    const increment = this.#manifest.increments.at(-1)!.seq;
    let bytes = 0;
    let unsynced = 0;
    for (let isOver = false; !isOver; ) {
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#isClosing) throw new CodisError("closed", "the server is stopping");
      isOver = this.#snapshot.step(SLICE_MS, clock);
      // A command that changed very large values had all of them written at once.
      if (out.isOverfull) throw new CodisError("limit", "too much was changed in one turn");
      if (out.pendingBytes < WRITE_BYTES && !isOver) continue;
      unsynced += out.pendingBytes;
      bytes += out.pendingBytes;
      while (out.pendingBytes > 0)
        out.consume(this.#files.write(fd, out.buf, out.head, out.length));
      if (unsynced < SYNC_BYTES || isOver) continue;
      unsynced = 0;
      await this.#files.syncLater(fd);
    }
    this.#state.log.debug("AOF base written", { bytes, increment });
    return bytes;
  }

  /** The temporary file becomes the base of the manifest. */
  async #adoptBase(bytes: number): Promise<void> {
    const seq = this.#manifest.increments.at(-1)!.seq;
    const manifest = withNextBase(this.#manifest, this.#fileName, seq);
    this.#files.rename(TEMPORARY_BASE, manifest.base!.name);
    this.#store(manifest);
    this.#earlierBytes = bytes;
    this.#rewrittenBytes = this.totalBytes;
    this.#rewrites++;
    this.#log.trustAgain();
    await this.#deleteHistory();
  }

  /** Deletes what is no longer needed. What cannot be deleted is tried again after the next start. */
  async #deleteHistory(): Promise<void> {
    try {
      for (const part of this.#manifest.history) await this.#files.removeLater(part.name);
      this.#store({ ...this.#manifest, history: [] });
    } catch (error) {
      this.#state.log.warn("Cannot delete old AOF files", { error: errorText(error) });
    }
  }
}
