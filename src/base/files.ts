/**
 * Files that people edit, read within a limit; and files that must never be seen half written: what
 * every role does to replace one.
 */

import {
  closeSync,
  constants,
  fstatSync,
  fsync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, resolve } from "node:path";
import { promisify } from "node:util";
import { CodisError } from "./errors.ts";

/** Returns when what was written to an open file is on the disk; off the loop. */
export const syncFile = promisify(fsync);

/**
 * The text of a file that somebody named, which may be anything: a device gives bytes without end,
 * a pipe none.
 * @throws CodisError "usage" for what is no regular file, "limit" for one that is too large, and
 * what node:fs throws
 */
export function readTextFile(path: string, bytesMax: number): string {
  // Opening a pipe to which nobody writes would wait otherwise.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(file);
    if (!stats.isFile()) throw new CodisError("usage", "it must be a regular file");
    if (stats.size > bytesMax) {
      const rule = `it has ${stats.size} bytes, must not have more than ${bytesMax}`;
      throw new CodisError("limit", rule);
    }
    return readFileSync(file, "utf8");
  } finally {
    closeSync(file);
  }
}

export interface Draft {
  /** Where the new text is written first, on the same disk. Absent: `path` with `.tmp` behind. */
  readonly path?: string;
  /** 0o644 when absent. */
  readonly mode?: number;
}

/**
 * Replaces the file at `path` by `text`, so that after a crash or power loss it holds the old or
 * the new text whole: written as a draft, synced, renamed over it, the folder synced. Rejects with
 * what node:fs throws; the old file is then untouched, unless only its folder could not be synced.
 */
export async function writeFileAtomically(
  path: string,
  text: string,
  draft: Draft = {},
): Promise<void> {
  await replaceFileUnsynced(path, text, draft);
  await syncFolderLater(dirname(path));
}

/**
 * The same for one of many files in a folder, whose text is synced and the folder not: until the
 * caller has synced that, a power loss may bring the old file back.
 */
export async function replaceFileUnsynced(
  path: string,
  text: string,
  { path: draft = `${path}.tmp`, mode = 0o644 }: Draft = {},
): Promise<void> {
  try {
    const file = openSync(draft, "w", mode);
    try {
      // Not writeSync, which may write less than all.
      writeFileSync(file, text);
      await syncFile(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

/**
 * Makes a folder and those above it that are not there, so that none of them is lost by a power
 * loss after this.
 */
export function makeFolder(path: string): void {
  const whole = resolve(path);
  const topmost = mkdirSync(whole, { recursive: true, mode: 0o755 });
  if (topmost === undefined) return;
  for (let made = whole; made.length >= topmost.length; made = dirname(made)) {
    syncFolder(dirname(made));
  }
}

/** Makes renames, removals and new names in a folder survive a power loss. */
export function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** The same off the loop. */
export async function syncFolderLater(path: string): Promise<void> {
  const folder = openSync(path, "r");
  try {
    await syncFile(folder);
  } finally {
    closeSync(folder);
  }
}
