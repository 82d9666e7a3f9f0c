/**
 * flock(2) through libc: an advisory lock on a file or directory, for all programs that ask for it.
 * It belongs to the open file description, so it falls when the file is closed or the process dies.
 */

import { dlopen } from "bun:ffi";
import { LIBC } from "./libc.ts";

const LOCK_EX = 2;
const LOCK_NB = 4;

const libc = dlopen(LIBC, {
  flock: { args: ["i32", "i32"], returns: "i32" },
});

/** Takes the exclusive lock of an open file without waiting; false when another holds it. */
export function tryFlock(fd: number): boolean {
  return libc.symbols.flock(fd, LOCK_EX | LOCK_NB) === 0;
}
