/**
 * The name under which a target knows a link: CLIENT SETNAME, shown by CLIENT LIST.
 *
 *   codis-migrate-<source>-<process>-<lane>-<number>
 *     source    this server, the same after a restart: machine, host name, bind, port, dir
 *     process   this start of it
 *     lane      what links take turns in: of one lane, one is alive at a time
 *     number    counts the links of the process
 *
 * So a link finds at its target what is left of earlier ones, even of a process that was killed
 * and can tell nobody; and links of one process in different lanes (the same target by two
 * spellings of its address, say) leave each other alone.
 */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";

const PREFIX = "codis-migrate-";
const SOURCE_CHARS = 16;
const PART_CHARS = 8;
/** Where a Linux machine keeps the number it was given when it was installed. */
const MACHINE_ID_FILES = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

export interface LinkName {
  readonly text: string;
  /** What names of all links of this server begin with, of whichever process. */
  readonly ofSource: string;
  readonly ofProcess: string;
  readonly ofLane: string;
}

/** Names of one process. */
export class LinkNames {
  readonly #ofSource: string;
  readonly #ofProcess: string;
  #count = 0;

  /**
   * @param source what tells this server from all others, and is the same after a restart
   * @param runId what tells this start of it from others
   */
  constructor(source: readonly string[], runId: string) {
    this.#ofSource = `${PREFIX}${shortHash(source, SOURCE_CHARS)}-`;
    this.#ofProcess = `${this.#ofSource}${shortHash([runId], PART_CHARS)}-`;
  }

  /** @param lane for instance the target's address: a new link of a lane ends the one before it */
  next(lane: string): LinkName {
    const ofLane = `${this.#ofProcess}${shortHash([lane], PART_CHARS)}-`;
    this.#count++;
    const text = `${ofLane}${this.#count}`;
    return { text, ofSource: this.#ofSource, ofProcess: this.#ofProcess, ofLane };
  }
}

/** Whether the connection called `other` is left of an earlier link, for the link `name` to end. */
export function isLeftover(name: LinkName, other: string): boolean {
  if (!other.startsWith(name.ofSource) || other === name.text) return false;
  return !other.startsWith(name.ofProcess) || other.startsWith(name.ofLane);
}

/**
 * What tells the server at this port and directory from all others.
 * @param dir absolute
 */
export function sourceIdentity(bind: string, port: number, dir: string): readonly string[] {
  return [machineId(), hostname(), bind, String(port), dir];
}

/** "" on a machine that has none: containers, mostly, whose host names differ. */
function machineId(): string {
  for (const file of MACHINE_ID_FILES) {
    try {
      return readFileSync(file, "utf8").trim();
    } catch {
      // Not there: the next one, or none.
    }
  }
  return "";
}

function shortHash(parts: readonly string[], chars: number): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, chars);
}
