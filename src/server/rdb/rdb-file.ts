/**
 * An RDB file being written: to a temporary name, in pieces, with its checksum; whole and on the
 * disk before it gets its name.
 *
 *   walker ──> main ──64 KiB──> temporary file ──end, sync──> dbfilename
 *   saver ───> main, or, while the walker is inside a key:
 *              aside ─ the key is done ──> main
 *                    └ from 8 MiB on, a second temporary file ─ at the end, copied ──> main
 *
 * So memory stays bounded however much is changed while one huge value is written. A write that
 * fails is remembered (`error`) and not thrown, since it may happen inside a client's command; from
 * then on bytes are dropped. Version 7, which Redis 3.2 and all later ones load.
 */

import { REDIS_VERSION } from "../../commands/redis-version.ts";
import { ReplyWriter } from "../../resp/encoder.ts";
import type { DataFiles } from "../files.ts";
import type { Keyspace } from "../keyspace.ts";
import type { KeyVisitor } from "../snapshot.ts";
import { CRC64_BYTES, type Crc64, updateCrc64 } from "./crc64.ts";
import { OPCODE_AUX, OPCODE_EOF } from "./format.ts";
import { type KeyOutput, KeyWriter } from "./key-writer.ts";
import { writeByte, writeString } from "./string-writer.ts";

const HEADER = "REDIS0007";
/** Bytes go to the page cache in pieces of about this size ... */
const WRITE_BYTES = 64 * 1024;
/** ... and to the disk after each of these, so that the last sync is short. */
const SYNC_BYTES = 16 * 1024 * 1024;
/** More than this waits in a file, not in memory. */
const ASIDE_BYTES_MAX = 8 * 1024 * 1024;
/** Copied from that file per turn. */
const COPY_BYTES = 256 * 1024;

export interface RdbFileOptions {
  /** Unix seconds. */
  readonly createdAt: number;
  readonly usedMemory: number;
  /** `rdbchecksum`; without, it is 0, which says so. */
  readonly hasChecksum: boolean;
}

export class RdbFile {
  /** Visits keys in the order of a walk. */
  readonly walker: KeyVisitor;
  /** Visits a key at once, also while the walker is inside another. */
  readonly saver: KeyVisitor;
  /** Why the file will not be, as soon as that is known. */
  error: Error | undefined;
  readonly #files: DataFiles;
  readonly #name: string;
  readonly #temporary: string;
  readonly #asideName: string;
  readonly #fd: number;
  readonly #walker: KeyWriter;
  readonly #main: KeyOutput;
  readonly #aside: KeyOutput;
  #asideFd: number | undefined;
  #hasAside = false;
  #asideBytes = 0;
  #asideCopied = 0;
  readonly #crc: Crc64 = { low: 0, high: 0 };
  readonly #options: RdbFileOptions;
  #bytes = 0;
  #unsynced = 0;
  #isOpen = true;

  /**
   * @param name of the finished file
   * @throws what opening the temporary file throws
   */
  constructor(files: DataFiles, name: string, options: RdbFileOptions) {
    this.#files = files;
    this.#name = name;
    this.#options = options;
    this.#temporary = temporaryName(process.pid);
    this.#asideName = `temp-${process.pid}-aside.rdb`;
    this.#fd = files.open(this.#temporary, "w");
    this.#main = {
      out: new ReplyWriter(),
      dbIndex: -1,
      pieceDone: () => this.#writeMain(WRITE_BYTES),
    };
    this.#aside = {
      out: new ReplyWriter(),
      dbIndex: -1,
      pieceDone: () => this.#spillAside(),
    };
    this.#walker = new KeyWriter(this.#main);
    this.walker = this.#walker;
    this.saver = this.#createSaver();
    this.#writeHeader();
  }

  #createSaver(): KeyVisitor {
    const direct = new KeyWriter(this.#main);
    const aside = new KeyWriter(this.#aside);
    let current = direct;
    return {
      begin: (db: Keyspace, entry: number) => {
        current = this.#walker.isInside ? aside : direct;
        current.begin(db, entry);
      },
      more: () => current.more(),
    };
  }

  /** Bytes written. */
  get bytes(): number {
    return this.#bytes;
  }

  /** So much was written since the last sync that another is due. */
  get wantsSync(): boolean {
    return this.#unsynced >= SYNC_BYTES;
  }

  #writeHeader(): void {
    const { out } = this.#main;
    out.append(Buffer.from(HEADER, "latin1"), 0, HEADER.length);
    this.#writeAux("redis-ver", REDIS_VERSION);
    this.#writeAux("redis-bits", "64");
    this.#writeAux("ctime", String(this.#options.createdAt));
    this.#writeAux("used-mem", String(this.#options.usedMemory));
  }

  #writeAux(name: string, value: string): void {
    const { out } = this.#main;
    writeByte(OPCODE_AUX, out);
    for (const text of [name, value]) {
      const bytes = Buffer.from(text, "latin1");
      writeString(bytes, 0, bytes.length, out);
    }
  }

  /** Writes what waits in main, if it is that much. */
  #writeMain(bytesMin: number): void {
    const { out } = this.#main;
    if (out.pendingBytes < bytesMin) return;
    updateCrc64(this.#crc, out.buf, out.head, out.length);
    const count = this.#write(this.#fd, out);
    this.#bytes += count;
    this.#unsynced += count;
  }

  /** Takes everything out of `out`. Returns the bytes written; after an error they are dropped. */
  #write(fd: number, out: ReplyWriter): number {
    const bytes = out.pendingBytes;
    try {
      if (this.error === undefined) {
        while (out.pendingBytes > 0) {
          out.consume(this.#files.write(fd, out.buf, out.head, out.length));
        }
      }
    } catch (error) {
      this.error = error as Error;
    }
    out.clear();
    return bytes;
  }

  #spillAside(): void {
    const { out } = this.#aside;
    if (out.pendingBytes < ASIDE_BYTES_MAX) return;
    try {
      this.#asideFd ??= this.#files.open(this.#asideName, "w");
      this.#hasAside = true;
    } catch (error) {
      this.error ??= error as Error;
      out.clear();
      return;
    }
    this.#asideBytes += this.#write(this.#asideFd, out);
  }

  /** Called between two slices of the walk: what was put aside goes where it belongs. */
  settle(): void {
    const { out } = this.#aside;
    if (this.#walker.isInside || out.pendingBytes === 0) return;
    if (this.#asideFd !== undefined) {
      // Whose beginning may be there already.
      this.#asideBytes += this.#write(this.#asideFd, out);
      return;
    }
    this.#main.out.append(out.buf, out.head, out.length);
    out.clear();
    this.#main.dbIndex = -1;
    this.#aside.dbIndex = -1;
    this.#writeMain(WRITE_BYTES);
  }

  /** All keys are visited: copies a part of what was put aside. Returns whether that is done. */
  copyAside(): boolean {
    this.settle();
    if (this.#asideFd === undefined || this.error !== undefined) return true;
    const { out } = this.#main;
    const length = Math.min(COPY_BYTES, this.#asideBytes - this.#asideCopied);
    if (length === 0) return true;
    out.reserve(length);
    try {
      const at = this.#asideCopied;
      const count = this.#files.read(this.#asideReadFd(), out.buf, out.length, length, at);
      if (count === 0) throw new Error(`${this.#asideName} has become shorter`);
      out.length += count;
      this.#asideCopied += count;
    } catch (error) {
      this.error = error as Error;
    }
    this.#writeMain(WRITE_BYTES);
    return false;
  }

  /** A descriptor to read from, opened once. */
  #asideReadFd(): number {
    if (this.#asideCopied > 0) return this.#asideFd!;
    this.#files.close(this.#asideFd!);
    this.#asideFd = undefined;
    this.#asideFd = this.#files.open(this.#asideName, "r");
    return this.#asideFd;
  }

  /** Writes the end. Call it when `copyAside` says that all is there. */
  finish(): void {
    const { out } = this.#main;
    writeByte(OPCODE_EOF, out);
    this.#writeMain(0);
    out.reserve(CRC64_BYTES);
    const { low, high } = this.#crc;
    out.length = out.buf.writeUInt32LE(this.#options.hasChecksum ? low : 0, out.length);
    out.length = out.buf.writeUInt32LE(this.#options.hasChecksum ? high : 0, out.length);
    this.#writeMain(0);
  }

  /** Returns when what was written is on the disk. @throws what that throws, or `error` */
  sync(): void {
    if (this.error !== undefined) throw this.error;
    this.#files.sync(this.#fd);
  }

  /** The same off the loop. */
  async syncLater(): Promise<void> {
    if (this.error !== undefined) throw this.error;
    this.#unsynced = 0;
    await this.#files.syncLater(this.#fd);
  }

  /** Gives the file its name, after a sync. @throws what renaming throws */
  publish(): void {
    this.#files.rename(this.#temporary, this.#name);
    this.#close();
    this.#files.syncDirectory();
  }

  /**
   * The same; when it returns its promise the file has its name, the rest is done off the loop. The
   * file before it is held open over the rename: to free 300 MB there took 60 ms of the loop.
   */
  async publishLater(): Promise<void> {
    const files = this.#files;
    const old = files.exists(this.#name) ? files.open(this.#name, "r") : undefined;
    try {
      files.rename(this.#temporary, this.#name);
      this.#close();
      await files.syncDirectoryLater();
    } finally {
      if (old !== undefined) await files.closeLater(old);
    }
  }

  /** Closes and removes what was written. What cannot be removed is written over by the next save. */
  drop(): void {
    if (!this.#isOpen) return;
    this.#remove(this.#temporary);
    this.#close();
  }

  #close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#main.out.clear();
    this.#aside.out.clear();
    if (this.#hasAside) this.#remove(this.#asideName);
    if (this.#asideFd !== undefined) this.#release(this.#asideFd);
    this.#release(this.#fd);
  }

  #remove(name: string): void {
    try {
      this.#files.remove(name);
    } catch (error) {
      this.error ??= error as Error;
    }
  }

  /** What was written is synced or given up: nothing hangs on how the close ends. */
  #release(fd: number): void {
    this.#files.closeLater(fd).catch((error: unknown) => {
      this.error ??= error as Error;
    });
  }
}

/** The name under which a process writes, as in Redis. */
export function temporaryName(pid: number): string {
  return `temp-${pid}.rdb`;
}
