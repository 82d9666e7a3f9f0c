/** A connection that shows replies as the bytes they are, one at a time. */

import { encodeRequest } from "../../src/resp/encoder.ts";
import { ReplyScanner } from "../../src/resp/reply-scanner.ts";

export class RawConnection {
  readonly #socket: Bun.Socket<undefined>;
  readonly #scanner = new ReplyScanner();
  #received: Buffer = Buffer.alloc(0);
  #isClosed = false;
  #wake: () => void = () => {};
  #drain: () => void = () => {};

  private constructor(socket: Bun.Socket<undefined>) {
    this.#socket = socket;
  }

  static async open(port: number): Promise<RawConnection> {
    let connection: RawConnection;
    await Bun.connect<undefined>({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => {
          connection = new RawConnection(socket);
        },
        data: (_, chunk) => connection.#arrived(chunk),
        drain: () => connection.#drain(),
        close: () => connection.#closed(),
        error: () => connection.#closed(),
      },
    });
    return connection!;
  }

  #arrived(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    this.#wake();
  }

  #closed(): void {
    this.#isClosed = true;
    this.#wake();
  }

  /** Small requests: the kernel takes them whole. */
  send(args: readonly (string | Buffer | number)[]): void {
    this.#socket.write(encodeRequest(args));
  }

  /** @returns how many of them the kernel took */
  sendBytes(bytes: Uint8Array): number {
    return Math.max(0, this.#socket.write(bytes));
  }

  /** Resolves when the kernel takes more. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#drain = resolve;
    });
  }

  /** The next reply, or what came before the peer closed. */
  async reply(): Promise<Buffer> {
    for (;;) {
      this.#scanner.reset();
      const end = this.#scanner.scan(this.#received, 0, this.#received.length);
      if (end >= 0 || this.#isClosed) {
        const reply = this.#received.subarray(0, end >= 0 ? end : this.#received.length);
        this.#received = this.#received.subarray(reply.length);
        return reply;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Something has come that was not read yet. */
  get hasReply(): boolean {
    return this.#received.length > 0;
  }

  async ask(args: readonly (string | Buffer | number)[]): Promise<Buffer> {
    this.send(args);
    return this.reply();
  }

  /** Resolves when the peer has closed. */
  async closed(): Promise<void> {
    while (!this.#isClosed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    this.#socket.end();
  }
}
