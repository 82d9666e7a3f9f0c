/**
 * The recorded conversations with the original proxy, held with ours over real sockets: before two
 * stock redis-servers, and before two of our own servers where slot commands are asked for.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { bindPort } from "../../src/net/listener.ts";
import { openPlane, type PlaneConfig } from "../../src/proxy/plane.ts";
import { encodeRequest } from "../../src/resp/encoder.ts";
import { ReplyScanner } from "../../src/resp/reply-scanner.ts";
import { DIFFERENCES } from "../golden/differences.ts";
import {
  type Answer,
  assertRow,
  type ExpectedAnswer,
  type Mode,
  matchesAnswer,
  type ProxyExchange,
  proxyTranscript,
  readGolden,
  waitsFor,
} from "../golden/load.ts";
import { startOwnServer } from "../support/own-server.ts";
import { TcpRedis } from "../support/tcp-redis.ts";
import { slotOf, TEST_CONFIG } from "./machines.ts";

interface Scenarios {
  readonly slot_maps: Readonly<Record<string, Readonly<Record<string, { backend_addr: string }>>>>;
  readonly scenarios: Readonly<
    Record<string, { config: Partial<PlaneConfig>; slots: string; started: boolean }>
  >;
}

interface Backend {
  readonly address: string;
  stop(): Promise<void>;
}

const SCENARIOS = readGolden<Scenarios>("proxy/scenarios.json");
/** How the recordings name the two servers. */
const RECORDED_ADDRESSES = ["127.0.0.1:21001", "127.0.0.1:21002"];
const MARKER = "marker-behind-the-answer";
const MARKER_REPLY = `$${MARKER.length}\r\n${MARKER}\r\n`;

/** A client that collects bytes; waits are for bytes or the end, never for time. */
class Client {
  #socket: Bun.Socket<undefined> | undefined;
  #received = "";
  #hasClosed = false;
  #wake: () => void = () => {};

  async open(port: number): Promise<void> {
    this.#socket = await Bun.connect<undefined>({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_, chunk) => {
          this.#received += chunk.latin1Slice(0, chunk.length);
          this.#wake();
        },
        close: () => {
          this.#hasClosed = true;
          this.#wake();
        },
      },
    });
  }

  get hasClosed(): boolean {
    return this.#hasClosed;
  }

  async #until(isThere: () => boolean): Promise<void> {
    while (!isThere() && !this.#hasClosed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Sends, and reads one reply, or all there is before the end or before a marker's reply. */
  async ask(exchange: ProxyExchange, endsIt: boolean): Promise<Answer> {
    if (exchange.args !== undefined) {
      this.#socket!.write(encodeRequest(exchange.args));
      const scanner = new ReplyScanner();
      let end = -1;
      await this.#until(() => {
        const bytes = Buffer.from(this.#received, "latin1");
        scanner.reset();
        end = scanner.scan(bytes, 0, bytes.length);
        return end >= 0;
      });
      if (endsIt) await this.#until(() => false);
      return { reply: this.#take(end < 0 ? this.#received.length : end), closed: this.#hasClosed };
    }
    this.#socket!.write(exchange.raw!);
    if (endsIt) {
      await this.#until(() => false);
      return { reply: this.#take(this.#received.length), closed: true };
    }
    this.#socket!.write(encodeRequest(["ECHO", MARKER]));
    await this.#until(() => this.#received.endsWith(MARKER_REPLY));
    const reply = this.#take(this.#received.length - MARKER_REPLY.length);
    this.#received = "";
    return { reply, closed: this.#hasClosed };
  }

  #take(length: number): Buffer {
    const taken = this.#received.slice(0, length);
    this.#received = this.#received.slice(length);
    return Buffer.from(taken, "latin1");
  }

  close(): void {
    this.#socket?.end();
  }
}

/** Whether ours closes after this row: as recorded, unless a difference says otherwise. */
function endsIt({ file, id, recorded }: ProxyExchange, mode: Mode): boolean {
  const difference = DIFFERENCES.find(
    (entry) => entry.file === file && entry.id === id && (entry.mode ?? "default") === mode,
  );
  const ours = difference?.ours as ExpectedAnswer | undefined;
  return (ours?.closed ?? recorded.closed) === true;
}

/** Replaces addresses, all of the same length, in one direction. */
function swap(bytes: Uint8Array, from: readonly string[], to: readonly string[]): Buffer {
  let text = Buffer.from(bytes).toString("latin1");
  from.forEach((address, i) => {
    text = text.replaceAll(address, to[i]!);
  });
  return Buffer.from(text, "latin1");
}

/** @returns what is wrong with the answers, row by row */
async function runScenario(
  name: string,
  rows: readonly ProxyExchange[],
  addresses: readonly string[],
  mode: Mode,
): Promise<string[]> {
  const failures: string[] = [];
  const { config, slots, started } = SCENARIOS.scenarios[name]!;
  const port = bindPort("127.0.0.1", 0);
  const plane = await openPlane({
    config: { ...TEST_CONFIG, ...config, compat: mode === "codis" ? "codis" : "" },
    port,
    threads: 1,
    clock: systemClock,
    onDeath: (error) => {
      throw error;
    },
    onSessionClosed: () => {},
  });
  const clients = new Map<string, Client>();
  try {
    for (const [range, { backend_addr: address }] of Object.entries(SCENARIOS.slot_maps[slots]!)) {
      const [first, last] = range.split("-").map(Number);
      const backend = addresses[RECORDED_ADDRESSES.indexOf(address)]!;
      const ids = Array.from({ length: last! - first! + 1 }, (_, i) => first! + i);
      await plane.fill(ids.map((id) => slotOf({ id, backend_addr: backend })));
    }
    if (started) await plane.start();
    for (const row of rows) {
      let client = clients.get(row.conn);
      if (client === undefined || client.hasClosed) {
        client = new Client();
        await client.open(port.port);
        clients.set(row.conn, client);
      }
      const args = row.args?.map((arg) => swap(arg, RECORDED_ADDRESSES, addresses));
      const answer = await client.ask({ ...row, ...(args && { args }) }, endsIt(row, mode));
      const reply = swap(answer.reply, addresses, RECORDED_ADDRESSES);
      const failure = judge(row, { ...answer, reply }, mode);
      if (failure !== "") failures.push(failure);
    }
    return failures;
  } finally {
    for (const client of clients.values()) client.close();
    await plane.close();
    port.close();
  }
}

/** What is wrong with an answer; "". Under compat nothing waits: the original's way is all there. */
function judge(row: ProxyExchange, answer: Answer, mode: Mode): string {
  if (mode === "codis" && waitsFor(row) !== undefined) {
    return matchesAnswer(row.recorded, answer) ? "" : `row ${row.id}: ${Bun.inspect(answer)}`;
  }
  try {
    assertRow(row, answer, mode);
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

async function redis(): Promise<Backend> {
  const server = await TcpRedis.start();
  return { address: `127.0.0.1:${server.port}`, stop: () => server.stop() };
}

async function own(): Promise<Backend> {
  const server = await startOwnServer();
  return { address: `127.0.0.1:${server.port}`, stop: async () => void (await server.close()) };
}

const RUNS = [
  { file: "proxy/transcript-redis7.json", start: redis, mode: "default" },
  { file: "proxy/transcript-redis7.json", start: redis, mode: "codis" },
  { file: "proxy/transcript.json", start: own, mode: "default" },
] as const;

for (const { file, start, mode } of RUNS) {
  describe(`${file}, rules: ${mode}`, () => {
    let backends: Backend[] = [];

    beforeAll(async () => {
      backends = [await start(), await start()];
    });

    afterAll(async () => {
      for (const backend of backends) await backend.stop();
    });

    const rows = proxyTranscript(file);
    for (const scenario of new Set(rows.map((row) => row.scenario))) {
      test(`Scenario ${scenario} is answered as recorded, or differs on purpose`, async () => {
        const addresses = backends.map(({ address }) => address);
        expect(addresses.map((address) => address.length)).toEqual([15, 15]);
        await Promise.all(addresses.map(flush));
        const its = rows.filter((row) => row.scenario === scenario);
        expect(await runScenario(scenario, its, addresses, mode)).toEqual([]);
      });
    }
  });
}

async function flush(address: string): Promise<void> {
  const client = new Client();
  await client.open(Number(address.split(":")[1]));
  const args = [Buffer.from("FLUSHALL")];
  await client.ask({ args } as unknown as ProxyExchange, false);
  client.close();
}
