/**
 * The body of a request at an admin port. Nothing of it is taken from the socket before a route has
 * asked for it, that is, before it is known who asks for what and whether they may; so what others
 * send costs no memory.
 *
 *   read by a route ──> kept, at most ADMIN_BODY_BYTES_MAX, all bodies of the port BODIES_BYTES_MAX
 *   drop, afterwards ─> the rest is taken and thrown away, so that the caller gets to the answer;
 *                       after DROPPED_BYTES_MAX the connection must be closed instead
 */

import type { IncomingMessage } from "node:http";
import { CodisError } from "../base/errors.ts";

/** A body above this is refused: 1024 slots with many replicas each take about 1 MiB. */
export const ADMIN_BODY_BYTES_MAX = 8 * 1024 * 1024;
/** All bodies that one port keeps at a time. */
export const BODIES_BYTES_MAX = 64 * 1024 * 1024;
/** Of a body nobody wants. */
export const DROPPED_BYTES_MAX = 2 * ADMIN_BODY_BYTES_MAX;

/** What the bodies of one port may take together. */
export class BodyBudget {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** @throws CodisError "limit" when they do not fit beside what others have taken */
  take(bytes: number): void {
    if (this.#bytes + bytes > this.#bytesMax) {
      const text = `request bodies must not be larger than ${this.#bytesMax} bytes together`;
      throw new CodisError("limit", `${text}: try again when others have been answered`);
    }
    this.#bytes += bytes;
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
  }
}

export class RequestBody {
  readonly #message: IncomingMessage;
  readonly #budget: BodyBudget;
  #isStarted = false;
  #hasEnded = false;
  /** What has come, while a route wants it. */
  #kept: Buffer[] | undefined;
  #keptBytes = 0;
  #seenBytes = 0;
  /** Rejects when it cannot be kept. */
  readonly #whole = Promise.withResolvers<Buffer>();
  readonly #end = Promise.withResolvers<"whole" | "cut" | "too long">();

  constructor(message: IncomingMessage, budget: BodyBudget) {
    this.#message = message;
    this.#budget = budget;
    // Whether anybody waits for it is up to the route.
    this.#whole.promise.catch(() => {});
  }

  /** @throws CodisError "limit" or, when the caller goes away meanwhile, "unavailable" */
  read(): Promise<Buffer> {
    if (Number(this.#message.headers["content-length"] ?? 0) > ADMIN_BODY_BYTES_MAX) {
      this.#refuse(tooLarge());
    } else if (!this.#isStarted) {
      this.#kept = [];
      this.#start();
    }
    return this.#whole.promise;
  }

  /** Takes the rest from the socket. Idempotent. @returns how the body ended */
  drop(): Promise<"whole" | "cut" | "too long"> {
    this.#start();
    return this.#end.promise;
  }

  /** Its bytes are used no more. */
  release(): void {
    this.#budget.release(this.#keptBytes);
    this.#keptBytes = 0;
    this.#kept = undefined;
  }

  #start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    const message = this.#message;
    message.on("data", (chunk: Buffer) => this.#arrived(chunk));
    message.once("end", () => {
      this.#hasEnded = true;
      this.#whole.resolve(Buffer.concat(this.#kept ?? []));
      this.#end.resolve("whole");
    });
    message.once("close", () => {
      if (this.#hasEnded) return;
      this.#refuse(new CodisError("unavailable", "the caller left before its request had come"));
      this.#end.resolve("cut");
    });
  }

  #arrived(chunk: Buffer): void {
    this.#seenBytes += chunk.length;
    if (this.#kept !== undefined) this.#keep(this.#kept, chunk);
    if (this.#seenBytes <= DROPPED_BYTES_MAX) return;
    this.#message.pause();
    this.#end.resolve("too long");
  }

  #keep(kept: Buffer[], chunk: Buffer): void {
    try {
      if (this.#seenBytes > ADMIN_BODY_BYTES_MAX) throw tooLarge();
      this.#budget.take(chunk.length);
      this.#keptBytes += chunk.length;
      kept.push(chunk);
    } catch (error) {
      this.#refuse(error);
    }
  }

  #refuse(error: unknown): void {
    this.#whole.reject(error);
    this.release();
  }
}

function tooLarge(): CodisError {
  const text = `request body must not be larger than ${ADMIN_BODY_BYTES_MAX} bytes`;
  return new CodisError("limit", text);
}
