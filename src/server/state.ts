/**
 * Everything of one running server that commands can reach. server.ts makes it and acts on its
 * requests; tests make it without a socket.
 */

import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { RequestArgs } from "../resp/encoder.ts";
import { Accesses, type AccessKind } from "./accesses.ts";
import type { Client } from "./client.ts";
import type { RuntimeConfig, ServerConfig } from "./config.ts";
import { Databases } from "./databases.ts";
import { Evictor, POLICIES } from "./evictor.ts";
import { FailedLinks } from "./failed-links.ts";
import { KeyLocks } from "./key-locks.ts";
import { LinkNames, sourceIdentity } from "./link-name.ts";
import { Migrations } from "./migrate.ts";
import { AsyncMigrations } from "./migrate-async.ts";
import type { RdbSaves } from "./rdb/saves.ts";
import { SentKeys } from "./sent-keys.ts";
import { Slowlog } from "./slowlog.ts";
import { Snapshot } from "./snapshot.ts";
import { ServerStats } from "./stats.ts";
import { type TurnMeter, turnMeterIfAsked } from "./turn-meter.ts";

/** Who hears of every change, in order: the append-only file now, replicas later. */
export interface Journal {
  /** Text of the error that commands with WRITE get while changes cannot be kept; else undefined. */
  readonly refusal: string | undefined;
  /** `buf[from, to)` is a request (a RESP array of bulks) that changed database `dbIndex`. */
  append(dbIndex: number, buf: Buffer, from: number, to: number): void;
  /** The same for a request that is not there as bytes. */
  appendWords(dbIndex: number, words: RequestArgs): void;
  /**
   * Ends a turn: on return, what was appended is as safe as it must be before replies leave. False
   * when it is not: then no reply that tells of a change may leave.
   */
  commit(): boolean;
  /** Bytes that wait to be written. */
  readonly bufferBytes: number;
  /** Called about ten times a second. */
  tick(): void;
  /** BGREWRITEAOF. @returns what to answer @throws ReplyError when it cannot begin */
  rewrite(): string;
  /**
   * Everything appended is on disk and the files are closed when this resolves; it rejects when
   * that cannot be done.
   */
  close(): Promise<void>;
  /** Lines of INFO persistence that start with `aof_`. */
  infoLines(): readonly string[];
}

/** After so long without another chunk, none is on its way. */
const CHUNK_SILENCE_MS = 1000;

export class ServerState {
  readonly config: RuntimeConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly databases: Databases;
  readonly clients = new Map<number, Client>();
  readonly stats: ServerStats;
  readonly slowlog = new Slowlog();
  readonly turnMeter: TurnMeter | undefined = turnMeterIfAsked();
  readonly startedMs: number;
  /** Resident bytes of the process before there are any data. */
  readonly programBytes = process.memoryUsage.rss();
  /** 40 hex digits, new at each start. */
  readonly runId = randomBytes(20).toString("hex");
  /** Where the server listens, once it does. */
  port: number;
  /** Absolute, as it was at the start. */
  readonly #dir: string;
  #linkNames: LinkNames | undefined;
  /** Set while changes are kept; execute.ts tells it. */
  journal: Journal | undefined = undefined;
  /** Snapshots on disk; server.ts sets it. */
  saves: RdbSaves | undefined = undefined;
  /** Changes made by commands, as Redis counts them (`dirty`). */
  changes = 0;
  /** What rewrites of the append-only file and saves share. */
  readonly snapshot: Snapshot;
  /** Keys on their way to other servers, and who waits for them. */
  readonly locks = new KeyLocks();
  readonly failedLinks = new FailedLinks();
  readonly sentKeys = new SentKeys();
  /** What commands have taken that were timed, slow ones and a few quick; microseconds in all. */
  timedMicros = 0;
  readonly migrations: Migrations;
  readonly asyncMigrations: AsyncMigrations;
  /** Unix ms: when a chunk of a value came in last. */
  chunkReceivedMs = 0;
  readonly evictor: Evictor;
  /** The data set is being read in: clients are told to wait. */
  isLoading = false;
  /** DEBUG SET-ACTIVE-EXPIRE. */
  activeExpire = true;
  /** What SHUTDOWN asks for, after it has saved or not; server.ts sets it. */
  shutdown: () => void = () => {};
  #nextClientId = 1;

  constructor(config: ServerConfig, clock: Clock, log: Log) {
    this.config = { ...config };
    this.clock = clock;
    this.log = log;
    this.port = config.port;
    this.#dir = resolve(config.dir);
    this.startedMs = clock.now();
    this.databases = new Databases(config.databases, this.startedMs);
    this.snapshot = new Snapshot(this.databases);
    this.databases.arena.limits = this.config;
    this.stats = new ServerStats();
    this.migrations = new Migrations(this);
    this.asyncMigrations = new AsyncMigrations(this);
    this.evictor = new Evictor(this);
    this.configChanged("maxmemory-policy");
  }

  /** Numbers of clients, links of ours included, in the order in which they came. */
  takeClientId(): number {
    return this.#nextClientId++;
  }

  /** A key of the configuration has another value; most are looked at whenever they matter. */
  configChanged(key: keyof RuntimeConfig): void {
    if (key !== "maxmemory-policy") return;
    const { databases, config } = this;
    const by = POLICIES.get(config["maxmemory-policy"])?.by;
    const kind: AccessKind | undefined = by === "lru" || by === "lfu" ? by : undefined;
    if (databases.accesses?.kind === kind) return;
    databases.accesses?.end();
    databases.accesses =
      kind && new Accesses(databases.arena, kind, config, this.clock.monotonic());
  }

  /** Names of links to targets; asked for once the server listens. */
  get linkNames(): LinkNames {
    this.#linkNames ??= new LinkNames(
      sourceIdentity(this.config.bind, this.port, this.#dir),
      this.runId,
    );
    return this.#linkNames;
  }

  /** Bytes that grow with data and clients. */
  get usedMemory(): number {
    return this.countedMemory + (this.journal?.bufferBytes ?? 0);
  }

  /**
   * Those that count against maxmemory: what keys take, and what clients hold. Not the journal's
   * buffer, which grows when a key goes: eviction must not feed itself.
   */
  get countedMemory(): number {
    const { arena } = this.databases;
    return arena.usedBytes + arena.noteBytes + this.stats.outputBacklog + this.stats.inputBacklog;
  }

  /** CONFIG RESETSTAT. */
  resetStats(): void {
    this.stats.reset();
    this.databases.hits = 0;
    this.databases.misses = 0;
    this.databases.expiredKeys = 0;
    this.databases.evictedKeys = 0;
    this.evictor.resetStats();
    this.turnMeter?.reset();
  }

  /** A value is leaving or coming in chunks. */
  isMovingChunks(nowMs: number): boolean {
    if (nowMs - this.chunkReceivedMs < CHUNK_SILENCE_MS) return true;
    return this.asyncMigrations.isSendingChunks;
  }

  get isOverMemory(): boolean {
    const { maxmemory } = this.config;
    return maxmemory > 0 && this.countedMemory > maxmemory;
  }
}
