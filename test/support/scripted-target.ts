/**
 * A server that does as a test says: it takes requests, one after the other, and answers only when
 * told to. One connection at a time is its current one; a new one takes its place. CLIENT SETNAME
 * and CLIENT LIST it answers by itself.
 */

import { REQUEST_READY, RequestDecoder } from "../../src/resp/decoder.ts";

export class ScriptedTarget {
  readonly port: number;
  /** Connections accepted so far. */
  connections = 0;
  /** What CLIENT LIST shows: `refused` answers an error, `all` shows those that are closed too. */
  list: "alive" | "all" | "refused" = "alive";
  /** Names of all connections so far; the nth is seen as `203.0.113.9:40001`, and so on. */
  readonly names: string[] = [];
  readonly #listener: Bun.TCPSocketListener;
  #socket: Bun.Socket<undefined> | undefined;
  #decoder = new RequestDecoder("server");
  readonly #requests: Buffer[][] = [];
  #isConnected = false;
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
      const answer = this.#ownAnswer(words.map(String));
      if (answer === undefined) this.#requests.push(words);
      else this.reply(answer);
    }
    this.#wake();
  }

  /** The next request, as soon as it is there. */
  async next(): Promise<Buffer[]> {
    while (this.#requests.length === 0) await this.#event();
    return this.#requests.shift()!;
  }

  #ownAnswer([command, subcommand, name]: readonly string[]): string | undefined {
    if (command !== "CLIENT" || subcommand === "KILL") return undefined;
    if (subcommand === "SETNAME") {
      this.names.push(name!);
      return "+OK\r\n";
    }
    if (this.list === "refused") return "-ERR unknown command 'CLIENT'\r\n";
    const lines = this.names.map(
      (text, i) => `id=${i} addr=203.0.113.9:${40_001 + i} name=${text}\n`,
    );
    const shown = lines.slice(this.list === "all" ? 0 : -1).join("");
    return `$${shown.length}\r\n${shown}\r\n`;
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
    this.#socket!.write(text);
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
