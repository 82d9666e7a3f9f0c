/**
 * Pure: from the bytes of a request to its row of the command table and to its keys. Every request
 * of every client passes here, in the proxy and in the server, so names are compared as bytes where
 * they lie and nothing is allocated.
 *
 *   "mGeT" in the receive buffer -> hash of the folded bytes -> open addressing -> Command
 *
 * Invariant: `ALL_COMMANDS[c.id] === c`; there is one `Command` object per row, so callers compare
 * with `===` and may keep per-command data in arrays indexed by `id`.
 */

import {
  type CommandSpec,
  FLAG_NAMES,
  type KeySpec,
  MOVABLE_KEYS,
  type ProxyPolicy,
  READ,
} from "./spec.ts";
import { COMMANDS, type CommandName } from "./table.ts";

/** A row of the command table in the form the hot path reads. */
export interface Command {
  /** 0..ALL_COMMANDS.length-1, the same within one build only. */
  readonly id: number;
  /** Upper case. */
  readonly name: CommandName;
  readonly lower: string;
  /** Number of arguments with the name; negative: at least so many; 0: any. */
  readonly arity: number;
  /** Bits of `spec.ts`; `MOVABLE_KEYS` included. */
  readonly flags: number;
  readonly keys: KeySpec;
  readonly proxy: ProxyPolicy;
  /** A read that any server with the data answers alike, so a replica may. */
  readonly replica: boolean;
  /** Whether our own server serves it; then `name` is a `ServedCommand`. */
  readonly server: boolean;
  /** `keys` as a range: `[0, 0, 0]` when there is none or the places depend on the arguments. */
  readonly first: number;
  readonly last: number;
  readonly step: number;
  /** The range that `COMMAND INFO` prints. */
  readonly shown: readonly [first: number, last: number, step: number];
}

/** A cursor belongs to the server that gave it; TOUCH is about the primary's own clock. */
const PRIMARY_READS: ReadonlySet<CommandName> = new Set<CommandName>([
  "HSCAN",
  "SSCAN",
  "ZSCAN",
  "SCAN",
  "SLOTSINFO",
  "SLOTSSCAN",
  "TOUCH",
]);

/** What `findKeys` reads of a request: `RequestDecoder` has this shape. */
export interface RequestArguments {
  readonly buf: Uint8Array;
  /** `args[2 * i]` and `args[2 * i + 1]`: begin and end of argument i in `buf`. */
  readonly args: Int32Array;
  readonly argc: number;
}

/** All rows, by `id`. */
export const ALL_COMMANDS: readonly Command[] = Object.entries<CommandSpec>(COMMANDS).map(
  ([name, spec], id) => makeCommand(id, name as CommandName, spec),
);

function makeCommand(id: number, name: CommandName, spec: CommandSpec): Command {
  const { arity, keys, proxy } = spec;
  const [first, last, step] = isRange(keys) ? keys : [0, 0, 0];
  return {
    id,
    name,
    lower: name.toLowerCase(),
    arity,
    flags: spec.flags | (isRange(keys) || "sub" in keys ? 0 : MOVABLE_KEYS),
    keys,
    proxy,
    replica: (spec.flags & READ) !== 0 && !PRIMARY_READS.has(name),
    server: spec.server === true,
    first,
    last,
    step,
    shown: spec.shown ?? shownRange(keys),
  };
}

function isRange(keys: KeySpec): keys is readonly [number, number, number] {
  return Array.isArray(keys);
}

/** Redis shows the part that is certain, and nothing for a container of subcommands. */
function shownRange(keys: KeySpec): readonly [number, number, number] {
  if (isRange(keys)) return keys;
  if ("numkeys" in keys) return keys.dest === undefined ? [0, 0, 0] : [keys.dest, keys.dest, 1];
  if ("options" in keys || "sort" in keys) return [1, 1, 1];
  if ("migrate" in keys) return [3, 3, 1];
  return [0, 0, 0];
}

/** The names of the bits set in `flags`, in the order of `COMMAND INFO`. */
export function flagNames(flags: number): string[] {
  return FLAG_NAMES.filter((_, bit) => (flags & (1 << bit)) !== 0);
}

// -- name to command ----------------------------------------------------------------------------

/** A power of two, four times the rows, so that most names are found at the first probe. */
const TABLE_SIZE = 2 ** Math.ceil(Math.log2(ALL_COMMANDS.length * 4));
const TABLE_MASK = TABLE_SIZE - 1;
/** No name is longer, so each has its bytes at `id * NAME_BYTES`. */
const NAME_BYTES = 32;

const names = new Uint8Array(ALL_COMMANDS.length * NAME_BYTES);
const nameLengths = new Uint8Array(ALL_COMMANDS.length);
/** Command id + 1; 0 ends a probe. */
const table = makeTable();

function makeTable(): Int16Array {
  const slots = new Int16Array(TABLE_SIZE);
  for (const { id, name } of ALL_COMMANDS) {
    const bytes = Buffer.from(name, "latin1");
    names.set(bytes, id * NAME_BYTES);
    nameLengths[id] = bytes.length;
    let at = hashName(bytes, 0, bytes.length) & TABLE_MASK;
    while (slots[at] !== 0) at = (at + 1) & TABLE_MASK;
    slots[at] = id + 1;
  }
  return slots;
}

/** Clearing bit 5 folds letters; that it also folds other bytes only costs a comparison. */
function hashName(buf: Uint8Array, from: number, to: number): number {
  let hash = to - from;
  for (let i = from; i < to; i++) hash = Math.imul(hash, 31) + (buf[i]! & 0xdf);
  return hash ^ (hash >>> 11);
}

function isName(id: number, buf: Uint8Array, from: number, to: number): boolean {
  if (nameLengths[id] !== to - from) return false;
  let at = id * NAME_BYTES;
  for (let i = from; i < to; i++, at++) {
    const byte = buf[i]!;
    const upper = names[at]!;
    if (byte === upper) continue;
    if (byte < 0x61 || byte > 0x7a || (byte ^ 0x20) !== upper) return false;
  }
  return true;
}

/** The command that `buf[from, to)` names, in any case of letters; undefined when no row has it. */
export function lookupCommand(buf: Uint8Array, from: number, to: number): Command | undefined {
  if (to - from > NAME_BYTES) return undefined;
  let at = hashName(buf, from, to) & TABLE_MASK;
  for (;;) {
    const entry = table[at]!;
    if (entry === 0) return undefined;
    if (isName(entry - 1, buf, from, to)) return ALL_COMMANDS[entry - 1];
    at = (at + 1) & TABLE_MASK;
  }
}

/** Whether a request of `argc` arguments, the name counted, fits `arity`. */
export function arityFits(command: Command, argc: number): boolean {
  const { arity } = command;
  return arity >= 0 ? arity === 0 || argc === arity : argc >= -arity;
}

// -- keys of a request --------------------------------------------------------------------------

/**
 * Finds the arguments of a request that are keys; their indexes go to `out`, in order.
 *
 * It does not check arity: of a request that is too short, the keys that are there are found.
 * @param out entries past its end are dropped: when the answer is larger than `out.length`, call
 *   again with a larger one
 * @returns the number of keys; -1 when it cannot be told (a malformed `numkeys`, an unbalanced
 *   STREAMS, a subcommand without key)
 */
export function findKeys(command: Command, request: RequestArguments, out: Int32Array): number {
  const { first, last, step } = command;
  if (first !== 0) {
    const { argc } = request;
    if (last === first) {
      if (first >= argc) return 0;
      out[0] = first;
      return 1;
    }
    const end = last < 0 ? argc + last : Math.min(last, argc - 1);
    let count = 0;
    for (let i = first; i <= end; i += step) out[count++] = i;
    return count;
  }
  return isRange(command.keys) ? 0 : findMovableKeys(command.keys, request, out);
}

function findMovableKeys(keys: MovableKeys, request: RequestArguments, out: Int32Array): number {
  if ("numkeys" in keys) return findCounted(keys.numkeys, keys.dest, keys.step, request, out);
  if ("sub" in keys) return findAfterSubcommand(keys.sub, request, out);
  if ("options" in keys) return findOptions(keys.options, keys.from, request, out);
  if ("sort" in keys) return findSortKeys(request, out);
  if ("streams" in keys) return findStreams(request, out);
  return findMigrateKeys(request, out);
}

type MovableKeys = Exclude<KeySpec, readonly [number, number, number]>;

function findCounted(
  numkeys: number,
  dest: number | undefined,
  step: number | undefined,
  request: RequestArguments,
  out: Int32Array,
): number {
  let count = 0;
  if (dest !== undefined && dest < request.argc) out[count++] = dest;
  if (numkeys >= request.argc) return count;
  const wanted = parseCount(request, numkeys);
  const stride = step ?? 1;
  const available = Math.ceil((request.argc - numkeys - 1) / stride);
  if (wanted < 0 || wanted > available) return -1;
  for (let i = 0; i < wanted; i++) out[count++] = numkeys + 1 + i * stride;
  return count;
}

/** A decimal of at most 7 digits (a request has at most 1048576 arguments), or -1. */
function parseCount(request: RequestArguments, index: number): number {
  const { buf, args } = request;
  const from = args[2 * index]!;
  const to = args[2 * index + 1]!;
  if (from === to || to - from > 7) return -1;
  let count = 0;
  for (let i = from; i < to; i++) {
    const digit = buf[i]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    count = count * 10 + digit;
  }
  return count;
}

function findAfterSubcommand(
  words: readonly string[],
  request: RequestArguments,
  out: Int32Array,
): number {
  if (request.argc < 2) return 0;
  for (const word of words) {
    if (!isWord(request, 1, word)) continue;
    if (request.argc < 3) return 0;
    out[0] = 2;
    return 1;
  }
  return -1;
}

function findOptions(
  words: readonly string[],
  from: number,
  request: RequestArguments,
  out: Int32Array,
): number {
  const { argc } = request;
  if (argc < 2) return 0;
  let count = 0;
  out[count++] = 1;
  for (let i = from; i < argc - 1; i++) {
    for (const word of words) {
      if (!isWord(request, i, word)) continue;
      out[count++] = ++i;
      break;
    }
  }
  return count;
}

function findSortKeys(request: RequestArguments, out: Int32Array): number {
  const { argc } = request;
  if (argc < 2) return 0;
  let count = 0;
  out[count++] = 1;
  for (let i = 2; i < argc - 1; i++) {
    if (isWord(request, i, "LIMIT")) {
      i += 2;
    } else if (isWord(request, i, "STORE")) {
      out[count++] = ++i;
    } else if (isWord(request, i, "BY") || isWord(request, i, "GET")) {
      if (hasStar(request, ++i)) out[count++] = i;
    }
  }
  return count;
}

function findStreams(request: RequestArguments, out: Int32Array): number {
  const { argc } = request;
  for (let i = 1; i < argc; i++) {
    if (!isWord(request, i, "STREAMS")) continue;
    const behind = argc - i - 1;
    if (behind === 0 || behind % 2 !== 0) return -1;
    for (let k = 0; k < behind / 2; k++) out[k] = i + 1 + k;
    return behind / 2;
  }
  return -1;
}

function findMigrateKeys(request: RequestArguments, out: Int32Array): number {
  const { argc, args } = request;
  if (argc < 4) return 0;
  if (args[6] !== args[7]) {
    out[0] = 3;
    return 1;
  }
  for (let i = 6; i < argc; i++) {
    if (!isWord(request, i, "KEYS")) continue;
    for (let k = i + 1; k < argc; k++) out[k - i - 1] = k;
    return argc - i - 1;
  }
  return -1;
}

/** Whether argument `index` is `word` (upper case letters) in any case. */
function isWord(request: RequestArguments, index: number, word: string): boolean {
  const from = request.args[2 * index]!;
  if (request.args[2 * index + 1]! - from !== word.length) return false;
  for (let i = 0; i < word.length; i++) {
    if ((request.buf[from + i]! & 0xdf) !== word.charCodeAt(i)) return false;
  }
  return true;
}

function hasStar(request: RequestArguments, index: number): boolean {
  const to = request.args[2 * index + 1]!;
  for (let i = request.args[2 * index]!; i < to; i++) if (request.buf[i] === 0x2a) return true;
  return false;
}
