/**
 * Writes keys one after the other, so that after it each of them exists: `SET key:000000000042 <32
 * bytes>`, over several connections, each with one pipeline on the way. It costs the loading
 * process little, so that the loaded one is what takes the time.
 */

import { encodeRequest } from "../../src/resp/encoder.ts";
import { CONNECTIONS, FILL, VALUE_BYTES } from "./load.ts";

const NUMBER_DIGITS = 12;
const OK_BYTES = "+OK\r\n".length;
const MINUS = 0x2d;
const ZERO = 0x30;

/** What is written, with a number of NUMBER_DIGITS behind the prefix. */
export interface Filling {
  readonly prefix: string;
  readonly value: string;
}

/** Keys of GET and SET. */
export const KEYS: Filling = { prefix: "key:", value: "x".repeat(VALUE_BYTES) };
/** Keys of INCR. */
export const COUNTERS: Filling = { prefix: "counter:", value: "1" };

interface Filler {
  /** Keys [next, end) are to be written. */
  next: number;
  readonly end: number;
  readonly pipeline: Buffer;
  readonly requestBytes: number;
  /** Where the last digit of a request's key stands. */
  readonly lastDigit: number;
  /** Of `pipeline`, what is not sent. */
  unsent: Buffer;
  /** Bytes of replies to come. */
  owed: number;
}

/** Writes keys 0 to `count` - 1. Throws when one is refused. */
export async function fill(port: number, count: number, filling = KEYS): Promise<void> {
  const share = Math.ceil(count / CONNECTIONS);
  const fillers = Array.from({ length: FILL.connections }, (_, i) => {
    return fillRange(port, i * share, Math.min(count, (i + 1) * share), filling);
  });
  await Promise.all(fillers);
}

async function fillRange(
  port: number,
  from: number,
  end: number,
  { prefix, value }: Filling,
): Promise<void> {
  const done = Promise.withResolvers<void>();
  const key = prefix + "0".repeat(NUMBER_DIGITS);
  const request = encodeRequest(["SET", key, value]);
  const pipeline = Buffer.concat(Array.from({ length: FILL.pipeline }, () => request));
  const filler: Filler = {
    next: from,
    end,
    pipeline,
    requestBytes: request.length,
    lastDigit: request.indexOf(key) + key.length - 1,
    unsent: pipeline.subarray(0, 0),
    owed: 0,
  };
  const socket = await Bun.connect<undefined>({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(socket, chunk) {
        if (chunk.includes(MINUS)) done.reject(new Error(`SET refused: ${chunk.toString()}`));
        filler.owed -= chunk.length;
        if (filler.owed > 0) return;
        if (filler.next === filler.end) {
          done.resolve();
          return;
        }
        prepare(filler);
        send(socket, filler);
      },
      drain: (socket) => send(socket, filler),
      close: () => done.reject(new Error("connection lost while filling")),
      error: (_, error) => done.reject(error),
    },
  });
  if (from < end) {
    prepare(filler);
    send(socket, filler);
    await done.promise;
  }
  done.promise.catch(() => {});
  socket.end();
}

/** Writes the next numbers into the prepared requests. */
function prepare(filler: Filler): void {
  const requests = Math.min(FILL.pipeline, filler.end - filler.next);
  for (let i = 0; i < requests; i++) {
    let rest = filler.next + i;
    const last = i * filler.requestBytes + filler.lastDigit;
    for (let digit = 0; digit < NUMBER_DIGITS; digit++) {
      filler.pipeline[last - digit] = ZERO + (rest % 10);
      rest = Math.floor(rest / 10);
    }
  }
  filler.next += requests;
  filler.owed = requests * OK_BYTES;
  filler.unsent = filler.pipeline.subarray(0, requests * filler.requestBytes);
}

function send(socket: Bun.Socket<undefined>, filler: Filler): void {
  if (filler.unsent.length === 0) return;
  const taken = Math.max(0, socket.write(filler.unsent));
  filler.unsent = filler.unsent.subarray(taken);
}
