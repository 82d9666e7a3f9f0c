/**
 * Pure: how large a request may be, in each of the two dialects that `RequestDecoder` knows.
 *
 * Sources: Codis pkg/proxy/redis/decoder.go; Redis 7.0 networking.c and config.c.
 */

export type Dialect = "proxy" | "server";

/** All in bytes but `arguments`. */
export interface RequestLimits {
  /** Arguments of one request, at least 9. */
  readonly arguments: number;
  /** One argument, at least 99. */
  readonly bulkBytes: number;
  /** A line that announces a count or a length, without its LF. */
  readonly lineBytes: number;
  /** An inline request, without its LF. */
  readonly inlineBytes: number;
  /** An incomplete request together with what was fed behind it; below 2 GiB. */
  readonly requestBytes: number;
}

const MIB = 1024 * 1024;

/**
 * As the original, which limits neither inline requests nor the sum of arguments. What all clients
 * hold together is bounded by `proxy_max_offheap_size`.
 */
export const PROXY_LIMITS: RequestLimits = {
  arguments: 1024 * 1024,
  bulkBytes: 512 * MIB,
  lineBytes: 128 * 1024,
  inlineBytes: MIB,
  requestBytes: 1024 * MIB,
};

/** Redis 7.0: INT_MAX, proto-max-bulk-len, PROTO_INLINE_MAX_SIZE, client-query-buffer-limit. */
export const SERVER_LIMITS: RequestLimits = {
  arguments: 2 ** 31 - 1,
  bulkBytes: 512 * MIB,
  lineBytes: 64 * 1024,
  inlineBytes: 64 * 1024,
  requestBytes: 1024 * MIB,
};

/** What a client that still owes a password may send. Source: Redis 7.0 networking.c. */
export const UNAUTHENTICATED_ARGUMENTS = 10;
export const UNAUTHENTICATED_BULK_BYTES = 16384;
