/**
 * A server that does as a test says: it takes requests, one after the other, and answers only when
 * told to. One connection at a time is its current one; a new one takes its place. CLIENT INFO it
 * answers by itself, in its place: at once, or behind the answer to AUTH.
 */

import { REQUEST_READY, RequestDecoder } from "../../src/resp/decoder.ts";

export class ScriptedTarget {
  readonly port: number;
  /** Connections accepted so far. */
  connections = 0;
  /** What CLIENT INFO tells of the peer's address; undefined: it is not known, as before 6.2. */
  seenAs: string | undefined;
  readonly #listener: Bun.TCPSocketListener;
  #socket: Bun.Socket<undefined> | undefined;
  #decoder = new RequestDecoder("server");
  readonly #requests: Buffer[][] = [];
  #isConnected = false;
  #infoOwed = "";
  #wake: () => void = () => {};

  constructor() {
    this.#listener = Bun.listen<undefined>({
      hostname: "127.0.0.1",
      port: 0,
      allowHalfOpen: true,
      socket: {
        open: (socket) => {
          this.connections++;
          this.#isConnected = true;
          this.#socket = socket;
          this.#decoder = new RequestDecoder("server");
        },
        data: (socket, chunk) => {
          if (socket === this.#socket) this.#arrived(chunk);
        },
        close: (socket) => {
          if (socket !== this.#socket) return;
          this.#isConnected = false;
          this.#wake();
        },
        end: (socket) => void socket.end(),
        error: () => {},
      },
    });
    this.port = this.#listener.port;
  }

  #arrived(chunk: Buffer): void {
    const decoder = this.#decoder;
    decoder.feed(chunk);
    while (decoder.next() === REQUEST_READY) {
      const words: Buffer[] = [];
      for (let i = 0; i < decoder.argc; i++) {
        const { args } = decoder;
        words.push(Buffer.from(decoder.buf.subarray(args[2 * i], args[2 * i + 1])));
      }
      if (words.join(" ") !== "CLIENT INFO") this.#requests.push(words);
      else if (this.#requests.length === 0) this.reply(this.#clientInfo());
      else this.#infoOwed = this.#clientInfo();
    }
    this.#wake();
  }

  /** The next request, as soon as it is there. */
  async next(): Promise<Buffer[]> {
    while (this.#requests.length === 0) await this.#event();
    return this.#requests.shift()!;
  }

  #clientInfo(): string {
    if (this.seenAs === undefined) return "-ERR Unknown subcommand\r\n";
    const text = `id=7 addr=${this.seenAs} laddr=10.0.0.2:6379 fd=8 name= db=0\n`;
    return `$${text.length}\r\n${text}\r\n`;
  }

  /** The next request as text, payloads as `<payload>`. */
  async nextText(): Promise<string> {
    const words = await this.next();
    const isRestore = /^(SLOTS)?RESTORE$/.test(words[0]!.toString());
    return words
      .map((word, i) => (isRestore && i > 0 && i % 3 === 0 ? "<payload>" : word.toString("latin1")))
      .join(" ");
  }

  /** Sends these bytes on the current connection. */
  reply(text: string): void {
    this.#socket!.write(text + this.#infoOwed);
    this.#infoOwed = "";
  }

  /** Says that nothing more comes on the current connection; it lives until the peer closes it. */
  drop(): void {
    this.#socket!.shutdown();
  }

  /** Resolves when the current connection has ended. */
  async disconnected(): Promise<void> {
    while (this.#isConnected || this.connections === 0) await this.#event();
  }

  #event(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  stop(): void {
    this.#listener.stop(true);
  }
}
