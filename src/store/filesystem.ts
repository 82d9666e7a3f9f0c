/**
 * The coordinator in a folder R of the local disk. Source: Codis pkg/models/fs/fsclient.go.
 *
 *   R/data<node path>   one file per node (0600), folders for folders (0755)
 *   R/data.lck          held with flock during every operation, by all programs that share R
 *   R/temp/             new contents are written here, then renamed onto their node
 *
 * Where we differ: a held lock is waited for, contents and folders are synced to disk before a
 * write returns, and a lease is a file on which its owner holds flock until it releases it or dies.
 * Operations of one instance run one after the other, but updates that wait in a row are one
 * operation: one lock, files synced side by side, each folder once. Nothing is cached.
 */

import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { AssertionError, assert } from "../base/assert.ts";
import { CodisError, type ErrorCode } from "../base/errors.ts";
import {
  type Draft,
  makeFolder,
  replaceFileUnsynced,
  syncFile,
  syncFolderLater,
  writeFileAtomically,
} from "../base/files.ts";
import { tryFlock } from "../base/flock.ts";
import type { Coordinator, Lease } from "./coordinator.ts";

/** How long an operation waits for R/data.lck, and how often it tries. */
const LOCK_WAIT_MS = 5_000;
const LOCK_RETRY_MS = 5;
/** Updates in one operation, at most: so many files are open at once. */
export const BATCH_MAX = 64;

/**
 * What a folder that cannot be used fails with; waiting mends none of these. ENOENT is what /proc
 * says to a new folder: parents are made.
 */
const UNUSABLE_FOLDER: ReadonlySet<unknown> = new Set(
  "EACCES EPERM EROFS ENOTDIR EISDIR EEXIST ENOENT ELOOP ENAMETOOLONG".split(" "),
);

export class FilesystemCoordinator implements Coordinator {
  readonly #root: string;
  readonly #lockWaitMs: number;
  readonly #leases = new Set<FileLease>();
  /** The last operation queued; the next one starts when it has ended. */
  #last: Promise<unknown> = Promise.resolve();
  /** The updates queued last, while nothing else is behind them and they have not begun. */
  #batch: Update[] = [];
  #closed = false;

  /**
   * @param root the folder R; made on first use
   * @param lockWaitMs how long to wait for a lock that another program holds
   */
  constructor(root: string, lockWaitMs = LOCK_WAIT_MS) {
    this.#root = resolve(root);
    this.#lockWaitMs = lockWaitMs;
  }

  create(path: string, data: string, lease?: Lease): Promise<void> {
    return this.#run("create", path, async () => {
      this.#checkLease(lease);
      const file = this.#fileOf(path);
      if (exists(file)) throw new CodisError("conflict", "file already exists");
      await writeFileAtomically(file, data, this.#draftOf(file));
    });
  }

  update(path: string, data: string, lease?: Lease): Promise<void> {
    const update = { path, data, lease, done: Promise.withResolvers<void>() };
    const batch = this.#batch;
    const joins =
      batch.length > 0 && batch.length < BATCH_MAX && batch.every((other) => other.path !== path);
    if (joins) batch.push(update);
    else this.#beginBatch(update);
    return update.done.promise;
  }

  remove(path: string, lease?: Lease): Promise<void> {
    return this.#run("remove", path, async () => {
      this.#checkLease(lease);
      const file = this.#fileOf(path);
      if (!exists(file)) return;
      rmSync(file, { recursive: true });
      await syncFolderLater(dirname(file));
    });
  }

  read(path: string): Promise<string | undefined> {
    return this.#run("read", path, () => {
      const file = this.#fileOf(path);
      return exists(file) ? readFileSync(file, "utf8") : undefined;
    });
  }

  list(path: string): Promise<string[] | undefined> {
    return this.#run("list", path, () => {
      const folder = this.#fileOf(path);
      if (!exists(folder)) return undefined;
      return readdirSync(folder)
        .sort()
        .map((name) => `${path}/${name}`);
    });
  }

  acquireLease(path: string): Promise<Lease | undefined> {
    return this.#run("lease", path, () => {
      const file = this.#fileOf(path);
      mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
      const fd = openSync(file, constants.O_RDWR | constants.O_CREAT, 0o600);
      let isTaken = false;
      try {
        if (!tryFlock(fd)) return undefined;
        const lease: FileLease = {
          path,
          previous: readFileSync(fd, "utf8"),
          fd,
          write: (data) => this.#run("write", path, () => this.#writeLease(lease, data)),
          release: () => this.#run("release", path, () => this.#releaseLease(lease)),
        };
        this.#leases.add(lease);
        isTaken = true;
        return lease;
      } finally {
        if (!isTaken) closeSync(fd);
      }
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
    for (const lease of this.#leases) closeSync(lease.fd);
    this.#leases.clear();
  }

  /**
   * Queues `work`, runs it under the lock, and says in an error what was attempted: "usage" when
   * the folder cannot be used, "unavailable" for what may pass.
   */
  async #run<T>(verb: string, path: string, work: () => T | Promise<T>): Promise<T> {
    this.#batch = [];
    try {
      return await this.#queue(() => this.#locked(work));
    } catch (error) {
      throw this.#failure(verb, path, error);
    }
  }

  #queue<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  #failure(verb: string, path: string, error: unknown): Error {
    if (error instanceof AssertionError) return error;
    if (error instanceof CodisError && error.code === "closed") return error;
    return new CodisError(codeOf(error), `Cannot ${verb} ${path} below ${this.#root}`, error);
  }

  #beginBatch(first: Update): void {
    const batch = [first];
    this.#batch = batch;
    void this.#queue(async () => {
      if (this.#batch === batch) this.#batch = [];
      try {
        await this.#locked(() => this.#writeBatch(batch));
      } catch (error) {
        // Not even begun: the lock was not to be had.
        for (const { path, done } of batch) done.reject(this.#failure("write", path, error));
      }
    });
  }

  /** Settles each update for itself. */
  async #writeBatch(batch: readonly Update[]): Promise<void> {
    const folders = new Map<string, Update[]>();
    await Promise.all(
      batch.map(async (update) => {
        try {
          this.#checkLease(update.lease);
          const file = this.#fileOf(update.path);
          await replaceFileUnsynced(file, update.data, this.#draftOf(file));
          folders.set(dirname(file), [...(folders.get(dirname(file)) ?? []), update]);
        } catch (error) {
          update.done.reject(this.#failure("write", update.path, error));
        }
      }),
    );
    for (const [folder, updates] of folders) {
      try {
        await syncFolderLater(folder);
        for (const { done } of updates) done.resolve();
      } catch (error) {
        for (const { path, done } of updates) done.reject(this.#failure("write", path, error));
      }
    }
  }

  async #locked<T>(work: () => T | Promise<T>): Promise<T> {
    if (this.#closed) throw new CodisError("closed", "use of closed fs client");
    mkdirSync(this.#root, { recursive: true, mode: 0o755 });
    const fd = openSync(join(this.#root, "data.lck"), constants.O_RDWR | constants.O_CREAT, 0o644);
    try {
      const deadlineMs = performance.now() + this.#lockWaitMs;
      while (!tryFlock(fd)) {
        if (performance.now() >= deadlineMs) {
          throw new CodisError(
            "unavailable",
            `data.lck is held by another program for ${this.#lockWaitMs} ms: resource temporarily unavailable`,
          );
        }
        await new Promise((done) => setTimeout(done, LOCK_RETRY_MS));
      }
      const holder = { now: new Date().toISOString(), pid: process.pid };
      note(fd, JSON.stringify(holder, null, 4));
      try {
        return await work();
      } finally {
        note(fd, "");
      }
    } finally {
      closeSync(fd);
    }
  }

  #fileOf(path: string): string {
    const file = join(this.#root, "data", path);
    assert(file.startsWith(join(this.#root, "data", "/")), `node path stays inside: ${path}`);
    return file;
  }

  /** Where the text of `file` is written first; makes the folders of both. */
  #draftOf(file: string): Draft {
    const temp = join(this.#root, "temp");
    mkdirSync(temp, { recursive: true, mode: 0o755 });
    makeFolder(dirname(file));
    const seconds = Math.floor(Date.now() / 1000);
    return { path: join(temp, `${seconds}.${Math.floor(Math.random() * 1e15)}`), mode: 0o600 };
  }

  #checkLease(lease: Lease | undefined): void {
    if (lease === undefined) return;
    const held =
      this.#leases.has(lease as FileLease) &&
      sameFile(lease as FileLease, this.#fileOf(lease.path));
    if (!held) throw new CodisError("closed", `the lease ${lease.path} is lost`);
  }

  async #writeLease(lease: FileLease, data: string): Promise<void> {
    this.#checkLease(lease);
    overwrite(lease.fd, data);
    await syncFile(lease.fd);
  }

  #releaseLease(lease: FileLease): void {
    // The file stays: its text tells the next owner what was left behind if a step before failed.
    if (this.#leases.delete(lease)) closeSync(lease.fd);
  }
}

interface Update {
  readonly path: string;
  readonly data: string;
  readonly lease: Lease | undefined;
  readonly done: PromiseWithResolvers<void>;
}

interface FileLease extends Lease {
  /** The open lease file; its flock is the lease. */
  readonly fd: number;
}

/** Whether the path still names the file that the lease holds: somebody may have removed it. */
function sameFile(lease: FileLease, file: string): boolean {
  const named = lstatSync(file, { throwIfNoEntry: false });
  const held = fstatSync(lease.fd);
  return named !== undefined && named.ino === held.ino && named.dev === held.dev;
}

function codeOf(error: unknown): ErrorCode {
  if (error instanceof CodisError) return error.code;
  return UNUSABLE_FOLDER.has((error as NodeJS.ErrnoException).code) ? "usage" : "unavailable";
}

function exists(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}

/** What a lock file says to people who look who holds it. */
function note(fd: number, text: string): void {
  try {
    overwrite(fd, text);
  } catch {
    // The lock is held without it. A full disk must not stop reads, nor removals, which free it.
  }
}

/** Replaces the whole content of an open file. */
function overwrite(fd: number, text: string): void {
  ftruncateSync(fd, 0);
  const bytes = Buffer.from(text);
  let at = 0;
  while (at < bytes.length) at += writeSync(fd, bytes, at, bytes.length - at, at);
}
