import { afterEach, expect, test } from "bun:test";
import type { Socket, TCPSocketListener } from "bun";
import { CodisError } from "../../src/base/errors.ts";
import { RedisClient } from "../../src/redis/client.ts";
import { RedisPool } from "../../src/redis/pool.ts";
import type { ErrorReply } from "../../src/resp/reply.ts";
import { failureOf } from "../support/failure.ts";

/** A server that says what it is told to, and keeps what it hears. */
class ScriptedServer {
  readonly heard: string[] = [];
  connections = 0;
  /** Bytes to answer a chunk with; undefined for none. */
  answer: (text: string, socket: Socket<undefined>) => string | undefined = () => "+OK\r\n";
  readonly #listener: TCPSocketListener<undefined>;

  constructor() {
    this.#listener = Bun.listen<undefined>({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open: () => {
          this.connections++;
        },
        data: (socket, chunk) => {
          const text = chunk.toString("latin1");
          this.heard.push(text);
          const answer = this.answer(text, socket);
          if (answer !== undefined) socket.write(answer);
        },
      },
    });
  }

  get addr(): string {
    return `127.0.0.1:${this.#listener.port}`;
  }

  stop(): void {
    this.#listener.stop(true);
  }
}

const servers: ScriptedServer[] = [];
const OPTIONS = { dialTimeoutMs: 1_000, timeoutMs: 1_000 };

function scripted(): ScriptedServer {
  const server = new ScriptedServer();
  servers.push(server);
  return server;
}

afterEach(() => {
  for (const server of servers.splice(0)) server.stop();
});

test("Calls of one turn leave together and their replies come back in order", async () => {
  const server = scripted();
  server.answer = () => ":1\r\n$1\r\na\r\n-ERR no\r\n*2\r\n:3\r\n:4\r\n";
  const client = await RedisClient.connect(server.addr, OPTIONS);
  const replies = await Promise.all([
    client.call("ONE"),
    client.call("TWO", Buffer.from("x")),
    client.call("THREE"),
    client.call("FOUR", 4),
  ]);
  expect(replies[0]).toBe(1);
  expect(String(replies[1])).toBe("a");
  expect((replies[2] as ErrorReply).text).toBe("ERR no");
  expect(replies[3]).toEqual([3, 4]);
  expect(server.heard.length).toBe(1);
  client.close();
});

test("Replies that come byte by byte are put together", async () => {
  const server = scripted();
  server.answer = (_, socket) => {
    for (const byte of "*2\r\n$3\r\nfoo\r\n:7\r\n") socket.write(byte);
    return undefined;
  };
  const client = await RedisClient.connect(server.addr, OPTIONS);
  expect(await client.call("X")).toEqual([Buffer.from("foo"), 7]);
  client.close();
});

test("The password is sent first, and a refusal is told in the server's words", async () => {
  const server = scripted();
  const client = await RedisClient.connect(server.addr, { ...OPTIONS, auth: "pw" });
  expect(server.heard).toEqual(["*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n"]);
  client.close();
  server.answer = () => "-ERR Client sent AUTH, but no password is set\r\n";
  const error = await failureOf(RedisClient.connect(server.addr, { ...OPTIONS, auth: "pw" }));
  expect([error.code, error.message]).toEqual([
    "denied",
    "ERR Client sent AUTH, but no password is set",
  ]);
  server.answer = () => "-ERR unknown command 'AUTH', with args beginning with: 'pw' \r\n";
  const unknown = await failureOf(RedisClient.connect(server.addr, { ...OPTIONS, auth: "pw" }));
  expect(unknown.message).toBe("ERR unknown command 'AUTH'");
});

test("A refused connection and a bad address are told in Go's words", async () => {
  const server = scripted();
  const { addr } = server;
  server.stop();
  const refused = await failureOf(RedisClient.connect(addr, OPTIONS));
  expect(refused.message).toBe(`dial tcp ${addr}: connect: connection refused`);
  const bad = await failureOf(RedisClient.connect("127.0.0.1", OPTIONS));
  expect(bad.message).toBe("dial tcp: address 127.0.0.1: missing port in address");
});

test("A server that lets nobody in is told with its words by every call", async () => {
  const server = scripted();
  const text = "DENIED Redis is running in protected mode";
  server.answer = (_, socket) => {
    socket.end(`-${text}\r\n`);
    return undefined;
  };
  const client = await RedisClient.connect(server.addr, OPTIONS);
  const [first, second] = [client.call("A"), failureOf(client.call("B"))];
  expect(((await first) as ErrorReply).text).toBe(text);
  expect((await second).message).toBe(text);
  expect((await failureOf(client.call("C"))).message).toBe(text);
});

test("A lost connection fails every call that waits, and later ones", async () => {
  const server = scripted();
  server.answer = (_, socket) => {
    socket.end();
    return undefined;
  };
  const client = await RedisClient.connect(server.addr, OPTIONS);
  const [first, second] = [failureOf(client.call("A")), failureOf(client.call("B"))];
  expect((await first).message).toBe("EOF");
  expect((await second).message).toBe("EOF");
  expect((await failureOf(client.call("C"))).message).toBe("EOF");
  expect(client.isOpen).toBe(false);
});

test("A server that does not answer in time ends the connection", async () => {
  const server = scripted();
  server.answer = () => undefined;
  const client = await RedisClient.connect(server.addr, { ...OPTIONS, timeoutMs: 20 });
  const error = await failureOf(client.call("A"));
  expect([error.code, error.message]).toEqual(["timeout", `read tcp ${server.addr}: i/o timeout`]);
});

test("A server that always sends a little more ends the connection when the call's time is over", async () => {
  const server = scripted();
  let trickle: Timer | undefined;
  server.answer = (_, socket) => {
    trickle = setInterval(() => socket.write("x"), 5);
    return "+";
  };
  const limits = { ...OPTIONS, timeoutMs: 60_000, callTimeoutMs: 50 };
  const client = await RedisClient.connect(server.addr, limits);
  const error = await failureOf(client.call("A"));
  clearInterval(trickle);
  expect([error.code, error.message]).toEqual(["timeout", `read tcp ${server.addr}: i/o timeout`]);
});

test("A reply is cut off at its limit while it comes, an array without end too", async () => {
  const server = scripted();
  const limits = { ...OPTIONS, replyBytesMax: 4000 };
  const client = await RedisClient.connect(server.addr, limits);
  server.answer = () => `${"*1\r\n".repeat(200)}:1\r\n`;
  await client.call("A");
  server.answer = () => "*1\r\n".repeat(1001);
  const error = await failureOf(client.call("B"));
  expect([error.code, error.message]).toEqual(["limit", "a reply is longer than 4000 bytes"]);
});

test("A reply that breaks the protocol, or that nobody asked for, ends the connection", async () => {
  const server = scripted();
  server.answer = () => "?what\r\n";
  const client = await RedisClient.connect(server.addr, OPTIONS);
  await failureOf(client.call("A"));
  expect(client.isOpen).toBe(false);
  server.answer = () => "+OK\r\n+OK\r\n";
  const chatty = await RedisClient.connect(server.addr, OPTIONS);
  await chatty.call("A");
  expect(chatty.isOpen).toBe(false);
});

test("SELECT is sent only when the database changes", async () => {
  const server = scripted();
  const client = await RedisClient.connect(server.addr, OPTIONS);
  await client.select(0);
  await client.select(2);
  await client.select(2);
  expect(server.heard).toEqual(["*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n"]);
  client.close();
});

test("The pool lends a connection again, and not one whose use failed", async () => {
  const server = scripted();
  const pool = new RedisPool(OPTIONS);
  await pool.use(server.addr, (client) => client.call("A"));
  await pool.use(server.addr, (client) => client.call("B"));
  expect(server.connections).toBe(1);
  const broken = pool.use(server.addr, async () => {
    throw new CodisError("unavailable", "broken");
  });
  await failureOf(broken);
  await pool.use(server.addr, (client) => client.call("C"));
  expect(server.connections).toBe(2);
  await Promise.all([
    pool.use(server.addr, (client) => client.call("D")),
    pool.use(server.addr, (client) => client.call("E")),
  ]);
  expect(server.connections).toBe(3);
  pool.close();
});

test("Closing the pool fails the calls under way", async () => {
  const server = scripted();
  server.answer = () => undefined;
  const pool = new RedisPool(OPTIONS);
  const sent = Promise.withResolvers<void>();
  const using = failureOf(
    pool.use(server.addr, (client) => {
      const reply = client.call("A");
      sent.resolve();
      return reply;
    }),
  );
  await sent.promise;
  pool.close();
  expect((await using).code).toBe("closed");
});
