/**
 * Pure: the manifest of a multi-part append-only file, as Redis 7 writes and reads it.
 *
 *   file appendonly.aof.2.base.aof seq 2 type b      the state at one instant, as commands (or RDB)
 *   file appendonly.aof.1.incr.aof seq 1 type h      history: no longer needed, to be deleted
 *   file appendonly.aof.3.incr.aof seq 3 type i      what came after the base, in order of seq
 *   # crc32 9e107d9d                                 of the lines before it; Redis passes over it
 *
 * One flipped bit makes `type i` a `type h`, and what it names would be deleted: hence the sum. A
 * manifest that Redis wrote has none and is taken as it is.
 *
 * It is replaced as a whole (temporary file, fsync, rename, fsync of the directory): whatever
 * instant the machine stops at, it names files that together are the data.
 * Source: Redis 7.0 src/aof.c (`aofLoadManifestFromFile`, `aofInfoFormat`).
 */

import { CodisError } from "../../base/errors.ts";

export type PartType = "b" | "h" | "i";

/** One line: a file of the append-only directory. */
export interface Part {
  /** A file name without directory. */
  readonly name: string;
  /** From 1; bases and increments count separately. */
  readonly seq: number;
  readonly type: PartType;
}

/** A value: a change makes a new one, which is stored before it is acted on. */
export interface Manifest {
  readonly base: Part | undefined;
  readonly history: readonly Part[];
  /** By ascending `seq`; the last one is written to. */
  readonly increments: readonly Part[];
}

export const EMPTY_MANIFEST: Manifest = { base: undefined, history: [], increments: [] };

/** Written as the last line. */
const SUM_LINE = /^# crc32 ([\da-f]{8})$/;

/** Of a line that is to be a checksum, or was one. */
const SUM_BEGIN = /^#\s*crc32\b/i;

/** Longest line of a manifest, in bytes, line feed included. */
const LINE_BYTES_MAX = 1024;

/** @throws CodisError "usage" naming the line and what is wrong with it */
export function parseManifest(text: string): Manifest {
  let base: Part | undefined;
  const history: Part[] = [];
  const increments: Part[] = [];
  const lines = text.split("\n");
  if (lines.pop() !== "") throw broken(lines.length + 1, "the last line does not end");
  if (lines.length === 0) throw broken(1, "it is empty");
  checkSum(lines);
  for (const [i, line] of lines.entries()) {
    if (line.startsWith("#")) continue;
    const part = parseLine(line, i + 1);
    if (part.type === "h") {
      history.push(part);
    } else if (part.type === "b") {
      if (base !== undefined) throw broken(i + 1, "a second base file");
      base = part;
    } else {
      const last = increments.at(-1);
      if (last !== undefined && part.seq <= last.seq) throw broken(i + 1, "seq does not ascend");
      increments.push(part);
    }
  }
  return { base, history, increments };
}

/** A comment at the end that is no sum is one that was damaged. */
function checkSum(lines: readonly string[]): void {
  const early = lines.slice(0, -1).findIndex((line) => SUM_BEGIN.test(line));
  if (early >= 0) {
    throw broken(early + 1, "lines behind the checksum; if they are right, remove this line");
  }
  const last = lines.at(-1)!;
  if (!last.startsWith("#")) return;
  const sum = SUM_LINE.exec(last)?.[1];
  const summed = lines.slice(0, -1).map((line) => `${line}\n`);
  if (sum === sumOf(summed.join(""))) return;
  const what =
    sum === undefined
      ? "a comment at the end must be the checksum, '# crc32 ' and 8 hexadecimal digits"
      : "it is not the checksum of the lines before it";
  throw broken(
    lines.length,
    `${what}; if somebody edited the file and all other lines are right, remove this line`,
  );
}

function sumOf(text: string): string {
  return Bun.hash.crc32(Buffer.from(text, "latin1")).toString(16).padStart(8, "0");
}

function broken(line: number, what: string): CodisError {
  return new CodisError("usage", `Invalid AOF manifest, line ${line}: ${what}`);
}

function parseLine(line: string, number: number): Part {
  if (line.length >= LINE_BYTES_MAX) throw broken(number, `longer than ${LINE_BYTES_MAX} bytes`);
  const words = splitWords(line);
  // Pairs this version does not know are passed over, as Redis does, for files of later versions.
  if (words === undefined || words.length < 6 || words.length % 2 !== 0) {
    throw broken(number, "not of the form 'file NAME seq N type b|h|i'");
  }
  let name = "";
  let seq = 0;
  let type = "";
  for (let i = 0; i < words.length; i += 2) {
    const key = words[i]!.toLowerCase();
    const value = words[i + 1]!;
    if (key === "file") name = value;
    else if (key === "seq") seq = /^\d{1,15}$/.test(value) ? Number(value) : 0;
    else if (key === "type") type = value;
  }
  if (name === "" || name.includes("/") || name === "." || name === "..") {
    throw broken(number, "the file must be a name without directory");
  }
  if (seq < 1) throw broken(number, "seq must be an integer >= 1");
  if (type !== "b" && type !== "h" && type !== "i") throw broken(number, `unknown type '${type}'`);
  return { name, seq, type };
}

/** Words between blanks, double-quoted ones with C escapes; undefined when a quote is not closed. */
function splitWords(line: string): string[] | undefined {
  const words: string[] = [];
  const pattern = /\s*(?:"((?:[^"\\]|\\.)*)"(?=\s|$)|([^\s"]+))\s*/y;
  while (pattern.lastIndex < line.length) {
    const match = pattern.exec(line);
    if (match === null) return undefined;
    words.push(match[1] === undefined ? match[2]! : unescapeWord(match[1]));
  }
  return words;
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", b: "\b", a: "\x07" };

function unescapeWord(text: string): string {
  return text.replace(/\\(?:x([\da-fA-F]{2})|(.))/g, (_, hex: string | undefined, char: string) =>
    hex === undefined ? (ESCAPES[char] ?? char) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

export function formatManifest(manifest: Manifest): string {
  const parts = [...manifest.history, ...manifest.increments];
  if (manifest.base !== undefined) parts.unshift(manifest.base);
  const lines = parts.map((part) => `file ${quote(part.name)} seq ${part.seq} type ${part.type}\n`);
  const text = lines.join("");
  return `${text}# crc32 ${sumOf(text)}\n`;
}

function quote(name: string): string {
  if (/^[!#-[\]-~]+$/.test(name)) return name;
  const escaped = name.replace(/[^ !#-[\]-~]/g, (char) =>
    char === '"' || char === "\\"
      ? `\\${char}`
      : `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return `"${escaped}"`;
}

/** The manifest with one more increment, the file to be written to from now on. */
export function withNextIncrement(manifest: Manifest, fileName: string): Manifest {
  const seq = (manifest.increments.at(-1)?.seq ?? 0) + 1;
  const part: Part = { name: `${fileName}.${seq}.incr.aof`, seq, type: "i" };
  return { ...manifest, increments: [...manifest.increments, part] };
}

/**
 * The manifest after a rewrite: a new base that holds everything before increment `firstSeq`;
 * what it replaces becomes history.
 */
export function withNextBase(manifest: Manifest, fileName: string, firstSeq: number): Manifest {
  const seq = (manifest.base?.seq ?? 0) + 1;
  const base: Part = { name: `${fileName}.${seq}.base.aof`, seq, type: "b" };
  const replaced = manifest.increments.filter((part) => part.seq < firstSeq);
  if (manifest.base !== undefined) replaced.unshift(manifest.base);
  return {
    base,
    history: [...manifest.history, ...replaced.map((part): Part => ({ ...part, type: "h" }))],
    increments: manifest.increments.filter((part) => part.seq >= firstSeq),
  };
}
