/**
 * Pure: an open file as what a StringReader reads: windows of 1 MiB, one after the other, and a
 * checksum of everything that was used.
 *
 *   file:  | used, summed | reader.at ... reader.end | not read yet |
 *                         ^ offset
 *
 * Two windows take turns, so that what slices show stays while the next string is read (ByteFeed).
 * Only a string longer than half a window gets a buffer of its own, which goes with it.
 */

import type { DataFiles } from "../files.ts";
import { type Crc64, updateCrc64 } from "./crc64.ts";
import { demand } from "./slice.ts";
import { type ByteFeed, StringReader } from "./string-reader.ts";

const WINDOW_BYTES = 1024 * 1024;
/**
 * A longer piece is read into a buffer of its own: so a length and the string behind it never need
 * two windows, and the string before them stays.
 */
const PIECE_BYTES_MAX = WINDOW_BYTES / 2;
/** No server keeps a longer string; a length that claims more is damage, and nothing is allocated. */
const STRING_BYTES_MAX = 512 * 1024 * 1024;

export class FileBytes implements ByteFeed {
  readonly reader: StringReader;
  readonly size: number;
  readonly #files: DataFiles;
  readonly #fd: number;
  readonly #crc: Crc64 = { low: 0, high: 0 };
  readonly #windows = [
    Buffer.allocUnsafeSlow(WINDOW_BYTES),
    Buffer.allocUnsafeSlow(WINDOW_BYTES),
  ] as const;
  #next: 0 | 1 = 0;
  /** Where `reader.bytes` begins in the file. */
  #base = 0;
  /** `reader.bytes` is summed up to here. */
  #summed = 0;

  constructor(files: DataFiles, fd: number) {
    this.#files = files;
    this.#fd = fd;
    this.size = files.size(fd);
    this.reader = new StringReader(this.#windows[1], 0, 0, this);
  }

  /** Where the next byte to be read lies in the file. */
  get offset(): number {
    return this.#base + this.reader.at;
  }

  feed(reader: StringReader, count: number): void {
    demand(count <= this.size - this.offset, "the file ends before what is announced there");
    demand(count <= STRING_BYTES_MAX, "a string longer than 512 MiB");
    this.#sum();
    const left = reader.end - reader.at;
    const target = count > PIECE_BYTES_MAX ? Buffer.allocUnsafeSlow(count) : this.#takeWindow();
    reader.bytes.copy(target, 0, reader.at, reader.end);
    this.#base += reader.at;
    this.#summed = 0;
    reader.bytes = target;
    reader.at = 0;
    reader.end = left + this.#read(target, left);
    demand(reader.end >= count, "the file has become shorter");
  }

  #takeWindow(): Buffer {
    const window = this.#windows[this.#next];
    this.#next = this.#next === 0 ? 1 : 0;
    return window;
  }

  /** Fills `target` from `from` on, as far as the file goes. Returns the bytes read. */
  #read(target: Buffer, from: number): number {
    let at = from;
    while (at < target.length) {
      const room = target.length - at;
      const count = this.#files.read(this.#fd, target, at, room, this.#base + at);
      if (count === 0) break;
      at += count;
    }
    return at - from;
  }

  #sum(): void {
    updateCrc64(this.#crc, this.reader.bytes, this.#summed, this.reader.at);
    this.#summed = this.reader.at;
  }

  /** The checksum of everything before `offset`, as the 8 bytes that close a file. */
  checksum(): bigint {
    this.#sum();
    return (BigInt(this.#crc.high) << 32n) | BigInt(this.#crc.low);
  }
}
