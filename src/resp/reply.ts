/**
 * Pure: replies as values, for clients and tests (the data plane keeps them as bytes), and the
 * bytes of replies that never change.
 *
 * RESP2 maps to plain JavaScript values; what only RESP3 has says its type in an object.
 */

/** An error reply, `-ERR text`. A value: whoever gets it decides whether to throw. */
export class ErrorReply {
  /** All of it, without `-`: `ERR unknown command`. */
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** Its first word: `ERR`, `MOVED`, ... */
  get code(): string {
    const space = this.text.indexOf(" ");
    return space < 0 ? this.text : this.text.slice(0, space);
  }
}

export type Reply =
  | string // simple string, latin1
  | ErrorReply
  | number // integer
  | bigint // integer beyond ±(2^53 - 1)
  | Buffer // bulk string
  | null // null bulk, null array, RESP3 null
  | Reply[] // array
  | boolean
  | TypedReply;

export type TypedReply =
  | { readonly type: "double"; readonly value: number }
  | { readonly type: "bignumber"; readonly value: bigint }
  | { readonly type: "verbatim"; readonly format: string; readonly bytes: Buffer }
  | { readonly type: "map"; readonly pairs: readonly (readonly [Reply, Reply])[] }
  | { readonly type: "set"; readonly items: readonly Reply[] }
  | { readonly type: "push"; readonly items: readonly Reply[] };

export const OK: Buffer = Buffer.from("+OK\r\n");
export const PONG: Buffer = Buffer.from("+PONG\r\n");
export const NIL: Buffer = Buffer.from("$-1\r\n");
export const NIL_ARRAY: Buffer = Buffer.from("*-1\r\n");
export const EMPTY_ARRAY: Buffer = Buffer.from("*0\r\n");
