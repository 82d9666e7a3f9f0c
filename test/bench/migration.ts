/**
 * Moving slots: keys and bytes per second of both methods, driven by a dashboard as an operator has
 * them, beside MIGRATE between two stock servers; and what clients of the proxy notice of it.
 */

import { slotOf } from "../../src/slots/hash.ts";
import { cpuMs } from "../support/proc.ts";
import { RespClient } from "../support/resp-client.ts";
import { median } from "./contest.ts";
import { fill, KEYS } from "./fill.ts";
import { MIGRATION, TARGETS, VALUE_BYTES } from "./load.ts";
import { type Mover, ProductMover, StockMover } from "./movers.ts";
import { type PacedFigures, PacedLoad } from "./paced-load.ts";
import type { Recorder } from "./record.ts";

const MIB = 1024 * 1024;
const METHODS = ["semi-async", "sync"] as const;
/** Commands in one pipeline of a filler of hashes. */
const HASHES_AT_ONCE = 100;
const FIELDS = 100;
const FIELD_BYTES = 8;
const SEED = 20_26;

type Kind = (typeof MIGRATION.kinds)[number];

/** Bytes of a value, and how `kind.keys` keys with such values are written. */
interface Values {
  readonly bytes: number;
  write(port: number, keys: number): Promise<void>;
}

const VALUES: Readonly<Record<Kind["name"], Values>> = {
  "32 B strings": strings(VALUE_BYTES),
  "1 KiB strings": strings(1024),
  "64 KiB strings": strings(64 * 1024),
  "hashes of 100 fields": { bytes: 2 * FIELDS * FIELD_BYTES, write: writeHashes },
};

function strings(bytes: number): Values {
  const value = "x".repeat(bytes);
  return { bytes, write: (port, keys) => fill(port, keys, { ...KEYS, value }) };
}

async function writeHashes(port: number, keys: number): Promise<void> {
  const client = await RespClient.connect(port);
  const fields = Array.from({ length: FIELDS }, (_, i) => String(i).padStart(FIELD_BYTES, "f"));
  for (let from = 0; from < keys; from += HASHES_AT_ONCE) {
    const length = Math.min(HASHES_AT_ONCE, keys - from);
    const requests = Array.from({ length }, (_, i) => [
      "HSET",
      keyName(from + i),
      ...fields.flatMap((field) => [field, field]),
    ]);
    const replies = await client.pipeline(requests);
    if (replies.some((reply) => reply !== FIELDS)) throw new Error(`HSET answered ${replies[0]}`);
  }
  client.close();
}

function keyName(number: number): string {
  return KEYS.prefix + String(number).padStart(12, "0");
}

/** Keys of the slots that move. */
function movingKeys(keys: number): string[] {
  const names = Array.from({ length: keys }, (_, i) => keyName(i));
  return names.filter((name) => slotOf(Buffer.from(name)) < MIGRATION.slots);
}

export async function benchMigration(recorder: Recorder): Promise<void> {
  const rows: string[][] = [];
  for (const kind of MIGRATION.kinds) await benchKind(recorder, kind, rows);
  recorder.tables.push({
    title: `Migration, ${MIGRATION.slots} of 1024 slots, from server to server`,
    heading: ["of", "by", "keys", "keys/s", "MiB/s", "time / best MIGRATE", ...CPU_HEADING],
    rows,
  });
}

/** CPU microseconds per key: which of them is in the way. */
const CPU_HEADING = ["source us/key", "target us/key", "others us/key"];

/** One move of all keys. */
interface MoveFigures {
  readonly seconds: number;
  /** CPU milliseconds of source, target and all others. */
  readonly cpuMs: readonly number[];
}

/** Every round that counts, by mover. */
type Moves = ReadonlyMap<string, readonly MoveFigures[]>;

async function benchKind(recorder: Recorder, kind: Kind, rows: string[][]): Promise<void> {
  recorder.progress(`migration: ${kind.name}, starting`);
  await using stack = new AsyncDisposableStack();
  const values = VALUES[kind.name];
  const names = movingKeys(kind.keys);
  const products: ProductMover[] = [];
  for (const method of METHODS) {
    products.push(stack.use(await ProductMover.start(method, MIGRATION.slots)));
  }
  const movers: Mover[] = [...products];
  for (const batch of MIGRATION.stockBatches) {
    movers.push(stack.use(await StockMover.start(names, batch)));
  }
  for (const { port } of movers) await values.write(port, kind.keys);
  const moves = await moveInTurn(recorder, kind, movers, names.length);
  for (const { name } of movers) {
    const rounds = moves.get(name)!;
    const keysPerSecond = names.length / median(rounds.map(({ seconds }) => seconds));
    const cpuOf = (i: number): number => median(rounds.map(({ cpuMs }) => cpuMs[i]!));
    const keyBytes = names[0]!.length + values.bytes;
    rows.push([
      kind.name,
      name,
      String(names.length),
      keysPerSecond.toFixed(0),
      ((keysPerSecond * keyBytes) / MIB).toFixed(1),
      ratioToStock(moves, name, movers).toFixed(2),
      ...CPU_HEADING.map((_, i) => ((cpuOf(i) * 1000) / names.length).toFixed(1)),
    ]);
  }
  if (kind !== MIGRATION.kinds[0]) return;
  for (const { name } of products) {
    recorder.verdicts.push({
      what: `migration, ${name}: time per key of 32 B, / the best MIGRATE`,
      measured: ratioToStock(moves, name, movers),
      limit: TARGETS.migration,
      unit: "x",
    });
  }
  await benchClients(recorder, products, kind.keys);
}

async function moveInTurn(
  recorder: Recorder,
  kind: Kind,
  movers: readonly Mover[],
  keys: number,
): Promise<Moves> {
  const moves = new Map<string, MoveFigures[]>(movers.map(({ name }) => [name, []]));
  for (let round = 0; round <= MIGRATION.rounds; round++) {
    recorder.progress(`migration: ${kind.name}, round ${round} of ${MIGRATION.rounds}`);
    for (const mover of movers) {
      const figures = await measureMove(mover, round % 2);
      const moved = await mover.movedKeys();
      const expected = round % 2 === 0 ? keys : 0;
      if (moved !== expected) throw new Error(`${mover.name}: ${moved} keys, not ${expected}`);
      if (round > 0) moves.get(mover.name)!.push(figures);
    }
  }
  recorder.raw(`migration-${kind.name}`, JSON.stringify([...moves]), { keys });
  return moves;
}

/** @param source which server has the keys now */
async function measureMove(mover: Mover, source: number): Promise<MoveFigures> {
  const { servers, others } = mover.pids;
  const groups = [[servers[source]!], [servers[1 - source]!], others];
  const usedMs = (): number[] =>
    groups.map((pids) => pids.reduce((sum, pid) => sum + cpuMs(pid), 0));
  const before = usedMs();
  const beganMs = performance.now();
  await mover.move();
  const seconds = (performance.now() - beganMs) / 1000;
  return { seconds, cpuMs: usedMs().map((ms, i) => ms - before[i]!) };
}

/** The median over the rounds of a way's time over that of the best MIGRATE of the round. */
function ratioToStock(moves: Moves, name: string, movers: readonly Mover[]): number {
  const stock = movers.filter((mover) => mover instanceof StockMover);
  const ratios = moves.get(name)!.map(({ seconds }, round) => {
    return seconds / Math.min(...stock.map((mover) => moves.get(mover.name)![round]!.seconds));
  });
  return median(ratios);
}

async function benchClients(
  recorder: Recorder,
  products: readonly ProductMover[],
  keys: number,
): Promise<void> {
  const rows: string[][] = [];
  for (const product of products) {
    const ratios: number[] = [];
    for (let round = 1; round <= MIGRATION.clientRounds; round++) {
      recorder.progress(`migration: clients, ${product.name}, round ${round}`);
      const { idle, moving, seconds } = await measureClients(product, keys);
      ratios.push(moving.p999Ms / idle.p999Ms);
      rows.push(rowOf(product.name, "idle", idle), rowOf(product.name, "moving", moving));
      const raw = JSON.stringify({ idle, moving });
      recorder.raw(`migration-clients-${product.name}-${round}`, raw, { seconds });
    }
    recorder.verdicts.push({
      what: `migration, ${product.name}: p99.9 of clients while slots move / before`,
      measured: median(ratios),
      limit: TARGETS.migrationClients,
      unit: "x",
    });
  }
  recorder.tables.push({
    title: `Clients of the proxy, ${MIGRATION.requestsPerSecond} requests/s, before and while slots move`,
    heading: ["by", "", "requests", "req/s", "p50 ms", "p99 ms", "p99.9 ms", "longest ms"],
    rows,
  });
}

async function measureClients(
  product: ProductMover,
  keySpace: number,
): Promise<{ idle: PacedFigures; moving: PacedFigures; seconds: number }> {
  const perSecond = MIGRATION.requestsPerSecond;
  const load = await PacedLoad.start(product.port, { perSecond, keySpace, seed: SEED });
  await pass(1);
  load.measure();
  await pass(MIGRATION.idleSeconds);
  const idle = load.figures();
  load.measure();
  const beganMs = performance.now();
  await product.move();
  const seconds = (performance.now() - beganMs) / 1000;
  const moving = load.figures();
  load.stop();
  return { idle, moving, seconds };
}

function rowOf(name: string, state: string, figures: PacedFigures): string[] {
  return [
    name,
    state,
    String(figures.requests),
    figures.perSecond.toFixed(0),
    figures.p50Ms.toFixed(3),
    figures.p99Ms.toFixed(3),
    figures.p999Ms.toFixed(3),
    figures.longestMs.toFixed(3),
  ];
}

function pass(seconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, seconds * 1000));
}
