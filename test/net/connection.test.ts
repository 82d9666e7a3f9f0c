import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import { AssertionError } from "../../src/base/assert.ts";
import {
  CLOSE_PATIENCE_MS,
  Connection,
  type ConnectionOwner,
  type ConnectionSocket,
  LATE_BYTES,
} from "../../src/net/connection.ts";
import { atTurnEnd, LATE_TURNS, setLateRest } from "../../src/net/turn-end.ts";
import { WRITER_BYTES_MAX } from "../../src/resp/encoder.ts";

/** A kernel that takes `room` bytes, then nothing until a test makes room and says so. */
class FakeSocket implements ConnectionSocket {
  readonly remoteAddress = "10.0.0.1";
  readonly remotePort = 4000;
  readonly localAddress = "::1";
  readonly localPort = 19000;
  readonly calls: string[] = [];
  taken = "";
  room = Number.POSITIVE_INFINITY;
  isClosed = false;

  write(data: unknown, from = 0, length = 0): number {
    if (this.isClosed) return -1;
    const sent = Math.min(length, this.room);
    this.room -= sent;
    this.taken += (data as Buffer).latin1Slice(from, from + sent);
    this.calls.push(`write ${sent}/${length}`);
    return sent;
  }
  end(): number {
    this.calls.push("end");
    return 0;
  }
  terminate(): void {
    this.calls.push("terminate");
  }
  shutdown(): void {
    this.calls.push("shutdown");
  }
  pause(): void {
    this.calls.push("pause");
  }
  resume(): void {
    this.calls.push("resume");
  }
}

function setUp(): {
  socket: FakeSocket;
  connection: Connection;
  events: string[];
} {
  const socket = new FakeSocket();
  const connection = new Connection(socket);
  const events: string[] = [];
  const owner: ConnectionOwner = {
    onData: (chunk) => events.push(`data ${chunk.latin1Slice()}`),
    onEnd: () => events.push("end"),
    onDrain: () => events.push("drain"),
    onClose: (error) => events.push(`close ${error?.message ?? "in order"}`),
  };
  connection.setOwner(owner);
  return { socket, connection, events };
}

function send(connection: Connection, text: string): void {
  connection.out.raw(Buffer.from(text));
  connection.markDirty();
}

/** Pieces of output, each marked late. */
function say(connection: Connection, ...texts: readonly string[]): void {
  for (const text of texts) {
    connection.out.simple(text);
    connection.markDirtyLate();
  }
}

/** After the flush of this turn: immediates run in the order they were asked for. */
function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe("Connection", () => {
  test("a late write goes out at the end of the turn until writes are seen to join", async () => {
    const { socket, connection } = setUp();
    connection.out.simple("one");
    connection.markDirtyLate();
    await endOfTurn();
    expect(socket.taken).toBe("+one\r\n");
  });

  test("once writes join, a late write waits a few turns and takes what comes", async () => {
    const { socket, connection } = setUp();
    say(connection, "a", "b");
    await endOfTurn();
    socket.taken = "";
    say(connection, "c");
    for (let turn = 0; turn < LATE_TURNS; turn++) {
      await endOfTurn();
      expect(socket.taken).toBe("");
    }
    say(connection, "d");
    await endOfTurn();
    expect(socket.taken).toBe("+c\r\n+d\r\n");
  });

  test("with a rest set, a late write is due after a turn that found nothing", async () => {
    setLateRest(10);
    try {
      const { socket, connection } = setUp();
      say(connection, "a", "b");
      await endOfTurn();
      socket.taken = "";
      say(connection, "c");
      const other = setUp();
      send(other.connection, "busy");
      await endOfTurn();
      await endOfTurn();
      expect(socket.taken).toBe("");
      await endOfTurn();
      expect(socket.taken).toBe("+c\r\n");
    } finally {
      setLateRest(0);
    }
  });

  test("a late write waits no longer when nothing joins it time after time", async () => {
    const { socket, connection } = setUp();
    say(connection, "a", "b");
    await endOfTurn();
    for (let write = 0; write < 20; write++) {
      say(connection, "c");
      for (let turn = 0; turn <= LATE_TURNS; turn++) await endOfTurn();
    }
    socket.taken = "";
    say(connection, "d");
    await endOfTurn();
    expect(socket.taken).toBe("+d\r\n");
  });

  test("a late write that grows large, or is marked dirty, does not wait", async () => {
    for (const isMarked of [false, true]) {
      const { socket, connection } = setUp();
      say(connection, "a", "b");
      await endOfTurn();
      say(connection, isMarked ? "c" : "c".repeat(LATE_BYTES));
      if (isMarked) connection.markDirty();
      await endOfTurn();
      expect(socket.calls.length).toBe(2);
    }
  });

  test("an ending is called once, after the writes of its turn", async () => {
    const { socket, connection, events } = setUp();
    connection.out.simple("x");
    connection.markDirty();
    atTurnEnd(() => events.push(`ended ${socket.taken.trim()}`));
    await endOfTurn();
    await endOfTurn();
    expect(events).toEqual(["ended +x"]);
  });

  test("sends everything written in a turn by one write at its end", async () => {
    const { socket, connection } = setUp();
    send(connection, "+OK\r\n");
    send(connection, ":1\r\n");
    expect(socket.calls).toEqual([]);
    await endOfTurn();
    expect(socket.calls).toEqual(["write 9/9"]);
    expect(socket.taken).toBe("+OK\r\n:1\r\n");
    await endOfTurn();
    expect(socket.calls).toEqual(["write 9/9"]);
  });

  test("keeps what a short write left until the socket drains, then tells its owner", async () => {
    const { socket, connection, events } = setUp();
    socket.room = 3;
    send(connection, "abcdef");
    await endOfTurn();
    send(connection, "ghi");
    await endOfTurn();
    expect(connection.backlogBytes).toBe(6);
    expect(socket.calls).toEqual(["write 3/6"]);
    socket.room = 4;
    connection.drained();
    expect(events).toEqual([]);
    socket.room = 10;
    connection.drained();
    expect(socket.taken).toBe("abcdefghi");
    expect(connection.backlogBytes).toBe(0);
    expect(events).toEqual(["drain"]);
  });

  test("is destroyed when more was written than its output holds, also while it is blocked", async () => {
    for (const isBlocked of [false, true]) {
      const { socket, connection, events } = setUp();
      if (isBlocked) {
        socket.room = 1;
        send(connection, "ab");
        await endOfTurn();
      }
      connection.out.isOverfull = true;
      send(connection, "cd");
      await endOfTurn();
      expect(events).toEqual([
        `close limit reached: more than ${WRITER_BYTES_MAX} bytes wait to be sent`,
      ]);
      expect(socket.taken).toBe(isBlocked ? "a" : "");
      expect(socket.calls.at(-1)).toBe("terminate");
      expect(connection.backlogBytes).toBe(0);
    }
  });

  test("ignores drains nobody waited for", () => {
    const { socket, connection, events } = setUp();
    connection.drained();
    expect(socket.calls).toEqual([]);
    expect(events).toEqual([]);
  });

  test("close sends what is queued, then FIN; ends at the peer's FIN, dropping what comes", () => {
    const { socket, connection, events } = setUp();
    send(connection, "bye");
    connection.close();
    expect(socket.calls).toEqual(["write 3/3", "shutdown"]);
    expect(connection.isOpen).toBe(false);
    connection.received(Buffer.from("late"));
    expect(events).toEqual([]);
    connection.ended();
    expect(socket.calls.at(-1)).toBe("end");
    connection.closed(undefined);
    expect(events).toEqual(["close in order"]);
  });

  test("close waits for a slow peer to take everything", () => {
    const { socket, connection, events } = setUp();
    socket.room = 1;
    send(connection, "bye");
    connection.close();
    expect(socket.calls).toEqual(["write 1/3"]);
    socket.room = 10;
    connection.drained();
    expect(socket.taken).toBe("bye");
    expect(socket.calls.at(-1)).toBe("shutdown");
    expect(events).toEqual([]);
    connection.destroy();
  });

  test("close ends at once when the peer had half-closed", () => {
    const { socket, connection, events } = setUp();
    connection.ended();
    expect(events).toEqual(["end"]);
    send(connection, "reply");
    connection.close();
    expect(socket.taken).toBe("reply");
    expect(socket.calls).toEqual(["write 5/5", "end"]);
    expect(events).toEqual(["end", "close in order"]);
  });

  test("close reads again, to see the peer's FIN, when it was paused", () => {
    const { socket, connection } = setUp();
    connection.pause();
    connection.pause();
    connection.close();
    expect(socket.calls).toEqual(["pause", "shutdown", "resume"]);
    connection.destroy();
  });

  test("destroy ends at once, drops what is queued and tells the owner once", async () => {
    const { socket, connection, events } = setUp();
    send(connection, "never");
    connection.destroy();
    connection.destroy();
    connection.closed(new Error("late"));
    await endOfTurn();
    expect(socket.calls).toEqual(["terminate"]);
    expect(connection.backlogBytes).toBe(0);
    expect(events).toEqual(["close in order"]);
  });

  test("a write to a closed socket ends the connection", async () => {
    const { socket, connection, events } = setUp();
    socket.isClosed = true;
    send(connection, "x");
    await endOfTurn();
    expect(events).toEqual(["close write: connection is closed"]);
    send(connection, "y");
    await endOfTurn();
    expect(connection.backlogBytes).toBe(0);
    expect(events).toHaveLength(1);
  });

  test("what is written to a connection that ended while blocked is let go", async () => {
    const { socket, connection } = setUp();
    socket.room = 1;
    send(connection, "abc");
    await endOfTurn();
    connection.closed(new Error("reset"));
    send(connection, "more");
    await endOfTurn();
    expect(connection.backlogBytes).toBe(0);
    expect(socket.calls).toEqual(["write 1/3"]);
  });

  test("what is written while a flush runs waits for the next one", async () => {
    const { socket, connection } = setUp();
    const other = setUp();
    // Writing to one connection makes the other dirty, in the middle of the flush of both.
    socket.write = (data, from = 0, length = 0) => {
      send(other.connection, "second");
      return FakeSocket.prototype.write.call(socket, data, from, length);
    };
    send(connection, "first");
    send(other.connection, "early ");
    await endOfTurn();
    await endOfTurn();
    expect(socket.taken).toBe("first");
    expect(other.socket.taken).toBe("early second");
  });

  test("has one owner", () => {
    const { connection } = setUp();
    expect(() => connection.setOwner({ onData() {}, onEnd() {}, onClose() {} })).toThrow(
      AssertionError,
    );
  });

  test("knows its addresses", () => {
    const { connection } = setUp();
    expect(connection.remoteAddress).toBe("10.0.0.1:4000");
    expect(connection.localAddress).toBe("[::1]:19000");
  });
});

describe("Connection, closing with patience", () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test("a peer that takes nothing while we close is cut off", () => {
    const { socket, connection, events } = setUp();
    socket.room = 1;
    send(connection, "bye");
    connection.close();
    jest.advanceTimersByTime(CLOSE_PATIENCE_MS - 1);
    expect(events).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(socket.calls.at(-1)).toBe("terminate");
    expect(events).toEqual(["close in order"]);
  });

  test("a peer that goes on reading, however slowly, gets everything", () => {
    const { socket, connection, events } = setUp();
    socket.room = 1;
    send(connection, "bye");
    connection.close();
    for (let i = 0; i < 2; i++) {
      jest.advanceTimersByTime(CLOSE_PATIENCE_MS - 1);
      socket.room = 1;
      connection.drained();
    }
    expect(socket.taken).toBe("bye");
    expect(events).toEqual([]);
  });

  test("a peer that never closes its end is cut off", () => {
    const { socket, connection, events } = setUp();
    connection.close();
    expect(socket.calls).toEqual(["shutdown"]);
    jest.advanceTimersByTime(CLOSE_PATIENCE_MS);
    expect(socket.calls).toEqual(["shutdown", "terminate"]);
    expect(events).toEqual(["close in order"]);
  });
});
