/**
 * One connection that sends some bytes, whole or byte by byte, and gathers what comes back until it
 * is closed. Byte by byte means one byte per turn, so that the other side gets them in as many
 * pieces.
 *
 *   connect ─> send ─> half-close, or leave the closing to the other side ─> closed
 *
 * What takes longer than EXCHANGE_MS_MAX is cut off and says so.
 */

/** The limit for an input to end. */
const EXCHANGE_MS_MAX = 1000;
/** How often exchanges are looked at for having taken too long. */
const WATCH_MS = 50;

export interface Outgoing {
  /** Sent in one go, before `bytes`. */
  readonly prologue: Buffer;
  readonly bytes: Buffer;
  readonly isBytewise: boolean;
  /** Otherwise the other side must close. */
  readonly halfCloses: boolean;
}

export interface Outcome {
  readonly received: Buffer;
  readonly isTimedOut: boolean;
  readonly tookMs: number;
}

interface Exchange {
  readonly socket: Bun.Socket<undefined>;
  readonly outgoing: Outgoing;
  readonly beganMs: number;
  readonly received: Buffer[];
  unsent: Buffer;
  /** Byte by byte: how many are sent. */
  bytesSent: number;
  isTimedOut: boolean;
}

const live = new Set<Exchange>();
const bytewise = new Set<Exchange>();
let watch: NodeJS.Timeout | undefined;

/** Rejects only when the connection is refused. */
export async function exchange(port: number, outgoing: Outgoing): Promise<Outcome> {
  const done = Promise.withResolvers<void>();
  const received: Buffer[] = [];
  let current: Exchange | undefined;
  const beganMs = performance.now();
  const socket = await Bun.connect<undefined>({
    hostname: "127.0.0.1",
    port,
    allowHalfOpen: true,
    socket: {
      data: (_, chunk) => void received.push(chunk),
      drain: () => void (current !== undefined && send(current)),
      end: (socket) => void socket.end(),
      close: () => done.resolve(),
      error: () => done.resolve(),
    },
  });
  const { prologue, bytes, isBytewise } = outgoing;
  const unsent = isBytewise ? prologue : Buffer.concat([prologue, bytes]);
  const started = { socket, outgoing, beganMs, received, unsent, bytesSent: 0, isTimedOut: false };
  current = started;
  live.add(started);
  watch ??= setInterval(cutOffSlow, WATCH_MS);
  send(started);
  if (isBytewise) {
    bytewise.add(started);
    if (bytewise.size === 1) setImmediate(sendNextBytes);
  }
  await done.promise;
  live.delete(started);
  bytewise.delete(started);
  if (live.size === 0) {
    clearInterval(watch);
    watch = undefined;
  }
  return {
    received: Buffer.concat(received),
    isTimedOut: started.isTimedOut,
    tookMs: performance.now() - beganMs,
  };
}

function send(exchange: Exchange): void {
  const { socket, outgoing, unsent } = exchange;
  const taken = unsent.length === 0 ? 0 : Math.max(0, socket.write(unsent));
  exchange.unsent = unsent.subarray(taken);
  if (exchange.unsent.length === 0 && !outgoing.isBytewise && outgoing.halfCloses)
    socket.shutdown();
}

function sendNextBytes(): void {
  for (const exchange of bytewise) {
    const { socket, outgoing } = exchange;
    const { bytes, halfCloses } = outgoing;
    const at = exchange.bytesSent++;
    if (at < bytes.length) socket.write(bytes.subarray(at, at + 1));
    if (at + 1 < bytes.length) continue;
    if (halfCloses) socket.shutdown();
    bytewise.delete(exchange);
  }
  if (bytewise.size > 0) setImmediate(sendNextBytes);
}

function cutOffSlow(): void {
  const nowMs = performance.now();
  for (const exchange of live) {
    if (nowMs - exchange.beganMs <= EXCHANGE_MS_MAX) continue;
    exchange.isTimedOut = true;
    exchange.socket.terminate();
  }
}
