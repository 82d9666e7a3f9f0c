/**
 * A disk in memory for the server's files: it can fill up, fail, and lose power. What was written
 * and not synced survives a power loss up to a random byte; names changed and not synced survive up
 * to a random change, in order.
 */

import type { DataFiles } from "../../src/server/files.ts";

interface Inode {
  readonly id: number;
  /** Capacity may be larger than `size`. */
  bytes: Buffer;
  size: number;
  /** Bytes that are on the disk. */
  synced: number;
}

let inodes = 0;

/** One change of names; `inode` undefined: the name went away. */
interface NameChange {
  readonly name: string;
  readonly inode: Inode | undefined;
}

function systemError(code: string, text: string): Error {
  return Object.assign(new Error(`${code}: ${text}`), { code });
}

export class MemoryFiles implements DataFiles {
  readonly directory = "disk";
  /** Bytes that can still be written. */
  room = Number.POSITIVE_INFINITY;
  /** Thrown by the next writes, or syncs, while set. */
  writeError: Error | undefined;
  syncError: Error | undefined;
  /** Called at the start of every operation that changes something; may throw to stop there. */
  beforeChange: (what: string) => void = () => {};
  /** Syncs off the loop wait for this when set. */
  syncGate: Promise<void> | undefined;
  syncs = 0;

  #names = new Map<string, Inode>();
  /** The names as the disk has them, and changes since. */
  #durable = new Map<string, Inode>();
  #pending: NameChange[] = [];
  readonly #open = new Map<number, { inode: Inode; at: number; appends: boolean }>();
  #nextFd = 3;

  /** Another disk, with what this one still has after a power loss. `random` gives [0, 1). */
  afterPowerLoss(random: () => number): MemoryFiles {
    const other = new MemoryFiles();
    const names = new Map(this.#durable);
    const changes = Math.floor(random() * (this.#pending.length + 1));
    for (const { name, inode } of this.#pending.slice(0, changes)) {
      if (inode === undefined) names.delete(name);
      else names.set(name, inode);
    }
    for (const [name, inode] of names) {
      const unsynced = inode.size - inode.synced;
      const size = inode.synced + Math.floor(random() * (unsynced + 1));
      other.#put(name, Buffer.from(inode.bytes.subarray(0, size)));
    }
    return other;
  }

  /** Another disk with the same files, all synced: what a kill of the process leaves. */
  afterKill(): MemoryFiles {
    const other = new MemoryFiles();
    for (const [name, { bytes, size }] of this.#names) {
      other.#put(name, Buffer.from(bytes.subarray(0, size)));
    }
    return other;
  }

  #put(name: string, bytes: Buffer): void {
    const inode = { id: ++inodes, bytes, size: bytes.length, synced: bytes.length };
    this.#names.set(name, inode);
    this.#durable.set(name, inode);
  }

  /** Gives a file this content. */
  set(name: string, content: Buffer | string): void {
    this.#put(name, typeof content === "string" ? Buffer.from(content, "latin1") : content);
  }

  /** A copy of the file's content. */
  get(name: string): Buffer {
    const { bytes, size } = this.#find(name);
    return Buffer.from(bytes.subarray(0, size));
  }

  #find(name: string): Inode {
    const inode = this.#names.get(name);
    if (inode === undefined) throw systemError("ENOENT", `no such file, ${name}`);
    return inode;
  }

  #rename(name: string, inode: Inode | undefined): void {
    if (inode === undefined) this.#names.delete(name);
    else this.#names.set(name, inode);
    this.#pending.push({ name, inode });
  }

  // -- DataFiles ---------------------------------------------------------------------------------

  list(): string[] {
    return [...this.#names.keys()].filter((name) => !name.startsWith("../"));
  }

  exists(name: string): boolean {
    return this.#names.has(name);
  }

  identity(name: string): string | undefined {
    const inode = this.#names.get(name);
    return inode && `${inode.id} ${inode.size}`;
  }

  prepare(): void {}

  lock(): () => void {
    return () => {};
  }

  readText(name: string): string | undefined {
    return this.#names.has(name) ? this.get(name).toString("latin1") : undefined;
  }

  open(name: string, mode: "r" | "r+" | "a" | "w"): number {
    if (mode === "w" || (mode === "a" && !this.#names.has(name))) {
      this.beforeChange(`open ${name}`);
      this.#rename(name, { id: ++inodes, bytes: Buffer.alloc(64), size: 0, synced: 0 });
    }
    const fd = this.#nextFd++;
    this.#open.set(fd, { inode: this.#find(name), at: 0, appends: mode === "a" });
    return fd;
  }

  size(fd: number): number {
    return this.#file(fd).inode.size;
  }

  read(fd: number, into: Buffer, at: number, length: number, position: number): number {
    const { bytes, size } = this.#file(fd).inode;
    return bytes.copy(into, at, position, Math.min(size, position + length));
  }

  write(fd: number, bytes: Buffer, from: number, to: number): number {
    this.beforeChange("write");
    if (this.writeError !== undefined) throw this.writeError;
    const file = this.#file(fd);
    const { inode } = file;
    if (file.appends) file.at = inode.size;
    const count = Math.min(to - from, this.room);
    if (count === 0 && to > from) throw systemError("ENOSPC", "no space left on device, write");
    if (inode.bytes.length < file.at + count) {
      const larger = Buffer.alloc(2 * (file.at + count));
      inode.bytes.copy(larger, 0, 0, inode.size);
      inode.bytes = larger;
    }
    bytes.copy(inode.bytes, file.at, from, from + count);
    file.at += count;
    inode.size = Math.max(inode.size, file.at);
    this.room -= count;
    return count;
  }

  truncate(fd: number, size: number): void {
    this.beforeChange("truncate");
    const { inode } = this.#file(fd);
    inode.size = size;
    inode.synced = Math.min(inode.synced, size);
  }

  sync(fd: number): void {
    this.beforeChange("sync");
    if (this.syncError !== undefined) throw this.syncError;
    const { inode } = this.#file(fd);
    inode.synced = inode.size;
    this.syncs++;
  }

  async syncLater(fd: number): Promise<void> {
    this.beforeChange("syncLater");
    const { inode } = this.#file(fd);
    const { size } = inode;
    await this.syncGate;
    if (this.syncError !== undefined) throw this.syncError;
    inode.synced = Math.max(inode.synced, size);
    this.syncs++;
  }

  close(fd: number): void {
    this.#file(fd);
    this.#open.delete(fd);
  }

  async closeLater(fd: number): Promise<void> {
    this.close(fd);
  }

  rename(from: string, to: string): void {
    this.beforeChange(`rename ${from}`);
    const inode = this.#find(from);
    this.#rename(to, inode);
    this.#rename(from, undefined);
  }

  remove(name: string): void {
    this.beforeChange(`remove ${name}`);
    if (this.#names.has(name)) this.#rename(name, undefined);
  }

  async removeLater(name: string): Promise<void> {
    this.remove(name);
  }

  syncDirectory(): void {
    this.beforeChange("syncDirectory");
    this.#durable = new Map(this.#names);
    this.#pending = [];
  }

  async syncDirectoryLater(): Promise<void> {
    this.syncDirectory();
  }

  #file(fd: number): { inode: Inode; at: number; appends: boolean } {
    const file = this.#open.get(fd);
    if (file === undefined) throw systemError("EBADF", "bad file descriptor");
    return file;
  }
}
