/**
 * Pure: what a data plane counts: per command in typed arrays by command id, because it counts
 * every reply, and a few totals. Threads count for themselves; `mergeStats` adds up.
 *
 * Ids from ALL_COMMANDS.length on are names that are in no row of the command table and are
 * forwarded under `compat = "codis"`; the first UNKNOWN_NAMES_MAX of them get an id each, the rest
 * share the last.
 */

import type { CommandStats } from "../api/proxy-stats.ts";
import { ALL_COMMANDS } from "../commands/lookup.ts";

/** Names outside the command table that are counted by name; a client can invent any number. */
const UNKNOWN_NAMES_MAX = 256;

/** `opstr` of the names beyond UNKNOWN_NAMES_MAX. */
const OTHER_NAMES = "(OTHER)";

const OTHER_ID = ALL_COMMANDS.length + UNKNOWN_NAMES_MAX;
const ID_COUNT = OTHER_ID + 1;

export interface PlaneStats {
  /** Requests decoded. */
  readonly total: number;
  readonly fails: number;
  /** Error replies sent, those of the proxy included. */
  readonly redisErrors: number;
  /** Replies in the last whole second. */
  readonly qps: number;
  readonly sessionsTotal: number;
  readonly sessionsAlive: number;
  /** Sorted by name; only commands that were used. */
  readonly commands: readonly CommandStats[];
}

export class Stats {
  total = 0;
  fails = 0;
  redisErrors = 0;
  qps = 0;
  sessionsTotal = 0;
  sessionsAlive = 0;

  /** Never reset: replies, and how long their requests took from decoding, in all. */
  replies = 0;
  replyMs = 0;

  readonly #calls = new Float64Array(ID_COUNT);
  readonly #ms = new Float64Array(ID_COUNT);
  readonly #fails = new Float64Array(ID_COUNT);
  readonly #errors = new Float64Array(ID_COUNT);
  readonly #unknownIds = new Map<string, number>();
  #sampledMs = 0;
  #sampledReplies = 0;

  /** A reply is on its way to the client, `ms` after its request was decoded. */
  count(commandId: number, ms: number, isError: boolean): void {
    this.replies++;
    this.replyMs += ms;
    this.#calls[commandId]!++;
    this.#ms[commandId]! += ms;
    if (isError) {
      this.#errors[commandId]!++;
      this.redisErrors++;
    }
  }

  /** A request gets no reply. */
  countFail(commandId: number): void {
    this.fails++;
    this.#fails[commandId]!++;
  }

  /** The id of a name that is in no row of the command table. `name` in upper case. */
  unknownId(name: string): number {
    const known = this.#unknownIds.get(name);
    if (known !== undefined) return known;
    if (this.#unknownIds.size === UNKNOWN_NAMES_MAX) return OTHER_ID;
    const id = ALL_COMMANDS.length + this.#unknownIds.size;
    this.#unknownIds.set(name, id);
    return id;
  }

  /** Refreshes `qps` when a second has passed. */
  sample(nowMs: number): void {
    const passedMs = nowMs - this.#sampledMs;
    if (passedMs < 1000) return;
    this.qps = Math.round(((this.replies - this.#sampledReplies) * 1000) / passedMs);
    this.#sampledMs = nowMs;
    this.#sampledReplies = this.replies;
  }

  /** Zeroes the counters; sessions counted are those alive. */
  reset(): void {
    this.total = 0;
    this.fails = 0;
    this.redisErrors = 0;
    this.sessionsTotal = this.sessionsAlive;
    for (const counters of [this.#calls, this.#ms, this.#fails, this.#errors]) counters.fill(0);
  }

  snapshot(): PlaneStats {
    const commands: CommandStats[] = ALL_COMMANDS.map(({ id, name }) => this.#command(id, name));
    for (const [name, id] of this.#unknownIds) commands.push(this.#command(id, name));
    commands.push(this.#command(OTHER_ID, OTHER_NAMES));
    return {
      total: this.total,
      fails: this.fails,
      redisErrors: this.redisErrors,
      qps: this.qps,
      sessionsTotal: this.sessionsTotal,
      sessionsAlive: this.sessionsAlive,
      commands: commands.filter(({ calls, fails }) => calls + fails > 0).sort(byName),
    };
  }

  #command(id: number, opstr: string): CommandStats {
    const calls = this.#calls[id]!;
    const usecs = Math.round(this.#ms[id]! * 1000);
    return {
      opstr,
      calls,
      usecs,
      usecs_percall: calls === 0 ? 0 : Math.floor(usecs / calls),
      fails: this.#fails[id]!,
      redis_errtype: this.#errors[id]!,
    };
  }
}

/** The sums over all threads. */
export function mergeStats(parts: readonly PlaneStats[]): PlaneStats {
  const commands = new Map<string, CommandStats>();
  for (const part of parts) {
    for (const command of part.commands) {
      const sum = commands.get(command.opstr);
      commands.set(command.opstr, sum === undefined ? command : addCommand(sum, command));
    }
  }
  const sumOf = (field: Exclude<keyof PlaneStats, "commands">) =>
    parts.reduce((sum, part) => sum + part[field], 0);
  return {
    total: sumOf("total"),
    fails: sumOf("fails"),
    redisErrors: sumOf("redisErrors"),
    qps: sumOf("qps"),
    sessionsTotal: sumOf("sessionsTotal"),
    sessionsAlive: sumOf("sessionsAlive"),
    commands: [...commands.values()].sort(byName),
  };
}

function addCommand(a: CommandStats, b: CommandStats): CommandStats {
  const calls = a.calls + b.calls;
  const usecs = a.usecs + b.usecs;
  return {
    opstr: a.opstr,
    calls,
    usecs,
    usecs_percall: calls === 0 ? 0 : Math.floor(usecs / calls),
    fails: a.fails + b.fails,
    redis_errtype: a.redis_errtype + b.redis_errtype,
  };
}

function byName(a: CommandStats, b: CommandStats): number {
  return a.opstr < b.opstr ? -1 : a.opstr > b.opstr ? 1 : 0;
}
