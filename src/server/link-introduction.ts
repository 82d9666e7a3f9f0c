/**
 * What a new link and its target say to each other before the first key leaves. Pure but for the
 * log: bytes in, requests out.
 *
 *   CLIENT SETNAME, CLIENT LIST ──> CLIENT KILL of each connection ──> open
 *                                   that an earlier link left
 *
 * A link that failed with requests unanswered may have left them in the target's socket or on the
 * way to it, to be executed after newer ones. What the target has not executed when it closes that
 * connection it never will. Which connections those are the target's own list says, by their names
 * (link-name.ts): that holds after a restart of this server, and behind NAT, where addresses are
 * not as we see them. A target that keeps no names or shows no list (renamed commands, ACLs) is
 * told to close the addresses of failed links that this process remembers.
 *
 * The list may be long; it is read a line at a time and nothing of it is kept.
 */

import type { Log } from "../base/log.ts";
import type { ReplyWriter } from "../resp/encoder.ts";
import { isLeftover, type LinkName } from "./link-name.ts";

/** A longer line is some client's with a very long name: only its beginning is looked at. */
const LINE_BYTES_MAX = 64 * 1024;
/** No list is longer: a line of 400 bytes for each of 160,000 clients. */
export const LIST_BYTES_MAX = 64 * 1024 * 1024;

const LF = 0x0a;
/** What follows the bytes of a bulk. */
const BULK_END_BYTES = 2;

/**
 * What a chunk led to: nothing yet, a step forward, the end. "noauth": the target wants a
 * password. "broken": it does not speak as a server does.
 */
export type Progress = "part" | "step" | "open" | "noauth" | "broken";

type Step = "setname" | "list" | "kill";

export interface IntroductionOptions {
  /** As the caller wrote it. */
  readonly target: string;
  readonly name: LinkName;
  /** Addresses of failed links; shared by the links to this target, emptied when dealt with. */
  readonly failed: string[];
  readonly log: Log;
}

export class LinkIntroduction {
  /** Our own address as the target told it. */
  seenAs: string | undefined;

  readonly #options: IntroductionOptions;
  #step: Step = "setname";
  /** Addresses whose KILL is not answered. */
  #kills: string[] = [];
  /** Bytes of the list that are still to come, its end included. */
  #listLeft = 0;
  #line = "";
  /** Of the line that has not come whole. */
  #lineBytes = 0;
  #progress: Progress = "part";

  constructor(options: IntroductionOptions) {
    this.#options = options;
  }

  begin(out: ReplyWriter): void {
    ask(out, "SETNAME", this.#options.name.text);
    ask(out, "LIST");
  }

  /** Takes what the target sent; what is to be answered goes to `out`. */
  receive(chunk: Buffer, out: ReplyWriter): Progress {
    this.#progress = "part";
    this.#takeLines(chunk, out);
    return this.#progress;
  }

  #takeLines(chunk: Buffer, out: ReplyWriter): void {
    let from = 0;
    while (from < chunk.length && this.#isWaiting) {
      const lf = chunk.indexOf(LF, from);
      const end = lf < 0 ? chunk.length : lf + 1;
      this.#line += chunk.latin1Slice(from, Math.min(end, from + this.#lineRoom));
      this.#lineBytes += end - from;
      from = end;
      if (lf >= 0) this.#endLine(out);
    }
    // Whoever answers what was not asked is no server.
    if (this.#progress === "open" && from < chunk.length) this.#progress = "broken";
  }

  get #isWaiting(): boolean {
    return this.#progress === "part" || this.#progress === "step";
  }

  get #lineRoom(): number {
    return LINE_BYTES_MAX - this.#line.length;
  }

  #endLine(out: ReplyWriter): void {
    const line = this.#line.trimEnd();
    const bytes = this.#lineBytes;
    this.#line = "";
    this.#lineBytes = 0;
    if (this.#listLeft > 0) this.#listed(line, bytes, out);
    else if (this.#step === "list" && line.startsWith("$")) this.#startList(line);
    else if (/^[+:-]/.test(line)) this.#answered(line, out);
    else this.#progress = "broken";
  }

  #startList(line: string): void {
    const length = /^\$\d+$/.test(line) ? Number(line.slice(1)) : Number.NaN;
    if (length <= LIST_BYTES_MAX) {
      this.#listLeft = length + BULK_END_BYTES;
      // The rest of a long list gets time of its own.
      this.#progress = "step";
      return;
    }
    const { target, log } = this.#options;
    const limit = `no list of clients longer than ${LIST_BYTES_MAX} bytes is read`;
    log.warn("a link for moving keys cannot be opened", { target, answer: line, limit });
    this.#progress = "broken";
  }

  /** A line of the list, or its end. */
  #listed(line: string, bytes: number, out: ReplyWriter): void {
    const { name, target, log } = this.#options;
    this.#listLeft -= bytes;
    if (this.#listLeft < 0) {
      this.#progress = "broken";
      return;
    }
    if (line.includes(name.ofSource)) {
      const other = /(?:^| )name=(\S*)/.exec(line)?.[1] ?? "";
      const address = /(?:^| )addr=(\S+)/.exec(line)?.[1];
      if (other === name.text) this.seenAs = address;
      else if (address !== undefined && isLeftover(name, other)) {
        log.info("closes what is left of an earlier link", { target, address, name: other });
        this.#kills.push(address);
      }
    }
    if (this.#listLeft > 0) return;
    if (this.seenAs === undefined) this.#useMemory("the list of clients does not show this one");
    else this.#options.failed.length = 0;
    this.#startKills(out);
  }

  /** A step is answered, by a line. */
  #answered(line: string, out: ReplyWriter): void {
    if (line.startsWith("-NOAUTH")) {
      this.#progress = "noauth";
      return;
    }
    this.#progress = "step";
    if (this.#step === "setname") {
      // One that refuses the name shows no name in its list.
      this.#step = "list";
    } else if (this.#step === "list") {
      this.#useMemory(line);
      this.#startKills(out);
    } else {
      // Any answer will do: the connection is closed, or it was gone already.
      this.#killed(this.#kills.shift()!);
    }
  }

  /** @param why the target's list is of no use */
  #useMemory(why: string): void {
    const { target, failed, log } = this.#options;
    this.#kills.push(...failed.filter((address) => !this.#kills.includes(address)));
    log.warn("a target does not show its connections: only links this process knows are closed", {
      target,
      answer: why,
    });
  }

  #startKills(out: ReplyWriter): void {
    this.#step = "kill";
    for (const address of this.#kills) ask(out, "KILL", address);
    this.#progress = this.#kills.length === 0 ? "open" : "step";
  }

  #killed(address: string): void {
    const { failed } = this.#options;
    const at = failed.indexOf(address);
    if (at >= 0) failed.splice(at, 1);
    if (this.#kills.length === 0) this.#progress = "open";
  }
}

function ask(out: ReplyWriter, ...words: string[]): void {
  out.array(1 + words.length);
  out.bulkText("CLIENT");
  for (const word of words) out.bulkText(word);
}
