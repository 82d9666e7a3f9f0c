/**
 * One client connection as commands see it: who it is, which database it selected, what it may do.
 * The socket is behind `port`; a client without one (tests, the replay of a file) has a port that
 * drops everything.
 */

import type { ReplyWriter } from "../resp/encoder.ts";

/** What a command can do to the connection itself. */
export interface ClientPort {
  /** Sends what is queued, then closes. */
  close(): void;
  /** Ends the connection at once, without what is queued; `reason` for the log. */
  abort(reason: string): void;
  /** Bytes of replies that the peer has not taken yet. */
  backlogBytes(): number;
  /** Bytes received that are not a whole request yet. */
  pendingBytes(): number;
  /** The client has given the password: requests of any size are taken. */
  authenticated(): void;
  /**
   * Gives the reply the client waits for (`isWaiting`); what it sent meanwhile is executed next.
   */
  answer(write: (out: ReplyWriter) => void): void;
  /** The request that was held back (`isWaiting`) is executed again. */
  executeAgain(): void;
}

export type ReplyMode = "on" | "off" | "skip-next" | "skip";

export class Client {
  readonly id: number;
  readonly port: ClientPort;
  /** `ip:port` of the peer and of our end. */
  readonly address: string;
  readonly localAddress: string;
  readonly createdMs: number;
  lastActiveMs: number;
  /** Index of the selected database. */
  dbIndex = 0;
  isAuthenticated: boolean;
  name = "";
  libraryName = "";
  libraryVersion = "";
  replyMode: ReplyMode = "on";
  /** Full name of the last command, lower case: `client|list`. */
  lastCommand = "NULL";
  /**
   * Nothing of this client is executed: a reply of it comes later, or its request is held back
   * until keys have been moved.
   */
  isWaiting = false;
  /** Replays a log: no gate but the arity is asked. */
  skipsGates = false;
  /** It changed something that the journal has not made safe yet. */
  hasUnsafeChanges = false;
  /** Set once a reply is the last one: what arrives afterwards is not executed. */
  isClosing = false;

  constructor(
    id: number,
    port: ClientPort,
    addresses: { readonly address: string; readonly localAddress: string },
    isAuthenticated: boolean,
    nowMs: number,
  ) {
    this.id = id;
    this.port = port;
    this.address = addresses.address;
    this.localAddress = addresses.localAddress;
    this.isAuthenticated = isAuthenticated;
    this.createdMs = nowMs;
    this.lastActiveMs = nowMs;
  }

  /** No further request of this client is executed; it is closed once its replies are out. */
  closeAfterReply(): void {
    this.isClosing = true;
  }
}
