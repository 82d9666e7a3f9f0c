/**
 * The servers of a product as the dashboard talks to them: connections for moving keys and for
 * statistics are kept and apart, so that neither waits for the other; checks use fresh ones.
 */

import { CodisError } from "../base/errors.ts";
import { isUnknownCommand } from "../commands/family.ts";
import { RedisClient } from "../redis/client.ts";
import { parseInfo } from "../redis/info.ts";
import { RedisPool } from "../redis/pool.ts";
import { ErrorReply, type Reply } from "../resp/reply.ts";
import type { MoveConnection } from "./migrate-runner.ts";
import type { ServersPort } from "./ports.ts";

/** To connect, and for a check by an operator to be answered. */
const DIAL_TIMEOUT_MS = 1_000;
const CHECK_TIMEOUT_MS = 1_000;
/** For statistics to be answered. */
const STATS_TIMEOUT_MS = 5_000;
/** Of an answer to a check or a question for statistics; INFO is some ten KiB. */
const ANSWER_BYTES_MAX = 1024 * 1024;

export class Servers implements ServersPort {
  readonly auth: string;
  readonly #moving: RedisPool;
  readonly #polling: RedisPool;

  /**
   * @param auth the product's password, "" for none
   * @param migrationTimeoutMs longest silence of a server while it moves keys
   */
  constructor(auth: string, migrationTimeoutMs: number) {
    this.auth = auth;
    const dialTimeoutMs = DIAL_TIMEOUT_MS;
    this.#moving = new RedisPool({ auth, dialTimeoutMs, timeoutMs: migrationTimeoutMs });
    this.#polling = new RedisPool({ auth, dialTimeoutMs, ...limits(STATS_TIMEOUT_MS) });
  }

  withServer<T>(addr: string, work: (connection: MoveConnection) => Promise<T>): Promise<T> {
    return this.#moving.use(addr, work);
  }

  stats(addr: string): Promise<Record<string, string>> {
    return this.#polling.use(addr, async (client) => {
      const [info, memory] = await Promise.all([
        client.call("INFO"),
        client.call("CONFIG", "GET", "maxmemory"),
      ]);
      const stats = parseInfo(info);
      // A server whose CONFIG is renamed or forbidden shows the maxmemory of its INFO, if any.
      if (Array.isArray(memory) && memory.length === 2) stats.maxmemory = String(memory[1]);
      return stats;
    });
  }

  info(addr: string, isMember: boolean): Promise<Record<string, string>> {
    return this.#once(addr, isMember ? this.auth : "", async (client) =>
      parseInfo(await client.call("INFO")),
    );
  }

  async check(addr: string): Promise<string> {
    try {
      return await this.#once(addr, this.auth, async (client) => {
        const [slots, info] = await Promise.all([
          client.call("SLOTSINFO"),
          client.call("INFO", "server"),
        ]);
        // A stock server names a command it does not know even before it asks for a password.
        const isClosed = info instanceof ErrorReply && PASSWORD_MISSING.test(info.text);
        const known = info instanceof ErrorReply ? {} : parseInfo(info);
        checkMember(addr, isClosed ? info : slots, known);
        return known.run_id ?? "";
      });
    } catch (error) {
      if (!(error instanceof CodisError) || error.code !== "denied") throw error;
      throw new CodisError("denied", withPasswordStep(addr, error.message), error.cause);
    }
  }

  dropUnused(): void {
    this.#moving.dropUnused();
    this.#polling.dropUnused();
  }

  close(): void {
    this.#moving.close();
    this.#polling.close();
  }

  async #once<T>(
    addr: string,
    auth: string,
    work: (client: RedisClient) => Promise<T>,
  ): Promise<T> {
    const client = await RedisClient.connect(addr, {
      auth,
      dialTimeoutMs: DIAL_TIMEOUT_MS,
      ...limits(CHECK_TIMEOUT_MS),
    });
    try {
      return await work(client);
    } finally {
      client.close();
    }
  }
}

/** Of calls that are answered at once, even by a peer that is none of ours and means harm. */
function limits(ms: number): { timeoutMs: number; callTimeoutMs: number; replyBytesMax: number } {
  return { timeoutMs: ms, callTimeoutMs: ms, replyBytesMax: ANSWER_BYTES_MAX };
}

/**
 * Whether a server can be a member of a group, by its answer to SLOTSINFO: one of the codis family
 * counts its slots, one of the redis family does not know the command. Of those, only what serves
 * all keys by itself will do.
 * @throws CodisError with the server's words, and for a proxy, a Redis Cluster's node, a sentinel
 */
export function checkMember(addr: string, slots: Reply, info: Record<string, string>): void {
  if (!(slots instanceof ErrorReply)) return;
  if (WRONG_ARITY.test(slots.text)) {
    const rule = "a member of a group must be a server itself, not a proxy";
    throw new CodisError("conflict", `server-[${addr}]: ${rule}, it answers: ${slots.text}`);
  }
  if (!isUnknownCommand(slots.text)) {
    throw new CodisError("unavailable", withPasswordStep(addr, slots.text));
  }
  const { redis_mode: mode = "standalone" } = info;
  if (mode === "standalone") return;
  throw new CodisError("conflict", `server-[${addr}] runs as ${mode}, must run standalone`);
}

/** SLOTSINFO alone is whole for every server; a proxy wants to hear which server is meant. */
const WRONG_ARITY = /^ERR wrong number of arguments/;
/** What servers of all ages say to a password they do not expect, to a wrong one, and to none. */
const NO_PASSWORD_SET = /no password is set|without any password configured/;
const WRONG_PASSWORD = /^(WRONGPASS|ERR invalid password)/;
const PASSWORD_MISSING = /^NOAUTH/;

/** A server's words, and behind those about the password what to do. */
function withPasswordStep(addr: string, words: string): string {
  const requirepass = `requirepass of server-[${addr}]`;
  const productAuth = "product_auth of the dashboard";
  if (NO_PASSWORD_SET.test(words)) {
    return `${words}: ${productAuth} is set, ${requirepass} is not; set it to the same password`;
  }
  if (WRONG_PASSWORD.test(words)) {
    return `${words}: ${requirepass} is not ${productAuth}; set both to the same password`;
  }
  if (PASSWORD_MISSING.test(words)) {
    return (
      `${words}: ${requirepass} is set, ${productAuth} is not; set it, and that of the proxies, to ` +
      "the same password, or none at the server"
    );
  }
  return words;
}
