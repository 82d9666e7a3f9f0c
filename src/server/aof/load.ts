/**
 * Loads an append-only directory: the manifest's base, then its increments in order.
 *
 *   end of the last file cut short    the cut record is removed from the file, with a message; so
 *                                     is a transaction without its EXEC, a tail of zero bytes
 *   anything else that is no record   the start stops: file, offset and what to do are named, and
 *                                     no file is touched
 *
 * A base may begin as an RDB file, as Redis writes it unless told otherwise. Also takes over the
 * single file of servers before Redis 7, and finds nothing in an empty place.
 * Source: Redis 7.0 src/aof.c (`loadAppendOnlyFiles`, `loadSingleAppendOnlyFile`).
 */

import { CodisError } from "../../base/errors.ts";
import { type DataFiles, replaceFile } from "../files.ts";
import { RDB_MAGIC } from "../rdb/format.ts";
import type { RdbLoaded } from "../rdb/load.ts";
import {
  EMPTY_MANIFEST,
  formatManifest,
  type Manifest,
  type Part,
  parseManifest,
} from "./manifest.ts";
import { hidesRecords, isZeroTail, RECORD_INCOMPLETE, RecordScanner } from "./record.ts";

/** Read at once; records longer than this make the buffer grow to their size. */
const CHUNK_BYTES = 1024 * 1024;

/**
 * Of requests of one word, all that may follow MULTI. Another one, and MULTI itself, is a damaged
 * EXEC: all that follows would seem to belong to a transaction cut short, and be thrown away.
 */
const WORDS_IN_TRANSACTION: ReadonlySet<string> = new Set(["EXEC", "FLUSHALL", "FLUSHDB"]);

/** What is done with the records, in order. */
export interface Replay {
  /**
   * Executes one request: argument i is `buf[args[2 * i], args[2 * i + 1])`, valid during the call.
   * @returns the text of its error, undefined when it went well
   */
  apply(buf: Buffer, args: Int32Array, argc: number): string | undefined;
  /** The next records come from another file: which database is selected is forgotten. */
  nextFile(): void;
  /**
   * Loads the RDB file with which the open file begins.
   * @param path for messages
   */
  loadRdb(fd: number, path: string): Promise<RdbLoaded>;
}

export interface Loaded {
  readonly manifest: Manifest;
  /** Requests executed. */
  readonly records: number;
  /** What the base began with, when that was an RDB file. */
  readonly rdb: RdbLoaded | undefined;
  /** Bytes of all files that are in use, after a torn tail was cut. */
  readonly totalBytes: number;
}

export interface LoadOptions {
  /** Cut a torn tail; else it stops the start. */
  readonly cutsTail: boolean;
  /** Tells the operator of what was cut. */
  readonly say: (message: string) => void;
}

/** The name of the manifest that belongs to `appendfilename`. */
export function manifestName(fileName: string): string {
  return `${fileName}.manifest`;
}

/** Whether there is anything for `loadAppendOnly`, sound or not. */
export function hasLog(files: DataFiles, fileName: string): boolean {
  if (files.exists(`../${fileName}`)) return true;
  return files.list().some((name) => {
    if (name === fileName || name === manifestName(fileName)) return true;
    const isPart = name.startsWith(`${fileName}.`) && /\.\d+\.(?:base|incr)\.aof$/.test(name);
    return isPart && sizeOf(files, name) > 0;
  });
}

/**
 * @param fileName `appendfilename`, the stem of all names
 * @throws CodisError "unavailable" when a file is missing or damaged
 */
export async function loadAppendOnly(
  files: DataFiles,
  fileName: string,
  replay: Replay,
  options: LoadOptions,
): Promise<Loaded> {
  const text = files.readText(manifestName(fileName));
  const manifest = text === undefined ? takeOverSingleFile(files, fileName) : readManifest(text);
  checkAllNamed(files, fileName, manifest);
  const parts = [...(manifest.base === undefined ? [] : [manifest.base]), ...manifest.increments];
  let records = 0;
  let totalBytes = 0;
  let rdb: RdbLoaded | undefined;
  for (const part of parts) {
    const loader = new PartLoader(files, part, part === parts.at(-1), replay, options);
    await loader.run();
    records += loader.records;
    totalBytes += loader.validBytes;
    rdb ??= loader.rdb;
  }
  return { manifest, records, totalBytes, rdb };

  function readManifest(content: string): Manifest {
    try {
      return parseManifest(content);
    } catch (error) {
      throw new CodisError(
        "unavailable",
        `Cannot load ${files.directory}/${manifestName(fileName)}; put back a copy of it, or move the directory away to start empty`,
        error,
      );
    }
  }
}

/**
 * Before Redis 7 all was in one file beside the directory. As with Redis 7, it is moved in and
 * becomes the base; a stop between the two steps is finished by the next start.
 */
function takeOverSingleFile(files: DataFiles, fileName: string): Manifest {
  const outside = `../${fileName}`;
  const isInside = files.list().includes(fileName);
  if (!isInside && !files.exists(outside)) return EMPTY_MANIFEST;
  if (!isInside) files.rename(outside, fileName);
  const base: Part = { name: fileName, seq: 1, type: "b" };
  const manifest: Manifest = { base, history: [], increments: [] };
  replaceFile(files, manifestName(fileName), formatManifest(manifest));
  return manifest;
}

/**
 * A part with records in it that the manifest does not name: the manifest is missing or an old copy,
 * and new parts would be written over it. A base may be there that no manifest named yet.
 * @throws CodisError "unavailable"
 */
function checkAllNamed(files: DataFiles, fileName: string, manifest: Manifest): void {
  const { base, history, increments } = manifest;
  const known = new Set([base, ...history, ...increments].map((part) => part?.name));
  const isEmpty = base === undefined && increments.length === 0;
  const isPart = isEmpty ? /\.\d+\.(?:base|incr)\./ : /\.\d+\.incr\./;
  for (const name of files.list()) {
    if (!name.startsWith(`${fileName}.`) || !isPart.test(name) || known.has(name)) continue;
    if (sizeOf(files, name) === 0) continue;
    throw new CodisError(
      "unavailable",
      `Cannot load ${files.directory}: it has ${name}, which ${manifestName(fileName)} does not ` +
        "name. Put back the manifest that belongs to it, or move the directory away to start empty",
    );
  }
}

function sizeOf(files: DataFiles, name: string): number {
  const fd = files.open(name, "r");
  try {
    return files.size(fd);
  } finally {
    files.close(fd);
  }
}

/** Reads one file of the manifest. */
class PartLoader {
  records = 0;
  /** What the file began with, when that was an RDB file. */
  rdb: RdbLoaded | undefined;
  /** The file is sound up to here: every record before is whole, every transaction has its EXEC. */
  validBytes = 0;

  readonly #files: DataFiles;
  readonly #part: Part;
  readonly #isLast: boolean;
  readonly #replay: Replay;
  readonly #options: LoadOptions;
  readonly #scanner = new RecordScanner();
  #buf = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  /** buf[start, end) is read and not replayed; it lies at `offset` of the file. */
  #start = 0;
  #end = 0;
  #offset = 0;
  /** Requests since a MULTI, or undefined outside of one. */
  #transaction: { buf: Buffer; args: Int32Array }[] | undefined;

  constructor(files: DataFiles, part: Part, isLast: boolean, replay: Replay, options: LoadOptions) {
    this.#files = files;
    this.#part = part;
    this.#isLast = isLast;
    this.#replay = replay;
    this.#options = options;
  }

  get #path(): string {
    return `${this.#files.directory}/${this.#part.name}`;
  }

  async run(): Promise<void> {
    const fd = this.#open("r");
    try {
      this.#replay.nextFile();
      let readAt = await this.#preamble(fd);
      for (;;) {
        const room = this.#makeRoom();
        const count = this.#files.read(fd, this.#buf, this.#end, room, readAt);
        readAt += count;
        this.#end += count;
        this.#replayBuffered(count === 0);
        if (count === 0) break;
        // Signals and timers get their turn between two chunks.
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      this.#files.close(fd);
    }
  }

  /** Loads the RDB file with which a base may begin. Returns where the records begin. */
  async #preamble(fd: number): Promise<number> {
    const start = Buffer.alloc(RDB_MAGIC.length);
    const count = this.#files.read(fd, start, 0, start.length, 0);
    if (this.#part.type !== "b" || start.toString("latin1", 0, count) !== RDB_MAGIC) return 0;
    this.rdb = await this.#replay.loadRdb(fd, this.#path);
    this.#offset = this.rdb.bytes;
    this.validBytes = this.rdb.bytes;
    return this.rdb.bytes;
  }

  #open(mode: "r" | "r+"): number {
    try {
      return this.#files.open(this.#part.name, mode);
    } catch (error) {
      throw new CodisError(
        "unavailable",
        `Cannot open ${this.#path}, which the manifest names`,
        error,
      );
    }
  }

  /** Moves what is left to the front; grows when a record does not fit. Returns the room behind. */
  #makeRoom(): number {
    const left = this.#end - this.#start;
    const needed = Math.max(CHUNK_BYTES, Math.min(2 * left, left + CHUNK_BYTES));
    const target = needed > this.#buf.length ? Buffer.allocUnsafeSlow(2 * needed) : this.#buf;
    this.#buf.copy(target, 0, this.#start, this.#end);
    this.#buf = target;
    this.#offset += this.#start;
    this.#start = 0;
    this.#end = left;
    return target.length - left;
  }

  #replayBuffered(atEnd: boolean): void {
    while (this.#start < this.#end) {
      // A long record is scanned again only when as much as it asked for has come.
      if (!atEnd && this.#scanner.neededBytes > this.#end - this.#start) return;
      const next = this.#scanner.scan(this.#buf, this.#start, this.#end);
      if (next < 0) {
        if (next === RECORD_INCOMPLETE && !atEnd) return;
        this.#endOfSense(next === RECORD_INCOMPLETE, atEnd);
        return;
      }
      this.#scanner.neededBytes = 0;
      if (this.#scanner.argc > 0) this.#record(this.#start);
      this.#start = next;
      if (this.#transaction === undefined) this.validBytes = this.#offset + next;
    }
    if (atEnd && this.#transaction !== undefined) this.#cutTail("a transaction without its EXEC");
  }

  #record(start: number): void {
    const { args, argc } = this.#scanner;
    const word = argc === 1 ? this.#buf.toString("latin1", args[0], args[1]).toUpperCase() : "";
    if (this.#transaction !== undefined && word !== "" && !WORDS_IN_TRANSACTION.has(word)) {
      throw this.#damage(start, `${word} stands in a transaction, where its EXEC may have been`);
    }
    if (word === "MULTI") {
      this.#transaction = [];
    } else if (word === "EXEC" && this.#transaction !== undefined) {
      const queued = this.#transaction;
      this.#transaction = undefined;
      for (const one of queued) this.#apply(one.buf, one.args, one.args.length / 2, start);
    } else if (this.#transaction !== undefined) {
      const from = args[0]!;
      const buf = Buffer.from(this.#buf.subarray(from, args[2 * argc - 1]));
      this.#transaction.push({ buf, args: args.slice(0, 2 * argc).map((at) => at - from) });
    } else {
      this.#apply(this.#buf, args, argc, start);
    }
  }

  #apply(buf: Buffer, args: Int32Array, argc: number, start: number): void {
    // What it throws is no damage: to cut the file because memory ran out would lose sound data.
    const failure = this.#replay.apply(buf, args, argc);
    this.records++;
    if (failure === undefined) return;
    const name = buf.toString("latin1", args[0], Math.min(args[1]!, args[0]! + 64));
    throw this.#damage(start, `the ${name} there cannot be executed (${failure})`);
  }

  /** No further record can be read: the tail is torn, or the file is damaged. */
  #endOfSense(incomplete: boolean, atEnd: boolean): void {
    const { badAt } = this.#scanner;
    if (incomplete && hidesRecords(this.#scanner, this.#buf, this.#start, this.#end)) {
      throw this.#damage(this.#start, "the record there has a wrong length, whole ones follow it");
    }
    if (incomplete) {
      this.#cutTail("the last record is not complete");
    } else if (!isZeroTail(this.#buf, badAt, this.#end)) {
      throw this.#damage(badAt, "what is there is not part of a command");
    } else if (atEnd) {
      this.#cutTail("only zero bytes follow");
    }
    // Zero bytes up to here: what they are, the rest of the file will tell.
  }

  #damage(index: number, what: string): CodisError {
    return new CodisError(
      "unavailable",
      `Cannot load ${this.#path}, damaged at offset ${this.#offset + index}: ${what}. ` +
        `Everything before offset ${this.validBytes} is sound; the file was not changed. Restore it from a copy, ` +
        `or, to give up what follows, cut it there (truncate -s ${this.validBytes} ${this.#path}) and start again`,
    );
  }

  #cutTail(why: string): void {
    const cut = this.#offset + this.#end - this.validBytes;
    if (!this.#isLast) {
      throw this.#damage(this.#start, `${why}, and it is not the last file`);
    }
    if (!this.#options.cutsTail) {
      throw this.#damage(this.#start, `${why}, and aof-load-truncated is off`);
    }
    const fd = this.#open("r+");
    try {
      this.#files.truncate(fd, this.validBytes);
      this.#files.sync(fd);
    } finally {
      this.#files.close(fd);
    }
    this.#options.say(`Cut ${cut} bytes at offset ${this.validBytes} of ${this.#path}: ${why}`);
    this.#start = this.#end;
    this.#transaction = undefined;
  }
}
