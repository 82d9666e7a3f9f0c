/**
 * A TCP relay on loopback between clients and a server: a network that can hold what clients have
 * sent, and deliver it when they are long gone. Connections made while it holds pass freely.
 */

import { connect, createServer, type Server, type Socket } from "node:net";

interface Way {
  readonly client: Socket;
  readonly server: Socket;
  isHeld: boolean;
  readonly held: Buffer[];
}

export class HoldingRelay {
  readonly #ways: Way[] = [];
  readonly #listener: Server;
  #arrived: () => void = () => {};

  private constructor(serverPort: number) {
    this.#listener = createServer((client) => this.#accept(client, serverPort));
  }

  static async start(serverPort: number): Promise<HoldingRelay> {
    const relay = new HoldingRelay(serverPort);
    await new Promise<void>((resolve) => relay.#listener.listen(0, "127.0.0.1", resolve));
    return relay;
  }

  get port(): number {
    const address = this.#listener.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  #accept(client: Socket, serverPort: number): void {
    const server = connect(serverPort, "127.0.0.1");
    const way: Way = { client, server, isHeld: false, held: [] };
    this.#ways.push(way);
    client.on("data", (chunk: Buffer) => {
      if (!way.isHeld) {
        server.write(chunk);
        return;
      }
      way.held.push(chunk);
      this.#arrived();
    });
    client.on("end", () => {
      if (!way.isHeld) server.end();
    });
    server.on("data", (chunk) => void client.write(chunk));
    server.on("end", () => void client.end());
    for (const socket of [client, server]) socket.on("error", () => {});
  }

  /**
   * From now on nothing arrives that is sent over the connections of this moment.
   * @returns when something was sent
   */
  hold(): Promise<void> {
    for (const way of this.#ways) way.isHeld = true;
    return new Promise((resolve) => {
      this.#arrived = resolve;
    });
  }

  /** What was held arrives, or is refused. Resolves when the server has closed its ends. */
  async release(): Promise<void> {
    const closed = this.#ways.map(({ server, isHeld, held }) => {
      if (!isHeld || server.destroyed) return undefined;
      const isClosed = new Promise<void>((resolve) => server.on("close", () => resolve()));
      for (const bytes of held.splice(0)) server.write(bytes);
      server.end();
      return isClosed;
    });
    await Promise.all(closed);
  }

  stop(): void {
    this.#listener.close();
    for (const { client, server } of this.#ways) {
      client.destroy();
      server.destroy();
    }
  }
}
