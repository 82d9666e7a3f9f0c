/**
 * Loads an RDB file, or the RDB part with which an append-only file begins, into the databases.
 *
 *   REDIS 0007 │ aux ... │ select 0 │ [expiry] type key body │ ... │ 0xff │ CRC-64
 *                                     └─ in parts, the loop gets its turns between them
 *
 * All versions of Redis up to 8.0 and of the original Codis server. What this server cannot hold
 * (streams, values of modules) and what is damaged stops the load with offset, key and what to do:
 * a part of the data must not pass for all of it, since a later save would make it that. The file
 * is not changed. Source: Redis 7.0 src/rdb.c (`rdbLoadRioWithLoadingCtx`).
 */

import type { Clock } from "../../base/clock.ts";
import { CodisError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { ENTRY_KEY_BYTES_MAX } from "../arena/entry.ts";
import { EXPIRY_MS_MAX } from "../commands/expiry-time.ts";
import type { Databases } from "../databases.ts";
import type { DataFiles } from "../files.ts";
import { BodyReader } from "./body-reader.ts";
import { ArenaSink, discardValue, storeValue } from "./build.ts";
import { FileBytes } from "./file-bytes.ts";
import {
  CHECKSUM_SINCE_VERSION,
  FOREIGN_TYPES,
  OPCODE_AUX,
  OPCODE_EOF,
  OPCODE_EXPIRETIME,
  OPCODE_EXPIRETIME_MS,
  OPCODE_FREQ,
  OPCODE_FUNCTION_PRE_GA,
  OPCODE_FUNCTION2,
  OPCODE_IDLE,
  OPCODE_MODULE_AUX,
  OPCODE_RESIZEDB,
  OPCODE_SELECTDB,
  OPCODE_SLOT_INFO,
  RDB_MAGIC,
  RDB_VERSION_MAX,
} from "./format.ts";
import { demand, MalformedPayload, Slice } from "./slice.ts";

/** The loop gets a turn after this long ... */
const SLICE_MS = 5;
/** ... which is looked at after so many steps ... */
const STEPS_PER_CLOCK = 32;
/** ... of one opcode, or so many elements. */
const ELEMENTS_PER_STEP = 64;
/** A key's name in a message, at most. */
const SHOWN_KEY_BYTES = 64;

export interface RdbLoaded {
  /** Keys that are in the databases now. */
  readonly keys: number;
  /** Keys left out because their time was over. */
  readonly expired: number;
  /** Bytes of the file that were read: where an append-only file goes on. */
  readonly bytes: number;
}

export interface RdbLoadOptions {
  readonly databases: Databases;
  readonly clock: Clock;
  readonly log: Log;
  /** The file, for messages. */
  readonly path: string;
  /** `rdbchecksum`. */
  readonly checksSum: boolean;
  /** Only what an append-only file begins with: commands may follow, and expired keys are kept. */
  readonly isPreamble: boolean;
}

/**
 * @param fd the file, open for reading
 * @throws CodisError "unavailable" when it cannot be loaded; the databases then have a part of it
 */
export async function loadRdb(
  files: DataFiles,
  fd: number,
  options: RdbLoadOptions,
): Promise<RdbLoaded> {
  const loader = new RdbLoader(files, fd, options);
  try {
    return await loader.run();
  } catch (error) {
    if (error instanceof CodisError) throw error;
    if (error instanceof MalformedPayload) throw loader.damage(error.message);
    throw new CodisError("unavailable", `Cannot load ${options.path}`, error);
  }
}

class RdbLoader {
  readonly #options: RdbLoadOptions;
  readonly #databases: Databases;
  readonly #file: FileBytes;
  readonly #nowMs: number;
  readonly #body = new BodyReader();
  readonly #slice = new Slice();
  /** The value being read, or undefined between keys. */
  #sink: ArenaSink | undefined;
  #dbIndex = 0;
  #expiryMs = Number.NaN;
  /** The name of the key being read is #key[0, #keyBytes). */
  #key = Buffer.alloc(256);
  #keyBytes = 0;
  /** Where what is being read began: an opcode or a key. */
  #startedAt = 0;
  #isOver = false;
  #keys = 0;
  #expired = 0;
  #empty = 0;
  #functions = 0;

  constructor(files: DataFiles, fd: number, options: RdbLoadOptions) {
    this.#options = options;
    this.#databases = options.databases;
    this.#file = new FileBytes(files, fd);
    this.#nowMs = options.clock.now();
  }

  async run(): Promise<RdbLoaded> {
    const { clock } = this.#options;
    const version = this.#header();
    while (!this.#isOver) {
      const end = clock.monotonic() + SLICE_MS;
      do {
        for (let i = 0; i < STEPS_PER_CLOCK && !this.#isOver; i++) this.#step();
      } while (!this.#isOver && clock.monotonic() < end);
      // Signals and timers get their turn.
      await new Promise((resolve) => setImmediate(resolve));
    }
    const isChecked = version >= CHECKSUM_SINCE_VERSION && this.#footer();
    if (!this.#options.isPreamble) this.#lookBehindEnd(isChecked);
    this.#tellOfSkipped();
    return { keys: this.#keys, expired: this.#expired, bytes: this.#file.offset };
  }

  damage(what: string): CodisError {
    const key = this.#sink === undefined ? "" : ` (in the key ${this.#shownKey()})`;
    return this.#refusal(
      `damaged at offset ${this.#startedAt}${key}: ${what}`,
      "Restore it from a copy",
    );
  }

  #refusal(what: string, way: string): CodisError {
    return new CodisError(
      "unavailable",
      `Cannot load ${this.#options.path}: ${what}. The file was not changed. ${way}, or move it ` +
        "away to start without its data",
    );
  }

  #shownKey(): string {
    const shown = this.#key.toString("latin1", 0, Math.min(this.#keyBytes, SHOWN_KEY_BYTES));
    return JSON.stringify(shown);
  }

  /** @returns the version */
  #header(): number {
    const { reader, size } = this.#file;
    const length = RDB_MAGIC.length + 4;
    demand(size >= length, `it has ${size} bytes, which no RDB file can do with`);
    const at = reader.take(length);
    const text = reader.bytes.toString("latin1", at, at + length);
    demand(/^REDIS\d{4}$/.test(text), "it does not start with REDIS and a version");
    const version = Number(text.slice(RDB_MAGIC.length));
    if (version >= 1 && version <= RDB_VERSION_MAX) return version;
    throw this.#refusal(
      `its version is ${version}, and only 1 to ${RDB_VERSION_MAX} (Redis up to 8.0) can be read`,
      "Have an older server write it",
    );
  }

  #step(): void {
    if (this.#sink === undefined) this.#next();
    else if (this.#body.more(ELEMENTS_PER_STEP)) this.#finishKey(this.#sink);
  }

  /** An opcode, or the beginning of a key. */
  #next(): void {
    const { reader } = this.#file;
    this.#startedAt = this.#file.offset;
    const type = reader.byte();
    switch (type) {
      case OPCODE_SELECTDB:
        this.#select(reader.length());
        return;
      case OPCODE_EXPIRETIME: {
        const at = reader.take(4);
        this.#expireAt(BigInt(reader.bytes.readInt32LE(at)) * 1000n);
        return;
      }
      case OPCODE_EXPIRETIME_MS: {
        const at = reader.take(8);
        this.#expireAt(reader.bytes.readBigInt64LE(at));
        return;
      }
      case OPCODE_EOF:
        this.#isOver = true;
        return;
      default:
        if (type >= OPCODE_SLOT_INFO) this.#skip(type);
        else this.#beginKey(type);
    }
  }

  #select(index: number): void {
    const { length } = this.#databases.all;
    if (index >= length) {
      throw this.#refusal(
        `at offset ${this.#startedAt} it has keys of database ${index}, and databases = ${length}`,
        `Start with databases = ${index + 1} or more`,
      );
    }
    this.#dbIndex = index;
  }

  #expireAt(ms: bigint): void {
    // Redis' own mark of "never".
    if (ms === -1n) this.#expiryMs = Number.NaN;
    else this.#expiryMs = Math.min(Number(ms), EXPIRY_MS_MAX);
  }

  /** What says nothing that this server needs, and what it must refuse. */
  #skip(opcode: number): void {
    const { reader } = this.#file;
    switch (opcode) {
      case OPCODE_FREQ:
        reader.byte();
        return;
      case OPCODE_IDLE:
        reader.length();
        return;
      case OPCODE_RESIZEDB:
        reader.length();
        reader.length();
        return;
      case OPCODE_SLOT_INFO:
        for (let i = 0; i < 3; i++) reader.length();
        return;
      case OPCODE_AUX:
        reader.string(this.#slice);
        reader.string(this.#slice);
        return;
      case OPCODE_FUNCTION2:
        reader.string(this.#slice);
        this.#functions++;
        return;
      case OPCODE_MODULE_AUX:
        throw this.#refusal(
          `at offset ${this.#startedAt} it has data of the module ${this.#moduleName()}`,
          "Have the server that wrote it save without that module",
        );
      default:
        demand(opcode === OPCODE_FUNCTION_PRE_GA, `opcode ${opcode}`);
        throw this.#refusal(
          `at offset ${this.#startedAt} it has functions as a release candidate of Redis 7 wrote them`,
          "Have Redis 7.0 or later write it",
        );
    }
  }

  /** An id is nine characters of 6 bits and 10 bits of version, as a 64-bit length. */
  #moduleName(): string {
    const { reader } = this.#file;
    demand(reader.byte() === 0x81, "the id of a module");
    const at = reader.take(8);
    let id = reader.bytes.readBigUInt64BE(at) >> 10n;
    const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let name = "";
    for (let i = 0; i < 9; i++) {
      name = letters[Number(id & 63n)]! + name;
      id >>= 6n;
    }
    return name;
  }

  #beginKey(type: number): void {
    const { reader } = this.#file;
    reader.string(this.#slice);
    const { bytes, start, end } = this.#slice;
    demand(end - start <= ENTRY_KEY_BYTES_MAX, "a key of 64 MiB or more");
    if (this.#key.length < end - start) this.#key = Buffer.alloc(2 * (end - start));
    this.#keyBytes = bytes.copy(this.#key, 0, start, end);
    const foreign = FOREIGN_TYPES.get(type);
    if (foreign !== undefined) {
      throw this.#refusal(
        `the key ${this.#shownKey()} at offset ${this.#startedAt} is ${foreign} (type ${type}), ` +
          "which this server cannot hold",
        "Have the server that wrote it save without such keys",
      );
    }
    // First, so that what `begin` finds wrong names the key.
    const sink = new ArenaSink(this.#databases.arena);
    this.#sink = sink;
    this.#body.begin(reader, type, sink);
  }

  #finishKey(sink: ArenaSink): void {
    const db = this.#databases.all[this.#dbIndex]!;
    const atMs = this.#expiryMs;
    demand(db.peek(this.#key, 0, this.#keyBytes) === 0, "the key was there before");
    this.#sink = undefined;
    this.#expiryMs = Number.NaN;
    if (this.#body.count === 0) {
      this.#empty++;
      discardValue(this.#databases, sink);
    } else if (!this.#options.isPreamble && atMs <= this.#nowMs) {
      this.#expired++;
      discardValue(this.#databases, sink);
    } else {
      this.#keys++;
      storeValue(db, this.#key, 0, this.#keyBytes, sink, atMs);
    }
  }

  /** @returns whether the checksum says that the file is sound */
  #footer(): boolean {
    const { reader } = this.#file;
    const expected = this.#file.checksum();
    this.#startedAt = this.#file.offset;
    const at = reader.take(8);
    const found = reader.bytes.readBigUInt64LE(at);
    if (!this.#options.checksSum || found === 0n) return false;
    demand(found === expected, "the checksum there is not that of the file");
    return true;
  }

  /** Old clients left marks there. Behind an end that nothing confirms, it may be all that is lost. */
  #lookBehindEnd(isChecked: boolean): void {
    const { offset, size } = this.#file;
    if (offset === size) return;
    this.#startedAt = offset;
    demand(isChecked, `${size - offset} bytes behind the end, and no checksum that confirms it`);
    this.#options.log.warn("RDB file has bytes behind its end, which are ignored", {
      path: this.#options.path,
      offset,
      bytes: size - offset,
    });
  }

  #tellOfSkipped(): void {
    const { log, path } = this.#options;
    if (this.#functions > 0) {
      log.warn("RDB file has functions, which are left out: this server has no scripts", {
        path,
        libraries: this.#functions,
      });
    }
    if (this.#empty > 0) {
      log.warn("RDB file has empty collections, which are left out as Redis does", {
        path,
        keys: this.#empty,
      });
    }
  }
}
