/**
 * The words a row of the command table is written in: flags, places of keys, policy of the proxy.
 * The rows are in `table.ts` and `module-table.ts`, the questions asked of them in `lookup.ts`.
 *
 * Flags are bits in the order in which `COMMAND INFO` of Redis 7 prints them; `RANDOM` is from
 * before 7.0, where only the `SLOTS*` commands still show it.
 */

export const WRITE = 1 << 0;
export const READ = 1 << 1;
/** Refused when memory is full. */
export const DENYOOM = 1 << 2;
/** Born in a module (RedisJSON, RediSearch, ...), also where Redis 8 has it built in. */
export const MODULE = 1 << 3;
export const ADMIN = 1 << 4;
export const PUBSUB = 1 << 5;
/** Not allowed inside a script. */
export const NOSCRIPT = 1 << 6;
export const RANDOM = 1 << 7;
/** May wait for another client. */
export const BLOCKING = 1 << 8;
/** Allowed while the data set is being loaded. */
export const LOADING = 1 << 9;
/** Allowed on a replica that lost its master. */
export const STALE = 1 << 10;
export const SKIP_MONITOR = 1 << 11;
export const SKIP_SLOWLOG = 1 << 12;
export const ASKING = 1 << 13;
/** O(1) or O(log n). */
export const FAST = 1 << 14;
/** Allowed before authentication. */
export const NO_AUTH = 1 << 15;
export const NO_MANDATORY_KEYS = 1 << 16;
export const NO_ASYNC_LOADING = 1 << 17;
export const NO_MULTI = 1 << 18;
/** The places of keys depend on the arguments. Follows from `keys` in all but a few rows. */
export const MOVABLE_KEYS = 1 << 19;
/** Allowed while a script runs too long. */
export const ALLOW_BUSY = 1 << 20;

/** A write that may need memory. */
export const GROW = WRITE | DENYOOM;
/** About the state of the connection it comes over. */
export const SESSION = NOSCRIPT | LOADING | STALE | FAST;
/** Changes what the connection listens to. */
export const LISTEN = PUBSUB | NOSCRIPT | LOADING | STALE;
/** Runs a script or a function. */
export const RUN = NOSCRIPT | STALE | SKIP_MONITOR | NO_MANDATORY_KEYS;
/** Writes out the whole data set. */
export const SAVES = ADMIN | NOSCRIPT | NO_ASYNC_LOADING;

/** Names of the flags as `COMMAND INFO` prints them, the name of bit i at index i. */
export const FLAG_NAMES: readonly string[] = [
  "write",
  "readonly",
  "denyoom",
  "module",
  "admin",
  "pubsub",
  "noscript",
  "random",
  "blocking",
  "loading",
  "stale",
  "skip_monitor",
  "skip_slowlog",
  "asking",
  "fast",
  "no_auth",
  "no_mandatory_keys",
  "no_async_loading",
  "no_multi",
  "movablekeys",
  "allow_busy",
];

/**
 * Which arguments are keys; argument 0 is the name.
 * - `[first, last, step]`: a range; a negative `last` counts from the end (-1 is the last
 *   argument); `[0, 0, 0]` has none.
 * - `numkeys`: that argument says how many keys follow it, `step` arguments apart (default 1);
 *   `dest`: one more key stands there, in front.
 * - `sub`: argument 2, when argument 1 is one of these words, else it is none of this command's
 *   uses with a key.
 * - `options`: argument 1, and what follows each of these words found at argument `from` or later.
 * - `sort`: argument 1, what follows STORE, and patterns of BY and GET that contain a `*`: the keys
 *   they lead to must live in the same slot, which only a hash tag in the pattern can promise.
 * - `streams`: the first half of what follows STREAMS.
 * - `migrate`: argument 3, or when it is empty what follows KEYS.
 */
export type KeySpec =
  | readonly [first: number, last: number, step: number]
  | { readonly numkeys: number; readonly dest?: number; readonly step?: number }
  | { readonly sub: readonly string[] }
  | { readonly options: readonly string[]; readonly from: number }
  | { readonly sort: true }
  | { readonly streams: true }
  | { readonly migrate: true };

/**
 * What the proxy does with a command.
 * - `forward`: at most one key; goes as it is to the backend of its slot.
 * - `split`: one request per key, the replies merged.
 * - `colocated`: may name several keys; forwarded when all are in one slot, else CROSSSLOT.
 * - `local`: the proxy answers, itself or by asking a backend it chooses.
 * - `everywhere`: refused: about all keys, or an index over them, so it is for each server.
 * - `refuse`: never over a proxy: administrative, about the state of a connection that all clients
 *   share, or leading past the slot it names.
 * - `later`: known, not supported yet: blocking, publish and subscribe, transactions, scripts.
 */
export type ProxyPolicy =
  | "forward"
  | "split"
  | "colocated"
  | "local"
  | "everywhere"
  | "refuse"
  | "later";

/** One row of the command table. */
export interface CommandSpec {
  /** Number of arguments with the name; negative: at least so many; 0: any. */
  readonly arity: number;
  readonly flags: number;
  readonly keys: KeySpec;
  readonly proxy: ProxyPolicy;
  /** Present in rows that our own server serves. */
  readonly server?: true;
  /** What `COMMAND INFO` prints as key range, where it is not what `keys` leads to. */
  readonly shown?: readonly [first: number, last: number, step: number];
}

/** No key. */
export const NONE = [0, 0, 0] as const;
/** Argument 1. */
export const ONE = [1, 1, 1] as const;
/** Arguments 1 and 2. */
export const TWO = [1, 2, 1] as const;
/** All arguments. */
export const ALL = [1, -1, 1] as const;
/** Argument 1 counts the keys that follow it. */
export const COUNTED = { numkeys: 1 } as const;
/** Argument 2 counts the keys that follow it. */
export const COUNTED_2 = { numkeys: 2 } as const;
/** A destination, then how many sources, then the sources. */
export const DEST_COUNTED = { dest: 1, numkeys: 2 } as const;
