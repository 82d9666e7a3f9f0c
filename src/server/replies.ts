/**
 * Error texts that several files answer, without the leading `-`; one that a single command answers
 * stands beside it. Source: Redis 7.0 where it knows the case (src/server.c `createSharedObjects`
 * and the commands' own files), else Codis extern/redis-3.2.11/src/slots.c.
 */

/**
 * Thrown by a handler while it reads its arguments, before any change; execute.ts catches it and
 * answers its text. Made without a stack, because a client can cause any number of them.
 */
export class ReplyError {
  readonly text: string;

  /** @param text as above: code word first (`ERR syntax error`), no `-`, no line end */
  constructor(text: string) {
    this.text = text;
  }
}

export const SYNTAX = "ERR syntax error";
export const NOT_INTEGER = "ERR value is not an integer or out of range";
export const OUT_OF_RANGE = "ERR value is out of range";
export const NOT_POSITIVE = "ERR value is out of range, must be positive";
export const NO_SUCH_KEY = "ERR no such key";
export const INDEX_OUT_OF_RANGE = "ERR index out of range";
export const OVERFLOW = "ERR increment or decrement would overflow";
export const NAN_OR_INFINITY = "ERR increment would produce NaN or Infinity";
export const STRING_TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
export const OUT_OF_MEMORY = "OOM command not allowed when used memory > 'maxmemory'.";
/** Ours: 64 GiB, or fewer when values of 2 MiB and more take a chunk each. */
export const ARENA_FULL = "OOM command not allowed: the server has no room for more data";
export const NOT_AUTHENTICATED = "NOAUTH Authentication required.";
export const LOADING_DATA = "LOADING Redis is loading the dataset in memory";
export const DB_OUT_OF_RANGE = "ERR DB index is out of range";
export const TOO_MANY_CLIENTS = "ERR max number of clients reached";
/** The first sentence of Redis' text, then what helps here. */
export const DENIED =
  "DENIED Redis is running in protected mode because protected mode is enabled and no password is " +
  "set for the default user. In this mode connections are only accepted from the loopback " +
  "interface. To accept others set requirepass, or protected-mode = false, in the server's file.";
export const SAME_OBJECT = "ERR source and destination objects are the same";
export const INVALID_CURSOR = "ERR invalid cursor";
/** Ours: Redis takes keys and members up to proto-max-bulk-len. */
export const KEY_TOO_LONG = "ERR keys, fields and members must be shorter than 64 MiB";

/** @param name the command as the table has it, upper case; `CONFIG|GET` for a subcommand */
export function wrongArity(name: string): string {
  return `ERR wrong number of arguments for '${name.toLowerCase()}' command`;
}

export const WRONG_TYPE_ERROR = new ReplyError(
  "WRONGTYPE Operation against a key holding the wrong kind of value",
);
export const SYNTAX_ERROR = new ReplyError(SYNTAX);
export const NOT_INTEGER_ERROR = new ReplyError(NOT_INTEGER);
export const NOT_FLOAT_ERROR = new ReplyError("ERR value is not a valid float");
export const NUMKEYS_ERROR = new ReplyError("ERR numkeys should be greater than 0");
/** LMPOP and ZMPOP. */
export const POP_COUNT_ERROR = new ReplyError("ERR count should be greater than 0");
/** SINTERCARD and ZINTERCARD. */
export const LIMIT_ERROR = new ReplyError("ERR LIMIT can't be negative");

const QUOTED_BYTES_MAX = 128;

/** @param args positions in `buf` as in Call; argument 0 is the name that nobody knows */
export function unknownCommand(buf: Buffer, args: Int32Array, argc: number): string {
  const name = buf.toString("latin1", args[0], Math.min(args[1]!, args[0]! + QUOTED_BYTES_MAX));
  let shown = "";
  for (let i = 1; i < argc && shown.length < QUOTED_BYTES_MAX; i++) {
    const room = QUOTED_BYTES_MAX - shown.length;
    const from = args[2 * i]!;
    shown += `'${buf.toString("latin1", from, Math.min(args[2 * i + 1]!, from + room))}' `;
  }
  return `ERR unknown command '${name}', with args beginning with: ${shown}`;
}

/** @param container upper case @param word as the client wrote it */
export function unknownSubcommand(container: string, word: string): string {
  return `ERR unknown subcommand '${word.slice(0, QUOTED_BYTES_MAX)}'. Try ${container} HELP.`;
}

/** @param name of the command, upper case */
export function invalidExpire(name: string): string {
  return `ERR invalid expire time in '${name.toLowerCase()}' command`;
}
