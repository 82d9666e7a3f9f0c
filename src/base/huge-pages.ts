/**
 * Memory in pages of 2 MiB, for what is large, long-lived and read at random. With pages of 4 KiB
 * each such read also misses the processor's table of pages; and touching new memory means 512
 * faults where one does.
 *
 * Measured: a random read of 256 MiB that waits for the one before 485 ns in small pages, 210 in
 * huge ones; the first touch of 512 MiB 400 to 470 ms and 80 (up to 900 in a virtual machine whose
 * host has to find the memory).
 *
 * The kernel is asked by madvise(2); where its administrator has said "never", or has no huge page,
 * it gives small ones.
 */

import { dlopen, toArrayBuffer } from "bun:ffi";
import { openSync, readv } from "node:fs";
import { ifMemory } from "./bytes.ts";
import { LIBC } from "./libc.ts";

export const HUGE_PAGE_BYTES = 2 * 1024 * 1024;
const PAGE_BYTES = 4096;

// Linux
const PROT_READ_WRITE = 1 | 2;
const MAP_PRIVATE_ANONYMOUS = 2 | 0x20;
const MADV_HUGEPAGE = 14;
const MAP_FAILED = 2 ** 64;

const { symbols: libc } = dlopen(LIBC, {
  mmap: { args: ["ptr", "u64", "i32", "i32", "i32", "i64"], returns: "ptr" },
  munmap: { args: ["usize", "usize"], returns: "i32" },
  madvise: { args: ["usize", "usize", "i32"], returns: "i32" },
});

/** What Bun's types leave out: who is called with address and `context` when the buffer ends. */
const toBuffer = toArrayBuffer as unknown as (
  address: number,
  offset: number,
  bytes: number,
  context: number,
  deallocator: unknown,
) => ArrayBuffer;
const munmapAddress = (libc.munmap as unknown as { ptr: number }).ptr;

/**
 * @param bytes of at least one huge page; below that a plain ArrayBuffer costs less
 * @returns zeroed memory, given back when the buffer is transferred or collected
 * @throws RangeError when there is none
 */
export function allocateHuge(bytes: number): ArrayBuffer {
  const size = Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
  const room = size + HUGE_PAGE_BYTES;
  const mapped = Number(libc.mmap(null, room, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0));
  if (mapped <= 0 || mapped >= MAP_FAILED - PAGE_BYTES) {
    throw new RangeError(`Out of memory: ${bytes} bytes cannot be mapped`);
  }
  // Only whole huge pages can be: the mapping is cut to begin with one.
  const from = Math.ceil(mapped / HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES;
  const before = from - mapped;
  if (before > 0) libc.munmap(mapped, before);
  // Never nothing: less than one huge page was cut off before it.
  libc.munmap(from + size, HUGE_PAGE_BYTES - before);
  libc.madvise(from, size, MADV_HUGEPAGE);
  try {
    return toBuffer(from, 0, bytes, size, munmapAddress);
  } catch (error) {
    libc.munmap(from, size);
    throw error;
  }
}

/** A piece is kept ready while so much of one comes into use between two looks. */
const WANTED_DIVISOR = 8;

/** /dev/zero, open since the first of them was made. */
let zeros: number | undefined;

/**
 * Pieces of huge memory, of which the next is made ahead and touched by a thread of the pool while
 * much of them is taken, also again. The first touch of a huge page takes its thread 0.2 ms, and 3
 * to 5 where the host of a virtual machine has to find the memory: a stall for who serves clients.
 */
export class MemoryAhead {
  readonly #bytes: number;
  #touching: ArrayBuffer | undefined;
  #touched: ArrayBuffer | undefined;
  /** Bytes that came into use since the last look. */
  #used = 0;
  #isWanted = false;

  /** @param bytes of every piece */
  constructor(bytes: number) {
    this.#bytes = bytes;
    // Not when it is needed: there may be no descriptor then.
    zeros ??= openSync("/dev/zero", "r");
  }

  /** Bytes that `take` will give at once. */
  get readyBytes(): number {
    return this.#touched === undefined ? 0 : this.#bytes;
  }

  /** So many bytes of pieces came into use. */
  use(bytes: number): void {
    this.#used += bytes;
  }

  /** Called some ten times a second. */
  look(): void {
    this.#isWanted = this.#used >= this.#bytes / WANTED_DIVISOR;
    this.#used = 0;
    if (this.#isWanted) this.#prepare();
    else this.#drop();
  }

  /**
   * @returns zeroed memory, touched when it was ready
   * @throws RangeError when there is none
   */
  take(): ArrayBuffer {
    const memory = this.#touched ?? allocateHuge(this.#bytes);
    this.#touched = undefined;
    if (this.#isWanted) this.#prepare();
    return memory;
  }

  #prepare(): void {
    if (this.#touched !== undefined || this.#touching !== undefined) return;
    // Whoever takes it is told.
    const memory = ifMemory(() => allocateHuge(this.#bytes));
    if (memory === undefined) return;
    const firstBytes: Uint8Array[] = [];
    for (let at = 0; at < this.#bytes; at += HUGE_PAGE_BYTES) {
      firstBytes.push(new Uint8Array(memory, at, 1));
    }
    this.#touching = memory;
    // Nobody else has it before all of it is touched. A failed read has touched less, no more.
    readv(zeros!, firstBytes, () => {
      if (this.#touching !== memory) {
        memory.transfer(0);
        return;
      }
      this.#touching = undefined;
      this.#touched = memory;
    });
  }

  #drop(): void {
    this.#touching = undefined;
    this.#touched?.transfer(0);
    this.#touched = undefined;
  }
}
