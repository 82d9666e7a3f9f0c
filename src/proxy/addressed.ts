/**
 * Pure: a request that goes to a server named by its address, not by a slot. It waits as a Passage
 * does while that server's connection is full. No slot counts it: what is sent so changes nothing,
 * and a connection that is released completes what it has.
 */

import type { Command } from "../commands/lookup.ts";
import { backendNotFound, errorLine } from "./replies.ts";
import type { Router } from "./router.ts";
import type { Session } from "./session.ts";
import type { PendingDispatch } from "./session-port.ts";
import type { Resumable } from "./turn.ts";
import type { Waiters } from "./waiters.ts";

export class Addressed implements PendingDispatch, Resumable {
  readonly #session: Session;
  readonly #command: Command;
  readonly #router: Router;
  readonly #address: string;
  readonly #bytes: Buffer;
  #queue: Waiters | undefined;

  /** @param bytes what the server is sent */
  constructor(session: Session, command: Command, router: Router, address: string, bytes: Buffer) {
    this.#session = session;
    this.#command = command;
    this.#router = router;
    this.#address = address;
    this.#bytes = bytes;
  }

  retry(): boolean {
    this.cancel();
    const session = this.#session;
    const { id } = this.#command;
    const backend = this.#router.findBackend(this.#address, session);
    if (backend === undefined) {
      session.answer(id, errorLine(backendNotFound(this.#address)));
      return true;
    }
    if (backend.isFull) {
      this.#queue = backend.waiters;
      this.#queue.add(this);
      return false;
    }
    backend.push(session.begin(id), this.#bytes, 0, this.#bytes.length);
    return true;
  }

  cancel(): void {
    this.#queue?.remove(this);
  }

  resume(): void {
    this.#session.port.turn.wake(this.#session);
  }
}
