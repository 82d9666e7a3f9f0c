/** Files that must never be seen half written: what every role does to replace one. */

import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Replaces the file at `path` by `text`, so that after a crash or power loss it holds the old or
 * the new text whole: written beside it, synced, renamed over it, the folder synced. Throws what
 * node:fs throws; the old file is then untouched.
 */
export function writeFileAtomically(path: string, text: string): void {
  const temporary = `${path}.tmp`;
  const file = openSync(temporary, "w", 0o644);
  try {
    // Not writeSync, which may write less than all.
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  syncFolder(dirname(path));
}

/** Makes renames and new names in a folder survive a power loss. */
export function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
