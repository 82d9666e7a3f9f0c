/**
 * Pure: one string taken from a payload, and how a payload that lies is reported.
 *
 * A reader fills a `Slice` of its caller, again and again; nothing is allocated per element. The
 * bytes are a view of the payload, of a decompressed copy, or, for a number, of the slice's own
 * text buffer. Two slices at once (field and value, member and score) never overlap.
 */

import { parseDouble } from "../double.ts";

/**
 * Thrown by the readers of this folder, caught by `read.ts` alone: the payload is not what it says.
 */
export class MalformedPayload extends Error {
  override readonly name = "MalformedPayload";
}

/** Throws `MalformedPayload` unless `condition` holds. `what` is for tests and logs. */
export function demand(condition: boolean, what: string): asserts condition {
  if (!condition) throw new MalformedPayload(what);
}

/** Decimal text of any 64-bit integer fits; the text of a number is never longer. */
export const NUMBER_TEXT_BYTES = 24;

export class Slice {
  /** The string is `bytes[start, end)`, valid until the next read into this slice. */
  bytes: Buffer;
  start = 0;
  end = 0;
  readonly #text = Buffer.alloc(NUMBER_TEXT_BYTES);

  constructor() {
    this.bytes = this.#text;
  }

  set(bytes: Buffer, start: number, end: number): void {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }

  /** The slice becomes the decimal text of `value`, an integer. */
  setInteger(value: number | bigint): void {
    this.bytes = this.#text;
    this.start = 0;
    this.end = this.#text.write(String(value), 0, "latin1");
  }

  /** For tests and slow paths: the bytes as a latin1 string. */
  text(): string {
    return this.bytes.toString("latin1", this.start, this.end);
  }
}

/**
 * What all compact structures are to the code that builds a value: elements, one after the other.
 */
export interface ElementReader {
  /**
   * Fills `into` with the next element; false after the last one. Before it says false it has
   * checked that the structure ends where it should. Throws `MalformedPayload`.
   */
  next(into: Slice): boolean;
}

/** The score in the text `slice` holds; throws for what is no number, NaN included. */
export function scoreOf(slice: Slice): number {
  const score = parseDouble(slice.bytes, slice.start, slice.end);
  demand(!Number.isNaN(score), "score is not a number");
  return score;
}
