/**
 * Pure: the numbers of RDB, as payloads (DUMP) and files have them, with Redis' names. Sources:
 * Redis 7.0 src/rdb.h, Redis 8.0 src/rdb.h for what came later.
 */

/** The newest version that is understood: Redis 7.4 and 8.0. */
export const RDB_VERSION_MAX = 12;

/** Type bytes of values. */
export const RDB_TYPE_STRING = 0;
export const RDB_TYPE_LIST = 1;
export const RDB_TYPE_SET = 2;
export const RDB_TYPE_ZSET = 3;
export const RDB_TYPE_HASH = 4;
export const RDB_TYPE_ZSET_2 = 5;
export const RDB_TYPE_HASH_ZIPMAP = 9;
export const RDB_TYPE_LIST_ZIPLIST = 10;
export const RDB_TYPE_SET_INTSET = 11;
export const RDB_TYPE_ZSET_ZIPLIST = 12;
export const RDB_TYPE_HASH_ZIPLIST = 13;
export const RDB_TYPE_LIST_QUICKLIST = 14;
export const RDB_TYPE_HASH_LISTPACK = 16;
export const RDB_TYPE_ZSET_LISTPACK = 17;
export const RDB_TYPE_LIST_QUICKLIST_2 = 18;
export const RDB_TYPE_SET_LISTPACK = 20;

/** What a server may have written that this one cannot hold, by type byte. */
export const FOREIGN_TYPES: ReadonlyMap<number, string> = new Map([
  [6, "a module's value"],
  [7, "a module's value"],
  [15, "a stream"],
  [19, "a stream"],
  [21, "a stream"],
  [22, "a hash whose fields expire"],
  [23, "a hash whose fields expire"],
  [24, "a hash whose fields expire"],
  [25, "a hash whose fields expire"],
]);

/** First bytes of a type 3 score that are no length. */
export const SCORE_NAN = 253;
export const SCORE_INFINITY = 254;
export const SCORE_MINUS_INFINITY = 255;

/** A file: REDIS, four digits of version, then these and keys, then EOF and a checksum. */
export const RDB_MAGIC = "REDIS";
export const OPCODE_SLOT_INFO = 244;
export const OPCODE_FUNCTION2 = 245;
export const OPCODE_FUNCTION_PRE_GA = 246;
export const OPCODE_MODULE_AUX = 247;
export const OPCODE_IDLE = 248;
export const OPCODE_FREQ = 249;
export const OPCODE_AUX = 250;
export const OPCODE_RESIZEDB = 251;
export const OPCODE_EXPIRETIME_MS = 252;
export const OPCODE_EXPIRETIME = 253;
export const OPCODE_SELECTDB = 254;
export const OPCODE_EOF = 255;
/** Files have a checksum since this version (Redis 2.6). */
export const CHECKSUM_SINCE_VERSION = 5;
