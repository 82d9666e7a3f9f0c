/**
 * A relay to a server that counts what a source sends over it, and cuts the connection at a chosen
 * message: before it reaches the server, or after it has, so that the answer is lost.
 */

import { REQUEST_READY, RequestDecoder } from "../../src/resp/decoder.ts";
import { encodeRequest } from "../../src/resp/encoder.ts";

export interface Cut {
  /** Messages of SLOTSRESTORE-ASYNC that pass. */
  readonly passed: number;
  /** The next one still reaches the server. */
  readonly losesAnswer: boolean;
}

export class CuttingRelay {
  readonly port: number;
  /** Messages that reached the server. */
  passed = 0;
  cut: Cut | undefined;
  readonly #listener: Bun.TCPSocketListener;

  constructor(targetPort: number) {
    this.#listener = Bun.listen<{ up: Promise<Bun.Socket<undefined>>; decoder: RequestDecoder }>({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open: (down) => {
          down.data = {
            decoder: new RequestDecoder("server"),
            up: Bun.connect<undefined>({
              hostname: "127.0.0.1",
              port: targetPort,
              socket: {
                data: (_, chunk) => void down.write(chunk),
                close: () => void down.end(),
              },
            }),
          };
        },
        data: (down, chunk) => {
          down.data.decoder.feed(chunk);
          void down.data.up.then((up) => this.#pass(down, up, down.data.decoder));
        },
        close: (down) => void down.data.up.then((up) => up.end()),
      },
    });
    this.port = this.#listener.port;
  }

  #pass(down: Bun.Socket<unknown>, up: Bun.Socket<undefined>, decoder: RequestDecoder): void {
    while (decoder.next() === REQUEST_READY) {
      const words = Array.from({ length: decoder.argc }, (_, i) =>
        Buffer.from(decoder.buf.subarray(decoder.args[2 * i], decoder.args[2 * i + 1])),
      );
      const isMessage = words[0]!.toString() === "SLOTSRESTORE-ASYNC";
      const isCut = isMessage && this.cut !== undefined && this.passed >= this.cut.passed;
      if (isCut && !this.cut!.losesAnswer) {
        down.terminate();
        return;
      }
      up.write(encodeRequest(words));
      if (isMessage) this.passed++;
      if (isCut) {
        down.terminate();
        return;
      }
    }
  }

  stop(): void {
    this.#listener.stop(true);
  }
}
