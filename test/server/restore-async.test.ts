/** The receiving end of a migration link: what is no recorded row. */

import { afterEach, describe, expect, test } from "bun:test";
import { REQUEST_READY, RequestDecoder } from "../../src/resp/decoder.ts";
import { encodeRequest, type RequestArgs } from "../../src/resp/encoder.ts";
import { CRC64_BYTES, sealCrc64 } from "../../src/server/rdb/crc64.ts";
import type { Journal } from "../../src/server/state.ts";
import { type OwnServerProcess, startOwnServer } from "../support/own-server.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { sendAll } from "../support/send-all.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(changes: Record<string, string | number> = {}): Promise<OwnServerProcess> {
  const server = await startOwnServer(changes);
  closers.push(() => server.close());
  return server;
}

async function connect(server: { readonly port: number }): Promise<RawConnection> {
  const connection = await RawConnection.open(server.port);
  closers.push(() => connection.close());
  return connection;
}

type Words = readonly (string | Buffer | number)[];

async function ask(connection: RawConnection, ...words: Words): Promise<string> {
  return (await connection.ask(words)).toString("latin1");
}

function ack(code: number, text: string): string {
  const head = "*3\r\n$22\r\nSLOTSRESTORE-ASYNC-ACK\r\n";
  return `${head}$${String(code).length}\r\n${code}\r\n$${text.length}\r\n${text}\r\n`;
}

function score(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}

/** Keeps what it is told, as lines. */
class RecordingJournal implements Journal {
  readonly bufferBytes = 0;
  refusal: string | undefined;
  readonly lines: string[] = [];

  append(dbIndex: number, buf: Buffer, from: number, to: number): void {
    const decoder = new RequestDecoder("server");
    decoder.feed(Buffer.from(buf.subarray(from, to)));
    expect(decoder.next()).toBe(REQUEST_READY);
    const words = Array.from({ length: decoder.argc }, (_, i) =>
      decoder.buf.toString("latin1", decoder.args[2 * i], decoder.args[2 * i + 1]),
    );
    this.lines.push([`${dbIndex}:`, ...words].join(" "));
  }
  appendWords(dbIndex: number, words: RequestArgs): void {
    const bytes = encodeRequest(words);
    this.append(dbIndex, bytes, 0, bytes.length);
  }
  commit = (): boolean => true;
  tick(): void {}
  rewrite = (): string => "";
  close = (): Promise<void> => Promise.resolve();
  infoLines = (): readonly string[] => [];
}

describe("A refusal before a command runs is an ACK, and ends the link", () => {
  test("when memory is full", async () => {
    const server = await start();
    const client = await connect(server);
    await ask(client, "SET", "k", "v");
    await ask(client, "CONFIG", "SET", "maxmemory", "1");
    const link = await connect(server);
    const text = "OOM command not allowed when used memory > 'maxmemory'.";
    expect(await ask(link, "SLOTSRESTORE-ASYNC", "delete", "k")).toBe(ack(-1, text));
    await link.closed();
  });

  test("when changes cannot be kept", async () => {
    const server = await start();
    const journal = new RecordingJournal();
    journal.refusal = "MISCONF Errors writing to the AOF file: disk full";
    server.state.journal = journal;
    const link = await connect(server);
    expect(await ask(link, "SLOTSRESTORE-ASYNC", "string", "k", 0, "v")).toBe(
      ack(-1, journal.refusal),
    );
    await link.closed();
  });

  test("while data is being loaded, though the link may choose its database", async () => {
    const server = await start();
    server.state.isLoading = true;
    const link = await connect(server);
    expect(await ask(link, "SLOTSRESTORE-ASYNC-SELECT", 3)).toBe(ack(0, "OK"));
    expect(await ask(link, "SLOTSRESTORE-ASYNC", "delete", "k")).toBe(
      ack(-1, "LOADING Redis is loading the dataset in memory"),
    );
    await link.closed();
  });
});

test("A score that is no number is refused before anything of the chunk is added", async () => {
  const server = await start();
  const link = await connect(server);
  const words: Words = ["zset", "z", 0, 2, "a", score(1), "b", score(Number.NaN)];
  expect(await ask(link, "SLOTSRESTORE-ASYNC", ...words)).toBe(
    ack(-1, "invalid zset score ([1]), not a number"),
  );
  await link.closed();
  expect(await ask(await connect(server), "EXISTS", "z")).toBe(":0\r\n");
});

test.each([
  ["an empty collection", "02000600"],
  ["the same field twice", "0402016601760166017806 00".replaceAll(" ", "")],
  ["bytes behind the body", "000161780600"],
])("A payload with %s is refused as a whole", async (_, hex) => {
  const body = Buffer.from(hex, "hex");
  const payload = Buffer.concat([body, Buffer.alloc(CRC64_BYTES)]);
  sealCrc64(payload, 0, body.length);
  const server = await start();
  const link = await connect(server);
  expect(await ask(link, "SLOTSRESTORE-ASYNC", "object", "k", 0, payload)).toBe(
    ack(-1, "invalid payload body"),
  );
  await link.closed();
  expect(await ask(await connect(server), "DBSIZE")).toBe(":0\r\n");
});

test("A key too long to be one is refused by an ACK", async () => {
  const link = await connect(await start());
  await sendAll(link, ["SLOTSRESTORE-ASYNC", "string", Buffer.alloc(1 << 26, "k"), 0, "v"]);
  const text = "ERR keys, fields and members must be shorter than 64 MiB";
  expect((await link.reply()).toString("latin1")).toBe(ack(-1, text));
});

test("What is logged are standard commands with absolute times", async () => {
  const server = await start();
  const journal = new RecordingJournal();
  server.state.journal = journal;
  const now = server.clock.now();
  server.clock.now = () => now;
  const link = await connect(server);
  const part = (...words: Words) => ask(link, "SLOTSRESTORE-ASYNC", ...words);
  await ask(link, "SLOTSRESTORE-ASYNC-SELECT", 2);
  await part("delete", "s");
  await part("string", "s", 5000, "v");
  await part("string", "forever", 0, "v");
  await part("delete", "s");
  await part("list", "l", 3000, 3, "a", "b");
  await part("list", "l", 3000, 3);
  await part("expire", "l", 0);
  await part("hash", "h", 0, 1, "f", "v");
  await part("dict", "d", 0, 1, "m");
  await part("zset", "z", 9000, 2, "m", score(-0.1), "n", score(Number.POSITIVE_INFINITY));
  await part("expire", "z", 100);
  await part("expire", "h", 0);
  const later = (ms: number): number => now + ms;
  expect(journal.lines).toEqual([
    `2: SET s v PXAT ${later(5000)}`,
    "2: SET forever v",
    "2: DEL s",
    "2: MULTI",
    "2: RPUSH l a b",
    `2: PEXPIREAT l ${later(3000)}`,
    "2: EXEC",
    `2: PEXPIREAT l ${later(3000)}`,
    "2: PERSIST l",
    "2: HSET h f v",
    "2: SADD d m",
    "2: MULTI",
    "2: ZADD z -0.10000000000000001 m inf n",
    `2: PEXPIREAT z ${later(9000)}`,
    "2: EXEC",
    `2: PEXPIREAT z ${later(100)}`,
  ]);
});
