/**
 * Real sockets on loopback: what Connection, listener and dial make of Bun's and the kernel's ways.
 */

import { afterEach, describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import { CodisError, errorText } from "../../src/base/errors.ts";
import type { Connection, ConnectionOwner } from "../../src/net/connection.ts";
import { dial } from "../../src/net/dial.ts";
import { assertPortFree, bindPort, type Listener, listen } from "../../src/net/listener.ts";

const HOST = "127.0.0.1";
const TIMEOUT_MS = 10_000;

let listeners: Listener[] = [];

afterEach(() => {
  for (const listener of listeners) listener.stop();
  listeners = [];
});

/** Listens on a free port; every connection is owned by what `accept` returns. */
function serve(accept: (connection: Connection) => ConnectionOwner): number {
  const bound = bindPort(HOST, 0);
  listeners.push(listen(bound.share(), accept));
  bound.close();
  return bound.port;
}

/** One end of a connection that collects what happens to it. */
class Recorder implements ConnectionOwner {
  readonly connection: Connection;
  bytes = 0;
  text = "";
  readonly ended = Promise.withResolvers<void>();
  readonly closed = Promise.withResolvers<Error | undefined>();
  onChunk: (chunk: Buffer) => void = () => {};

  constructor(connection: Connection) {
    this.connection = connection;
  }
  onData(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.bytes < 1000) this.text += chunk.latin1Slice();
    this.onChunk(chunk);
  }
  onEnd(): void {
    this.ended.resolve();
  }
  onClose(error: Error | undefined): void {
    this.closed.resolve(error);
  }
  send(text: string): void {
    this.connection.out.raw(Buffer.from(text));
    this.connection.markDirty();
  }
}

async function connect(port: number): Promise<Recorder> {
  let recorder: Recorder | undefined;
  await dial(HOST, port, { timeoutMs: TIMEOUT_MS }, (connection) => {
    recorder = new Recorder(connection);
    return recorder;
  });
  return recorder!;
}

/** A server side that answers what comes by `answer`. */
function answering(answer: (side: Recorder) => void): (connection: Connection) => ConnectionOwner {
  return (connection) => {
    const side = new Recorder(connection);
    side.onChunk = () => answer(side);
    return side;
  };
}

describe("sockets", () => {
  test("a client that half-closes still gets its replies", async () => {
    const port = serve((connection) => {
      const side = new Recorder(connection);
      void side.ended.promise.then(() => {
        side.send(`got ${side.text}`);
        connection.close();
      });
      return side;
    });
    const client = await connect(port);
    client.send("request");
    client.connection.close();
    expect(await client.closed.promise).toBeUndefined();
    // The client's Connection drops what comes after its own close, so look with a plain socket.
    const text = await new Promise<string>((resolve, reject) => {
      let received = "";
      void Bun.connect({
        hostname: HOST,
        port,
        allowHalfOpen: true,
        socket: {
          open(socket) {
            socket.write("request");
            socket.shutdown();
          },
          data(_, chunk) {
            received += chunk.latin1Slice();
          },
          close(_, error) {
            if (error === undefined) resolve(received);
            else reject(error);
          },
        },
      });
    });
    expect(text).toBe("got request");
  });

  test("replies written before close arrive although the peer keeps sending", async () => {
    const port = serve(
      answering((side) => {
        side.send("-ERR enough\r\n");
        side.connection.close();
      }),
    );
    const client = await connect(port);
    const noise = Buffer.alloc(1 << 20);
    client.connection.out.raw(noise);
    client.connection.markDirty();
    await client.ended.promise;
    expect(client.text).toBe("-ERR enough\r\n");
    client.connection.close();
    expect(await client.closed.promise).toBeUndefined();
  });

  test("a slow reader gets every byte, once, and close waits for it", async () => {
    const big = Buffer.alloc(32 << 20, "0123456789");
    const port = serve(
      answering((side) => {
        side.connection.out.raw(big);
        side.connection.close();
        expect(side.connection.backlogBytes).toBeGreaterThan(0);
      }),
    );
    const client = await connect(port);
    let at = 0;
    client.onChunk = (chunk) => {
      expect(chunk[0]).toBe(big[at]!);
      at += chunk.length;
      expect(chunk.at(-1)).toBe(big[at - 1]!);
      // Holds the server back for a turn each time.
      client.connection.pause();
      setImmediate(() => client.connection.resume());
    };
    client.send("go");
    await client.ended.promise;
    expect(client.bytes).toBe(big.length);
    client.connection.close();
    await client.closed.promise;
  });

  test("onDrain tells when a backlog has been taken", async () => {
    const drained = Promise.withResolvers<number>();
    const port = serve((connection) => ({
      onData() {
        connection.out.raw(Buffer.alloc(32 << 20));
        connection.markDirty();
      },
      onEnd: () => connection.close(),
      onDrain: () => drained.resolve(connection.backlogBytes),
      onClose() {},
    }));
    const client = await connect(port);
    client.send("go");
    expect(await drained.promise).toBe(0);
    client.connection.close();
    await client.closed.promise;
  });

  test("destroy resets the peer", async () => {
    const port = serve(answering((side) => side.connection.destroy()));
    const client = await connect(port);
    client.send("x");
    const error = await client.closed.promise;
    expect(error?.message).toContain("ECONNRESET");
  });
});

describe("bindPort and listen", () => {
  test("a taken port is an error that names address and cause", () => {
    const bound = bindPort(HOST, 0);
    try {
      bindPort(HOST, bound.port);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(CodisError);
      expect((error as CodisError).code).toBe("unavailable");
      expect(errorText(error)).toBe(
        `Cannot listen on ${HOST}:${bound.port}: address already in use`,
      );
    }
    expect(() => assertPortFree(`${HOST}:${bound.port}`)).toThrow(CodisError);
    bound.close();
    assertPortFree(`${HOST}:${bound.port}`);
  });

  test("a port that another kind of server has is taken too", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, HOST, resolve));
    const { port } = other.address() as { port: number };
    expect(() => bindPort(HOST, port)).toThrow(`Cannot listen on ${HOST}:${port}`);
    await new Promise((resolve) => other.close(resolve));
  });

  test("an address that is not this host's names the cause", () => {
    try {
      bindPort("192.0.2.1", 0);
      expect.unreachable();
    } catch (error) {
      expect(errorText(error)).toBe("Cannot listen on 192.0.2.1:0: address not available");
    }
  });

  test("no host means every address", async () => {
    const bound = bindPort("", 0);
    listeners.push(
      listen(
        bound.share(),
        answering((side) => side.send("hello")),
      ),
    );
    bound.close();
    const client = await connect(bound.port);
    const got = Promise.withResolvers<void>();
    client.onChunk = () => got.resolve();
    client.send("x");
    await got.promise;
    expect(client.text).toBe("hello");
    client.connection.destroy();
  });

  test("threads share a port; it stays bound until the last of them stopped", async () => {
    const bound = bindPort(HOST, 0);
    const worker = new Worker(new URL("./listen-worker.ts", import.meta.url));
    const answer = (message: unknown) =>
      new Promise((resolve) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.postMessage(message);
      });
    expect(await answer(bound.share())).toBe("ready");
    const main = listen(bound.share(), (connection) => {
      connection.out.raw(Buffer.from("main"));
      connection.close();
      return { onData() {}, onEnd() {}, onClose() {} };
    });
    bound.close();
    expect(() => bindPort(HOST, bound.port)).toThrow(CodisError);

    main.stop();
    for (let i = 0; i < 10; i++) {
      const client = await connect(bound.port);
      await client.ended.promise;
      expect(client.text).toBe("worker");
      client.connection.close();
      await client.closed.promise;
    }
    expect(await answer("stop")).toBe("stopped");
    assertPortFree(`${HOST}:${bound.port}`);
    worker.terminate();
  });

  test("stop leaves open connections alone", async () => {
    const port = serve((connection) => {
      const side = new Recorder(connection);
      side.onChunk = () => side.send("still here");
      void side.ended.promise.then(() => connection.close());
      return side;
    });
    const client = await connect(port);
    listeners.pop()!.stop();
    const got = Promise.withResolvers<void>();
    client.onChunk = () => got.resolve();
    client.send("x");
    await got.promise;
    expect(client.text).toBe("still here");
    client.connection.close();
    await client.closed.promise;
  });
});

describe("dial", () => {
  test("a refused connection is an error that names address and cause", async () => {
    const bound = bindPort(HOST, 0);
    bound.close();
    const failed = await dial(HOST, bound.port, { timeoutMs: TIMEOUT_MS }, () =>
      expect.unreachable(),
    ).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(CodisError);
    expect((failed as CodisError).code).toBe("unavailable");
    expect(errorText(failed)).toBe(`Cannot connect to ${HOST}:${bound.port}: connection refused`);
  });

  test("a name that does not exist is an error that names it", async () => {
    const failed = await dial("no.such.host.invalid", 1, { timeoutMs: TIMEOUT_MS }, () =>
      expect.unreachable(),
    ).catch((error: unknown) => error);
    expect(errorText(failed)).toMatch(
      /^Cannot connect to no\.such\.host\.invalid:1: .*not ?found/i,
    );
  });

  test("a late attempt is given up, and ended should it succeed later", async () => {
    // Nobody has called accept yet and the queue is full: the kernel answers no further SYN.
    const bound = bindPort(HOST, 0);
    const opened: string[] = [];
    const fillers: Promise<Recorder | undefined>[] = [];
    const attempts = 600;
    const timedOut = Promise.withResolvers<CodisError>();
    for (let i = 0; i < attempts; i++) {
      fillers.push(
        dial(HOST, bound.port, { timeoutMs: 300 }, (connection) => {
          opened.push("opened");
          return new Recorder(connection);
        }).then(
          (connection) => {
            connection.destroy();
            return undefined;
          },
          (error: CodisError) => {
            timedOut.resolve(error);
            return undefined;
          },
        ),
      );
    }
    const error = await timedOut.promise;
    expect(error.code).toBe("timeout");
    expect(errorText(error)).toBe(
      `Cannot connect to ${HOST}:${bound.port}: no connection within 300 ms`,
    );
    await Promise.all(fillers);
    const before = opened.length;
    // Whoever succeeds from now on is late.
    let accepted = 0;
    const someLate = Promise.withResolvers<void>();
    listeners.push(
      listen(bound.share(), (connection) => {
        if (++accepted > before) someLate.resolve();
        return new Recorder(connection);
      }),
    );
    bound.close();
    await someLate.promise;
    expect(opened.length).toBe(before);
  });
});
