/**
 * Keys on their way to other servers, and who waits for them. A key is locked by the CRC32 of its
 * hash tag (or of itself), which all keys of a group share, in all databases at once.
 *
 *   move ──> lock(crc) ──> ... ──> unlock: clients that were held back are executed again,
 *             taken: wait          then moves that waited try once more
 *
 * A command that would change a locked key is held back until a move ends, however long that takes,
 * so no write is lost between the copy and the removal. Reading goes on. Commands that change keys
 * they do not name wait until nothing is locked, and while one waits no move begins.
 */

import type { Command } from "../commands/lookup.ts";
import { findKeys } from "../commands/lookup.ts";
import { crc32, hashTag, tagEnd, tagStart } from "../slots/hash.ts";
import type { Arena } from "./arena/arena.ts";
import { entryKeyLength, entryKeyOffset, entryMemory } from "./arena/entry.ts";
import type { Client } from "./client.ts";

/** Commands that change keys they do not name: they wait until nothing is on its way. */
const CHANGES_ANY_KEY: ReadonlySet<string> = new Set([
  "FLUSHALL",
  "FLUSHDB",
  "SLOTSDEL",
  // A move knows its keys by the database they were in.
  "SWAPDB",
]);
/** With so many clients held back, those that have gone are forgotten. */
const HELD_CLIENTS_CLEANED = 1024;

/** What a request is to `findKeys`. */
export interface RequestView {
  readonly buf: Buffer;
  readonly args: Int32Array;
  readonly argc: number;
}

/** The number under which the key `buf[from, to)` is locked: a u32. */
export function lockOf(buf: Buffer, from: number, to: number): number {
  hashTag(buf, from, to);
  return crc32(buf, tagStart, tagEnd);
}

export class KeyLocks {
  /** Keys are on their way: `holdsKeyOf` must be asked before a command writes. */
  isBusy = false;

  readonly #locks = new Set<number>();
  #waitingMoves: (() => void)[] = [];
  #heldBack: Client[] = [];
  /** Clients of CHANGES_ANY_KEY. While there are any, no move begins, or they might wait for ever. */
  #heldFromAll: Client[] = [];
  #cleanedAt = HELD_CLIENTS_CLEANED;
  #keyPositions = new Int32Array(64);

  has(lock: number): boolean {
    return this.#locks.has(lock);
  }

  /** Whether a move of keys with this lock may begin now. */
  isFree(lock: number): boolean {
    return this.#heldFromAll.length === 0 && !this.#locks.has(lock);
  }

  /** Whether any move may begin now. */
  get mayBegin(): boolean {
    return this.#heldFromAll.length === 0;
  }

  lock(lock: number): void {
    this.#locks.add(lock);
    this.isBusy = true;
  }

  /** Ends what was locked for one move; whoever waited goes on before this returns. */
  unlock(locks: Iterable<number>): void {
    for (const lock of locks) this.#locks.delete(lock);
    this.isBusy = this.#locks.size > 0;
    const clients = [...(this.isBusy ? [] : this.#heldFromAll.splice(0)), ...this.#heldBack];
    const moves = this.#waitingMoves;
    this.#heldBack = [];
    this.#waitingMoves = [];
    // Writes first: moves that queue up for one key must not keep them waiting for ever.
    for (const client of clients) client.port.executeAgain();
    for (const retry of moves) retry();
  }

  /** Calls `retry` once, when a move has ended. */
  wait(retry: () => void): void {
    this.#waitingMoves.push(retry);
  }

  /** Whether a command must be held back: one of its keys is on its way. */
  holdsKeyOf(command: Command, request: RequestView): boolean {
    if (CHANGES_ANY_KEY.has(command.name)) return true;
    const count = this.findKeys(command, request);
    for (let i = 0; i < count; i++) {
      const position = this.#keyPositions[i]!;
      const { buf, args } = request;
      if (this.#locks.has(lockOf(buf, args[2 * position]!, args[2 * position + 1]!))) return true;
    }
    return false;
  }

  /** The key of `entry` is on its way: it must not be removed. */
  holdsEntry(arena: Arena, entry: number): boolean {
    const at = entryKeyOffset(arena, entry);
    return this.#locks.has(
      lockOf(entryMemory(arena, entry), at, at + entryKeyLength(arena, entry)),
    );
  }

  /** Finds the arguments that are keys: `keyPosition(i)` for i below the answer, which is their count. */
  findKeys(command: Command, request: RequestView): number {
    if (this.#keyPositions.length < request.argc) {
      this.#keyPositions = new Int32Array(2 * request.argc);
    }
    return findKeys(command, request, this.#keyPositions);
  }

  /** Index of the argument that `findKeys` found as its `i`-th. */
  keyPosition(i: number): number {
    return this.#keyPositions[i]!;
  }

  /** The client's request is to be executed again when a move has ended, or all of them. */
  holdBack(client: Client, command: Command): void {
    client.isWaiting = true;
    if (CHANGES_ANY_KEY.has(command.name)) {
      this.#heldFromAll.push(client);
      return;
    }
    this.#heldBack.push(client);
    if (this.#heldBack.length < this.#cleanedAt) return;
    this.#heldBack = this.#heldBack.filter((held) => !held.isClosing);
    this.#cleanedAt = Math.max(HELD_CLIENTS_CLEANED, 2 * this.#heldBack.length);
  }
}
