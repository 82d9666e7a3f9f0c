/**
 * OBJECT: what is known about a key beside its value. Source of texts: Redis 7.0 src/object.c.
 */

import { parseInt64 } from "../../base/bytes.ts";
import {
  entryKind,
  entryMemory,
  entryValueLength,
  entryValueOffset,
  entryValueWord,
} from "../arena/entry.ts";
import { argEnd, argIs, argStart, argText, type Call, type Handler } from "../call.ts";
import { ReplyError, unknownSubcommand } from "../replies.ts";
import { STRING, VALUE_TYPES } from "../types/value-type.ts";
import { checkSubcommandArity, helpReply } from "./container.ts";

/** Longest string that Redis keeps in one block with its object. */
const EMBEDDED_BYTES_MAX = 44;
const INTEGER_CHARS_MAX = 20;
/** Integers Redis shares, and the count it shows for one: Redis 7.0 src/server.h, src/object.c. */
const SHARED_INTEGERS = 10_000n;
const SHARED_COUNT = 2_147_483_647;

function integerOf(call: Call, entry: number): bigint | undefined {
  const at = entryValueOffset(call.arena, entry);
  const length = entryValueLength(call.arena, entry);
  if (length > INTEGER_CHARS_MAX) return undefined;
  return parseInt64(entryMemory(call.arena, entry), at, at + length);
}

/** As OBJECT ENCODING answers. */
export function encodingOf(call: Call, entry: number): string {
  const type = entryKind(call.arena, entry);
  if (type !== STRING) {
    return VALUE_TYPES.get(type)!.encoding(call.arena, entryValueWord(call.arena, entry));
  }
  if (integerOf(call, entry) !== undefined) return "int";
  return entryValueLength(call.arena, entry) <= EMBEDDED_BYTES_MAX ? "embstr" : "raw";
}

function referenceCount(call: Call, entry: number): number {
  if (entryKind(call.arena, entry) !== STRING) return 1;
  const value = integerOf(call, entry);
  return value !== undefined && value >= 0n && value < SHARED_INTEGERS ? SHARED_COUNT : 1;
}

const SWITCHING =
  "Please note that when switching between policies at runtime LRU and LFU data will take some time " +
  "to adjust.";
const NO_FREQUENCIES = `ERR An LFU maxmemory policy is not selected, access frequency not tracked. ${SWITCHING}`;
const ONLY_FREQUENCIES = `ERR An LFU maxmemory policy is selected, idle time not tracked. ${SWITCHING}`;
/** Ours: Redis keeps times of access under all other policies, which here would cost memory. */
const NO_TIMES = `ERR An LRU maxmemory policy is not selected, idle time not tracked. ${SWITCHING}`;

function idleTime({ server }: Call, entry: number): number {
  const { accesses } = server.databases;
  if (accesses?.kind === "lru") return accesses.idleSeconds(entry);
  throw new ReplyError(accesses === undefined ? NO_TIMES : ONLY_FREQUENCIES);
}

function frequency({ server }: Call, entry: number): number {
  const { accesses } = server.databases;
  if (accesses?.kind === "lfu") return accesses.frequency(entry);
  throw new ReplyError(NO_FREQUENCIES);
}

const OBJECT_HELP = [
  "ENCODING <key>",
  "    Return the kind of internal representation used in order to store the value",
  "    associated with a <key>.",
  "FREQ <key>",
  "    Return the access frequency index of the <key>. The returned integer is",
  "    proportional to the logarithm of the recent access frequency of the key.",
  "IDLETIME <key>",
  "    Return the idle time of the <key>, that is the approximated number of",
  "    seconds elapsed since the last access to the key.",
  "REFCOUNT <key>",
  "    Return the number of references of the value associated with the specified",
  "    <key>.",
];

function object(call: Call): void {
  if (argIs(call, 1, "help")) {
    helpReply(call, OBJECT_HELP);
    return;
  }
  const word = argText(call, 1).toLowerCase();
  if (!["encoding", "freq", "idletime", "refcount"].includes(word)) {
    throw new ReplyError(unknownSubcommand("OBJECT", argText(call, 1)));
  }
  checkSubcommandArity(call, 3);
  const entry = call.db.peek(call.buf, argStart(call, 2), argEnd(call, 2));
  if (entry === 0) call.out.nil();
  else if (word === "encoding") call.out.bulkText(encodingOf(call, entry));
  else if (word === "refcount") call.out.integer(referenceCount(call, entry));
  else call.out.integer(word === "idletime" ? idleTime(call, entry) : frequency(call, entry));
}

export const OBJECT_HANDLERS = { OBJECT: object } as const satisfies Record<string, Handler>;
