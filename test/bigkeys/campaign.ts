/**
 * Two large values that move between two groups, there and back, under a checked load, on the built
 * executable: `e2e/big-keys.test.ts` does it with a tenth, `soak.ts` with all of it.
 *
 *   write both ──> round: load on ─> slots move ─┬──────────────────────────> load off ─> compare
 *                    ^                           └> a part is killed, `up`                  │
 *                    │                              starts it again                         │
 *                    └──────────────────────────────────────────────────────────────────────┘
 *
 * A kill falls at an element drawn by the seed: SLOTSMGRT-ASYNC-STATUS of the source says how many
 * have left. A move that was over before that was seen is done again the other way. Errors are let
 * through only for keys that the killed server has to do with.
 */

import type { Reply } from "../../src/resp/reply.ts";
import { slotOf } from "../../src/slots/hash.ts";
import { CheckedLoad, VALUE_BYTES_MIN } from "../support/checked-load.ts";
import type { Prng } from "../support/prng.ts";
import { RespClient } from "../support/resp-client.ts";
import { UpCluster } from "../support/up-cluster.ts";
import { BigKeyClients } from "./clients.ts";
import { type BigShape, elementsOf, HASH_KEY, LIST_KEY, writeBigValues } from "./values.ts";

/** Together 50: of keys in all slots, and of the large ones. */
const LOAD_CONNECTIONS = 40;
const BIG_KEY_CONNECTIONS = 10;
/** Moves in which the part to be killed is not caught at work; then the campaign fails. */
const MISSES_MAX = 10;
const DAY_MS = 86_400_000;
/** The list's time is sent as what is left of it, so each move puts it off by what it takes. */
const EXPIRY_SHIFT_MS_MAX = 60_000;
const SLOTS_PER_GROUP = 512;

export type Victim = "source" | "target" | "dashboard";

/** What is killed in a round, in which of the values, after how large a part of its elements. */
export interface Kill {
  readonly victim: Victim;
  readonly key: string;
  /** [0, 1). */
  readonly part: number;
}

/** Of one round. */
export interface Round {
  /** Undefined when nothing was to be killed, or it was too late for it. */
  readonly killed: Kill | undefined;
  /** Elements that had left when it was killed. */
  readonly elementsSent: number;
  readonly moveMs: number;
  /** Good replies while the slots moved. */
  readonly acked: number;
  /** Requests without a good one. */
  readonly lost: number;
  /** CPU time of the longest turn and turns above 10 ms: of source and target, if none was killed. */
  readonly turns: { readonly source: TurnFigures; readonly target: TurnFigures } | undefined;
}

export interface TurnFigures {
  readonly longestMs: number;
  readonly overTenMs: number;
}

/** Each victim `times` times, in an order and at places drawn from `random`. */
export function drawKills(random: Prng, times: number): Kill[] {
  const victims: Victim[] = ["source", "target", "dashboard"];
  const left = victims.flatMap((victim) => Array.from({ length: times }, () => victim));
  const kills: Kill[] = [];
  while (left.length > 0) {
    const [victim] = left.splice(random.int(left.length), 1);
    const key = random.oneIn(2) ? HASH_KEY : LIST_KEY;
    kills.push({ victim: victim!, key, part: random.int(1_000_000) / 1_000_000 });
  }
  return kills;
}

export class BigKeyCampaign implements AsyncDisposable {
  readonly #cluster: UpCluster;
  readonly #shape: BigShape;
  readonly #random: Prng;
  readonly #clients: BigKeyClients;
  readonly #listEndMs = Date.now() + DAY_MS;
  /** The group that has the values: 1 or 2. */
  #owner = 1;
  #rounds = 0;

  private constructor(cluster: UpCluster, shape: BigShape, random: Prng) {
    this.#cluster = cluster;
    this.#shape = shape;
    this.#random = random;
    this.#clients = new BigKeyClients(shape, random);
  }

  /**
   * Starts a cluster of two groups and writes the values.
   * @param withRewrites whether append-only files are rewritten by themselves, see `setRewrites`
   */
  static async start(
    shape: BigShape,
    random: Prng,
    withRewrites: boolean,
  ): Promise<BigKeyCampaign> {
    const env = { CODIS_MEASURE_TURNS: "1" };
    const cluster = await UpCluster.start({ servers: 2, proxies: 1, env });
    const campaign = new BigKeyCampaign(cluster, shape, random);
    await campaign.setRewrites(withRewrites);
    await writeBigValues(cluster.port, shape, campaign.#listEndMs);
    return campaign;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cluster.stop();
  }

  /**
   * Automatic rewrites of the append-only files, until a server starts again. A rewrite visits a
   * value at its first change, all of it in one turn, which would be measured instead of the move.
   */
  async setRewrites(isOn: boolean): Promise<void> {
    for (const id of [1, 2]) {
      await this.#ask(id, "CONFIG", "SET", "auto-aof-rewrite-percentage", isOn ? 100 : 0);
    }
  }

  /**
   * One move with nothing killed.
   * @throws Error with all that is wrong
   */
  move(): Promise<Round> {
    return this.#round(undefined);
  }

  /**
   * Moves until `kill` has happened in the middle of one.
   * @throws Error with all that is wrong
   */
  async moveAndKill(kill: Kill): Promise<Round> {
    for (let misses = 0; misses < MISSES_MAX; misses++) {
      const round = await this.#round(kill);
      if (round.killed !== undefined) return round;
    }
    throw new Error(`${kill.victim} was not caught in the middle of ${MISSES_MAX} moves`);
  }

  async #round(kill: Kill | undefined): Promise<Round> {
    const [source, target] = [this.#owner, 3 - this.#owner];
    const mayFail = this.#mayFail(kill?.victim, source, target);
    const load = this.#newLoad(mayFail);
    const rules = { connections: BIG_KEY_CONNECTIONS, mayLoseConnections: false, mayFail };
    for (const id of [source, target]) await this.#ask(id, "CONFIG", "RESETSTAT");
    const running = [load.run(), this.#clients.run(this.#cluster.port, rules)];
    const beganMs = performance.now();
    for (const slot of this.#slots) {
      await this.#admin("slot", "migrate", String(slot), String(target), "--no-wait");
    }
    const elementsSent = kill === undefined ? undefined : await this.#killAt(kill, source);
    await this.#admin("slot", "wait");
    const moveMs = performance.now() - beganMs;
    load.stop();
    this.#clients.stop();
    await Promise.all(running);
    this.#owner = target;
    const turns =
      kill === undefined
        ? { source: await this.#turnsOf(source), target: await this.#turnsOf(target) }
        : undefined;
    await this.#demand(await this.#problems(load, source));
    return {
      killed: elementsSent === undefined ? undefined : kill,
      elementsSent: elementsSent ?? 0,
      moveMs,
      acked: load.counts.acked + this.#clients.acked,
      lost: load.counts.lost + this.#clients.lost,
      turns,
    };
  }

  get #slots(): readonly number[] {
    return [HASH_KEY, LIST_KEY].map((key) => slotOf(Buffer.from(key)));
  }

  /** Keys of the killed server, and those on their way from it or to it. */
  #mayFail(victim: Victim | undefined, source: number, target: number): (key: string) => boolean {
    if (victim === undefined || victim === "dashboard") return () => false;
    const dead = victim === "source" ? source : target;
    const moving = new Set(this.#slots);
    return (key) => {
      const slot = slotOf(Buffer.from(key));
      return moving.has(slot) || Math.floor(slot / SLOTS_PER_GROUP) + 1 === dead;
    };
  }

  #newLoad(mayFail: (key: string) => boolean): CheckedLoad {
    const options = {
      connections: LOAD_CONNECTIONS,
      sharedKeys: 300,
      pipelineMax: 4,
      valueBytes: [VALUE_BYTES_MIN, 200, 5_000],
      toleratesErrors: false,
      mayFail,
      prefix: `load${this.#rounds++}:`,
    };
    return new CheckedLoad(this.#cluster.port, options, this.#random);
  }

  /** @returns how many elements had left, undefined when all of them had before it was seen */
  async #killAt({ victim, key, part }: Kill, source: number): Promise<number | undefined> {
    const count = key === HASH_KEY ? this.#shape.fields : elementsOf(this.#shape);
    const watcher = await RespClient.connect(this.#cluster.serverPort(source));
    const sent = await untilSent(watcher, key, Math.floor(part * count));
    watcher.close();
    if (sent === undefined) return undefined;
    const names = { source: `server-${source}`, target: `server-${3 - source}`, dashboard: victim };
    await this.#cluster.killAndWait(names[victim]);
    return sent;
  }

  /** All that is wrong after a move away from `source`. */
  async #problems(load: CheckedLoad, source: number): Promise<readonly string[]> {
    const client = await RespClient.connect(this.#cluster.port);
    const problems = [...(await load.problems()), ...(await this.#clients.problems(client))];
    const left = await this.#ask(source, "EXISTS", HASH_KEY, LIST_KEY);
    if (left !== 0) problems.push(`${left} of the values are still at their source`);
    const hashTime = await client.call("PEXPIRETIME", HASH_KEY);
    if (hashTime !== -1) problems.push(`the hash got a time: ${hashTime}`);
    const late = Number(await client.call("PEXPIRETIME", LIST_KEY)) - this.#listEndMs;
    if (late < 0 || late > this.#rounds * EXPIRY_SHIFT_MS_MAX) {
      problems.push(`the time of the list has shifted by ${late} ms`);
    }
    client.close();
    return problems;
  }

  async #demand(problems: readonly string[]): Promise<void> {
    if (problems.length === 0) return;
    throw new Error([...problems, this.#cluster.stderr, this.#cluster.logs()].join("\n"));
  }

  async #turnsOf(id: number): Promise<TurnFigures> {
    const info = String(await this.#ask(id, "INFO", "stats"));
    const figure = (name: string): number =>
      Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1]);
    const longestMs = figure("longest_turn_cpu_usec") / 1000;
    return { longestMs, overTenMs: figure("turns_over_10ms") };
  }

  async #ask(id: number, ...words: (string | number)[]): Promise<Reply> {
    const client = await RespClient.connect(this.#cluster.serverPort(id));
    const reply = await client.call(...words);
    client.close();
    return reply;
  }

  async #admin(...words: string[]): Promise<void> {
    const { exitCode, stderr } = await this.#cluster.admin(...words);
    await this.#demand(exitCode === 0 ? [] : [`${words.join(" ")}: ${stderr}`]);
  }
}

/** Resolves with the elements of `key` that have left when they are at least so many. */
async function untilSent(
  source: RespClient,
  key: string,
  elements: number,
): Promise<number | undefined> {
  for (;;) {
    const replies = await source.pipeline([["SLOTSMGRT-ASYNC-STATUS"], ["EXISTS", key]]);
    const sent = elementsSent(replies[0]!, key);
    if (sent !== undefined && sent >= elements) return sent;
    if (replies[1] !== 1) return undefined;
  }
}

/** What STATUS says of `key`, undefined when it is not the one that is being sent. */
function elementsSent(status: Reply, key: string): number | undefined {
  const iterators = pairOf(pairOf(status, "batched_iterator"), "iterators");
  const current = Array.isArray(iterators) ? iterators[1]! : null;
  return String(pairOf(current, "key")) === key ? Number(pairOf(current, "cursor")) : undefined;
}

/** The value behind `name` in an array of names and values. */
function pairOf(pairs: Reply, name: string): Reply {
  if (!Array.isArray(pairs)) return null;
  const at = pairs.findIndex((word, i) => i % 2 === 0 && String(word) === name);
  return at < 0 ? null : pairs[at + 1]!;
}
