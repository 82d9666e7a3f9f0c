/** The slowest commands of late: a ring of the last entries, newest first when read. */

export interface SlowlogEntry {
  readonly id: number;
  /** Unix seconds. */
  readonly at: number;
  readonly microseconds: number;
  /** The request's words, shortened as Redis does. */
  readonly words: readonly Buffer[];
  readonly clientAddress: string;
  readonly clientName: string;
}

/** Words kept of a request, the last saying how many more there were; and bytes kept of a word. */
const WORDS_MAX = 32;
const WORD_BYTES_MAX = 128;

export class Slowlog {
  #entries: SlowlogEntry[] = [];
  #nextId = 0;

  get length(): number {
    return this.#entries.length;
  }

  /** @param maxLength entries kept */
  add(entry: Omit<SlowlogEntry, "id">, maxLength: number): void {
    this.#entries.unshift({ id: this.#nextId++, ...entry });
    if (this.#entries.length > maxLength) this.#entries.length = maxLength;
  }

  /** Up to `count` entries, newest first. */
  newest(count: number): readonly SlowlogEntry[] {
    return this.#entries.slice(0, count);
  }

  reset(): void {
    this.#entries = [];
  }
}

/** The words of a request as the log keeps them. `args` as in Call. */
export function slowlogWords(buf: Buffer, args: Int32Array, argc: number): Buffer[] {
  const words: Buffer[] = [];
  const shown = argc > WORDS_MAX ? WORDS_MAX - 1 : argc;
  for (let i = 0; i < shown; i++) {
    const from = args[2 * i]!;
    const to = args[2 * i + 1]!;
    if (to - from <= WORD_BYTES_MAX) {
      words.push(Buffer.from(buf.subarray(from, to)));
    } else {
      const rest = to - from - WORD_BYTES_MAX;
      const start = buf.toString("latin1", from, from + WORD_BYTES_MAX);
      words.push(Buffer.from(`${start}... (${rest} more bytes)`, "latin1"));
    }
  }
  if (shown < argc) words.push(Buffer.from(`... (${argc - shown} more arguments)`));
  return words;
}
