/**
 * A stock redis-server that says what the right answers are: one connection, many questions on the
 * way, replies as they stand on the wire.
 */

import { REPLY_ERROR, REPLY_INCOMPLETE, ReplyScanner } from "../../src/resp/reply-scanner.ts";

interface Question {
  readonly count: number;
  readonly replies: string[];
  resolve(replies: readonly string[]): void;
  reject(error: Error): void;
}

export class Reference {
  readonly #socket: Bun.Socket<undefined>;
  readonly #questions: Question[] = [];
  readonly #scanner = new ReplyScanner();
  #partial = "";
  #unsent: Buffer[] = [];

  private constructor(socket: Bun.Socket<undefined>) {
    this.#socket = socket;
  }

  static async connect(port: number): Promise<Reference> {
    let reference: Reference | undefined;
    const socket = await Bun.connect<undefined>({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_, chunk) => reference!.#received(chunk),
        drain: () => reference!.#send(),
        close: () => {
          if (reference !== undefined) reference.#lost();
        },
      },
    });
    reference = new Reference(socket);
    return reference;
  }

  /** @param requests whole ones, `count` of them. @returns their replies, latin1 */
  ask(requests: string, count: number): Promise<readonly string[]> {
    return new Promise((resolve, reject) => {
      this.#questions.push({ count, replies: [], resolve, reject });
      this.#unsent.push(Buffer.from(requests, "latin1"));
      this.#send();
    });
  }

  close(): void {
    this.#socket.end();
  }

  #send(): void {
    while (this.#unsent.length > 0) {
      const bytes = this.#unsent[0]!;
      const taken = Math.max(0, this.#socket.write(bytes));
      if (taken < bytes.length) {
        this.#unsent[0] = bytes.subarray(taken);
        return;
      }
      this.#unsent.shift();
    }
  }

  #received(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const next = this.#scanner.scan(chunk, at, chunk.length);
      if (next === REPLY_ERROR) throw new Error(`the reference answers: ${this.#scanner.error}`);
      this.#partial += chunk.latin1Slice(at, next === REPLY_INCOMPLETE ? chunk.length : next);
      if (next === REPLY_INCOMPLETE) return;
      at = next;
      const question = this.#questions[0]!;
      question.replies.push(this.#partial);
      this.#partial = "";
      if (question.replies.length < question.count) continue;
      this.#questions.shift();
      question.resolve(question.replies);
    }
  }

  #lost(): void {
    for (const question of this.#questions.splice(0)) {
      question.reject(new Error("the reference has gone away"));
    }
  }
}
