/**
 * Connections to targets that failed with requests unanswered: by target (`host:port` as callers
 * wrote it), the addresses under which the target knows them. Their requests may lie unread in the
 * target's socket, to be executed after newer ones, so the next link has the target close them.
 */

export class FailedLinks {
  readonly #byTarget = new Map<string, string[]>();

  /** The list of a target, shared by all its links; addresses leave it once they are dealt with. */
  of(target: string): string[] {
    const known = this.#byTarget.get(target) ?? [];
    this.#byTarget.set(target, known);
    return known;
  }
}
