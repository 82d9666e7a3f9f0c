/**
 * Up to where collections keep their compact forms (types/), under their names of redis.conf. They
 * lie with the arena because whoever changes a collection has it at hand; the arena itself looks at
 * none of them. The server puts its configuration there, so CONFIG SET counts from the next change
 * on. What has become a table stays one.
 */
export interface CompactLimits {
  /** Fields of a packed hash. */
  readonly "hash-max-listpack-entries": number;
  /** Bytes of its longest field or value. */
  readonly "hash-max-listpack-value": number;
  /** Members of a set that are all integers. */
  readonly "set-max-intset-entries": number;
  /** Members of another packed set. */
  readonly "set-max-listpack-entries": number;
  /** Bytes of its longest member. */
  readonly "set-max-listpack-value": number;
  /** Members of a packed sorted set. */
  readonly "zset-max-listpack-entries": number;
  /** Bytes of its longest member. */
  readonly "zset-max-listpack-value": number;
  /** A list's node: elements, or when negative -1 to -5 for 4, 8, 16, 32, 64 KiB. */
  readonly "list-max-listpack-size": number;
}

/** As in Redis 7.2, which alone has those of packed sets. */
export const DEFAULT_LIMITS: CompactLimits = {
  "hash-max-listpack-entries": 512,
  "hash-max-listpack-value": 64,
  "set-max-intset-entries": 512,
  "set-max-listpack-entries": 128,
  "set-max-listpack-value": 64,
  "zset-max-listpack-entries": 128,
  "zset-max-listpack-value": 64,
  "list-max-listpack-size": -2,
};
