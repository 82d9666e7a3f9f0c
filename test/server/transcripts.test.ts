/**
 * The recorded transcripts of the original server, against ours: requests in order over real
 * connections, replies byte by byte. Which rows differ on purpose or wait: test/golden.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { DIFFERENCES, type Difference } from "../golden/differences.ts";
import { LATER } from "../golden/later.ts";
import {
  assertRow,
  type ServerExchange,
  type ServerTranscript,
  serverTranscripts,
  waitsFor,
} from "../golden/load.ts";
import { type OwnServerProcess, startOwnServer } from "../support/own-server.ts";
import { RawConnection } from "../support/raw-connection.ts";

/** `requirepass secret` lines of a transcript's configuration. */
function changesOf(lines: readonly string[]): Record<string, string> {
  return Object.fromEntries(lines.map((line) => line.split(" ") as [string, string]));
}

function waitsAsAWhole(file: string): boolean {
  return LATER.some((entry) => entry.file === file && entry.ids === "all");
}

function differenceOf({ file, id }: ServerExchange): Partial<Difference> {
  return DIFFERENCES.find((entry) => entry.file === file && entry.id === id) ?? {};
}

/** Sets have no order, though the recorded server showed small ones in one. */
function judged(exchange: ServerExchange): ServerExchange {
  const name = exchange.args?.[0]?.toString().toUpperCase();
  if (name !== "SMEMBERS" && name !== "HGETALL") return exchange;
  return { ...exchange, recorded: { ...exchange.recorded, unordered: true } };
}

/** Servers and connections of one transcript. */
class Stage {
  readonly #servers = new Map<string, OwnServerProcess>();
  readonly #connections = new Map<string, RawConnection>();
  #blackhole: Bun.TCPSocketListener | undefined;

  async start(transcript: ServerTranscript): Promise<Record<string, string>> {
    for (const [name, lines] of [
      ["server", transcript.serverConfig],
      ["target", transcript.targetConfig],
    ] as const) {
      // The original lets everyone use DEBUG.
      const changes = { "enable-debug-command": "yes" as const, ...changesOf(lines) };
      this.#servers.set(name, await startOwnServer(changes));
    }
    this.#blackhole = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const refused = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const refusedPort = refused.port;
    refused.stop(true);
    return {
      TARGET_HOST: "127.0.0.1",
      TARGET_PORT: String(this.#servers.get("target")!.port),
      BLACKHOLE_PORT: String(this.#blackhole.port),
      REFUSED_PORT: String(refusedPort),
    };
  }

  async connection(on: "server" | "target", name: string): Promise<RawConnection> {
    const key = `${on} ${name}`;
    let connection = this.#connections.get(key);
    if (connection === undefined) {
      connection = await RawConnection.open(this.#servers.get(on)!.port);
      this.#connections.set(key, connection);
    }
    return connection;
  }

  /** The server has closed the connection; the next row that names it gets a new one. */
  async closed(on: "server" | "target", name: string): Promise<void> {
    const key = `${on} ${name}`;
    await this.#connections.get(key)!.closed();
    this.#connections.delete(key);
  }

  advance(ms: number): void {
    for (const server of this.#servers.values()) server.clock.advance(ms);
  }

  async stop(): Promise<void> {
    for (const connection of this.#connections.values()) connection.close();
    this.#blackhole?.stop(true);
    for (const server of this.#servers.values()) await server.close();
  }
}

for (const transcript of serverTranscripts()) {
  if (waitsAsAWhole(transcript.file)) continue;
  describe(`${transcript.file}: ${transcript.description}`, () => {
    const stage = new Stage();
    let placeholders: Record<string, string> = {};
    const held: { readonly until: string; readonly judge: () => Promise<void> }[] = [];
    beforeAll(async () => {
      placeholders = await stage.start(transcript);
    });
    afterAll(() => stage.stop());

    // Rows build on each other; one test each tells which one differs.
    for (const [i, row] of transcript.exchanges({}).entries()) {
      const shown = row.args?.map((arg) => arg.toString("latin1").slice(0, 40)).join(" ");
      test(`${row.id}: ${JSON.stringify(shown)}`, async () => {
        const exchange = transcript.exchanges(placeholders)[i]!;
        const { apart, heldUntil, ours } = differenceOf(exchange);
        const name = apart === true ? `row ${row.id}` : exchange.conn;
        const connection = await stage.connection(exchange.on, name);
        stage.advance(exchange.waitMs);
        if (exchange.args !== null) connection.send(exchange.args);
        if (exchange.pending) return;
        const judge = async (): Promise<void> => {
          const reply = await connection.reply();
          const answer = { reply, held: heldUntil !== undefined };
          expect(() => assertRow(judged(exchange), answer)).not.toThrow();
          const mustClose = ours === undefined && waitsFor(exchange) === undefined;
          if (mustClose && exchange.recorded.closed === true) await stage.closed(exchange.on, name);
        };
        if (heldUntil !== undefined) {
          expect(connection.hasReply).toBe(false);
          held.push({ until: heldUntil, judge });
          return;
        }
        await judge();
        for (const one of held.filter(({ until }) => until === row.id)) await one.judge();
      });
    }
  });
}
