/**
 * A server that answers with whatever bytes it is given. It waits for a number of requests, then
 * plays the bytes, whole or one per turn, and ends as told. With nothing to play it is a good
 * server: it answers a GET with the key.
 */

import { REQUEST_READY, RequestDecoder } from "../../src/resp/decoder.ts";

export interface Script {
  /** Requests that are awaited before the bytes are played. */
  readonly requests: number;
  readonly bytes: Buffer;
  readonly isBytewise: boolean;
  /** What then becomes of the connection: it stays, we close it, or the other side must. */
  readonly ending: "stays" | "closed by us" | "closed by them";
}

interface Connection {
  readonly decoder: RequestDecoder;
  unsent: Buffer[];
}

type Socket = Bun.Socket<Connection>;

export class ScriptedBackend {
  readonly #listener: Bun.TCPSocketListener<Connection>;
  readonly #sockets = new Set<Socket>();
  #script: Script | undefined;
  #requests = 0;
  #ended: (() => void) | undefined;

  constructor() {
    this.#listener = Bun.listen<Connection>({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open: (socket) => {
          socket.data = { decoder: new RequestDecoder("server"), unsent: [] };
          this.#sockets.add(socket);
        },
        data: (socket, chunk) => this.#received(socket, chunk),
        drain: (socket) => this.#sendRest(socket),
        close: (socket) => {
          this.#sockets.delete(socket);
          // Whoever closes in the middle of a script has ended it.
          if (this.#requests > 0) this.#end();
        },
      },
    });
  }

  get port(): number {
    return this.#listener.port;
  }

  /** Resolves when the bytes are played and the connection is as `script.ending` says. */
  play(script: Script): Promise<void> {
    this.#script = script;
    this.#requests = 0;
    return new Promise((resolve) => {
      this.#ended = resolve;
    });
  }

  /** Forgets the script and closes all connections. */
  abort(): void {
    this.#end();
    for (const socket of this.#sockets) socket.terminate();
  }

  stop(): void {
    this.#listener.stop(true);
  }

  #received(socket: Socket, chunk: Buffer): void {
    const { decoder } = socket.data;
    decoder.feed(chunk);
    while (decoder.next() === REQUEST_READY) {
      const { buf, args, argc } = decoder;
      const script = this.#script;
      if (script === undefined) {
        const key = argc < 2 ? "" : buf.latin1Slice(args[2]!, args[3]!);
        this.#send(socket, Buffer.from(`$${key.length}\r\n${key}\r\n`, "latin1"));
      } else if (++this.#requests === script.requests) {
        this.#play(socket, script);
      }
    }
  }

  #play(socket: Socket, script: Script): void {
    const { bytes, isBytewise } = script;
    if (!isBytewise) {
      this.#send(socket, bytes);
      this.#played(socket, script);
      return;
    }
    let at = 0;
    const playNext = (): void => {
      if (this.#script !== script) return;
      if (at < bytes.length) {
        socket.write(bytes.subarray(at, ++at));
        setImmediate(playNext);
      } else {
        this.#played(socket, script);
      }
    };
    playNext();
  }

  #played(socket: Socket, { ending }: Script): void {
    if (ending === "closed by them") return;
    if (ending === "stays") {
      this.#end();
      return;
    }
    // After what the socket has not taken yet.
    if (socket.data.unsent.length === 0) socket.end();
  }

  #end(): void {
    this.#script = undefined;
    this.#requests = 0;
    this.#ended?.();
    this.#ended = undefined;
  }

  #send(socket: Socket, bytes: Buffer): void {
    socket.data.unsent.push(bytes);
    this.#sendRest(socket);
  }

  #sendRest(socket: Socket): void {
    const { unsent } = socket.data;
    while (unsent.length > 0) {
      const bytes = unsent[0]!;
      const taken = bytes.length === 0 ? 0 : Math.max(0, socket.write(bytes));
      if (taken < bytes.length) {
        unsent[0] = bytes.subarray(taken);
        return;
      }
      unsent.shift();
    }
    if (this.#script?.ending === "closed by us" && this.#requests > 0) socket.end();
  }
}
