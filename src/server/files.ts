/**
 * A directory of data (the append-only file, snapshots) as its users see it: files by name,
 * descriptors, and when bytes are on the disk. The only place of durability that knows node:fs, so
 * that tests can put a disk in its place that fills up, fails, or forgets what was not synced.
 */

import {
  close,
  closeSync,
  constants,
  existsSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { syncFolder, syncFolderLater } from "../base/files.ts";
import { tryFlock } from "../base/flock.ts";

/** Every method but `syncLater` blocks; all throw what node:fs throws (`code` is the errno's name). */
export interface DataFiles {
  /** For messages. */
  readonly directory: string;
  /** Names in the directory; empty when there is none yet. */
  list(): string[];
  exists(name: string): boolean;
  /** A text that says which file has the name: another when it is replaced or written to. */
  identity(name: string): string | undefined;
  /** Creates the directory, but not what it is to be in. */
  prepare(): void;
  /**
   * Keeps other servers out of the directory until what it returns is called, or the process ends.
   * @returns undefined when another server is in it
   */
  lock(): (() => void) | undefined;
  /** The whole file as text; undefined when there is none. */
  readText(name: string): string | undefined;
  /** "r" to read, "a" to append (created when missing), "w" to write from scratch. */
  open(name: string, mode: "r" | "r+" | "a" | "w"): number;
  size(fd: number): number;
  /** @returns bytes read into `into[at ..]`, 0 at the end */
  read(fd: number, into: Buffer, at: number, length: number, position: number): number;
  /** @returns bytes written, which may be fewer than asked for */
  write(fd: number, bytes: Buffer, from: number, to: number): number;
  truncate(fd: number, size: number): void;
  /** Returns when what was written is on the disk. */
  sync(fd: number): void;
  /** The same off the loop. Rejects as `sync` throws. */
  syncLater(fd: number): Promise<void>;
  close(fd: number): void;
  /** The same off the loop: the last close of a file that has no name any more frees all of it. */
  closeLater(fd: number): Promise<void>;
  rename(from: string, to: string): void;
  remove(name: string): void;
  /** The same off the loop: a large file may take a while. */
  removeLater(name: string): Promise<void>;
  /** Returns when names made, changed and removed are on the disk. */
  syncDirectory(): void;
  /** The same off the loop. */
  syncDirectoryLater(): Promise<void>;
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}

export function diskFiles(directory: string): DataFiles {
  const path = (name: string): string => join(directory, name);
  return {
    directory,
    list() {
      try {
        return readdirSync(directory);
      } catch (error) {
        if (isMissing(error)) return [];
        throw error;
      }
    },
    exists: (name) => existsSync(path(name)),
    identity(name) {
      const stat = statSync(path(name), { bigint: true, throwIfNoEntry: false });
      return stat && `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs}`;
    },
    prepare() {
      if (existsSync(directory)) return;
      mkdirSync(directory, 0o755);
      syncFolder(dirname(directory));
    },
    lock() {
      const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
      if (tryFlock(fd)) return () => closeSync(fd);
      closeSync(fd);
      return undefined;
    },
    readText(name) {
      try {
        return readFileSync(path(name), "latin1");
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    open: (name, mode) => openSync(path(name), mode, 0o644),
    size: (fd) => fstatSync(fd).size,
    read: readSync,
    write: (fd, bytes, from, to) => writeSync(fd, bytes, from, to - from),
    truncate: ftruncateSync,
    sync: fdatasyncSync,
    syncLater: (fd) =>
      new Promise((resolve, reject) => {
        fdatasync(fd, (error) => (error === null ? resolve() : reject(error)));
      }),
    close: closeSync,
    closeLater: (fd) =>
      new Promise((resolve, reject) => {
        close(fd, (error) => (error == null ? resolve() : reject(error)));
      }),
    rename: (from, to) => renameSync(path(from), path(to)),
    remove: (name) => rmSync(path(name), { force: true }),
    removeLater: (name) => rm(path(name), { force: true }),
    syncDirectory: () => syncFolder(directory),
    syncDirectoryLater: () => syncFolderLater(directory),
  };
}

/**
 * Puts a file in place as a whole: at every instant the old text or the new one is on the disk.
 * When that fails the temporary file stays; the next one is written over it.
 */
export function replaceFile(files: DataFiles, name: string, text: string): void {
  const temporary = `temp-${name}`;
  const bytes = Buffer.from(text, "latin1");
  const fd = files.open(temporary, "w");
  try {
    for (let at = 0; at < bytes.length; ) at += files.write(fd, bytes, at, bytes.length);
    files.sync(fd);
  } finally {
    files.close(fd);
  }
  files.rename(temporary, name);
  files.syncDirectory();
}
