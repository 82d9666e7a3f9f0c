/**
 * Which keys share a hash tag: SLOTSMGRTTAG* moves them together. Every slot with tagged keys has a
 * dictionary from the tag's CRC32 to a group, and the entries of a group are linked through
 * ENTRY_LINKS (link 0 the previous, link 1 the next one), in no order. Two tags of one CRC are one
 * group, as in the original (Codis extern/redis-3.2.11/src/slots.c).
 *
 *   slot's dictionary, owner word ──> groups: crc ──> first entry <──> entry <──> entry
 */

import type { Arena } from "./arena/arena.ts";
import { createDict, dictCount, dictFind, dictInsert, dictRemove, freeDict } from "./arena/dict.ts";
import {
  createEntry,
  entryLink,
  entryValueWord,
  kindFlags,
  setEntryLink,
  setEntryValueWord,
} from "./arena/entry.ts";

const PREVIOUS = 0;
const NEXT = 1;
/** A group's entry has no key: its hash is the CRC, and says everything. */
const NO_KEY = Buffer.alloc(0);
const GROUP_FLAGS = kindFlags(1);

function findGroup(arena: Arena, groups: number, crc: number): number {
  return groups === 0 ? 0 : dictFind(arena, groups, crc, NO_KEY, 0, 0);
}

/**
 * Puts a key's entry into the group of its tag.
 * @param groups the slot's groups, 0 when it has none yet
 * @returns the slot's groups
 */
export function addToTagGroup(arena: Arena, groups: number, crc: number, entry: number): number {
  const dict = groups === 0 ? createDict(arena) : groups;
  const group = findGroup(arena, dict, crc);
  setEntryLink(arena, entry, PREVIOUS, 0);
  if (group === 0) {
    setEntryLink(arena, entry, NEXT, 0);
    dictInsert(arena, dict, createEntry(arena, crc, GROUP_FLAGS, NO_KEY, 0, 0, entry));
    return dict;
  }
  const first = entryValueWord(arena, group);
  setEntryLink(arena, entry, NEXT, first);
  setEntryLink(arena, first, PREVIOUS, entry);
  setEntryValueWord(arena, group, entry);
  return dict;
}

/** Takes a key's entry out of the group of its tag. @returns the slot's groups, 0 when none is left */
export function removeFromTagGroup(
  arena: Arena,
  groups: number,
  crc: number,
  entry: number,
): number {
  const previous = entryLink(arena, entry, PREVIOUS);
  const next = entryLink(arena, entry, NEXT);
  if (next !== 0) setEntryLink(arena, next, PREVIOUS, previous);
  if (previous !== 0) {
    setEntryLink(arena, previous, NEXT, next);
    return groups;
  }
  const group = findGroup(arena, groups, crc);
  if (next !== 0) {
    setEntryValueWord(arena, group, next);
    return groups;
  }
  dictRemove(arena, groups, group);
  arena.free(group);
  if (dictCount(arena, groups) > 0) return groups;
  freeDict(arena, groups);
  return 0;
}

/** Tells the neighbours of an entry that it lies elsewhere now. */
export function moveInTagGroup(arena: Arena, groups: number, crc: number, moved: number): void {
  const previous = entryLink(arena, moved, PREVIOUS);
  const next = entryLink(arena, moved, NEXT);
  if (next !== 0) setEntryLink(arena, next, PREVIOUS, moved);
  if (previous !== 0) setEntryLink(arena, previous, NEXT, moved);
  else setEntryValueWord(arena, findGroup(arena, groups, crc), moved);
}

/** The first entry of the group, or 0. */
export function firstOfTagGroup(arena: Arena, groups: number, crc: number): number {
  const group = findGroup(arena, groups, crc);
  return group === 0 ? 0 : entryValueWord(arena, group);
}

/** The entry after `entry` in its group, or 0. */
export function nextOfTagGroup(arena: Arena, entry: number): number {
  return entryLink(arena, entry, NEXT);
}
