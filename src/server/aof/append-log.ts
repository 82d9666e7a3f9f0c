/**
 * The end of the append-only file that is written to: one increment, its buffer, and when its bytes
 * reach the disk. Knows nothing of manifests and rewrites; aof.ts hands it the next increment.
 *
 *   append ──> buffer ──commit: write──> page cache ──fdatasync──> disk
 *
 *   always     commit writes and syncs; only then may the replies of the turn leave
 *   everysec   commit writes (the end of the process loses nothing that was answered); a sync
 *              runs off the loop once a second. When one takes longer than 2 s, commit waits for
 *              the disk itself, so a power loss takes at most that. Redis holds back the write
 *              instead, which would lose answered changes when the process is killed.
 *   no         commit writes; the system syncs when it likes
 *
 * When a write fails, nothing is thrown away: what is not written stays in the buffer, in order,
 * and is tried again each second; `error` says why changes are to be refused meanwhile. Only keys
 * that expire go on being logged then, until too much waits. After a
 * failed sync the system may have dropped what was written, and a later sync that works proves
 * nothing: then only a new file with all data in it (`needsRewrite`) is trusted again.
 */

import { assert } from "../../base/assert.ts";
import { errorText } from "../../base/errors.ts";
import { ReplyWriter, type RequestArgs } from "../../resp/encoder.ts";
import type { DataFiles } from "../files.ts";

export type FsyncPolicy = "always" | "everysec" | "no";

const SYNC_INTERVAL_MS = 1000;
const SYNC_OVERDUE_MS = 2000;
const RETRY_INTERVAL_MS = 1000;
/**
 * What waits is written before the end of the turn when it is more than this, so that no number of
 * long commands in one turn adds up to more than a buffer holds: commands are at most 1 GiB each.
 */
export const EARLY_WRITE_BYTES = 64 * 1024 * 1024;

/** Why the log cannot be kept at the moment. */
export interface LogError {
  readonly step: "write" | "fsync";
  /** As the C library says it, like Redis: `No space left on device`. */
  readonly text: string;
}

/** What `strerror` says of what a disk can answer; Node's own texts are others. */
const STRERROR: Readonly<Record<string, string>> = {
  EDQUOT: "Disk quota exceeded",
  EFBIG: "File too large",
  EIO: "Input/output error",
  ENOSPC: "No space left on device",
  EROFS: "Read-only file system",
};

function diskErrorText(error: unknown): string {
  return STRERROR[String((error as NodeJS.ErrnoException).code)] ?? errorText(error);
}

export class AppendLog {
  policy: FsyncPolicy;
  /** Set while what is appended cannot be kept. */
  error: LogError | undefined;
  /** A sync failed: bytes written before may be lost, whatever later syncs say. */
  needsRewrite = false;
  /** Bytes of the current increment: written, and waiting in the buffer. */
  bytes = 0;
  /** How often commit had to wait for a sync that took too long. */
  delayedSyncs = 0;

  readonly #files: DataFiles;
  #fd: number;
  /** What is not written yet. */
  readonly #pending = new ReplyWriter();
  /** Database of the last record; -1 when the file has none yet. */
  #dbIndex = -1;
  /** Bytes were written since the last sync began. */
  #dirty = false;
  #syncing = false;
  #settled: Promise<void> = Promise.resolve();
  #syncStartedMs = 0;
  #retryAtMs = 0;
  /** As the last commit or tick was told. */
  #nowMs = 0;
  #failedSinceSwitch = false;

  /**
   * @param fd the increment, open for appending
   * @param bytes its size
   */
  constructor(files: DataFiles, fd: number, bytes: number, policy: FsyncPolicy) {
    this.#files = files;
    this.#fd = fd;
    this.bytes = bytes;
    this.policy = policy;
  }

  /** Bytes that wait to be written. */
  get pendingBytes(): number {
    return this.#pending.pendingBytes;
  }

  get isSyncing(): boolean {
    return this.#syncing;
  }

  /** Adds the request `src[from, to)`, a RESP array, which changed database `dbIndex`. */
  append(dbIndex: number, src: Buffer, from: number, to: number): void {
    const before = this.pendingBytes;
    this.#select(dbIndex);
    this.#pending.append(src, from, to);
    this.#added(before);
  }

  /**
   * Adds a request that is not there as bytes. It is written where it waits: to make 1 MiB of bytes
   * elsewhere first, in new memory, took another 2 ms.
   */
  appendWords(dbIndex: number, words: RequestArgs): void {
    const before = this.pendingBytes;
    this.#select(dbIndex);
    this.#pending.request(words);
    this.#added(before);
  }

  #select(dbIndex: number): void {
    if (dbIndex === this.#dbIndex) return;
    this.#dbIndex = dbIndex;
    this.#pending.array(2);
    this.#pending.bulkText("SELECT");
    this.#pending.bulkInteger(dbIndex);
  }

  /** @param before bytes that waited before this request */
  #added(before: number): void {
    const pending = this.#pending;
    assert(!pending.isOverfull, "what one command logs fits a buffer");
    this.bytes += pending.pendingBytes - before;
    if (pending.pendingBytes > EARLY_WRITE_BYTES && this.error === undefined) {
      this.#write(this.#nowMs);
    }
  }

  /**
   * Writing fails and much waits already: what nobody can be refused, keys that expire, is not to
   * be appended any more, but told to `leaveOut`.
   */
  get isBehind(): boolean {
    return this.error !== undefined && this.#pending.pendingBytes > EARLY_WRITE_BYTES;
  }

  /** A change is missing in the log: as after a failed sync, only a new file is trusted again. */
  leaveOut(): void {
    this.#distrust(this.error?.text ?? "a change could not be kept");
  }

  /**
   * Ends a turn.
   * @returns whether what was appended is as safe as the policy promises before replies leave;
   * false only under "always"
   */
  commit(nowMs: number): boolean {
    this.#nowMs = nowMs;
    if (this.pendingBytes > 0 && (this.error === undefined || nowMs >= this.#retryAtMs)) {
      this.#write(nowMs);
    }
    if (this.policy === "always") {
      if (this.pendingBytes > 0 || this.needsRewrite) return false;
      if (this.#dirty) this.#sync(nowMs);
      return this.error === undefined;
    }
    const overdue = this.#syncing && nowMs - this.#syncStartedMs >= SYNC_OVERDUE_MS;
    if (overdue && this.#dirty && this.policy === "everysec") {
      this.delayedSyncs++;
      this.#sync(nowMs);
    }
    return true;
  }

  /** Called about ten times a second: the sync of each second, and writes that failed before. */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    if (this.error?.step === "write" && nowMs >= this.#retryAtMs) {
      this.#write(nowMs);
      if (this.policy === "always" && this.pendingBytes === 0 && this.#dirty) this.#sync(nowMs);
    }
    if (this.policy !== "everysec" || !this.#dirty || this.#syncing) return;
    if (nowMs - this.#syncStartedMs >= SYNC_INTERVAL_MS) void this.syncLater(nowMs);
  }

  #write(nowMs: number): void {
    try {
      this.#writeAll();
    } catch (error) {
      // What was written of a record stays in the file: the rest follows it when writing works.
      if (!this.needsRewrite) this.error = { step: "write", text: diskErrorText(error) };
      this.#retryAtMs = nowMs + RETRY_INTERVAL_MS;
      return;
    }
    if (this.error?.step === "write") this.error = undefined;
  }

  #writeAll(): void {
    const pending = this.#pending;
    while (pending.pendingBytes > 0) {
      const count = this.#files.write(this.#fd, pending.buf, pending.head, pending.length);
      this.#dirty = true;
      pending.consume(count);
    }
  }

  #sync(nowMs: number): void {
    this.#dirty = false;
    this.#syncStartedMs = nowMs;
    try {
      this.#files.sync(this.#fd);
    } catch (error) {
      this.#syncFailed(error);
    }
  }

  #syncFailed(error: unknown): void {
    this.#distrust(diskErrorText(error));
  }

  #distrust(text: string): void {
    this.needsRewrite = true;
    this.#failedSinceSwitch = true;
    this.error = { step: "fsync", text };
  }

  /** Syncs off the loop; fulfilled when no sync runs any more, also when it failed. */
  syncLater(nowMs: number): Promise<void> {
    if (!this.#syncing) {
      this.#dirty = false;
      this.#syncing = true;
      this.#syncStartedMs = nowMs;
      this.#settled = this.#files.syncLater(this.#fd).then(
        () => {
          this.#syncing = false;
        },
        (error: unknown) => {
          this.#syncing = false;
          this.#syncFailed(error);
        },
      );
    }
    return this.#settled;
  }

  /** Resolves when no sync runs off the loop. */
  settled(): Promise<void> {
    return this.#settled;
  }

  /**
   * Goes on in another file. Everything appended so far is written and synced first, so that no
   * record of the new file can outlive one before it.
   * @param open makes the new increment and says so in the manifest; its descriptor
   * @throws what writing, syncing or `open` throws; the log then stays where it is
   */
  switchTo(open: () => number): void {
    assert(!this.#syncing, "no sync runs on the file that is left");
    this.#writeAll();
    if (this.#dirty && !this.needsRewrite) this.#files.sync(this.#fd);
    const fd = open();
    this.#files.close(this.#fd);
    this.#fd = fd;
    this.#dirty = false;
    this.#dbIndex = -1;
    this.#failedSinceSwitch = false;
    this.bytes = 0;
    if (this.error?.step === "write") this.error = undefined;
  }

  /**
   * A new base holds everything before this increment: what a failed sync lost there no longer
   * matters.
   */
  trustAgain(): void {
    if (this.#failedSinceSwitch) return;
    this.needsRewrite = false;
    if (this.error?.step === "fsync") this.error = undefined;
  }

  /**
   * Writes and syncs what is left, and closes the file.
   * @throws what that throws, and an error when a change was lost earlier
   */
  close(): void {
    assert(!this.#syncing, "no sync runs on the file that is closed");
    try {
      this.#writeAll();
      this.#files.sync(this.#fd);
      if (this.needsRewrite) throw new Error(`earlier failure: ${this.error?.text}`);
    } finally {
      this.#files.close(this.#fd);
    }
  }
}
