/**
 * Memory outside the JavaScript heap: blocks of bytes named by an int32 `ref`, so that five million
 * values cost the garbage collector nothing. Knows bytes only: no keys, no Redis.
 *
 *   ref    = chunk (14 bits) << 18 | granule (18 bits); a granule is 16 bytes. 0 is "none".
 *            Negative above 32 GiB: use only as a name, or with `>>> 18` and `& GRANULE_MASK`.
 *   chunk  = 4 MiB in huge pages, allocated when needed, given back when all its pages are free
 *   page   = 8 KiB, 512 to a chunk
 *   span   = neighbouring pages that hold blocks of one size class, or one block of up to 2 MiB
 *   larger blocks get a chunk of their own, of their own size
 *
 * A span whose last block is freed gives its pages back to every class. Blocks start on 16 bytes
 * and are not cleared. What `words[chunk]`, `doubles[chunk]` and `bytes[chunk]` show is the same
 * memory. Beside it, when the owner wants that, lie 16 bits per block for a note of his (`notes`).
 */

import { assert } from "../../base/assert.ts";
import { allocateHuge, MemoryAhead } from "../../base/huge-pages.ts";
import { type CompactLimits, DEFAULT_LIMITS } from "./compact-limits.ts";

export const CHUNK_SHIFT = 18;
export const GRANULE_MASK = (1 << CHUNK_SHIFT) - 1;
export const CHUNK_BYTES = 4 * 1024 * 1024;
/** Blocks above this get a chunk of their own. */
export const SHARED_BLOCK_BYTES_MAX = CHUNK_BYTES / 2;
/** A note is 2 bytes for so many of blocks: of those, only 16 bytes long ones share one. */
const NOTE_BLOCK_BYTES = 32;
const NOTE_BYTES = 2;
const CHUNK_NOTES = CHUNK_BYTES / NOTE_BLOCK_BYTES;
/** With chunks of 4 MiB: 64 GiB. */
const CHUNKS_MAX = 1 << 14;
/** One chunk in so many is kept for who must not be refused, and for the request that comes last. */
const RESERVE_DIVISOR = 16;

const PAGE_BYTES = 8192;
const PAGE_GRANULE_BITS = 9;
const PAGES_PER_CHUNK = CHUNK_BYTES / PAGE_BYTES;
const SMALL_BYTES_MAX = 32768;
/** A span is lengthened until what it cannot use is at most an eighth of it. */
const SPAN_WASTE_DIVISOR = 8;

/** Values of `#spanClass` that are no size class. */
const CLASS_FREE = 255;
const CLASS_RUN = 254;
const CLASS_OWN_CHUNK = 253;

/** Block bytes by class: every 16 up to 512, then eight steps to each doubling. */
const CLASS_BYTES = classSizes();
const CLASS_PAGES = Uint8Array.from(CLASS_BYTES, spanPages);
const CLASS_BLOCKS = Uint16Array.from(CLASS_BYTES, (bytes, i) =>
  Math.floor((CLASS_PAGES[i]! * PAGE_BYTES) / bytes),
);
/** Class by granules needed, for blocks of at most SMALL_BYTES_MAX. */
const CLASS_OF_GRANULES = classesByGranules();

function classSizes(): Int32Array {
  const sizes: number[] = [];
  for (let bytes = 16; bytes <= 512; bytes += 16) sizes.push(bytes);
  for (let base = 512; base < SMALL_BYTES_MAX; base *= 2) {
    for (let step = 1; step <= 8; step++) sizes.push(base + (base / 8) * step);
  }
  return Int32Array.from(sizes);
}

function spanPages(bytes: number): number {
  let pages = Math.ceil(bytes / PAGE_BYTES);
  while ((pages * PAGE_BYTES) % bytes > (pages * PAGE_BYTES) / SPAN_WASTE_DIVISOR) pages++;
  return pages;
}

function classesByGranules(): Uint8Array {
  const classes = new Uint8Array(SMALL_BYTES_MAX / 16 + 1);
  for (let granules = 1, index = 0; granules < classes.length; granules++) {
    if (granules * 16 > CLASS_BYTES[index]!) index++;
    classes[granules] = index;
  }
  return classes;
}

/**
 * What a block of `bytes` really takes.
 * @param bytes 1 or more
 * @returns bytes, a multiple of 16
 */
export function blockBytes(bytes: number): number {
  if (bytes <= SMALL_BYTES_MAX) return CLASS_BYTES[CLASS_OF_GRANULES[(bytes + 15) >>> 4]!]!;
  if (bytes <= SHARED_BLOCK_BYTES_MAX) return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
  return Math.ceil(bytes / 16) * 16;
}

/** Where the note of the block `ref` is in `notes` of its chunk. */
export function noteIndex(ref: number): number {
  return (ref & GRANULE_MASK) >>> 1;
}

const NO_MEMORY = new ArrayBuffer(0);
const NO_NOTES = new Uint16Array(0);

export class Arena {
  /** By chunk. Arrays keep their identity; an element is empty while its chunk is given back. */
  readonly bytes: Buffer[] = [];
  readonly words: Int32Array[] = [];
  readonly doubles: Float64Array[] = [];
  /**
   * By chunk, while they are kept (`keepNotes`): the owner's 16 bits about each block, 0 at first.
   * Freeing a block does not clear its note. Blocks of 16 bytes may share one with a neighbour.
   */
  readonly notes: Uint16Array<ArrayBuffer>[] = [];
  #keepsNotes = false;

  /** What those who keep collections here go by. */
  limits: CompactLimits = DEFAULT_LIMITS;

  /** Bytes in blocks handed out, rounded up to what they really take. */
  usedBytes = 0;
  /** Bytes in all chunks held. */
  chunkBytes = 0;
  /** Most of the chunks there can be are held, whatever their size: what grows is to be refused. */
  isFull = false;

  /** By page: the first page of its span. */
  #pageSpan = new Int32Array(0);
  /** By first page of a span: class or a CLASS_ word; a free page is a span of its own. */
  #spanClass = new Uint8Array(0);
  /** Blocks handed out; pages of a CLASS_RUN. */
  #spanUsed = new Uint16Array(0);
  /** Blocks ever handed out: those behind were never touched. */
  #spanFresh = new Uint16Array(0);
  /** First freed block, which holds the next one in its first word; or 0. */
  #spanFree = new Int32Array(0);
  /** Spans of one class with a block to give, as a list through both links; 0 ends it. */
  #spanNext = new Int32Array(0);
  #spanPrevious = new Int32Array(0);
  readonly #classOpen = new Int32Array(CLASS_BYTES.length);

  /** Free pages of each shared chunk; 0 for one that is given back or a block's own. */
  readonly #chunkFree: number[] = [];
  /** No page of the chunk below this one is free. */
  readonly #chunkHint: number[] = [];
  /** No shared chunk below this one has a free page. */
  #openChunk = 0;
  readonly #vacantChunks: number[] = [];
  /**
   * An empty shared chunk that is kept, so that a boundary crossed to and fro costs nothing; or -1.
   */
  #spareChunk = -1;
  /** The next shared chunk, while many pages are taken; not in `chunkBytes`. */
  readonly ahead = new MemoryAhead(CHUNK_BYTES);
  readonly #chunksMax: number;

  /** @param chunksMax fewer in tests */
  constructor(chunksMax = CHUNKS_MAX) {
    this.#chunksMax = chunksMax;
    const chunk = this.#newSharedChunk();
    assert(chunk === 0, "the first chunk is chunk 0");
    // Page 0 is never given out: no block may have the name 0.
    this.#spanClass[0] = CLASS_RUN;
    this.#chunkFree[0]!--;
    this.#chunkHint[0] = 1;
  }

  /**
   * @param bytes 1 .. 2^30
   * @returns the ref of a block of at least `bytes`, not cleared
   * @throws RangeError when there is no memory, or no name for another chunk; nothing changed then
   */
  alloc(bytes: number): number {
    if (bytes > SMALL_BYTES_MAX) return this.#allocLarge(bytes);
    const index = CLASS_OF_GRANULES[(bytes + 15) >>> 4]!;
    let span = this.#classOpen[index]!;
    if (span === 0) span = this.#openSpan(index);
    let ref = this.#spanFree[span]!;
    if (ref !== 0) {
      this.#spanFree[span] = this.words[ref >>> CHUNK_SHIFT]![(ref & GRANULE_MASK) << 2]!;
    } else {
      const fresh = this.#spanFresh[span]!;
      this.#spanFresh[span] = fresh + 1;
      ref = ((span << PAGE_GRANULE_BITS) + fresh * (CLASS_BYTES[index]! >>> 4)) | 0;
    }
    const used = this.#spanUsed[span]! + 1;
    this.#spanUsed[span] = used;
    if (used === CLASS_BLOCKS[index]) this.#unlinkSpan(index, span);
    this.usedBytes += CLASS_BYTES[index]!;
    return ref;
  }

  /** Gives a block back. Its ref, and every offset into it, must not be used again. */
  free(ref: number): void {
    const span = this.#pageSpan[ref >>> PAGE_GRANULE_BITS]!;
    const index = this.#spanClass[span]!;
    if (index >= CLASS_OWN_CHUNK) {
      this.#freeLarge(ref >>> CHUNK_SHIFT, span, index);
      return;
    }
    this.words[ref >>> CHUNK_SHIFT]![(ref & GRANULE_MASK) << 2] = this.#spanFree[span]!;
    this.#spanFree[span] = ref;
    const used = this.#spanUsed[span]!;
    this.#spanUsed[span] = used - 1;
    this.usedBytes -= CLASS_BYTES[index]!;
    if (used === CLASS_BLOCKS[index]) this.#linkSpan(index, span);
    // The class's last open span is kept, so that one block made and freed in turn costs nothing.
    if (used === 1 && (this.#classOpen[index] !== span || this.#spanNext[span] !== 0)) {
      this.#unlinkSpan(index, span);
      this.#freePages(span, CLASS_PAGES[index]!);
    }
  }

  /** Bytes the block can hold, at least what it was asked for. */
  capacity(ref: number): number {
    const span = this.#pageSpan[ref >>> PAGE_GRANULE_BITS]!;
    const index = this.#spanClass[span]!;
    if (index < CLASS_OWN_CHUNK) return CLASS_BYTES[index]!;
    if (index === CLASS_RUN) return this.#spanUsed[span]! * PAGE_BYTES;
    return this.bytes[ref >>> CHUNK_SHIFT]!.length;
  }

  /**
   * The block is the one that `alloc(bytes)` would choose, or an own chunk with a little to spare.
   */
  fits(ref: number, bytes: number): boolean {
    const index = this.#spanClass[this.#pageSpan[ref >>> PAGE_GRANULE_BITS]!]!;
    if (index < CLASS_OWN_CHUNK) {
      return bytes <= SMALL_BYTES_MAX && CLASS_OF_GRANULES[(bytes + 15) >>> 4] === index;
    }
    const capacity = this.capacity(ref);
    if (index === CLASS_RUN) {
      return bytes > SMALL_BYTES_MAX && bytes <= capacity && capacity - bytes < PAGE_BYTES;
    }
    return bytes > SHARED_BLOCK_BYTES_MAX && bytes <= capacity && bytes >= capacity / 2;
  }

  /** What the notes of all blocks take; those of free memory are not counted, as it is not. */
  get noteBytes(): number {
    return this.#keepsNotes ? (this.usedBytes / NOTE_BLOCK_BYTES) * NOTE_BYTES : 0;
  }

  /** Begins to keep notes, all 0, or forgets them. */
  keepNotes(keeps: boolean): void {
    this.#keepsNotes = keeps;
    for (let chunk = 0; chunk < this.bytes.length; chunk++) {
      const isOwn = this.#spanClass[chunk * PAGES_PER_CHUNK] === CLASS_OWN_CHUNK;
      if (this.bytes[chunk]!.length > 0) this.#makeNotes(chunk, isOwn ? 1 : CHUNK_NOTES);
    }
  }

  #makeNotes(chunk: number, count: number): void {
    const old = this.notes[chunk];
    this.notes[chunk] = this.#keepsNotes ? new Uint16Array(count) : NO_NOTES;
    if (old !== undefined && old !== NO_NOTES) old.buffer.transfer(0);
  }

  /**
   * Gives back everything at once: all refs become invalid. Costs the number of chunks, not of
   * blocks.
   */
  reset(): void {
    for (let chunk = 1; chunk < this.bytes.length; chunk++) {
      if (this.bytes[chunk]!.length > 0) this.#dropChunk(chunk);
    }
    this.#classOpen.fill(0);
    this.#spanClass.fill(CLASS_FREE, 1, PAGES_PER_CHUNK);
    this.#chunkFree[0] = PAGES_PER_CHUNK - 1;
    this.#chunkHint[0] = 1;
    this.#openChunk = 0;
    this.#spareChunk = -1;
    this.usedBytes = 0;
  }

  #openSpan(index: number): number {
    const span = this.#allocPages(CLASS_PAGES[index]!);
    this.#spanClass[span] = index;
    this.#spanUsed[span] = 0;
    this.#spanFresh[span] = 0;
    this.#spanFree[span] = 0;
    this.#linkSpan(index, span);
    return span;
  }

  #linkSpan(index: number, span: number): void {
    const next = this.#classOpen[index]!;
    this.#spanNext[span] = next;
    this.#spanPrevious[span] = 0;
    if (next !== 0) this.#spanPrevious[next] = span;
    this.#classOpen[index] = span;
  }

  #unlinkSpan(index: number, span: number): void {
    const next = this.#spanNext[span]!;
    const previous = this.#spanPrevious[span]!;
    if (next !== 0) this.#spanPrevious[next] = previous;
    if (previous !== 0) this.#spanNext[previous] = next;
    else this.#classOpen[index] = next;
  }

  #allocLarge(bytes: number): number {
    if (bytes > SHARED_BLOCK_BYTES_MAX) return this.#allocOwnChunk(bytes);
    const pages = Math.ceil(bytes / PAGE_BYTES);
    const span = this.#allocPages(pages);
    this.#spanClass[span] = CLASS_RUN;
    this.#spanUsed[span] = pages;
    this.usedBytes += pages * PAGE_BYTES;
    return (span << PAGE_GRANULE_BITS) | 0;
  }

  #allocOwnChunk(bytes: number): number {
    const size = Math.ceil(bytes / 16) * 16;
    const chunk = this.#newChunk(size, 1);
    const page = chunk * PAGES_PER_CHUNK;
    this.#pageSpan[page] = page;
    this.#spanClass[page] = CLASS_OWN_CHUNK;
    this.#chunkFree[chunk] = 0;
    this.#chunkHint[chunk] = 0;
    this.usedBytes += size;
    return (chunk << CHUNK_SHIFT) | 0;
  }

  #freeLarge(chunk: number, span: number, index: number): void {
    if (index === CLASS_RUN) {
      const pages = this.#spanUsed[span]!;
      this.usedBytes -= pages * PAGE_BYTES;
      this.#freePages(span, pages);
      return;
    }
    assert(index === CLASS_OWN_CHUNK, "a block is freed once");
    this.usedBytes -= this.bytes[chunk]!.length;
    this.#dropChunk(chunk);
  }

  /**
   * First fit in the first chunk that has room. Returns the first of `count` neighbouring pages.
   */
  #allocPages(count: number): number {
    while (this.#openChunk < this.#chunkFree.length && this.#chunkFree[this.#openChunk] === 0) {
      this.#openChunk++;
    }
    let page = -1;
    for (let chunk = this.#openChunk; page < 0 && chunk < this.#chunkFree.length; chunk++) {
      if (this.#chunkFree[chunk]! >= count) page = this.#findPages(chunk, count);
    }
    if (page < 0) page = this.#findPages(this.#newSharedChunk(), count);
    const chunk = Math.floor(page / PAGES_PER_CHUNK);
    if (chunk === this.#spareChunk) this.#spareChunk = -1;
    this.#chunkFree[chunk]! -= count;
    if (this.#chunkHint[chunk] === page % PAGES_PER_CHUNK) this.#chunkHint[chunk]! += count;
    this.#pageSpan.fill(page, page, page + count);
    this.#spanClass.fill(CLASS_RUN, page, page + count);
    this.ahead.use(count * PAGE_BYTES);
    return page;
  }

  /** The first of `count` neighbouring free pages of `chunk`, or -1. */
  #findPages(chunk: number, count: number): number {
    const first = chunk * PAGES_PER_CHUNK;
    let length = 0;
    for (let i = this.#chunkHint[chunk]!; i < PAGES_PER_CHUNK; i++) {
      length = this.#spanClass[first + i] === CLASS_FREE ? length + 1 : 0;
      if (length === count) return first + i - count + 1;
    }
    return -1;
  }

  #freePages(page: number, count: number): void {
    const chunk = Math.floor(page / PAGES_PER_CHUNK);
    this.#spanClass.fill(CLASS_FREE, page, page + count);
    this.#chunkFree[chunk]! += count;
    if (page % PAGES_PER_CHUNK < this.#chunkHint[chunk]!) {
      this.#chunkHint[chunk] = page % PAGES_PER_CHUNK;
    }
    if (chunk < this.#openChunk) this.#openChunk = chunk;
    if (this.#chunkFree[chunk] !== PAGES_PER_CHUNK) return;
    if (this.#spareChunk < 0) this.#spareChunk = chunk;
    else this.#dropChunk(chunk);
  }

  #newSharedChunk(): number {
    const chunk = this.#newChunk(CHUNK_BYTES, CHUNK_NOTES);
    const first = chunk * PAGES_PER_CHUNK;
    this.#spanClass.fill(CLASS_FREE, first, first + PAGES_PER_CHUNK);
    this.#chunkFree[chunk] = PAGES_PER_CHUNK;
    this.#chunkHint[chunk] = 0;
    if (chunk < this.#openChunk) this.#openChunk = chunk;
    return chunk;
  }

  #newChunk(bytes: number, notes: number): number {
    const chunk = this.#vacantChunks.at(-1) ?? this.bytes.length;
    if (chunk >= this.#chunksMax) throw new RangeError(`All ${this.#chunksMax} chunks are in use`);
    const memory = bytes === CHUNK_BYTES ? this.ahead.take() : allocateHuge(bytes);
    this.#makeNotes(chunk, notes);
    this.#vacantChunks.pop();
    this.bytes[chunk] = Buffer.from(memory);
    this.words[chunk] = new Int32Array(memory);
    this.doubles[chunk] = new Float64Array(memory);
    this.chunkBytes += bytes;
    this.#countChunks();
    const pages = (chunk + 1) * PAGES_PER_CHUNK;
    if (pages > this.#pageSpan.length)
      this.#growPageTables(Math.max(pages, 2 * this.#pageSpan.length));
    return chunk;
  }

  #dropChunk(chunk: number): void {
    this.chunkBytes -= this.bytes[chunk]!.length;
    const memory = this.bytes[chunk]!.buffer as ArrayBuffer;
    this.bytes[chunk] = Buffer.from(NO_MEMORY);
    this.words[chunk] = new Int32Array(NO_MEMORY);
    this.doubles[chunk] = new Float64Array(NO_MEMORY);
    if (this.#keepsNotes) this.notes[chunk]!.buffer.transfer(0);
    this.notes[chunk] = NO_NOTES;
    this.#chunkFree[chunk] = 0;
    this.#vacantChunks.push(chunk);
    this.#countChunks();
    // Frees the memory now instead of at some later collection.
    memory.transfer(0);
  }

  #countChunks(): void {
    const held = this.bytes.length - this.#vacantChunks.length;
    this.isFull = held > this.#chunksMax - this.#chunksMax / RESERVE_DIVISOR;
  }

  #growPageTables(pages: number): void {
    this.#pageSpan = grown(this.#pageSpan, new Int32Array(pages));
    this.#spanClass = grown(this.#spanClass, new Uint8Array(pages));
    this.#spanUsed = grown(this.#spanUsed, new Uint16Array(pages));
    this.#spanFresh = grown(this.#spanFresh, new Uint16Array(pages));
    this.#spanFree = grown(this.#spanFree, new Int32Array(pages));
    this.#spanNext = grown(this.#spanNext, new Int32Array(pages));
    this.#spanPrevious = grown(this.#spanPrevious, new Int32Array(pages));
  }
}

function grown<T extends Int32Array | Uint16Array | Uint8Array>(from: T, to: T): T {
  to.set(from as never);
  return to;
}
