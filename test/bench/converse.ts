/** Prepared requests sent to a server over one connection, a batch when the one before is answered. */

import { encodeRequest } from "../../src/resp/encoder.ts";

const NEWLINE = 0x0a;
const MINUS = 0x2d;
/** Requests of one batch of `sendAll`. */
const BATCH_REQUESTS = 1000;

/** A request, word by word. */
export type Words = readonly (string | number)[];

export interface Batch {
  readonly bytes: Buffer;
  /** Of the replies. */
  readonly lines: number;
}

/**
 * Sends each batch when the one before is answered, until there are none.
 * @param next a batch of requests, and the lines their replies have together; undefined at the end
 */
export async function converse(port: number, next: () => Batch | undefined): Promise<void> {
  const done = Promise.withResolvers<void>();
  let owed = 0;
  let unsent: Buffer = Buffer.alloc(0);
  const send = (socket: Bun.Socket<undefined>): void => {
    const taken = Math.max(0, socket.write(unsent));
    unsent = unsent.subarray(taken);
  };
  const sendNext = (socket: Bun.Socket<undefined>): void => {
    const batch = next();
    if (batch === undefined) {
      done.resolve();
      return;
    }
    owed = batch.lines;
    unsent = batch.bytes;
    send(socket);
  };
  const socket = await Bun.connect<undefined>({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(socket, chunk) {
        if (chunk[0] === MINUS) done.reject(new Error(`refused: ${chunk.toString("latin1")}`));
        for (const byte of chunk) if (byte === NEWLINE) owed--;
        if (owed === 0) sendNext(socket);
      },
      drain: send,
      close: () => done.reject(new Error("connection lost")),
      error: (_, error) => done.reject(error),
    },
  });
  sendNext(socket);
  await done.promise;
  done.promise.catch(() => {});
  socket.end();
}

export function batchOf(requests: readonly Words[], linesEach: number): Batch {
  const bytes = Buffer.concat(requests.map((words) => encodeRequest(words)));
  return { bytes, lines: requests.length * linesEach };
}

/** Requests 0 to `count` - 1, each answered by one line, in batches. */
export async function sendAll(
  port: number,
  count: number,
  request: (i: number) => Words,
): Promise<void> {
  let at = 0;
  await converse(port, () => {
    if (at === count) return undefined;
    const first = at;
    at = Math.min(count, at + BATCH_REQUESTS);
    return batchOf(
      Array.from({ length: at - first }, (_, i) => request(first + i)),
      1,
    );
  });
}
