/** When a session lets others go on. Driven by hand: no socket, no real time. */

import { expect, test } from "bun:test";
import { ClientBudget } from "../../src/net/client-budget.ts";
import type { Connection } from "../../src/net/connection.ts";
import { encodeRequest, ReplyWriter } from "../../src/resp/encoder.ts";
import { createCall } from "../../src/server/execute.ts";
import { Garbage } from "../../src/server/garbage.ts";
import { Session, type SessionContext } from "../../src/server/session.ts";
import { Turn } from "../../src/server/turn.ts";
import { createWarmKeys } from "../../src/server/warm.ts";
import { OwnServer } from "../support/compare.ts";
import { withoutMemory } from "../support/without-memory.ts";

/** As much as a socket hands over at once. */
const CHUNK_BYTES = 512 * 1024;

/** What a session asks of its connection. */
class RecordingConnection {
  readonly remoteAddress = "127.0.0.1:1";
  readonly localAddress = "127.0.0.1:2";
  readonly out = new ReplyWriter();
  readonly isOpen = true;
  readonly backlogBytes = 0;
  readonly sentBytes = 0;
  readonly events: string[] = [];
  pause = (): void => void this.events.push("pause");
  resume = (): void => void this.events.push("resume");
  flush = (): void => void this.events.push("flush");
  close = (): void => void this.events.push("close");
}

function startSessions() {
  const { state, clock } = new OwnServer();
  state.journal = undefined;
  const context: SessionContext = {
    server: state,
    call: createCall(state),
    turn: new Turn(state),
    keysAhead: createWarmKeys(),
    garbage: new Garbage(),
    budget: new ClientBudget("maxmemory-clients", Number.POSITIVE_INFINITY),
    ended: () => {},
  };
  let id = 0;
  const connect = () => {
    const connection = new RecordingConnection();
    const session = new Session(context, connection as unknown as Connection, ++id);
    return { session, connection };
  };
  return { connect, clock };
}

function startSession() {
  const { connect, clock } = startSessions();
  return { ...connect(), clock };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test("A session stops reading a large request when its turn has received 1 MiB, and goes on in the next", async () => {
  const { session, connection } = startSession();
  const request = encodeRequest(["SET", "k", Buffer.alloc(9 * CHUNK_BYTES)]);
  const pauses: number[] = [];
  for (let i = 0; i * CHUNK_BYTES < request.length; i++) {
    session.onData(Buffer.from(request.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES)));
    if (!connection.events.splice(0).includes("pause")) continue;
    pauses.push(i);
    while (!connection.events.includes("resume")) await nextTurn();
    connection.events.length = 0;
  }
  // The tenth makes the request whole: it is executed in the next turn, and no more is to be read.
  expect(pauses).toEqual([1, 3, 5, 7]);
  while (connection.out.pendingBytes === 0) await nextTurn();
  expect(connection.out.take().toString()).toBe("+OK\r\n");
});

test("A session that comes when the turn is over waits for the next, and nothing is executed", async () => {
  const { connect, clock } = startSessions();
  const long = connect();
  const late = [connect(), connect()];
  const request = encodeRequest(["SET", "k", Buffer.alloc(9 * CHUNK_BYTES)]);
  for (let i = 0; i < 2; i++) {
    long.session.onData(Buffer.from(request.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES)));
    clock.advance(2);
  }
  for (const { session, connection } of late) {
    session.onData(encodeRequest(["PING"]));
    expect(connection.events).toEqual([]);
    expect(connection.out.pendingBytes).toBe(0);
  }
  // The second one sends on, until that is enough.
  late[1]!.session.onData(encodeRequest(["PING", Buffer.alloc(16_000)]));
  expect(late[1]!.connection.events).toEqual([]);
  late[1]!.session.onData(encodeRequest(["PING", Buffer.alloc(1000)]));
  expect(late[1]!.connection.events).toEqual(["pause"]);
  await nextTurn();
  await nextTurn();
  for (const { connection } of late) {
    expect(connection.events.at(-1)).toBe("resume");
    expect(connection.out.take().toString()).toStartWith("+PONG\r\n");
  }
});

test("Of deferred sessions, those that a turn does not reach come first in the next", async () => {
  const { connect, clock } = startSessions();
  const sessions = [connect(), connect(), connect()];
  // Reading the clock takes so long that a part of a turn ends at its second look.
  const monotonic = clock.monotonic.bind(clock);
  clock.monotonic = () => {
    clock.advance(2);
    return monotonic();
  };
  const many = Buffer.concat(Array.from({ length: 200 }, () => encodeRequest(["PING"])));
  for (const { session } of sessions) session.onData(many);
  const answered = () => sessions.map(({ connection }) => connection.out.pendingBytes / 7);
  const history = [answered()];
  while (answered().some((count) => count < 200)) {
    await nextTurn();
    if (String(answered()) !== String(history.at(-1))) history.push(answered());
  }
  // As many for each, in turn, while all of them have more.
  const who = history.slice(1).map((counts, turn) => {
    return counts.findIndex((count, i) => count > history[turn]![i]!);
  });
  expect(history[0]).toEqual([12, 0, 0]);
  expect(who.slice(0, 45)).toEqual(Array.from({ length: 45 }, (_, i) => i % 3));
});

test("A large request, the next one and what is behind them are executed in turns of their own", async () => {
  const { session, connection } = startSession();
  const request = encodeRequest(["SET", "k", Buffer.alloc(2 * CHUNK_BYTES)]);
  session.onData(Buffer.concat([request, request, encodeRequest(["PING"])]));
  expect(connection.out.take().toString()).toBe("");
  expect(connection.events.splice(0)).toEqual(["pause"]);
  const replies: string[] = [];
  while (replies.length < 3) {
    await nextTurn();
    const text = connection.out.take().toString();
    if (text !== "") replies.push(text);
  }
  expect(replies).toEqual(["+OK\r\n", "+OK\r\n", "+PONG\r\n"]);
  expect(connection.events.filter((event) => event !== "flush").at(-1)).toBe("resume");
});

test("A large request waits for one turn, whatever others receive in the next", async () => {
  const { connect } = startSessions();
  const { session, connection } = connect();
  const request = encodeRequest(["SET", "k", Buffer.alloc(2 * CHUNK_BYTES)]);
  session.onData(Buffer.from(request));
  await nextTurn();
  connect().session.onData(Buffer.from(request.subarray(0, request.length - 1)));
  await nextTurn();
  expect(connection.out.take().toString()).toBe("+OK\r\n");
});

test("A large request that waits is executed although there is no memory for the one behind it", async () => {
  const { session, connection } = startSession();
  const request = encodeRequest(["SET", "k", Buffer.alloc(2 * CHUNK_BYTES)]);
  session.onData(Buffer.concat([request, request.subarray(0, 100)]));
  withoutMemory(() => session.onData(Buffer.from(request.subarray(100, 200))));
  while (!connection.events.includes("close")) await nextTurn();
  expect(connection.out.take().toString()).toBe(
    "+OK\r\n-ERR Protocol error: no memory for a request of 100 bytes so far\r\n",
  );
});

test("A session takes small chunks and seldom looks at the clock", () => {
  const { session, connection, clock } = startSession();
  const request = encodeRequest(["SET", "k", "v"]);
  let readings = 0;
  const monotonic = clock.monotonic.bind(clock);
  clock.monotonic = () => {
    readings++;
    return monotonic();
  };
  const send = (count: number): void => {
    for (let i = 0; i < count; i++) {
      session.onData(Buffer.from(request.subarray(0, 9)));
      session.onData(Buffer.from(request.subarray(9)));
    }
  };
  // It is looked at often until requests have shown how little time they take.
  send(200);
  readings = 0;
  send(64);
  // Two of them for what a command took, of one in so many.
  expect(readings).toBe(3);
  expect(connection.events).not.toContain("pause");
});
