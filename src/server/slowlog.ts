/**
 * The slowest commands of late: a ring of the last entries, newest first when read. Passwords are
 * kept out of it. Source: Redis 7.0 src/slowlog.c, `redactClientCommandArgument`.
 */

import { equalFold } from "../base/bytes.ts";
import type { CommandName } from "../commands/table.ts";

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

const REDACTED = Buffer.from("(redacted)");
/** Keys of CONFIG SET whose values nobody shall read. */
const SECRET_KEYS = ["requirepass", "masterauth"];

/** The words of the request of a command as the log keeps them. `args` as in Call. */
export function slowlogWords(
  command: CommandName,
  buf: Buffer,
  args: Int32Array,
  argc: number,
): Buffer[] {
  const words: Buffer[] = [];
  const shown = argc > WORDS_MAX ? WORDS_MAX - 1 : argc;
  const isWord = (i: number, word: string): boolean =>
    equalFold(buf, args[2 * i]!, args[2 * i + 1]!, word);
  for (let i = 0; i < shown; i++) {
    const from = args[2 * i]!;
    const to = args[2 * i + 1]!;
    if (isSecret(command, i, isWord)) {
      words.push(REDACTED);
    } else if (to - from <= WORD_BYTES_MAX) {
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

/** Whether argument `i` is a password, or stands where one may: the user's name is hidden too. */
function isSecret(
  command: CommandName,
  i: number,
  isWord: (i: number, word: string) => boolean,
): boolean {
  switch (command) {
    case "AUTH":
      return i > 0;
    case "HELLO":
      return (i > 1 && isWord(i - 1, "auth")) || (i > 2 && isWord(i - 2, "auth"));
    case "CONFIG":
      return i > 2 && isWord(1, "set") && SECRET_KEYS.some((key) => isWord(i - 1, key));
    default:
      return false;
  }
}
