/**
 * When, or how often, each key was used: what LRU and LFU policies evict by, and OBJECT IDLETIME
 * and FREQ answer. Exists only while such a policy is chosen, because it takes 2 bytes for each 32
 * of the arena: one note per block (arena.ts `notes`), beside the entries, not in them.
 *
 *   use of a key ── touch ──> note of its entry: a stamp (lru-stamp.ts) or a count (lfu-count.ts)
 *   tick ── a part of all notes ──> aged, before their short clocks come round
 *
 * Keys that are there when it begins count as used just then (LRU), or as new (LFU).
 */

import { type Arena, CHUNK_SHIFT, noteIndex } from "./arena/arena.ts";
import type { RuntimeConfig } from "./config.ts";
import { agedCount, COUNTER_MAX, counterOf, countOf, freshCount, usedCount } from "./lfu-count.ts";
import { agedStamp, freshStamp, lastUseOf, stampOfIdle } from "./lru-stamp.ts";

export type AccessKind = "lru" | "lfu";

const SECOND_MS = 1000;
const MINUTE_MS = 60_000;
/** Notes aged per tick: with ten ticks a second, those of 64 GiB in less than two hours. */
const NOTES_PER_TICK = 32 * 1024;

export class Accesses {
  readonly kind: AccessKind;
  readonly #arena: Arena;
  readonly #config: RuntimeConfig;
  readonly #random: () => number;
  readonly #startedMs: number;
  /** Since the start, as of the last tick: seconds for LRU, minutes for LFU. */
  #now = 0;
  /** What is aged next. */
  #chunk = 0;
  #note = 0;

  /**
   * @param config `lfu-decay-time` and `lfu-log-factor` are read at each use
   * @param monotonicMs the same clock as in `tick`
   */
  constructor(
    arena: Arena,
    kind: AccessKind,
    config: RuntimeConfig,
    monotonicMs: number,
    random: () => number = Math.random,
  ) {
    this.kind = kind;
    this.#arena = arena;
    this.#config = config;
    this.#random = random;
    this.#startedMs = monotonicMs;
    arena.keepNotes(true);
  }

  /** Forgets all of it. */
  end(): void {
    this.#arena.keepNotes(false);
  }

  /** Called about ten times a second. */
  tick(monotonicMs: number): void {
    const unitMs = this.kind === "lru" ? SECOND_MS : MINUTE_MS;
    this.#now = Math.floor((monotonicMs - this.#startedMs) / unitMs);
    const { notes } = this.#arena;
    if (this.#chunk >= notes.length) this.#chunk = 0;
    const part = notes[this.#chunk]!;
    const end = Math.min(part.length, this.#note + NOTES_PER_TICK);
    this.#age(part, this.#note, end);
    this.#note = end;
    if (end < part.length) return;
    this.#note = 0;
    this.#chunk++;
  }

  #age(notes: Uint16Array, from: number, to: number): void {
    const now = this.#now;
    const decay = this.#config["lfu-decay-time"];
    for (let i = from; i < to; i++) {
      const note = notes[i]!;
      const aged =
        this.kind === "lru" ? agedStamp(note, now) : agedCount(note, now, decay, this.#random);
      // Memory nobody has written to stays untouched.
      if (aged !== note) notes[i] = aged;
    }
  }

  /** The key of `entry` has just been made. */
  begin(entry: number): void {
    const fresh = this.kind === "lru" ? freshStamp(this.#now) : freshCount(this.#now);
    this.#arena.notes[entry >>> CHUNK_SHIFT]![noteIndex(entry)] = fresh;
  }

  /** The key of `entry` is used. */
  touch(entry: number): void {
    const notes = this.#arena.notes[entry >>> CHUNK_SHIFT]!;
    const i = noteIndex(entry);
    if (this.kind === "lru") {
      notes[i] = freshStamp(this.#now);
    } else {
      const config = this.#config;
      notes[i] = usedCount(
        notes[i]!,
        this.#now,
        config["lfu-decay-time"],
        config["lfu-log-factor"],
        this.#random,
      );
    }
  }

  /** What is known of `entry`, for `carry` when the key has moved. */
  noteOf(entry: number): number {
    return this.#arena.notes[entry >>> CHUNK_SHIFT]![noteIndex(entry)]!;
  }

  /** The key whose note was `note` is in `entry` now. */
  carry(note: number, entry: number): void {
    this.#arena.notes[entry >>> CHUNK_SHIFT]![noteIndex(entry)] = note;
  }

  /**
   * How much sooner than others the key is to go: of LRU the second of its last use, negative; of
   * LFU what its counter lacks. It gets less only when the key is used, but for rounding.
   */
  rank(entry: number): number {
    if (this.kind === "lru") return -lastUseOf(this.noteOf(entry), this.#now);
    return COUNTER_MAX - this.frequency(entry);
  }

  /** Seconds since the key was used. LRU only. */
  idleSeconds(entry: number): number {
    return this.#now - lastUseOf(this.noteOf(entry), this.#now);
  }

  /** 0..255. LFU only. */
  frequency(entry: number): number {
    return counterOf(this.noteOf(entry), this.#now, this.#config["lfu-decay-time"]);
  }

  /** LRU only. @param seconds 0 or more; above half a year counts as that */
  setIdle(entry: number, seconds: number): void {
    this.carry(stampOfIdle(seconds, this.#now), entry);
  }

  /** LFU only. @param counter 0..255 */
  setFrequency(entry: number, counter: number): void {
    this.carry(countOf(counter, this.#now), entry);
  }
}
