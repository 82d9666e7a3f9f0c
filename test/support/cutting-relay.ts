/**
 * A relay to a server that counts what a source sends over it, and cuts the connection at a chosen
 * message: before it reaches the server, or after it has, so that the answer is lost.
 */

import { REQUEST_READY, RequestDecoder } from "../../src/resp/decoder.ts";
import { encodeRequest } from "../../src/resp/encoder.ts";
import { ReplyDecoder } from "../../src/resp/reply-decoder.ts";

export interface Cut {
  /** Messages of SLOTSRESTORE-ASYNC that pass. */
  readonly passed: number;
  /** The next one still reaches the server, which has answered it when the connection is cut. */
  readonly losesAnswer: boolean;
}

/** Of one answer to a message. */
const ANSWER_BYTES_MAX = 1024;

interface Link {
  readonly up: Promise<Bun.Socket<undefined>>;
  readonly decoder: RequestDecoder;
  readonly answers: ReplyDecoder;
  /** Answers that have not come. */
  awaited: number;
  isCut: boolean;
}

export class CuttingRelay {
  readonly port: number;
  /** Messages that reached the server. */
  passed = 0;
  cut: Cut | undefined;
  readonly #listener: Bun.TCPSocketListener;

  constructor(targetPort: number) {
    this.#listener = Bun.listen<Link>({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open: (down) => {
          const link: Link = {
            decoder: new RequestDecoder("server"),
            answers: new ReplyDecoder(ANSWER_BYTES_MAX),
            awaited: 0,
            isCut: false,
            up: Bun.connect<undefined>({
              hostname: "127.0.0.1",
              port: targetPort,
              socket: {
                data: (_, chunk) => this.#answer(down, link, chunk),
                close: () => void down.end(),
              },
            }),
          };
          down.data = link;
        },
        data: (down, chunk) => {
          down.data.decoder.feed(chunk);
          void down.data.up.then((up) => this.#pass(down, up, down.data));
        },
        close: (down) => void down.data.up.then((up) => up.end()),
      },
    });
    this.port = this.#listener.port;
  }

  #answer(down: Bun.Socket<Link>, link: Link, chunk: Buffer): void {
    link.answers.feed(Buffer.from(chunk));
    while (link.answers.next() !== undefined) link.awaited--;
    if (!link.isCut) down.write(chunk);
    else if (link.awaited === 0) down.terminate();
  }

  #pass(down: Bun.Socket<Link>, up: Bun.Socket<undefined>, link: Link): void {
    const { decoder } = link;
    while (!link.isCut && decoder.next() === REQUEST_READY) {
      const words = Array.from({ length: decoder.argc }, (_, i) =>
        Buffer.from(decoder.buf.subarray(decoder.args[2 * i], decoder.args[2 * i + 1])),
      );
      const isMessage = words[0]!.toString() === "SLOTSRESTORE-ASYNC";
      const isCut = isMessage && this.cut !== undefined && this.passed >= this.cut.passed;
      if (isCut && !this.cut!.losesAnswer) {
        down.terminate();
        return;
      }
      link.isCut = isCut;
      link.awaited++;
      up.write(encodeRequest(words));
      if (isMessage) this.passed++;
    }
  }

  stop(): void {
    this.#listener.stop(true);
  }
}
