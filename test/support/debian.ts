/**
 * The Debian packages whose programs the tests drive, each with one program it brings.
 * `.ci/run` installs from the same list: `bun run test/support/debian.ts` prints what is missing.
 */

const PROGRAM_OF_PACKAGE: Readonly<Record<string, string>> = {
  "redis-server": "redis-server",
  "redis-tools": "redis-cli",
  nutcracker: "nutcracker",
  procps: "ps",
  strace: "strace",
  "util-linux": "taskset",
};

/** Debian puts some servers where only root's PATH looks. */
const SEARCH_PATH = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`;

/** @returns names of packages to install, empty when every program is found */
export function missingPackages(): readonly string[] {
  return Object.entries(PROGRAM_OF_PACKAGE)
    .filter(([, program]) => Bun.which(program, { PATH: SEARCH_PATH }) === null)
    .map(([name]) => name);
}

/** @returns the path of an installed program; throws when it is not there */
export function programPath(program: string): string {
  const path = Bun.which(program, { PATH: SEARCH_PATH });
  if (path === null) throw new Error(`${program} is not installed; npm test names its package`);
  return path;
}

if (import.meta.main) process.stdout.write(`${missingPackages().join(" ")}\n`);
